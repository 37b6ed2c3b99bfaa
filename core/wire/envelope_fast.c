#include "core/wire/envelope_fast.h"

#include <string.h>

#include "base/str.h"
#include "core/wire/head.h"
#include "core/wire/limits.h"

/* The longest text that is taken here: with limits that allow it, none has to be looked at. */
#define TEXT_MAX_BYTES 255u

typedef struct cursor {
    const uint8_t *at, *end;
    const mfi_limits *limits;
} cursor;

/* Structs of this size gcc clears by an instruction that takes as long as all the rest. The sizes
 * are constants. */
static inline void clear(void *what, size_t size)
{
    char *bytes = what;
    for (size_t at = 0; at + 32 <= size; at += 32) {
        memset(bytes + at, 0, 32);
    }
    memset(bytes + size - 32, 0, 32);
}

/* The bytes are compared with a literal whose length the caller has looked at. */
#define IS(bytes, word) (memcmp((bytes), "" word, sizeof(word) - 1) == 0)

/* The same of a key, or a word, that the cursor is then behind. By a constant, not by what was
 * read: so the processor need not wait for one value's length to look at the next value. */
#define TAKE(from, bytes, word) take_word((from), (bytes), "" word, sizeof(word) - 1)
static inline bool take_word(cursor *from, const uint8_t *bytes, const char *word, size_t size)
{
    if (memcmp(bytes, word, size) != 0) {
        return false;
    }
    from->at = bytes + size;
    return true;
}

/* The number of pairs of the map at the cursor. */
static inline bool take_map(cursor *from, uint32_t *ret_pairs)
{
    size_t left = (size_t)(from->end - from->at);
    if (left >= 1 && (from->at[0] & 0xf0) == 0x80) {
        *ret_pairs = from->at[0] & 15u;
        from->at += 1;
    } else if (left >= 3 && from->at[0] == 0xde) {
        *ret_pairs = mfi_load_16(from->at + 1);
        from->at += 3;
    } else {
        return false;
    }
    return *ret_pairs <= from->limits->items;
}

/* Looks at a str with a header of one byte, and at least `more` bytes behind it. NULL: it is
 * something else. The cursor stays. */
static inline const uint8_t *see_word(const cursor *from, size_t more, size_t *ret_length)
{
    size_t left = (size_t)(from->end - from->at);
    if (left == 0 || (from->at[0] & 0xe0) != 0xa0) {
        return NULL;
    }
    *ret_length = from->at[0] & 31u;
    return *ret_length + more < left ? from->at + 1 : NULL;
}

/* A str of at most 255 bytes, not yet known to be UTF-8. */
static inline bool take_bytes(cursor *from, mfi_text *ret_text)
{
    const uint8_t *at = from->at;
    size_t left = (size_t)(from->end - at) - 1;
    size_t length = at[0] & 31u;
    if (at[0] == 0xd9 && left >= 1) {
        at++;
        left--;
        length = at[0];
    } else if ((at[0] & 0xe0) != 0xa0) {
        return false;
    }
    if (length > left) {
        return false;
    }
    *ret_text = (mfi_text){(const char *)at + 1, length};
    from->at = at + 1 + length;
    return true;
}

static inline bool take_text(cursor *from, mfi_text *ret_text)
{
    return take_bytes(from, ret_text) && mfi_utf8_valid(ret_text->data, ret_text->size);
}

/* A str; nil, as some peers write out what they have not, is absent. */
static inline bool take_text_or_nil(cursor *from, mfi_text *ret_text)
{
    if (from->at[0] != 0xc0) {
        return take_text(from, ret_text);
    }
    *ret_text = (mfi_text){NULL, 0};
    from->at++;
    return true;
}

/* A whole sound value, one container deep. */
static inline bool take_value(cursor *from, mfi_slice *ret_bytes)
{
    mfi_extent extent = {0, 0};
    const uint8_t *fault = NULL;
    const uint8_t *next = mfi_head_pass(from->at, from->end, 1, from->limits, &extent, &fault);
    if (next == NULL) {
        return false;
    }
    *ret_bytes = (mfi_slice){from->at, (size_t)(next - from->at)};
    from->at = next;
    return true;
}

static inline bool take_double(cursor *from, double *ret_number)
{
    if (from->at[0] != 0xcb || from->end - from->at < 9) {
        return false;
    }
    *ret_number = mfi_load_double(from->at + 1);
    from->at += 9;
    return true;
}

static inline bool take_integer(cursor *from, int64_t *ret_number)
{
    mf_value value;
    const uint8_t *next = mfi_head(from->at, from->end, &value);
    if (next == NULL || value.type != MF_TYPE_INT) {
        return false;
    }
    *ret_number = value.as.integer;
    from->at = next;
    return true;
}

static inline bool take_unsigned(cursor *from, uint64_t *ret_number)
{
    int64_t number = 0;
    bool taken = take_integer(from, &number) && number >= 0;
    *ret_number = (uint64_t)number;
    return taken;
}

/* ---- The envelope ---- */

static inline bool take_app(cursor *from)
{
    size_t length = 0;
    const uint8_t *word = see_word(from, 0, &length);
    return word != NULL && length == sizeof MFI_APP - 1 && TAKE(from, word, MFI_APP);
}

static inline mfi_message_type type_of(cursor *from, const uint8_t *word, size_t length)
{
    const mfi_message_type none = (mfi_message_type)0;
    switch (length) {
    case 4:
        return TAKE(from, word, "call") ? MFI_MESSAGE_CALL : none;
    case 5:
        return TAKE(from, word, "error")   ? MFI_MESSAGE_ERROR
               : TAKE(from, word, "ready") ? MFI_MESSAGE_READY
                                           : none;
    case 6:
        return TAKE(from, word, "stdout")   ? MFI_MESSAGE_STDOUT
               : TAKE(from, word, "stderr") ? MFI_MESSAGE_STDERR
                                            : none;
    case 8:
        return TAKE(from, word, "response")   ? MFI_MESSAGE_RESPONSE
               : TAKE(from, word, "shutdown") ? MFI_MESSAGE_SHUTDOWN
                                              : none;
    case 9:
        return TAKE(from, word, "heartbeat") ? MFI_MESSAGE_HEARTBEAT : none;
    default:
        return none;
    }
}

static inline bool take_type(cursor *from, mfi_message_type *ret_type)
{
    size_t length = 0;
    const uint8_t *word = see_word(from, 0, &length);
    *ret_type = word != NULL ? type_of(from, word, length) : (mfi_message_type)0;
    return *ret_type != 0;
}

static inline bool take_namespace(cursor *from, mfi_envelope *to)
{
    to->namespace_present = true;
    return take_text_or_nil(from, &to->namespace_name);
}

/* A key and the value behind it. */
static inline bool take_field(cursor *from, mfi_envelope *to)
{
    size_t length = 0;
    const uint8_t *key = see_word(from, 1, &length);
    if (key == NULL) {
        return false;
    }
    switch (length) {
    case 2:
        return TAKE(from, key, "id") && take_text_or_nil(from, &to->id);
    case 3:
        return TAKE(from, key, "app") && take_app(from);
    case 4:
        return TAKE(from, key, "type") ? take_type(from, &to->type)
                                       : TAKE(from, key, "args") && take_value(from, &to->args);
    case 5:
        return TAKE(from, key, "error") && take_text_or_nil(from, &to->error);
    case 6:
        return TAKE(from, key, "result")
                   ? take_value(from, &to->result)
                   : TAKE(from, key, "output") && take_text_or_nil(from, &to->output);
    case 8:
        return TAKE(from, key, "function")
                   ? take_text_or_nil(from, &to->function)
                   : TAKE(from, key, "metadata") && take_value(from, &to->metadata);
    case 9:
        return TAKE(from, key, "timestamp")
                   ? take_double(from, &to->timestamp)
                   : TAKE(from, key, "namespace") && take_namespace(from, to);
    case 10:
        return TAKE(from, key, "clientName") && take_text_or_nil(from, &to->client_name);
    case 11:
        return TAKE(from, key, "client_name") && take_text_or_nil(from, &to->client_name);
    default:
        return false;
    }
}

bool mfi_envelope_decode_fast(const void *bytes, size_t size, const mfi_limits *limits,
                              mfi_envelope *ret_envelope)
{
    cursor from = {bytes, (const uint8_t *)bytes + size,
                   limits != NULL ? limits : &mfi_limits_default};
    uint32_t pairs = 0;
    clear(ret_envelope, sizeof *ret_envelope);
    if (size == 0 || from.limits->string_bytes < TEXT_MAX_BYTES || !take_map(&from, &pairs)) {
        return false;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        if (!take_field(&from, ret_envelope)) {
            return false;
        }
    }
    ret_envelope->well_formed = from.at == from.end;
    return ret_envelope->well_formed && ret_envelope->type != 0;
}

/* ---- Metadata ---- */

typedef struct times_seen {
    bool queue, handler;
} times_seen;

/* An id that is fit for logs, so ASCII too. */
static inline bool take_id(cursor *from, mfi_text *ret_id)
{
    return take_bytes(from, ret_id) && mfi_correlation_id_valid(ret_id->data, ret_id->size);
}

static inline bool take_attempt(cursor *from, uint32_t *ret_attempt)
{
    uint64_t number = 0;
    if (!take_unsigned(from, &number)) {
        return false;
    }
    *ret_attempt = number >= 1 && number <= UINT16_MAX ? (uint32_t)number : 1;
    return true;
}

/* What stands behind a key without a meaning to us. */
static inline bool pass_value(cursor *from, const uint8_t *key, size_t length)
{
    mfi_slice ignored;
    from->at = key + length;
    return take_value(from, &ignored);
}

static inline bool take_us(cursor *from, uint64_t *ret_us, bool *ret_taken)
{
    *ret_taken = take_unsigned(from, ret_us);
    return *ret_taken;
}

static inline bool take_deadline(cursor *from, mfi_metadata *to)
{
    to->has_deadline = take_integer(from, &to->deadline_ms_left);
    return to->has_deadline;
}

static inline bool take_correlation_id(cursor *from, mfi_metadata *to)
{
    to->correlation_id_invalid = false;
    return take_id(from, &to->correlation_id);
}

/* A key and the value behind it. */
static inline bool take_entry(cursor *from, mfi_metadata *to, times_seen *times)
{
    double time = 0;
    size_t length = 0;
    const uint8_t *key = see_word(from, 1, &length);
    if (key == NULL) {
        return false;
    }
    if (length == 7 && TAKE(from, key, "attempt")) {
        return take_attempt(from, &to->attempt);
    }
    if (length == 11 && TAKE(from, key, "traceparent")) {
        return take_text(from, &to->traceparent);
    }
    if (length == 12 && TAKE(from, key, "hb_timestamp")) {
        return take_value(from, &to->hb_timestamp);
    }
    if (length == 14 && TAKE(from, key, "correlation_id")) {
        return take_correlation_id(from, to);
    }
    if (length == 14 && TAKE(from, key, "timestamp_sent")) {
        return take_double(from, &time) || pass_value(from, key, length);
    }
    if (length == 15 && TAKE(from, key, "server_queue_us")) {
        return take_us(from, &to->server_queue_us, &times->queue);
    }
    if (length == 16 && TAKE(from, key, "deadline_ms_left")) {
        return take_deadline(from, to);
    }
    if (length == 17 && TAKE(from, key, "parent_request_id")) {
        return take_id(from, &to->parent_request_id);
    }
    if (length == 17 && TAKE(from, key, "server_handler_us")) {
        return take_us(from, &to->server_handler_us, &times->handler);
    }
    if (length == 18 && TAKE(from, key, "timestamp_received")) {
        return take_double(from, &time) || pass_value(from, key, length);
    }
    return pass_value(from, key, length);
}

bool mfi_metadata_read_fast(mfi_slice metadata, mfi_metadata *ret_metadata)
{
    cursor from = {metadata.data, metadata.data + metadata.size, &mfi_limits_default};
    times_seen times = {false, false};
    uint32_t pairs = 0;
    clear(ret_metadata, sizeof *ret_metadata);
    ret_metadata->attempt = 1;
    if (metadata.size == 0 || !take_map(&from, &pairs)) {
        return false;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        if (!take_entry(&from, ret_metadata, &times)) {
            return false;
        }
    }
    ret_metadata->has_server_times = times.queue && times.handler;
    return true;
}
