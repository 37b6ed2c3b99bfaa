/* The encoders write the same as msgpack-c for the same fields, in many combinations of fields. */
#include <math.h>
#include <string.h>

#include <msgpack.h>

#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "mf_test.h"

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

/* ---- msgpack-c ---- */

static void pack_text(msgpack_packer *to, const char *text, size_t size)
{
    (void)msgpack_pack_str(to, size);
    (void)msgpack_pack_str_body(to, text, size);
}

static void pack_word(msgpack_packer *to, const char *word)
{
    pack_text(to, word, strlen(word));
}

static void pack_value(msgpack_packer *to, const mf_value *value)
{
    uint32_t values = value->type == MF_TYPE_MAP ? value->length * 2 : value->length;
    switch (value->type) {
    case MF_TYPE_BOOL:
        (void)(value->as.boolean ? msgpack_pack_true(to) : msgpack_pack_false(to));
        return;
    case MF_TYPE_INT:
        (void)msgpack_pack_int64(to, value->as.integer);
        return;
    case MF_TYPE_UINT:
        (void)msgpack_pack_int64(to, INT64_MAX);
        return;
    case MF_TYPE_FLOAT:
        (void)(isfinite(value->as.number) ? msgpack_pack_double(to, value->as.number)
                                          : msgpack_pack_nil(to));
        return;
    case MF_TYPE_STR:
        pack_text(to, value->as.str, value->length);
        return;
    case MF_TYPE_BIN:
        (void)msgpack_pack_bin(to, value->length);
        (void)msgpack_pack_bin_body(to, value->as.bytes, value->length);
        return;
    case MF_TYPE_ARRAY:
    case MF_TYPE_MAP:
        (void)(value->type == MF_TYPE_MAP ? msgpack_pack_map(to, value->length)
                                          : msgpack_pack_array(to, value->length));
        for (uint32_t i = 0; i < values; i++) {
            pack_value(to, &value->as.items[i]);
        }
        return;
    default:
        (void)msgpack_pack_nil(to);
    }
}

static void pack_head(msgpack_packer *to, size_t pairs, mfi_text id, const char *type,
                      double timestamp)
{
    (void)msgpack_pack_map(to, pairs);
    pack_word(to, "app");
    pack_word(to, MFI_APP);
    pack_word(to, "id");
    pack_text(to, id.data, id.size);
    pack_word(to, "type");
    pack_word(to, type);
    pack_word(to, "timestamp");
    (void)msgpack_pack_double(to, timestamp);
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The pairs of ours: either counted or packed. */
static size_t own_pairs(msgpack_packer *to, const mfi_call_fields *call)
{
    const char *texts[][2] = {{"correlation_id", call->correlation_id},
                              {"parent_request_id", call->parent_request_id},
                              {"traceparent", call->traceparent}};
    size_t count = 1;
    if (to != NULL) {
        pack_word(to, "timestamp_sent");
        (void)msgpack_pack_double(to, call->timestamp);
    }
    for (size_t i = 0; i < 3; i++) {
        if (is_set(texts[i][1])) {
            count++;
            if (to != NULL) {
                pack_word(to, texts[i][0]);
                pack_word(to, texts[i][1]);
            }
        }
    }
    bool deadline = call->deadline_ms_left > 0 && call->deadline_ms_left != MF_TIMEOUT_INFINITE;
    if (deadline && to != NULL) {
        pack_word(to, "deadline_ms_left");
        (void)msgpack_pack_int64(to, call->deadline_ms_left);
    }
    if (call->attempt > 1 && to != NULL) {
        pack_word(to, "attempt");
        (void)msgpack_pack_uint32(to, call->attempt);
    }
    return count + deadline + (call->attempt > 1);
}

/* The second pair's key is one of ours: it goes where we have that pair. */
static void pack_metadata(msgpack_packer *to, const mfi_call_fields *call)
{
    uint32_t theirs = call->metadata != NULL ? call->metadata->length : 0;
    bool hidden = theirs > 1 && is_set(call->traceparent);
    pack_word(to, "metadata");
    (void)msgpack_pack_map(to, own_pairs(NULL, call) + theirs - hidden);
    (void)own_pairs(to, call);
    for (uint32_t i = 0; i < theirs; i++) {
        if (i != 1 || !hidden) {
            pack_value(to, &call->metadata->as.items[(size_t)i * 2]);
            pack_value(to, &call->metadata->as.items[(size_t)i * 2 + 1]);
        }
    }
}

static void pack_call(msgpack_packer *to, const mfi_call_fields *call)
{
    mf_value args = mf_array(call->args.items, call->args.count);
    bool named = call->client_name.data != NULL;
    pack_head(to, named ? 9 : 8, (mfi_text){call->id, strlen(call->id)}, "call", call->timestamp);
    pack_word(to, "function");
    pack_text(to, call->function.data, call->function.size);
    pack_word(to, "namespace");
    if (call->namespace_name.data != NULL) {
        pack_text(to, call->namespace_name.data, call->namespace_name.size);
    } else {
        pack_word(to, "default");
    }
    if (named) {
        pack_word(to, "client_name");
        pack_text(to, call->client_name.data, call->client_name.size);
    }
    pack_metadata(to, call);
    pack_word(to, "args");
    pack_value(to, &args);
}

static void pack_times(msgpack_packer *to, const mfi_reply_times *times)
{
    uint32_t more = times->more != NULL ? times->more->length : 0;
    pack_word(to, "metadata");
    (void)msgpack_pack_map(to, (times->has_server_times ? 3 : 1) + more);
    for (uint32_t i = 0; i < more * 2; i++) {
        pack_value(to, &times->more->as.items[i]);
    }
    pack_word(to, "timestamp_received");
    (void)msgpack_pack_double(to, times->timestamp_received);
    if (times->has_server_times) {
        pack_word(to, "server_queue_us");
        (void)msgpack_pack_uint64(to, times->queue_us);
        pack_word(to, "server_handler_us");
        (void)msgpack_pack_uint64(to, times->handler_us);
    }
}

/* ---- Comparisons ---- */

typedef struct message {
    enum { CALL, RESPONSE, FAILURE, HEARTBEAT, ANSWER, OUTPUT, SHUTDOWN, KINDS } kind;
    mfi_call_fields call; /* its id and timestamp are those of all kinds */
    mfi_text text;
    mf_value result;
    mfi_reply_times times;
    mfi_heartbeat_answer answer;
    bool is_stderr;
} message;

static mf_status encode(mfi_buf *to, const message *of)
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
        return mfi_encode_output(to, of->call.id, of->is_stderr, of->text, now, NULL);
    case SHUTDOWN:
    case KINDS:
        break;
    }
    return mfi_encode_shutdown(to, of->call.id, now, NULL);
}

static void pack_answer(msgpack_packer *to, const message *of)
{
    bool has_args = of->answer.args.data != NULL;
    pack_head(to, has_args ? 6 : 5, of->answer.id, "heartbeat", of->call.timestamp);
    if (has_args) {
        pack_word(to, "args");
        (void)msgpack_pack_array(to, 0);
    }
    pack_word(to, "metadata");
    (void)msgpack_pack_map(to, 4);
    pack_word(to, "hb_timestamp");
    if (of->answer.hb_timestamp.data != NULL) {
        pack_word(to, "hi");
    } else {
        (void)msgpack_pack_double(to, of->call.timestamp);
    }
    pack_word(to, "hb_response");
    (void)msgpack_pack_true(to);
    pack_word(to, "busy_ms");
    (void)msgpack_pack_uint64(to, of->answer.busy_ms);
    pack_word(to, "queue_length");
    (void)msgpack_pack_uint64(to, of->answer.queue_length);
}

static void pack(msgpack_packer *to, const message *of)
{
    mfi_text id = {of->call.id, strlen(of->call.id)};
    double now = of->call.timestamp;
    switch (of->kind) {
    case CALL:
        pack_call(to, &of->call);
        return;
    case RESPONSE:
        pack_head(to, 6, id, "response", now);
        pack_word(to, "result");
        pack_value(to, &of->result);
        pack_times(to, &of->times);
        return;
    case FAILURE:
        pack_head(to, 6, id, "error", now);
        pack_times(to, &of->times);
        pack_word(to, "error");
        pack_text(to, of->text.data, of->text.size);
        return;
    case HEARTBEAT:
        pack_head(to, 5, id, "heartbeat", now);
        pack_word(to, "metadata");
        (void)msgpack_pack_map(to, 1);
        pack_word(to, "hb_timestamp");
        (void)msgpack_pack_double(to, now);
        return;
    case ANSWER:
        pack_answer(to, of);
        return;
    case OUTPUT:
        pack_head(to, 5, id, of->is_stderr ? "stderr" : "stdout", now);
        pack_word(to, "output");
        pack_text(to, of->text.data, of->text.size);
        return;
    case SHUTDOWN:
    case KINDS:
        pack_head(to, 4, id, "shutdown", now);
    }
}

static void any_message(message *to)
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
    *to = (message){.kind = any(KINDS),
                    .call = {.id = any_text(SHORT).data,
                             .function = any_text(SHORT),
                             .namespace_name = any(2) == 0 ? none : any_text(SHORT),
                             .client_name = any(2) == 0 ? none : any_text(SHORT),
                             .args = {args, count},
                             .metadata = any(3) == 0 ? &metadata : NULL,
                             .correlation_id = any(2) == 0 ? NULL : any_text(SHORT).data,
                             .parent_request_id = any(2) == 0 ? NULL : any_text(SHORT).data,
                             .traceparent = any(2) == 0 ? NULL : any_text(SHORT).data,
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
                               .queue_length = any(100)},
                    .is_stderr = any(2) == 0};
    to->answer.args = any(2) == 0 ? (mfi_slice){no_args, sizeof no_args} : to->answer.args;
    to->answer.hb_timestamp = any(2) == 0 ? (mfi_slice){hi, sizeof hi} : to->answer.hb_timestamp;
}

/* With a cap that fits exactly, and with one that is too low by `missing` bytes; behind others. */
static void check_capped(const message *of, const msgpack_sbuffer *wanted, size_t missing)
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
    message made;
    msgpack_sbuffer wanted;
    msgpack_packer packer;
    int seen[KINDS] = {0};
    fill_letters();
    msgpack_sbuffer_init(&wanted);
    msgpack_packer_init(&packer, &wanted, msgpack_sbuffer_write);
    for (int i = 0; i < ROUNDS; i++) {
        any_message(&made);
        msgpack_sbuffer_clear(&wanted);
        pack(&packer, &made);
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

static const mf_test tests[] = {
    {"encode__writes_what_msgpack_c_writes_and_keeps_to_the_cap", test_same_bytes},
};
MF_TEST_MAIN(tests)
