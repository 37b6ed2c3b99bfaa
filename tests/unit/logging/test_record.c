/* Records hold what they are given, in its order, and are cut where it does not fit. */
#include "logging/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "record_support.h"

static mf_logger logger;

static void message_is(const mfi_record *record, const char *wanted)
{
    char text[MFI_MESSAGE_MAX + 1];
    memcpy(text, record->data + record->message_at, record->message_size);
    text[record->message_size] = '\0';
    mf_check_str(text, wanted);
}

static void test_head_and_start(void)
{
    mfi_record record;
    memset(&record, 0xff, sizeof record);
    mfi_log_head(&record, &logger, MF_LOG_ERROR, "e");
    mf_check(record.logger == &logger && record.expand == NULL);
    mf_check_str(record.event, "e");
    mf_check(record.wall_ns == 0 && record.seq == 0 && record.tid == 0 && record.size == 0);
    mf_check_int(record.level, MF_LOG_ERROR);
    mf_check(!record.truncated && !record.in_object && !record.muted);
    uint64_t before = mfi_wall_ns();
    mf_check(mfi_log_start(&logger, MF_LOG_INFO, "f", &record) == &record);
    mf_check(record.wall_ns >= before && record.wall_ns <= mfi_wall_ns());
    mf_check_int(record.tid, syscall(SYS_gettid));
}

/* What is written comes back, of each type, in its order; the message is passed over. */
static void test_entries_come_back(void)
{
    mfi_record record;
    mfi_entry entry;
    size_t at = 0;
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mf_check(!mfi_record_next(&record, &at, &entry));
    mfi_record_str(&record, "s", "text");
    mfi_record_message(&record, "m %d", 7);
    mfi_record_int(&record, "i", -5);
    mfi_record_float(&record, "f", 0.5);
    mfi_record_object_begin(&record, "o");
    mfi_record_ms(&record, "d", 12);
    mfi_record_object_end(&record);
    mfi_record_null(&record, "n");
    message_is(&record, "m 7");
    at = 0;
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_STR);
    mf_check(entry.key_size == 1 && entry.key[0] == 's' && !entry.key_copied);
    mf_check(entry.text_size == 4 && memcmp(entry.text, "text", 4) == 0);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_INT &&
             entry.value.int_value == -5);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_FLOAT &&
             entry.value.float_value == 0.5);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_OBJECT);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_MS &&
             entry.value.uint_value == 12);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_END);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_NULL);
    mf_check(!mfi_record_next(&record, &at, &entry));
    mf_check(!record.truncated);
}

/* ---- Messages ---- */

static void test_messages(void)
{
    mfi_record record;
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message_pair(&record, "Calling", "add");
    message_is(&record, "Calling add");
    mfi_record_message_pair(&record, "alone", NULL);
    message_is(&record, "alone");
    mfi_record_message_strn(&record, "abc", 2);
    message_is(&record, "ab"); /* the last one given counts */
    mfi_record_message(&record, "%s", "");
    message_is(&record, "");
    mf_check(!record.truncated);
}

/* Cut at 1 KiB between characters, by whichever way it came. */
static void test_long_messages_are_cut(void)
{
    char text[2001], wanted[MFI_MESSAGE_MAX + 1];
    memset(text, 'x', sizeof text);
    text[MFI_MESSAGE_MAX - 1] = '\xc3'; /* a character that does not fit by half */
    text[MFI_MESSAGE_MAX] = '\xa4';
    text[sizeof text - 1] = '\0';
    memset(wanted, 'x', MFI_MESSAGE_MAX - 1);
    wanted[MFI_MESSAGE_MAX - 1] = '\0';
    for (int way = 0; way < 2; way++) {
        mfi_record record;
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        if (way == 0) {
            mfi_record_message_strn(&record, text, strlen(text));
        } else {
            mfi_record_message(&record, "%s", text);
        }
        message_is(&record, wanted);
        mf_check(record.truncated);
    }
    mfi_record record;
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message_pair(&record, "Calling", text);
    mf_check(record.truncated && record.message_size <= MFI_MESSAGE_MAX);
    mf_check(memcmp(record.data + record.message_at, "Calling xxx", 11) == 0);
    /* A whole kilobyte is no cut. */
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message_strn(&record, wanted, strlen(wanted));
    mf_check(!record.truncated);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    memset(text, 'y', MFI_MESSAGE_MAX);
    mfi_record_message_strn(&record, text, MFI_MESSAGE_MAX);
    mf_check(!record.truncated && record.message_size == MFI_MESSAGE_MAX);
}

/* ---- What does not fit ---- */

/* Texts of every length before the end: the record never grows beyond its room, says when something
 * was left out, and is read back whole. */
static void test_full_records_are_cut(void)
{
    static char text[3000];
    memset(text, 'x', sizeof text);
    for (size_t length = 1900; length < 2100; length++) {
        mfi_record record;
        mfi_entry entry;
        size_t at = 0, seen = 0, open = 0;
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        mfi_record_strn(&record, "k", text, length);
        bool cut = record.truncated;
        mfi_record_object_begin(&record, "o");
        mfi_record_int(&record, "i", 1);
        mfi_record_object_end(&record);
        mfi_record_int(&record, "j", 1);
        mf_check(record.size <= MFI_RECORD_DATA);
        bool all = !record.truncated;
        while (mfi_record_next(&record, &at, &entry)) {
            open += entry.type == MFI_ENTRY_OBJECT;
            open -= entry.type == MFI_ENTRY_END;
            seen++;
            mf_check(seen > 1 || (entry.text_size == length) == !cut);
        }
        mf_check_int(at, record.size);
        mf_check_int(open, 0);                /* each object that begins ends */
        mf_check_int(all, seen == 5 && !cut); /* all of them, or the record says so */
    }
}

/* A message that finds no room at all leaves the record as it is. */
static void test_message_without_room(void)
{
    static char text[3000];
    memset(text, 'x', sizeof text);
    for (size_t length = 1990; length < 2010; length++) {
        mfi_record record;
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        mfi_record_strn(&record, "k", text, length);
        mfi_record_message(&record, "%s", "m");
        mf_check(record.size <= MFI_RECORD_DATA);
        mf_check_int(record.truncated, record.message_size == 0);
    }
}

/* The fields of an object that did not fit do not become fields of the record. */
static void test_object_without_room_is_muted(void)
{
    static char text[3000];
    mfi_record record;
    mfi_entry entry;
    size_t at = 0;
    memset(text, 'x', sizeof text);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_strn(&record, "k", text, MFI_RECORD_DATA);
    mfi_record_object_begin(&record, "fields");
    mf_check(record.muted && record.truncated);
    record.size = 0; /* as if there were room again */
    mfi_record_int(&record, "i", 1);
    mf_check_int(record.size, 0);
    mfi_record_object_end(&record);
    mf_check(!record.muted);
    mfi_record_int(&record, "i", 1);
    mf_check(mfi_record_next(&record, &at, &entry) && entry.type == MFI_ENTRY_INT);
}

/* ---- Of users ---- */

static void check_json(const mfi_record *record, const char *rest)
{
    char *line = json_of(&logger, record);
    const char *tail = strstr(line, ",\"tid\":7");
    mf_check_str(tail != NULL ? tail + 8 : line, rest);
    free(line);
}

static void test_user_fields(void)
{
    char key[200];
    mfi_record record;
    bare_logger_init(&logger);
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    const mf_log_field fields[] = {MF_FIELD("i", -1),
                                   MF_FIELD("u", 2u),
                                   MF_FIELD("f", 0.5),
                                   MF_FIELD("b", (bool)true),
                                   MF_FIELD("s", "x"),
                                   MF_FIELD("n", (const char *)NULL),
                                   MF_FIELD("nan", 0.0 / 0.0),
                                   MF_FIELD((const char *)NULL, 1),
                                   MF_FIELD("", 1),
                                   {"odd", (mf_log_type)99, {0}}};
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        mfi_record_user_field(&record, &fields[i]);
    }
    check_json(&record, ",\"i\":-1,\"u\":2,\"f\":0.5,\"b\":true,\"s\":\"x\",\"\":1}");
    mf_check(!record.truncated);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mf_log_field field = mf_log_field_int(key, 1);
    mfi_record_user_field(&record, &field);
    char wanted[256];
    (void)snprintf(wanted, sizeof wanted, ",\"%.128s\":1,\"truncated\":true}",
                   key); /* cut at 128 bytes */
    check_json(&record, wanted);
    bare_logger_fini(&logger);
}

/* Values whose keys sound secret are not written, whatever their type. */
static void test_secrets_are_masked(void)
{
    static const char *const secret[] = {"password",  "db_Password", "TOKEN",   "x-authorization",
                                         "my_secret", "cookies",     "API_KEY", "tokens"};
    static const char *const open[] = {"pass", "key", "api-key", "author", "tok"};
    bare_logger_init(&logger);
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++) {
        const mf_log_field fields[] = {MF_FIELD(secret[i], "hunter2"), MF_FIELD(secret[i], 4711)};
        for (size_t f = 0; f < 2; f++) {
            mfi_record record;
            char wanted[128];
            fixed_record(&record, &logger, MF_LOG_INFO, "e");
            mfi_record_user_field(&record, &fields[f]);
            (void)snprintf(wanted, sizeof wanted, ",\"%s\":\"[redacted]\"}", secret[i]);
            check_json(&record, wanted);
        }
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        mfi_record record;
        char wanted[128];
        mf_log_field field = mf_log_field_str(open[i], "v");
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        mfi_record_user_field(&record, &field);
        (void)snprintf(wanted, sizeof wanted, ",\"%s\":\"v\"}", open[i]);
        check_json(&record, wanted);
    }
    bare_logger_fini(&logger);
}

/* ---- The call that runs ---- */

static void test_context(void)
{
    mfi_record record;
    mf_context context = {.correlation_id = "c", .request_id = "r"};
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_context(&record, NULL);
    check_json(&record, "}");
    mfi_record_context(&record, &(mf_context){.trace_flags = 1});
    check_json(&record, "}");
    mfi_record_context(&record, &context);
    check_json(&record, ",\"correlation_id\":\"c\",\"request_id\":\"r\"}");
    context = (mf_context){.correlation_id = "c",
                           .trace_id = "t",
                           .span_id = "s",
                           .parent_span_id = "p",
                           .request_id = "r",
                           .parent_request_id = "q",
                           .trace_flags = 0x1f};
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_context(&record, &context);
    check_json(&record, ",\"correlation_id\":\"c\",\"trace_id\":\"t\",\"span_id\":\"s\","
                        "\"parent_span_id\":\"p\",\"request_id\":\"r\","
                        "\"parent_request_id\":\"q\",\"trace_flags\":\"1f\"}");
    logger.gate.no_correlation_ids = true;
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_context(&record, &context);
    check_json(&record, "}");
    bare_logger_fini(&logger);
}

static void test_gate(void)
{
    mfi_record record;
    memset(&logger, 0, sizeof logger);
    logger.gate.least = MF_LOG_WARN;
    mf_check(!mfi_log_enabled(NULL, MF_LOG_FATAL));
    mf_check(!mfi_log_enabled(&logger, MF_LOG_INFO));
    mf_check(mfi_log_enabled(&logger, MF_LOG_WARN));
    mf_check(mfi_log_begin(&logger, MF_LOG_INFO, "e", &record) == NULL);
    mf_check(mfi_log_begin(&logger, MF_LOG_WARN, "e", &record) == &record);
    logger.gate.least = MF_LOG_OFF;
    mf_check(mfi_log_begin(&logger, MF_LOG_FATAL, "e", &record) == NULL);
}

static const mf_test tests[] = {
    {"record__head_and_start", test_head_and_start},
    {"record__entries_come_back_in_their_order", test_entries_come_back},
    {"record__messages", test_messages},
    {"record__long_messages_are_cut_between_characters", test_long_messages_are_cut},
    {"record__full_ones_are_cut_and_say_so", test_full_records_are_cut},
    {"record__message_without_room", test_message_without_room},
    {"record__object_without_room_is_muted", test_object_without_room_is_muted},
    {"record__user_fields", test_user_fields},
    {"record__secrets_are_masked", test_secrets_are_masked},
    {"record__context_leaves_out_what_is_empty", test_context},
    {"record__gate_lets_through_what_is_enabled", test_gate},
};
MF_TEST_MAIN(tests)
