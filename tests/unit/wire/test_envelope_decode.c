/* Messages to envelopes: sound ones, and what is left of those with a fault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/envelope_fast.h"
#include "core/wire/limits.h"
#include "core/wire/writer.h"
#include "mf_test.h"

static const mfi_limits small = {.string_bytes = 16, .items = 3};
static const mfi_limits large = {.string_bytes = MFI_MESSAGE_MAX_BYTES,
                                 .items = MFI_CONTAINER_MOST_ITEMS};
static const char seventeen[] = "seventeen letters";

/* A value as bytes, checked by nobody. */
static void pack(mfi_buf *buf, mf_value value)
{
    msgpack_packer packer;
    mfi_buf_init(buf, 0);
    mfi_packer_init(&packer, buf);
    mf_check_int(mfi_pack_value(&packer, &value, 0, "value", &large, NULL), MF_OK);
}

/* ---- What is left of a message with a fault ---- */

typedef struct outcome {
    mfi_buf buf;
    mfi_envelope envelope;
    mfi_reject reject;
    mf_status status;
    mf_error error;
} outcome;

/* A message of the usual fields with some changed or added: its bytes, then what is made of it. */
static void receive(outcome *to, mf_value message)
{
    mf_error error = MF_ERROR_INIT;
    to->error = error;
    pack(&to->buf, message);
    to->status = mfi_envelope_decode(to->buf.data, to->buf.size, &small, &to->envelope, &to->reject,
                                     &to->error);
}

static bool text_is(mfi_text text, const char *word)
{
    return text.data != NULL && text.size == strlen(word) &&
           memcmp(text.data, word, text.size) == 0;
}

static void check_answerable(const outcome *at, mf_status status, mfi_reject reject)
{
    mf_check_int(at->status, status);
    mf_check_int(at->reject, reject);
    mf_check_int(at->error.code, status);
    mf_check(at->envelope.well_formed);
    mf_check_int(at->envelope.type, MFI_MESSAGE_CALL);
    mf_check(text_is(at->envelope.id, "x1"));
    mf_check(at->envelope.namespace_present);
}

#define MESSAGE(...) MF_MAP("app", MFI_APP, "type", "call", __VA_ARGS__)
/* The message's own map would break max_items too, so its limit is off here. */
static const mfi_limits short_strings = {.string_bytes = 16, .items = 9};

static void receive_fields(outcome *to, mf_value message)
{
    mf_error error = MF_ERROR_INIT;
    to->error = error;
    pack(&to->buf, message);
    to->status = mfi_envelope_decode(to->buf.data, to->buf.size, &short_strings, &to->envelope,
                                     &to->reject, &to->error);
}

static void test_oversize_field_leaves_the_rest(void)
{
    outcome at;
    receive_fields(&at, MESSAGE("args", MF_ARRAY(1, MF_MAP("name", seventeen)), "id", "x1",
                                "function", "f", "namespace", "default", "timestamp", 1.5));
    check_answerable(&at, MF_ERR_LIMIT, MFI_REJECT_OVERSIZE);
    mf_check(at.envelope.args.data == NULL);
    mf_check(text_is(at.envelope.function, "f"));
    mf_check(text_is(at.envelope.namespace_name, "default"));
    mf_check(at.envelope.timestamp > 1 && at.envelope.timestamp < 2);
    mf_check_contains(at.error.message, "args[1].name (byte ");
    mf_check_contains(at.error.message, "str of 17 bytes, more than max_string_bytes (16)");
    mfi_buf_fini(&at.buf);

    mf_value ten = MF_ARRAY(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    receive_fields(
        &at, MESSAGE("id", "x1", "namespace", seventeen, "args", ten, "metadata", MF_MAP("k", 1)));
    check_answerable(&at, MF_ERR_LIMIT, MFI_REJECT_OVERSIZE);
    mf_check(at.envelope.namespace_name.data == NULL); /* present, and equal to none */
    mf_check(at.envelope.metadata.data != NULL);
    mf_check_contains(at.error.message, "namespace (byte "); /* the first fault */
    mfi_buf_fini(&at.buf);
}

static void test_deep_field_leaves_the_rest(void)
{
    mf_error error = MF_ERROR_INIT;
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    mfi_buf buf;
    mf_value fields = MESSAGE("id", "x1", "namespace", "default");
    pack(&buf, fields);
    buf.data[0] = 0x85; /* one pair more, added by hand */
    mfi_buf_append_str(&buf, "\xa4"
                             "args");
    for (int i = 0; i < 10000; i++) {
        mfi_buf_append_byte(&buf, 0x91);
    }
    mfi_buf_append_byte(&buf, 1);
    mf_check_int(mfi_envelope_decode(buf.data, buf.size, NULL, &envelope, &reject, &error),
                 MF_ERR_LIMIT);
    mf_check_int(reject, MFI_REJECT_OVERSIZE);
    mf_check(envelope.well_formed && text_is(envelope.id, "x1") && envelope.args.data == NULL);
    mf_check_contains(error.message, "args[0][0]");
    mf_check_contains(error.message, "depth of 100");
    mfi_buf_fini(&buf);
}

static void test_malformed_field_leaves_the_rest(void)
{
    outcome at;
    receive_fields(&at, MESSAGE("id", "x1", "function", mf_bin("\xff", 1), "namespace", "default",
                                "args", MF_ARRAY(1, "ab")));
    mf_check_int(at.status, MF_OK);
    uint8_t *text = memmem(at.buf.data, at.buf.size,
                           "\xa2"
                           "ab",
                           3);
    text[1] = 0xff;
    at.status =
        mfi_envelope_decode(at.buf.data, at.buf.size, NULL, &at.envelope, &at.reject, &at.error);
    check_answerable(&at, MF_ERR_PROTOCOL, MFI_REJECT_DECODE_ERROR);
    mf_check_contains(at.error.message, "args[1] (byte ");
    mf_check_contains(at.error.message, "not UTF-8");
    /* The same with a message that ends too early, or goes on: not to be answered. */
    for (size_t cut = 0; cut < at.buf.size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, at.buf.data, cut);
        mf_check_int(mfi_envelope_decode(exact, cut, NULL, &at.envelope, &at.reject, &at.error),
                     MF_ERR_PROTOCOL);
        mf_check_int(at.reject, MFI_REJECT_DECODE_ERROR);
        mf_check(!at.envelope.well_formed);
        if (cut + 1 == at.buf.size) {
            mf_check(text_is(at.envelope.id, "x1")); /* what stood before the end */
        }
        free(exact);
    }
    mfi_buf_append_byte(&at.buf, 0xc0);
    mf_check_int(
        mfi_envelope_decode(at.buf.data, at.buf.size, NULL, &at.envelope, &at.reject, &at.error),
        MF_ERR_PROTOCOL);
    mf_check(!at.envelope.well_formed);
    mf_check_contains(at.error.message, "1 bytes follow");
    mfi_buf_fini(&at.buf);
}

static void test_strangers_stay_strangers(void)
{
    outcome at;
    receive_fields(&at, MF_MAP("app", "other", "type", "call", "id", "x1", "args", seventeen));
    mf_check_int(at.reject, MFI_REJECT_WRONG_APP);
    mfi_buf_fini(&at.buf);
    receive_fields(&at, MF_MAP("app", seventeen, "type", "call", "id", "x1"));
    mf_check_int(at.reject, MFI_REJECT_WRONG_APP);
    mfi_buf_fini(&at.buf);
    receive_fields(&at, MF_MAP("app", MFI_APP, "type", "party", "id", "x1", "args", seventeen));
    mf_check_int(at.reject, MFI_REJECT_UNKNOWN_TYPE);
    mfi_buf_fini(&at.buf);
    receive(&at, MESSAGE("id", "x1", "namespace", "default")); /* four pairs, three allowed */
    mf_check_int(at.status, MF_ERR_LIMIT);
    mf_check_int(at.reject, MFI_REJECT_OVERSIZE);
    mf_check(!at.envelope.well_formed);
    mf_check_contains(at.error.message,
                      "message (byte 0): map of 4 items, more than max_items (3)");
    mfi_buf_fini(&at.buf);
}

/* ---- Sound ones ---- */

static void read_message(mfi_buf *buf, mf_value message, mfi_envelope *ret_envelope)
{
    mfi_reject reject = MFI_REJECT_DECODE_ERROR;
    mf_error error = MF_ERROR_INIT;
    pack(buf, message);
    mf_check_int(
        mfi_envelope_decode_general(buf->data, buf->size, NULL, ret_envelope, &reject, &error),
        MF_OK);
    mf_check_int(reject, MFI_REJECT_NONE);
    mf_check_str(error.message, "");
    mf_check(ret_envelope->well_formed);
}

static void test_types_are_told_apart(void)
{
    static const char *const words[] = {"call",     "response", "error",  "heartbeat",
                                        "shutdown", "stdout",   "stderr", "ready"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        mfi_buf buf;
        mfi_envelope envelope;
        read_message(&buf, MF_MAP("type", words[i]), &envelope); /* app may be missing */
        mf_check_int(envelope.type, MFI_MESSAGE_CALL + (int)i);
        mf_check(envelope.id.data == NULL && !envelope.namespace_present);
        mfi_buf_fini(&buf);
    }
}

static void test_the_last_of_equal_keys_counts(void)
{
    mfi_buf buf;
    mfi_envelope envelope;
    read_message(&buf,
                 MF_MAP("type", "party", "app", "other", "id", "first", "id", "second",
                        "clientName", "js", "timestamp", 7, "function", "f", "function", 8, "app",
                        MFI_APP, "type", "call"),
                 &envelope);
    mf_check_int(envelope.type, MFI_MESSAGE_CALL);
    mf_check(text_is(envelope.id, "second"));
    mf_check(text_is(envelope.client_name, "js"));
    mf_check(envelope.timestamp > 6.5 && envelope.timestamp < 7.5);
    mf_check(envelope.function.data == NULL); /* of the wrong type: as if it were absent */
    mfi_buf_fini(&buf);
}

/* ---- Metadata ---- */

static void read_metadata(mfi_buf *buf, mf_value map, mfi_metadata *ret_metadata)
{
    pack(buf, map);
    mfi_metadata_read_general((mfi_slice){buf->data, buf->size}, ret_metadata);
}

static void test_metadata_is_read(void)
{
    mfi_buf buf;
    mfi_metadata metadata;
    read_metadata(&buf,
                  MF_MAP("tenant", MF_ARRAY(1), "correlation_id", "a:b", "parent_request_id", "p-1",
                         "traceparent", "00-x", "tracestate", "a=1", "baggage", "user=1",
                         "server_queue_us", 13, "server_handler_us", 345.0, "deadline_ms_left",
                         -128, "attempt", 65535, "hb_timestamp", 1.5, "busy_ms", 70000,
                         "queue_length", 3, "handlers", 4, "draining", MF_TRUE),
                  &metadata);
    mf_check(text_is(metadata.correlation_id, "a:b") && !metadata.correlation_id_invalid);
    mf_check(text_is(metadata.parent_request_id, "p-1"));
    mf_check(text_is(metadata.traceparent, "00-x"));
    mf_check(text_is(metadata.tracestate, "a=1") && text_is(metadata.baggage, "user=1"));
    mf_check(metadata.has_server_times && metadata.has_deadline);
    mf_check_int(metadata.server_queue_us, 13);
    mf_check_int(metadata.server_handler_us, 345);
    mf_check_int(metadata.deadline_ms_left, -128);
    mf_check_int(metadata.attempt, 65535);
    mf_check_int(metadata.hb_timestamp.size, 9);
    mf_check(metadata.says_busy);
    mf_check_int(metadata.busy_ms, 70000);
    mf_check_int(metadata.queue_length, 3);
    mf_check_int(metadata.handlers, 4);
    mf_check(metadata.says_draining);
    mfi_buf_fini(&buf);
}

static void test_metadata_that_is_invalid_is_absent(void)
{
    mfi_buf buf;
    mfi_metadata metadata;
    read_metadata(&buf,
                  MF_MAP("correlation_id", "two words", "parent_request_id", 5, "server_queue_us",
                         13, "deadline_ms_left", "soon", "attempt", 65536, "busy_ms", -1,
                         "queue_length", "many", "handlers", -1, "draining", 1),
                  &metadata);
    mf_check(metadata.correlation_id.data == NULL && metadata.correlation_id_invalid);
    mf_check(metadata.parent_request_id.data == NULL);
    mf_check(!metadata.has_server_times); /* one of the two is missing */
    mf_check(!metadata.has_deadline);
    mf_check(!metadata.says_busy);
    mf_check_int(metadata.queue_length, 0);
    mf_check_int(metadata.attempt, 1);
    mf_check_int(metadata.handlers, 0);
    mf_check(!metadata.says_draining);
    mfi_buf_fini(&buf);
    read_metadata(&buf, MF_MAP("correlation_id", mf_nil(), "attempt", 0), &metadata);
    mf_check(metadata.correlation_id.data == NULL && !metadata.correlation_id_invalid);
    mf_check_int(metadata.attempt, 1);
    mfi_buf_fini(&buf);
    read_metadata(&buf, MF_ARRAY("attempt", 3), &metadata);
    mf_check_int(metadata.attempt, 1);
    mfi_buf_fini(&buf);
    mfi_metadata_read((mfi_slice){NULL, 0}, &metadata);
    mf_check_int(metadata.attempt, 1);
}

/* ---- Errors of peers ---- */

static void split(const char *text, mf_error *ret_error)
{
    mfi_remote_error_split((mfi_text){text, strlen(text)}, ret_error);
}

static void test_remote_errors_are_taken_apart(void)
{
    mf_error error;
    split("ValueError: no\nTraceback (most recent call last):\n  ...", &error);
    mf_check_int(error.code, MF_ERR_REMOTE);
    mf_check_str(error.message, "ValueError: no");
    mf_check_str(error.remote_type, "ValueError");
    mf_check_str(error.remote_traceback, "Traceback (most recent call last):\n  ...");
    split("two lines\nand no traceback", &error);
    mf_check_str(error.message, "two lines\nand no traceback");
    mf_check_str(error.remote_traceback, "");
    mf_check_str(error.remote_type, "");
    split("my.Error_2: text", &error);
    mf_check_str(error.remote_type, "my.Error_2");
    split("2nd: text", &error);
    mf_check_str(error.remote_type, "");
    split("Error:text", &error);
    mf_check_str(error.remote_type, "");
    split("", &error);
    mf_check_int(error.code, MF_ERR_REMOTE);
    mf_check_str(error.message, "");
}

/* The first line of a traceback is found by its own form, behind a message of any number of lines.
 */
static void test_a_message_of_several_lines_keeps_them(void)
{
    static const char *const tracebacks[] = {
        "Traceback (most recent call last):\n  File \"w.py\", line 1\nValueError: a",
        "    at add (/srv/w.js:3:11)\n    at run (/srv/w.js:9:1)",
        "goroutine 7 [running]:\nmain.add(...)", "stack backtrace:\n   0: rust_begin_unwind",
        "\tat com.example.Worker.add(Worker.java:7)"};
    mf_error error;
    char text[512];
    for (size_t i = 0; i < sizeof tracebacks / sizeof tracebacks[0]; i++) {
        (void)snprintf(text, sizeof text, "ValueError: a\n  b\nc\n\n%s", tracebacks[i]);
        split(text, &error);
        mf_check_str(error.message, "ValueError: a\n  b\nc");
        mf_check_str(error.remote_type, "ValueError");
        mf_check_str(error.remote_traceback, tracebacks[i]);
    }
    split("a\nTraceback of my trip\ngoroutine seven [x]\n  at home", &error);
    mf_check_str(error.message, "a\nTraceback of my trip\ngoroutine seven [x]\n  at home");
    mf_check_str(error.remote_traceback, "");
    split("Traceback (most recent call last):\nValueError: a", &error); /* no message before it */
    mf_check_str(error.message, "Traceback (most recent call last):\nValueError: a");
}

static void test_remote_text_has_no_control_characters(void)
{
    mf_error error;
    split("E: \x1b[2Jred\a\r\n\tend\x7f \xc2\x9b"
          "1m\rx \xff"
          "\r\nTraceback (most recent call last):\r\n  \x1b]0;title\a",
          &error);
    mf_check_str(error.message, "E: \\x1b[2Jred\\x07\n\tend\\x7f \\x9b1m\\x0dx \xef\xbf\xbd");
    mf_check_str(error.remote_traceback,
                 "Traceback (most recent call last):\n  \\x1b]0;title\\x07");
}

static void test_words_of_peers_for_a_missing_function(void)
{
    static const char *const texts[] = {
        "Function 'x' not found or not callable", "ValueError: Function 'x' not found",
        "Cannot call private method '_x'", "'x' is not callable", "Function not found: x"};
    mf_error error;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        split(texts[i], &error);
        mf_check_int(error.code, MF_ERR_FUNCTION_NOT_FOUND);
    }
    split("KeyError: Function not found: x", &error); /* somebody else's words */
    mf_check_int(error.code, MF_ERR_REMOTE);
}

static const mf_test tests[] = {
    {"envelope__types_are_told_apart", test_types_are_told_apart},
    {"envelope__the_last_of_equal_keys_counts", test_the_last_of_equal_keys_counts},
    {"envelope__oversize_field_leaves_the_rest", test_oversize_field_leaves_the_rest},
    {"envelope__deep_field_leaves_the_rest", test_deep_field_leaves_the_rest},
    {"envelope__malformed_field_leaves_the_rest", test_malformed_field_leaves_the_rest},
    {"envelope__strangers_stay_strangers", test_strangers_stay_strangers},
    {"metadata__is_read", test_metadata_is_read},
    {"metadata__that_is_invalid_is_absent", test_metadata_that_is_invalid_is_absent},
    {"remote_error__is_taken_apart", test_remote_errors_are_taken_apart},
    {"remote_error__a_message_of_several_lines_keeps_them",
     test_a_message_of_several_lines_keeps_them},
    {"remote_error__has_no_control_characters", test_remote_text_has_no_control_characters},
    {"remote_error__words_of_peers_for_a_missing_function",
     test_words_of_peers_for_a_missing_function},
};
MF_TEST_MAIN(tests)
