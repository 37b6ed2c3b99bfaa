/* The messages of comlink_ipc_v3: one msgpack map each.
 *
 * Decoding parses the envelope only; arguments, results and metadata are checked and stay bytes.
 * Encoding appends to a buffer, straight from the caller's values. Pure functions. */
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

/* Why a message is not ours to handle. */
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

/* Views into the message. A field of the wrong type counts as absent, but for args. */
typedef struct mfi_envelope {
    bool well_formed;      /* one map from the first byte to the last, whatever is in its fields */
    mfi_message_type type; /* 0 if unknown */
    double timestamp;      /* 0 if absent */
    mfi_text id, function, namespace_name, client_name, error, output;
    bool namespace_present;           /* the key was there, of whatever type */
    mfi_slice args, result, metadata; /* one checked value each */
} mfi_envelope;

/* MF_OK, or the failure and its reason. A missing app counts as ours, as with Python and JS.
 *
 * The envelope is filled on failure too, as far as it can be known, so that a message need not be
 * lost without a word to whoever waits for the answer. The reasons, the strongest first:
 *
 * - MFI_REJECT_DECODE_ERROR without well_formed: no msgpack, no map, cut short, or followed by more
 *   bytes. The envelope holds what stood before; it is good for logs only. (MFI_REJECT_OVERSIZE
 *   without well_formed: the message's own map has more than max_items pairs.)
 * - MFI_REJECT_WRONG_APP, MFI_REJECT_UNKNOWN_TYPE: not to be answered.
 * - MFI_REJECT_OVERSIZE with well_formed: a limit was met inside of a field; MF_ERR_LIMIT.
 * - MFI_REJECT_DECODE_ERROR with well_formed: a str inside of a field, or a key, is not UTF-8.
 *
 * In the last two cases the error names the path of the first fault and its size, the fields that
 * are at fault are absent (a namespace is still present, and equal to none), all others are as in a
 * sound message. A child answers such a call, if its namespace fits and it has an id, with an
 * error; a parent ends the call that waits for such an answer with this status and error. */
mf_status mfi_envelope_decode(const void *bytes, size_t size, const mfi_limits *limits,
                              mfi_envelope *ret_envelope, mfi_reject *ret_reject, mf_error *error);

/* The metadata keys with a meaning, as views. Invalid ones count as absent. */
typedef struct mfi_metadata {
    mfi_text correlation_id, parent_request_id, traceparent;
    bool correlation_id_invalid; /* there, but not fit for logs */
    bool has_server_times;
    uint64_t server_queue_us, server_handler_us;
    bool has_deadline;
    int64_t deadline_ms_left; /* what the caller still waits; 0 or less: it has given up */
    uint32_t attempt;         /* 1 unless the caller said more */
    mfi_slice hb_timestamp;   /* to be echoed as it came */
    bool says_busy;           /* a heartbeat answer with busy_ms */
    uint64_t busy_ms;         /* how long the running handler has run; 0: none runs */
    uint64_t queue_length;    /* calls that wait behind it; 0 if absent */
} mfi_metadata;
/* Of anything, also nothing; never fails. */
void mfi_metadata_read(mfi_slice metadata, mfi_metadata *ret_metadata);

typedef struct mfi_call_fields {
    const char *id;
    mfi_text function;
    mfi_text namespace_name; /* absent: "default" */
    mfi_text client_name;    /* absent: left out */
    mf_args args;
    const mf_value *metadata; /* the caller's own map, or NULL; keys of ours win */
    const char *correlation_id, *parent_request_id, *traceparent; /* NULL or "": left out */
    double timestamp;
    int64_t deadline_ms_left; /* 0 or MF_TIMEOUT_INFINITE: left out */
    uint32_t attempt;         /* left out for the first */
    const mfi_limits *limits;
} mfi_call_fields;

/* All encoders return MF_OK; MF_ERR_INVALID_ARGUMENT or MF_ERR_LIMIT naming the value;
 * MF_ERR_NO_MEMORY. On failure the buffer is as it was. */
mf_status mfi_encode_call(mfi_buf *to, const mfi_call_fields *call, mf_error *error);

typedef struct mfi_reply_times {
    double timestamp_received;
    bool has_server_times;
    uint64_t queue_us, handler_us;
    const mf_value *more; /* a map of pairs to send along, or NULL; checked by who added them */
} mfi_reply_times;
mf_status mfi_encode_response(mfi_buf *to, mfi_text id, const mf_value *result, double timestamp,
                              const mfi_limits *limits, const mfi_reply_times *times,
                              mf_error *error);
/* The same in two steps, for a handler that sets its result before its run time is known: the first
 * encodes the result straight into the message, the second completes it. */
mf_status mfi_encode_response_begin(mfi_buf *to, mfi_text id, const mf_value *result,
                                    double timestamp, const mfi_limits *limits, mf_error *error);
mf_status mfi_encode_response_end(mfi_buf *to, const mfi_reply_times *times, mf_error *error);
/* text is cleaned and cut at MFI_ERROR_TEXT_MAX_BYTES. */
mf_status mfi_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                           const mfi_reply_times *times, mf_error *error);
mf_status mfi_encode_heartbeat(mfi_buf *to, const char *id, double timestamp, mf_error *error);

typedef struct mfi_heartbeat_answer {
    mfi_text id;
    mfi_slice args;         /* echoed if present, as JS parents need it */
    mfi_slice hb_timestamp; /* echoed if present, else the own time */
    uint64_t busy_ms, queue_length;
} mfi_heartbeat_answer;
mf_status mfi_encode_heartbeat_answer(mfi_buf *to, const mfi_heartbeat_answer *answer,
                                      double timestamp, mf_error *error);
mf_status mfi_encode_output(mfi_buf *to, const char *id, bool is_stderr, mfi_text text,
                            double timestamp, mf_error *error);
mf_status mfi_encode_shutdown(mfi_buf *to, const char *id, double timestamp, mf_error *error);

/* Takes a remote error text apart: "ValueError: text\nTraceback ...", as Python children send it,
 * gives type, message and traceback; others give the message. The code is MF_ERR_REMOTE, or
 * MF_ERR_FUNCTION_NOT_FOUND by the texts that the peers use for it. */
void mfi_remote_error_split(mfi_text text, mf_error *ret_error);

#endif
