/* Values to msgpack: their bytes, the paths in errors, and what is made readable on the way. */
#include "core/wire/writer.h"

#include <math.h>
#include <string.h>

#include <multifrost/ext.h>
#include <multifrost/json.h>

#include "mf_test.h"

static void begin(msgpack_packer *packer, mfi_buf *buf)
{
    mfi_buf_init(buf, 0);
    mfi_packer_init(packer, buf);
}

static void check_bytes(const mfi_buf *buf, const char *wanted, size_t size)
{
    mf_check_int(buf->size, size);
    mf_check(buf->size == size && memcmp(buf->data, wanted, size) == 0);
}
#define BYTES(literal) (literal), sizeof(literal) - 1

/* ---- What is sent ---- */

static void check_packs(mf_value value, const char *wanted, size_t size)
{
    mfi_buf buf;
    msgpack_packer packer;
    mf_error error = MF_ERROR_INIT;
    begin(&packer, &buf);
    mf_check_int(mfi_pack_value(&packer, &value, 0, "args", NULL, &error), MF_OK);
    mf_check_str(error.message, "");
    check_bytes(&buf, wanted, size);
    mfi_buf_fini(&buf);
}

static void test_values_have_one_form(void)
{
    check_packs(MF_ARRAY(mf_nil(), MF_FALSE, MF_TRUE, 5, -1, 200, 70000),
                BYTES("\x97\xc0\xc2\xc3\x05\xff\xcc\xc8\xce\0\x01\x11\x70"));
    check_packs(MF_MAP("k", mf_bin("\xff", 1)), BYTES("\x81\xa1k\xc4\x01\xff"));
    check_packs(mf_float(1.5), BYTES("\xcb\x3f\xf8\0\0\0\0\0\0"));
    check_packs(mf_ext(MF_EXT_TIMESTAMP, "\0\0\0\x01", 4), BYTES("\xd6\xff\0\0\0\x01"));
}

static void test_what_no_peer_reads_is_changed(void)
{
    check_packs(mf_float((double)NAN), BYTES("\xc0"));
    check_packs(mf_float(-(double)INFINITY), BYTES("\xc0"));
    check_packs(mf_uint(UINT64_MAX), BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"));
    check_packs(MF_MAP(7, "x"), BYTES("\x81\xa1"
                                      "7\xa1x"));
}

/* What was appended before a fault stays: the caller knows where it began. */
static void check_refused(mf_value value, mf_status wanted, const char *message)
{
    mfi_buf buf;
    msgpack_packer packer;
    mf_error error = MF_ERROR_INIT;
    begin(&packer, &buf);
    mfi_pack_key(&packer, "before");
    mf_check_int(mfi_pack_value(&packer, &value, 0, "args", NULL, &error), wanted);
    mf_check_str(error.message, message);
    mf_check(buf.size >= 7 && memcmp(buf.data,
                                     "\xa6"
                                     "before",
                                     7) == 0);
    mfi_buf_fini(&buf);
}

static void test_what_cannot_be_sent_has_a_path(void)
{
    mf_value unknown = {.type = 42};
    check_refused(MF_ARRAY(1, MF_MAP("name", "\xff")), MF_ERR_INVALID_ARGUMENT,
                  "args[1].name: a str that is not UTF-8: send it as bin");
    check_refused(MF_MAP("\xff", 1), MF_ERR_INVALID_ARGUMENT,
                  "args[0]: a str that is not UTF-8: send it as bin");
    check_refused(MF_MAP(MF_ARRAY(1), 1), MF_ERR_INVALID_ARGUMENT,
                  "args[0]: a map's key of type array, which has no text form");
    check_refused(MF_MAP(mf_bin("a", 1), 1), MF_ERR_INVALID_ARGUMENT,
                  "args[0]: a map's key of type bin, which has no text form");
    check_refused(MF_ARRAY(mf_ext(9, "a", 1)), MF_ERR_INVALID_ARGUMENT,
                  "args[0]: an ext of code 9, for which no codec is registered");
    check_refused(MF_ARRAY(0, unknown), MF_ERR_INVALID_ARGUMENT,
                  "args[1]: a value of unknown type");
}

static void test_depth_is_counted_from_outside(void)
{
    mfi_buf buf;
    msgpack_packer packer;
    mf_error error = MF_ERROR_INIT;
    mf_value inner = mf_int(1);
    mf_value value = mf_array(&inner, 1);
    mf_value pair[2] = {mf_str("k"), value};
    begin(&packer, &buf);
    mf_check_int(mfi_pack_value(&packer, &value, MFI_DEPTH_MAX - 1, "v", NULL, &error), MF_OK);
    mf_check_int(mfi_pack_value(&packer, &value, MFI_DEPTH_MAX, "v", NULL, &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "v: nests 101 deep, more than the depth of 100");
    mf_check_int(mfi_pack_value(&packer, &inner, MFI_DEPTH_MAX, "v", NULL, &error), MF_OK);
    mf_check_int(mfi_pack_pair(&packer, pair, MFI_DEPTH_MAX - 1, "v", NULL, &error), MF_OK);
    mf_check_int(mfi_pack_pair(&packer, pair, MFI_DEPTH_MAX, "v", NULL, &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "v.k: nests 101 deep, more than the depth of 100");
    mfi_buf_fini(&buf);
}

static void test_a_pair_is_packed_without_its_map(void)
{
    const mfi_limits limits = {.string_bytes = 4, .items = 3};
    mfi_buf buf;
    msgpack_packer packer;
    mf_error error = MF_ERROR_INIT;
    mf_value list = MF_ARRAY(1, "long text");
    mf_value good[2] = {mf_int(7), MF_TRUE};
    mf_value bad[2] = {mf_str("list"), list};
    begin(&packer, &buf);
    mf_check_int(mfi_pack_pair(&packer, good, 2, "metadata", &limits, &error), MF_OK);
    check_bytes(&buf, BYTES("\xa1"
                            "7\xc3"));
    mf_check_int(mfi_pack_pair(&packer, bad, 2, "metadata", &limits, &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "metadata.list[1]: str of 9 bytes, more than max_string_bytes (4)");
    mfi_buf_fini(&buf);
}

static void test_a_full_buffer_is_its_own_failure(void)
{
    mfi_buf buf;
    msgpack_packer packer;
    mf_error error = MF_ERROR_INIT;
    mf_value value = mf_str("more than eight bytes");
    mfi_buf_init(&buf, 8);
    mfi_packer_init(&packer, &buf);
    mf_check_int(mfi_pack_value(&packer, &value, 0, "result", NULL, &error), MF_OK);
    mf_check(buf.failed);
    mf_check_int(mfi_pack_failure(&buf, "result", &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "result: larger than max_message_bytes (8)");
    buf.no_memory = true;
    mf_check_int(mfi_pack_failure(&buf, "result", &error), MF_ERR_NO_MEMORY);
    mf_check_contains(error.message, "result: no memory for more than ");
    mfi_buf_fini(&buf);
}

/* ---- What is made readable ---- */

/* The copy must be packed to itself, also without any change. */
static void check_becomes(mf_value value, mf_value wanted)
{
    mfi_buf changed;
    mfi_buf plain;
    msgpack_packer packer;
    mf_error error = MF_ERROR_INIT;
    begin(&packer, &changed);
    mf_check_int(mfi_pack_sanitized(&packer, &value, &error), MF_OK);
    mf_check_str(error.message, "");
    begin(&packer, &plain);
    mf_check_int(mfi_pack_value(&packer, &wanted, 0, "value", NULL, &error), MF_OK);
    check_bytes(&changed, (const char *)plain.data, plain.size);
    mfi_buf_fini(&changed);
    mfi_buf_fini(&plain);
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

static void test_equal_keys_stay(void)
{
    check_becomes(MF_MAP(1, "int", "1", "str"), MF_MAP("1", "int", "1", "str"));
}

/* ---- Rough use ---- */

/* Sixty levels, each of which has the one below it twice: 2^60 values in two kilobytes. What does
 * not fit is not walked; a walk of all of it would not end within the test's time. */
static void test_branches_that_are_shared_stop_at_the_limit(void)
{
    enum { LEVELS = 60 };
    mf_value pairs[LEVELS][2];
    mf_value value = mf_int(1);
    for (int i = 0; i < LEVELS; i++) {
        pairs[i][0] = value;
        pairs[i][1] = value;
        value = mf_array(pairs[i], 2);
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_document *document = NULL;
    char *text = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_encode(&value, &bytes, &size, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "larger than max_message_bytes");
    mf_check_int(mf_value_sanitize(&value, &document, &error), MF_ERR_LIMIT);
    mf_check_int(mf_value_to_json(&value, &text, NULL, &error), MF_ERR_LIMIT);
    mf_check(bytes == NULL && document == NULL && text == NULL);
}

static void test_what_is_at_null_is_refused(void)
{
    mf_value key[] = {mf_str_n(NULL, 3), mf_int(1)};
    mf_value bin_key[] = {mf_bin(NULL, 3), mf_int(1)};
    check_refused(mf_str_n(NULL, 3), MF_ERR_INVALID_ARGUMENT, "args: str at NULL of length 3");
    check_refused(mf_bin(NULL, 3), MF_ERR_INVALID_ARGUMENT, "args: bin at NULL of length 3");
    check_refused(mf_array(NULL, 3), MF_ERR_INVALID_ARGUMENT, "args: array at NULL of length 3");
    check_refused(mf_map(NULL, 3), MF_ERR_INVALID_ARGUMENT, "args: map at NULL of length 3");
    check_refused(mf_map(key, 1), MF_ERR_INVALID_ARGUMENT, "args[0]: str at NULL of length 3");
    check_packs(mf_array(NULL, 0), BYTES("\x90"));
    check_packs(mf_str_n(NULL, 0), BYTES("\xa0"));
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_value map = mf_map(bin_key, 1);
    mf_check_int(mf_value_sanitize(&map, &document, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "bin at NULL of length 3");
}

static const mf_test tests[] = {
    {"writer__branches_that_are_shared_stop_at_the_limit",
     test_branches_that_are_shared_stop_at_the_limit},
    {"writer__what_is_at_null_is_refused", test_what_is_at_null_is_refused},
    {"writer__values_have_one_form", test_values_have_one_form},
    {"writer__what_no_peer_reads_is_changed", test_what_no_peer_reads_is_changed},
    {"writer__what_cannot_be_sent_has_a_path", test_what_cannot_be_sent_has_a_path},
    {"writer__depth_is_counted_from_outside", test_depth_is_counted_from_outside},
    {"writer__a_pair_is_packed_without_its_map", test_a_pair_is_packed_without_its_map},
    {"writer__a_full_buffer_is_its_own_failure", test_a_full_buffer_is_its_own_failure},
    {"sanitize__values_are_made_readable", test_values_are_made_readable},
    {"sanitize__keys_become_text", test_keys_become_text},
    {"sanitize__float_keys_are_as_in_python", test_float_keys_are_as_in_python},
    {"sanitize__equal_keys_stay", test_equal_keys_stay},
};
MF_TEST_MAIN(tests)
