/* The encoders write what msgpack-c writes for the same fields, over many combinations of them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "mf_test.h"
#include "packed.h"

#define ID "5e0c1c2e-0000-4000-8000-000000000001"

#define ROUNDS 4000
#define POOL_VALUES 400
#define TEXT_MAX 70000

static uint32_t state = 2463534242u;
static mf_value pool[POOL_VALUES];
static uint32_t pool_used;
static char letters[TEXT_MAX + 1];

/* xorshift: Marsaglia, "Xorshift RNGs", 2003. */
static uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

static void fill_letters(void)
{
    for (size_t i = 0; i < TEXT_MAX; i++) {
        letters[i] = (char)('a' + i % 26);
    }
}

/* The end of the letters, so also NUL-terminated; lengths around those where headers change. */
static mfi_text any_text(uint32_t kinds)
{
    static const size_t lengths[] = {0,  1,  2,  3,  4,   7,   8,   9,   15,  16,   17,    31,
                                     32, 33, 36, 55, 127, 128, 129, 255, 256, 4096, 65535, 65536};
    size_t length = lengths[any(kinds)];
    return (mfi_text){letters + TEXT_MAX - length, length};
}
#define SHORT 21u /* to 256 bytes */
#define EVERY 24u

static int64_t any_integer(void)
{
    uint64_t number = (uint64_t)any(UINT32_MAX) << 32 | any(UINT32_MAX);
    number >>= any(64);
    return any(2) == 0 ? (int64_t)number : (int64_t)(~number);
}

static mf_value any_value(uint32_t depth);

static mf_value any_container(uint32_t depth)
{
    bool is_map = any(2) == 0;
    uint32_t count = any(8) == 0 ? any(40) : any(4);
    uint32_t values = is_map ? count * 2 : count;
    mf_value *items = pool + pool_used;
    if (pool_used + values > POOL_VALUES) {
        return mf_nil();
    }
    pool_used += values;
    for (uint32_t i = 0; i < values; i++) {
        mfi_text key = any_text(SHORT);
        items[i] = is_map && i % 2 == 0 ? mf_str_n(key.data, key.size) : any_value(depth + 1);
    }
    return is_map ? mf_map(items, count) : mf_array(items, count);
}

static mf_value any_value(uint32_t depth)
{
    static const double numbers[] = {0, -1.5, 1e300, (double)NAN, (double)INFINITY};
    mfi_text text = any_text(any(50) == 0 ? EVERY : SHORT);
    switch (any(depth < 3 ? 11 : 8)) {
    case 0:
        return mf_nil();
    case 1:
        return mf_bool(any(2) == 0);
    case 2:
        return mf_uint((uint64_t)any_integer());
    case 3:
        return mf_float(numbers[any(5)]);
    case 4:
        return mf_str("gr\xc3\xbc\xc3\x9f"
                      "e \xf0\x9f\x98\x80");
    case 5:
        return mf_str_n(text.data, text.size);
    case 6:
        return mf_bin(text.data, text.size);
    case 8:
    case 9:
        return any_container(depth);
    default:
        return mf_int(any_integer());
    }
}

/* ---- Comparisons ---- */

static mf_status encode(mfi_buf *to, const packed_message *of)
{
    mfi_text id = {of->call.id, strlen(of->call.id)};
    double now = of->call.timestamp;
    switch (of->kind) {
    case CALL:
        return mfi_encode_call(to, &of->call, NULL);
    case RESPONSE:
        return mfi_encode_response(to, id, &of->result, now, NULL, &of->times, NULL);
    case FAILURE:
        return mfi_encode_error(to, id, of->text, now, &of->times, NULL);
    case HEARTBEAT:
        return mfi_encode_heartbeat(to, of->call.id, now, NULL);
    case ANSWER:
        return mfi_encode_heartbeat_answer(to, &of->answer, now, NULL);
    case OUTPUT:
        return mfi_encode_output(to, of->call.id, of->is_stderr, of->text, of->call.correlation_id,
                                 now, NULL);
    case SHUTDOWN:
    case KINDS:
        break;
    }
    return mfi_encode_shutdown(to, of->call.id, now, NULL);
}

static void any_message(packed_message *to)
{
    static const uint8_t no_args[] = {0x90};
    static const uint8_t hi[] = {0xa2, 'h', 'i'};
    static mf_value args[40];
    static mf_value metadata;
    static mf_value pairs[6];
    static mf_value list[2];
    pool_used = 0;
    uint32_t count = any(8) == 0 ? any(40) : any(4);
    for (uint32_t i = 0; i < count; i++) {
        args[i] = any_value(0);
    }
    mfi_text none = {NULL, 0};
    list[0] = mf_int(1);
    list[1] = mf_str("two");
    pairs[0] = mf_str("tenant");
    pairs[1] = mf_int(any(9));
    pairs[2] = mf_str("traceparent");
    pairs[3] = mf_str("theirs");
    pairs[4] = mf_str("deep");
    pairs[5] = mf_array(list, 2);
    metadata = mf_map(pairs, any(4));
    *to = (packed_message){
        .kind = any(KINDS),
        .call = {.id = any_text(SHORT).data,
                 .function = any_text(SHORT),
                 .namespace_name = any(2) == 0 ? none : any_text(SHORT),
                 .client_name = any(2) == 0 ? none : any_text(SHORT),
                 .args = {args, count},
                 .metadata = any(3) == 0 ? &metadata : NULL,
                 .correlation_id = any(2) == 0 ? NULL : any_text(SHORT).data,
                 .parent_request_id = any(2) == 0 ? NULL : any_text(SHORT).data,
                 .traceparent = any(2) == 0 ? NULL : any_text(SHORT).data,
                 .tracestate = any(2) == 0 ? none : any_text(SHORT),
                 .baggage = any(2) == 0 ? none : any_text(SHORT),
                 .timestamp = (double)any_integer() / 1000,
                 .deadline_ms_left = any(4) == 0 ? MF_TIMEOUT_INFINITE : any_integer(),
                 .attempt = any(3) * any(1000)},
        .text = any_text(EVERY - 2),
        .result = any_value(0),
        .times = {.timestamp_received = (double)any_integer(),
                  .has_server_times = any(2) == 0,
                  .queue_us = (uint64_t)any_integer(),
                  .handler_us = (uint64_t)any_integer(),
                  .more = any(3) == 0 ? &metadata : NULL},
        .answer = {.id = any_text(SHORT),
                   .busy_ms = (uint64_t)any_integer(),
                   .queue_length = any(100),
                   .handlers = any(300),
                   .draining = any(2) == 0},
        .is_stderr = any(2) == 0};
    to->answer.args = any(2) == 0 ? (mfi_slice){no_args, sizeof no_args} : to->answer.args;
    to->answer.hb_timestamp = any(2) == 0 ? (mfi_slice){hi, sizeof hi} : to->answer.hb_timestamp;
}

/* With a cap that fits exactly, and with one that is too low by `missing` bytes; behind others. */
static void check_capped(const packed_message *of, const msgpack_sbuffer *wanted, size_t missing)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 3 + wanted->size - missing);
    mfi_buf_append(&buf, "abc", 3);
    mf_status status = encode(&buf, of);
    mf_check_int(status, missing == 0 ? MF_OK : MF_ERR_LIMIT);
    mf_check_int(buf.size, missing == 0 ? 3 + wanted->size : 3);
    mf_check(!buf.failed && memcmp(buf.data, "abc", 3) == 0);
    mf_check(missing != 0 || memcmp(buf.data + 3, wanted->data, wanted->size) == 0);
    mfi_buf_fini(&buf);
}

static void test_same_bytes(void)
{
    packed_message made;
    msgpack_sbuffer wanted;
    msgpack_packer packer;
    int seen[KINDS] = {0};
    fill_letters();
    msgpack_sbuffer_init(&wanted);
    msgpack_packer_init(&packer, &wanted, msgpack_sbuffer_write);
    for (int i = 0; i < ROUNDS; i++) {
        any_message(&made);
        msgpack_sbuffer_clear(&wanted);
        packed_write(&packer, &made);
        check_capped(&made, &wanted, 0);
        check_capped(&made, &wanted, 1);
        check_capped(&made, &wanted, 1 + any((uint32_t)wanted.size));
        seen[made.kind]++;
    }
    for (int i = 0; i < KINDS; i++) {
        mf_check(seen[i] > ROUNDS / KINDS / 2);
    }
    msgpack_sbuffer_destroy(&wanted);
}

/* ---- One by one ---- */

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

static bool reads_as(mfi_text text, const char *wanted)
{
    return text.data != NULL && text.size == strlen(wanted) &&
           memcmp(text.data, wanted, text.size) == 0;
}

/* Baggage goes first, then the tracestate; the program's own pairs are never left out. */
static void check_carried(size_t own_bytes, bool has_state, bool has_baggage)
{
    static char own_text[MFI_METADATA_MAX_BYTES];
    char vendors[500], baggage[1000];
    mfi_buf buf;
    mfi_envelope envelope;
    mfi_metadata metadata;
    mfi_reject reject;
    mf_error error = MF_ERROR_INIT;
    memset(own_text, 'o', sizeof own_text);
    memset(vendors, 's', sizeof vendors);
    memset(baggage, 'b', sizeof baggage);
    mf_value own =
        MF_MAP("own", mf_str_n(own_text, own_bytes), "baggage", "x=1", "tracestate", "y=1");
    mfi_call_fields call = {.id = ID,
                            .function = {"f", 1},
                            .metadata = &own,
                            .tracestate = {vendors, sizeof vendors},
                            .baggage = {baggage, sizeof baggage}};
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_OK);
    mf_check_int(mfi_envelope_decode(buf.data, buf.size, NULL, &envelope, &reject, &error), MF_OK);
    mf_check(envelope.metadata.size <= MFI_METADATA_MAX_BYTES);
    mfi_metadata_read(envelope.metadata, &metadata);
    mf_check_int(metadata.tracestate.size, has_state ? sizeof vendors : 0);
    mf_check_int(metadata.baggage.size, has_baggage ? sizeof baggage : 0);
    mfi_buf_fini(&buf);
}

static void test_carried_texts_give_way(void)
{
    mfi_buf buf;
    mfi_envelope envelope;
    mfi_metadata metadata;
    mfi_reject reject;
    mfi_call_fields call = {
        .id = ID, .function = {"f", 1}, .tracestate = {"a=1", 3}, .baggage = {"user=1", 6}};
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_call(&buf, &call, NULL), MF_OK);
    mf_check_int(mfi_envelope_decode(buf.data, buf.size, NULL, &envelope, &reject, NULL), MF_OK);
    mfi_metadata_read(envelope.metadata, &metadata);
    mf_check(reads_as(metadata.tracestate, "a=1") && reads_as(metadata.baggage, "user=1"));
    mfi_buf_fini(&buf);
    check_carried(2000, true, true);
    check_carried(3200, true, false);
    check_carried(3900, false, false);
}

static void test_whole_message_is_bounded(void)
{
    mfi_buf buf;
    mf_error error = MF_ERROR_INIT;
    mfi_call_fields call = {.id = ID, .function = {"f", 1}, .args = MF_ARGS("seventeen letters")};
    mfi_buf_init(&buf, 64);
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "message: larger than max_message_bytes (64)");
    mf_check_int(buf.size, 0);
    mf_check(!buf.failed);
    mfi_buf_fini(&buf);
}

static void test_metadata_has_paths(void)
{
    mfi_buf buf;
    mf_error error = MF_ERROR_INIT;
    mf_value own = MF_MAP("tenant", MF_MAP("name", "\xff"));
    mfi_call_fields call = {.id = ID, .function = {"f", 1}, .metadata = &own};
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "metadata.tenant.name: ");
    own = MF_MAP(5, "five");
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_OK);
    mf_check(memmem(buf.data, buf.size,
                    "\xa1"
                    "5\xa4"
                    "five",
                    7) != NULL); /* a str key */
    mfi_buf_fini(&buf);
}

/* A response in two steps is the response in one. */
static void test_a_response_in_two_steps(void)
{
    mfi_buf whole;
    mfi_buf steps;
    mf_error error = MF_ERROR_INIT;
    mfi_text id = {ID, strlen(ID)};
    mf_value result = MF_MAP("k", MF_ARRAY(1, "two"));
    mf_value broken = MF_ARRAY(1, "\xff");
    mfi_reply_times times = {
        .timestamp_received = 1.5, .has_server_times = true, .queue_us = 7, .handler_us = 70000};
    mfi_buf_init(&whole, 0);
    mfi_buf_init(&steps, 0);
    mf_check_int(mfi_encode_response(&whole, id, &result, 2.5, NULL, &times, &error), MF_OK);
    mf_check_int(mfi_encode_response_begin(&steps, id, &result, 2.5, NULL, &error), MF_OK);
    mf_check_int(mfi_encode_response_end(&steps, &times, &error), MF_OK);
    mf_check(whole.size == steps.size && memcmp(whole.data, steps.data, whole.size) == 0);
    mf_check_int(mfi_encode_response_begin(&steps, id, &broken, 2.5, NULL, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "result[1]: ");
    mf_check_int(steps.size, whole.size); /* as it was */
    mfi_buf_fini(&whole);
    mfi_buf_fini(&steps);
}

static void read_error(mfi_text text, mfi_buf *buf, mfi_envelope *ret_envelope)
{
    mfi_reject reject = MFI_REJECT_NONE;
    mfi_reply_times times = {.timestamp_received = 1};
    mfi_buf_init(buf, 0);
    mf_check_int(mfi_encode_error(buf, (mfi_text){"id", 2}, text, 1, &times, NULL), MF_OK);
    mf_check_int(mfi_envelope_decode(buf->data, buf->size, NULL, ret_envelope, &reject, NULL),
                 MF_OK);
    mf_check_int(ret_envelope->type, MFI_MESSAGE_ERROR);
}

static void test_error_texts_are_cleaned_and_cut(void)
{
    static char text[MFI_ERROR_TEXT_MAX_BYTES + 100];
    mfi_buf buf;
    mfi_envelope envelope;
    read_error((mfi_text){"a\xff"
                          "b",
                          3},
               &buf, &envelope);
    mf_check_int(envelope.error.size, 5);
    mf_check(memcmp(envelope.error.data,
                    "a\xef\xbf\xbd"
                    "b",
                    5) == 0);
    mfi_buf_fini(&buf);
    memset(text, 'e', sizeof text);
    read_error((mfi_text){text, sizeof text}, &buf, &envelope);
    mf_check_int(envelope.error.size, MFI_ERROR_TEXT_MAX_BYTES);
    mfi_buf_fini(&buf);
}

static const mf_test tests[] = {
    {"encode__writes_what_msgpack_c_writes_and_keeps_to_the_cap", test_same_bytes},
    {"encode__a_call_reads_back", test_call_reads_back},
    {"carried_texts_give_way", test_carried_texts_give_way},
    {"encode__carried_texts_give_way", test_carried_texts_give_way},
    {"encode__the_whole_message_is_bounded", test_whole_message_is_bounded},
    {"encode__metadata_has_paths", test_metadata_has_paths},
    {"encode__a_response_in_two_steps", test_a_response_in_two_steps},
    {"encode__error_texts_are_cleaned_and_cut", test_error_texts_are_cleaned_and_cut},
};
MF_TEST_MAIN(tests)
