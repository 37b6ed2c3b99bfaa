/* Workers that end: the parent restarts them, a program restarts them, or they stay ended. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

static mf_parent_options supervised(void)
{
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.restart_backoff_ms = 50;
    options.circuit_open_ms = 100;
    return options;
}

static bool has_failed(void *data)
{
    return mf_parent_get_state(data) == MF_PARENT_FAILED;
}

static void check_add(mf_parent *parent)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
}

static void test_killed_worker_is_started_again(void)
{
    char text[256];
    mf_parent_options options = supervised();
    mf_parent *parent = start(&options);
    int64_t pid = mf_parent_pid(parent);
    kill_worker(parent);
    check_add(parent); /* waits for the new worker */
    mf_check(mf_test_until(is_ready, parent, 5000));
    mf_check(mf_parent_pid(parent) != pid);
    mf_parent_stats stats = stats_of(parent);
    mf_check_int(stats.restarts, 1);
    mf_check_int(stats.restarts_in_period, 1);
    mf_check_int(stats.restart_attempts, 1);
    mf_check_int(stats.circuit_trips, 1);
    mf_check_int(stats.last_exit_signal, SIGKILL);
    mf_check_int(stats.last_exit_code, -1);
    (void)mf_parent_last_exit(parent, text, sizeof text);
    mf_check_str(text, "was killed by signal 9 (SIGKILL)");
    mf_parent_destroy(parent);
}

static void test_fail_fast_refuses_meanwhile(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = supervised();
    options.fail_fast = true;
    restart_by_hand_only(&options);
    mf_parent *parent = start(&options);
    kill_worker(parent);
    /* A call that waited would end with its timeout. */
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "is restarting");
    mf_check_contains(error.message, "was killed by signal 9 (SIGKILL)");
    mf_parent_destroy(parent);
}

static void test_gives_up_after_too_many(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = supervised();
    options.max_restart_attempts = 2;
    options.restart_backoff_ms = 10;
    options.circuit_failures = 5;
    mf_parent *parent = start(&options);
    for (int i = 0; i < 3; i++) {
        mf_check(mf_test_until(is_ready, parent, 20000));
        kill_worker(parent);
    }
    mf_check(mf_test_until(has_failed, parent, 20000));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "was given up after 2 restarts in 60 s");
    mf_check_contains(error.message, "SIGKILL");
    mf_check_int(stats_of(parent).restarts, 2);
    /* By hand it comes back. */
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    for (int i = 0; i < 3; i++) {
        check_add(parent);
    }
    mf_check_int(stats_of(parent).restarts, 3);
    mf_check_int(stats_of(parent).restarts_in_period, 0);
    mf_parent_destroy(parent);
}

static void test_without_auto_restart_it_stays_down(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = supervised();
    options.auto_restart = false;
    mf_parent *parent = start(&options);
    kill_worker(parent);
    mf_check(mf_test_until(has_failed, parent, 20000));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_int(stats_of(parent).restarts, 0);
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    check_add(parent);
    mf_parent_destroy(parent);
}

static void test_manual_restart_waits_for_calls(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *running = NULL;
    mf_result *result = NULL;
    uint64_t rtt_ns = 0;
    mf_parent_options options = supervised();
    options.auto_restart = false;
    options.stop_timeout_ms = 20000; /* so long calls are waited for */
    mf_parent *parent = start(&options);
    int64_t pid = mf_parent_pid(parent);
    mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(300), NULL, &running, &error), MF_OK);
    mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt_ns, NULL), MF_OK); /* comes behind it */
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(mf_parent_pid(parent) != pid);
    mf_check_int(mf_future_wait(running, 0, &result, &error), MF_OK);
    mf_check_int(mf_result_int(result), 300);
    mf_result_destroy(result);
    mf_future_destroy(running);
    check_add(parent);
    mf_parent_stats stats = stats_of(parent);
    mf_check_int(stats.circuit_trips, 0);
    mf_check_int(stats.calls_failed, 0);
    mf_check_int(stats.restarts, 1);
    mf_parent_destroy(parent);
}

static bool has_restarted(void *data)
{
    return stats_of(data).restarts == 1 && !is_restarting(data);
}

typedef struct other_worker {
    mf_parent *parent;
    int64_t than;
} other_worker;

/* Another worker is ready. A restart counts a moment before the worker that was lost is no more. */
static bool is_other_worker(void *data)
{
    const other_worker *at = data;
    int64_t pid = mf_parent_pid(at->parent);
    return pid > 0 && pid != at->than && is_ready(at->parent);
}

static void test_silent_worker_is_replaced(void)
{
    char text[256];
    mf_parent_options options = supervised();
    options.heartbeat_interval_ms = 50;
    options.heartbeat_timeout_ms = SILENT_MS;
    options.heartbeat_misses = 2;
    mf_parent *parent = start(&options);
    int64_t pid = mf_parent_pid(parent);
    stop_worker(parent);
    mf_check(mf_test_until(has_restarted, parent, 20000));
    other_worker at = {parent, pid};
    mf_check(mf_test_until(is_other_worker, &at, 20000));
    (void)mf_parent_last_exit(parent, text, sizeof text);
    mf_check_contains(text, "heartbeats in a row");
    mf_parent_destroy(parent);
}

static bool waits_for_a_start(void *data)
{
    return stats_of(data).restart_in_ms > 1000;
}

static void test_stop_during_a_restart(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *waiting = NULL;
    mf_parent_options options = supervised();
    restart_by_hand_only(&options);
    mf_parent *parent = start(&options);
    kill_worker(parent);
    mf_check_int(mf_call_future(parent, "add", MF_ARGS(1, 2), NULL, &waiting, &error), MF_OK);
    mf_check(mf_test_until(waits_for_a_start, parent, 5000));
    mf_check_int(mf_parent_stop(parent, &error), MF_OK);
    mf_check_int(mf_future_wait(waiting, 5000, NULL, &error), MF_ERR_CANCELLED);
    mf_future_destroy(waiting);
    mf_check_int(mf_parent_restart(parent, &error), MF_ERR_STATE);
    mf_parent_destroy(parent);
}

static void test_waiting_call_keeps_its_deadline(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    mf_parent_options options = supervised();
    restart_by_hand_only(&options);
    call.timeout_ms = 100;
    mf_parent *parent = start(&options);
    kill_worker(parent);
    int64_t before = mf_test_now_ms();
    mf_check_int(mf_call_with(parent, "add", MF_ARGS(1, 2), &call, NULL, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "Function 'add' timed out after 100 ms");
    mf_check(mf_test_now_ms() - before >= 100);
    mf_parent_destroy(parent);
}

/* Calls that time out while nobody runs leave room for others, and for what makes a worker ready.
 */
static void test_timed_out_calls_leave_room(void)
{
    enum { IN_FLIGHT = 4, CALLS = 40 };
    mf_error error = MF_ERROR_INIT;
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    mf_parent_options options = supervised();
    options.max_in_flight = IN_FLIGHT;
    restart_by_hand_only(&options);
    call.timeout_ms = 5;
    mf_parent *parent = start(&options);
    kill_worker(parent);
    for (int i = 0; i < CALLS; i++) {
        mf_check_int(mf_call_with(parent, "add", MF_ARGS(1, 2), &call, NULL, &error),
                     MF_ERR_TIMEOUT);
    }
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    check_add(parent);
    mf_check_int(stats_of(parent).restarts, 1);
    mf_parent_destroy(parent);
}

typedef struct load {
    mf_parent *parent;
    _Atomic(bool) stop;
    int64_t timeout_ms;
    _Atomic(int) answered, lost;
} load;

static void *call_on(void *data)
{
    load *at = data;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = at->timeout_ms;
    while (!atomic_load(&at->stop)) {
        mf_status status = mf_call_with(at->parent, "add", MF_ARGS(1, 2), &options, NULL, NULL);
        atomic_fetch_add(&at->answered, status == MF_OK ? 1 : 0);
        atomic_fetch_add(&at->lost, status == MF_ERR_TIMEOUT ? 1 : 0);
    }
    return NULL;
}

/* The sum of the values of all series that begin so. */
static double sum_of(mf_runtime *runtime, const char *series)
{
    char *text = NULL;
    size_t size = 0;
    double sum = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, &error),
                 MF_OK);
    for (const char *at = text; at != NULL && (at = strstr(at, series)) != NULL; at++) {
        const char *value = at == text || at[-1] == '\n' ? strchr(at, '}') : NULL;
        sum += value != NULL ? strtod(value + 1, NULL) : 0;
    }
    free(text);
    return sum;
}

static void check_metrics(mf_runtime *runtime, const mf_parent_stats *stats)
{
    double by_signal =
        sum_of(runtime, "multifrost_worker_restarts_total{target=\"math\",reason=\"signal\"}");
    double late = sum_of(
        runtime, "multifrost_worker_restarts_total{target=\"math\",reason=\"start_timeout\"}");
    mf_check_int((int64_t)(by_signal + late), stats->restarts);
    mf_check_int((int64_t)sum_of(runtime, "multifrost_client_calls_started_total{"),
                 (int64_t)sum_of(runtime, "multifrost_client_calls_total{"));
}

/* Kills one worker after the other, for a while and until there were some. Gives the longest wait
 * for a restart that was announced, in seconds. */
static double kill_again_and_again(mf_runtime *runtime, mf_parent *parent, int64_t kill_ms)
{
    enum { KILLS = 6 };
    double longest = 0;
    int64_t until = mf_test_now_ms() + kill_ms;
    int64_t before = 0;
    for (int kills = 0; kills < KILLS || longest <= 0 || mf_test_now_ms() < until;) {
        int64_t pid = mf_parent_pid(parent);
        if (pid > 0 && pid != before && kill((pid_t)pid, SIGKILL) == 0) {
            before = pid;
            kills++;
        }
        double wait = sum_of(runtime, "multifrost_worker_restart_backoff_seconds{");
        longest = wait > longest ? wait : longest;
        (void)usleep(50000); /* the rhythm is the test */
    }
    return longest;
}

static bool is_answered(void *data)
{
    return atomic_load((_Atomic(int) *)data) > 0;
}

/* Kills the worker again and again under load: every call gets an answer, no restart waits longer
 * than it may, and afterwards calls are answered. */
static void test_killed_under_load(void)
{
    enum { CALLERS = 4 };
    const char *asked = getenv("MF_KILL_SECONDS");
    int64_t kill_ms = (asked != NULL ? atoi(asked) : 3) * 1000;
    pthread_t threads[CALLERS];
    mf_parent_options options = supervised();
    options.max_restart_attempts = MF_DISABLED;
    options.circuit_failures = 5;
    options.restart_backoff_ms = 10;
    options.restart_backoff_max_ms = 250;
    options.circuit_open_ms = 100;
    options.circuit_open_max_ms = 500;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    options.runtime = runtime;
    /* A call that nobody looks after ends with this timeout, and no other. */
    load at = {.parent = start(&options), .timeout_ms = kill_ms + 30000};
    for (int i = 0; i < CALLERS; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, call_on, &at), 0);
    }
    double longest = kill_again_and_again(runtime, at.parent, kill_ms);
    mf_check(longest <= 0.250 * 1.2); /* varied by 20 % */
    mf_check(mf_test_until(is_ready, at.parent, 20000));
    atomic_store(&at.answered, 0);
    mf_check(mf_test_until(is_answered, &at.answered, 20000));
    atomic_store(&at.stop, true);
    for (int i = 0; i < CALLERS; i++) {
        mf_check_int(pthread_join(threads[i], NULL), 0);
    }
    mf_parent_stats stats = stats_of(at.parent);
    mf_check(stats.restarts > 0);
    mf_check_int(atomic_load(&at.lost), 0);
    mf_check_int(stats.calls_in_flight, 0);
    check_metrics(runtime, &stats);
    mf_parent_destroy(at.parent);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"restart__a_killed_worker_is_started_again", test_killed_worker_is_started_again},
    {"restart__fail_fast_refuses_meanwhile", test_fail_fast_refuses_meanwhile},
    {"restart__gives_up_after_too_many_and_comes_back_by_hand", test_gives_up_after_too_many},
    {"restart__without_it_a_worker_stays_down", test_without_auto_restart_it_stays_down},
    {"restart__by_hand_waits_for_calls_in_flight", test_manual_restart_waits_for_calls},
    {"restart__a_silent_worker_is_replaced", test_silent_worker_is_replaced},
    {"restart__a_stop_ends_it", test_stop_during_a_restart},
    {"restart__a_waiting_call_keeps_its_deadline", test_waiting_call_keeps_its_deadline},
    {"restart__timed_out_calls_leave_room", test_timed_out_calls_leave_room},
    {"restart__killed_under_load_no_call_is_lost", test_killed_under_load},
};

MF_TEST_MAIN(tests)
