/* A worker that dies in the first attempt of each call, and answers the second. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

static mf_status fetch(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t attempt = 1;
    const mf_value *sent = mf_value_find(mf_request_metadata(request), "attempt");
    (void)user_data;
    if (sent == NULL || mf_value_get_int64(sent, &attempt) != MF_OK) {
        _exit(EXIT_FAILURE); /* the first attempt has no number */
    }
    return mf_reply_value(reply, attempt);
}

int main(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mf_child_create(&child, NULL, &error);
    if (status == MF_OK) {
        mf_child_handle(child, "fetch", fetch, NULL);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
