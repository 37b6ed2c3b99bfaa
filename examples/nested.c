/* One call through three processes and two languages: this program calls a Python worker, which
 * calls the service "greeter" (connect_service.c). All three write logs, this program and the
 * worker into the given folder, and all records of the call have the same correlation id. */
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static mf_status start(mf_runtime *runtime, const char *relay, const char *folder,
                       mf_parent **ret_worker, mf_error *error)
{
    char log[512];
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    (void)snprintf(log, sizeof log, "%s/relay.log", folder);
    const char *args[] = {relay, "--log-file", log, NULL};
    options.runtime = runtime;
    options.program = "/usr/bin/python3";
    options.args = args;
    mf_status status = mf_parent_create(ret_worker, &options, error);
    return status == MF_OK ? mf_parent_start(*ret_worker, error) : status;
}

int main(int argc, char **argv)
{
    char log[512];
    mf_runtime *runtime = NULL;
    mf_parent *relay = NULL;
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    if (argc < 3) {
        fprintf(stderr, "usage: nested RELAY.PY FOLDER\n");
        return EXIT_FAILURE;
    }
    (void)snprintf(log, sizeof log, "%s/nested.log", argv[2]);
    options.log_file = log;
    call.correlation_id = "order-4711"; /* default: the trace id */
    mf_status status = mf_runtime_create(&runtime, &options, &error);
    if (status == MF_OK) {
        status = start(runtime, argv[1], argv[2], &relay, &error);
    }
    if (status == MF_OK) {
        status = mf_call_with(relay, "relay", MF_ARGS("Ada"), &call, &result, &error);
    }
    if (status == MF_OK) {
        printf("%s\n", mf_result_str(result));
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_result_destroy(result);
    mf_parent_destroy(relay);
    mf_runtime_destroy(runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
