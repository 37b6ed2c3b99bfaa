/* Lines have all their fields, stay JSON when records are cut, and have no gap in their numbers
 * that is not declared. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/context.h"
#include "logging/logger.h"
#include "mf_test.h"

typedef struct lines_seen {
    char last[16384];
    uint64_t next_seq, wrong, records, declared;
} lines_seen;

static void keep_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    lines_seen *seen = user_data;
    (void)level;
    memcpy(seen->last, line, length);
    seen->last[length] = '\0';
}

static mf_logger *make(mf_log_level level, size_t ring, mf_log_sink_fn sink, void *user_data)
{
    mf_logger *logger = NULL;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = level;
    options.service = "test";
    options.ring_records = ring;
    mf_check_int(mf_logger_create(&logger, &options, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(logger, sink, user_data, MF_LOG_JSON, NULL), MF_OK);
    return logger;
}

static const char *text_of(const cJSON *json, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(json, key));
}

static void test_event_has_all_fields(void)
{
    lines_seen seen = {.wrong = 0};
    mf_context context = {.correlation_id = "corr-1",
                          .trace_id = "0af7651916cd43dd8448eb211c80319c"};
    mf_logger *logger = make(MF_LOG_INFO, 0, keep_line, &seen);
    mf_context_set(&context);
    MF_LOG(logger, MF_LOG_INFO, "cache.miss", "line\nbreak", MF_FIELD("key", "k\x01"),
           MF_FIELD("size", 3), MF_FIELD("db_password", "hunter2"));
    mf_context_set(NULL);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    cJSON *json = cJSON_Parse(seen.last);
    mf_check(strncmp(seen.last, "{\"timestamp\":\"20", 16) == 0);
    mf_check_str(text_of(json, "event"), "cache.miss");
    mf_check_str(text_of(json, "message"), "line\nbreak");
    mf_check_str(text_of(json, "correlation_id"), "corr-1");
    mf_check_str(text_of(json, "service"), "test");
    const cJSON *fields = cJSON_GetObjectItem(json, "fields");
    mf_check_str(text_of(fields, "db_password"), "[redacted]");
    mf_check_int(cJSON_GetNumberValue(cJSON_GetObjectItem(fields, "size")), 3);
    mf_check_int(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "severity_number")), 9);
    cJSON_Delete(json);
    mf_log_event(logger, MF_LOG_WARN, "request_start", "not yours", NULL, 0);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(seen.last, "\"event\":\"invalid_event\"");
    mf_check_contains(seen.last, "\"name\":\"request_start\"");
    mf_logger_destroy(logger);
}

static void test_long_records_stay_json(void)
{
    lines_seen seen = {.wrong = 0};
    char text[4096];
    memset(text, 1, sizeof text - 1); /* six bytes each when escaped */
    text[sizeof text - 1] = '\0';
    mf_logger *logger = make(MF_LOG_INFO, 0, keep_line, &seen);
    MF_LOG(logger, MF_LOG_INFO, "long", text, MF_FIELD("a", (const char *)text),
           MF_FIELD("b", (const char *)text));
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    cJSON *json = cJSON_Parse(seen.last);
    mf_check(json != NULL && strlen(seen.last) <= 8192);
    mf_check(cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")));
    cJSON_Delete(json);
    mf_logger_destroy(logger);
}

/* ---- No gap that is not declared ---- */

#define PRODUCERS 8
#define RECORDS 20000
#define RING 16
#define HELD (RING * 4) /* while the writer is kept out of the ring */

static void check_seq(mf_log_level level, const char *line, size_t length, void *user_data)
{
    lines_seen *seen = user_data;
    uint64_t seq = strtoull(strstr(line, "\"seq\":") + 6, NULL, 10);
    (void)level;
    (void)length;
    if (strstr(line, "\"event\":\"log_dropped\"") != NULL) {
        uint64_t first = strtoull(strstr(line, "\"first_seq\":") + 12, NULL, 10);
        uint64_t last = strtoull(strstr(line, "\"last_seq\":") + 11, NULL, 10);
        seen->wrong += first != seen->next_seq;
        seen->declared += last - first + 1;
        seen->next_seq = last + 1;
    } else {
        seen->records++;
    }
    seen->wrong += seq != seen->next_seq;
    seen->next_seq = seq + 1;
}

static void *produce(void *argument)
{
    for (int i = 0; i < RECORDS; i++) {
        mf_log_event(argument, MF_LOG_INFO, "tick", "", NULL, 0);
    }
    return NULL;
}

static bool turn_is_over(void *data)
{
    mf_logger *logger = data;
    return (atomic_load(&logger->reader) & MFI_READER_WRITER) == 0;
}

static void test_drops_are_declared(void)
{
    pthread_t threads[PRODUCERS];
    lines_seen seen = {.next_seq = 1};
    mf_logger *logger = make(MF_LOG_INFO, RING, check_seq, &seen);
    atomic_fetch_or(&logger->reader, MFI_READER_CRASH);
    mf_check(mf_test_until(turn_is_over, logger, MF_TEST_PATIENCE_MS));
    for (int i = 0; i < HELD; i++) {
        mf_log_event(logger, MF_LOG_INFO, "tick", "", NULL, 0);
    }
    atomic_fetch_and(&logger->reader, ~(uint32_t)MFI_READER_CRASH);
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_create(&threads[i], NULL, produce, logger);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
    mf_logger_destroy(logger);
    mf_check_int(seen.wrong, 0);
    mf_check_int(seen.records + seen.declared, HELD + PRODUCERS * RECORDS);
    mf_check(seen.declared >= HELD - RING);
}

static void test_levels(void)
{
    mf_log_level level = MF_LOG_DEFAULT;
    mf_error error = MF_ERROR_INIT;
    mf_logger *logger = NULL;
    mf_check_int(mf_log_parse_level("WARNING", &level, &error), MF_OK);
    mf_check_int(level, MF_LOG_WARN);
    mf_check_int(mf_log_parse_level("loud", &level, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "trace, debug, info, warn, error, fatal");
    setenv("COMLINK_LOG_LEVEL", "loud", 1);
    mf_check_int(mf_logger_create(&logger, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    setenv("COMLINK_LOG_LEVEL", "Error", 1);
    mf_check_int(mf_logger_create(&logger, NULL, &error), MF_OK);
    mf_check_int(mf_log_get_level(logger), MF_LOG_ERROR);
    mf_check(!mfi_log_enabled(logger, MF_LOG_FATAL)); /* no sink yet */
    unsetenv("COMLINK_LOG_LEVEL");
    mf_logger_destroy(logger);
}

static void test_files(void)
{
    char path[512];
    struct stat facts;
    mf_error error = MF_ERROR_INIT;
    mf_logger *logger = NULL;
    mf_log_stats stats = MF_LOG_STATS_INIT;
    (void)snprintf(path, sizeof path, "%s/log", mf_test_temp_dir());
    mf_check_int(mf_logger_create(&logger, NULL, &error), MF_OK);
    mf_check_int(mf_log_add_file(logger, "/nonexistent/log", MF_LOG_JSON, &error), MF_ERR_IO);
    mf_check_contains(error.message, "'/nonexistent/log': No such file or directory");
    mf_check_int(mf_log_add_file(logger, "/dev/full", MF_LOG_JSON, &error), MF_OK);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_HUMAN, &error), MF_OK);
    mf_log_event(logger, MF_LOG_WARN, "disk.full", "but not here", NULL, 0);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_log_stats_read(logger, &stats);
    mf_check_int(stats.dropped_sink_error, 1);
    mf_logger_destroy(logger);
    mf_check_int(stat(path, &facts), 0);
    mf_check_int(facts.st_mode & 0777, 0600);
    mf_check(facts.st_size > 30);
}

static const mf_test tests[] = {
    {"event__has_all_fields", test_event_has_all_fields},
    {"event__long_records_are_cut_and_stay_json", test_long_records_stay_json},
    {"seq__has_no_gap_that_is_not_declared", test_drops_are_declared},
    {"level__by_option_and_environment", test_levels},
    {"file__errors_are_named_and_other_sinks_go_on", test_files},
};
MF_TEST_MAIN(tests)
