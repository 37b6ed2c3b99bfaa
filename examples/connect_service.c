/* A service: registers as "greeter", so that callers in any language find it by that name. Runs
 * until SIGTERM. An argument names a file to which it appends its log. */
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static mf_status greet(mf_request *request, mf_reply *reply, void *user_data)
{
    const char *name;
    char text[256];
    (void)user_data;
    if (mf_request_unpack(request, &name) != MF_OK) {
        return MF_ERR_TYPE;
    }
    (void)snprintf(text, sizeof text, "Hello, %.200s!", name);
    return mf_reply_value(reply, (const char *)text);
}

int main(int argc, char **argv)
{
    mf_runtime *runtime = NULL;
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options log = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    log.service = "greeter";
    log.role = "child";
    log.log_file = argc > 1 ? argv[1] : NULL;
    options.service_id = "greeter";
    mf_status status = mf_runtime_create(&runtime, &log, &error);
    if (status == MF_OK) {
        options.runtime = runtime;
        status = mf_child_create(&child, &options, &error);
    }
    if (status == MF_OK) {
        mf_child_handle(child, "greet", greet, NULL);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    mf_runtime_destroy(runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
