/* The memory of the recorder, shared by the files that write it (recorder_write.c, recorder_kept.c)
 * and the file that reads it (recorder_read.c).
 *
 * A record is an array of words, so that each is stored and loaded atomically. Words are stored
 * with release and loaded with acquire: a reader that saw a word of a later writer sees that
 * writer's version too, and takes nothing. */
#ifndef MFI_OBSERVE_RECORDER_INSIDE_H
#define MFI_OBSERVE_RECORDER_INSIDE_H

#include <stdatomic.h>

#include "core/observe/recorder.h"
#include "core/words/call_phases.h"

/* The words of a record. Times are monotonic nanoseconds. */
enum {
    MFI_WORD_START,
    MFI_WORD_DEADLINE, /* 0: none */
    MFI_WORD_SENT,
    MFI_WORD_RECEIVED,
    MFI_WORD_END,
    MFI_WORD_QUEUE_NS,
    MFI_WORD_HANDLER_NS,
    MFI_WORD_RETRY, /* open: when the next attempt follows; ended: its number among the failures
                       that are kept, from 1 on, or 0 */
    MFI_WORD_STATE, /* mfi_pack_state() */
    MFI_WORD_BYTES, /* request << 32 | response */
    MFI_WORD_LENGTHS,
    MFI_WORD_TRACE,
    MFI_WORD_SPAN = MFI_WORD_TRACE + 4,
    MFI_WORD_REQUEST = MFI_WORD_SPAN + 2,
    /* Target, worker and function, then the namespace, then the correlation id. Each begins with a
     * new word. */
    MFI_WORD_TEXTS = MFI_WORD_REQUEST + 5,
    MFI_RECORD_WORDS = MFI_WORD_TEXTS + MFI_RECORDED_NAME_WORDS + 5 + 16,
};

#define MFI_RECORD_TARGET_MAX 55
#define MFI_RECORD_NAME_MAX 63
#define MFI_RECORD_NAMESPACE_MAX 39
#define MFI_RECORD_CORRELATION_MAX 128
#define MFI_RECORD_ERROR_MAX 256

/* In MFI_WORD_LENGTHS: bytes of each text. */
enum {
    MFI_LENGTH_TARGET = 0,
    MFI_LENGTH_WORKER = 8,
    MFI_LENGTH_FUNCTION = 16,
    MFI_LENGTH_NAMESPACE = 24,
    MFI_LENGTH_CORRELATION = 32, /* 255: the same text as the trace id */
    MFI_LENGTH_WORDS = 40,       /* words of the names */
};
#define MFI_SAME_AS_TRACE 255u

enum {
    MFI_STATE_SERVER = 1,
    MFI_STATE_HAS_TIMES = 2, /* the queue and handler words are set */
    MFI_STATE_REFUSED = 4,
    MFI_STATE_SAMPLED = 8, /* of a worker: MFI_WORD_SENT has mfi_pack_sampled() */
};
/* flags, mfi_call_status, attempt */
/* Where a sampled handler's time went: the rest of it was blocked. Microseconds, at most an hour.
 */
static inline uint64_t mfi_pack_sampled(const mfi_handler_times *times)
{
    uint64_t on_cpu = times->ns[MFI_HANDLER_ON_CPU] / 1000;
    uint64_t runnable = times->ns[MFI_HANDLER_RUNNABLE] / 1000;
    return (on_cpu < UINT32_MAX ? on_cpu : UINT32_MAX) << 32 |
           (runnable < UINT32_MAX ? runnable : UINT32_MAX);
}

static inline uint64_t mfi_pack_state(unsigned flags, unsigned status, unsigned attempt)
{
    return flags | (uint64_t)status << 8 | (uint64_t)attempt << 16;
}

typedef struct mfi_words {
    _Atomic(uint64_t) of[MFI_RECORD_WORDS];
} mfi_words;

/* The calls of the table. progress is turn << 8 | mfi_open_phase. A turn begins with each attempt,
 * so that the report of an attempt that is over changes nothing. */
typedef struct mfi_recorder_entry {
    _Atomic(uint64_t) version; /* odd while the entry is written */
    _Atomic(uint64_t) progress;
    mfi_words words;
} mfi_recorder_entry;

#define MFI_CHUNK_ENTRIES 16
typedef struct mfi_chunk {
    struct mfi_chunk *next; /* the lane's chunks are a ring */
    mfi_recorder_entry entries[MFI_CHUNK_ENTRIES];
} mfi_chunk;

/* The chunks that one thread takes entries from, or the threads that come later share. */
typedef struct mfi_lane {
    _Alignas(64) mfi_chunk *first; /* NULL: the lane was never used */
    mfi_chunk *current;
    unsigned at; /* of the last entry that was taken, in current */
    _Atomic(bool) taken;
    _Atomic(uint64_t) overwritten;
    /* Open calls without an entry; a call may end in another lane. */
    _Atomic(uint64_t) homeless;
} mfi_lane;

/* A call that has ended and is kept apart. */
typedef struct mfi_kept {
    _Atomic(uint64_t) version; /* 0: empty; odd while written */
    mfi_words words;
} mfi_kept;
typedef struct mfi_failure {
    mfi_kept call;
    _Atomic(uint64_t) error[MFI_RECORD_ERROR_MAX / 8]; /* ends with NUL if shorter */
} mfi_failure;

/* The slowest calls of a target and a function. The last group takes those without one. */
#define MFI_GROUP_PLACES 4
struct mfi_recorder_group {
    _Atomic(uint64_t) key;   /* hash of the names; 0: no function has the group */
    _Atomic(uint64_t) floor; /* a call that took no longer is not kept, */
    _Atomic(uint64_t) until; /* until then */
    _Atomic(bool) taken;
    mfi_kept places[MFI_GROUP_PLACES];
};

#define MFI_SHARED_LANES 16
#define MFI_LANES (MFI_SHARED_LANES + 15)

struct mfi_recorder {
    uint64_t keep_ns;
    mfi_lane lanes[MFI_LANES];
    _Alignas(64) _Atomic(size_t) chunks_used;
    size_t chunk_count, group_count, failure_count;
    mfi_chunk *chunks;
    struct mfi_recorder_group *groups;
    mfi_failure *failures;
    _Alignas(64) _Atomic(uint64_t) failures_made;
};

static inline void mfi_word_store(_Atomic(uint64_t) *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}
static inline uint64_t mfi_word_load(const _Atomic(uint64_t) *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* recorder_kept.c: copies a call that has ended. `words` belong to the calling thread. */
/* Returns the number of the failure; 0: it is not kept. */
uint64_t mfi_recorder_keep_failure(mfi_recorder *recorder, const mfi_words *words,
                                   const mf_error *error);
void mfi_recorder_keep_slow(mfi_recorder *recorder, struct mfi_recorder_group *group,
                            const mfi_words *words);
/* How many words of a record are in use. */
size_t mfi_words_used(const mfi_words *words);

#endif
