/* What is JSON, and where a text stops to be it. */
#include "core/wire/json_check.h"

#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

/* The text is given without a NUL behind it, so that reading too far is seen. */
static mf_status check_text(const char *text, size_t length, mf_error *error)
{
    char *exact = malloc(length + (length == 0));
    memcpy(exact, text, length);
    mf_status status = mfi_json_check(exact, length, error);
    free(exact);
    return status;
}

static void check_accepts(const char *text)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(check_text(text, strlen(text), &error), MF_OK);
    mf_check_str(error.message, "");
}

static void check_refuses_n(const char *text, size_t length, const char *message)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(check_text(text, length, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, message);
}

static void check_refuses(const char *text, const char *message)
{
    check_refuses_n(text, strlen(text), message);
}

static void test_texts_are_accepted(void)
{
    check_accepts("null");
    check_accepts(" \t\r\n[ true , false ,\"x\", [ ] , { } ] \n");
    check_accepts("{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"\"}");
    check_accepts("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fc\\ud83d\\ude00\xc3\xbc\"");
    check_accepts("\"\\\\u0000\""); /* a backslash, not an escape */
    check_accepts("[0,-0,10,-1,1.5,-0.25,1e2,1E+2,1e-2]");
    check_accepts("[9007199254740992,-9007199254740992,9007199254740993.0]");
    check_accepts("0.0000000000000000000000000000000000000000000000000000000000001"); /* 63 */
}

static void test_numbers_that_lose_something_are_refused(void)
{
    check_refuses("9007199254740993", "byte 0: an integer beyond 2^53");
    check_refuses("[1, -9007199254740993]", "byte 4: an integer beyond 2^53");
    check_refuses("{\"a\":1152921504606846976}", "byte 5: an integer beyond 2^53");
    check_refuses("[18446744073709551617]", "byte 1: an integer beyond 2^53");
    check_refuses("[0.000000000000000000000000000000000000000000000000000000000000001]",
                  "byte 1: a number of more than 63 characters");
    static const char *const malformed[] = {"01",  "-",    "1.",   ".5",  "1e",  "1e+", "+1",
                                            "-01", "0x10", "1.e1", "- 1", "--1", "NaN", "Infinity"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        check_refuses(malformed[i], "JSON, byte ");
    }
}

static void test_nul_is_refused(void)
{
    check_refuses("[\"a\\u0000\"]", "byte 3: NUL in a str");
    check_refuses("{\"a\\u0000\":1}", "byte 3: NUL in a str");
    check_refuses("[\"\\\\\\u0000\"]", "byte 4: NUL in a str");
    check_refuses_n("[\"a\0b\"]", 7, "byte 3: NUL in a str");
    check_refuses_n("1\0", 2, "byte 1: something follows");
}

static void test_malformed_texts_are_refused(void)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "[",
                                        "{",
                                        "]",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "[1}",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "{1:1}",
                                        "{\"a\" 1}",
                                        "\"",
                                        "\"a",
                                        "\"\\\"",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\ud800\"",
                                        "\"\\udc00\"",
                                        "\"\\ud800\\u0041\"",
                                        "tru",
                                        "nul",
                                        "True",
                                        "1 1",
                                        "[] []",
                                        "\"\t\"",
                                        "'a'",
                                        "\xef\xbb\xbf"
                                        "1",
                                        "\"\xff\"",
                                        "{\"a\":1 \"b\":2}",
                                        "//1",
                                        "[1]x",
                                        "\"\\u"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_refuses(texts[i], "JSON, byte ");
    }
    check_refuses("{\"a\":[1,2}", "byte 9: ',' or ']' was expected");
    check_refuses("[\"ok\",\"\xc3(\"]", "byte 6: a str that is not UTF-8");
}

static void test_depth_is_bounded(void)
{
    mf_error error = MF_ERROR_INIT;
    char text[202];
    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    mf_check_int(check_text(text, 200, &error), MF_OK);
    memset(text, '[', 101);
    memset(text + 101, ']', 101);
    mf_check_int(check_text(text, 202, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "byte 100: nests 101 deep, more than the depth of 100");
}

/* ---- Numbers, one after the other ---- */

static void check_next(const char *text, size_t *at, const char *number, bool is_integer)
{
    mfi_json_number found = mfi_json_next_number(text, strlen(text), *at);
    mf_check_int(found.size, strlen(number));
    mf_check(strncmp(text + found.start, number, found.size) == 0);
    mf_check_int(found.is_integer, is_integer);
    *at = found.start + found.size;
}

static void test_numbers_are_found_outside_of_texts(void)
{
    size_t at = 0;
    const char *text = "{\"1.5\":1,\"e\\\"2\": -2.0,\"\\\\\":[3e5,true,{\"4\":40}],\"y\":-5}";
    check_next(text, &at, "1", true);
    check_next(text, &at, "-2.0", false);
    check_next(text, &at, "3e5", false);
    check_next(text, &at, "40", true);
    check_next(text, &at, "-5", true);
    at = 0;
    check_next("7", &at, "7", true); /* up to the end of the text */
    mf_check_int(at, 1);
}

static const mf_test tests[] = {
    {"json_check__texts_are_accepted", test_texts_are_accepted},
    {"json_check__numbers_that_lose_something_are_refused",
     test_numbers_that_lose_something_are_refused},
    {"json_check__nul_is_refused", test_nul_is_refused},
    {"json_check__malformed_texts_are_refused", test_malformed_texts_are_refused},
    {"json_check__depth_is_bounded", test_depth_is_bounded},
    {"json_check__numbers_are_found_outside_of_texts", test_numbers_are_found_outside_of_texts},
};
MF_TEST_MAIN(tests)
