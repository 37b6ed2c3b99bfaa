/* Calls a worker in any language: call_any python3 worker.py, call_any node worker.mjs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

int main(int argc, char **argv)
{
    mf_parent *worker = NULL;
    mf_result *sum = NULL, *greeting = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    if (argc < 3) {
        fprintf(stderr, "usage: call_any PROGRAM SCRIPT\n");
        return EXIT_FAILURE;
    }
    const char *args[] = {argv[2], NULL};
    options.program = argv[1];
    options.args = args;
    mf_status status = mf_parent_create(&worker, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(worker, &error);
    }
    if (status == MF_OK) {
        status = mf_call(worker, "add", MF_ARGS(1, 2), &sum, &error);
    }
    if (status == MF_OK) {
        status = mf_call(worker, "greet", MF_ARGS("Ada"), &greeting, &error);
    }
    if (status == MF_OK) {
        printf("%" PRId64 ", %s\n", mf_result_int(sum), mf_result_str(greeting));
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_result_destroy(sum);
    mf_result_destroy(greeting);
    mf_parent_destroy(worker);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
