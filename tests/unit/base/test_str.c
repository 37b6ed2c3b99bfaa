/* Text is checked, cut, escaped and formatted as str.h says, and numbers as the C library prints
 * them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "mf_test.h"

static void test_utf8(void)
{
    mf_check(mfi_utf8_valid("gr\xc3\xbc\xc3\x9f", 6));
    mf_check(!mfi_utf8_valid("\xc0\xaf", 2));            /* overlong */
    mf_check(!mfi_utf8_valid("\xed\xa0\x80", 3));        /* surrogate */
    mf_check(!mfi_utf8_valid("\xf4\x90\x80\x80", 4));    /* beyond U+10FFFF */
    mf_check(!mfi_utf8_valid("abcdefgh\xc3", 9));        /* cut */
    mf_check_int(mfi_utf8_prefix("a\xc3\xbc", 3, 2), 1); /* no half character */
    mf_check_int(mfi_utf8_prefix("a\xc3\xbc", 3, 3), 3);
}

/* Texts are looked at by words that overlap: each byte counts, at each length. */
static void test_each_byte_counts(void)
{
    char text[132];
    for (size_t length = 1; length <= sizeof text; length++) {
        memset(text, 'x', sizeof text);
        mf_check(mfi_utf8_valid(text, length));
        mf_check(mfi_correlation_id_valid(text, length) == (length <= 128));
        for (size_t at = 0; at < length; at++) {
            text[at] = (char)0xff;
            mf_check(!mfi_utf8_valid(text, length));
            mf_check(!mfi_correlation_id_valid(text, length));
            text[at] = 'x';
        }
    }
    mf_check(mfi_utf8_valid("", 0));
    mf_check(!mfi_correlation_id_valid("", 0));
}

static void test_correlation_ids(void)
{
    static const char fit[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._:-";
    char text[12] = "";
    for (int c = 0; c <= 0xff; c++) {
        bool fits = memchr(fit, c, sizeof fit - 1) != NULL;
        for (size_t at = 0; at < sizeof text; at++) {
            memset(text, 'A', sizeof text);
            text[at] = (char)c;
            mf_check(mfi_correlation_id_valid(text, sizeof text) == fits);
            mf_check(mfi_correlation_id_valid(text, at + 1) == fits);
        }
    }
}

static void test_json_escapes(void)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mfi_str_append_json(&buf, "a\"\\\n\x01\x7f\xc2\x85\xff", 9);
    mfi_buf_append_byte(&buf, 0);
    mf_check_str((const char *)buf.data, "a\\\"\\\\\\n\\u0001\\u007f\\u0085\xef\xbf\xbd");
    mfi_buf_fini(&buf);
}

static void test_numbers(void)
{
    int64_t number = 0;
    mf_check(mfi_parse_int("65535", 0, 65535, &number) && number == 65535);
    mf_check(!mfi_parse_int("65536", 0, 65535, &number));
    mf_check(!mfi_parse_int("5555x", 0, 65535, &number));
    mf_check(!mfi_parse_int(" 5", 0, 65535, &number));
    mf_check(!mfi_parse_int("", 0, 65535, &number));
}

static void test_digits(void)
{
    static const uint64_t values[] = {0,
                                      9,
                                      10,
                                      99,
                                      100,
                                      12345,
                                      999999,
                                      UINT64_MAX,
                                      UINT64_MAX / 10,
                                      10000000000000000000u,
                                      9999999999999999999u};
    char text[32];
    char expected[32];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        *mfi_str_put_u64(text, values[i]) = '\0';
        (void)snprintf(expected, sizeof expected, "%llu", (unsigned long long)values[i]);
        mf_check_str(text, expected);
    }
    *mfi_str_put_padded(text, 42, 5) = '\0';
    mf_check_str(text, "00042");
}

static void test_times(void)
{
    char text[40];
    (void)mfi_format_rfc3339(text, sizeof text, UINT64_C(1709164800123456789), 6);
    mf_check_str(text, "2024-02-29T00:00:00.123456Z");
    mf_check_int(mfi_deadline_after_ms(5, INT64_MAX) == MFI_NEVER, 1);
    mf_check_int(mfi_deadline_after_ms(MFI_NEVER - 5, 1) == MFI_NEVER, 1);
    mf_check_int(mfi_poll_timeout_ms(1000001, 0), 2);
    mf_check_int(mfi_poll_timeout_ms(MFI_NEVER, 0), -1);
}

static void test_uuids(void)
{
    char text[MFI_UUID_TEXT];
    mfi_uuid back;
    mfi_uuid uuid = mfi_uuid_make();
    mfi_uuid_format(&uuid, text);
    mf_check_int(text[14], '4');
    mf_check(strchr("89ab", text[19]) != NULL);
    mf_check(mfi_uuid_parse(text, 36, &back));
    mf_check_int(memcmp(&back, &uuid, sizeof back), 0);
    text[8] = 'x';
    mf_check(!mfi_uuid_parse(text, 36, &back));
}

typedef struct sample_options {
    size_t struct_size;
    int first, second;
} sample_options;

static void test_options(void)
{
    struct {
        sample_options known;
        int unknown[2];
    } larger = {{sizeof larger, 1, 2}, {0, 0}};
    sample_options copy;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_options_copy(&copy, sizeof copy, sizeof copy, &larger, "sample", &error),
                 MF_OK);
    mf_check_int(copy.second, 2);
    larger.unknown[0] = 7;
    mf_check_int(mfi_options_copy(&copy, sizeof copy, sizeof copy, &larger, "sample", &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "does not know");
    larger.unknown[0] = 0;
    larger.known.struct_size = SIZE_MAX; /* no byte behind the struct is read */
    mf_check_int(mfi_options_copy(&copy, sizeof copy, sizeof copy, &larger, "sample", &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "which no version has");
    sample_options zero = {0, 0, 0};
    mf_check_int(mfi_options_copy(&copy, sizeof copy, sizeof copy, &zero, "sample", &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "struct_size is 0");
}

static void test_every_code_has_its_words(void)
{
    static const char *const statuses =
        " ok app_error function_not_found invalid_argument timeout cancelled circuit_open rejected "
        "unavailable worker_crashed protocol_error internal ";
    static const char *const kinds = " ok remote timeout circuit notrunning other ";
    for (int code = MF_OK; code <= MF_ERR_INTERNAL; code++) {
        char word[64];
        (void)mfi_str_format(word, sizeof word, " %s ", mf_err_status((mf_status)code));
        mf_check_contains(statuses, word);
        (void)mfi_str_format(word, sizeof word, " %s ", mf_err_kind((mf_status)code));
        mf_check_contains(kinds, word);
        for (int other = MF_OK; other < code; other++) {
            mf_check(strcmp(mf_err_name((mf_status)code), mf_err_name((mf_status)other)) != 0);
        }
    }
    mf_check_str(mf_err_name((mf_status)9999), "unknown");
}

static void test_dates_are_those_of_the_c_library(void)
{
    for (int64_t day = 0; day < 366 * 500; day += day % 59 == 0 ? 1 : 17) {
        char expected[40];
        char text[40];
        struct tm parts;
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        uint64_t wall_ns = (uint64_t)seconds * UINT64_C(1000000000);
        mf_check(gmtime_r(&seconds, &parts) != NULL);
        (void)strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &parts);
        (void)mfi_format_rfc3339(text, sizeof text, wall_ns, 0);
        mf_check_str(text, expected);
    }
}

static void test_visible_text_is_cut_between_escapes(void)
{
    char text[9];
    mf_check_int(mfi_str_copy_visible(text, sizeof text, "a\x1b[m\n\tb", 7), 8);
    mf_check_str(text, "a\\x1b[m\n");
    mf_check_int(mfi_str_copy_visible(text, sizeof text, "123456\x1b", 7), 6);
    mf_check_str(text, "123456");
    mf_check_int(mfi_str_copy_visible(text, sizeof text, "123456\xe2\x82\xac", 9), 6);
    mf_check_int(mfi_str_copy_visible(text, sizeof text, "", 0), 0);
    mf_check_str(text, "");
}

static const mf_test tests[] = {
    {"times__dates_are_those_of_the_c_library", test_dates_are_those_of_the_c_library},
    {"text__visible_text_is_cut_between_escapes", test_visible_text_is_cut_between_escapes},
    {"utf8__malformed_is_found_and_never_cut", test_utf8},
    {"text__each_byte_counts_at_each_length", test_each_byte_counts},
    {"correlation_id__has_its_characters_and_no_others", test_correlation_ids},
    {"json__control_characters_are_escaped", test_json_escapes},
    {"numbers__are_read_strictly_and_written_shortest", test_numbers},
    {"numbers__digits_fill_their_width", test_digits},
    {"times__saturate_and_format", test_times},
    {"uuid__is_version_4_and_reads_back", test_uuids},
    {"options__grow_without_breaking_callers", test_options},
    {"errors__every_code_has_its_words", test_every_code_has_its_words},
};
MF_TEST_MAIN(tests)
