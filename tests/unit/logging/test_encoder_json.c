/* One record as a line of JSON, to the byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/str.h"
#include "mf_alloc.h"
#include "record_support.h"

static mf_logger logger;

/* The line of a fixed record, with what follows its fixed fields. */
static void check_rest(const mfi_record *record, const char *event, const char *rest)
{
    char wanted[4096];
    char *line = json_of(&logger, record);
    (void)snprintf(
        wanted, sizeof wanted,
        "{\"timestamp\":\"2026-01-01T00:00:00.123456Z\",\"level\":\"info\","
        "\"severity_number\":9,\"event\":\"%s\",\"message\":\"m\",\"seq\":3,"
        "\"service\":\"s\",\"instance\":\"i\",\"role\":\"parent\",\"pid\":%d,\"tid\":7%s",
        event, (int)getpid(), rest);
    mf_check_str(line, wanted);
    free(line);
}

static void test_fixed_fields(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "m");
    check_rest(&record, "e", "}");
    fixed_record(&record, &logger, MF_LOG_INFO, "invalid_event");
    mfi_record_user_event(&record, "cache.miss");
    mfi_record_message(&record, "m");
    check_rest(&record, "cache.miss", "}");
    bare_logger_fini(&logger);
}

static void test_levels_have_numbers(void)
{
    static const char *const parts[] = {"",
                                        "\"level\":\"trace\",\"severity_number\":1,",
                                        "\"level\":\"debug\",\"severity_number\":5,",
                                        "\"level\":\"info\",\"severity_number\":9,",
                                        "\"level\":\"warn\",\"severity_number\":13,",
                                        "\"level\":\"error\",\"severity_number\":17,",
                                        "\"level\":\"fatal\",\"severity_number\":21,"};
    bare_logger_init(&logger);
    for (int level = MF_LOG_TRACE; level <= MF_LOG_FATAL; level++) {
        mfi_record record;
        fixed_record(&record, &logger, (mf_log_level)level, "e");
        char *line = json_of(&logger, &record);
        mf_check_contains(line, parts[level]);
        free(line);
    }
    bare_logger_fini(&logger);
}

static void test_every_type_has_its_text(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "m");
    mfi_record_str(&record, "s", "text");
    mfi_record_strn(&record, "n", "text", 2);
    mfi_record_str(&record, "none", NULL);
    mfi_record_int(&record, "i", INT64_MIN);
    mfi_record_int(&record, "j", INT64_MAX);
    mfi_record_uint(&record, "u", UINT64_MAX);
    mfi_record_float(&record, "f", 1e300);
    mfi_record_float(&record, "nan", (double)NAN);
    mfi_record_float(&record, "inf", (double)INFINITY);
    mfi_record_ms(&record, "d", 1234567);
    mfi_record_ms(&record, "l", 61 * UINT64_C(1000000000) + 1);
    mfi_record_bool(&record, "t", true);
    mfi_record_bool(&record, "b", false);
    mfi_record_null(&record, "z");
    check_rest(&record, "e",
               ",\"s\":\"text\",\"n\":\"te\",\"i\":-9223372036854775808,\"j\":9223372036854775807,"
               "\"u\":18446744073709551615,\"f\":1e+300,\"d\":1.234567,\"l\":61000.000001,"
               "\"t\":true,\"b\":false,\"z\":null}");
    bare_logger_fini(&logger);
}

static void test_objects(void)
{
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "m");
    mfi_record_object_begin(&record, "empty");
    mfi_record_object_end(&record);
    mfi_record_object_begin(&record, "fields");
    mfi_record_int(&record, "x", 1);
    mfi_record_int(&record, "y", 2);
    mfi_record_object_end(&record);
    mfi_record_object_begin(&record, "more");
    mfi_record_null(&record, "z");
    mfi_record_object_end(&record);
    mfi_record_int(&record, "last", 3);
    check_rest(&record, "e",
               ",\"empty\":{},\"fields\":{\"x\":1,\"y\":2},\"more\":{\"z\":null},\"last\":3}");
    bare_logger_fini(&logger);
}

/* Each byte at each place of a word: eight are looked at at once, and that must not show. */
static void test_every_byte_is_escaped_as_in_general(void)
{
    int wrong = 0;
    bare_logger_init(&logger);
    for (int byte = 1; byte < 256; byte++) {
        for (size_t at = 0; at < 20; at++) {
            char text[21];
            mfi_record record;
            mfi_buf wanted;
            memset(text, 'x', 20);
            text[20] = '\0';
            text[at] = (char)byte;
            fixed_record(&record, &logger, MF_LOG_INFO, "e");
            mfi_record_str(&record, "k", text);
            char *line = json_of(&logger, &record);
            mfi_buf_init(&wanted, 0);
            mfi_buf_append_str(&wanted, ",\"k\":\"");
            mfi_str_append_json(&wanted, text, 20);
            mfi_buf_append(&wanted, "\"}", 3); /* and its end */
            const char *found = strstr(line, ",\"k\":\"");
            wrong += found == NULL || strcmp(found, (const char *)wanted.data) != 0;
            mfi_buf_fini(&wanted);
            free(line);
        }
    }
    mf_check_int(wrong, 0);
    bare_logger_fini(&logger);
}

/* Keys of users are escaped; a name of the service, too. */
static void test_foreign_texts_break_nothing(void)
{
    mfi_record record;
    mf_log_field field = mf_log_field_int("a\"\n", 1);
    memset(&logger, 0, sizeof logger);
    mf_check(mfi_encoder_constant(&logger.head, "s\"1", "i\n", "\\"));
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_user_field(&record, &field);
    char *line = json_of(&logger, &record);
    mf_check_contains(line,
                      "\"service\":\"s\\\"1\",\"instance\":\"i\\n\",\"role\":\"\\\\\",\"pid\":");
    mf_check_contains(line, ",\"a\\\"\\n\":1}");
    cJSON *json = cJSON_Parse(line);
    mf_check(json != NULL);
    cJSON_Delete(json);
    free(line);
    bare_logger_fini(&logger);
}

/* The text of a second is kept: the next one, and an earlier one, get their own. */
static void test_time_goes_either_way(void)
{
    static const struct {
        uint64_t wall_ns;
        const char *text;
    } times[] = {{UINT64_C(1767225600000000000), "2026-01-01T00:00:00.000000Z"},
                 {UINT64_C(1767225600999999999), "2026-01-01T00:00:00.999999Z"},
                 {UINT64_C(1767225601000001000), "2026-01-01T00:00:01.000001Z"},
                 {UINT64_C(1767225599999000000), "2025-12-31T23:59:59.999000Z"},
                 {0, "1970-01-01T00:00:00.000000Z"}};
    bare_logger_init(&logger);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        mfi_record record;
        char wanted[64];
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        record.wall_ns = times[i].wall_ns;
        char *line = json_of(&logger, &record);
        (void)snprintf(wanted, sizeof wanted, "{\"timestamp\":\"%s\",", times[i].text);
        mf_check(strncmp(line, wanted, strlen(wanted)) == 0);
        free(line);
    }
    bare_logger_fini(&logger);
}

/* A line is at most 8 KiB, JSON, and says that it was cut. */
static void test_long_lines_are_cut(void)
{
    char text[1501];
    mfi_record record;
    memset(text, 1, sizeof text - 1); /* six bytes each */
    text[sizeof text - 1] = '\0';
    bare_logger_init(&logger);
    for (size_t length = 0; length < sizeof text; length += 50) {
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        mfi_record_message_strn(&record, text, length / 4);
        mfi_record_strn(&record, "k", text, length);
        mf_check(!record.truncated);
        char *line = json_of(&logger, &record);
        bool fits = (length / 4 + length) * 6 < MFI_LINE_MAX_BYTES - 300;
        mf_check(strlen(line) <= MFI_LINE_MAX_BYTES);
        mf_check_int(strstr(line, ",\"truncated\":true}") == NULL, fits);
        cJSON *json = cJSON_Parse(line);
        const char *kept = cJSON_GetStringValue(cJSON_GetObjectItem(json, "k"));
        mf_check(kept != NULL && strncmp(kept, text, strlen(kept)) == 0);
        mf_check(kept != NULL && (!fits || strlen(kept) == length));
        cJSON_Delete(json);
        free(line);
    }
    /* A record that was cut when it was made says so as well. */
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "m");
    record.truncated = true;
    check_rest(&record, "e", ",\"truncated\":true}");
    bare_logger_fini(&logger);
}

/* A full record of the smallest entries: the line has those that have room, each of them whole. */
static void test_many_small_fields(void)
{
    static const char key[] = "a_key_that_is_as_long_as_one_ever_gets_in_this_library_60_char";
    mfi_record record;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    size_t count = 0;
    while (!record.truncated) {
        mfi_record_null(&record, key);
        count += !record.truncated;
    }
    char *line = json_of(&logger, &record);
    cJSON *json = cJSON_Parse(line);
    mf_check(count > 190);
    mf_check(strlen(line) <= MFI_LINE_MAX_BYTES);
    mf_check(strlen(line) > MFI_LINE_MAX_BYTES - sizeof key - 40);
    mf_check(cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")));
    mf_check(cJSON_IsNull(cJSON_GetObjectItem(json, key)));
    mf_check(cJSON_GetArraySize(json) > 12 + 100);
    cJSON_Delete(json);
    free(line);
    bare_logger_fini(&logger);
}

/* However long keys and texts get when they are escaped: a line for a pipe is one write. */
static void test_lines_fit_a_pipe(void)
{
    char key[128], text[300];
    mfi_record record;
    mfi_buf line;
    memset(key, 1, sizeof key - 1);
    key[sizeof key - 1] = '\0';
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    bare_logger_init(&logger);
    for (size_t skipped = 0; skipped + 2 < sizeof key; skipped++) {
        fixed_record(&record, &logger, MF_LOG_INFO, "e");
        mfi_record_message_strn(&record, text, sizeof text - 1);
        mfi_record_object_begin(&record, "fields");
        for (size_t i = 0; i < 12; i++) {
            char own[128];
            (void)snprintf(own, sizeof own, "%zu%s", i, key + skipped + (i < 10 ? 1 : 2));
            mf_log_field field = mf_log_field_int(own, 1);
            mfi_record_user_field(&record, &field);
        }
        mfi_record_object_end(&record);
        mfi_record_str(&record, "last", text);
        mfi_buf_init(&line, 0);
        mfi_encoder_json(&line, &logger.head, &record, MFI_LINE_MAX_PIPE - 1);
        mfi_buf_append_byte(&line, '\0');
        mf_check(line.size <= MFI_LINE_MAX_PIPE);
        cJSON *json = cJSON_Parse((const char *)line.data);
        const cJSON *fields = cJSON_GetObjectItem(json, "fields");
        mf_check(fields != NULL);
        bool is_whole =
            cJSON_GetArraySize(fields) == 12 &&
            cJSON_GetStringValue(cJSON_GetObjectItem(json, "last")) != NULL &&
            strlen(cJSON_GetStringValue(cJSON_GetObjectItem(json, "message"))) == sizeof text - 1;
        mf_check(is_whole || cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")));
        cJSON_Delete(json);
        mfi_buf_fini(&line);
    }
    bare_logger_fini(&logger);
}

static void test_long_names_of_the_logger(void)
{
    static char text[5000];
    mfi_record record;
    memset(text, 1, sizeof text - 1);
    memset(&logger, 0, sizeof logger);
    mf_check(mfi_encoder_constant(&logger.head, text, text, text));
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    char *line = json_of(&logger, &record);
    mf_check(strlen(line) < 2048);
    mf_check_contains(line, ",\"truncated\":true}");
    free(line);
    bare_logger_fini(&logger);
}

/* Of two fields with one key the first stays; the library's own come first. */
static void test_a_key_stands_once(void)
{
    mfi_record record;
    const mf_log_field fields[] = {mf_log_field_int("name", 1), mf_log_field_int("a", 2),
                                   mf_log_field_str("a", "3"), mf_log_field_int("target", 4)};
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_record_message(&record, "m");
    mfi_record_str(&record, "target", "math");
    mfi_record_object_begin(&record, "fields");
    mfi_record_str(&record, "name", "own");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        mfi_record_user_field(&record, &fields[i]);
    }
    mfi_record_object_end(&record);
    check_rest(&record, "e",
               ",\"target\":\"math\",\"fields\":{\"name\":\"own\",\"a\":2,\"target\":4}}");
    bare_logger_fini(&logger);
}

static void test_without_memory(void)
{
    mfi_record record;
    mfi_buf line;
    bare_logger_init(&logger);
    fixed_record(&record, &logger, MF_LOG_INFO, "e");
    mfi_buf_init(&line, 0);
    mf_alloc_fail_at(0);
    mfi_encoder_json(&line, &logger.head, &record, MFI_LINE_MAX_BYTES);
    mf_check(mf_alloc_stop());
    mf_check(line.failed && line.size == 0);
    mfi_buf_fini(&line);
    bare_logger_fini(&logger);
    mf_logger other;
    memset(&other, 0, sizeof other);
    mf_alloc_fail_at(0);
    mf_check(!mfi_encoder_constant(&other.head, "s", "i", "r"));
    mf_check(mf_alloc_stop());
    mfi_buf_fini(&other.head.constant);
}

static const mf_test tests[] = {
    {"json__fixed_fields_have_their_order", test_fixed_fields},
    {"json__levels_have_numbers", test_levels_have_numbers},
    {"json__every_type_has_its_text", test_every_type_has_its_text},
    {"json__objects", test_objects},
    {"json__every_byte_is_escaped_as_in_general", test_every_byte_is_escaped_as_in_general},
    {"json__foreign_texts_break_nothing", test_foreign_texts_break_nothing},
    {"json__time_goes_either_way", test_time_goes_either_way},
    {"json__long_lines_are_cut", test_long_lines_are_cut},
    {"json__many_small_fields_have_room", test_many_small_fields},
    {"json__lines_fit_a_pipe", test_lines_fit_a_pipe},
    {"json__long_names_of_the_logger_are_cut", test_long_names_of_the_logger},
    {"json__a_key_stands_once", test_a_key_stands_once},
    {"json__without_memory_there_is_no_line", test_without_memory},
};
MF_TEST_MAIN(tests)
