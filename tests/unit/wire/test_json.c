/* Values become JSON and JSON becomes values by the rules of json.h; malformed text is refused. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <multifrost/ext.h>
#include <multifrost/json.h>

#include "mf_alloc.h"
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

/* The text is given without a NUL behind it, so that reading too far is seen. */
static mf_status read_json(const char *text, size_t length, mf_document **ret_document,
                           mf_error *error)
{
    char *exact = malloc(length + (length == 0));
    memcpy(exact, text, length);
    mf_status status = mf_value_from_json(exact, length, ret_document, error);
    free(exact);
    return status;
}

static void check_reads(const char *text, mf_value wanted)
{
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(read_json(text, strlen(text), &document, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(document != NULL && mf_value_equal(mf_document_root(document), &wanted));
    mf_document_destroy(document);
}

static void check_refuses_n(const char *text, size_t length, const char *message)
{
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(read_json(text, length, &document, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check(document == NULL);
    mf_check_contains(error.message, message);
}

static void check_refuses(const char *text, const char *message)
{
    check_refuses_n(text, strlen(text), message);
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

static void test_texts_are_read(void)
{
    check_reads("null", mf_nil());
    check_reads(" \t\r\n[ true , false ,\"x\", [ ] , { } ] \n",
                MF_ARRAY(MF_TRUE, MF_FALSE, "x", mf_array(NULL, 0), mf_map(NULL, 0)));
    check_reads("{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"\"}",
                MF_MAP("a", MF_MAP("b", MF_ARRAY(1, MF_MAP("c", mf_nil()))), "d", ""));
    check_reads("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fc\\ud83d\\ude00\xc3\xbc\"",
                mf_str("\"\\/\b\f\n\r\t\xc3\xbc\xf0\x9f\x98\x80\xc3\xbc"));
    check_reads("\"\\\\u0000\"", mf_str("\\u0000")); /* a backslash, not an escape */
    check_reads("0", mf_int(0));
}

static void test_integers_and_floats_stay_apart(void)
{
    check_reads("[1,1.0,-1,1e2,0,-0,0.0,10]", MF_ARRAY(1, 1.0, -1, 100.0, 0, 0, 0.0, 10));
    check_reads("{\"1.5\":1,\"e\\\"2\":2.0,\"x\":[3,{\"4.5\":4}],\"y\":5.5}",
                MF_MAP("1.5", 1, "e\"2", 2.0, "x", MF_ARRAY(3, MF_MAP("4.5", 4)), "y", 5.5));
    check_reads("[9007199254740992,-9007199254740992]",
                MF_ARRAY(mf_int(INT64_C(1) << 53), mf_int(-(INT64_C(1) << 53))));
    check_reads("[9007199254740993.0,1e300]", MF_ARRAY(9007199254740992.0, 1e300));
}

static void test_other_numbers_are_refused(void)
{
    check_refuses("9007199254740993", "byte 0: an integer beyond 2^53");
    check_refuses("[1, -9007199254740993]", "byte 4: an integer beyond 2^53");
    check_refuses("{\"a\":1152921504606846976}", "byte 5: an integer beyond 2^53");
    check_refuses("[18446744073709551617]", "byte 1: an integer beyond 2^53");
    check_refuses("[1,2.5,1e400]", "byte 7: a number too large");
    check_refuses("-1e400", "byte 0: a number too large");
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

static void test_last_of_equal_keys_wins(void)
{
    check_reads("{\"a\":1,\"b\":2,\"a\":[3.5]}", MF_MAP("a", MF_ARRAY(3.5), "b", 2));
}

static void test_depth_and_size_are_bounded(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_document *document = NULL;
    char text[203];
    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    mf_check_int(read_json(text, 200, &document, &error), MF_OK);
    mf_document_destroy(document);
    document = NULL;
    memset(text, '[', 101);
    memset(text + 101, ']', 101);
    mf_check_int(read_json(text, 202, &document, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "byte 100: nests 101 deep");
    size_t size = 200003;
    char *many = malloc(size);
    for (size_t i = 0; i < size; i++) {
        many[i] = i % 2 == 1 ? '1' : ',';
    }
    many[0] = '[';
    many[size - 1] = ']';
    mf_check_int(read_json(many, size, &document, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "array of 100001 items, more than max_items (100000)");
    free(many);
    mf_check_int(mf_value_from_json("1", SIZE_MAX, &document, &error), MF_ERR_LIMIT);
    mf_check(document == NULL);
}

static void test_round_trip(void)
{
    static const char text[] =
        "{\"a\":[1,2.5,-3,1e+22,true,null,\"\xe2\x82\xac\"],\"b\":{\"c\":[[],{}]},\"d\":\"\\\"\"}";
    char *again = NULL;
    mf_document *document = NULL;
    mf_check_int(mf_value_from_json(text, strlen(text), &document, NULL), MF_OK);
    mf_check_int(mf_value_to_json(mf_document_root(document), &again, NULL, NULL), MF_OK);
    mf_check_str(again, text);
    mf_document_destroy(document);
    free(again);
}

static void test_locale_does_not_matter(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)setlocale(LC_NUMERIC, names[i]); /* where it is installed */
        check_writes(MF_ARRAY(1.5, 1.5e-7), "[1.5,1.5e-07]");
        check_reads("[1.5,2.0]", MF_ARRAY(1.5, 2.0));
    }
    (void)setlocale(LC_NUMERIC, "C");
}

static void test_missing_memory_is_an_error(void)
{
    static const char text[] = "{\"a\":[1,2.5,\"x\"],\"b\":{\"c\":null},\"a\":true}";
    cJSON_Hooks hooks = {mf_alloc_malloc, free};
    cJSON_InitHooks(&hooks);
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        mf_document *document = NULL;
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(n);
        mf_status status = mf_value_from_json(text, strlen(text), &document, &error);
        failed = mf_alloc_stop();
        mf_check_int(status, failed ? MF_ERR_NO_MEMORY : MF_OK);
        mf_check((document == NULL) == failed);
        mf_document_destroy(document);
    }
    mf_check(n > 10);
    cJSON_InitHooks(NULL);
    mf_value value = MF_ARRAY("x", mf_bin("y", 1));
    for (failed = true, n = 0; failed; n++) {
        char *json = NULL;
        mf_alloc_fail_at(n);
        mf_status status = mf_value_to_json(&value, &json, NULL, NULL);
        failed = mf_alloc_stop();
        mf_check_int(status, failed ? MF_ERR_NO_MEMORY : MF_OK);
        free(json);
    }
    mf_check(n > 1);
}

static const mf_test tests[] = {
    {"json__values_are_written", test_values_are_written},
    {"json__bin_is_base64", test_bin_is_base64},
    {"json__what_has_no_form_is_refused", test_what_has_no_json_form_is_refused},
    {"json__texts_are_read", test_texts_are_read},
    {"json__integers_and_floats_stay_apart", test_integers_and_floats_stay_apart},
    {"json__other_numbers_are_refused", test_other_numbers_are_refused},
    {"json__nul_is_refused", test_nul_is_refused},
    {"json__malformed_texts_are_refused", test_malformed_texts_are_refused},
    {"json__last_of_equal_keys_wins", test_last_of_equal_keys_wins},
    {"json__depth_and_size_are_bounded", test_depth_and_size_are_bounded},
    {"json__round_trip", test_round_trip},
    {"json__locale_does_not_matter", test_locale_does_not_matter},
    {"json__missing_memory_is_an_error", test_missing_memory_is_an_error},
};
MF_TEST_MAIN(tests)
