/* Records as a person reads them, to the byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record_support.h"

static mf_logger logger;

static void check_line(const mfi_record *record, const char *wanted)
{
    char *line = human_of(&logger, record);
    mf_check_str(line, wanted);
    free(line);
}

static void test_levels_are_aligned(void)
{
    static const char *const lines[] = {"",
                                        "00:00:00.123 trace e m",
                                        "00:00:00.123 debug e m",
                                        "00:00:00.123 info  e m",
                                        "00:00:00.123 warn  e m",
                                        "00:00:00.123 error e m",
                                        "00:00:00.123 fatal e m"};
    bare_logger_init(&logger);
    for (int level = MF_LOG_TRACE; level <= MF_LOG_FATAL; level++) {
        mfi_record record;
        fixed_record(&record, &logger, (mf_log_level)level, "e");
        mfi_record_message(&record, "m");
        check_line(&record, lines[level]);
    }
    bare_logger_fini(&logger);
}

static void test_every_type_has_its_text(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_WARN, "request_timeout");
    mfi_record_message_pair(&record, "Failed", "add");
    mfi_record_str(&record, "target", "math");
    mfi_record_int(&record, "a", INT64_MIN);
    mfi_record_uint(&record, "b", UINT64_MAX);
    mfi_record_float(&record, "c", -0.25);
    mfi_record_ms(&record, "d", 1234567);
    mfi_record_ms(&record, "e", 999);
    mfi_record_bool(&record, "f", true);
    mfi_record_bool(&record, "g", false);
    mfi_record_null(&record, "h");
    char *line = human_of(&logger, &record);
    mf_check_str(strstr(line, "request"),
                 "request_timeout Failed add target=math a=-9223372036854775808 "
                 "b=18446744073709551615 c=-0.25 d=1.234 e=0.000 f=true g=false h=-");
    free(line);
    bare_logger_fini(&logger);
}

/* What a terminal would obey is escaped. */
static void test_controls_are_escaped(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "a\nb\x1b[31m\xff\xc3\xa4");
    mfi_record_str(&record, "k", "\x7f\"\r");
    mf_log_field field = mf_log_field_str("us\ner", "x");
    mfi_record_user_field(&record, &field);
    char *line = human_of(&logger, &record);
    mf_check_contains(line, " e a\\nb\\u001b[31m\xef\xbf\xbd\xc3\xa4 k=\\u007f\\\"\\r us\\ner=x");
    mf_check(strchr(line, '\n') == NULL && strchr(line, '\x1b') == NULL);
    free(line);
    bare_logger_fini(&logger);
}

static void test_objects_stand_in_line(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "m");
    mfi_record_object_begin(&record, "fields");
    mfi_record_int(&record, "x", 1);
    mfi_record_object_end(&record);
    mfi_record_int(&record, "y", 2);
    char *line = human_of(&logger, &record);
    mf_check_contains(line, " e m x=1 y=2");
    mf_check_str(strstr(line, " e m"), " e m x=1 y=2");
    free(line);
    bare_logger_fini(&logger);
}

static void test_user_events_and_empty_records(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_ERROR, "invalid_event");
    mfi_record_user_event(&record, "cache.miss");
    check_line(&record, "00:00:00.123 error cache.miss ");
    bare_logger_fini(&logger);
}

/* A field of the program's with a key of the library's says where it comes from. */
static void test_a_key_stands_once(void)
{
    mfi_record record;
    const mf_log_field fields[] = {mf_log_field_int("target", 1), mf_log_field_int("a", 2),
                                   mf_log_field_int("a", 3)};
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_ERROR, "e");
    mfi_record_str(&record, "target", "math");
    mfi_record_object_begin(&record, "fields");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        mfi_record_user_field(&record, &fields[i]);
    }
    mfi_record_object_end(&record);
    record.truncated = true;
    check_line(&record, "00:00:00.123 error e  target=math fields.target=1 a=2 truncated=true");
    bare_logger_fini(&logger);
}

static const mf_test tests[] = {
    {"human__levels_are_aligned", test_levels_are_aligned},
    {"human__every_type_has_its_text", test_every_type_has_its_text},
    {"human__controls_are_escaped", test_controls_are_escaped},
    {"human__objects_stand_in_line", test_objects_stand_in_line},
    {"human__user_events_and_empty_records", test_user_events_and_empty_records},
    {"human__a_key_stands_once", test_a_key_stands_once},
};
MF_TEST_MAIN(tests)
