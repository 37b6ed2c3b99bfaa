#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "core/wire/writer.h"

/* One message that is being appended. */
typedef struct draft {
    msgpack_packer packer;
    mfi_buf *to;
    size_t start; /* where the buffer goes back to on failure */
} draft;

static void pack_pair_text(draft *at, const char *key, mfi_text text)
{
    mfi_pack_key(&at->packer, key);
    mfi_pack_text(&at->packer, text.data, text.size);
}

static void pack_pair_str(draft *at, const char *key, const char *text)
{
    pack_pair_text(at, key, (mfi_text){text, strlen(text)});
}

static void pack_pair_double(draft *at, const char *key, double number)
{
    mfi_pack_key(&at->packer, key);
    (void)msgpack_pack_double(&at->packer, number);
}

static void pack_pair_uint(draft *at, const char *key, uint64_t number)
{
    mfi_pack_key(&at->packer, key);
    (void)msgpack_pack_uint64(&at->packer, number);
}

/* The four fields of every message, and room for `more`. */
static void begin(draft *at, mfi_buf *to, mfi_text id, const char *type, double timestamp,
                  size_t more)
{
    at->to = to;
    at->start = to->size;
    mfi_packer_init(&at->packer, to);
    (void)msgpack_pack_map(&at->packer, 4 + more);
    pack_pair_str(at, "app", MFI_APP);
    pack_pair_text(at, "id", id);
    pack_pair_str(at, "type", type);
    pack_pair_double(at, "timestamp", timestamp);
}

static mf_status end(draft *at, mf_status status, mf_error *error)
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

/* ---- Calls ---- */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool has_deadline(const mfi_call_fields *call)
{
    return call->deadline_ms_left > 0 && call->deadline_ms_left != MF_TIMEOUT_INFINITE;
}

/* Keys that we write ourselves win over the caller's. */
static bool is_ours(const mfi_call_fields *call, const mf_value *key)
{
    static const char *const names[] = {"timestamp_sent", "correlation_id",   "parent_request_id",
                                        "traceparent",    "deadline_ms_left", "attempt"};
    bool set[] = {true,
                  is_set(call->correlation_id),
                  is_set(call->parent_request_id),
                  is_set(call->traceparent),
                  has_deadline(call),
                  call->attempt > 1};
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        if (set[i] && key->type == MF_TYPE_STR && key->length == strlen(names[i]) &&
            memcmp(key->as.str, names[i], key->length) == 0) {
            return true;
        }
    }
    return false;
}

static mf_status pack_own_metadata(draft *at, const mfi_call_fields *call, mf_error *error)
{
    const mf_value *own = call->metadata;
    for (uint32_t i = 0; own != NULL && i < own->length; i++) {
        const mf_value *key = &own->as.items[(size_t)i * 2];
        if (is_ours(call, key)) {
            continue;
        }
        mf_status status = mfi_pack_pair(&at->packer, key, 2, "metadata", call->limits, error);
        if (status != MF_OK) {
            return status;
        }
    }
    return MF_OK;
}

static size_t count_metadata(const mfi_call_fields *call)
{
    size_t count = 1u + is_set(call->correlation_id) + is_set(call->parent_request_id) +
                   is_set(call->traceparent) + has_deadline(call) + (call->attempt > 1);
    for (uint32_t i = 0; call->metadata != NULL && i < call->metadata->length; i++) {
        count += is_ours(call, &call->metadata->as.items[(size_t)i * 2]) ? 0 : 1;
    }
    return count;
}

static mf_status pack_metadata(draft *at, const mfi_call_fields *call, mf_error *error)
{
    mfi_pack_key(&at->packer, "metadata");
    size_t start = at->to->size;
    (void)msgpack_pack_map(&at->packer, count_metadata(call));
    pack_pair_double(at, "timestamp_sent", call->timestamp);
    if (is_set(call->correlation_id)) {
        pack_pair_str(at, "correlation_id", call->correlation_id);
    }
    if (is_set(call->parent_request_id)) {
        pack_pair_str(at, "parent_request_id", call->parent_request_id);
    }
    if (is_set(call->traceparent)) {
        pack_pair_str(at, "traceparent", call->traceparent);
    }
    if (has_deadline(call)) {
        mfi_pack_key(&at->packer, "deadline_ms_left");
        (void)msgpack_pack_int64(&at->packer, call->deadline_ms_left);
    }
    if (call->attempt > 1) {
        pack_pair_uint(at, "attempt", call->attempt);
    }
    mf_status status = pack_own_metadata(at, call, error);
    if (status == MF_OK && at->to->size - start > MFI_METADATA_MAX_BYTES) {
        status = mfi_fail(error, MF_ERR_LIMIT, "metadata: %zu bytes, more than %zu",
                          at->to->size - start, MFI_METADATA_MAX_BYTES);
    }
    return status;
}

mf_status mfi_encode_call(mfi_buf *to, const mfi_call_fields *call, mf_error *error)
{
    draft at;
    mf_value args = mf_array(call->args.items, call->args.count);
    mfi_text namespace_name = call->namespace_name;
    if (namespace_name.data == NULL) {
        namespace_name = (mfi_text){MFI_DEFAULT_NAMESPACE, strlen(MFI_DEFAULT_NAMESPACE)};
    }
    begin(&at, to, (mfi_text){call->id, strlen(call->id)}, "call", call->timestamp,
          call->client_name.data != NULL ? 5 : 4);
    pack_pair_text(&at, "function", call->function);
    pack_pair_text(&at, "namespace", namespace_name);
    if (call->client_name.data != NULL) {
        pack_pair_text(&at, "client_name", call->client_name);
    }
    mf_status status = pack_metadata(&at, call, error);
    if (status == MF_OK) {
        mfi_pack_key(&at.packer, "args");
        status = mfi_pack_value(&at.packer, &args, 1, "args", call->limits, error);
    }
    return end(&at, status, error);
}

/* ---- Answers ---- */

static void pack_times(draft *at, const mfi_reply_times *times)
{
    uint32_t more = times->more != NULL ? times->more->length : 0;
    mfi_pack_key(&at->packer, "metadata");
    (void)msgpack_pack_map(&at->packer, (times->has_server_times ? 3u : 1u) + more);
    for (uint32_t i = 0; i < more; i++) {
        (void)mfi_pack_pair(&at->packer, &times->more->as.items[(size_t)i * 2], 2, "metadata", NULL,
                            NULL);
    }
    pack_pair_double(at, "timestamp_received", times->timestamp_received);
    if (times->has_server_times) {
        pack_pair_uint(at, "server_queue_us", times->queue_us);
        pack_pair_uint(at, "server_handler_us", times->handler_us);
    }
}

mf_status mfi_encode_response_begin(mfi_buf *to, mfi_text id, const mf_value *result,
                                    double timestamp, const mfi_limits *limits, mf_error *error)
{
    draft at;
    begin(&at, to, id, "response", timestamp, 2);
    mfi_pack_key(&at.packer, "result"); /* written out also when it is nil */
    return end(&at, mfi_pack_value(&at.packer, result, 1, "result", limits, error), error);
}

mf_status mfi_encode_response_end(mfi_buf *to, const mfi_reply_times *times, mf_error *error)
{
    draft at = {.to = to, .start = to->size};
    mfi_packer_init(&at.packer, to);
    pack_times(&at, times);
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

/* A str pair whose text comes from a program: cleaned, cut on a character. */
static void pack_pair_clean(draft *at, const char *key, mfi_text text, size_t most)
{
    mfi_pack_key(&at->packer, key);
    size_t cut = mfi_utf8_prefix(text.data, text.size, most);
    if (mfi_utf8_valid(text.data, cut)) {
        mfi_pack_text(&at->packer, text.data, cut);
        return;
    }
    mfi_buf clean;
    mfi_buf_init(&clean, most * 3);
    mfi_utf8_append_clean(&clean, text.data, cut);
    size_t size = mfi_utf8_prefix((const char *)clean.data, clean.size, most);
    mfi_pack_text(&at->packer, (const char *)clean.data, size);
    mfi_buf_fini(&clean);
}

mf_status mfi_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                           const mfi_reply_times *times, mf_error *error)
{
    draft at;
    begin(&at, to, id, "error", timestamp, 2);
    pack_times(&at, times);
    pack_pair_clean(&at, "error", text, MFI_ERROR_TEXT_MAX_BYTES);
    return end(&at, MF_OK, error);
}

/* ---- Heartbeats, output, shutdown ---- */

mf_status mfi_encode_heartbeat(mfi_buf *to, const char *id, double timestamp, mf_error *error)
{
    draft at;
    begin(&at, to, (mfi_text){id, strlen(id)}, "heartbeat", timestamp, 1);
    mfi_pack_key(&at.packer, "metadata");
    (void)msgpack_pack_map(&at.packer, 1);
    pack_pair_double(&at, "hb_timestamp", timestamp);
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_heartbeat_answer(mfi_buf *to, const mfi_heartbeat_answer *answer,
                                      double timestamp, mf_error *error)
{
    draft at;
    begin(&at, to, answer->id, "heartbeat", timestamp, answer->args.data != NULL ? 2 : 1);
    if (answer->args.data != NULL) {
        mfi_pack_key(&at.packer, "args");
        mfi_buf_append(to, answer->args.data, answer->args.size);
    }
    mfi_pack_key(&at.packer, "metadata");
    (void)msgpack_pack_map(&at.packer, 4);
    if (answer->hb_timestamp.data != NULL) {
        mfi_pack_key(&at.packer, "hb_timestamp");
        mfi_buf_append(to, answer->hb_timestamp.data, answer->hb_timestamp.size);
    } else {
        pack_pair_double(&at, "hb_timestamp", timestamp);
    }
    mfi_pack_key(&at.packer, "hb_response");
    (void)msgpack_pack_true(&at.packer);
    pack_pair_uint(&at, "busy_ms", answer->busy_ms);
    pack_pair_uint(&at, "queue_length", answer->queue_length);
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_output(mfi_buf *to, const char *id, bool is_stderr, mfi_text text,
                            double timestamp, mf_error *error)
{
    draft at;
    begin(&at, to, (mfi_text){id, strlen(id)}, is_stderr ? "stderr" : "stdout", timestamp, 1);
    pack_pair_clean(&at, "output", text, MFI_OUTPUT_MAX_BYTES);
    return end(&at, MF_OK, error);
}

mf_status mfi_encode_shutdown(mfi_buf *to, const char *id, double timestamp, mf_error *error)
{
    draft at;
    begin(&at, to, (mfi_text){id, strlen(id)}, "shutdown", timestamp, 0);
    return end(&at, MF_OK, error);
}
