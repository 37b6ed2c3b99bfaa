/* A worker that refuses calls whose metadata has no valid token. The token comes from the
 * environment. It is neither printed nor logged, because the library never logs metadata. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

/* Reads every byte, wherever the first difference is, so that the time reveals only the length. */
static bool equal(const char *given, const char *wanted)
{
    size_t length = strlen(wanted);
    unsigned char difference = 0;
    if (strlen(given) != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        difference |= (unsigned char)(given[i] ^ wanted[i]);
    }
    return difference == 0;
}

static mf_status balance(mf_request *request, mf_reply *reply, void *user_data)
{
    const char *given = "";
    const mf_value *token = mf_value_find(mf_request_metadata(request), "token");
    if (token == NULL || mf_value_get_str(token, &given) != MF_OK || !equal(given, user_data)) {
        return mf_reply_error(reply, "PermissionError", "a valid token is needed");
    }
    return mf_reply_value(reply, 100);
}

int main(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    char *token = getenv("BANK_TOKEN");
    if (token == NULL || token[0] == '\0') {
        fprintf(stderr, "BANK_TOKEN is not set\n");
        return EXIT_FAILURE;
    }
    mf_status status = mf_child_create(&child, NULL, &error);
    if (status == MF_OK) {
        mf_child_handle(child, "balance", balance, token);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
