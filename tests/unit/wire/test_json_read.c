/* JSON text to documents. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <multifrost/json.h>

#include "mf_alloc.h"
#include "mf_locale.h"
#include "mf_test.h"

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

static void check_refuses(const char *text, const char *message)
{
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(read_json(text, strlen(text), &document, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check(document == NULL);
    mf_check_contains(error.message, message);
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

static void test_what_is_not_read_names_its_byte(void)
{
    check_refuses("[1,]", "byte 3: no value begins so"); /* all that the check refuses */
    check_refuses("[1,2.5,1e400]", "byte 7: a number too large for a double");
    check_refuses("-1e400", "byte 0: a number too large for a double");
    check_refuses("{\"1\":\"2\",\"a\":[1,2.5],\"b\":1e400}", "byte 25: a number too large");
}

static void test_last_of_equal_keys_wins(void)
{
    check_reads("{\"a\":1,\"b\":2,\"a\":[3.5]}", MF_MAP("a", MF_ARRAY(3.5), "b", 2));
}

static void test_size_is_bounded(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_document *document = NULL;
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
    if (mf_locale_enter(LC_NUMERIC)) {
        check_reads("[1.5,2.0]", MF_ARRAY(1.5, 2.0));
        mf_locale_leave(LC_NUMERIC);
    }
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
}

static const mf_test tests[] = {
    {"json_read__texts_are_read", test_texts_are_read},
    {"json_read__integers_and_floats_stay_apart", test_integers_and_floats_stay_apart},
    {"json_read__what_is_not_read_names_its_byte", test_what_is_not_read_names_its_byte},
    {"json_read__last_of_equal_keys_wins", test_last_of_equal_keys_wins},
    {"json_read__size_is_bounded", test_size_is_bounded},
    {"json_read__round_trip", test_round_trip},
    {"json_read__locale_does_not_matter", test_locale_does_not_matter},
    {"json_read__missing_memory_is_an_error", test_missing_memory_is_an_error},
};
MF_TEST_MAIN(tests)
