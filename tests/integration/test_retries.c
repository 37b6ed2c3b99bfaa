/* Retries, cancellation, and one wait for several calls. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

static mf_parent *start_supervised(mf_runtime *runtime)
{
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    options.auto_restart = true;
    options.restart_backoff_ms = 50;
    options.circuit_open_ms = 50;
    return start(&options);
}

static bool exposition_has(mf_runtime *runtime, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, &error),
                 MF_OK);
    bool found = text != NULL && strstr(text, line) != NULL;
    free(text);
    return found;
}

static bool call_was_sent(void *runtime)
{
    return exposition_has(runtime, "multifrost_transport_messages_total{target=\"math\","
                                   "direction=\"sent\",type=\"call\"} 1");
}

/* A call that was sent to a worker which is stopped, and then killed. */
static mf_future *call_and_kill(mf_runtime *runtime, mf_parent *parent,
                                const mf_call_options *options)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    stop_worker(parent);
    mf_check_int(mf_call_future(parent, "add", MF_ARGS(40, 2), options, &future, &error), MF_OK);
    mf_check(mf_test_until(call_was_sent, runtime, 20000));
    kill_worker(parent);
    return future;
}

static void test_idempotent_call_survives_a_crash(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_result *result = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    options.idempotent = true;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_parent *parent = start_supervised(runtime);
    mf_future *future = call_and_kill(runtime, parent, &options);
    mf_check_int(mf_future_wait(future, 20000, &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
    mf_future_destroy(future);
    mf_parent_stats stats = stats_of(parent);
    mf_check_int(stats.retries, 1);
    mf_check_int(stats.calls_total, 1);
    mf_check_int(stats.calls_failed, 0);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static void test_other_calls_are_not_repeated(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_parent *parent = start_supervised(runtime);
    mf_future *future = call_and_kill(runtime, parent, &options);
    mf_check_int(mf_future_wait(future, 20000, NULL, &error), MF_ERR_WORKER_EXITED);
    mf_check_contains(error.message, "SIGKILL");
    mf_future_destroy(future);
    mf_check_int(stats_of(parent).retries, 0);
    mf_check(exposition_has(runtime, "multifrost_client_retries_suppressed_total{target=\"math\","
                                     "reason=\"not_idempotent\"} 1"));
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static bool was_retried(void *parent)
{
    return stats_of(parent).retries > 0;
}

static void test_refused_call_is_tried_again(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_result *result = NULL;
    mf_parent_options fails_fast = worker_options();
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    retry.max_attempts = 10; /* the budget is full at the start, and pays for as many */
    retry.backoff_ms = 500;
    options.retry = &retry;
    restart_by_hand_only(&fails_fast);
    fails_fast.fail_fast = true;
    mf_parent *parent = start(&fails_fast);
    kill_worker(parent);
    mf_check_int(mf_call_future(parent, "add", MF_ARGS(40, 2), &options, &future, &error), MF_OK);
    mf_check(mf_test_until(was_retried, parent, 20000));
    mf_check(!mf_future_is_done(future));
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    mf_check_int(mf_future_wait(future, 60000, &result, &error), MF_OK);
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
    mf_future_destroy(future);
    mf_parent_destroy(parent);
}

static void test_answers_are_final(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    options.idempotent = true;
    mf_parent *parent = start_supervised(NULL);
    mf_check_int(mf_call_with(parent, "divide", MF_ARGS(1, 0), &options, NULL, &error),
                 MF_ERR_REMOTE);
    mf_check_int(mf_call_with(parent, "nope", MF_NO_ARGS, &options, NULL, &error),
                 MF_ERR_FUNCTION_NOT_FOUND);
    mf_check_int(stats_of(parent).retries, 0);
    mf_parent_destroy(parent);
}

static void test_attempts_share_the_timeout(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    retry.max_attempts = 10;
    retry.attempt_timeout_ms = 400;
    retry.backoff_ms = 1;
    options.retry = &retry;
    options.idempotent = true;
    options.timeout_ms = 1400;
    mf_parent *parent = start_supervised(NULL);
    stop_worker(parent);
    int64_t before = mf_test_now_ms();
    mf_check_int(mf_call_with(parent, "ping", MF_NO_ARGS, &options, NULL, &error), MF_ERR_TIMEOUT);
    mf_check(mf_test_now_ms() - before >= 1200);
    /* Of ten attempts that each had all of the time, there would be nine more. */
    mf_check(stats_of(parent).retries >= 1);
    mf_check(stats_of(parent).retries <= 3);
    continue_worker(parent);
    mf_parent_destroy(parent);
}

static void test_timed_out_attempt_names_its_own_time(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    retry.max_attempts = 2;
    retry.attempt_timeout_ms = 50;
    retry.backoff_ms = 1;
    options.retry = &retry;
    options.idempotent = true;
    options.timeout_ms = TOO_LONG_MS;
    mf_parent *parent = start_supervised(NULL);
    stop_worker(parent);
    mf_check_int(mf_call_with(parent, "ping", MF_NO_ARGS, &options, NULL, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "Function 'ping' timed out after 50 ms (attempt 2)");
    retry.attempt_timeout_ms = 10000; /* the call's own time is over first */
    options.timeout_ms = 60;
    mf_check_int(mf_call_with(parent, "ping", MF_NO_ARGS, &options, NULL, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "Function 'ping' timed out after 60 ms");
    continue_worker(parent);
    mf_parent_destroy(parent);
}

static void test_cancelled_future_ends_at_once(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *plain = NULL, *retried = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    mf_parent *parent = start_supervised(NULL);
    stop_worker(parent);
    mf_check_int(mf_call_future(parent, "ping", MF_NO_ARGS, NULL, &plain, &error), MF_OK);
    mf_check_int(mf_call_future(parent, "ping", MF_NO_ARGS, &options, &retried, &error), MF_OK);
    mf_check(!mf_future_is_done(plain));
    mf_future_cancel(plain);
    mf_future_cancel(retried);
    mf_check_int(mf_future_wait(plain, 20000, NULL, &error), MF_ERR_CANCELLED);
    mf_check_contains(error.message, "cancelled");
    mf_check_int(mf_future_wait(retried, 20000, NULL, &error), MF_ERR_CANCELLED);
    continue_worker(parent);
    mf_check(mf_future_is_done(plain));
    mf_future_cancel(plain); /* does nothing any more */
    mf_future_destroy(plain);
    mf_future_destroy(retried);
    mf_future_cancel(NULL);
    mf_check_str(mf_parent_circuit_state(parent), "closed");
    mf_parent_destroy(parent);
}

static void test_gather(void)
{
    enum { CALLS = 20 };
    size_t index = CALLS;
    mf_error error = MF_ERROR_INIT;
    mf_future *futures[CALLS + 1] = {0};
    mf_parent *parent = start_supervised(NULL);
    for (int64_t i = 0; i < CALLS; i++) {
        mf_check_int(mf_call_future(parent, "add", MF_ARGS(i, i), NULL, &futures[i], &error),
                     MF_OK);
    }
    mf_check_int(mf_futures_wait_all(futures, CALLS + 1, 10000, &error), MF_OK);
    for (int64_t i = 0; i < CALLS; i++) {
        mf_result *result = NULL;
        mf_check_int(mf_future_wait(futures[i], 0, &result, &error), MF_OK);
        mf_check_int(mf_result_int(result), 2 * i);
        mf_result_destroy(result);
        mf_future_destroy(futures[i]);
    }
    stop_worker(parent);
    mf_check_int(mf_call_future(parent, "ping", MF_NO_ARGS, NULL, &futures[0], &error), MF_OK);
    mf_check_int(mf_futures_wait_any(futures, 1, 20, &index, &error), MF_ERR_TIMEOUT);
    mf_check_int(mf_futures_wait_all(futures, 1, 0, &error), MF_ERR_TIMEOUT);
    mf_check_contains(error.message, "1 of 1 calls");
    futures[1] = NULL;
    continue_worker(parent);
    mf_check_int(mf_futures_wait_any(futures, 2, 20000, &index, &error), MF_OK);
    mf_check_int(index, 0);
    mf_future_destroy(futures[0]);
    futures[0] = NULL;
    mf_check_int(mf_futures_wait_any(futures, 2, 10, &index, &error), MF_ERR_INVALID_ARGUMENT);
    mf_parent_destroy(parent);
}

static void test_bad_policies_are_named(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    mf_parent *parent = start_supervised(NULL);
    retry.max_attempts = -1;
    mf_check_int(mf_call_with(parent, "ping", MF_NO_ARGS, &options, NULL, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "max_attempts");
    retry.max_attempts = 2;
    retry.jitter = 1.5;
    mf_check_int(mf_call_with(parent, "ping", MF_NO_ARGS, &options, NULL, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "jitter");
    mf_parent_destroy(parent);
}

/* ---- Deadlines ---- */

typedef struct late_call {
    mf_parent *parent;
    int64_t timeout_ms;
    int64_t took_ms;
    mf_status status;
    pthread_t thread;
} late_call;

static void *call_too_late(void *argument)
{
    late_call *at = argument;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = at->timeout_ms;
    int64_t before = mf_test_now_ms();
    at->status = mf_call_with(at->parent, "ping", MF_NO_ARGS, &options, NULL, NULL);
    at->took_ms = mf_test_now_ms() - before;
    return NULL;
}

/* One of the callers drives, the others wait for their turn; near and far deadlines are minded by
 * different threads. A deadline that nobody minds is never over: the worker is stopped, and there
 * are no heartbeats that would wake a caller. */
static void test_far_deadlines(void)
{
    mf_parent_options options = worker_options();
    options.heartbeat_interval_ms = MF_DISABLED;
    mf_parent *parent = start(&options);
    late_call calls[] = {
        {.timeout_ms = 1600}, {.timeout_ms = 1100}, {.timeout_ms = 300}, {.timeout_ms = 2000}};
    const size_t count = sizeof calls / sizeof calls[0];
    stop_worker(parent);
    for (size_t i = 0; i < count; i++) {
        calls[i].parent = parent;
        mf_check_int(pthread_create(&calls[i].thread, NULL, call_too_late, &calls[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(calls[i].thread, NULL);
        mf_check_int(calls[i].status, MF_ERR_TIMEOUT);
        mf_check(calls[i].took_ms >= calls[i].timeout_ms);
    }
    continue_worker(parent);
    mf_parent_destroy(parent);
}

static const mf_test tests[] = {
    {"calls__far_deadlines_end_the_wait", test_far_deadlines},
    {"retry__an_idempotent_call_survives_a_crash", test_idempotent_call_survives_a_crash},
    {"retry__other_calls_are_not_repeated", test_other_calls_are_not_repeated},
    {"retry__a_refused_call_is_tried_again", test_refused_call_is_tried_again},
    {"retry__answers_are_final", test_answers_are_final},
    {"retry__attempts_share_the_timeout", test_attempts_share_the_timeout},
    {"retries__a_timed_out_attempt_names_its_own_time", test_timed_out_attempt_names_its_own_time},
    {"retry__bad_policies_are_named", test_bad_policies_are_named},
    {"cancel__a_future_ends_at_once", test_cancelled_future_ends_at_once},
    {"gather__all_or_any_are_waited_for", test_gather},
};

MF_TEST_MAIN(tests)
