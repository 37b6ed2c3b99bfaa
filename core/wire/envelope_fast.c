/* Decodes the usual messages. Every call and answer passes here, so each byte is read once and
 * positions stay in registers. */
#include "core/wire/envelope_fast.h"

#include <string.h>

#include "base/str.h"
#include "core/wire/head.h"
#include "core/wire/limits.h"

/* Each take function gets the position of a value, which is before `end`, and returns the position
 * behind it, or NULL if the value is of another form. Short functions are inlined, so that
 * positions stay in registers. */

/* The longest text in bytes that is taken here. If the string limit is lower, the general functions
 * decode, so that these need not compare any length with the limit. */
#define TEXT_MAX_BYTES 255u

/* Compares with a literal whose length the caller has already checked. */
#define IS(bytes, word) (memcmp((bytes), "" word, sizeof(word) - 1) == 0)
/* The position behind a key, computed with a constant, so that the processor need not wait for a
 * length from memory before it reads on. */
#define BEHIND(key, word) ((key) + sizeof(word) - 1)

/* Clears a struct of constant size. For structs of this size gcc would use an instruction that
 * takes as long as all the rest. */
static inline void clear(void *what, size_t size)
{
    char *bytes = what;
    for (size_t at = 0; at + 32 <= size; at += 32) {
        memset(bytes + at, 0, 32);
    }
    memset(bytes + size - 32, 0, 32);
}

static inline const uint8_t *take_map(const uint8_t *at, const uint8_t *end, uint32_t *ret_pairs)
{
    if ((at[0] & 0xf0) == 0x80) {
        *ret_pairs = at[0] & 15u;
        return at + 1;
    }
    if (at[0] == 0xde && end - at >= 3) {
        *ret_pairs = mfi_load_be16(at + 1);
        return at + 3;
    }
    return NULL;
}

/* The text of a str with a header of one byte, if at least `more` bytes follow; the text is not
 * checked. NULL: the value is of another form. */
static inline const uint8_t *see_word(const uint8_t *at, const uint8_t *end, ptrdiff_t more,
                                      size_t *ret_length)
{
    if (at == end || at[0] < 0xa0 || at[0] > 0xbf) {
        return NULL;
    }
    *ret_length = at[0] & 31u;
    at++;
    return end - at >= (ptrdiff_t)*ret_length + more ? at : NULL;
}

/* Takes a str of at most 255 bytes; does not check for UTF-8. */
static inline const uint8_t *take_bytes(const uint8_t *at, const uint8_t *end, mfi_text *ret_text)
{
    size_t length = *at & 31u;
    if (*at == 0xd9 && end - at >= 2) {
        at++;
        length = *at;
    } else if (*at < 0xa0 || *at > 0xbf) {
        return NULL;
    }
    at++;
    if (length > (size_t)(end - at)) {
        return NULL;
    }
    *ret_text = (mfi_text){(const char *)at, length};
    return at + length;
}

static const uint8_t *take_text(const uint8_t *at, const uint8_t *end, mfi_text *ret_text)
{
    at = take_bytes(at, end, ret_text);
    return at != NULL && mfi_utf8_valid(ret_text->data, ret_text->size) ? at : NULL;
}

/* Takes a str. Some peers write absent fields as nil. */
static const uint8_t *take_field(const uint8_t *at, const uint8_t *end, mfi_text *ret_text)
{
    if (*at == 0xc0) {
        *ret_text = (mfi_text){NULL, 0};
        return at + 1;
    }
    return take_text(at, end, ret_text);
}

/* Takes a whole sound value that lies one container deep. */
static inline const uint8_t *take_value(const uint8_t *at, const uint8_t *end,
                                        const mfi_limits *limits, mfi_slice *ret_bytes)
{
    const uint8_t *fault = NULL;
    const uint8_t *next = mfi_head_pass(at, end, 1, limits, &fault);
    *ret_bytes = (mfi_slice){at, next != NULL ? (size_t)(next - at) : 0};
    return next;
}

static inline const uint8_t *take_double(const uint8_t *at, const uint8_t *end, double *ret_number)
{
    if (*at != 0xcb || end - at < 9) {
        return NULL;
    }
    *ret_number = mfi_load_double(at + 1);
    return at + 9;
}

/* ---- The envelope ---- */

static inline const uint8_t *take_app(const uint8_t *at, const uint8_t *end)
{
    size_t length = 0;
    const uint8_t *word = see_word(at, end, 0, &length);
    return word != NULL && length == sizeof MFI_APP - 1 && IS(word, MFI_APP) ? BEHIND(word, MFI_APP)
                                                                             : NULL;
}

static inline mfi_message_type type_of(const uint8_t *word, size_t length)
{
    if (length == 4 && IS(word, "call")) {
        return MFI_MESSAGE_CALL;
    }
    if (length == 8) {
        return IS(word, "response")   ? MFI_MESSAGE_RESPONSE
               : IS(word, "shutdown") ? MFI_MESSAGE_SHUTDOWN
                                      : (mfi_message_type)0;
    }
    if (length == 9 && IS(word, "heartbeat")) {
        return MFI_MESSAGE_HEARTBEAT;
    }
    if (length == 6) {
        return IS(word, "stdout")   ? MFI_MESSAGE_STDOUT
               : IS(word, "stderr") ? MFI_MESSAGE_STDERR
                                    : (mfi_message_type)0;
    }
    return length != 5         ? (mfi_message_type)0
           : IS(word, "error") ? MFI_MESSAGE_ERROR
           : IS(word, "ready") ? MFI_MESSAGE_READY
                               : (mfi_message_type)0;
}

static inline const uint8_t *take_type(const uint8_t *at, const uint8_t *end,
                                       mfi_message_type *ret_type)
{
    size_t length = 0;
    const uint8_t *word = see_word(at, end, 0, &length);
    *ret_type = word != NULL ? type_of(word, length) : (mfi_message_type)0;
    return *ret_type != 0 ? word + length : NULL;
}

static inline const uint8_t *take_namespace(const uint8_t *at, const uint8_t *end, mfi_envelope *to)
{
    to->namespace_present = true;
    return take_field(at, end, &to->namespace_name);
}

/* Takes a key and the value behind it. */
static inline const uint8_t *take_pair(const uint8_t *at, const uint8_t *end,
                                       const mfi_limits *limits, mfi_envelope *to)
{
    size_t length = 0;
    const uint8_t *key = see_word(at, end, 1, &length);
    if (key == NULL) {
        return NULL;
    }
    switch (length) {
    case 2:
        return IS(key, "id") ? take_field(BEHIND(key, "id"), end, &to->id) : NULL;
    case 3:
        return IS(key, "app") ? take_app(BEHIND(key, "app"), end) : NULL;
    case 4:
        return IS(key, "type")   ? take_type(BEHIND(key, "type"), end, &to->type)
               : IS(key, "args") ? take_value(BEHIND(key, "args"), end, limits, &to->args)
                                 : NULL;
    case 5:
        return IS(key, "error") ? take_field(BEHIND(key, "error"), end, &to->error) : NULL;
    case 6:
        return IS(key, "result")   ? take_value(BEHIND(key, "result"), end, limits, &to->result)
               : IS(key, "output") ? take_field(BEHIND(key, "output"), end, &to->output)
                                   : NULL;
    case 8:
        return IS(key, "function") ? take_field(BEHIND(key, "function"), end, &to->function)
               : IS(key, "metadata")
                   ? take_value(BEHIND(key, "metadata"), end, limits, &to->metadata)
                   : NULL;
    case 9:
        return IS(key, "timestamp")   ? take_double(BEHIND(key, "timestamp"), end, &to->timestamp)
               : IS(key, "namespace") ? take_namespace(BEHIND(key, "namespace"), end, to)
                                      : NULL;
    case 10:
        return IS(key, "clientName") ? take_field(BEHIND(key, "clientName"), end, &to->client_name)
                                     : NULL;
    case 11:
        return IS(key, "client_name")
                   ? take_field(BEHIND(key, "client_name"), end, &to->client_name)
                   : NULL;
    default:
        return NULL;
    }
}

bool mfi_envelope_decode_fast(const void *bytes, size_t size, const mfi_limits *limits,
                              mfi_envelope *ret_envelope)
{
    const mfi_limits *caps = limits != NULL ? limits : &mfi_limits_default;
    uint32_t pairs = 0;
    clear(ret_envelope, sizeof *ret_envelope);
    if (size == 0 || caps->string_bytes < TEXT_MAX_BYTES) {
        return false;
    }
    const uint8_t *end = (const uint8_t *)bytes + size;
    const uint8_t *at = take_map(bytes, end, &pairs);
    if (pairs > caps->items) {
        return false;
    }
    for (uint32_t i = 0; at != NULL && i < pairs; i++) {
        at = take_pair(at, end, caps, ret_envelope);
    }
    ret_envelope->well_formed = at == end;
    return at == end && ret_envelope->type != 0;
}

/* ---- Metadata ---- */

static inline const uint8_t *take_integer(const uint8_t *at, const uint8_t *end,
                                          int64_t *ret_number)
{
    mf_value value;
    if (*at == 0xcd && end - at >= 3) {
        *ret_number = mfi_load_be16(at + 1);
        return at + 3;
    }
    at = mfi_head(at, end, &value);
    if (at == NULL || value.type != MF_TYPE_INT) {
        return NULL;
    }
    *ret_number = value.as.integer;
    return at;
}

static inline const uint8_t *take_count(const uint8_t *at, const uint8_t *end, uint64_t *ret_count)
{
    int64_t number = 0;
    at = take_integer(at, end, &number);
    *ret_count = (uint64_t)number;
    return number >= 0 ? at : NULL;
}

static inline const uint8_t *take_attempt(const uint8_t *at, const uint8_t *end,
                                          uint32_t *ret_attempt)
{
    uint64_t number = 0;
    at = take_count(at, end, &number);
    *ret_attempt = number >= 1 && number <= UINT16_MAX ? (uint32_t)number : 1;
    return at;
}

static inline const uint8_t *take_load(const uint8_t *at, const uint8_t *end, mfi_metadata *to)
{
    double load = 0;
    at = take_double(at, end, &load);
    to->has_load = at != NULL && load >= 0 && load <= 1;
    to->load = to->has_load ? load : 0;
    return at;
}

static const uint8_t *take_pushback(const uint8_t *at, const uint8_t *end, mfi_metadata *to)
{
    int64_t ms = 0;
    at = take_integer(at, end, &ms);
    to->has_pushback = at != NULL && ms <= MFI_PUSHBACK_MAX_MS;
    to->pushback_ms = to->has_pushback ? ms : 0;
    return at;
}

/* Takes a str of any size. */
static const uint8_t *take_long_text(const uint8_t *at, const uint8_t *end, mfi_text *ret_text)
{
    mf_value value;
    at = mfi_head(at, end, &value);
    if (at == NULL || value.type != MF_TYPE_STR || !mfi_head_fits(&value, &mfi_limits_default)) {
        return NULL;
    }
    *ret_text = (mfi_text){value.as.str, value.length};
    return at;
}

/* Takes an id that is fit for logs, and so ASCII. */
static inline const uint8_t *take_id(const uint8_t *at, const uint8_t *end, mfi_text *ret_id)
{
    at = take_bytes(at, end, ret_id);
    return at != NULL && mfi_correlation_id_valid(ret_id->data, ret_id->size) ? at : NULL;
}

/* Passes over the value of a key without a meaning; most often a time. */
static inline const uint8_t *pass_value(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *fault = NULL;
    return *at == 0xcb && end - at >= 9 ? at + 9
                                        : mfi_head_pass(at, end, 1, &mfi_limits_default, &fault);
}

typedef struct times_seen {
    bool queue, handler;
} times_seen;

/* The entries of heartbeats, and those that few calls have. */
static const uint8_t *take_rare_entry(const uint8_t *key, size_t length, const uint8_t *end,
                                      mfi_metadata *to)
{
    if (length == 12 && IS(key, "hb_timestamp")) {
        return take_value(BEHIND(key, "hb_timestamp"), end, &mfi_limits_default, &to->hb_timestamp);
    }
    if (length == 7 && IS(key, "attempt")) {
        return take_attempt(BEHIND(key, "attempt"), end, &to->attempt);
    }
    if (length == 7 && IS(key, "busy_ms")) {
        to->says_busy = true;
        return take_count(BEHIND(key, "busy_ms"), end, &to->busy_ms);
    }
    if (length == 12 && IS(key, "queue_length")) {
        return take_count(BEHIND(key, "queue_length"), end, &to->queue_length);
    }
    if (length == 8 && IS(key, "handlers")) {
        return take_count(BEHIND(key, "handlers"), end, &to->handlers);
    }
    if (length == 8 && IS(key, "draining")) {
        const uint8_t *value = BEHIND(key, "draining");
        to->says_draining = value < end && *value == 0xc3;
        return pass_value(value, end);
    }
    if (length == 10 && IS(key, "tracestate")) {
        return take_long_text(BEHIND(key, "tracestate"), end, &to->tracestate);
    }
    if (length == 7 && IS(key, "baggage")) {
        return take_long_text(BEHIND(key, "baggage"), end, &to->baggage);
    }
    return pass_value(key + length, end);
}

/* Takes a key and the value behind it. */
static inline const uint8_t *take_entry(const uint8_t *at, const uint8_t *end, mfi_metadata *to,
                                        times_seen *times)
{
    size_t length = 0;
    const uint8_t *key = see_word(at, end, 1, &length);
    if (key == NULL) {
        return NULL;
    }
    if (length == 14) {
        return IS(key, "correlation_id")
                   ? take_id(BEHIND(key, "correlation_id"), end, &to->correlation_id)
               : IS(key, "retry_after_ms") ? take_pushback(BEHIND(key, "retry_after_ms"), end, to)
                                           : pass_value(BEHIND(key, "timestamp_sent"), end);
    }
    if (length == 11 && IS(key, "traceparent")) {
        return take_text(BEHIND(key, "traceparent"), end, &to->traceparent);
    }
    if (length == 16 && IS(key, "deadline_ms_left")) {
        to->has_deadline = true;
        return take_integer(BEHIND(key, "deadline_ms_left"), end, &to->deadline_ms_left);
    }
    if (length == 15 && IS(key, "server_queue_us")) {
        times->queue = true;
        return take_count(BEHIND(key, "server_queue_us"), end, &to->server_queue_us);
    }
    if (length == 17 && IS(key, "server_handler_us")) {
        times->handler = true;
        return take_count(BEHIND(key, "server_handler_us"), end, &to->server_handler_us);
    }
    if (length == 4 && IS(key, "load")) {
        return take_load(BEHIND(key, "load"), end, to);
    }
    if (length == 17 && IS(key, "parent_request_id")) {
        return take_id(BEHIND(key, "parent_request_id"), end, &to->parent_request_id);
    }
    return take_rare_entry(key, length, end, to);
}

bool mfi_metadata_read_fast(mfi_slice metadata, mfi_metadata *ret_metadata)
{
    const uint8_t *end = metadata.data + metadata.size;
    times_seen times = {false, false};
    uint32_t pairs = 0;
    clear(ret_metadata, sizeof *ret_metadata);
    ret_metadata->attempt = 1;
    if (metadata.size == 0) {
        return false;
    }
    const uint8_t *at = take_map(metadata.data, end, &pairs);
    for (uint32_t i = 0; at != NULL && i < pairs; i++) {
        at = take_entry(at, end, ret_metadata, &times);
    }
    ret_metadata->has_server_times = times.queue && times.handler;
    return at != NULL;
}
