/* The demo's C worker: a few functions, each of which logs a line for every call. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

static mf_logger *logger;

/* The library adds the correlation id of the call to the line. */
static void note(const mf_request *request)
{
    MF_LOG(logger, MF_LOG_DEBUG, "math.handled", "Handled",
           MF_FIELD("function", mf_request_function(request)));
}

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a, b;
    (void)user_data;
    note(request);
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, a + b);
}

static mf_status divide(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a, b;
    (void)user_data;
    note(request);
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (b == 0) {
        return mf_reply_error(reply, "ZeroDivisionError", "division by zero");
    }
    return mf_reply_value(reply, (double)a / (double)b);
}

static mf_status sleep_ms(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t ms;
    (void)user_data;
    note(request);
    if (mf_request_unpack(request, &ms) != MF_OK || ms < 0 || ms > 10000) {
        return MF_ERR_TYPE;
    }
    (void)poll(NULL, 0, (int)ms);
    return mf_reply_value(reply, ms);
}

static const char *log_file(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--log-file") == 0) {
            return argv[i + 1];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    mf_runtime *runtime = NULL;
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime_options = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    runtime_options.service = "math-c-worker";
    runtime_options.role = "child";
    runtime_options.log_file = log_file(argc, argv);
    mf_status status = mf_runtime_create(&runtime, &runtime_options, &error);
    if (status == MF_OK) {
        logger = mf_runtime_logger(runtime);
        options.runtime = runtime;
        status = mf_child_create(&child, &options, &error);
    }
    if (status == MF_OK) {
        mf_child_handle(child, "add", add, NULL);
        mf_child_handle(child, "divide", divide, NULL);
        mf_child_handle(child, "sleep_ms", sleep_ms, NULL);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    mf_runtime_destroy(runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
