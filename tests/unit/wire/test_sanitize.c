/* A sanitized value is readable for every peer; equal keys keep the last value. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/ext.h>

#include "base/buf.h"
#include "mf_alloc.h"
#include "mf_test.h"

static mf_document *sanitize(mf_value value)
{
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_sanitize(&value, &document, &error), MF_OK);
    mf_check_str(error.message, "");
    return document;
}

/* The copy must be what is wanted, and encode and decode to itself. */
static void check_becomes(mf_value value, mf_value wanted)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_document *again = NULL;
    mf_document *document = sanitize(value);
    const mf_value *root = mf_document_root(document);
    mf_check(mf_value_equal(root, &wanted));
    mf_check_int(mf_value_encode(root, &bytes, &size, NULL), MF_OK);
    mf_check_int(mf_document_decode(bytes, size, &again, NULL), MF_OK);
    mf_check(mf_value_equal(root, mf_document_root(again)));
    mf_document_destroy(again);
    mf_document_destroy(document);
    free(bytes);
}

static void test_values_are_made_readable(void)
{
    check_becomes(mf_float((double)NAN), mf_nil());
    check_becomes(MF_ARRAY(mf_float((double)INFINITY), mf_float(-(double)INFINITY), 1.5),
                  MF_ARRAY(mf_nil(), mf_nil(), 1.5));
    check_becomes(mf_uint(UINT64_MAX), mf_int(INT64_MAX));
    check_becomes(MF_ARRAY(mf_int(INT64_MIN), mf_bin("\xff", 1)),
                  MF_ARRAY(mf_int(INT64_MIN), mf_bin("\xff", 1)));
    check_becomes(MF_MAP("a", mf_str_n("x\xff\xc3(y", 5)),
                  MF_MAP("a", "x\xef\xbf\xbd\xef\xbf\xbd(y"));
    check_becomes(mf_str_n("with\0NUL", 8), mf_str_n("with\0NUL", 8));
    check_becomes(MF_ARRAY(mf_ext(7, "ab", 2), mf_ext(-1, "ab", 2), mf_ext(-1, "abcd", 4)),
                  MF_ARRAY(mf_bin("ab", 2), mf_bin("ab", 2), mf_ext(-1, "abcd", 4)));
}

static void test_keys_become_text(void)
{
    check_becomes(MF_MAP(7, 1, mf_int(-8), 2, mf_uint(UINT64_MAX), 3),
                  MF_MAP("7", 1, "-8", 2, "18446744073709551615", 3));
    check_becomes(MF_MAP(MF_TRUE, 1, MF_FALSE, 2, mf_nil(), 3),
                  MF_MAP("True", 1, "False", 2, "None", 3));
    check_becomes(MF_MAP(mf_bin("ab\xff", 3), 1, mf_str_n("\xfe", 1), 2),
                  MF_MAP("ab\xef\xbf\xbd", 1, "\xef\xbf\xbd", 2));
}

static void check_float_key(double number, const char *text)
{
    check_becomes(MF_MAP(number, 1), MF_MAP(text, 1));
}

/* The texts are those of Python's repr(). */
static void test_float_keys_are_as_in_python(void)
{
    check_float_key(0.0, "0.0");
    check_float_key(-0.0, "-0.0");
    check_float_key(1.0, "1.0");
    check_float_key(1.5, "1.5");
    check_float_key(0.1, "0.1");
    check_float_key(100.0, "100.0");
    check_float_key(123456789.125, "123456789.125");
    check_float_key(1e15, "1000000000000000.0");
    check_float_key(9999999999999998.0, "9999999999999998.0");
    check_float_key(1e16, "1e+16");
    check_float_key(1.5e-7, "1.5e-07");
    check_float_key(0.0001, "0.0001");
    check_float_key(0.00001, "1e-05");
    check_float_key(5e-324, "5e-324");
    check_float_key(1.7976931348623157e308, "1.7976931348623157e+308");
    check_float_key((double)NAN, "nan");
    check_float_key((double)INFINITY, "inf");
    check_float_key(-(double)INFINITY, "-inf");
}

static void test_last_of_equal_keys_wins(void)
{
    check_becomes(MF_MAP("1", "str", 1, "int", "b", 2), MF_MAP("1", "int", "b", 2));
    check_becomes(MF_MAP("b", 1, "a", 2, "b", 3, "a", 4, "b", 5), MF_MAP("b", 5, "a", 4));
    mf_value inner = MF_MAP("x", 1, "y", 2, "x", 3);
    mf_value outer = MF_MAP("k", inner, "j", inner, "k", MF_ARRAY(inner));
    check_becomes(
        MF_ARRAY(outer, 9),
        MF_ARRAY(MF_MAP("k", MF_ARRAY(MF_MAP("x", 3, "y", 2)), "j", MF_MAP("x", 3, "y", 2)), 9));
    check_becomes(MF_MAP("", 1, "a", 2, "aa", 3, "", 4), MF_MAP("", 4, "a", 2, "aa", 3));
}

static void test_many_equal_keys_take_no_time(void)
{
    uint32_t pairs = 100000;
    mf_value *items = calloc((size_t)pairs * 2, sizeof *items);
    for (uint32_t i = 0; i < pairs; i++) {
        items[(size_t)i * 2] = mf_int(i % 2);
        items[(size_t)i * 2 + 1] = mf_int(i);
    }
    int64_t start = mf_test_now_ms();
    check_becomes(mf_map(items, pairs), MF_MAP("0", 99998, "1", 99999));
    mf_check(mf_test_now_ms() - start < 10000);
    free(items);
}

static void check_refused(mf_value value, mf_status wanted, const char *message)
{
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_sanitize(&value, &document, &error), wanted);
    mf_check(document == NULL);
    mf_check_contains(error.message, message);
}

static void test_what_has_no_form_is_refused(void)
{
    int object = 0;
    check_refused(MF_ARRAY(MF_MAP(MF_ARRAY(1), 1)), MF_ERR_INVALID_ARGUMENT,
                  "value[0][0]: a map's key of type array");
    check_refused(MF_MAP("a", mf_object(9, &object)), MF_ERR_INVALID_ARGUMENT, "value.a: ");
    mf_value levels[102];
    levels[101] = mf_int(1);
    for (int i = 100; i >= 0; i--) {
        levels[i] = mf_array(&levels[i + 1], 1);
    }
    mf_document_destroy(sanitize(levels[1]));
    check_refused(levels[0], MF_ERR_LIMIT, "depth of 100");
    char *text = malloc(4000000);
    memset(text, 0xff, 4000000); /* three times as long when it is clean */
    check_refused(MF_ARRAY(mf_str_n(text, 4000000)), MF_ERR_LIMIT,
                  "value[0]: str of 12000000 bytes, more than max_string_bytes (10485760)");
    free(text);
}

static mf_status pack_letters(const void *object, mf_ext_writer *writer, void *user_data)
{
    (void)user_data;
    mf_ext_write(writer, object, 3);
    return MF_OK;
}

static void test_missing_memory_is_an_error(void)
{
    mf_ext_codec codec = MF_EXT_CODEC_INIT;
    codec.pack = pack_letters;
    mf_check_int(mf_ext_register(3, &codec, NULL), MF_OK);
    mf_value value = MF_ARRAY(MF_MAP("a", mf_str_n("\xff", 1), "a", mf_object(3, "abc")), "b");
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        mf_document *document = NULL;
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(n);
        mf_status status = mf_value_sanitize(&value, &document, &error);
        failed = mf_alloc_stop();
        mf_check_int(status, failed ? MF_ERR_NO_MEMORY : MF_OK);
        mf_check((document == NULL) == failed);
        mf_document_destroy(document);
    }
    mf_check(n > 5);
    for (failed = true, n = 0; failed; n++) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        mf_value sound = mf_value_at(&value, 1)[0];
        mf_alloc_fail_at(n);
        mf_status status = mf_value_encode(&sound, &bytes, &size, NULL);
        failed = mf_alloc_stop();
        mf_check_int(status, failed ? MF_ERR_NO_MEMORY : MF_OK);
        free(bytes);
    }
    mf_check(n > 1);
    mf_ext_unregister(3);
}

static const mf_test tests[] = {
    {"sanitize__values_are_made_readable", test_values_are_made_readable},
    {"sanitize__keys_become_text", test_keys_become_text},
    {"sanitize__float_keys_are_as_in_python", test_float_keys_are_as_in_python},
    {"sanitize__last_of_equal_keys_wins", test_last_of_equal_keys_wins},
    {"sanitize__many_equal_keys_take_no_time", test_many_equal_keys_take_no_time},
    {"sanitize__what_has_no_form_is_refused", test_what_has_no_form_is_refused},
    {"sanitize__missing_memory_is_an_error", test_missing_memory_is_an_error},
};
MF_TEST_MAIN(tests)
