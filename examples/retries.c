/* A call that outlives its worker: the parent restarts the worker and makes the call again, because
 * the call may run twice. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

int main(int argc, char **argv)
{
    mf_parent *parent = NULL;
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    options.program = argc > 1 ? argv[1] : "./retry_worker";
    options.auto_restart = true;
    options.restart_backoff_ms = 50;
    retry.max_attempts = 3;
    call.retry = &retry;
    call.idempotent = true; /* without this only unsent calls are made again */
    mf_status status = mf_parent_create(&parent, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(parent, &error);
    }
    if (status == MF_OK) {
        status = mf_call_with(parent, "fetch", MF_NO_ARGS, &call, &result, &error);
    }
    if (status == MF_OK) {
        status = mf_parent_read_stats(parent, &stats, &error);
    }
    if (status == MF_OK) {
        printf("answered at attempt %" PRId64 ", %" PRIu64 " retry, %" PRIu64 " restart\n",
               mf_result_int(result), stats.retries, stats.restarts);
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_result_destroy(result);
    mf_parent_destroy(parent);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
