/* Doubles are written and read as number.h says, in the C locale and in one whose point is a comma.
 */
#include "base/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "mf_locale.h"
#include "mf_test.h"

static void test_special_values(void)
{
    char text[48];
    (void)mfi_format_double(text, sizeof text, 0.1, false);
    mf_check_str(text, "0.1");
    (void)mfi_format_double(text, sizeof text, 1, true);
    mf_check_str(text, "1.0");
    (void)mfi_format_double(text, sizeof text, (double)INFINITY, true);
    mf_check_str(text, "+Inf");
    (void)mfi_format_double(text, sizeof text, -(double)INFINITY, true);
    mf_check_str(text, "-Inf");
    (void)mfi_format_double(text, sizeof text, (double)NAN, true);
    mf_check_str(text, "NaN");
}

/* Shortest of 15 to 17 digits, the way that the C library finds it. */
static void expect_double(double value)
{
    char text[48];
    char expected[48];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(expected, sizeof expected, "%.*g", digits, value);
        if (strtod(expected, NULL) == value) {
            break;
        }
    }
    (void)mfi_format_double(text, sizeof text, value, false);
    mf_check_str(text, expected);
}

static void test_doubles_as_printed(void)
{
    static const double edges[] = {0,
                                   -0.0,
                                   1e-4,
                                   9.9999e-5,
                                   0.0001234,
                                   1e6,
                                   999999.999999999,
                                   1e15,
                                   -1e15,
                                   999999999999999.0,
                                   1e-9,
                                   0.1 + 0.2,
                                   0.3,
                                   1e300,
                                   -0.25,
                                   123456.789012345,
                                   4503599627370496.5,
                                   5e-324};
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        expect_double(edges[i]);
        expect_double(-edges[i]);
    }
    for (int i = 0; i < 20000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        expect_double((double)(state >> i % 64) / 1e9);
        expect_double((double)(state >> i % 64));
        expect_double((double)(state >> 11) * 0x1p-53);
        expect_double((double)(state % 1000000) / 1000);
    }
}

/* ---- What the functions write and read, whatever the locale is ---- */

typedef struct text_case {
    double value;
    const char *shortest, *measured, *fixed; /* fixed: two decimals */
} text_case;

static const text_case texts[] = {
    {0, "0", "0", "0.00"},
    {-0.5, "-0.5", "-0.5", "-0.50"},
    {0.1 + 0.2, "0.30000000000000004", "0.3", "0.30"},
    {1.0 / 3, "0.3333333333333333", "0.333333", "0.33"},
    {2.0 / 3, "0.6666666666666666", "0.666667", "0.67"},
    {250.40000000000003, "250.40000000000003", "250.4", "250.40"},
    {1234567.891, "1234567.891", "1234567.891", "1234567.89"},
    {0.00001234567, "1.234567e-05", "1.23457e-05", "0.00"},
    {999999.9999, "999999.9999", "1000000", "1000000.00"},
    {123456789012345680.0, "1.2345678901234568e+17", "1.2345678901234568e+17",
     "123456789012345680.00"},
    {1e300, "1e+300", "1e+300", NULL},
    {5e-324, "4.94065645841247e-324", "4.94065645841247e-324", "0.00"},
};

static void check_texts(void)
{
    char text[64];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const text_case *at = &texts[i];
        (void)mfi_format_double(text, sizeof text, at->value, false);
        mf_check_str(text, at->shortest);
        (void)mfi_format_measured(text, sizeof text, at->value);
        mf_check_str(text, at->measured);
        if (at->fixed != NULL) {
            (void)mfi_format_fixed(text, sizeof text, at->value, 2);
            mf_check_str(text, at->fixed);
        }
    }
    mf_check_str(mfi_fixed_text(2.25, 1).text, "2.2");
}

static void check_read(const char *text, size_t used, double wanted)
{
    double value = -7;
    mf_check_int(mfi_read_double(text, strlen(text), &value), (int64_t)used);
    mf_check(value == (used > 0 ? wanted : -7));
    mf_check(mfi_parse_double(text, strlen(text), &value) == (used > 0 && used == strlen(text)));
}

static void check_reading(void)
{
    check_read("1.5", 3, 1.5);
    check_read("-0.25e2", 7, -25);
    check_read("1e+3", 4, 1000);
    check_read("2,5", 1, 2);
    check_read("3e", 1, 3);
    check_read("3e-", 1, 3);
    check_read("", 0, 0);
    check_read("-", 0, 0);
    check_read(".", 0, 0);
    check_read(" 1", 0, 0);
    check_read("nan", 0, 0);
    check_read("0x10", 1, 0);
    check_read("000.0000", 8, 0);
    check_read("1e999999999999", 14, (double)INFINITY);
    check_read("1e-999999999999", 15, 0);
    check_read("9007199254740993", 16, 9007199254740992.0); /* exactly between two: to even */
    check_read("9007199254740993.00000000000000000000000000000001", 49, 9007199254740994.0);
}

/* What was written is read again as the same double. */
static void check_round_trips(void)
{
    char text[48];
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 5000; i++) {
        double value = 0;
        double read = 0;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(&value, &state, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        (void)mfi_format_double(text, sizeof text, value, false);
        mf_check(strpbrk(text, ",") == NULL);
        mf_check(mfi_parse_double(text, strlen(text), &read) && read == value);
    }
}

static void test_plain_locale(void)
{
    check_texts();
    check_reading();
    check_round_trips();
}

/* More digits than are kept, the last of which decides. */
static void test_long_numbers(void)
{
    static char text[2000];
    double value = 0;
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17);
    text[1500] = '1';
    mf_check(mfi_parse_double(text, sizeof text, &value) && value == 9007199254740994.0);
    text[1500] = '0';
    mf_check(mfi_parse_double(text, sizeof text, &value) && value == 9007199254740992.0);
    memset(text, '7', sizeof text);
    mf_check(mfi_parse_double(text, sizeof text, &value) && isinf(value));
    mf_check(mfi_parse_double(text, 300, &value) && value > 7.7e299 && value < 7.8e299);
}

static void test_locale_with_a_comma(void)
{
    char text[8];
    if (!mf_locale_enter(LC_ALL)) {
        return; /* said so */
    }
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    mf_check_str(text, "0,5"); /* else nothing is tested */
    test_plain_locale();
    mfi_plain_numbers plain;
    mfi_plain_numbers_enter(&plain);
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    mf_check_str(text, "0.5");
    mfi_plain_numbers_leave(&plain);
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    mf_check_str(text, "0,5");
    mf_locale_leave(LC_ALL);
}

static const mf_test tests[] = {
    {"numbers__doubles_are_as_the_c_library_prints_them", test_doubles_as_printed},
    {"numbers__special_values_have_words", test_special_values},
    {"numbers__are_written_and_read", test_plain_locale},
    {"numbers__long_ones_are_read", test_long_numbers},
    {"numbers__know_no_locale", test_locale_with_a_comma},
};
MF_TEST_MAIN(tests)
