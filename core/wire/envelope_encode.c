/* Encodes messages into a buffer. If a value cannot be sent, the buffer keeps its old content. */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "core/wire/put.h"
#include "core/wire/writer.h"

/* A message that is being appended. Its frame is written straight into the buffer; values that are
 * not plain go through msgpack-c. */
typedef struct draft {
    mfi_buf *to;
    size_t start; /* the buffer's size before; restored on failure */
} draft;

/* Upper bounds in bytes of everything but texts and values: the map's header, all keys, numbers and
 * the headers of texts. */
#define FIELDS_MAX_BYTES ((size_t)256)
#define METADATA_MAX_BYTES ((size_t)256)

/* Writes the four fields of every message into a map with `more` further ones. Inlined into each
 * encoder, so that the literals become constants. */
static inline uint8_t *put_fields(uint8_t *at, mfi_text id, const char *type, size_t type_size,
                                  double timestamp, uint32_t more)
{
    at = mfi_put_map(at, 4 + more);
    at = MFI_PUT_WORD(at, "app");
    at = MFI_PUT_WORD(at, MFI_APP);
    at = MFI_PUT_WORD(at, "id");
    at = mfi_put_text(at, id.data, id.size);
    at = MFI_PUT_WORD(at, "type");
    at = mfi_put_word(at, type, type_size);
    at = MFI_PUT_WORD(at, "timestamp");
    return mfi_put_double(at, timestamp);
}
#define PUT_FIELDS(at, id, type, timestamp, more)                                                  \
    put_fields((at), (id), "" type, sizeof(type) - 1, (timestamp), (more))

static mf_status end(const draft *at, mf_status status, mf_error *error)
{
    if (status == MF_OK && at->to->failed) {
        status = mfi_pack_failure(at->to, "message", error);
    }
    if (status != MF_OK) {
        at->to->size = at->start;
        at->to->failed = false;
        at->to->no_memory = false;
    }
    return status;
}

/* Appends args or result, which lie one container deep. */
static mf_status append_value(mfi_buf *to, const mf_value *value, const char *where,
                              const mfi_limits *limits, mf_error *error)
{
    msgpack_packer packer;
    if (mfi_put_plain(to, value, limits)) {
        return MF_OK;
    }
    mfi_packer_init(&packer, to);
    return mfi_pack_value(&packer, value, 1, where, limits, error);
}

static mfi_text text_of(const char *text)
{
    return (mfi_text){text, text != NULL ? strlen(text) : 0};
}

/* ---- Calls ---- */

/* The library's own pairs of a call's metadata. Empty texts are left out. */
typedef struct call_parts {
    const mfi_call_fields *call;
    mfi_text correlation_id, parent_request_id, traceparent;
    mfi_text tracestate, baggage;
    bool has_deadline;
    uint32_t pairs; /* number of these pairs */
} call_parts;

static void take_parts(call_parts *parts, const mfi_call_fields *call)
{
    parts->call = call;
    parts->correlation_id = text_of(call->correlation_id);
    parts->parent_request_id = text_of(call->parent_request_id);
    parts->traceparent = text_of(call->traceparent);
    parts->tracestate = call->tracestate;
    parts->baggage = call->baggage;
    parts->has_deadline =
        call->deadline_ms_left > 0 && call->deadline_ms_left != MF_TIMEOUT_INFINITE;
    parts->pairs = 1u + (parts->correlation_id.size > 0) + (parts->parent_request_id.size > 0) +
                   (parts->traceparent.size > 0) + (parts->tracestate.size > 0) +
                   (parts->baggage.size > 0) + parts->has_deadline + (call->attempt > 1);
}

/* Whether the library itself writes this key, so that the caller's pair is dropped. */
static bool is_ours(const call_parts *parts, const mf_value *key)
{
    static const char *const names[] = {"timestamp_sent", "correlation_id",   "parent_request_id",
                                        "traceparent",    "deadline_ms_left", "attempt",
                                        "tracestate",     "baggage"};
    bool set[] = {true,
                  parts->correlation_id.size > 0,
                  parts->parent_request_id.size > 0,
                  parts->traceparent.size > 0,
                  parts->has_deadline,
                  parts->call->attempt > 1,
                  true,
                  true};
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        if (set[i] && key->type == MF_TYPE_STR && key->length == strlen(names[i]) &&
            memcmp(key->as.str, names[i], key->length) == 0) {
            return true;
        }
    }
    return false;
}

static mf_status pack_callers_metadata(mfi_buf *to, const call_parts *parts, mf_error *error)
{
    const mf_value *own = parts->call->metadata;
    msgpack_packer packer;
    mf_status status = MF_OK;
    mfi_packer_init(&packer, to);
    for (uint32_t i = 0; status == MF_OK && i < own->length; i++) {
        const mf_value *key = &own->as.items[(size_t)i * 2];
        if (!is_ours(parts, key)) {
            status = mfi_pack_pair(&packer, key, 2, "metadata", parts->call->limits, error);
        }
    }
    return status;
}

static uint32_t count_callers_metadata(const call_parts *parts)
{
    const mf_value *own = parts->call->metadata;
    uint32_t count = 0;
    for (uint32_t i = 0; own != NULL && i < own->length; i++) {
        count += is_ours(parts, &own->as.items[(size_t)i * 2]) ? 0 : 1;
    }
    return count;
}

static uint8_t *put_call_fields(uint8_t *at, const mfi_call_fields *call, mfi_text id)
{
    bool has_client_name = call->client_name.data != NULL;
    at = PUT_FIELDS(at, id, "call", call->timestamp, has_client_name ? 5 : 4);
    at = MFI_PUT_WORD(at, "function");
    at = mfi_put_text(at, call->function.data, call->function.size);
    at = MFI_PUT_WORD(at, "namespace");
    at = call->namespace_name.data != NULL
             ? mfi_put_text(at, call->namespace_name.data, call->namespace_name.size)
             : MFI_PUT_WORD(at, MFI_DEFAULT_NAMESPACE);
    if (has_client_name) {
        at = MFI_PUT_WORD(at, "client_name");
        at = mfi_put_text(at, call->client_name.data, call->client_name.size);
    }
    return MFI_PUT_WORD(at, "metadata");
}

static uint8_t *put_call_metadata(uint8_t *at, const call_parts *parts)
{
    at = mfi_put_map(at, parts->pairs + count_callers_metadata(parts));
    at = MFI_PUT_WORD(at, "timestamp_sent");
    at = mfi_put_double(at, parts->call->timestamp);
    if (parts->correlation_id.size > 0) {
        at = MFI_PUT_WORD(at, "correlation_id");
        at = mfi_put_text(at, parts->correlation_id.data, parts->correlation_id.size);
    }
    if (parts->parent_request_id.size > 0) {
        at = MFI_PUT_WORD(at, "parent_request_id");
        at = mfi_put_text(at, parts->parent_request_id.data, parts->parent_request_id.size);
    }
    if (parts->traceparent.size > 0) {
        at = MFI_PUT_WORD(at, "traceparent");
        at = mfi_put_text(at, parts->traceparent.data, parts->traceparent.size);
    }
    if (parts->tracestate.size > 0) {
        at = MFI_PUT_WORD(at, "tracestate");
        at = mfi_put_text(at, parts->tracestate.data, parts->tracestate.size);
    }
    if (parts->baggage.size > 0) {
        at = MFI_PUT_WORD(at, "baggage");
        at = mfi_put_text(at, parts->baggage.data, parts->baggage.size);
    }
    if (parts->has_deadline) {
        at = MFI_PUT_WORD(at, "deadline_ms_left");
        at = mfi_put_int(at, parts->call->deadline_ms_left);
    }
    if (parts->call->attempt > 1) {
        at = MFI_PUT_WORD(at, "attempt");
        at = mfi_put_uint(at, parts->call->attempt);
    }
    return at;
}

/* Makes the metadata smaller by what the call can do without. False if nothing of that is left. */
static bool leave_one_out(call_parts *parts)
{
    mfi_text *left_out = parts->baggage.size > 0 ? &parts->baggage : &parts->tracestate;
    if (left_out->size == 0) {
        return false;
    }
    left_out->size = 0;
    parts->pairs--;
    return true;
}

/* Appends the library's pairs, then the caller's. */
static mf_status append_pairs(mfi_buf *to, const call_parts *parts, mf_error *error)
{
    uint8_t *at = mfi_buf_room(to, METADATA_MAX_BYTES + parts->correlation_id.size +
                                       parts->parent_request_id.size + parts->traceparent.size +
                                       parts->tracestate.size + parts->baggage.size);
    if (at != NULL) {
        mfi_buf_advance(to, put_call_metadata(at, parts));
    }
    return parts->call->metadata != NULL ? pack_callers_metadata(to, parts, error) : MF_OK;
}

/* Fails if the pairs exceed the cap also without those that can be left out. */
static mf_status append_metadata(mfi_buf *to, call_parts *parts, mf_error *error)
{
    size_t start = to->size;
    mf_status status = append_pairs(to, parts, error);
    while (status == MF_OK && to->size - start > MFI_METADATA_MAX_BYTES && leave_one_out(parts)) {
        to->size = start;
        status = append_pairs(to, parts, error);
    }
    if (status == MF_OK && to->size - start > MFI_METADATA_MAX_BYTES) {
        status = mfi_fail(error, MF_ERR_LIMIT, "metadata: %zu bytes, more than %zu",
                          to->size - start, MFI_METADATA_MAX_BYTES);
    }
    return status;
}

mf_status mfi_encode_call(mfi_buf *to, const mfi_call_fields *call, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    call_parts parts;
    mf_value args = mf_array(call->args.items, call->args.count);
    mfi_text id = text_of(call->id);
    take_parts(&parts, call);
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + id.size + call->function.size +
                                          call->namespace_name.size + call->client_name.size);
    if (place != NULL) {
        mfi_buf_advance(to, put_call_fields(place, call, id));
    }
    mf_status status = append_metadata(to, &parts, error);
    if (status == MF_OK) {
        place = mfi_buf_room(to, FIELDS_MAX_BYTES);
        if (place != NULL) {
            mfi_buf_advance(to, MFI_PUT_WORD(place, "args"));
        }
        status = append_value(to, &args, "args", call->limits, error);
    }
    return end(&at, status, error);
}

/* ---- Answers ---- */

static void append_times(mfi_buf *to, const mfi_reply_times *times)
{
    uint32_t more = times->more != NULL ? times->more->length : 0;
    uint8_t *at = mfi_buf_room(to, METADATA_MAX_BYTES);
    if (at != NULL) {
        at = MFI_PUT_WORD(at, "metadata");
        at = mfi_put_map(at, (times->has_server_times ? 3u : 1u) + times->has_load +
                                 times->has_pushback + more);
        mfi_buf_advance(to, at);
    }
    for (uint32_t i = 0; i < more; i++) {
        msgpack_packer packer;
        mfi_packer_init(&packer, to);
        (void)mfi_pack_pair(&packer, &times->more->as.items[(size_t)i * 2], 2, "metadata", NULL,
                            NULL);
    }
    at = mfi_buf_room(to, METADATA_MAX_BYTES);
    if (at == NULL) {
        return;
    }
    at = MFI_PUT_WORD(at, "timestamp_received");
    at = mfi_put_double(at, times->timestamp_received);
    if (times->has_server_times) {
        at = MFI_PUT_WORD(at, "server_queue_us");
        at = mfi_put_uint(at, times->queue_us);
        at = MFI_PUT_WORD(at, "server_handler_us");
        at = mfi_put_uint(at, times->handler_us);
    }
    if (times->has_load) {
        at = MFI_PUT_WORD(at, "load");
        at = mfi_put_double(at, times->load);
    }
    if (times->has_pushback) {
        at = MFI_PUT_WORD(at, "retry_after_ms");
        at = mfi_put_int(at, times->pushback_ms);
    }
    mfi_buf_advance(to, at);
}

mf_status mfi_encode_response_begin(mfi_buf *to, mfi_text id, const mf_value *result,
                                    double timestamp, const mfi_limits *limits, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + id.size);
    if (place != NULL) {
        place = PUT_FIELDS(place, id, "response", timestamp, 2);
        place = MFI_PUT_WORD(place, "result"); /* written also when the result is nil */
        mfi_buf_advance(to, place);
    }
    return end(&at, append_value(to, result, "result", limits, error), error);
}

mf_status mfi_encode_response_end(mfi_buf *to, const mfi_reply_times *times, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    append_times(to, times);
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_response(mfi_buf *to, mfi_text id, const mf_value *result, double timestamp,
                              const mfi_limits *limits, const mfi_reply_times *times,
                              mf_error *error)
{
    size_t start = to->size;
    mf_status status = mfi_encode_response_begin(to, id, result, timestamp, limits, error);
    if (status == MF_OK) {
        status = mfi_encode_response_end(to, times, error);
    }
    if (status != MF_OK) {
        to->size = start;
    }
    return status;
}

/* Appends a program's text as a str: cleaned, and cut between characters. */
static void append_clean(mfi_buf *to, mfi_text text, size_t most)
{
    mfi_buf clean;
    mfi_buf_init(&clean, most * 3);
    text.size = mfi_utf8_prefix(text.data, text.size, most);
    if (!mfi_utf8_valid(text.data, text.size)) {
        mfi_utf8_append_clean(&clean, text.data, text.size);
        text.data = (const char *)clean.data;
        text.size = mfi_utf8_prefix(text.data, clean.size, most);
    }
    uint8_t *at = mfi_buf_room(to, MFI_PUT_HEADER_MAX + text.size);
    if (at != NULL) {
        mfi_buf_advance(to, mfi_put_text(at, text.data, text.size));
    }
    mfi_buf_fini(&clean);
}

mf_status mfi_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                           const mfi_reply_times *times, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + id.size);
    if (place != NULL) {
        mfi_buf_advance(to, PUT_FIELDS(place, id, "error", timestamp, 2));
    }
    append_times(to, times);
    place = mfi_buf_room(to, FIELDS_MAX_BYTES);
    if (place != NULL) {
        mfi_buf_advance(to, MFI_PUT_WORD(place, "error"));
    }
    append_clean(to, text, MFI_ERROR_TEXT_MAX_BYTES);
    return end(&at, MF_OK, error);
}

/* ---- Heartbeats, output, shutdown ---- */

mf_status mfi_encode_heartbeat(mfi_buf *to, const char *id, double timestamp, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    mfi_text name = text_of(id);
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + name.size);
    if (place != NULL) {
        place = PUT_FIELDS(place, name, "heartbeat", timestamp, 1);
        place = MFI_PUT_WORD(place, "metadata");
        place = mfi_put_map(place, 1);
        place = MFI_PUT_WORD(place, "hb_timestamp");
        mfi_buf_advance(to, mfi_put_double(place, timestamp));
    }
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_heartbeat_answer(mfi_buf *to, const mfi_heartbeat_answer *answer,
                                      double timestamp, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    bool has_args = answer->args.data != NULL;
    bool has_time = answer->hb_timestamp.data != NULL;
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + METADATA_MAX_BYTES + answer->id.size +
                                          answer->args.size + answer->hb_timestamp.size);
    if (place != NULL) {
        place = PUT_FIELDS(place, answer->id, "heartbeat", timestamp, has_args ? 2 : 1);
        if (has_args) {
            place = MFI_PUT_WORD(place, "args");
            place = mfi_put_bytes(place, answer->args.data, answer->args.size);
        }
        place = MFI_PUT_WORD(place, "metadata");
        place = mfi_put_map(place, answer->draining ? 6 : 5);
        place = MFI_PUT_WORD(place, "hb_timestamp");
        place = has_time
                    ? mfi_put_bytes(place, answer->hb_timestamp.data, answer->hb_timestamp.size)
                    : mfi_put_double(place, timestamp);
        place = MFI_PUT_WORD(place, "hb_response");
        place = mfi_put_byte(place, 0xc3);
        place = MFI_PUT_WORD(place, "busy_ms");
        place = mfi_put_uint(place, answer->busy_ms);
        place = MFI_PUT_WORD(place, "queue_length");
        place = mfi_put_uint(place, answer->queue_length);
        place = MFI_PUT_WORD(place, "handlers");
        place = mfi_put_uint(place, answer->handlers);
        if (answer->draining) {
            place = MFI_PUT_WORD(place, "draining");
            place = mfi_put_byte(place, 0xc3);
        }
        mfi_buf_advance(to, place);
    }
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_output(mfi_buf *to, const char *id, bool is_stderr, mfi_text text,
                            const char *correlation_id, double timestamp, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    mfi_text name = text_of(id);
    mfi_text call = text_of(correlation_id);
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + name.size + call.size);
    if (place != NULL) {
        place = put_fields(place, name, is_stderr ? "stderr" : "stdout", 6, timestamp,
                           call.size > 0 ? 2 : 1);
        if (call.size > 0) {
            place = MFI_PUT_WORD(place, "metadata");
            place = mfi_put_map(place, 1);
            place = MFI_PUT_WORD(place, "correlation_id");
            place = mfi_put_text(place, call.data, call.size);
        }
        mfi_buf_advance(to, MFI_PUT_WORD(place, "output"));
    }
    append_clean(to, text, MFI_OUTPUT_MAX_BYTES);
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_shutdown(mfi_buf *to, const char *id, double timestamp, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    mfi_text name = text_of(id);
    uint8_t *place = mfi_buf_room(to, FIELDS_MAX_BYTES + name.size);
    if (place != NULL) {
        mfi_buf_advance(to, PUT_FIELDS(place, name, "shutdown", timestamp, 0));
    }
    return end(&at, MF_OK, error);
}
