/* The thread that writes: every record once, in its order, to each sink in its format. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "logging/logger.h"
#include "mf_test.h"

#define LINES_MAX 64

/* What one function was given; read after a flush. */
typedef struct sink {
    unsigned count;
    size_t bytes;
    mf_log_level levels[LINES_MAX];
    char lines[LINES_MAX][512];
} sink;

static void keep(mf_log_level level, const char *line, size_t length, void *user_data)
{
    sink *at = user_data;
    unsigned place = at->count < LINES_MAX ? at->count : LINES_MAX - 1;
    mf_check_int(line[length], 0);
    mf_check_int(strlen(line), length);
    (void)snprintf(at->lines[place], sizeof at->lines[place], "%s", line);
    at->levels[place] = level;
    at->bytes += length;
    at->count++;
}

static mf_logger *make_logger(void)
{
    mf_logger *logger = NULL;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = MF_LOG_TRACE;
    options.service = "s";
    mf_check_int(mf_logger_create(&logger, &options, NULL), MF_OK);
    return logger;
}

static void add_sink(mf_logger *logger, sink *at, mf_log_format format)
{
    memset(at, 0, sizeof *at);
    mf_check_int(mf_log_add_callback(logger, keep, at, format, NULL), MF_OK);
}

static void log_one(mf_logger *logger, mf_log_level level, const char *message)
{
    mf_log_event(logger, level, "e", message, NULL, 0);
}

static void flush(mf_logger *logger)
{
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
}

static void test_each_sink_has_its_format(void)
{
    static sink json, again, human;
    mf_logger *logger = make_logger();
    add_sink(logger, &json, MF_LOG_JSON);
    add_sink(logger, &human, MF_LOG_HUMAN);
    add_sink(logger, &again, MF_LOG_JSON);
    log_one(logger, MF_LOG_WARN, "one");
    log_one(logger, MF_LOG_DEBUG, "two");
    flush(logger);
    mf_check_int(json.count, 2);
    mf_check_int(human.count, 2);
    mf_check_contains(json.lines[0], "\"event\":\"e\",\"message\":\"one\",\"seq\":1,");
    mf_check_contains(json.lines[1], "\"event\":\"e\",\"message\":\"two\",\"seq\":2,");
    mf_check_str(human.lines[0] + strlen("00:00:00.000"), " warn  e one");
    mf_check_str(human.lines[1] + strlen("00:00:00.000"), " debug e two");
    mf_check_int(json.levels[0], MF_LOG_WARN);
    mf_check_int(json.levels[1], MF_LOG_DEBUG);
    mf_check_str(again.lines[0], json.lines[0]);
    mf_check_str(again.lines[1], json.lines[1]);
    mf_logger_destroy(logger);
}

/* Totals by level, and of bytes given to the sinks. */
static void test_totals(void)
{
    static sink json;
    mf_logger *logger = make_logger();
    mf_log_stats stats = MF_LOG_STATS_INIT;
    add_sink(logger, &json, MF_LOG_JSON);
    size_t total = 0;
    for (int level = MF_LOG_TRACE; level <= MF_LOG_FATAL; level++) {
        for (int i = 0; i < level; i++, total++) {
            log_one(logger, (mf_log_level)level, "m");
        }
    }
    flush(logger);
    mf_log_stats_read(logger, &stats);
    for (int level = MF_LOG_TRACE; level <= MF_LOG_FATAL; level++) {
        mf_check_int(stats.records[level], level);
    }
    mf_check_int(json.count, total);
    mf_check_int(stats.bytes, json.bytes);
    mf_check_int(stats.dropped_ring_full + stats.dropped_sink_error + stats.dropped_sampled, 0);
    mf_check(stats.ring_used_ratio > 0 && stats.ring_used_ratio <= (double)total / 4096);
    mf_log_stats_read(logger, &stats);
    mf_check(stats.ring_used_ratio == 0); /* since the last reading */
    mf_logger_destroy(logger);
}

/* ---- Descriptors ---- */

static void test_lines_of_descriptors_end(void)
{
    int ends[2];
    char text[2048];
    size_t size = 0;
    ssize_t got = 0;
    mf_logger *logger = make_logger();
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_check_int(pipe(ends), 0);
    mf_check_int(mf_log_add_fd(logger, ends[1], MF_LOG_HUMAN, NULL), MF_OK);
    (void)close(ends[1]); /* the logger has its own */
    log_one(logger, MF_LOG_INFO, "one");
    log_one(logger, MF_LOG_INFO, "two\nlines");
    flush(logger);
    mf_log_stats_read(logger, &stats);
    mf_logger_destroy(logger); /* which closes it: the reading ends */
    while (size < sizeof text - 1 &&
           (got = read(ends[0], text + size, sizeof text - 1 - size)) > 0) {
        size += (size_t)got;
    }
    text[size] = '\0';
    (void)close(ends[0]);
    mf_check_int(stats.bytes, size);
    const char *second = strchr(text, '\n');
    if (mf_check(second != NULL)) {
        mf_check(strncmp(text + 12, " info  e one\n", 13) == 0);
        mf_check_str(second + 1 + 12, " info  e two\\nlines\n");
    }
}

/* ---- Notes ---- */

typedef struct note {
    uint64_t number;
} note;

static void expand(mfi_record *record, const void *data)
{
    const note *at = data;
    mfi_record_message(record, "note %d", (int)at->number);
    mfi_record_uint(record, "number", at->number);
}

/* A note becomes a record of its thread, at the wall clock's reading of its time. */
static void test_notes_are_expanded(void)
{
    static sink json;
    char before[40], after[40], time[40] = "";
    mf_logger *logger = make_logger();
    add_sink(logger, &json, MF_LOG_JSON);
    (void)mfi_format_rfc3339(before, sizeof before, mfi_wall_ns() - 2 * MFI_NS_PER_MS, 6);
    uint64_t now = mfi_monotonic_ns();
    for (uint64_t i = 1; i <= 2; i++) {
        uint64_t ticket = 0;
        note *at = mfi_log_note_begin(logger, MF_LOG_ERROR, "noted", expand, now, &ticket);
        if (mf_check(at != NULL)) {
            at->number = i * 21;
            mfi_log_note_commit(logger, ticket);
        }
    }
    flush(logger);
    (void)mfi_format_rfc3339(after, sizeof after, mfi_wall_ns() + 2 * MFI_NS_PER_MS, 6);
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "\"tid\":%d,\"number\":42}", (int)mfi_log_thread_id());
    mf_check_contains(json.lines[0], "\"event\":\"noted\",\"message\":\"note 21\",\"seq\":1,");
    mf_check_contains(json.lines[1], "\"event\":\"noted\",\"message\":\"note 42\",\"seq\":2,");
    mf_check_contains(json.lines[1], wanted);
    mf_check_int(json.levels[0], MF_LOG_ERROR);
    (void)sscanf(json.lines[0], "{\"timestamp\":\"%39[^\"]", time);
    mf_check(strcmp(time, before) >= 0 && strcmp(time, after) <= 0);
    mf_logger_destroy(logger);
}

/* ---- Sleep, and the end ---- */

static bool sleeps(void *data)
{
    mf_logger *logger = data;
    return atomic_load(&logger->sleeping) == 1;
}

/* A writer that has gone to sleep wakes for one record, without a flush that would wake it. */
static bool has_lines(void *data)
{
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_log_stats_read(data, &stats);
    return stats.records[MF_LOG_INFO] > 0;
}

static void test_sleeping_writer_wakes(void)
{
    static sink json;
    mf_logger *logger = make_logger();
    add_sink(logger, &json, MF_LOG_JSON);
    mf_check(mf_test_until(sleeps, logger, MF_TEST_PATIENCE_MS));
    log_one(logger, MF_LOG_INFO, "wake");
    mf_check(mf_test_until(has_lines, logger, MF_TEST_PATIENCE_MS));
    mf_logger_destroy(logger);
    mf_check_int(json.count, 1);
}

/* What is queued at the end is written, in more than one batch. */
static void test_end_writes_what_is_queued(void)
{
    enum { RECORDS = 3000 };
    char path[512], line[1024];
    unsigned lines = 0, wrong = 0;
    mf_logger *logger = make_logger();
    (void)snprintf(path, sizeof path, "%s/queued", mf_test_temp_dir());
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    for (int i = 0; i < RECORDS; i++) {
        log_one(logger, MF_LOG_INFO, "a message of some length, so that they are many kilobytes");
    }
    mf_logger_destroy(logger);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *seq = strstr(line, "\"seq\":");
        lines++;
        wrong += seq == NULL || strtoul(seq + 6, NULL, 10) != lines;
        wrong += strcmp(line + strlen(line) - 2, "}\n") != 0;
    }
    if (mf_check(file != NULL)) {
        (void)fclose(file);
    }
    mf_check_int(lines, RECORDS);
    mf_check_int(wrong, 0);
}

static const mf_test tests[] = {
    {"writer__each_sink_has_its_format", test_each_sink_has_its_format},
    {"writer__totals_are_those_of_the_sinks", test_totals},
    {"writer__lines_of_descriptors_end", test_lines_of_descriptors_end},
    {"writer__notes_are_expanded", test_notes_are_expanded},
    {"writer__sleeping_one_wakes", test_sleeping_writer_wakes},
    {"writer__end_writes_what_is_queued", test_end_writes_what_is_queued},
};
MF_TEST_MAIN(tests)
