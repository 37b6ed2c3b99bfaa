/* The fast decoders agree with the general ones on each key of a message and of its metadata, with
 * values of all kinds, and with keys that occur twice. */
#include <string.h>

#include "base/buf.h"
#include "core/wire/envelope_fast.h"
#include "mf_test.h"
#include "paths.h"

typedef struct piece {
    const char *bytes;
    size_t size;
} piece;
#define PIECE(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const piece values[] = {
    PIECE("\xc0"),
    PIECE("\xc3"),
    PIECE("\0"),
    PIECE("\x01"),
    PIECE("\xff"), /* -1 */
    PIECE("\xcc\xc8"),
    PIECE("\xcd\xff\xff"),
    PIECE("\xce\0\1\0\0"), /* 65536 */
    PIECE("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
    PIECE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    PIECE("\xd0\x80"),
    PIECE("\xd1\x80\0"),
    PIECE("\xd3\x80\0\0\0\0\0\0\0"),
    PIECE("\xca\x40\x40\0\0"),         /* 3.0 */
    PIECE("\xcb\x40\x08\0\0\0\0\0\0"), /* 3.0 */
    PIECE("\xcb\x3f\xf8\0\0\0\0\0\0"), /* 1.5 */
    PIECE("\xa0"),
    PIECE("\xa4"
          "call"),
    PIECE("\xa6"
          "stdout"),
    PIECE("\xae"
          "comlink_ipc_v3"),
    PIECE("\xae"
          "comlink_ipc_v4"),
    PIECE("\xa3"
          "a b"),
    PIECE("\xa2\xc3\xbc"),
    PIECE("\xa2\xc3("), /* not UTF-8 */
    PIECE("\xd9\x04"
          "call"),
    PIECE("\xd9\x09"
          "heartbea\xff"),
    PIECE("\xda\0\x04"
          "call"),
    PIECE("\xdb\0\0\0\x04"
          "call"),
    PIECE("\xc4\x02hi"),
    PIECE("\x90"),
    PIECE("\x92\x01\xa1x"),
    PIECE("\x92\x01\xa1\xff"),
    PIECE("\xdc\0\x01\x91\xc0"),
    PIECE("\x81\xa1x\x93\x01\x02\xcb\0\0\0\0\0\0\0\0"),
    PIECE("\xde\0\x01\xa1x\x01"),
    PIECE("\xd6\xff\0\0\0\x01"), /* a timestamp */
};
#define VALUES (sizeof values / sizeof values[0])

static void append_key(mfi_buf *to, const char *key)
{
    mfi_buf_append_byte(to, (uint8_t)(0xa0u | strlen(key)));
    mfi_buf_append_str(to, key);
}

static void append_pair(mfi_buf *to, const char *key, const piece *value)
{
    append_key(to, key);
    mfi_buf_append(to, value->bytes, value->size);
}

static void check_same(const mfi_buf *message)
{
    const char *difference = paths_differ(message->data, message->size);
    mf_check_str(difference != NULL ? difference : "", "");
}

/* The key twice, behind a type. */
static void check_message(mfi_buf *to, const char *key, const piece *first, const piece *second)
{
    mfi_buf_clear(to);
    mfi_buf_append_byte(to, 0x83);
    append_key(to, "type");
    append_key(to, "call"); /* which is a str as any */
    append_pair(to, key, first);
    append_pair(to, key, second);
    check_same(to);
}

/* The same of metadata, that alone and in a message. */
static void check_metadata(mfi_buf *to, const char *key, const piece *first, const piece *second)
{
    mfi_buf_clear(to);
    mfi_buf_append_byte(to, 0x82);
    append_pair(to, key, first);
    append_pair(to, key, second);
    check_same(to);
    mfi_buf_clear(to);
    mfi_buf_append_byte(to, 0x82);
    append_key(to, "type");
    append_key(to, "call");
    append_key(to, "metadata");
    mfi_buf_append_byte(to, 0x82);
    append_pair(to, key, first);
    append_pair(to, key, second);
    check_same(to);
}

static void test_keys(const char *const keys[], size_t count,
                      void (*check)(mfi_buf *to, const char *key, const piece *first,
                                    const piece *second))
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    for (size_t i = 0; i < count * VALUES * VALUES; i++) {
        check(&buf, keys[i / (VALUES * VALUES)], &values[i / VALUES % VALUES], &values[i % VALUES]);
    }
    mfi_buf_fini(&buf);
}

static void test_message_keys(void)
{
    static const char *const keys[] = {"app",      "id",        "type",        "timestamp",
                                       "function", "namespace", "client_name", "clientName",
                                       "args",     "result",    "metadata",    "error",
                                       "output",   "appendix",  "namespaces"};
    test_keys(keys, sizeof keys / sizeof keys[0], check_message);
}

static void test_metadata_keys(void)
{
    static const char *const keys[] = {"correlation_id",
                                       "parent_request_id",
                                       "traceparent",
                                       "server_queue_us",
                                       "server_handler_us",
                                       "deadline_ms_left",
                                       "attempt",
                                       "hb_timestamp",
                                       "timestamp_sent",
                                       "timestamp_received",
                                       "tenant",
                                       "seventeen_letters",
                                       "handlers",
                                       "load",
                                       "retry_after_ms",
                                       "tracestate",
                                       "baggage"};
    test_keys(keys, sizeof keys / sizeof keys[0], check_metadata);
}

/* What the two have in common was looked at; this is what they say. */
static void test_metadata_is_read(void)
{
    static const char bytes[] = "\x87\xa8"
                                "handlers\x04\xaf"
                                "server_queue_us\x0c\xb1"
                                "server_handler_us\xcd\x01\x59\xb0"
                                "deadline_ms_left\xd0\x80\xa7"
                                "attempt\xce\0\x01\0\0\xaf"
                                "server_queue_us\x0d\xae"
                                "correlation_id\xa3"
                                "a:b";
    mfi_metadata metadata;
    mf_check(
        mfi_metadata_read_fast((mfi_slice){(const uint8_t *)bytes, sizeof bytes - 1}, &metadata));
    mf_check(metadata.has_server_times && metadata.has_deadline);
    mf_check_int(metadata.server_queue_us, 13);
    mf_check_int(metadata.server_handler_us, 345);
    mf_check_int(metadata.deadline_ms_left, -128);
    mf_check_int(metadata.attempt, 1);
    mf_check_int(metadata.handlers, 4);
    mf_check(metadata.correlation_id.size == 3 && !metadata.correlation_id_invalid);
    mf_check(!mfi_metadata_read_fast((mfi_slice){NULL, 0}, &metadata));
}

/* `\xcb` and eight bytes: a double. */
static void check_load(const char *number, bool wanted, double load)
{
    uint8_t bytes[] = "\x81\xa4loadxxxxxxxxx";
    mfi_metadata metadata;
    memcpy(bytes + 6, number, 9);
    mf_check(mfi_metadata_read_fast((mfi_slice){bytes, 15}, &metadata));
    mf_check_int(metadata.has_load, wanted);
    mf_check(metadata.load == load);
}

static void check_pushback(const char *number, size_t size, bool wanted, int64_t ms)
{
    uint8_t bytes[32] = "\x81\xaeretry_after_ms";
    mfi_metadata metadata;
    memcpy(bytes + 16, number, size);
    mfi_metadata_read((mfi_slice){bytes, 16 + size}, &metadata);
    mf_check_int(metadata.has_pushback, wanted);
    mf_check_int(metadata.pushback_ms, ms);
}

static void test_load_and_pushback_have_bounds(void)
{
    check_load("\xcb\0\0\0\0\0\0\0\0", true, 0);
    check_load("\xcb\x3f\xe8\0\0\0\0\0\0", true, 0.75);
    check_load("\xcb\x3f\xf0\0\0\0\0\0\0", true, 1);
    check_load("\xcb\x3f\xf0\0\0\0\0\0\1", false, 0); /* above 1 */
    check_load("\xcb\xbf\xe8\0\0\0\0\0\0", false, 0); /* below 0 */
    check_load("\xcb\x7f\xf8\0\0\0\0\0\0", false, 0); /* NaN */
    check_pushback("\0", 1, true, 0);
    check_pushback("\xff", 1, true, -1);
    check_pushback("\xce\x05\x26\x5c\0", 5, true, 86400000);
    check_pushback("\xce\x05\x26\x5c\1", 5, false, 0); /* more than a day */
    check_pushback("\xa1x", 2, false, 0);
}

static const mf_test tests[] = {
    {"paths__agree_on_each_key_of_a_message", test_message_keys},
    {"paths__agree_on_each_key_of_metadata", test_metadata_keys},
    {"paths__fast_metadata_is_what_it_says", test_metadata_is_read},
    {"paths__load_and_pushback_have_bounds", test_load_and_pushback_have_bounds},
};
MF_TEST_MAIN(tests)
