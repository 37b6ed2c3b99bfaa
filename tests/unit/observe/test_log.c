/* Calls in the log: as a note, and as a record where a note is not enough. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mpsc.h"
#include "base/str.h"
#include "core/observe/observe.h"
#include "logging/logger.h"
#include "mf_test.h"

typedef struct log_seen {
    mf_logger *logger;
    mfi_observer *observer;
    mfi_target *target;
    unsigned lines;
    char last[4096];
} log_seen;

static void keep_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    log_seen *seen = user_data;
    (void)level;
    seen->lines++;
    length = length < sizeof seen->last ? length : sizeof seen->last - 1;
    memcpy(seen->last, line, length);
    seen->last[length] = '\0';
}

static void open_log(log_seen *seen, const char *worker, bool is_server, bool has_sink)
{
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    mfi_client_options client = {.target = "math", .worker = worker};
    mfi_server_options server = {.worker = "math"};
    *seen = (log_seen){.lines = 0};
    options.level = MF_LOG_DEBUG;
    options.service = "test";
    mf_check_int(mf_logger_create(&seen->logger, &options, NULL), MF_OK);
    if (has_sink) {
        mf_check_int(mf_log_add_callback(seen->logger, keep_line, seen, MF_LOG_JSON, NULL), MF_OK);
    }
    mf_check_int(mfi_observer_create(&seen->observer, seen->logger, NULL, 64, NULL), MF_OK);
    mf_check_int(is_server ? mfi_target_create_server(&seen->target, seen->observer, &server, NULL)
                           : mfi_target_create_client(&seen->target, seen->observer, &client, NULL),
                 MF_OK);
}

static void close_log(log_seen *seen)
{
    mfi_target_destroy(seen->target);
    mfi_observer_destroy(seen->observer);
    mf_logger_destroy(seen->logger);
}

static mfi_client_span make_span(const log_seen *seen, const char *function)
{
    uint64_t now = mfi_monotonic_ns();
    return (mfi_client_span){.target = seen->target,
                             .function =
                                 mfi_target_function(seen->target, function, strlen(function)),
                             .function_name = function,
                             .namespace_name = "default",
                             .context = {.correlation_id = "corr-1", .request_id = "req-1"},
                             .start_ns = now - 81234,
                             .sent_ns = now - 81234 + 4321,
                             .received_ns = now - 5802,
                             .end_ns = now,
                             .server_queue_ns = 8765,
                             .server_handler_ns = 1234,
                             .deadline_ms = 5000,
                             .request_bytes = 210,
                             .response_bytes = 190,
                             .attempt = 1,
                             .has_server_times = true};
}

/* What follows the fields that every record has. */
static const char *call_part(const log_seen *seen)
{
    const char *part = strstr(seen->last, "\"tid\":");
    mf_check(part != NULL);
    return part != NULL ? strchr(part, ',') : "";
}

static void test_note_says_what_the_call_was(void)
{
    log_seen seen;
    open_log(&seen, "math-0", false, true);
    uint64_t before = mfi_wall_ns();
    mfi_client_span span = make_span(&seen, "add");
    uint64_t after = mfi_wall_ns();
    mfi_observe_client_begin(&span);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(seen.last,
                      "\"event\":\"request_start\",\"message\":\"Calling add\",\"seq\":1,");
    mf_check_str(call_part(&seen),
                 ",\"target\":\"math\",\"worker\":\"math-0\",\"correlation_id\":\"corr-1\","
                 "\"request_id\":\"req-1\",\"function\":\"add\",\"namespace\":\"default\","
                 "\"attempt\":1,\"deadline_ms\":5000}");
    mfi_observe_client_end(&span, NULL);
    /* The writer needs nothing of the target any more. */
    mfi_target_destroy(seen.target);
    seen.target = NULL;
    memset(&span, 0xff, sizeof span);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(seen.last, "\"event\":\"request_complete\",\"message\":\"Completed add\"");
    mf_check_str(call_part(&seen),
                 ",\"target\":\"math\",\"worker\":\"math-0\",\"correlation_id\":\"corr-1\","
                 "\"request_id\":\"req-1\",\"function\":\"add\",\"namespace\":\"default\","
                 "\"status\":\"ok\",\"success\":true,\"attempt\":1,\"deadline_ms\":5000,"
                 "\"duration_ms\":0.081234,\"phases\":{\"send_wait\":0.004321,\"wire\":0.061112,"
                 "\"peer_queue\":0.008765,\"handler\":0.001234,\"receive_wait\":0.005802},"
                 "\"request_bytes\":210,\"response_bytes\":190}");
    /* The time is the wall clock's, of the call's end: to the second, or that before it. */
    char latest[40];
    char earliest[40];
    (void)mfi_format_rfc3339(latest, sizeof latest, after, 0);
    (void)mfi_format_rfc3339(earliest, sizeof earliest, before - MFI_NS_PER_S, 0);
    const char *time = seen.last + strlen("{\"timestamp\":\"");
    mf_check(strncmp(time, earliest, 19) >= 0 && strncmp(time, latest, 19) <= 0);
    close_log(&seen);
}

static mfi_server_span make_server_span(const log_seen *seen, const char *function)
{
    uint64_t now = mfi_monotonic_ns();
    return (mfi_server_span){.target = seen->target,
                             .function =
                                 mfi_target_function(seen->target, function, strlen(function)),
                             .function_name = function,
                             .namespace_name = "default",
                             .context = {.correlation_id = "corr-1", .request_id = "req-1"},
                             .received_ns = now - 81234,
                             .begun_ns = now - 81234 + 4321,
                             .done_ns = now - 5802,
                             .end_ns = now,
                             .request_bytes = 210,
                             .response_bytes = 190,
                             .correlation_id_replaced = true};
}

static void test_worker_has_a_record_of_its_own(void)
{
    log_seen seen;
    open_log(&seen, NULL, true, true);
    mfi_server_span span = make_server_span(&seen, "add");
    mfi_observe_server_begin(&span);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(seen.last, "\"event\":\"request_start\",\"message\":\"Running add\",");
    mf_check_str(call_part(&seen),
                 ",\"worker\":\"math\",\"correlation_id\":\"corr-1\",\"request_id\":\"req-1\","
                 "\"function\":\"add\",\"namespace\":\"default\"}");
    mfi_observe_server_end(&span, NULL);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_str(call_part(&seen),
                 ",\"worker\":\"math\",\"correlation_id\":\"corr-1\",\"request_id\":\"req-1\","
                 "\"function\":\"add\",\"namespace\":\"default\",\"status\":\"ok\","
                 "\"success\":true,\"duration_ms\":0.081234,\"phases\":{\"peer_queue\":0.004321,"
                 "\"handler\":0.071111},\"request_bytes\":210,\"response_bytes\":190,"
                 "\"reason\":\"correlation_id was not fit for use and was replaced\"}");
    close_log(&seen);
}

/* In notes and in records that the caller makes, after a success and after a failure. */
static void test_sampled_handlers_tell_their_states(void)
{
    log_seen seen;
    static const char wanted[] = "\"handler_state\":{\"on_cpu\":0.060000,\"runnable\":0.001000,"
                                 "\"blocked\":0.010111},\"handler_sampled_one_in\":64,";
    open_log(&seen, NULL, true, true);
    mfi_server_span span = make_server_span(&seen, "add");
    span.handler_times = (mfi_handler_times){.ns = {60000, 1000, 10111}, .one_in = 64};
    mfi_observe_server_end(&span, NULL);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(call_part(&seen), wanted);
    span.status = MF_ERR_REMOTE;
    mfi_observe_server_end(&span, NULL);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(call_part(&seen), wanted);
    close_log(&seen);
}

static void test_level_is_that_of_the_code(void)
{
    char level[32];
    log_seen seen;
    open_log(&seen, "math-0", false, true);
    mfi_client_span span = make_span(&seen, "add");
    for (int status = MF_OK; status <= MF_ERR_INTERNAL; status++) {
        span.status = (mf_status)status;
        mfi_observe_client_end(&span, NULL);
        mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
        (void)mfi_str_format(level, sizeof level, "\"level\":\"%s\"", mfi_err_level(span.status));
        mf_check_contains(seen.last, level);
    }
    close_log(&seen);
}

static void test_long_names_are_logged_in_full(void)
{
    static const char name[] = "a_function_whose_name_is_longer_than_what_a_note_has_room_for";
    log_seen seen;
    open_log(&seen, NULL, true, true);
    mfi_server_span span = make_server_span(&seen, name);
    span.namespace_name = name;
    mfi_observe_server_end(&span, NULL);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(call_part(&seen), name);
    mf_check_contains(call_part(&seen), ",\"worker\":\"math\",\"correlation_id\"");
    span = make_server_span(&seen, "add");
    span.namespace_name = NULL;
    mfi_observe_server_end(&span, NULL);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check(strstr(seen.last, "namespace") == NULL);
    mf_check_contains(call_part(&seen), ",\"worker\":\"math\",\"correlation_id\"");
    close_log(&seen);
}

static void test_silent_log_gets_nothing(void)
{
    log_seen seen;
    open_log(&seen, "math-0", false, false);
    mfi_client_span span = make_span(&seen, "add");
    for (int status = MF_OK; status <= MF_ERR_TIMEOUT; status++) {
        span.status = (mf_status)status;
        mfi_observe_client_begin(&span);
        mfi_observe_client_end(&span, NULL);
    }
    mf_check_int(mfi_ring_claimed(seen.logger->ring), 0);
    close_log(&seen);
}

/* The writer falls asleep, again and again, and each note wakes it. */
static void test_no_wakening_is_lost(void)
{
    log_seen seen;
    open_log(&seen, "math-0", false, true);
    mfi_client_span span = make_span(&seen, "add");
    for (unsigned i = 1; i <= 5; i++) {
        while (atomic_load_explicit(&seen.logger->sleeping, memory_order_acquire) == 0) {
            (void)poll(NULL, 0, 1); /* nothing tells that it sleeps */
        }
        mfi_observe_client_end(&span, NULL);
        mf_check(
            mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS)); /* which waits, but wakes nobody */
        mf_check_int(seen.lines, i);
    }
    close_log(&seen);
}

/* The clock is that of the spans. */
static void end_call(log_seen *seen, const char *function, uint64_t second, mf_status status)
{
    mfi_client_span span = make_span(seen, function);
    span.start_ns = second * MFI_NS_PER_S;
    span.end_ns = span.start_ns + 1000;
    span.status = status;
    mfi_observe_client_end(&span, NULL);
}

static void no_gauges(mfi_client_gauges *ret_gauges, void *user_data)
{
    (void)user_data;
    *ret_gauges = (mfi_client_gauges){.calls_in_flight = 0};
}

static void test_calls_are_sampled_by_function(void)
{
    log_seen seen = {.lines = 0};
    mf_metrics *metrics = NULL;
    char *text = NULL;
    size_t size = 0;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    mfi_client_options target = {.target = "math", .worker = "math-0", .gauges = no_gauges};
    options.log_sample_first = 2;
    options.log_sample_thereafter = 10;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mf_logger_create(&seen.logger, &options, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(seen.logger, keep_line, &seen, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&seen.observer, seen.logger, metrics, 64, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&seen.target, seen.observer, &target, NULL), MF_OK);
    for (unsigned i = 0; i < 32; i++) {
        end_call(&seen, "add", 100, MF_OK);
    }
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_int(seen.lines, 2 + 3);
    end_call(&seen, "greet", 100, MF_OK);
    end_call(&seen, "add", 101, MF_OK);
    end_call(&seen, "add", 101, MF_ERR_TIMEOUT); /* these are all kept */
    end_call(&seen, "add", 101, MF_ERR_TIMEOUT);
    end_call(&seen, "add", 101, MF_ERR_TIMEOUT);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_int(seen.lines, 5 + 5);
    mf_check_contains(seen.last, "\"seq\":10,");
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &size, NULL), MF_OK);
    mf_check_contains(text, "multifrost_log_dropped_total{reason=\"sampled\"} 27\n");
    free(text);
    close_log(&seen);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"sampling__goes_by_event_and_function", test_calls_are_sampled_by_function},
    {"note__says_what_the_call_was", test_note_says_what_the_call_was},
    {"note__worker_has_a_record_of_its_own", test_worker_has_a_record_of_its_own},
    {"note__sampled_handlers_tell_their_states", test_sampled_handlers_tell_their_states},
    {"record__level_is_that_of_the_code", test_level_is_that_of_the_code},
    {"note__long_names_are_logged_in_full", test_long_names_are_logged_in_full},
    {"note__silent_log_gets_nothing", test_silent_log_gets_nothing},
    {"note__no_wakening_of_the_writer_is_lost", test_no_wakening_is_lost},
};
MF_TEST_MAIN(tests)
