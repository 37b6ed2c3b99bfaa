/* Values to JSON text. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/ext.h>
#include <multifrost/json.h>

#include "mf_alloc.h"
#include "mf_locale.h"
#include "mf_test.h"

static void check_writes(mf_value value, const char *wanted)
{
    char *text = NULL;
    size_t length = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_to_json(&value, &text, &length, &error), MF_OK);
    mf_check_str(text, wanted);
    mf_check_int(length, strlen(wanted));
    free(text);
}

static void test_values_are_written(void)
{
    check_writes(mf_nil(), "null");
    check_writes(MF_ARRAY(MF_TRUE, MF_FALSE, mf_array(NULL, 0), mf_map(NULL, 0)),
                 "[true,false,[],{}]");
    check_writes(MF_MAP("a", 1, "b", MF_ARRAY("x", MF_MAP("c", mf_nil()))),
                 "{\"a\":1,\"b\":[\"x\",{\"c\":null}]}");
    check_writes(MF_ARRAY(mf_int(INT64_MIN), mf_int(9007199254740993), mf_uint(UINT64_MAX)),
                 "[-9223372036854775808,9007199254740993,18446744073709551615]");
    check_writes(
        MF_ARRAY(1.0, 0.1, -0.0, 1e16, 5e-324, mf_float((double)NAN), mf_float((double)INFINITY)),
        "[1.0,0.1,-0.0,1e+16,5e-324,null,null]");
    check_writes(mf_str_n("q\"\\\n\0\x7f\xc3\xbc", 8), "\"q\\\"\\\\\\n\\u0000\\u007f\xc3\xbc\"");
    check_writes(MF_MAP(7, 1, MF_TRUE, 2, 1.5, 3, mf_nil(), 4),
                 "{\"7\":1,\"True\":2,\"1.5\":3,\"None\":4}");
}

static void test_bin_is_base64(void)
{
    check_writes(MF_ARRAY(mf_bin("", 0), mf_bin("f", 1), mf_bin("fo", 2), mf_bin("foo", 3),
                          mf_bin("foob", 4), mf_bin("fooba", 5), mf_bin("\xff\xfe\xfb\xf0", 4)),
                 "[\"\",\"Zg==\",\"Zm8=\",\"Zm9v\",\"Zm9vYg==\",\"Zm9vYmE=\",\"//778A==\"]");
}

static void check_not_written(mf_value value, mf_status wanted, const char *message)
{
    char *text = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_to_json(&value, &text, NULL, &error), wanted);
    mf_check(text == NULL);
    mf_check_contains(error.message, message);
}

static void test_what_has_no_json_form_is_refused(void)
{
    check_not_written(MF_MAP("a", MF_ARRAY(1, mf_ext(5, "x", 1))), MF_ERR_INVALID_ARGUMENT,
                      "value.a[1]: ext has no JSON form");
    check_not_written(mf_object(5, "x"), MF_ERR_INVALID_ARGUMENT, "value: object has no JSON form");
    check_not_written(MF_ARRAY(mf_str_n("\xff", 1)), MF_ERR_INVALID_ARGUMENT, "value[0]: str");
    check_not_written(MF_MAP(mf_bin("a", 1), 1), MF_ERR_INVALID_ARGUMENT,
                      "value[0]: bin as a map's key");
    mf_value levels[102];
    levels[101] = mf_int(1);
    for (int i = 100; i >= 0; i--) {
        levels[i] = mf_array(&levels[i + 1], 1);
    }
    check_not_written(levels[0], MF_ERR_LIMIT, "depth of 100");
}

static void test_text_that_is_too_large_is_refused(void)
{
    static const char text[1000000];
    mf_value items[12];
    for (size_t i = 0; i < 12; i++) {
        items[i] = mf_str_n(text, sizeof text); /* "\\u0000" each: six bytes of JSON for one */
    }
    check_not_written(mf_array(items, 12), MF_ERR_LIMIT,
                      "value: larger than max_message_bytes (67108864)");
}

static void test_locale_does_not_matter(void)
{
    if (mf_locale_enter(LC_NUMERIC)) {
        check_writes(MF_ARRAY(1.5, 1.5e-7), "[1.5,1.5e-07]");
        mf_locale_leave(LC_NUMERIC);
    }
}

static void test_missing_memory_is_an_error(void)
{
    mf_value value = MF_ARRAY("x", mf_bin("y", 1));
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        char *json = NULL;
        mf_alloc_fail_at(n);
        mf_status status = mf_value_to_json(&value, &json, NULL, NULL);
        failed = mf_alloc_stop();
        mf_check_int(status, failed ? MF_ERR_NO_MEMORY : MF_OK);
        mf_check((json == NULL) == failed);
        free(json);
    }
    mf_check(n > 1);
}

static void test_what_is_at_null_is_refused(void)
{
    const mf_value values[] = {mf_str_n(NULL, 3), mf_bin(NULL, 3), mf_array(NULL, 3)};
    static const char *const words[] = {"value: str at NULL", "value: bin at NULL",
                                        "value: array at NULL"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char *text = NULL;
        mf_error error = MF_ERROR_INIT;
        mf_check_int(mf_value_to_json(&values[i], &text, NULL, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_str(error.message, words[i]);
        mf_check(text == NULL);
    }
}

static const mf_test tests[] = {
    {"json__what_is_at_null_is_refused", test_what_is_at_null_is_refused},
    {"json_write__values_are_written", test_values_are_written},
    {"json_write__bin_is_base64", test_bin_is_base64},
    {"json_write__what_has_no_form_is_refused", test_what_has_no_json_form_is_refused},
    {"json_write__text_that_is_too_large_is_refused", test_text_that_is_too_large_is_refused},
    {"json_write__locale_does_not_matter", test_locale_does_not_matter},
    {"json_write__missing_memory_is_an_error", test_missing_memory_is_an_error},
};
MF_TEST_MAIN(tests)
