/* Values and messages read back what was written; every prefix and every malformed byte is
 * refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "core/wire/trace.h"
#include "core/wire/tree.h"
#include "mf_test.h"

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

static void test_what_is_sent_is_made_fit(void)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_error error = MF_ERROR_INIT;
    mf_value nan = mf_float((double)NAN);
    mf_check_int(mf_value_encode(&nan, &bytes, &size, &error), MF_OK);
    mf_check_int(bytes[0], 0xc0);
    free(bytes);
    mf_value large = mf_uint(UINT64_MAX);
    mf_check_int(mf_value_encode(&large, &bytes, &size, &error), MF_OK);
    mf_check_int(memcmp(bytes, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9), 0);
    free(bytes);
    mf_value numbered = MF_MAP(7, "x");
    mf_check_int(mf_value_encode(&numbered, &bytes, &size, &error), MF_OK);
    mf_check_int(memcmp(bytes,
                        "\x81\xa1"
                        "7\xa1x",
                        5),
                 0);
    free(bytes);
    mf_value broken = MF_ARRAY(1, MF_MAP("name", "\xff"));
    mf_check_int(mf_value_encode(&broken, &bytes, &size, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "value[1].name");
    mf_value keyed = MF_MAP(MF_ARRAY(1), 1);
    mf_check_int(mf_value_encode(&keyed, &bytes, &size, &error), MF_ERR_INVALID_ARGUMENT);
}

static void test_call_reads_back(void)
{
    mfi_buf buf;
    mfi_envelope envelope;
    mfi_metadata metadata;
    mfi_reject reject;
    mf_error error = MF_ERROR_INIT;
    mf_value own = MF_MAP("tenant", "a", "correlation_id", "mine");
    mfi_call_fields call = {.id = "5e0c1c2e-0000-4000-8000-000000000001",
                            .function = {"add", 3},
                            .args = MF_ARGS(1, 2),
                            .metadata = &own,
                            .correlation_id = "abc",
                            .timestamp = 1.5};
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_OK);
    mf_check_int(mfi_envelope_decode(buf.data, buf.size, NULL, &envelope, &reject, &error), MF_OK);
    mf_check_int(envelope.type, MFI_MESSAGE_CALL);
    mf_check_int(envelope.function.size, 3);
    mf_check(envelope.namespace_present && memcmp(envelope.namespace_name.data, "default", 7) == 0);
    mf_check_int(envelope.args.size, 3);
    mfi_metadata_read(envelope.metadata, &metadata);
    mf_check(metadata.correlation_id.size == 3 &&
             memcmp(metadata.correlation_id.data, "abc", 3) == 0);
    mfi_buf_fini(&buf);
}

static void test_remote_errors(void)
{
    static const char text[] = "ValueError: no\nTraceback (most recent call last):\n  ...";
    mf_error error;
    mfi_remote_error_split((mfi_text){text, sizeof text - 1}, &error);
    mf_check_int(error.code, MF_ERR_REMOTE);
    mf_check_str(error.message, "ValueError: no");
    mf_check_str(error.remote_type, "ValueError");
    mf_check_contains(error.remote_traceback, "Traceback");
    static const char missing[] = "Function 'x' not found or not callable";
    mfi_remote_error_split((mfi_text){missing, sizeof missing - 1}, &error);
    mf_check_int(error.code, MF_ERR_FUNCTION_NOT_FOUND);
}

static void test_traceparent(void)
{
    static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    char trace_id[33];
    char span_id[17];
    char text[MFI_TRACEPARENT_TEXT];
    uint8_t flags = 0;
    mf_check(mfi_traceparent_parse(good, 55, trace_id, span_id, &flags));
    mf_check_str(span_id, "00f067aa0ba902b7");
    mfi_traceparent_format(text, trace_id, span_id, flags);
    mf_check_str(text, good);
    mf_check(!mfi_traceparent_parse("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 55,
                                    trace_id, span_id, &flags));
    mf_check(!mfi_traceparent_parse("00-00000000000000000000000000000000-00f067aa0ba902b7-01", 55,
                                    trace_id, span_id, &flags));
    mf_check(mfi_traceparent_parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", 57,
                                   trace_id, span_id, &flags));
}

static const mf_test tests[] = {
    {"value__reads_back_and_every_prefix_is_refused", test_round_trips},
    {"value__every_encoding_is_read", test_every_encoding_is_read},
    {"value__bad_bytes_are_refused", test_bad_bytes_are_refused},
    {"value__what_is_sent_is_made_fit", test_what_is_sent_is_made_fit},
    {"envelope__call_reads_back", test_call_reads_back},
    {"envelope__remote_errors_are_taken_apart", test_remote_errors},
    {"traceparent__follows_the_w3c_rules", test_traceparent},
};
MF_TEST_MAIN(tests)
