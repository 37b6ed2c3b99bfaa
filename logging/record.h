/* One log record: how the library's own events are produced.
 *
 *     mfi_record on_stack;
 *     mfi_record *record = mfi_log_begin(logger, MF_LOG_WARN, "request_timeout", &on_stack);
 *     if (record != NULL) {
 *         mfi_record_message_pair(record, "Failed", function);
 *         mfi_record_str(record, "target", target);
 *         mfi_record_ms(record, "duration_ms", duration_ns);
 *         mfi_log_commit(record);
 *     }
 *
 * The record is built on the caller's stack as compact typed entries (no text is formatted but
 * numbers in a message) and copied into the ring when it is committed: the time between claiming
 * a place and having filled it is one memcpy, so that a caller who is descheduled in the middle of
 * a record holds up nobody. Nothing here allocates, blocks or fails. What does not fit is cut or
 * left out, and the line says `"truncated":true`.
 *
 * The hot path does less: see notes, below.
 *
 * Keys are stored as pointers: they must be string literals (or live as long as the program) and
 * need no escaping. Texts are copied. */
#ifndef MFI_LOGGING_RECORD_H
#define MFI_LOGGING_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <math.h>

#include <multifrost/log.h>

#include "logging/sampler.h"

#define MFI_MESSAGE_MAX 1024u /* bytes of a message */
#define MFI_RECORD_DATA 2016u /* bytes of entries */

typedef struct mfi_record mfi_record;
typedef void (*mfi_log_expand_fn)(mfi_record *record, const void *note);

typedef enum mfi_entry_type {
    MFI_ENTRY_TEXT = 1, /* in data, without a key: event or message */
    MFI_ENTRY_STR,
    MFI_ENTRY_INT,
    MFI_ENTRY_UINT,
    MFI_ENTRY_FLOAT,
    MFI_ENTRY_MS,
    MFI_ENTRY_TRUE,
    MFI_ENTRY_FALSE,
    MFI_ENTRY_NULL,
    MFI_ENTRY_OBJECT,
    MFI_ENTRY_END,
} mfi_entry_type;

/* A record under construction. Only the head and the used part of data are ever copied. */
struct mfi_record {
    mf_logger *logger;
    const char *event;        /* static, or NULL: then data has it at event_at */
    mfi_log_expand_fn expand; /* NULL, or data is a note */
    uint64_t wall_ns;         /* of a note: monotonic */
    uint64_t seq;             /* given by the ring */
    int32_t tid;
    uint16_t size; /* used bytes of data */
    uint16_t event_at, event_size;
    uint16_t message_at, message_size;
    uint8_t level;
    bool truncated;
    bool in_object;
    bool muted; /* inside an object that did not fit */
    _Alignas(8) unsigned char data[MFI_RECORD_DATA];
};

/* What every mf_logger begins with: all of a logger that making a record needs. */
typedef struct mfi_log_gate {
    _Atomic(int) least; /* level that is written; MF_LOG_OFF without a sink */
    bool no_correlation_ids;
    mfi_sampler *sampler; /* chooses among records below a warning; NULL: all are kept */
} mfi_log_gate;

static inline const mfi_log_gate *mfi_log_gate_of(const mf_logger *logger)
{
    return (const mfi_log_gate *)(const void *)logger;
}

/* Whether a record of this level would be written. One relaxed load; NULL is never enabled. */
static inline bool mfi_log_enabled(const mf_logger *logger, mf_log_level level)
{
    return logger != NULL && (int)level >= atomic_load_explicit(&mfi_log_gate_of(logger)->least,
                                                                memory_order_relaxed);
}

/* Whether this record is wanted: enabled, and kept where records are sampled. Once for each record.
 * function: what mfi_sampler_key gave for its name, or 0; monotonic_ns 0: now. */
bool mfi_log_sample(mfi_sampler *sampler, const char *event, uint64_t function,
                    uint64_t monotonic_ns);
static inline bool mfi_log_wanted(const mf_logger *logger, mf_log_level level, const char *event,
                                  uint64_t function, uint64_t monotonic_ns)
{
    if (!mfi_log_enabled(logger, level)) {
        return false;
    }
    mfi_sampler *sampler = mfi_log_gate_of(logger)->sampler;
    return sampler == NULL || level >= MF_LOG_WARN ||
           mfi_log_sample(sampler, event, function, monotonic_ns);
}

/* The kernel's id of the calling thread. */
int32_t mfi_thread_id(void);

/* Makes an empty record of the time 0 and of no thread. */
void mfi_log_head(mfi_record *record, mf_logger *logger, mf_log_level level, const char *event);

/* The same on on_stack, with time and thread; event is a static text. */
mfi_record *mfi_log_start(mf_logger *logger, mf_log_level level, const char *event,
                          mfi_record *on_stack);

/* As mfi_log_start, or NULL if it is not wanted. */
static inline mfi_record *mfi_log_begin(mf_logger *logger, mf_log_level level, const char *event,
                                        mfi_record *on_stack)
{
    return mfi_log_wanted(logger, level, event, 0, 0)
               ? mfi_log_start(logger, level, event, on_stack)
               : NULL;
}

/* Gives the record its seq and hands it to the writer. False if the ring had no room: then it is
 * counted and its seq will be declared lost. The record must not be used afterwards. */
bool mfi_log_commit(mfi_record *record);

/* The message, at most MFI_MESSAGE_MAX bytes; the last one given counts. _pair joins two texts with
 * a blank, without the cost of formatting; second may be NULL. */
void mfi_record_message(mfi_record *record, const char *format, ...) MF_PRINTF(2, 3);
void mfi_record_message_pair(mfi_record *record, const char *first, const char *second);
void mfi_record_message_strn(mfi_record *record, const char *text, size_t length);

/* One field of any type, of a static key: what the functions below come to. Inline, so that the
 * length of a literal key is known when compiling. */
void mfi_record_put_text(mfi_record *record, const char *key, size_t key_size, const char *text,
                         size_t length);
void mfi_record_put_word(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size,
                         uint64_t word);
/* False if there was no room. */
bool mfi_record_put_mark(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size);

/* Fields, written in the order given. A NULL text leaves the field out, as does a float that is
 * not finite. */
static inline void mfi_record_strn(mfi_record *record, const char *key, const char *text,
                                   size_t length)
{
    if (text != NULL) {
        mfi_record_put_text(record, key, strlen(key), text, length);
    }
}

static inline void mfi_record_str(mfi_record *record, const char *key, const char *text)
{
    if (text != NULL) {
        mfi_record_put_text(record, key, strlen(key), text, strlen(text));
    }
}

static inline void mfi_record_int(mfi_record *record, const char *key, int64_t value)
{
    mfi_record_put_word(record, MFI_ENTRY_INT, key, strlen(key), (uint64_t)value);
}

static inline void mfi_record_uint(mfi_record *record, const char *key, uint64_t value)
{
    mfi_record_put_word(record, MFI_ENTRY_UINT, key, strlen(key), value);
}

static inline void mfi_record_float(mfi_record *record, const char *key, double value)
{
    uint64_t word = 0;
    memcpy(&word, &value, sizeof word);
    if (isfinite(value)) {
        mfi_record_put_word(record, MFI_ENTRY_FLOAT, key, strlen(key), word);
    }
}

/* A duration, written in milliseconds with three to six decimals. */
static inline void mfi_record_ms(mfi_record *record, const char *key, uint64_t duration_ns)
{
    mfi_record_put_word(record, MFI_ENTRY_MS, key, strlen(key), duration_ns);
}

static inline void mfi_record_bool(mfi_record *record, const char *key, bool value)
{
    (void)mfi_record_put_mark(record, value ? MFI_ENTRY_TRUE : MFI_ENTRY_FALSE, key, strlen(key));
}

static inline void mfi_record_null(mfi_record *record, const char *key)
{
    (void)mfi_record_put_mark(record, MFI_ENTRY_NULL, key, strlen(key));
}

/* An object of fields (`phases`, `fields`), one level deep: no object inside an object. */
void mfi_record_object_begin(mfi_record *record, const char *key);
void mfi_record_object_end(mfi_record *record);

/* The ids of a call: correlation_id, trace_id, span_id, parent_span_id, trace_flags, request_id,
 * parent_request_id; empty ones are left out, all of them where the logger was made with
 * no_correlation_ids. NULL adds nothing. */
void mfi_record_context(mfi_record *record, const mf_context *context);

/* For users' events, whose texts live no longer than the call: event and key are copied. */
void mfi_record_user_event(mfi_record *record, const char *event);
void mfi_record_user_field(mfi_record *record, const mf_log_field *field);

/* ---- Notes ----
 *
 * What the hot path leaves instead of a record: a struct of its own, at most MFI_RECORD_DATA bytes
 * and aligned to eight, written straight into the ring. The writer thread has `expand` make the
 * message and the fields of it, so the note may point only to what lives as long as the program.
 * The level was checked by the caller. */

/* Room for a note of something that happened at this monotonic time, to be filled without delay
 * and committed; NULL if the ring is full, which is then counted. */
void *mfi_log_note_begin(mf_logger *logger, mf_log_level level, const char *event,
                         mfi_log_expand_fn expand, uint64_t monotonic_ns, uint64_t *ret_ticket);
void mfi_log_note_commit(mf_logger *logger, uint64_t ticket);

/* ---- Reading, for the encoders ---- */

typedef struct mfi_entry {
    mfi_entry_type type;
    bool key_copied; /* from a user: to be escaped */
    const char *key;
    size_t key_size;
    const char *text;
    size_t text_size;
    union {
        int64_t int_value;
        uint64_t uint_value; /* also nanoseconds */
        double float_value;
    } value;
} mfi_entry;

/* Reads the entry at *at and moves on; false behind the last. TEXT entries are passed over. */
bool mfi_record_next(const mfi_record *record, size_t *at, mfi_entry *ret_entry);

#endif
