/* A program outside of the tree, in C11 and C++17. It spawns itself as its worker and calls it, so
 * that it needs the installed multifrost-exec. */
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a = 0;
    int64_t b = 0;
    const mf_out outs[] = {mf_out_int64(&a), mf_out_int64(&b)};
    (void)user_data;
    if (mf_request_read(request, outs, 2) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_set(reply, mf_int(a + b));
}

static mf_status work(mf_error *error)
{
    mf_child *child = NULL;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    mf_status status = mf_child_create(&child, &options, error);
    if (status == MF_OK) {
        (void)mf_child_handle(child, "add", add, NULL); /* mf_child_run() tells */
        status = mf_child_run(child, error);
    }
    mf_child_destroy(child);
    return status;
}

static mf_status call(const char *program, mf_error *error)
{
    const mf_value values[] = {mf_int(1), mf_int(2)};
    const mf_args args = {values, 2};
    mf_parent *parent = NULL;
    mf_result *sum = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = program;
    mf_status status = mf_parent_create(&parent, &options, error);
    if (status == MF_OK) {
        status = mf_parent_start(parent, error);
    }
    if (status == MF_OK) {
        status = mf_call(parent, "add", args, &sum, error);
    }
    if (status == MF_OK) {
        printf("1 + 2 = %d with %s\n", (int)mf_result_int(sum), MF_VERSION_STRING);
    }
    mf_result_destroy(sum);
    mf_parent_destroy(parent);
    return status;
}

int main(int argc, char **argv)
{
    mf_error error = MF_ERROR_INIT;
    mf_status status = getenv("COMLINK_ZMQ_PORT") != NULL ? work(&error) : call(argv[0], &error);
    (void)argc;
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
