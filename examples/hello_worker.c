/* The smallest worker: one function, served until the parent stops it. */
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a, b;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return mf_reply_error(reply, "TypeError", "add takes two integers");
    }
    return mf_reply_value(reply, a + b);
}

int main(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mf_child_create(&child, NULL, &error);
    if (status == MF_OK) {
        mf_child_handle(child, "add", add, NULL);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
