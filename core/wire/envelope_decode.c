/* Decodes any sound message: fields in any order, unknown keys, values of every width. Names the
 * reason for which it refuses a message. */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/envelope.h"
#include "core/wire/envelope_fast.h"
#include "core/wire/limits.h"

static bool text_is(mfi_text text, const char *word)
{
    return text.data != NULL && text.size == strlen(word) &&
           memcmp(text.data, word, text.size) == 0;
}

static mfi_text text_of(const mf_value *value)
{
    mfi_text text = {NULL, 0};
    if (value->type == MF_TYPE_STR) {
        text = (mfi_text){value->as.str, value->length};
    }
    return text;
}

/* Receives each key of a map with its value: the header, and all its bytes. A faulty value is nil
 * without bytes. */
typedef void (*pair_fn)(mfi_text key, const mf_value *value, mfi_slice bytes, void *user_data);

/* The state of a walk over a map's pairs. */
typedef struct walk {
    mfi_reader reader;
    mf_status fault; /* the first fault: a value of which only the structure holds, or the end */
    bool whole;      /* the structure holds so far */
    mf_error *error; /* describes the fault */
} walk;

/* Reads one value: header and bytes. If a check fails, the walk follows only the structure, and the
 * value is nil without bytes. */
static void pass(walk *at, mf_value *ret_value, mfi_slice *ret_bytes)
{
    mfi_reader start = at->reader;
    mfi_extent extent = {0};
    mf_error *error = at->fault == MF_OK ? at->error : NULL;
    mf_status status = mfi_reader_skip(&at->reader, 1, &extent, error);
    *ret_value = mf_nil();
    *ret_bytes = (mfi_slice){NULL, 0};
    if (status == MF_OK) {
        *ret_bytes = (mfi_slice){start.data + start.at, at->reader.at - start.at};
        (void)mfi_reader_next(&start, ret_value, NULL);
        return;
    }
    at->fault = at->fault == MF_OK ? status : at->fault;
    at->reader.at = start.at;
    status = mfi_reader_skip_structure(&at->reader, at->error);
    if (status != MF_OK) {
        at->fault = status;
        at->whole = false;
    }
}

static void visit_pairs(walk *at, uint32_t pairs, pair_fn visit, void *user_data)
{
    for (uint32_t i = 0; i < pairs && at->whole; i++) {
        mf_value key;
        mf_value value;
        mfi_slice bytes;
        pass(at, &key, &bytes);
        mfi_text name = text_of(&key);
        if (at->whole) {
            pass(at, &value, &bytes);
        }
        if (at->whole) {
            visit(name, &value, bytes, user_data);
        }
    }
}

typedef struct parse {
    mfi_envelope *envelope;
    mfi_text type;
    bool wrong_app;
} parse;

static void take_timestamp(mfi_envelope *envelope, const mf_value *value)
{
    if (value->type == MF_TYPE_FLOAT) {
        envelope->timestamp = value->as.number;
    } else if (value->type == MF_TYPE_INT) {
        envelope->timestamp = (double)value->as.integer;
    }
}

/* The last of several equal keys wins, as with all peers but one. */
static void take_pair(mfi_text key, const mf_value *value, mfi_slice bytes, void *user_data)
{
    parse *at = user_data;
    mfi_envelope *envelope = at->envelope;
    if (text_is(key, "app")) {
        at->wrong_app = !text_is(text_of(value), MFI_APP);
    } else if (text_is(key, "id")) {
        envelope->id = text_of(value);
    } else if (text_is(key, "type")) {
        at->type = text_of(value);
    } else if (text_is(key, "timestamp")) {
        take_timestamp(envelope, value);
    } else if (text_is(key, "function")) {
        envelope->function = text_of(value);
    } else if (text_is(key, "args")) {
        envelope->args = bytes;
    } else if (text_is(key, "namespace")) {
        envelope->namespace_present = true;
        envelope->namespace_name = text_of(value);
    } else if (text_is(key, "client_name") || text_is(key, "clientName")) {
        envelope->client_name = text_of(value);
    } else if (text_is(key, "result")) {
        envelope->result = bytes;
    } else if (text_is(key, "error")) {
        envelope->error = text_of(value);
    } else if (text_is(key, "output")) {
        envelope->output = text_of(value);
    } else if (text_is(key, "metadata")) {
        envelope->metadata = bytes;
    }
}

static bool type_of(mfi_text word, mfi_message_type *ret_type)
{
    static const struct {
        const char *word;
        mfi_message_type type;
    } types[] = {
        {"call", MFI_MESSAGE_CALL},         {"response", MFI_MESSAGE_RESPONSE},
        {"error", MFI_MESSAGE_ERROR},       {"heartbeat", MFI_MESSAGE_HEARTBEAT},
        {"shutdown", MFI_MESSAGE_SHUTDOWN}, {"stdout", MFI_MESSAGE_STDOUT},
        {"stderr", MFI_MESSAGE_STDERR},     {"ready", MFI_MESSAGE_READY},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (text_is(word, types[i].word)) {
            *ret_type = types[i].type;
            return true;
        }
    }
    return false;
}

/* Reads the pairs of the message's map and checks that no bytes follow. Returns the first fault. */
static mf_status read_fields(mfi_reader *reader, parse *to, mf_error *error)
{
    mf_value map;
    walk at = {.whole = true, .error = error};
    mf_status status = mfi_reader_next(reader, &map, error);
    if (status == MF_OK && map.type != MF_TYPE_MAP) {
        status = mfi_fail(error, MF_ERR_PROTOCOL, "a message must be a map, not %s",
                          mf_type_name((mf_type)map.type));
    }
    if (status != MF_OK) {
        return status;
    }
    at.reader = *reader;
    visit_pairs(&at, map.length, take_pair, to);
    if (at.whole && at.reader.at != reader->size) {
        return mfi_fail(error, MF_ERR_PROTOCOL, "%zu bytes follow the message",
                        reader->size - at.reader.at);
    }
    to->envelope->well_formed = at.whole;
    return at.fault;
}

mf_status mfi_envelope_decode_general(const void *bytes, size_t size, const mfi_limits *limits,
                                      mfi_envelope *ret_envelope, mfi_reject *ret_reject,
                                      mf_error *error)
{
    mfi_reader reader = {.data = bytes, .size = size, .limits = limits};
    parse at = {.envelope = ret_envelope};
    *ret_envelope = (mfi_envelope){0};
    mf_status status = read_fields(&reader, &at, error);
    bool type_known = type_of(at.type, &ret_envelope->type);
    *ret_reject = status == MF_OK          ? MFI_REJECT_NONE
                  : status == MF_ERR_LIMIT ? MFI_REJECT_OVERSIZE
                                           : MFI_REJECT_DECODE_ERROR;
    if (!ret_envelope->well_formed) {
        return status;
    }
    if (at.wrong_app) {
        *ret_reject = MFI_REJECT_WRONG_APP;
        return mfi_fail(error, MF_ERR_PROTOCOL, "app is not '%s'", MFI_APP);
    }
    if (!type_known) {
        char word[33];
        *ret_reject = MFI_REJECT_UNKNOWN_TYPE;
        (void)mfi_str_copy_visible(word, sizeof word, at.type.data != NULL ? at.type.data : "",
                                   at.type.size);
        return mfi_fail(error, MF_ERR_PROTOCOL, "type '%s' is unknown", word);
    }
    return status;
}

mf_status mfi_envelope_decode(const void *bytes, size_t size, const mfi_limits *limits,
                              mfi_envelope *ret_envelope, mfi_reject *ret_reject, mf_error *error)
{
    if (mfi_envelope_decode_fast(bytes, size, limits, ret_envelope)) {
        *ret_reject = MFI_REJECT_NONE;
        return MF_OK;
    }
    return mfi_envelope_decode_general(bytes, size, limits, ret_envelope, ret_reject, error);
}

/* ---- Metadata ---- */

typedef struct times_seen {
    mfi_metadata *metadata;
    bool queue, handler;
} times_seen;

static bool take_microseconds(const mf_value *value, uint64_t *ret_us)
{
    return mf_value_get_uint64(value, ret_us) == MF_OK;
}

static uint32_t attempt_of(const mf_value *value)
{
    uint64_t attempt = 0;
    bool fits = mf_value_get_uint64(value, &attempt) == MF_OK && attempt >= 1 && attempt <= 65535;
    return fits ? (uint32_t)attempt : 1;
}

static void take_load(const mf_value *value, mfi_metadata *to)
{
    double load = 0;
    to->has_load = mf_value_get_double(value, &load) == MF_OK && load >= 0 && load <= 1;
    to->load = to->has_load ? load : 0;
}

static void take_pushback(const mf_value *value, mfi_metadata *to)
{
    int64_t ms = 0;
    to->has_pushback = mf_value_get_int64(value, &ms) == MF_OK && ms <= MFI_PUSHBACK_MAX_MS;
    to->pushback_ms = to->has_pushback ? ms : 0;
}

static void take_metadata(mfi_text key, const mf_value *value, mfi_slice bytes, void *user_data)
{
    times_seen *at = user_data;
    mfi_metadata *metadata = at->metadata;
    mfi_text text = text_of(value);
    if (text_is(key, "correlation_id")) {
        bool fits = text.data != NULL && mfi_correlation_id_valid(text.data, text.size);
        metadata->correlation_id = fits ? text : (mfi_text){NULL, 0};
        metadata->correlation_id_invalid = !fits && value->type != MF_TYPE_NIL;
    } else if (text_is(key, "parent_request_id")) {
        bool fits = text.data != NULL && mfi_correlation_id_valid(text.data, text.size);
        metadata->parent_request_id = fits ? text : (mfi_text){NULL, 0};
    } else if (text_is(key, "traceparent")) {
        metadata->traceparent = text;
    } else if (text_is(key, "tracestate")) {
        metadata->tracestate = text;
    } else if (text_is(key, "baggage")) {
        metadata->baggage = text;
    } else if (text_is(key, "server_queue_us")) {
        at->queue = take_microseconds(value, &metadata->server_queue_us);
    } else if (text_is(key, "server_handler_us")) {
        at->handler = take_microseconds(value, &metadata->server_handler_us);
    } else if (text_is(key, "deadline_ms_left")) {
        metadata->has_deadline = mf_value_get_int64(value, &metadata->deadline_ms_left) == MF_OK;
    } else if (text_is(key, "attempt")) {
        metadata->attempt = attempt_of(value);
    } else if (text_is(key, "busy_ms")) {
        metadata->says_busy = mf_value_get_uint64(value, &metadata->busy_ms) == MF_OK;
    } else if (text_is(key, "queue_length")) {
        (void)!mf_value_get_uint64(value, &metadata->queue_length);
    } else if (text_is(key, "load")) {
        take_load(value, metadata);
    } else if (text_is(key, "retry_after_ms")) {
        take_pushback(value, metadata);
    } else if (text_is(key, "hb_timestamp")) {
        metadata->hb_timestamp = bytes;
    } else if (text_is(key, "handlers")) {
        uint64_t handlers = 0;
        metadata->handlers = mf_value_get_uint64(value, &handlers) == MF_OK ? handlers : 0;
    } else if (text_is(key, "draining")) {
        metadata->says_draining = value->type == MF_TYPE_BOOL && value->as.boolean;
    }
}

void mfi_metadata_read_general(mfi_slice metadata, mfi_metadata *ret_metadata)
{
    walk pairs = {.reader = {.data = metadata.data, .size = metadata.size}, .whole = true};
    times_seen at = {.metadata = ret_metadata};
    mf_value map;
    *ret_metadata = (mfi_metadata){.attempt = 1};
    if (metadata.data == NULL || mfi_reader_next(&pairs.reader, &map, NULL) != MF_OK ||
        map.type != MF_TYPE_MAP) {
        return;
    }
    visit_pairs(&pairs, map.length, take_metadata, &at);
    ret_metadata->has_server_times = at.queue && at.handler;
}

void mfi_metadata_read(mfi_slice metadata, mfi_metadata *ret_metadata)
{
    if (!mfi_metadata_read_fast(metadata, ret_metadata)) {
        mfi_metadata_read_general(metadata, ret_metadata);
    }
}

/* ---- Remote errors ---- */

static bool contains(mfi_text text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static bool begins_with(mfi_text text, const char *part)
{
    size_t length = strlen(part);
    return text.size >= length && memcmp(text.data, part, length) == 0;
}

/* Whether peers use this text for a function that is not registered or private. */
static bool says_not_found(mfi_text line)
{
    return (contains(line, "Function '") && contains(line, "' not found")) ||
           contains(line, "Cannot call private method '") || contains(line, "' is not callable") ||
           begins_with(line, "Function not found: ");
}

/* Bytes of "ValueError" in "ValueError: text": a name with the letters of a class, before ": ". */
static size_t type_length(mfi_text line)
{
    size_t length = 0;
    while (length < line.size) {
        char c = line.data[length];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '.';
        if (!letter && !(length > 0 && c >= '0' && c <= '9')) {
            break;
        }
        length++;
    }
    bool fits = length > 0 && length < MF_ERROR_TYPE_MAX && length + 1 < line.size &&
                line.data[length] == ':' && line.data[length + 1] == ' ';
    return fits ? length : 0;
}

/* Whether a traceback of one of the peers' languages begins with this line. */
static bool begins_traceback(mfi_text line)
{
    static const char *const first_lines[] = {
        "Traceback (most recent call last)", /* Python */
        "    at ",                           /* JavaScript */
        "\tat ",                             /* of the JVM */
        "stack backtrace:",                  /* Rust */
    };
    static const char go[] = "goroutine ";
    for (size_t i = 0; i < sizeof first_lines / sizeof first_lines[0]; i++) {
        if (begins_with(line, first_lines[i])) {
            return true;
        }
    }
    size_t at = sizeof go - 1; /* "goroutine 7 [running]:" */
    return begins_with(line, go) && at < line.size && line.data[at] >= '0' &&
           line.data[at] <= '9' && contains(line, " [");
}

/* Where the traceback begins: behind the message, so never in the first line. Else the text's end.
 */
static size_t find_traceback(mfi_text text)
{
    const char *end = text.data + text.size;
    const char *newline = memchr(text.data, '\n', text.size);
    while (newline != NULL) {
        const char *line = newline + 1;
        newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline != NULL ? newline : end) - line);
        if (begins_traceback((mfi_text){line, length})) {
            return (size_t)(line - text.data);
        }
    }
    return text.size;
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

void mfi_remote_error_split(mfi_text text, mf_error *ret_error)
{
    mfi_error_clear(ret_error);
    ret_error->code = MF_ERR_REMOTE;
    if (text.data == NULL || text.size == 0) {
        return;
    }
    size_t traceback = find_traceback(text);
    mfi_text message = {text.data, traceback};
    while (traceback < text.size && message.size > 0 && is_line_end(text.data[message.size - 1])) {
        message.size--;
    }
    (void)mfi_str_copy_visible(ret_error->message, sizeof ret_error->message, message.data,
                               message.size);
    (void)mfi_str_copy_visible(ret_error->remote_traceback, sizeof ret_error->remote_traceback,
                               text.data + traceback, text.size - traceback);
    (void)mfi_str_copy_n(ret_error->remote_type, sizeof ret_error->remote_type, message.data,
                         type_length(message));
    if (says_not_found(message)) {
        ret_error->code = MF_ERR_FUNCTION_NOT_FOUND;
    }
}
