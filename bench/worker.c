/* The worker of this library. It has instruments as by default, or none at all if BENCH_METRICS=off
 * is in its environment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a = 0;
    int64_t b = 0;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, a + b);
}

static mf_status echo(mf_request *request, mf_reply *reply, void *user_data)
{
    mf_value value;
    (void)user_data;
    if (mf_request_unpack(request, &value) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_set(reply, value);
}

int main(int argc, char **argv)
{
    mf_runtime *runtime = NULL;
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime_options = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    runtime_options.role = "child";
    const char *metrics = getenv("BENCH_METRICS");
    bool off = metrics != NULL && strcmp(metrics, "off") == 0;
    runtime_options.no_metrics = off;
    runtime_options.recorder_bytes = off ? MF_DISABLED : 0;
    options.handler_sampling = off ? MF_DISABLED : 0;
    options.service_id = argc > 1 ? argv[1] : NULL;
    mf_status status = mf_runtime_create(&runtime, &runtime_options, &error);
    if (status == MF_OK) {
        options.runtime = runtime;
        status = mf_child_create(&child, &options, &error);
    }
    if (status == MF_OK) {
        mf_child_handle(child, "add", add, NULL);
        mf_child_handle(child, "echo", echo, NULL);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    mf_runtime_destroy(runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
