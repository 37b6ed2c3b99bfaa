/* Events of the program's own: which names are taken, and what becomes of those that are not. */
#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "logging/logger.h"
#include "mf_test.h"

/* The last line, and how many there were. */
typedef struct log_seen {
    mf_logger *logger;
    unsigned lines;
    char last[MFI_LINE_MAX_BYTES + 1];
} log_seen;

static void keep_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    log_seen *seen = user_data;
    (void)level;
    seen->lines++;
    memcpy(seen->last, line, length + 1);
}

static void open_log(log_seen *seen, mf_log_level level)
{
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = level;
    options.service = "s";
    options.instance = "i";
    *seen = (log_seen){.lines = 0};
    mf_check_int(mf_logger_create(&seen->logger, &options, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(seen->logger, keep_line, seen, MF_LOG_JSON, NULL), MF_OK);
}

/* What follows the fields that every record has. */
static const char *rest_of(log_seen *seen)
{
    mf_check(mf_log_flush(seen->logger, MF_TEST_PATIENCE_MS));
    const char *rest = strstr(seen->last, "\"tid\":");
    rest = rest != NULL ? strpbrk(rest, ",}") : NULL;
    return rest != NULL ? rest : "";
}

static void test_names_are_checked(void)
{
    char longest[66];
    log_seen seen;
    open_log(&seen, MF_LOG_INFO);
    memset(longest, 'e', 65);
    longest[65] = '\0';
    static const char *const bad[] = {
        "",     "Upper",    "with blank", "a-b",         "a\n",
        "a\"b", "\xc3\xa4", "drain",      "request_end", "worker_output"};
    static const char *const shown[] = {
        "",       "Upper",    "with blank", "a-b",         "a\\n",
        "a\\\"b", "\xc3\xa4", "drain",      "request_end", "worker_output"};
    char wanted[256];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_log_event(seen.logger, MF_LOG_INFO, bad[i], "m", NULL, 0);
        (void)snprintf(wanted, sizeof wanted, ",\"fields\":{\"name\":\"%s\"}}", shown[i]);
        mf_check_str(rest_of(&seen), wanted);
        mf_check_contains(seen.last, "\"event\":\"invalid_event\",\"message\":\"m\"");
    }
    mf_log_event(seen.logger, MF_LOG_INFO, NULL, "m", NULL, 0);
    mf_check_str(rest_of(&seen), ",\"fields\":{\"name\":\"\"}}");
    mf_log_event(seen.logger, MF_LOG_INFO, longest, "m", NULL, 0);
    (void)snprintf(wanted, sizeof wanted, ",\"fields\":{\"name\":\"%s\"}}", longest);
    mf_check_str(rest_of(&seen), wanted);
    const char *good[] = {"e", "cache.miss", "0_9.", "drains", longest + 1};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mf_log_event(seen.logger, MF_LOG_INFO, good[i], "m", NULL, 0);
        mf_check_str(rest_of(&seen), "}");
        (void)snprintf(wanted, sizeof wanted, "\"event\":\"%s\",\"message\":\"m\"", good[i]);
        mf_check_contains(seen.last, wanted);
    }
    mf_logger_destroy(seen.logger);
}

/* Each event that the library logs is the library's. */
static void test_own_events_are_not_given_away(void)
{
    static const char *const own[] = {"request_start",
                                      "request_complete",
                                      "request_error",
                                      "request_timeout",
                                      "request_cancelled",
                                      "request_retry",
                                      "worker_start",
                                      "worker_stop",
                                      "worker_restart",
                                      "worker_crash",
                                      "worker_output",
                                      "process_spawn",
                                      "process_exit",
                                      "socket_connect",
                                      "socket_disconnect",
                                      "socket_reconnect",
                                      "heartbeat_sent",
                                      "heartbeat_received",
                                      "heartbeat_missed",
                                      "heartbeat_timeout",
                                      "circuit_open",
                                      "circuit_half_open",
                                      "circuit_close",
                                      "queue_overflow",
                                      "service_register",
                                      "service_unregister",
                                      "service_found",
                                      "service_lost",
                                      "service_bind",
                                      "health_change",
                                      "drain",
                                      "log_dropped",
                                      "message_rejected"};
    log_seen seen;
    open_log(&seen, MF_LOG_INFO);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        mf_log_event(seen.logger, MF_LOG_INFO, own[i], NULL, NULL, 0);
        mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
        mf_check_contains(seen.last, "\"event\":\"invalid_event\",\"message\":\"\"");
    }
    mf_check_int(seen.lines, sizeof own / sizeof own[0]);
    mf_logger_destroy(seen.logger);
}

static void test_fields_and_context(void)
{
    log_seen seen;
    mf_context context = {.correlation_id = "c", .trace_id = "t", .trace_flags = 1};
    const mf_log_field fields[] = {mf_log_field_int("size", 3), mf_log_field_str("token", "x")};
    open_log(&seen, MF_LOG_INFO);
    mf_context_set(&context);
    mf_log_event(seen.logger, MF_LOG_INFO, "e", "m", fields, 2);
    mf_check_str(rest_of(&seen),
                 ",\"correlation_id\":\"c\",\"trace_id\":\"t\",\"trace_flags\":\"01\","
                 "\"fields\":{\"size\":3,\"token\":\"[redacted]\"}}");
    mf_log_event(seen.logger, MF_LOG_INFO, "Bad", "m", fields, 1);
    mf_check_contains(rest_of(&seen), ",\"fields\":{\"name\":\"Bad\",\"size\":3}}");
    mf_context_set(NULL);
    mf_log_event(seen.logger, MF_LOG_INFO, "e", "m", fields, 0);
    mf_check_str(rest_of(&seen), "}");
    mf_log_event(seen.logger, MF_LOG_INFO, "e", "m", NULL, 5);
    mf_check_str(rest_of(&seen), "}");
    mf_logger_destroy(seen.logger);
}

/* A number that is no level counts as info; what is below the logger's level costs nothing. */
static void test_levels(void)
{
    log_seen seen;
    open_log(&seen, MF_LOG_INFO);
    static const int odd[] = {MF_LOG_DEFAULT, MF_LOG_OFF, -1, 99};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        seen.last[0] = '\0';
        mf_log_event(seen.logger, (mf_log_level)odd[i], "e", "m", NULL, 0);
        mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
        mf_check_contains(seen.last, "\"level\":\"info\"");
    }
    mf_check_int(seen.lines, 4);
    mf_log_event(seen.logger, MF_LOG_DEBUG, "e", "m", NULL, 0);
    mf_log_set_level(seen.logger, MF_LOG_ERROR);
    mf_log_event(seen.logger, MF_LOG_WARN, "e", "m", NULL, 0);
    mf_log_event(seen.logger, MF_LOG_DEFAULT, "e", "m", NULL, 0); /* info, and not wanted */
    mf_log_event(seen.logger, MF_LOG_FATAL, "e", "m", NULL, 0);
    mf_check(mf_log_flush(seen.logger, MF_TEST_PATIENCE_MS));
    mf_check_int(seen.lines, 5);
    mf_check_contains(seen.last, "\"level\":\"fatal\"");
    mf_log_event(NULL, MF_LOG_FATAL, "e", "m", NULL, 0);
    mf_logger_destroy(seen.logger);
    mf_check_int(seen.lines, 5);
}

static const mf_test tests[] = {
    {"event__names_are_checked", test_names_are_checked},
    {"event__own_ones_are_not_given_away", test_own_events_are_not_given_away},
    {"event__has_its_fields_and_the_running_call", test_fields_and_context},
    {"event__levels", test_levels},
};
MF_TEST_MAIN(tests)
