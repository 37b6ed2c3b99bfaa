/* Several workers of one program behind one call interface. A rolling restart replaces all of them,
 * and no call fails. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

static mf_status add_up(mf_pool *math, int64_t *sum, mf_error *error)
{
    mf_status status = MF_OK;
    for (int i = 1; i <= 10 && status == MF_OK; i++) {
        mf_result *result = NULL;
        status = mf_pool_call(math, "add", MF_ARGS(*sum, i), &result, error);
        if (status == MF_OK) {
            *sum = mf_result_int(result);
        }
        mf_result_destroy(result);
    }
    return status;
}

int main(int argc, char **argv)
{
    mf_pool *math = NULL;
    int64_t sum = 0;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options worker = MF_PARENT_OPTIONS_INIT;
    worker.program = argc > 1 ? argv[1] : "./hello_worker";
    worker.target = "math"; /* metrics and logs name them math-0, math-1 and math-2 */
    worker.auto_restart = true;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    options.parent = &worker;
    options.workers = 3;
    mf_status status = mf_pool_create(&math, &options, &error);
    if (status == MF_OK) {
        status = mf_pool_start(math, &error);
    }
    if (status == MF_OK) {
        status = add_up(math, &sum, &error);
    }
    if (status == MF_OK) { /* one worker after the other; other threads could call meanwhile */
        status = mf_pool_rolling_restart(math, &error);
    }
    if (status == MF_OK) {
        status = add_up(math, &sum, &error);
    }
    if (status == MF_OK) {
        printf("%u workers, sum %" PRId64 "\n", (unsigned)mf_pool_size(math), sum);
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_pool_destroy(math);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
