/* Pools of real workers: which member gets a call, what happens when members end, and what the
 * probe shows. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

static mf_parent_options member_options(mf_runtime *runtime)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.target = "math";
    options.stop_timeout_ms = 400;
    return options;
}

/* With a drain timeout of 0 the default, which is longer than any call of a test that drains. */
static mf_pool *make_pool(mf_runtime *runtime, int32_t workers, int64_t drain_timeout_ms)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = member_options(runtime);
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    options.parent = &parent;
    options.workers = workers;
    options.drain_timeout_ms = drain_timeout_ms;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return pool;
}

static void start_members(mf_pool *pool)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_str(error.message, "");
}

static mf_pool *start_pool(mf_runtime *runtime, int32_t workers)
{
    mf_pool *pool = make_pool(runtime, workers, 0);
    start_members(pool);
    return pool;
}

static uint64_t calls_of(mf_pool *pool, uint32_t index)
{
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_check_int(mf_parent_read_stats(mf_pool_member(pool, index), &stats, NULL), MF_OK);
    return stats.calls_total;
}

static void call_times(mf_pool *pool, int times)
{
    mf_error error = MF_ERROR_INIT;
    for (int i = 0; i < times; i++) {
        mf_result *result = NULL;
        mf_check_int(mf_pool_call(pool, "add", MF_ARGS(i, 1), &result, &error), MF_OK);
        mf_check_int(mf_result_int(result), i + 1);
        mf_result_destroy(result);
    }
}

static bool is_down(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_FAILED;
}

static void kill_member(mf_pool *pool, uint32_t index)
{
    mf_parent *member = mf_pool_member(pool, index);
    kill_worker(member);
    mf_check(mf_test_until(is_down, member, 20000));
}

/* ---- The member that gets a call ---- */

static void test_spreads_calls(void)
{
    uint64_t sum = 0;
    mf_pool *pool = start_pool(NULL, 3);
    mf_check_int(mf_pool_size(pool), 3);
    call_times(pool, 300);
    for (uint32_t i = 0; i < 3; i++) {
        mf_check(calls_of(pool, i) > 40);
        sum += calls_of(pool, i);
    }
    mf_check_int(sum, 300);
    mf_check(mf_pool_member(pool, 3) == NULL);
    mf_pool_destroy(pool);
}

static void test_busy_member_gets_fewer(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *busy[4];
    mf_pool *pool = start_pool(NULL, 2);
    for (size_t i = 0; i < 4; i++) {
        mf_check_int(mf_call_future(mf_pool_member(pool, 0), "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL,
                                    &busy[i], &error),
                     MF_OK);
    }
    call_times(pool, 20);
    mf_check_int(calls_of(pool, 1), 20);
    mf_check_int(calls_of(pool, 0), 0);
    mf_check_int(mf_pool_stop(pool, &error), MF_OK);
    for (size_t i = 0; i < 4; i++) {
        mf_check_int(mf_future_wait(busy[i], 20000, NULL, &error), MF_ERR_CANCELLED);
        mf_future_destroy(busy[i]);
    }
    mf_pool_destroy(pool);
}

static void count_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)error;
    *(_Atomic(int) *)user_data += status == MF_OK && mf_result_int(result) == 3 ? 1 : 100;
    mf_result_destroy(result);
}

static bool is_ten(void *count)
{
    return *(_Atomic(int) *)count == 10;
}

static void test_asynchronous_calls(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_result *result = NULL;
    _Atomic(int) ended = 0;
    mf_pool *pool = start_pool(NULL, 2);
    kill_member(pool, 0);
    for (int i = 0; i < 10; i++) {
        mf_check_int(
            mf_pool_call_async(pool, "add", MF_ARGS(1, 2), NULL, count_end, &ended, &error), MF_OK);
    }
    mf_check_int(mf_pool_call_future(pool, "greet", MF_ARGS("Ada"), NULL, &future, &error), MF_OK);
    mf_check_int(mf_future_wait(future, 5000, &result, &error), MF_OK);
    mf_check_str(mf_result_str(result), "Hello, Ada!");
    mf_check(mf_test_until(is_ten, &ended, 5000));
    mf_result_destroy(result);
    mf_future_destroy(future);
    mf_pool_destroy(pool);
}

/* ---- Members that go ---- */

typedef struct killer {
    mf_runtime *runtime;
    mf_pool *pool;
    double sent_before;
    int killed;
} killer;

/* How many calls went out to all members. */
static double sent_calls(mf_runtime *runtime)
{
    char *text = NULL;
    size_t length = 0;
    double sum = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &length, NULL),
                 MF_OK);
    for (const char *at = text;
         at != NULL && (at = strstr(at, "direction=\"sent\",type=\"call\"}")); at++) {
        sum += strtod(strchr(at, '}') + 1, NULL);
    }
    free(text);
    return sum;
}

static bool call_was_sent(void *data)
{
    const killer *at = data;
    return sent_calls(at->runtime) > at->sent_before;
}

/* All members stand still: kills the one that was sent the call, and lets the others go on. */
static void *kill_the_busy_one(void *data)
{
    killer *at = data;
    mf_check(mf_test_until(call_was_sent, at, 20000));
    for (uint32_t i = 0; i < mf_pool_size(at->pool) && at->killed == 0; i++) {
        mf_parent *member = mf_pool_member(at->pool, i);
        if (is_ready(member) && stats_of(member).calls_in_flight > 0) {
            kill_member(at->pool, i);
            at->killed++;
        }
    }
    for (uint32_t i = 0; i < mf_pool_size(at->pool); i++) {
        if (is_ready(mf_pool_member(at->pool, i))) {
            continue_worker(mf_pool_member(at->pool, i));
        }
    }
    return NULL;
}

static mf_status call_and_kill(mf_runtime *runtime, mf_pool *pool, bool idempotent, mf_error *error)
{
    pthread_t thread;
    killer at = {.runtime = runtime, .pool = pool, .sent_before = sent_calls(runtime)};
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.idempotent = idempotent;
    for (uint32_t i = 0; i < mf_pool_size(pool); i++) {
        if (is_ready(mf_pool_member(pool, i))) {
            stop_worker(mf_pool_member(pool, i));
        }
    }
    pthread_create(&thread, NULL, kill_the_busy_one, &at);
    mf_status status = mf_pool_call_with(pool, "sleep_ms", MF_ARGS(1), &options, NULL, error);
    pthread_join(thread, NULL);
    mf_check_int(at.killed, 1);
    return status;
}

static void test_fails_over(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_pool *pool = start_pool(runtime, 3);
    mf_check_int(call_and_kill(runtime, pool, true, &error), MF_OK);
    mf_check_str(error.message, "");
    call_times(pool, 20); /* none goes to the one that is down */
    mf_check_int(call_and_kill(runtime, pool, false, &error), MF_ERR_WORKER_EXITED);
    mf_check_contains(error.message, "SIGKILL");
    call_times(pool, 20);
    mf_pool_destroy(pool);
    mf_runtime_destroy(runtime);
}

static void test_full_member_is_passed_over(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *busy[2];
    mf_pool *pool = NULL;
    mf_parent_options parent = member_options(NULL);
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    parent.max_in_flight = 1;
    options.parent = &parent;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    for (size_t i = 0; i < 2; i++) {
        mf_check_int(
            mf_pool_call_future(pool, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &busy[i], &error),
            MF_OK);
    }
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_TOO_MANY_CALLS);
    mf_check_int(calls_of(pool, 0), 1); /* each was asked once */
    mf_check_int(calls_of(pool, 1), 1);
    mf_pool_destroy(pool);
    for (size_t i = 0; i < 2; i++) {
        mf_future_destroy(busy[i]);
    }
}

/* ---- Draining ---- */

static void test_drained_member_gets_none(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_pool *pool = start_pool(NULL, 2);
    mf_check_int(
        mf_call_future(mf_pool_member(pool, 1), "sleep_ms", MF_ARGS(30), NULL, &future, &error),
        MF_OK);
    mf_check_int(mf_pool_drain(pool, 1, &error), MF_OK);
    mf_check_int(calls_of(pool, 1),
                 1); /* it was waited for; its callback may still be on its way */
    mf_check_int(mf_future_wait(future, 5000, NULL, &error), MF_OK);
    mf_future_destroy(future);
    call_times(pool, 30);
    mf_check_int(calls_of(pool, 0), 30);
    mf_check_int(calls_of(pool, 1), 1);
    mf_check_int(mf_pool_resume(pool, 1, &error), MF_OK);
    call_times(pool, 60);
    mf_check(calls_of(pool, 1) > 1);
    mf_check_int(mf_pool_drain(pool, 2, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "'math' has 2 members");
    mf_pool_destroy(pool);
}

static void test_drain_gives_up(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_pool *pool = make_pool(NULL, 2, 100);
    start_members(pool);
    mf_check_int(mf_call_future(mf_pool_member(pool, 0), "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL,
                                &future, &error),
                 MF_OK);
    mf_check_int(mf_pool_drain(pool, 0, &error), MF_ERR_TIMEOUT);
    mf_check_contains(error.message, "'math-0' has 1 calls in flight after draining for 100 ms");
    call_times(pool, 20); /* it stays out */
    mf_check_int(calls_of(pool, 1), 20);
    mf_pool_destroy(pool);
    mf_future_destroy(future);
}

/* ---- What is shown ---- */

typedef struct seen_row {
    char output[256];
    mf_health status;
    unsigned gates;
    double number;
    int rows, circuits;
} seen_row;

static void look_at_row(const mf_health_row *row, void *user_data)
{
    seen_row *seen = user_data;
    if (strcmp(row->measurement, "circuit") == 0) {
        seen->circuits += strncmp(row->component, "math-", 5) == 0;
    }
    if (strcmp(row->component, "math") == 0 && strcmp(row->measurement, "workers") == 0) {
        seen->rows++;
        seen->status = row->status;
        seen->gates = row->gates;
        seen->number = row->observed_number;
        (void)snprintf(seen->output, sizeof seen->output, "%s",
                       row->output != NULL ? row->output : "");
    }
}

static void check_health(mf_runtime *runtime, mf_health status, int ready, const char *output)
{
    const mf_probe *probe = mf_runtime_probe(runtime);
    seen_row seen = {.rows = 0};
    probe->visit_health(probe->self, look_at_row, &seen);
    mf_check_int(seen.rows, 1);
    mf_check_int(seen.circuits, 2);
    mf_check_int(seen.status, status);
    mf_check_int(seen.number, ready);
    mf_check_contains(seen.output, output);
    mf_check((seen.gates & MF_GATE_READY) != 0);
}

static void check_metric(mf_runtime *runtime, const char *line)
{
    char *text = NULL;
    size_t length = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &length, NULL),
                 MF_OK);
    mf_check_contains(text, line);
    free(text);
}

static void test_health_and_metrics(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_pool *pool = make_pool(runtime, 2, 0);
    check_health(runtime, MF_HEALTH_FAIL, 0, "worker math-0 was not started");
    check_metric(runtime, "multifrost_pool_workers{target=\"math\",state=\"down\"} 2\n");
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    check_health(runtime, MF_HEALTH_PASS, 2, "");
    check_metric(runtime, "multifrost_pool_workers{target=\"math\",state=\"ready\"} 2\n");
    call_times(pool, 10);
    mf_check_int(mf_pool_drain(pool, 1, &error), MF_OK);
    check_health(runtime, MF_HEALTH_WARN, 1, "worker math-1 was taken out (0 calls in flight)");
    check_metric(runtime, "multifrost_pool_workers{target=\"math\",state=\"draining\"} 1\n");
    mf_check_int(mf_pool_drain(pool, 0, &error), MF_OK);
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "no worker of pool 'math' can take calls: worker math-0 was");
    check_metric(runtime, "_refused_total{target=\"math\",reason=\"draining\"} 1\n");
    mf_check_int(mf_pool_resume(pool, 0, &error), MF_OK);
    mf_check_int(mf_pool_resume(pool, 1, &error), MF_OK);
    check_health(runtime, MF_HEALTH_PASS, 2, "");
    kill_member(pool, 0);
    check_health(runtime, MF_HEALTH_WARN, 1, "worker math-0 was killed by signal 9 (SIGKILL)");
    kill_member(pool, 1);
    check_health(runtime, MF_HEALTH_FAIL, 0, "worker math-0 was killed by signal 9 (SIGKILL)");
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "pool 'math'");
    mf_check_contains(error.message, "killed by signal 9 (SIGKILL)");
    check_metric(runtime, "_refused_total{target=\"math\",reason=\"no_worker\"} 1\n");
    check_metric(runtime, "multifrost_pool_workers{target=\"math\",state=\"down\"} 2\n");
    mf_pool_destroy(pool);
    mf_runtime_destroy(runtime);
}

typedef struct seen_log {
    int starts[3], drains[3];
    char correlation_id[40];
    int tries, other_correlation;
} seen_log;

static void read_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    seen_log *log = user_data;
    (void)level;
    (void)length;
    for (int i = 0; i < 3; i++) {
        char worker[32];
        (void)snprintf(worker, sizeof worker, "\"worker\":\"math-%d\"", i);
        bool is_its = strstr(line, worker) != NULL;
        log->starts[i] += is_its && strstr(line, "\"event\":\"worker_start\"") != NULL;
        log->drains[i] += is_its && strstr(line, "\"event\":\"drain\"") != NULL;
    }
    const char *id = strstr(line, "\"correlation_id\":\"");
    if (strstr(line, "\"function\":\"sleep_ms\"") != NULL &&
        strstr(line, "\"event\":\"request_start\"") != NULL && id != NULL) {
        char own[33];
        (void)snprintf(own, sizeof own, "%.32s", id + strlen("\"correlation_id\":\""));
        log->other_correlation += log->tries > 0 && strcmp(own, log->correlation_id) != 0;
        memcpy(log->correlation_id, own, sizeof own);
        log->tries++;
    }
}

static void test_log_names_members(void)
{
    static seen_log log;
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.log_level = MF_LOG_DEBUG;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    mf_check_int(
        mf_log_add_callback(mf_runtime_logger(runtime), read_line, &log, MF_LOG_JSON, &error),
        MF_OK);
    mf_pool *pool = start_pool(runtime, 3);
    mf_check_int(mf_pool_drain(pool, 2, &error), MF_OK);
    mf_check_int(call_and_kill(runtime, pool, true, &error), MF_OK);
    mf_pool_destroy(pool);
    mf_check(mf_log_flush(mf_runtime_logger(runtime), 5000));
    mf_runtime_destroy(runtime);
    for (int i = 0; i < 3; i++) {
        mf_check_int(log.starts[i], 1);
        mf_check_int(log.drains[i], i == 2 ? 2 : 0);
    }
    mf_check_int(log.tries, 2); /* both are told, and belong together */
    mf_check_int(log.other_correlation, 0);
}

static const mf_test tests[] = {
    {"pool__spreads_calls_over_its_members", test_spreads_calls},
    {"pool__busy_member_gets_fewer_calls", test_busy_member_gets_fewer},
    {"pool__asynchronous_calls_pass_over_a_dead_member", test_asynchronous_calls},
    {"pool__idempotent_call_of_a_killed_member_is_answered_by_another", test_fails_over},
    {"pool__full_members_are_each_asked_once", test_full_member_is_passed_over},
    {"drain__member_gets_no_calls_until_it_is_resumed", test_drained_member_gets_none},
    {"drain__gives_up_naming_the_calls_left", test_drain_gives_up},
    {"pool__health_and_metrics_tell_its_members", test_health_and_metrics},
    {"pool__log_names_members_and_ties_tries_together", test_log_names_members},
};
MF_TEST_MAIN(tests)
