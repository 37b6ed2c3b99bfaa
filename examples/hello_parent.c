/* The smallest caller: starts a worker, calls it once, stops it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

int main(int argc, char **argv)
{
    mf_parent *math = NULL;
    mf_result *sum = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = argc > 1 ? argv[1] : "./hello_worker";
    mf_status status = mf_parent_create(&math, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(math, &error);
    }
    if (status == MF_OK) {
        status = mf_call(math, "add", MF_ARGS(1, 2), &sum, &error);
    }
    if (status == MF_OK) {
        printf("1 + 2 = %" PRId64 "\n", mf_result_int(sum));
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_result_destroy(sum);
    mf_parent_destroy(math);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
