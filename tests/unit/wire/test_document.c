/* Values and their bytes: the public way there and back, and the copies that every peer can read.
 */
#include "core/wire/document.h"

#include <stdlib.h>
#include <string.h>

#include <multifrost/ext.h>

#include "core/wire/limits.h"
#include "mf_alloc.h"
#include "mf_test.h"

/* ---- There and back ---- */

static mf_document *decode(const void *bytes, size_t size, mf_status wanted)
{
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_document_decode(bytes, size, &document, &error), wanted);
    return document;
}

static void check_round_trip(mf_value value)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_encode(&value, &bytes, &size, &error), MF_OK);
    mf_document *document = decode(bytes, size, MF_OK);
    mf_check(mf_value_equal(mf_document_root(document), &value));
    /* Every prefix is refused, and nothing is read behind its end. */
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        mf_document *none = decode(exact, cut, MF_ERR_PROTOCOL);
        mf_check(none == NULL);
        free(exact);
    }
    mf_document_destroy(document);
    free(bytes);
}

static void test_round_trips(void)
{
    check_round_trip(mf_nil());
    check_round_trip(MF_TRUE);
    check_round_trip(mf_int(INT64_MIN));
    check_round_trip(mf_int(-33));
    check_round_trip(mf_float(0.1));
    check_round_trip(mf_str("gr\xc3\xbc\xc3\x9f"));
    check_round_trip(mf_bin("\0\xff", 2));
    check_round_trip(MF_ARRAY(1, "two", MF_MAP("k", MF_ARRAY(MF_FALSE, mf_nil()))));
}

static void test_every_encoding_is_read(void)
{
    int64_t integer = 0;
    double number = 0;
    mf_document *wide = decode("\xd3\0\0\0\0\0\0\0\5", 9, MF_OK);
    mf_check_int(mf_value_get_int64(mf_document_root(wide), &integer), MF_OK);
    mf_check_int(integer, 5);
    mf_document_destroy(wide);
    mf_document *whole = decode("\xca\x40\x40\0\0", 5, MF_OK); /* 3.0 as float32 */
    mf_check_int(mf_value_get_int64(mf_document_root(whole), &integer), MF_OK);
    mf_check_int(integer, 3);
    mf_check_int(mf_value_get_double(mf_document_root(whole), &number), MF_OK);
    mf_document_destroy(whole);
    mf_document *large = decode("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, MF_OK);
    mf_check_int(mf_document_root(large)->type, MF_TYPE_UINT);
    mf_check_int(mf_value_get_int64(mf_document_root(large), &integer), MF_ERR_TYPE);
    mf_document_destroy(large);
}

static void test_bad_bytes_are_refused(void)
{
    (void)decode("\xc1", 1, MF_ERR_PROTOCOL);
    (void)decode("\1\1", 2, MF_ERR_PROTOCOL);     /* something behind */
    (void)decode("\xa1\xff", 2, MF_ERR_PROTOCOL); /* not UTF-8 */
    (void)decode("\xdd\xff\xff\xff\xff", 5, MF_ERR_PROTOCOL);
    (void)decode("\xdd\0\0\xff\xff", 5, MF_ERR_PROTOCOL); /* claims more than there is */
    (void)decode("\xdb\xff\xff\xff\xff", 5, MF_ERR_PROTOCOL);
    char deep[1000];
    memset(deep, 0x91, sizeof deep);
    deep[100] = (char)0xc0;
    mf_document *fits = decode(deep, 101, MF_OK);
    mf_document_destroy(fits);
    deep[100] = (char)0x91;
    deep[101] = (char)0xc0;
    (void)decode(deep, 102, MF_ERR_LIMIT);
    (void)decode(deep, sizeof deep, MF_ERR_LIMIT);
}

static void test_size_is_bounded(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_document *document = NULL;
    mf_check_int(mf_document_decode("", MFI_MESSAGE_MAX_BYTES + 1, &document, &error),
                 MF_ERR_LIMIT);
    mf_check_str(error.message, "value: 67108865 bytes, more than max_message_bytes (67108864)");
    mf_check(document == NULL);
    mf_check_int(mf_document_decode(NULL, 0, &document, &error), MF_ERR_PROTOCOL);
    mf_check(document == NULL);
    mf_document_destroy(NULL);
}

static void test_document_outlives_its_bytes(void)
{
    char bytes[] = "\x92\xa3"
                   "abc\xc4\x02xy";
    mf_value wanted = MF_ARRAY("abc", mf_bin("xy", 2));
    mf_document *document = decode(bytes, sizeof bytes - 1, MF_OK);
    memset(bytes, 0, sizeof bytes);
    mf_check(mf_value_equal(mf_document_root(document), &wanted));
    mf_document_destroy(document);
}

/* ---- Copies that are fit to be sent ---- */

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

static void test_a_failed_buffer_makes_no_document(void)
{
    mfi_buf buf;
    mf_error error = MF_ERROR_INIT;
    mf_document *document = NULL;
    mfi_buf_init(&buf, 4);
    mfi_buf_append_str(&buf, "more than four");
    mf_check_int(mfi_document_make(&buf, &document, &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "value: larger than max_message_bytes (4)");
    mf_check(document == NULL);
    mfi_buf_fini(&buf);
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
    for (failed = true, n = 0; failed; n++) {
        mf_document *document = NULL;
        mf_alloc_fail_at(n);
        mf_status status = mf_document_decode("\x81\xa1k\x01", 4, &document, NULL);
        failed = mf_alloc_stop();
        mf_check_int(status, failed ? MF_ERR_NO_MEMORY : MF_OK);
        mf_check((document == NULL) == failed);
        mf_document_destroy(document);
    }
    mf_check_int(n, 3); /* the document, and its tree */
    mf_ext_unregister(3);
}

static const mf_test tests[] = {
    {"document__reads_back_and_every_prefix_is_refused", test_round_trips},
    {"document__every_encoding_is_read", test_every_encoding_is_read},
    {"document__bad_bytes_are_refused", test_bad_bytes_are_refused},
    {"document__size_is_bounded", test_size_is_bounded},
    {"document__outlives_its_bytes", test_document_outlives_its_bytes},
    {"sanitize__last_of_equal_keys_wins", test_last_of_equal_keys_wins},
    {"sanitize__many_equal_keys_take_no_time", test_many_equal_keys_take_no_time},
    {"sanitize__a_failed_buffer_makes_no_document", test_a_failed_buffer_makes_no_document},
    {"sanitize__what_has_no_form_is_refused", test_what_has_no_form_is_refused},
    {"document__missing_memory_is_an_error", test_missing_memory_is_an_error},
};
MF_TEST_MAIN(tests)
