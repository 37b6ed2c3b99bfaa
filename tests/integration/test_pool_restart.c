/* Pools start, and restart their workers while calls go on. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define MEMBERS 4

static mf_parent_options member_options(void)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.target = "math";
    options.stop_timeout_ms = 20000; /* so long calls of a lone worker are waited for */
    return options;
}

static mf_pool *make_pool(const mf_parent_options *parent, int32_t workers, int32_t min_ready)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    options.parent = parent;
    options.workers = workers;
    options.min_ready = min_ready;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    return pool;
}

static mf_pool *start_pool(int32_t workers)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = member_options();
    mf_pool *pool = make_pool(&parent, workers, 0);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    return pool;
}

/* ---- Start ---- */

static void test_failed_start_stops_all(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = member_options();
    parent.program = "false";
    mf_pool *pool = make_pool(&parent, 3, 0);
    mf_check_int(mf_pool_start(pool, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, "exited with status 1");
    for (uint32_t i = 0; i < 3; i++) {
        mf_check_int(mf_parent_get_state(mf_pool_member(pool, i)), MF_PARENT_STOPPED);
    }
    mf_check_int(mf_pool_start(pool, &error), MF_ERR_STATE);
    mf_pool_destroy(pool);
}

/* A program of which the first that takes the name ends at once, and the others are workers. */
static mf_parent_options one_fails(char *env, size_t size)
{
    static const char *const args[] = {"-c", "mkdir \"$TAKEN\" 2>&- && exit 7; exec \"$WORKER\"",
                                       NULL};
    static _Atomic(int) count = 0;
    static char worker[512];
    static const char *list[3];
    mf_parent_options parent = member_options();
    (void)snprintf(env, size, "TAKEN=%s/taken-%d", mf_test_temp_dir(), count++);
    (void)snprintf(worker, sizeof worker, "WORKER=%s", parent.program);
    list[0] = env;
    list[1] = worker;
    parent.program = "sh";
    parent.args = args;
    parent.env = list;
    return parent;
}

static void test_enough_members_are_a_start(void)
{
    char env[512];
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = one_fails(env, sizeof env);
    mf_pool *pool = make_pool(&parent, 3, 0);
    mf_check_int(mf_pool_start(pool, &error), MF_ERR_START_FAILED); /* all three are needed */
    mf_check_contains(error.message, "exited with status 7");
    mf_pool_destroy(pool);
    parent = one_fails(env, sizeof env);
    pool = make_pool(&parent, 3, 2);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, &error), MF_OK);
    mf_pool_destroy(pool);
}

static void check_refused(const mf_pool_options *options, const char *text)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_pool_create(&pool, options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, text);
}

static void test_bad_options_are_named(void)
{
    static const char *const twice[] = {"a", "b", "a", NULL};
    static const char *const none[] = {NULL};
    mf_parent_options parent = member_options();
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    check_refused(&options, "parent is missing");
    options.parent = &parent;
    options.workers = 257;
    check_refused(&options, "workers must be 1 to 256, not 257");
    options.workers = 3;
    options.min_ready = 4;
    check_refused(&options, "min_ready must be 1 to 3, not 4");
    options.min_ready = 0;
    options.drain_timeout_ms = -1;
    check_refused(&options, "drain_timeout_ms");
    options.drain_timeout_ms = 0;
    parent.port = 4711;
    check_refused(&options, "cannot share port 4711");
    parent.port = 0;
    parent.target = "a:b";
    check_refused(&options, "a:b");
    options.service_ids = twice;
    check_refused(&options, "service_ids excludes workers");
    options.workers = 0;
    parent.program = NULL;
    check_refused(&options, "service_ids has 'a' twice");
    options.service_ids = none;
    check_refused(&options, "service_ids is empty");
}

/* ---- Rolling restart ---- */

typedef struct tally {
    mf_pool *pool;
    _Atomic(bool) stop;
    _Atomic(int) calls, failed;
    char first_failure[256]; /* of the caller that counted the first */
} tally;

static void note(tally *at, mf_status status, const mf_error *error)
{
    at->calls++;
    if (status != MF_OK && at->failed++ == 0) {
        (void)snprintf(at->first_failure, sizeof at->first_failure, "%s", mf_error_text(error));
    }
}

static void *call_on(void *argument)
{
    tally *at = argument;
    for (int i = 0; !at->stop; i++) {
        mf_error error = MF_ERROR_INIT;
        mf_result *result = NULL;
        mf_status status = mf_pool_call(at->pool, "add", MF_ARGS(i, 1), &result, &error);
        note(at, status == MF_OK && mf_result_int(result) != i + 1 ? MF_ERR_INTERNAL : status,
             &error);
        mf_result_destroy(result);
    }
    return NULL;
}

static void *call_on_with_futures(void *argument)
{
    tally *at = argument;
    while (!at->stop) {
        mf_error error = MF_ERROR_INIT;
        mf_future *futures[8] = {NULL};
        for (int i = 0; i < 8; i++) {
            mf_status status =
                mf_pool_call_future(at->pool, "sleep_ms", MF_ARGS(1), NULL, &futures[i], &error);
            if (status != MF_OK) {
                note(at, status, &error);
            }
        }
        for (int i = 0; i < 8; i++) {
            if (futures[i] != NULL) {
                note(at, mf_future_wait(futures[i], 20000, NULL, &error), &error);
                mf_future_destroy(futures[i]);
            }
        }
    }
    return NULL;
}

#define CALLERS 4

typedef struct running_load {
    tally at;
    pthread_t threads[CALLERS];
} running_load;

static void start_load(running_load *load, mf_pool *pool)
{
    load->at.pool = pool;
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_create(&load->threads[i], NULL, i == 0 ? call_on_with_futures : call_on, &load->at);
    }
}

static bool has_called(void *data)
{
    return ((tally *)data)->calls > 100;
}

static void end_load(running_load *load)
{
    load->at.stop = true;
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(load->threads[i], NULL);
    }
    mf_check_int(load->at.failed, 0);
    mf_check_str(load->at.first_failure, "");
}

static void test_rolling_restart_fails_no_call(void)
{
    mf_error error = MF_ERROR_INIT;
    int64_t before[MEMBERS];
    running_load load = {.at.calls = 0};
    mf_pool *pool = start_pool(MEMBERS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        before[i] = mf_parent_pid(mf_pool_member(pool, i));
    }
    start_load(&load, pool);
    mf_check(mf_test_until(has_called, &load.at, 20000));
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_OK);
    mf_check_str(error.message, "");
    load.at.calls = 0;
    mf_check(mf_test_until(has_called, &load.at, 20000));
    end_load(&load);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        mf_parent_stats stats = MF_PARENT_STATS_INIT;
        mf_parent *member = mf_pool_member(pool, i);
        mf_check(mf_parent_pid(member) != 0 && mf_parent_pid(member) != before[i]);
        mf_check_int(mf_parent_get_state(member), MF_PARENT_READY);
        mf_check_int(mf_parent_read_stats(member, &stats, NULL), MF_OK);
        mf_check_int(stats.calls_failed, 0); /* no try failed either: nothing was covered up */
        mf_check_int(stats.restarts, 1);
        mf_check_str(mf_parent_circuit_state(member), "closed");
    }
    mf_pool_destroy(pool);
}

static void test_lone_worker_keeps_its_callers(void)
{
    mf_error error = MF_ERROR_INIT;
    running_load load = {.at.calls = 0};
    mf_pool *pool = start_pool(1);
    int64_t before = mf_parent_pid(mf_pool_member(pool, 0));
    start_load(&load, pool);
    mf_check(mf_test_until(has_called, &load.at, 20000));
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_OK);
    end_load(&load);
    mf_check(mf_parent_pid(mf_pool_member(pool, 0)) != before);
    mf_pool_destroy(pool);
}

typedef struct restart_thread {
    mf_pool *pool;
    int64_t first_pid;
    mf_status status;
} restart_thread;

static void *run_restart(void *argument)
{
    restart_thread *at = argument;
    at->status = mf_pool_rolling_restart(at->pool, NULL);
    return NULL;
}

static bool first_is_new(void *data)
{
    const restart_thread *at = data;
    int64_t pid = mf_parent_pid(mf_pool_member(at->pool, 0));
    return pid != 0 && pid != at->first_pid;
}

static void test_only_one_at_a_time(void)
{
    pthread_t thread;
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_pool *pool = start_pool(2);
    restart_thread at = {.pool = pool, .first_pid = mf_parent_pid(mf_pool_member(pool, 0))};
    /* The second waits for this call, so that the restart surely goes on when we look. */
    stop_worker(mf_pool_member(pool, 1));
    mf_check_int(mf_call_future(mf_pool_member(pool, 1), "ping", MF_NO_ARGS, NULL, &future, &error),
                 MF_OK);
    pthread_create(&thread, NULL, run_restart, &at);
    mf_check(mf_test_until(first_is_new, &at, 20000));
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_ERR_STATE);
    mf_check_contains(error.message, "'math' is being restarted already");
    continue_worker(mf_pool_member(pool, 1));
    pthread_join(thread, NULL);
    mf_check_int(at.status, MF_OK);
    mf_check_int(mf_future_wait(future, 20000, NULL, &error), MF_OK);
    mf_future_destroy(future);
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_OK);
    mf_pool_destroy(pool);
}

/* Calls wait when all are away. */
static void test_automatic_restart(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = member_options();
    parent.auto_restart = true;
    parent.restart_backoff_ms = 400;
    mf_pool *pool = make_pool(&parent, 2, 0);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    for (uint32_t i = 0; i < 2; i++) {
        kill_worker(mf_pool_member(pool, i));
    }
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, &error), MF_OK); /* it waits */
    for (uint32_t i = 0; i < 2; i++) {
        mf_check(mf_test_until(is_ready, mf_pool_member(pool, i), 20000));
        mf_check_int(stats_of(mf_pool_member(pool, i)).restarts, 1);
    }
    mf_pool_destroy(pool);
}

static bool awaits_restart(void *parent)
{
    return stats_of(parent).restart_in_ms > 0;
}

static void find_output(const mf_health_row *row, void *user_data)
{
    if (strcmp(row->measurement, "workers") == 0 && row->output != NULL) {
        (void)snprintf(user_data, 256, "%s", row->output);
    }
}

static void test_health_tells_the_next_start(void)
{
    char output[256] = "";
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    const mf_probe *probe = mf_runtime_probe(runtime);
    mf_parent_options parent = member_options();
    parent.runtime = runtime;
    restart_by_hand_only(&parent);
    mf_pool *pool = make_pool(&parent, 2, 0);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    kill_worker(mf_pool_member(pool, 1));
    mf_check(mf_test_until(awaits_restart, mf_pool_member(pool, 1), 20000));
    probe->visit_health(probe->self, find_output, output);
    mf_check_contains(output, "worker math-1 was killed by signal 9 (SIGKILL), restart in ");
    mf_pool_destroy(pool);
    mf_runtime_destroy(runtime);
}

/* ---- A drain that nobody wants any more ---- */

typedef struct unwanted_drain {
    mf_pool *pool;
    _Atomic(bool) ended;
} unwanted_drain;

static void *drain_first(void *data)
{
    unwanted_drain *at = data;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_pool_drain(at->pool, 0, &error), MF_ERR_CANCELLED);
    mf_check_contains(error.message, "'math-0' was put back");
    atomic_store(&at->ended, true);
    return NULL;
}

static bool resume_ends_it(void *data)
{
    unwanted_drain *at = data;
    mf_check_int(mf_pool_resume(at->pool, 0, NULL), MF_OK); /* perhaps before it has begun */
    return atomic_load(&at->ended);
}

static void test_resume_ends_a_drain(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    pthread_t thread;
    unwanted_drain at = {.pool = start_pool(2)};
    stop_worker(mf_pool_member(at.pool, 0));
    mf_check_int(
        mf_call_future(mf_pool_member(at.pool, 0), "ping", MF_NO_ARGS, NULL, &future, &error),
        MF_OK);
    mf_check_int(pthread_create(&thread, NULL, drain_first, &at), 0);
    mf_check(mf_test_until(resume_ends_it, &at, 20000));
    mf_future_cancel(future);
    continue_worker(mf_pool_member(at.pool, 0));
    mf_check_int(pthread_join(thread, NULL), 0);
    mf_pool_destroy(at.pool);
    mf_future_destroy(future);
}

static const mf_test tests[] = {
    {"drain__a_resume_ends_it", test_resume_ends_a_drain},
    {"start__that_fails_stops_all_members", test_failed_start_stops_all},
    {"start__succeeds_when_enough_are_ready", test_enough_members_are_a_start},
    {"start__bad_options_are_named", test_bad_options_are_named},
    {"rolling__restart_under_load_fails_no_call", test_rolling_restart_fails_no_call},
    {"rolling__calls_of_a_lone_worker_wait_for_the_new_one", test_lone_worker_keeps_its_callers},
    {"rolling__only_one_restart_at_a_time", test_only_one_at_a_time},
    {"restart__is_waited_for", test_automatic_restart},
    {"restart__is_told_by_health", test_health_tells_the_next_start},
};
MF_TEST_MAIN(tests)
