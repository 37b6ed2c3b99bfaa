/* An answer, from the first value that a handler sets to the message in the driver's queue.
 *
 * Handlers, deferred answers and cancelling all end a call in the same way: encode, count, queue.
 * This file exists so that this way is written once. */
#include "core/server/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/carried.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/wire/limits.h"

#define PAIRS_MAX 16     /* documented at mf_reply_metadata() */
#define PAIR_OVERHEAD 10 /* bytes at most: msgpack's head of a key, and a number */

struct mfi_reply_pairs {
    mf_value items[PAIRS_MAX * 2];
    mf_value map;
    size_t bytes; /* encoded size, at most */
    size_t text_size;
    char text[MFI_METADATA_MAX_BYTES];
};

/* ---- Result or error ---- */

bool mfi_reply_init(mf_reply *reply, mfi_channel *channel, const mfi_route *route, mfi_text id,
                    mfi_server_span *span, uint64_t now_ns)
{
    *reply = (mf_reply){.channel = channel,
                        .span = span,
                        .id = id,
                        .out = mfi_out_make(channel, MFI_TRAFFIC_RESPONSE, route),
                        .limits = channel->limits,
                        .received = mfi_wall_seconds(now_ns),
                        .deadline_ns = MFI_NEVER};
    mfi_buf_init(&reply->error_text, MFI_ERROR_TEXT_MAX_BYTES);
    return reply->out != NULL;
}

void mfi_reply_fini(mf_reply *reply)
{
    mfi_out_free(reply->out);
    reply->out = NULL;
    mfi_buf_fini(&reply->error_text);
    free(reply->pairs);
    reply->pairs = NULL;
}

mf_status mf_reply_set(mf_reply *reply, mf_value value)
{
    mf_error error;
    if (reply == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    mfi_error_clear(&error);
    if (reply->deferred != 0) {
        return MF_ERR_STATE;
    }
    mfi_buf_clear(&reply->out->buf);
    mfi_buf_clear(&reply->error_text);
    reply->has_error = false;
    mf_status status =
        mfi_encode_response_begin(&reply->out->buf, reply->id, &value,
                                  mfi_wall_seconds(mfi_monotonic_ns()), &reply->limits, &error);
    reply->has_result = status == MF_OK;
    if (status != MF_OK) {
        (void)mf_reply_error(reply, "ResultError", "%s", error.message);
    }
    return status;
}

/* Appends one line without characters that move a terminal's cursor: C0, DEL and C1 become blanks.
 */
static void append_line(mfi_buf *to, const char *text, size_t size)
{
    size_t at = to->size;
    mfi_buf_append(to, text, size);
    for (; at < to->size; at++) {
        unsigned char *c = &to->data[at];
        bool is_c1 = at + 1 < to->size && c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
        if (is_c1) {
            c[1] = ' ';
        }
        if (is_c1 || c[0] < 0x20 || c[0] == 0x7f) {
            c[0] = ' ';
        }
    }
}

void mfi_reply_verror(mf_reply *reply, const char *type, const char *format, va_list args)
{
    char text[2048];
    int length = format != NULL ? vsnprintf(text, sizeof text, format, args) : 0;
    size_t size = length < 0 ? 0
                  : (size_t)length < sizeof text
                      ? (size_t)length
                      : mfi_utf8_prefix(text, (size_t)length, sizeof text - 1);
    reply->has_error = true;
    reply->has_result = false;
    mfi_buf_clear(&reply->error_text);
    if (type != NULL && type[0] != '\0') {
        append_line(&reply->error_text, type,
                    mfi_utf8_prefix(type, strlen(type), MFI_NAME_MAX_BYTES));
        mfi_buf_append_str(&reply->error_text, ": ");
    }
    append_line(&reply->error_text, text, size);
}

mf_status mf_reply_error(mf_reply *reply, const char *type, const char *format, ...)
{
    va_list args;
    if (reply == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (reply->deferred != 0) {
        return MF_ERR_STATE;
    }
    va_start(args, format);
    mfi_reply_verror(reply, type, format, args);
    va_end(args);
    return MF_OK;
}

mf_status mf_reply_retry_after(mf_reply *reply, int64_t retry_after_ms)
{
    if (reply == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (reply->deferred != 0) {
        return MF_ERR_STATE;
    }
    if (retry_after_ms > MFI_PUSHBACK_MAX_MS) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    reply->has_pushback = true;
    reply->retry_after_ms = retry_after_ms < 0 ? -1 : retry_after_ms;
    return MF_OK;
}

/* ---- The answer's metadata ---- */

/* True for keys that every answer has already. */
static bool is_reserved(const char *key)
{
    return strcmp(key, "timestamp_received") == 0 || strcmp(key, "server_queue_us") == 0 ||
           strcmp(key, "server_handler_us") == 0 || strcmp(key, "load") == 0 ||
           strcmp(key, "retry_after_ms") == 0;
}

static bool pair_fits(const char *key, const mf_value *value)
{
    if (key == NULL || key[0] == '\0' || is_reserved(key) || strlen(key) > MFI_NAME_MAX_BYTES ||
        !mfi_utf8_valid(key, strlen(key))) {
        return false;
    }
    return value->type == MF_TYPE_BOOL || value->type == MF_TYPE_INT ||
           value->type == MF_TYPE_UINT || value->type == MF_TYPE_FLOAT ||
           (value->type == MF_TYPE_STR && mfi_utf8_valid(value->as.str, value->length));
}

static const char *keep_text(mfi_reply_pairs *pairs, const char *text, size_t size)
{
    char *to = pairs->text + pairs->text_size;
    memcpy(to, text, size);
    pairs->text_size += size;
    return to;
}

static mf_status add_pair(mfi_reply_pairs *pairs, const char *key, mf_value value)
{
    size_t key_size = strlen(key);
    size_t value_size = value.type == MF_TYPE_STR ? value.length : 0;
    size_t at = 0;
    while (at < pairs->map.length && (pairs->items[at * 2].length != key_size ||
                                      memcmp(pairs->items[at * 2].as.str, key, key_size) != 0)) {
        at++;
    }
    size_t bytes = key_size + value_size + (size_t)2 * PAIR_OVERHEAD;
    if (at == PAIRS_MAX || bytes > MFI_METADATA_MAX_BYTES - pairs->bytes) {
        return MF_ERR_LIMIT;
    }
    pairs->bytes += bytes;
    if (at == pairs->map.length) {
        pairs->items[at * 2] = mf_str_n(keep_text(pairs, key, key_size), key_size);
        pairs->map.length++;
    }
    if (value.type == MF_TYPE_STR) {
        value = mf_str_n(keep_text(pairs, value.as.str, value_size), value_size);
    }
    pairs->items[at * 2 + 1] = value;
    return MF_OK;
}

mf_status mf_reply_metadata(mf_reply *reply, const char *key, mf_value value)
{
    if (reply == NULL || key == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (reply->deferred != 0) {
        return MF_ERR_STATE;
    }
    if (!pair_fits(key, &value)) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (reply->pairs == NULL) {
        reply->pairs = malloc(sizeof *reply->pairs);
        if (reply->pairs == NULL) {
            return MF_ERR_NO_MEMORY;
        }
        reply->pairs->map = mf_map(reply->pairs->items, 0);
        reply->pairs->bytes = 0;
        reply->pairs->text_size = 0;
    }
    return add_pair(reply->pairs, key, value);
}

/* ---- The end of an answer ---- */

bool mfi_reply_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                            const mfi_reply_times *times)
{
    mfi_buf_clear(to);
    mf_status status = mfi_encode_error(to, id, text, timestamp, times, NULL);
    if (status != MF_OK) { /* too large: the least max_message_bytes has room for this */
        mfi_reply_times plain = *times;
        plain.more = NULL;
        text.size = mfi_utf8_prefix(text.data, text.size, MFI_ERROR_TEXT_SHORT_BYTES);
        mfi_buf_clear(to);
        status = mfi_encode_error(to, id, text, timestamp, &plain, NULL);
    }
    return status == MF_OK;
}

/* If the answer cannot be sent, an error answer is, because the caller must not wait for ever. */
static bool complete(mf_reply *reply, mfi_reply_times *times)
{
    mf_error error;
    mfi_out *out = reply->out;
    mf_status status = MF_OK;
    mfi_error_clear(&error);
    if (out == NULL) {
        return false;
    }
    if (!reply->has_error) {
        mf_value nil = mf_nil();
        if (!reply->has_result) {
            status = mfi_encode_response_begin(&out->buf, reply->id, &nil,
                                               mfi_wall_seconds(reply->span->done_ns),
                                               &reply->limits, &error);
        }
        if (status == MF_OK) {
            status = mfi_encode_response_end(&out->buf, times, &error);
        }
        if (status == MF_OK) {
            out->traffic = MFI_TRAFFIC_RESPONSE;
            return true;
        }
        (void)mf_reply_error(reply, "ResultError", "%s", error.message);
    }
    out->traffic = MFI_TRAFFIC_ERROR;
    times->has_pushback = reply->has_pushback;
    times->pushback_ms = reply->retry_after_ms;
    mfi_text text = {(const char *)reply->error_text.data, reply->error_text.size};
    if (text.data == NULL) {
        text = (mfi_text){"error", 5};
    }
    return mfi_reply_encode_error(&out->buf, reply->id, text,
                                  mfi_wall_seconds(reply->span->done_ns), times);
}

static void describe_failure(mf_error *error, mf_status status, const mf_reply *reply)
{
    mfi_error_clear(error);
    error->code = status;
    (void)mfi_str_copy_n(error->message, sizeof error->message,
                         reply->error_text.data != NULL ? (const char *)reply->error_text.data : "",
                         reply->error_text.size);
}

void mfi_reply_finish(mf_reply *reply, mf_status status)
{
    mf_error error;
    mfi_channel *channel = reply->channel;
    mfi_server_span *span = reply->span;
    span->done_ns = mfi_monotonic_ns();
    mfi_reply_times times = {.timestamp_received = reply->received,
                             .has_server_times = true,
                             .queue_us = (span->begun_ns - span->received_ns) / MFI_NS_PER_US,
                             .handler_us = (span->done_ns - span->begun_ns) / MFI_NS_PER_US,
                             .more = reply->pairs != NULL ? &reply->pairs->map : NULL};
    if (reply->mark != NULL) { /* before the load is read, which counts this handler too */
        mfi_handler_mark_add(reply->mark, span->done_ns - span->begun_ns);
    }
    if (reply->load != NULL) {
        times.has_load = true;
        times.load = mfi_load_read(reply->load, span->done_ns) / 1000.0;
    }
    if (complete(reply, &times)) {
        span->response_bytes = (uint32_t)reply->out->buf.size;
        mfi_channel_push(channel, reply->out);
        reply->out = NULL;
    } else {
        mfi_channel_dropped(channel, MFI_DROP_HWM, "no memory for an answer", 0);
    }
    if (status != MF_ERR_TIMEOUT && span->done_ns > reply->deadline_ns) {
        mfi_observe_server_expired(channel->observed, MFI_EXPIRED_AT_REPLY);
    }
    span->status = status == MF_OK && reply->has_error ? MF_ERR_REMOTE : status;
    /* The answer is sent next; a new reading of the clock would gain nothing. */
    span->end_ns = span->done_ns;
    if (span->status != MF_OK) {
        describe_failure(&error, span->status, reply);
    }
    mfi_observe_server_end(span, span->status != MF_OK ? &error : NULL);
    mfi_carried_drop(&span->context.carried);
    mfi_reply_fini(reply);
}
