/* Calls to a real worker process: results, errors, deadlines, and both ways of waiting. */
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

static mf_parent *start_worker(mf_runtime *runtime, int32_t max_in_flight)
{
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    options.max_in_flight = max_in_flight;
    return start(&options);
}

static void test_results_and_errors(void)
{
    int64_t number = 0;
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_parent *parent = start_worker(NULL, 0);
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
    mf_check_int(mf_call(parent, "greet", MF_ARGS("Ada"), &result, &error), MF_OK);
    mf_check_str(mf_result_str(result), "Hello, Ada!");
    mf_check_int(mf_result_read(result, MF_OUT(&number), &error), MF_ERR_TYPE);
    mf_check_str(error.message, "the result must be an integer, not str");
    mf_result_destroy(result);
    mf_check_int(mf_call(parent, "divide", MF_ARGS(1, 0), NULL, &error), MF_ERR_REMOTE);
    mf_check_str(error.message, "ZeroDivisionError: division by zero");
    mf_check_str(error.remote_type, "ZeroDivisionError");
    mf_check_int(mf_call(parent, "nope", MF_NO_ARGS, NULL, &error), MF_ERR_FUNCTION_NOT_FOUND);
    mf_check_str(error.message, "AttributeError: Function 'nope' not found");
    mf_check_int(mf_call(parent, "_secret", MF_NO_ARGS, NULL, &error), MF_ERR_FUNCTION_NOT_FOUND);
    mf_check_str(error.message, "AttributeError: Cannot call private method '_secret'");
    mf_check_int(mf_call(parent, "add", MF_ARGS(1), NULL, &error), MF_ERR_REMOTE);
    mf_check_str(error.message, "TypeError: expected 2 arguments, got 1");
    mf_check_int(mf_call(parent, "ping", MF_NO_ARGS, &result, &error), MF_OK);
    mf_check_str(mf_result_str(result), "pong");
    mf_result_destroy(result);
    mf_parent_destroy(parent);
}

static void test_deadline(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_parent *parent = start_worker(NULL, 0);
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = 300; /* time enough to send it */
    stop_worker(parent);      /* so that its answer comes late */
    int64_t before = mf_test_now_ms();
    mf_check_int(mf_call_with(parent, "ping", MF_NO_ARGS, &options, NULL, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "Function 'ping' timed out after 300 ms");
    mf_check(mf_test_now_ms() - before >= 300);
    continue_worker(parent);
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 1), &result, &error), MF_OK);
    mf_result_destroy(result);
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_check_int(mf_parent_read_stats(parent, &stats, &error), MF_OK);
    mf_check_int(stats.calls_total, 2);
    mf_check_int(stats.calls_failed, 1);
    mf_check_int(stats.late_replies, 1);
    mf_parent_destroy(parent);
}

static void test_call_before_start_and_after_stop(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = "true";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_call(parent, "add", MF_NO_ARGS, NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "was not started");
    mf_check_int(mf_parent_stop(parent, &error), MF_OK);
    mf_check_int(mf_call(parent, "add", MF_NO_ARGS, NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "was stopped");
    mf_parent_destroy(parent);
}

static void test_starts_that_fail(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = "/nonexistent/worker";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, "/nonexistent/worker");
    mf_parent_destroy(parent);
    options.program = "false";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, "exited with status 1");
    mf_parent_destroy(parent);
    static const char *const sleep_args[] = {"-c", "exec sleep 60", NULL};
    options.program = "sh";
    options.args = sleep_args;
    options.start_timeout_ms = 100;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    int64_t before = mf_test_now_ms();
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_TIMEOUT);
    mf_check_contains(error.message, "did not connect within 100 ms");
    mf_check(mf_test_now_ms() - before >= 100);
    mf_parent_destroy(parent);
}

static bool is_open(void *data)
{
    return strcmp(mf_parent_circuit_state(data), "open") == 0;
}

/* The calls would last longer than the test. */
static void test_killed_worker_fails_pending_calls(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *futures[20];
    mf_parent *parent = start_worker(NULL, 0);
    for (size_t i = 0; i < 20; i++) {
        mf_check_int(
            mf_call_future(parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &futures[i], &error),
            MF_OK);
    }
    mf_check_int(kill((pid_t)mf_parent_pid(parent), SIGKILL), 0);
    for (size_t i = 0; i < 20; i++) {
        mf_check_int(mf_future_wait(futures[i], 20000, NULL, &error), MF_ERR_WORKER_EXITED);
        mf_check_contains(error.message, "was killed by signal 9 (SIGKILL)");
        mf_future_destroy(futures[i]);
    }
    mf_check_int(mf_parent_get_state(parent), MF_PARENT_FAILED);
    mf_check_int(mf_call(parent, "add", MF_NO_ARGS, NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "SIGKILL");
    mf_check(mf_test_until(is_open, parent, 20000)); /* calls end a little before it opens */
    mf_parent_destroy(parent);
}

/* ---- Many callers on one parent ---- */

typedef struct stress {
    mf_parent *parent;
    int calls;
    _Atomic(int) wrong, ended;
} stress;

static void *call_synchronously(void *argument)
{
    stress *at = argument;
    for (int i = 0; i < at->calls; i++) {
        mf_result *result = NULL;
        mf_status status = mf_call(at->parent, "add", MF_ARGS(i, 1), &result, NULL);
        at->wrong += status != MF_OK || mf_result_int(result) != i + 1;
        at->ended++;
        mf_result_destroy(result);
    }
    return NULL;
}

typedef struct one_call {
    stress *at;
    int expected;
    _Atomic(int) ended;
} one_call;

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    one_call *call = user_data;
    (void)error;
    call->at->wrong += status != MF_OK || mf_result_int(result) != call->expected;
    call->at->wrong += call->ended++ != 0;
    call->at->ended++;
    mf_result_destroy(result);
}

#define WINDOW 32
#define ENDED_MS 60000 /* longer than a call's own timeout, which says what became of it */

static bool has_ended(void *data)
{
    return ((one_call *)data)->ended == 1;
}

static void *call_asynchronously(void *argument)
{
    stress *at = argument;
    one_call *calls = calloc((size_t)at->calls, sizeof *calls);
    for (int i = 0; i < at->calls; i++) {
        if (i >= WINDOW) {
            at->wrong += !mf_test_until(has_ended, &calls[i - WINDOW], ENDED_MS);
        }
        calls[i] = (one_call){.at = at, .expected = i + 1};
        at->wrong +=
            mf_call_async(at->parent, "add", MF_ARGS(i, 1), NULL, on_end, &calls[i], NULL) != MF_OK;
    }
    for (int i = 0; i < at->calls; i++) {
        at->wrong += !mf_test_until(has_ended, &calls[i], ENDED_MS);
    }
    free(calls);
    return NULL;
}

/* There are no heartbeats that would help a call on that was left lying: it ends with its timeout.
 */
static void test_four_and_four_callers(void)
{
    const char *asked = getenv("MF_STRESS_CALLS");
    pthread_t threads[8];
    mf_parent_options options = worker_options();
    options.heartbeat_interval_ms = MF_DISABLED;
    stress at = {.parent = start(&options), .calls = asked != NULL ? atoi(asked) : 5000};
    for (size_t i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, i % 2 == 0 ? call_synchronously : call_asynchronously,
                       &at);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    mf_check_int(at.wrong, 0);
    mf_check_int(at.ended, at.calls * 8);
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_check_int(mf_parent_read_stats(at.parent, &stats, NULL), MF_OK);
    mf_check_int(stats.calls_total, at.calls * 8);
    mf_check_int(stats.calls_in_flight, 0);
    mf_parent_destroy(at.parent);
}

static void test_too_many_calls(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *futures[2];
    mf_parent *parent = start_worker(NULL, 2);
    stop_worker(parent);
    for (size_t i = 0; i < 2; i++) {
        mf_check_int(mf_call_future(parent, "ping", MF_NO_ARGS, NULL, &futures[i], &error), MF_OK);
    }
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_TOO_MANY_CALLS);
    mf_check_contains(error.message, "2 calls in flight");
    continue_worker(parent);
    for (size_t i = 0; i < 2; i++) {
        mf_check_int(mf_future_wait(futures[i], 20000, NULL, &error), MF_OK);
        mf_future_destroy(futures[i]);
    }
    mf_parent_destroy(parent);
}

/* ---- Heartbeats ---- */

static bool is_not_open(void *data)
{
    return strcmp(mf_parent_circuit_state(data), "open") != 0;
}

static void test_stopped_worker_opens_the_circuit(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    uint64_t rtt = 0;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.heartbeat_interval_ms = 30;
    options.heartbeat_timeout_ms = SILENT_MS;
    options.circuit_open_ms = TOO_LONG_MS; /* a heartbeat ends it, not this time */
    options.circuit_open_max_ms = TOO_LONG_MS;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt, &error), MF_OK);
    mf_check(rtt > 0);
    stop_worker(parent);
    mf_check(mf_test_until(is_open, parent, 20000));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_CIRCUIT_OPEN);
    continue_worker(parent);
    mf_check(mf_test_until(is_not_open, parent, 20000));
    for (int i = 0; i < 3; i++) {
        mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_OK);
    }
    mf_check_str(mf_parent_circuit_state(parent), "closed");
    mf_parent_destroy(parent);
}

/* They are answered while the one handler runs, for as long as it is asked for and until there were
 * some. It does not end by itself. */
static void test_busy_handler_misses_no_heartbeat(void)
{
    enum { HEARTBEATS = 50 };
    const char *asked = getenv("MF_BUSY_MS");
    int busy_ms = asked != NULL ? atoi(asked) : 1000;
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    mf_future *busy = NULL;
    mf_parent_options options = worker_options();
    options.heartbeat_interval_ms = 20;
    options.stop_timeout_ms = 100; /* the handler is not waited for */
    mf_parent *parent = start(&options);
    mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, &busy, &error),
                 MF_OK);
    int64_t until = mf_test_now_ms() + busy_ms;
    for (int i = 0; i < HEARTBEATS || mf_test_now_ms() < until; i++) {
        mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt_ns, &error), MF_OK);
    }
    mf_check(!mf_future_is_done(busy));
    mf_check_int(stats_of(parent).heartbeat_misses, 0);
    mf_check(stats_of(parent).heartbeat_rtt_ns > 0);
    mf_parent_destroy(parent);
    mf_future_destroy(busy);
}

static void count_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    (void)line;
    (void)length;
    (void)is_stderr;
    ++*(_Atomic(int) *)user_data;
}

static void test_talkative_worker_blocks_nobody(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    _Atomic(int) lines = 0;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.on_output = count_line;
    options.user_data = &lines;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_int(mf_call(parent, "print_lines", MF_ARGS(120000), NULL, &error), MF_OK);
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_OK);
    mf_parent_destroy(parent);
    mf_check(lines > 0);
}

/* ---- The log of many calls at once ---- */

#define LOGGED 1000

typedef struct call_log {
    char ids[LOGGED][37], correlation_ids[LOGGED][40];
    int ends[LOGGED];
    int starts, strangers, other_correlation;
    unsigned long long next_seq, wrong_seq;
} call_log;

/* Copies the text behind a key, "" if it is not there. */
static void text_behind(const char *line, const char *key, char *to, size_t size)
{
    const char *at = strstr(line, key);
    size_t length = at != NULL ? strcspn(at + strlen(key), "\"") : 0;
    (void)snprintf(to, size, "%.*s", (int)length, at != NULL ? at + strlen(key) : "");
}

static void read_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    call_log *log = user_data;
    char event[40], id[37], correlation_id[40];
    (void)level;
    (void)length;
    text_behind(line, "\"event\":\"", event, sizeof event);
    text_behind(line, "\"request_id\":\"", id, sizeof id);
    text_behind(line, "\"correlation_id\":\"", correlation_id, sizeof correlation_id);
    log->wrong_seq += strtoull(strstr(line, "\"seq\":") + 6, NULL, 10) != ++log->next_seq;
    if (strcmp(event, "request_start") == 0 && log->starts < LOGGED) {
        memcpy(log->ids[log->starts], id, sizeof id);
        memcpy(log->correlation_ids[log->starts++], correlation_id, sizeof correlation_id);
    } else if (strncmp(event, "request_", 8) == 0) {
        int i = 0;
        while (i < log->starts && strcmp(log->ids[i], id) != 0) {
            i++;
        }
        if (i == log->starts) {
            log->strangers++;
        } else {
            log->ends[i]++;
            log->other_correlation += strcmp(log->correlation_ids[i], correlation_id) != 0;
        }
    }
}

static void test_thousand_calls_are_logged_in_pairs(void)
{
    static call_log log;
    static mf_future *futures[LOGGED];
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    int unpaired = 0;
    options.log_level = MF_LOG_DEBUG;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    mf_check_int(
        mf_log_add_callback(mf_runtime_logger(runtime), read_line, &log, MF_LOG_JSON, &error),
        MF_OK);
    mf_parent *parent = start_worker(runtime, 0);
    for (int i = 0; i < LOGGED; i++) {
        mf_check_int(mf_call_future(parent, i % 10 == 0 ? "nope" : "add", MF_ARGS(i, 1), NULL,
                                    &futures[i], &error),
                     MF_OK);
    }
    for (int i = 0; i < LOGGED; i++) {
        (void)!mf_future_wait(futures[i], 20000, NULL, &error);
        mf_future_destroy(futures[i]);
    }
    mf_parent_destroy(parent);
    mf_check(mf_log_flush(mf_runtime_logger(runtime), 5000));
    mf_runtime_destroy(runtime);
    for (int i = 0; i < LOGGED; i++) {
        unpaired += log.ends[i] != 1;
    }
    mf_check_int(log.starts, LOGGED);
    mf_check_int(unpaired, 0);
    mf_check_int(log.strangers, 0);
    mf_check_int(log.other_correlation, 0);
    mf_check_int(log.wrong_seq, 0);
}

/* ---- Bad input ---- */

static void test_taken_port_is_named(void)
{
    char endpoint[64];
    char port[16];
    mf_error error = MF_ERROR_INIT;
    mf_parent *first = start_worker(NULL, 0);
    mf_parent *second = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    (void)mf_parent_endpoint(first, endpoint, sizeof endpoint);
    (void)snprintf(port, sizeof port, "%s", strrchr(endpoint, ':') + 1);
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.port = (uint16_t)strtoul(port, NULL, 10);
    mf_check_int(mf_parent_create(&second, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(second, &error), MF_ERR_ADDRESS_IN_USE);
    mf_check_contains(error.message, port);
    mf_parent_destroy(second);
    mf_parent_destroy(first);
}

static void test_bad_arguments_are_named(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_parent *parent = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "program, service_id or endpoint is missing");
    options.program = "true";
    options.target = "a:b";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "a:b");
    options.target = NULL;
    options.call_timeout_ms = -5;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "call_timeout_ms");
    parent = start_worker(NULL, 0);
    mf_check_int(mf_call(parent, "echo", MF_ARGS("\xff"), NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "args[0]");
    size_t size = 10485761;
    char *large = calloc(size, 1);
    memset(large, 'x', size - 1);
    mf_check_int(mf_call(parent, "echo", MF_ARGS(mf_str_n(large, size)), NULL, &error),
                 MF_ERR_LIMIT);
    mf_check_int(mf_call(parent, "echo", MF_ARGS(mf_str_n(large, size - 1)), &result, &error),
                 MF_OK);
    mf_check_int(mf_result_value(result)->length, 10485760);
    mf_result_destroy(result);
    free(large);
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_OK);
    mf_parent_destroy(parent);
}

static const mf_test tests[] = {
    {"log__thousand_calls_are_logged_in_pairs", test_thousand_calls_are_logged_in_pairs},
    {"input__taken_port_is_named", test_taken_port_is_named},
    {"input__bad_arguments_are_named_and_nothing_is_lost", test_bad_arguments_are_named},
    {"calls__results_and_errors", test_results_and_errors},
    {"calls__deadline_ends_the_wait", test_deadline},
    {"calls__before_start_and_after_stop_are_refused", test_call_before_start_and_after_stop},
    {"calls__starts_that_fail_say_why", test_starts_that_fail},
    {"calls__killed_worker_fails_pending_calls", test_killed_worker_fails_pending_calls},
    {"calls__four_synchronous_and_four_asynchronous_callers", test_four_and_four_callers},
    {"calls__beyond_the_limit_are_refused", test_too_many_calls},
    {"heartbeat__stopped_worker_opens_the_circuit", test_stopped_worker_opens_the_circuit},
    {"heartbeat__busy_handler_misses_none", test_busy_handler_misses_no_heartbeat},
    {"output__talkative_worker_blocks_nobody", test_talkative_worker_blocks_nobody},
};
MF_TEST_MAIN(tests)
