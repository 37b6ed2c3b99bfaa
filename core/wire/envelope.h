/* The messages of comlink_ipc_v3: one msgpack map each.
 *
 * Decoding parses only the envelope; arguments, results and metadata are checked and stay bytes.
 * Encoding appends the caller's values to a buffer. Pure functions. */
#ifndef MFI_WIRE_ENVELOPE_H
#define MFI_WIRE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/value.h>

#include "base/buf.h"
#include "core/wire/reader.h"

#define MFI_APP "comlink_ipc_v3"
#define MFI_DEFAULT_NAMESPACE "default"

typedef enum mfi_message_type {
    MFI_MESSAGE_CALL = 1,
    MFI_MESSAGE_RESPONSE,
    MFI_MESSAGE_ERROR,
    MFI_MESSAGE_HEARTBEAT,
    MFI_MESSAGE_SHUTDOWN,
    MFI_MESSAGE_STDOUT,
    MFI_MESSAGE_STDERR,
    MFI_MESSAGE_READY
} mfi_message_type;

/* Why a message is refused. */
typedef enum mfi_reject {
    MFI_REJECT_NONE = 0,
    MFI_REJECT_DECODE_ERROR,
    MFI_REJECT_OVERSIZE,
    MFI_REJECT_WRONG_APP,
    MFI_REJECT_UNKNOWN_TYPE
} mfi_reject;

/* A text that is not NUL-terminated; data NULL: absent. */
typedef struct mfi_text {
    const char *data;
    size_t size;
} mfi_text;

/* Views into the message. A field of the wrong type counts as absent, except args. */
typedef struct mfi_envelope {
    bool well_formed;      /* the message is exactly one map, whatever its fields hold */
    mfi_message_type type; /* 0 if unknown */
    double timestamp;      /* 0 if absent */
    mfi_text id, function, namespace_name, client_name, error, output;
    bool namespace_present;           /* the key was there, with a value of any type */
    mfi_slice args, result, metadata; /* one checked value each */
} mfi_envelope;

/* Decodes one message. MF_OK, or the failure and its reason. A message without `app` is accepted,
 * as Python and JS peers accept it.
 *
 * On failure the function fills the envelope as far as it can, so that a caller that waits for the
 * answer gets the error. The reasons, the strongest first:
 *
 * - MFI_REJECT_DECODE_ERROR without well_formed: no msgpack, no map, cut short, or followed by more
 *   bytes. The envelope holds the fields before the fault; it is good for logs only.
 *   (MFI_REJECT_OVERSIZE without well_formed: the message's map has more than max_items pairs.)
 * - MFI_REJECT_WRONG_APP, MFI_REJECT_UNKNOWN_TYPE: not to be answered.
 * - MFI_REJECT_OVERSIZE with well_formed: a field exceeds a limit; MF_ERR_LIMIT.
 * - MFI_REJECT_DECODE_ERROR with well_formed: a key, or a str inside a field, is not UTF-8.
 *
 * In the last two cases the error names path and size of the first fault. Faulty fields are absent;
 * a faulty namespace is present but equals no other; all other fields are as in a sound message. A
 * child answers such a call with an error if the namespace fits and the call has an id. A parent
 * ends the call that waits for such an answer with this status and error. */
mf_status mfi_envelope_decode(const void *bytes, size_t size, const mfi_limits *limits,
                              mfi_envelope *ret_envelope, mfi_reject *ret_reject, mf_error *error);

/* The longest wait that an answer may ask for: a day. */
#define MFI_PUSHBACK_MAX_MS INT64_C(86400000)

/* The metadata keys with a meaning, as views. Invalid values count as absent. */
typedef struct mfi_metadata {
    mfi_text correlation_id, parent_request_id, traceparent;
    bool correlation_id_invalid; /* present, but not fit for logs */
    bool has_server_times;
    uint64_t server_queue_us, server_handler_us;
    bool has_deadline;
    int64_t deadline_ms_left; /* how long the caller still waits; 0 or less: it has given up */
    uint32_t attempt;         /* 1 if absent */
    mfi_slice hb_timestamp;   /* the answer repeats these bytes */
    bool says_busy;           /* a heartbeat answer with busy_ms */
    uint64_t busy_ms;         /* how long the running handler has run; 0 if none runs */
    uint64_t queue_length;    /* calls that wait behind it; 0 if absent */
    uint64_t handlers;        /* how many calls the peer runs at a time; 0 if absent */
    bool has_load, has_pushback;
    double load;         /* 0 to 1: busy share of the peer's handler threads */
    int64_t pushback_ms; /* when the call may be tried again; negative: never */
    bool says_draining;  /* a heartbeat answer: the peer is about to end */
} mfi_metadata;
/* Reads metadata of any form, also absent metadata; never fails. */
void mfi_metadata_read(mfi_slice metadata, mfi_metadata *ret_metadata);

typedef struct mfi_call_fields {
    const char *id;
    mfi_text function;
    mfi_text namespace_name; /* absent: "default" */
    mfi_text client_name;    /* absent: left out */
    mf_args args;
    const mf_value *metadata; /* the caller's own map, or NULL; the library's keys win */
    const char *correlation_id, *parent_request_id, *traceparent; /* NULL or "": left out */
    double timestamp;
    int64_t deadline_ms_left; /* 0 or MF_TIMEOUT_INFINITE: left out */
    uint32_t attempt;         /* 1 is left out */
    const mfi_limits *limits;
} mfi_call_fields;

/* All encoders return MF_OK; MF_ERR_INVALID_ARGUMENT or MF_ERR_LIMIT naming the value;
 * MF_ERR_NO_MEMORY. On failure the buffer has its old content. */
mf_status mfi_encode_call(mfi_buf *to, const mfi_call_fields *call, mf_error *error);

typedef struct mfi_reply_times {
    double timestamp_received;
    bool has_server_times;
    uint64_t queue_us, handler_us;
    bool has_load, has_pushback;
    double load;          /* 0 to 1 */
    int64_t pushback_ms;  /* retry_after_ms */
    const mf_value *more; /* a map of further pairs, or NULL; checked when they were added */
} mfi_reply_times;
mf_status mfi_encode_response(mfi_buf *to, mfi_text id, const mf_value *result, double timestamp,
                              const mfi_limits *limits, const mfi_reply_times *times,
                              mf_error *error);
/* The same in two steps, because a handler sets its result before its run time is known. The first
 * step encodes the result into the message, the second one completes the message. */
mf_status mfi_encode_response_begin(mfi_buf *to, mfi_text id, const mf_value *result,
                                    double timestamp, const mfi_limits *limits, mf_error *error);
mf_status mfi_encode_response_end(mfi_buf *to, const mfi_reply_times *times, mf_error *error);
/* Cleans text and cuts it to MFI_ERROR_TEXT_MAX_BYTES. */
mf_status mfi_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                           const mfi_reply_times *times, mf_error *error);
mf_status mfi_encode_heartbeat(mfi_buf *to, const char *id, double timestamp, mf_error *error);

typedef struct mfi_heartbeat_answer {
    mfi_text id;
    mfi_slice args;         /* repeated if present, because JS parents need it */
    mfi_slice hb_timestamp; /* repeated if present; else the child's own time is sent */
    uint64_t busy_ms, queue_length, handlers;
    bool draining; /* false: left out */
} mfi_heartbeat_answer;
mf_status mfi_encode_heartbeat_answer(mfi_buf *to, const mfi_heartbeat_answer *answer,
                                      double timestamp, mf_error *error);
/* correlation_id: of the call that printed the text; NULL or "": left out. */
mf_status mfi_encode_output(mfi_buf *to, const char *id, bool is_stderr, mfi_text text,
                            const char *correlation_id, double timestamp, mf_error *error);
mf_status mfi_encode_shutdown(mfi_buf *to, const char *id, double timestamp, mf_error *error);

/* Splits a remote error text. "ValueError: text\nTraceback ...", as Python children send it, gives
 * type, message and traceback. A traceback is found by its own first line, in the form of Python,
 * JavaScript, Go, Rust or the JVM; all lines before it are the message. Control characters other
 * than newlines and tabs become escapes. The code is MF_ERR_REMOTE, or MF_ERR_FUNCTION_NOT_FOUND if
 * the text is one that peers use for that. */
void mfi_remote_error_split(mfi_text text, mf_error *ret_error);

#endif
