#include "packed.h"

#include <math.h>
#include <string.h>

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
                              {"traceparent", call->traceparent},
                              {"tracestate", call->tracestate.data},
                              {"baggage", call->baggage.data}};
    size_t count = 1;
    if (to != NULL) {
        pack_word(to, "timestamp_sent");
        (void)msgpack_pack_double(to, call->timestamp);
    }
    for (size_t i = 0; i < 5; i++) {
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

static void pack_answer(msgpack_packer *to, const packed_message *of)
{
    bool has_args = of->answer.args.data != NULL;
    pack_head(to, has_args ? 6 : 5, of->answer.id, "heartbeat", of->call.timestamp);
    if (has_args) {
        pack_word(to, "args");
        (void)msgpack_pack_array(to, 0);
    }
    pack_word(to, "metadata");
    (void)msgpack_pack_map(to, of->answer.draining ? 6 : 5);
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
    pack_word(to, "handlers");
    (void)msgpack_pack_uint64(to, of->answer.handlers);
    if (of->answer.draining) {
        pack_word(to, "draining");
        (void)msgpack_pack_true(to);
    }
}

void packed_write(msgpack_packer *to, const packed_message *of)
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
        pack_head(to, is_set(of->call.correlation_id) ? 6 : 5, id,
                  of->is_stderr ? "stderr" : "stdout", now);
        if (is_set(of->call.correlation_id)) {
            pack_word(to, "metadata");
            (void)msgpack_pack_map(to, 1);
            pack_word(to, "correlation_id");
            pack_word(to, of->call.correlation_id);
        }
        pack_word(to, "output");
        pack_text(to, of->text.data, of->text.size);
        return;
    case SHUTDOWN:
    case KINDS:
        pack_head(to, 4, id, "shutdown", now);
    }
}
