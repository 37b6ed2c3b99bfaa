/* The scrape says what the test did: ten kinds of ends, by eight threads, with kills and restarts,
 * and not one count too many or too few. A stopped worker holds calls open, so that each end is
 * certain. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define THREADS 8
#define ROUNDS 20
#define WAITING 50
#define IN_FLIGHT 58 /* 8 more may be open beside those that wait */

typedef struct fixture {
    mf_runtime *runtime;
    mf_parent *parent;
    char *text; /* the exposition that was read last */
} fixture;

static void setup(fixture *at, mf_parent_options *options)
{
    *at = (fixture){.text = NULL};
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    options->runtime = at->runtime;
    options->heartbeat_interval_ms = MF_DISABLED;
    options->stop_timeout_ms = 1000;
    at->parent = start(options);
}

static void teardown(fixture *at)
{
    mf_parent_destroy(at->parent);
    mf_runtime_destroy(at->runtime);
    free(at->text);
}

/* ---- The scrape ---- */

static void scrape(fixture *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &at->text, &size, NULL),
                 MF_OK);
}

/* The sum over all series of the family that have the label; "" for all. */
static int64_t sum_of(const fixture *at, const char *family, const char *label)
{
    char start[100];
    double sum = 0;
    int length = snprintf(start, sizeof start, "\nmultifrost_%s{", family);
    for (const char *line = at->text; (line = strstr(line, start)) != NULL; line++) {
        const char *end = strchr(line + length, '}');
        const char *found = strstr(line + length, label);
        if (end != NULL && found != NULL && found < end) {
            sum += strtod(end + 1, NULL);
        }
    }
    return (int64_t)sum;
}

static void check_sum(const fixture *at, const char *family, const char *label, int64_t wanted)
{
    char got[200];
    char right[200]; /* with the name, so that a failure shows it */
    (void)snprintf(got, sizeof got, "%s %s %" PRId64, family, label, sum_of(at, family, label));
    (void)snprintf(right, sizeof right, "%s %s %" PRId64, family, label, wanted);
    mf_check_str(got, right);
}

typedef struct depth {
    fixture *at;
    const char *family;
    int64_t wanted;
} depth;

static bool has_sum(void *data)
{
    const depth *wanted = data;
    scrape(wanted->at);
    return sum_of(wanted->at, wanted->family, "") == wanted->wanted;
}

static void await_sum(fixture *at, const char *family, int64_t wanted)
{
    depth what = {.at = at, .family = family, .wanted = wanted};
    mf_check(mf_test_until(has_sum, &what, MF_TEST_PATIENCE_MS));
    check_sum(at, family, "", wanted);
}

static bool some_wait(void *data)
{
    fixture *at = data;
    scrape(at);
    return sum_of(at, "client_attempts_total", "") + sum_of(at, "client_queue_depth", "") >=
               WAITING &&
           sum_of(at, "client_queue_depth", "") > 0;
}

/* ---- Eight threads ---- */

typedef struct many {
    mf_parent *parent;
    const char *function;
    mf_args args;
    int64_t timeout_ms;
    mf_status wanted;
    int rounds;
    _Atomic(int) others; /* calls that ended otherwise */
    pthread_t threads[THREADS];
} many;

static void *call_often(void *data)
{
    many *at = data;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = at->timeout_ms;
    for (int i = 0; i < at->rounds; i++) {
        mf_status status = mf_call_with(at->parent, at->function, at->args, &options, NULL, NULL);
        at->others += status != at->wanted ? 1 : 0;
    }
    return NULL;
}

static void begin_many(many *at)
{
    for (int i = 0; i < THREADS; i++) {
        mf_check_int(pthread_create(&at->threads[i], NULL, call_often, at), 0);
    }
}

static void end_many(many *at)
{
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(at->threads[i], NULL);
    }
    mf_check_int(at->others, 0);
}

static void run_many(fixture *at, const char *function, mf_args args, mf_status wanted, int rounds)
{
    many all = {.parent = at->parent,
                .function = function,
                .args = args,
                .timeout_ms = MF_TIMEOUT_INFINITE,
                .wanted = wanted,
                .rounds = rounds};
    begin_many(&all);
    end_many(&all);
}

/* ---- The ends ---- */

static void end_answered(fixture *at)
{
    static const char large[4096];
    run_many(at, "add", MF_ARGS(1, 2), MF_OK, ROUNDS);
    run_many(at, "divide", MF_ARGS(1.0, 0.0), MF_ERR_REMOTE, ROUNDS);
    run_many(at, "nothing", MF_ARGS(1), MF_ERR_FUNCTION_NOT_FOUND, ROUNDS);
    run_many(at, "echo", MF_ARGS(mf_str_n(large, sizeof large)), MF_ERR_LIMIT, ROUNDS);
}

/* Calls that the stopped worker never begins: it answers late. */
static void end_unanswered(fixture *at)
{
    mf_future *futures[THREADS];
    stop_worker(at->parent);
    many late = {.parent = at->parent,
                 .function = "add",
                 .args = MF_ARGS(1, 2),
                 .timeout_ms = 200,
                 .wanted = MF_ERR_TIMEOUT,
                 .rounds = 2};
    begin_many(&late);
    end_many(&late);
    for (int i = 0; i < THREADS; i++) {
        mf_check_int(mf_call_future(at->parent, "add", MF_ARGS(1, 2), NULL, &futures[i], NULL),
                     MF_OK);
    }
    await_sum(at, "client_attempts_total", 3 * THREADS * ROUNDS + 3 * THREADS);
    await_sum(at, "client_queue_depth", 0); /* a gauge is read before the counters */
    for (int i = 0; i < THREADS; i++) {
        mf_future_cancel(futures[i]);
        mf_check_int(mf_future_wait(futures[i], MF_TIMEOUT_INFINITE, NULL, NULL), MF_ERR_CANCELLED);
        mf_future_destroy(futures[i]);
    }
    continue_worker(at->parent);
    await_sum(at, "client_late_replies_total", 3 * THREADS);
}

static void end_with_the_worker(fixture *at)
{
    stop_worker(at->parent);
    many lost = {.parent = at->parent,
                 .function = "add",
                 .args = MF_ARGS(1, 2),
                 .timeout_ms = MF_TIMEOUT_INFINITE,
                 .wanted = MF_ERR_WORKER_EXITED,
                 .rounds = 1};
    begin_many(&lost);
    await_sum(at, "client_attempts_total", 3 * THREADS * ROUNDS + 4 * THREADS);
    kill_worker(at->parent);
    end_many(&lost);
    mf_check_int(mf_parent_restart(at->parent, NULL), MF_OK);
    await_sum(at, "transport_connections", 1);
}

/* No worker is there: fifty calls wait, eight more may, and then none. */
static void end_unsent(fixture *at)
{
    mf_future *futures[IN_FLIGHT];
    kill_worker(at->parent);
    mf_check(mf_test_until(is_restarting, at->parent, MF_TEST_PATIENCE_MS));
    await_sum(at, "transport_connections", 0);
    for (int i = 0; i < IN_FLIGHT; i++) {
        if (i == WAITING) {
            await_sum(at, "client_queue_depth", WAITING);
        }
        mf_check_int(mf_call_future(at->parent, "add", MF_ARGS(1, 2), NULL, &futures[i], NULL),
                     MF_OK);
    }
    await_sum(at, "client_queue_depth", IN_FLIGHT);
    run_many(at, "add", MF_ARGS(1, 2), MF_ERR_TOO_MANY_CALLS, ROUNDS);
    mf_check_int(mf_parent_stop(at->parent, NULL), MF_OK);
    for (int i = 0; i < IN_FLIGHT; i++) {
        mf_check_int(mf_future_wait(futures[i], MF_TIMEOUT_INFINITE, NULL, NULL), MF_ERR_CANCELLED);
        mf_future_destroy(futures[i]);
    }
    run_many(at, "add", MF_ARGS(1, 2), MF_ERR_NOT_RUNNING, ROUNDS);
}

#define EACH (THREADS * ROUNDS)

static void check_counts(fixture *at)
{
    const int64_t ended = 6 * EACH + 4 * THREADS + IN_FLIGHT;
    scrape(at);
    check_sum(at, "client_calls_started_total", "", ended);
    check_sum(at, "client_calls_total", "", ended);
    check_sum(at, "client_calls_total", "status=\"ok\"", EACH);
    check_sum(at, "client_calls_total", "status=\"app_error\"", EACH);
    check_sum(at, "client_calls_total", "status=\"function_not_found\"", EACH);
    check_sum(at, "client_calls_total", "status=\"invalid_argument\"", EACH);
    check_sum(at, "client_calls_total", "status=\"timeout\"", 2 * THREADS);
    check_sum(at, "client_calls_total", "status=\"cancelled\"", THREADS + IN_FLIGHT);
    check_sum(at, "client_calls_total", "status=\"worker_crashed\"", THREADS);
    check_sum(at, "client_calls_total", "status=\"rejected\"", EACH);
    check_sum(at, "client_calls_total", "status=\"unavailable\"", EACH);
    check_sum(at, "client_refused_total", "", 2 * EACH);
    check_sum(at, "client_refused_total", "reason=\"queue_full\"", EACH);
    check_sum(at, "client_refused_total", "reason=\"no_worker\"", EACH);
    check_sum(at, "client_attempts_total", "", 3 * EACH + 4 * THREADS);
    check_sum(at, "client_attempts_total", "kind=\"retry\"", 0);
    check_sum(at, "transport_messages_total", "direction=\"sent\",type=\"call\"",
              3 * EACH + 4 * THREADS);
    check_sum(at, "client_request_size_bytes_count", "", 3 * EACH + 4 * THREADS);
    check_sum(at, "client_response_size_bytes_count", "", 3 * EACH);
    check_sum(at, "client_call_duration_seconds_count", "", ended - 2 * EACH);
    check_sum(at, "client_call_duration_seconds_count", "outcome=\"ok\"", EACH);
    check_sum(at, "client_call_latency_window_seconds_count", "", ended - 2 * EACH);
    check_sum(at, "client_late_replies_total", "", 3 * THREADS);
    check_sum(at, "client_calls_in_flight", "", 0);
    check_sum(at, "client_queue_depth", "", 0);
    check_sum(at, "transport_connections", "", 0);
    check_sum(at, "transport_disconnects_total", "", 2);
}

static void test_ends_of_every_kind(void)
{
    fixture at;
    mf_parent_options options = worker_options();
    restart_by_hand_only(&options);
    options.circuit_failures = MF_DISABLED;
    options.max_message_bytes = 2048;
    options.max_in_flight = IN_FLIGHT;
    setup(&at, &options);
    end_answered(&at);
    end_unanswered(&at);
    end_with_the_worker(&at);
    end_unsent(&at);
    check_counts(&at);
    mf_parent_stats stats = stats_of(at.parent);
    mf_check_int(stats.recent_calls, 4 * EACH + 4 * THREADS + IN_FLIGHT);
    mf_check(stats.recent_min_ns > 0 && stats.recent_min_ns <= stats.recent_p50_ns);
    mf_check(stats.recent_p50_ns <= stats.recent_p99_ns);
    mf_check(stats.recent_p99_ns <= stats.recent_max_ns);
    mf_check(stats.recent_mean_ns >= stats.recent_min_ns);
    mf_check(stats.recent_mean_ns <= stats.recent_max_ns);
    teardown(&at);
}

/* A worker that takes nothing: what the kernel has no room for waits to be sent. libzmq does not
 * say what it holds. */
static void test_a_worker_that_does_not_take(void)
{
    enum { LARGE = 1000000 };
    static char large[LARGE];
    const char *transport = getenv("COMLINK_TRANSPORT");
    fixture at;
    mf_future *futures[WAITING];
    mf_parent_options options = worker_options();
    options.circuit_failures = MF_DISABLED;
    if (transport != NULL && strcmp(transport, "libzmq") == 0) {
        return;
    }
    setup(&at, &options);
    stop_worker(at.parent);
    for (int i = 0; i < WAITING; i++) { /* more bytes than any socket's buffers take */
        mf_check_int(mf_call_future(at.parent, "echo", MF_ARGS(mf_str_n(large, LARGE)), NULL,
                                    &futures[i], NULL),
                     MF_OK);
    }
    mf_check(mf_test_until(some_wait, &at, MF_TEST_PATIENCE_MS));
    continue_worker(at.parent);
    for (int i = 0; i < WAITING; i++) {
        mf_check_int(mf_future_wait(futures[i], MF_TIMEOUT_INFINITE, NULL, NULL), MF_OK);
        mf_future_destroy(futures[i]);
    }
    await_sum(&at, "client_queue_depth", 0);
    check_sum(&at, "client_attempts_total", "", WAITING);
    teardown(&at);
}

/* One lost call opens the circuit; those that follow are refused, and are no latencies. */
static void test_refusals_of_the_circuit(void)
{
    fixture at;
    mf_parent_options options = worker_options();
    options.circuit_failures = 1;
    options.circuit_open_ms = TOO_LONG_MS;
    options.circuit_open_max_ms = TOO_LONG_MS;
    setup(&at, &options);
    mf_call_options short_call = MF_CALL_OPTIONS_INIT;
    short_call.timeout_ms = 200;
    stop_worker(at.parent);
    mf_check_int(mf_call_with(at.parent, "add", MF_ARGS(1, 2), &short_call, NULL, NULL),
                 MF_ERR_TIMEOUT);
    run_many(&at, "add", MF_ARGS(1, 2), MF_ERR_CIRCUIT_OPEN, ROUNDS);
    scrape(&at);
    check_sum(&at, "client_calls_total", "status=\"circuit_open\"", EACH);
    check_sum(&at, "client_refused_total", "", EACH);
    check_sum(&at, "client_refused_total", "reason=\"circuit_open\"", EACH);
    check_sum(&at, "client_attempts_total", "", 1);
    check_sum(&at, "client_call_duration_seconds_count", "", 1);
    check_sum(&at, "client_call_latency_window_seconds_count", "", 1);
    continue_worker(at.parent);
    mf_check_int(mf_parent_stop(at.parent, NULL), MF_OK);
    await_sum(&at, "transport_connections", 0);
    teardown(&at);
}

/* Each worker's connection counts once, however it ends. */
static void test_connections_of_killed_workers(void)
{
    enum { KILLS = 10 };
    fixture at;
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.restart_backoff_ms = 5;
    options.max_restart_attempts = MF_DISABLED;
    options.circuit_failures = MF_DISABLED;
    setup(&at, &options);
    for (int i = 1; i <= KILLS; i++) {
        kill_worker(at.parent);
        mf_check(mf_test_until(is_ready, at.parent, MF_TEST_PATIENCE_MS));
        await_sum(&at, "worker_restarts_total", i);
        await_sum(&at, "transport_connections", 1);
        check_sum(&at, "transport_disconnects_total", "reason=\"handshake_failed\"", 0);
    }
    mf_check_int(mf_parent_stop(at.parent, NULL), MF_OK);
    scrape(&at);
    check_sum(&at, "transport_connections", "", 0);
    check_sum(&at, "transport_disconnects_total", "", KILLS + 1);
    check_sum(&at, "transport_send_blocked_total", "", 0); /* a start waits for its worker */
    teardown(&at);
}

static const mf_test tests[] = {
    {"counts__ends_of_every_kind", test_ends_of_every_kind},
    {"counts__a_worker_that_does_not_take", test_a_worker_that_does_not_take},
    {"counts__refusals_of_the_circuit", test_refusals_of_the_circuit},
    {"counts__connections_of_killed_workers", test_connections_of_killed_workers},
};
MF_TEST_MAIN(tests)
