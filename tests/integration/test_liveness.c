/* Workers that are busy, frozen, cut off or dead, and what is said of them: in the circuit, in the
 * health checks, in the log and in the figures. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

/* ---- What is said ---- */

/* All that a runtime shows, gathered as text. */
typedef struct scene {
    mf_runtime *runtime;
    mf_parent *parent;
    pthread_mutex_t mutex;
    char log[65536];
    char state[32], rule[32], reason[256], worker[32]; /* of the circuit */
    char opened_by[32];                                /* of its first state change */
    double handler_seconds;
    char output[512]; /* of the health checks that did not pass */
} scene;

static void take_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    scene *at = user_data;
    (void)level;
    pthread_mutex_lock(&at->mutex);
    size_t used = strlen(at->log);
    if (used + length + 2 < sizeof at->log) {
        (void)snprintf(at->log + used, sizeof at->log - used, "%s\n", line);
    }
    pthread_mutex_unlock(&at->mutex);
}

static void take_circuit(const mf_circuit_row *row, void *user_data)
{
    scene *at = user_data;
    (void)snprintf(at->state, sizeof at->state, "%s", row->state);
    (void)snprintf(at->rule, sizeof at->rule, "%s", row->rule != NULL ? row->rule : "");
    (void)snprintf(at->reason, sizeof at->reason, "%s",
                   row->reason_text != NULL ? row->reason_text : "");
    (void)snprintf(at->worker, sizeof at->worker, "%s", row->worker.state);
    at->handler_seconds = row->worker.handler_seconds;
    (void)snprintf(at->opened_by, sizeof at->opened_by, "%s",
                   row->transition_count > 0 ? row->transitions[0].reason : "");
}

static void take_health(const mf_health_row *row, void *user_data)
{
    scene *at = user_data;
    size_t used = strlen(at->output);
    if (row->status != MF_HEALTH_PASS && row->output != NULL) {
        (void)snprintf(at->output + used, sizeof at->output - used, "%s\n", row->output);
    }
}

static void look(scene *at)
{
    const mf_probe *probe = mf_runtime_probe(at->runtime);
    at->output[0] = '\0';
    probe->visit_circuits(probe->self, take_circuit, at);
    probe->visit_health(probe->self, take_health, at);
}

typedef struct log_part {
    scene *at;
    const char *text;
} log_part;

static bool log_has(void *data)
{
    const log_part *part = data;
    mf_check(mf_log_flush(mf_runtime_logger(part->at->runtime), MF_TEST_PATIENCE_MS));
    pthread_mutex_lock(&part->at->mutex);
    bool found = strstr(part->at->log, part->text) != NULL;
    pthread_mutex_unlock(&part->at->mutex);
    return found;
}

/* A change of state is seen a moment before it is logged. */
static void check_log_has(scene *at, const char *part)
{
    log_part wanted = {at, part};
    (void)mf_test_until(log_has, &wanted, MF_TEST_PATIENCE_MS);
    pthread_mutex_lock(&at->mutex);
    mf_check_contains(at->log, part);
    pthread_mutex_unlock(&at->mutex);
}

static void check_log_lacks(scene *at, const char *part)
{
    mf_check(mf_log_flush(mf_runtime_logger(at->runtime), MF_TEST_PATIENCE_MS));
    pthread_mutex_lock(&at->mutex);
    mf_check(strstr(at->log, part) == NULL);
    pthread_mutex_unlock(&at->mutex);
}

static void check_metric(scene *at, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    mf_check_contains(text, line);
    free(text);
}

/* ---- A scene's begin and end ---- */

static mf_parent_options quick(void)
{
    mf_parent_options options = worker_options();
    options.heartbeat_interval_ms = 50;
    options.heartbeat_timeout_ms = SILENT_MS;
    options.heartbeat_misses = 2;
    options.circuit_open_ms = TOO_LONG_MS; /* heartbeats end it, not this time */
    options.circuit_open_max_ms = TOO_LONG_MS;
    return options;
}

static void begin_without(scene *at)
{
    mf_error error = MF_ERROR_INIT;
    memset(at, 0, sizeof *at);
    mf_check_int(pthread_mutex_init(&at->mutex, NULL), 0);
    mf_check_int(mf_runtime_create(&at->runtime, NULL, &error), MF_OK);
    mf_check_int(
        mf_log_add_callback(mf_runtime_logger(at->runtime), take_line, at, MF_LOG_JSON, &error),
        MF_OK);
}

static void begin(scene *at, const mf_parent_options *from)
{
    mf_parent_options options = *from;
    begin_without(at);
    options.runtime = at->runtime;
    at->parent = start(&options);
}

static void end(scene *at)
{
    mf_parent_destroy(at->parent);
    mf_runtime_destroy(at->runtime);
    (void)pthread_mutex_destroy(&at->mutex);
}

static bool circuit_is_open(void *parent)
{
    return strcmp(mf_parent_circuit_state(parent), "open") == 0;
}

static bool circuit_is_closed(void *parent)
{
    return strcmp(mf_parent_circuit_state(parent), "closed") == 0;
}

static bool is_frozen(void *parent)
{
    return stats_of(parent).frozen;
}

/* ---- Frozen ---- */

/* A worker that the parent ended because it was frozen is told as frozen, not as killed. */
static void test_a_frozen_worker_is_told_as_frozen(void)
{
    scene at;
    char text[256];
    mf_parent_options options = quick();
    restart_by_hand_only(&options);
    begin(&at, &options);
    stop_worker(at.parent);
    mf_check(mf_test_until(is_restarting, at.parent, MF_TEST_PATIENCE_MS));
    check_log_has(&at, "\"event\":\"worker_restart\""); /* the last of what is reported */
    mf_check(mf_parent_last_exit(at.parent, text, sizeof text) > 0);
    mf_check_contains(text, "was frozen (answered none of 2 heartbeats in a row");
    mf_check_contains(text, "was ended by its parent");
    look(&at);
    mf_check_str(at.state, "open");
    mf_check_str(at.rule, "heartbeat");
    mf_check_contains(at.reason, "2 heartbeats of 2");
    mf_check_contains(at.output, "worker math-0 was frozen");
    mf_check_contains(at.output, "by rule heartbeat (2 heartbeats of 2");
    mf_check(strstr(at.output, "process_exit") == NULL);
    check_log_has(&at, "Worker math-0 is lost: was frozen");
    check_log_has(&at, "\"reason\":\"heartbeat\"");
    check_log_lacks(&at, "ended by itself");
    check_metric(&at, "multifrost_worker_restarts_total{target=\"math\",reason=\"heartbeat\"} 1");
    end(&at);
}

/* A call that waits for its answer is no excuse for a worker that says how busy it is, nor for one
 * that is stopped. */
static void test_a_frozen_worker_is_replaced_during_a_call(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    mf_future *open = NULL;
    mf_parent_options options = quick();
    restart_by_hand_only(&options);
    begin(&at, &options);
    mf_check_int(mf_call_future(at.parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &open, &error),
                 MF_OK);
    stop_worker(at.parent);
    mf_check(mf_test_until(is_restarting, at.parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_future_wait(open, MF_TEST_PATIENCE_MS, NULL, &error), MF_ERR_WORKER_EXITED);
    mf_check_contains(error.message, "was frozen");
    mf_future_destroy(open);
    end(&at);
}

static bool tells_of_the_frozen(void *data)
{
    scene *at = data;
    look(at);
    return strstr(at->output, "worker math-1 is frozen: it answered none of ") != NULL;
}

static bool tells_nothing(void *data)
{
    scene *at = data;
    look(at);
    return at->output[0] == '\0';
}

/* The others serve, and the pool says which one does not. */
static void test_a_frozen_member_is_told(void)
{
    scene at;
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    mf_parent_options parent = quick();
    begin_without(&at);
    parent.runtime = at.runtime;
    parent.circuit_failures = MF_DISABLED; /* an open circuit would warn as well */
    options.parent = &parent;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_str(error.message, "");
    look(&at);
    mf_check_str(at.output, "");
    check_metric(&at, "multifrost_pool_workers{target=\"math\",state=\"ready\"} 2");
    stop_worker(mf_pool_member(pool, 1));
    mf_check(mf_test_until(tells_of_the_frozen, &at, MF_TEST_PATIENCE_MS));
    check_metric(&at, "multifrost_workers{state=\"frozen\"} 1");
    check_metric(&at, "multifrost_worker_up{target=\"math\",worker=\"math-1\"} 0");
    check_metric(&at, "multifrost_pool_workers{target=\"math\",state=\"ready\"} 1");
    check_metric(&at, "multifrost_pool_workers{target=\"math\",state=\"down\"} 1");
    continue_worker(mf_pool_member(pool, 1));
    mf_check(mf_test_until(tells_nothing, &at, MF_TEST_PATIENCE_MS));
    check_metric(&at, "multifrost_pool_workers{target=\"math\",state=\"ready\"} 2");
    mf_pool_destroy(pool);
    end(&at);
}

/* Where no process is ended, the worker is shown as frozen until it speaks again. */
static void test_a_frozen_worker_that_stays_is_shown(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = quick();
    begin(&at, &options);
    check_metric(&at, "multifrost_worker_up{target=\"math\",worker=\"math-0\"} 1");
    stop_worker(at.parent);
    mf_check(mf_test_until(is_frozen, at.parent, MF_TEST_PATIENCE_MS));
    mf_check(mf_test_until(circuit_is_open, at.parent, MF_TEST_PATIENCE_MS));
    look(&at);
    mf_check_str(at.worker, "frozen");
    mf_check_contains(at.output, "worker math-0 is frozen");
    mf_check_int(mf_call(at.parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_contains(error.message, "open by rule heartbeat: ");
    mf_check_contains(error.message, " heartbeats of 2 unanswered");
    check_metric(&at, "multifrost_worker_up{target=\"math\",worker=\"math-0\"} 0");
    continue_worker(at.parent);
    mf_check(mf_test_until(circuit_is_closed, at.parent, MF_TEST_PATIENCE_MS));
    mf_check(!is_frozen(at.parent));
    look(&at);
    mf_check_str(at.worker, "ready");
    mf_check_str(at.rule, "");
    mf_check_str(at.output, "");
    check_metric(&at, "multifrost_worker_up{target=\"math\",worker=\"math-0\"} 1");
    mf_check_int(stats_of(at.parent).restarts, 0);
    check_metric(&at, "multifrost_heartbeat_consecutive_misses{target=\"math\"} 0\n");
    mf_check_int(stats_of(at.parent).late_replies, 0); /* late answers of heartbeats are none */
    end(&at);
}

/* ---- Ended ---- */

static void test_a_killed_worker_is_told_in_words(void)
{
    scene at;
    mf_parent_options options = quick();
    restart_by_hand_only(&options);
    begin(&at, &options);
    kill_worker(at.parent);
    mf_check(mf_test_until(circuit_is_open, at.parent, MF_TEST_PATIENCE_MS));
    look(&at);
    mf_check_str(at.rule, "process_exit");
    mf_check_str(at.reason, "killed by signal 9 (SIGKILL)");
    mf_check_contains(at.output, "by rule process_exit (killed by signal 9 (SIGKILL))");
    check_log_has(&at, "Worker math-0 ended by itself: was killed by signal 9 (SIGKILL)");
    end(&at);
}

static void *call_long(void *data)
{
    mf_status status = mf_call(data, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, NULL);
    mf_check_int(status, MF_ERR_WORKER_EXITED);
    return NULL;
}

static bool all_are_sent(void *parent)
{
    return stats_of(parent).handler_queue == 7;
}

/* Eight threads have calls that fail because the worker is killed, and one failure would open the
 * circuit. It opens because of the exit all the same. */
static void test_the_cause_comes_before_its_consequence(void)
{
    enum { CALLERS = 8 };
    scene at;
    pthread_t threads[CALLERS];
    mf_parent_options options = quick();
    options.circuit_failures = 1;
    options.call_timeout_ms = TOO_LONG_MS;
    begin(&at, &options);
    for (int i = 0; i < CALLERS; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, call_long, at.parent), 0);
    }
    mf_check(mf_test_until(all_are_sent, at.parent, MF_TEST_PATIENCE_MS));
    kill_worker(at.parent);
    for (int i = 0; i < CALLERS; i++) {
        mf_check_int(pthread_join(threads[i], NULL), 0);
    }
    look(&at);
    mf_check_str(at.opened_by, "process_exit");
    mf_check_str(at.rule, "process_exit");
    check_log_lacks(&at, "consecutive_failures");
    end(&at);
}

/* Nobody calls, and the circuit closes: the target is well again. */
static void test_an_idle_target_heals(void)
{
    scene at;
    mf_parent_options options = quick();
    options.auto_restart = true;
    options.restart_backoff_ms = 10;
    begin(&at, &options);
    kill_worker(at.parent);
    mf_check(mf_test_until(is_ready, at.parent, MF_TEST_PATIENCE_MS));
    mf_check(mf_test_until(circuit_is_closed, at.parent, MF_TEST_PATIENCE_MS));
    mf_check_int(stats_of(at.parent).circuit_trips, 1);
    look(&at);
    mf_check_str(at.rule, "");
    mf_check_str(at.reason, "");
    mf_check_str(at.output, "");
    check_log_has(&at, "\"event\":\"circuit_close\"");
    check_log_has(&at, "\"reason\":\"heartbeat_answered\"");
    end(&at);
}

/* ---- Busy ---- */

static bool handler_is_seen(void *parent)
{
    return stats_of(parent).handler_ms > 0;
}

static void test_a_running_handler_is_seen(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    mf_future *open = NULL;
    mf_parent_options options = quick();
    options.stop_timeout_ms = 100; /* the handler is not waited for */
    begin(&at, &options);
    mf_check(stats_of(at.parent).says_busy);
    mf_check_int(mf_call_future(at.parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &open, &error),
                 MF_OK);
    mf_check(mf_test_until(handler_is_seen, at.parent, MF_TEST_PATIENCE_MS));
    look(&at);
    mf_check(at.handler_seconds > 0);
    mf_check_str(at.worker, "ready");
    check_metric(
        &at, "multifrost_server_running_handler_age_seconds{target=\"math\",worker=\"math-0\"} ");
    mf_check_int(stats_of(at.parent).heartbeat_misses, 0);
    end(&at);
    mf_future_destroy(open);
}

static bool is_idle(void *data)
{
    scene *at = data;
    look(at);
    return at->handler_seconds == 0;
}

/* Nothing runs in a worker that is gone. */
static void test_a_dead_worker_runs_nothing(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    mf_future *open = NULL;
    mf_parent_options options = quick();
    begin(&at, &options);
    mf_check_int(mf_call_future(at.parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &open, &error),
                 MF_OK);
    mf_check(mf_test_until(handler_is_seen, at.parent, MF_TEST_PATIENCE_MS));
    check_metric(
        &at, "multifrost_server_running_handler_age_seconds{target=\"math\",worker=\"math-0\"} ");
    kill_worker(at.parent);
    mf_check(mf_test_until(is_idle, &at, MF_TEST_PATIENCE_MS));
    check_metric(
        &at,
        "multifrost_server_running_handler_age_seconds{target=\"math\",worker=\"math-0\"} 0\n");
    mf_check_int(stats_of(at.parent).handler_ms, 0);
    end(&at);
    mf_future_destroy(open);
}

static void test_a_handler_that_overruns_is_ended(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    mf_future *open = NULL;
    mf_parent_options options = quick();
    restart_by_hand_only(&options);
    options.handler_timeout_ms = 200;
    begin(&at, &options);
    mf_check_int(mf_call_future(at.parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &open, &error),
                 MF_OK);
    mf_check(mf_test_until(is_restarting, at.parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_future_wait(open, MF_TEST_PATIENCE_MS, NULL, &error), MF_ERR_WORKER_EXITED);
    mf_check_contains(error.message, "had a handler that ran for");
    mf_check(mf_test_until(circuit_is_open, at.parent, MF_TEST_PATIENCE_MS));
    look(&at);
    mf_check_str(at.rule, "handler_timeout");
    mf_check_contains(at.reason, "of 0.2 s");
    check_log_has(&at, "\"event\":\"worker_restart\"");
    check_log_lacks(&at, "ended by itself");
    check_metric(&at,
                 "multifrost_worker_restarts_total{target=\"math\",reason=\"handler_timeout\"} 1");
    mf_future_destroy(open);
    end(&at);
}

static void test_a_handler_timeout_needs_what_it_needs(void)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = quick();
    options.handler_timeout_ms = 200;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "handler_timeout_ms");
    options.auto_restart = true;
    options.heartbeat_interval_ms = MF_DISABLED;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_ERR_INVALID_ARGUMENT);
    options.heartbeat_interval_ms = 50;
    options.handler_timeout_ms = -5;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_ERR_INVALID_ARGUMENT);
}

static const mf_test tests[] = {
    {"frozen__is_told_as_frozen", test_a_frozen_worker_is_told_as_frozen},
    {"frozen__is_replaced_during_a_call", test_a_frozen_worker_is_replaced_during_a_call},
    {"frozen__is_shown_where_it_stays", test_a_frozen_worker_that_stays_is_shown},
    {"frozen__member_of_a_pool_is_told", test_a_frozen_member_is_told},
    {"ended__is_told_in_words", test_a_killed_worker_is_told_in_words},
    {"ended__the_cause_comes_before_its_consequence", test_the_cause_comes_before_its_consequence},
    {"ended__an_idle_target_heals", test_an_idle_target_heals},
    {"busy__a_running_handler_is_seen", test_a_running_handler_is_seen},
    {"busy__a_dead_worker_is_not", test_a_dead_worker_runs_nothing},
    {"busy__a_handler_that_overruns_is_ended", test_a_handler_that_overruns_is_ended},
    {"busy__a_handler_timeout_needs_what_it_needs", test_a_handler_timeout_needs_what_it_needs},
};
MF_TEST_MAIN(tests)
