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
 * The caller builds the record on its stack as compact typed entries; no text is formatted but
 * numbers in a message. The commit copies the record into the ring: a cell is claimed and filled
 * with one memcpy in between, so that a caller that is descheduled in the middle of a record delays
 * no other thread. No function here allocates, blocks or fails. A field that does not fit is cut or
 * left out, and the line says `"truncated":true`.
 *
 * The hot path does less: see notes, below.
 *
 * Keys are stored as pointers: a key must be a string literal, or live as long as the program, and
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

#include "logging/redact.h"
#include "logging/sampler.h"

#define MFI_MESSAGE_MAX 1024u /* bytes of a message */
#define MFI_RECORD_DATA 2016u /* bytes of entries; with the head a cell has about 2 KiB */

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
    const char *event;        /* static, or NULL: then data holds the event at event_at */
    mfi_log_expand_fn expand; /* not NULL: data is a note */
    uint64_t wall_ns;         /* in a note: monotonic */
    uint64_t seq;             /* the writer numbers records */
    int32_t tid;
    uint16_t size; /* used bytes of data */
    uint16_t event_at, event_size;
    uint16_t message_at, message_size;
    uint8_t level;
    bool truncated;
    bool in_object;
    bool muted; /* inside an object for which there was no room */
    _Alignas(8) unsigned char data[MFI_RECORD_DATA];
};

/* The first member of every mf_logger: all that a producer needs in order to begin a record. */
typedef struct mfi_log_gate {
    _Atomic(int) least; /* lowest level that is written; MF_LOG_OFF without a sink */
    bool no_correlation_ids;
    mfi_sampler *sampler;     /* chooses among records below a warning; NULL keeps all */
    mfi_redaction *redaction; /* masks values of the program's fields */
} mfi_log_gate;

static inline const mfi_log_gate *mfi_log_gate_of(const mf_logger *logger)
{
    return (const mfi_log_gate *)(const void *)logger;
}

/* Whether a record of this level would be written. One relaxed load. NULL is never enabled. */
static inline bool mfi_log_enabled(const mf_logger *logger, mf_log_level level)
{
    return logger != NULL && (int)level >= atomic_load_explicit(&mfi_log_gate_of(logger)->least,
                                                                memory_order_relaxed);
}

/* Whether this record is kept: enabled, and chosen if records are sampled. To be called once for
 * each record. function: mfi_sampler_key() of its name, or 0. monotonic_ns: 0 means now. */
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
int32_t mfi_log_thread_id(void);

/* Begins an empty record without time and thread. */
void mfi_log_head(mfi_record *record, mf_logger *logger, mf_log_level level, const char *event);

/* The same in on_stack, with time and thread. event is a static text. */
mfi_record *mfi_log_start(mf_logger *logger, mf_log_level level, const char *event,
                          mfi_record *on_stack);

/* As mfi_log_start(), or NULL if the record is not kept. */
static inline mfi_record *mfi_log_begin(mf_logger *logger, mf_log_level level, const char *event,
                                        mfi_record *on_stack)
{
    return mfi_log_wanted(logger, level, event, 0, 0)
               ? mfi_log_start(logger, level, event, on_stack)
               : NULL;
}

/* Copies the record into the ring for the writer. False if the ring is full: the record is then
 * counted and declared lost. The caller must not use the record afterwards. */
bool mfi_log_commit(mfi_record *record);

/* Sets the message, at most MFI_MESSAGE_MAX bytes; the last call wins. The pair form joins two
 * texts with a blank, without the cost of formatting; second may be NULL. */
void mfi_record_message(mfi_record *record, const char *format, ...) MF_PRINTF(2, 3);
void mfi_record_message_pair(mfi_record *record, const char *first, const char *second);
void mfi_record_message_strn(mfi_record *record, const char *text, size_t length);

/* Adds one field with a static key; the functions below call these. They are inline, so that the
 * compiler knows the length of a literal key. */
void mfi_record_put_text(mfi_record *record, const char *key, size_t key_size, const char *text,
                         size_t length);
void mfi_record_put_word(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size,
                         uint64_t word);
/* Adds an entry without a value. False if it did not fit. */
bool mfi_record_put_mark(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size);

/* Add fields in the order of the calls. A NULL text and a float that is not finite add nothing. */
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

/* A duration, written in milliseconds with 3 to 6 decimals. */
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

/* An object of fields (`phases`, `fields`), one level deep: an object holds no objects. */
void mfi_record_object_begin(mfi_record *record, const char *key);
void mfi_record_object_end(mfi_record *record);

/* Adds the ids of a call: correlation_id, trace_id, span_id, parent_span_id, trace_flags,
 * request_id, parent_request_id. Empty ids are left out, and all of them if the logger has
 * no_correlation_ids. NULL adds nothing. */
void mfi_record_context(mfi_record *record, const mf_context *context);

/* For users' events, whose texts live no longer than the call: copies event and key. */
void mfi_record_user_event(mfi_record *record, const char *event);
void mfi_record_user_field(mfi_record *record, const mf_log_field *field);

/* ---- Notes ----
 *
 * On the hot path a thread leaves a note instead of a record: a struct of its own of at most
 * MFI_RECORD_DATA bytes, aligned to 8, written straight into the ring. The writer thread calls
 * `expand` to make message and fields from it, so a note may point only to memory that lives as
 * long as the program. The caller has checked the level. */

/* Room for a note of an event at this monotonic time. The caller fills and commits it without
 * delay. NULL if the ring is full; that is counted. */
void *mfi_log_note_begin(mf_logger *logger, mf_log_level level, const char *event,
                         mfi_log_expand_fn expand, uint64_t monotonic_ns, uint64_t *ret_ticket);
void mfi_log_note_commit(mf_logger *logger, uint64_t ticket);

/* ---- Reading, for the encoders ---- */

typedef struct mfi_entry {
    mfi_entry_type type;
    bool key_copied; /* the user's key, which needs escaping */
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

/* Reads the entry at *at and moves *at behind it; false at the end. Skips TEXT entries. */
bool mfi_record_next(const mfi_record *record, size_t *at, mfi_entry *ret_entry);
/* Whether an entry between these places has the key of this one. */
bool mfi_record_has_key(const mfi_record *record, size_t from, size_t to, const mfi_entry *entry);

#endif
