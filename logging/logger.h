/* The inside of a logger, shared by the files of this room. */
#ifndef MFI_LOGGING_LOGGER_H
#define MFI_LOGGING_LOGGER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/mpsc.h"
#include "base/mutex.h"
#include "logging/encoder.h"
#include "logging/record.h"
#include "logging/redact.h"
#include "logging/sink.h"

#define MFI_SINKS_MAX 8 /* sinks of one logger */

/* Bits of mf_logger.reader. */
enum {
    MFI_READER_WRITER = 1, /* the writer takes records, or writes those that it took */
    MFI_READER_CRASH = 2   /* mf_log_crash_flush() wants the ring, or has it */
};

/* Values of mf_logger.sleeping. */
enum {
    MFI_AWAKE = 0,
    MFI_SLEEPS = 1,        /* on the futex */
    MFI_SLEEPS_IN_POLL = 2 /* until a sink takes bytes, or the eventfd is written */
};

/* Sees each line that the writer makes, as the first sink gets it. Writer thread; must not block.
 */
typedef void (*mfi_log_tail_fn)(void *self, const char *line, size_t size);

struct mf_logger {
    mfi_log_gate gate; /* first member: see record.h */
    _Atomic(int) level;
    mfi_line_head head; /* of the writer, and of mf_log_crash_flush() in its turn */
    uint64_t fork_generation;
    mfi_redaction redaction;
    mfi_ring *ring;
    pthread_t thread; /* the writer, if has_writer */
    bool has_writer;  /* guarded by mutex until the logger is destroyed */
    _Atomic(bool) stopping;
    _Atomic(uint32_t) sleeping;    /* futex of the writer: not 0 while it sleeps or is about to */
    _Atomic(uint32_t) nap;         /* futex of the writer while it waits for more records */
    _Atomic(bool) naps_in_poll;    /* the eventfd ends the nap */
    int wake_fd;                   /* the eventfd; -1 before the writer runs */
    bool asymmetric;               /* membarrier works: see wake_writer() */
    _Atomic(uint32_t) reader;      /* MFI_READER_ bits: the thread that takes records */
    _Atomic(int32_t) writer_tid;   /* the kernel's id of the writer; 0 before it runs */
    _Atomic(uint64_t) crash_taken; /* records that mf_log_crash_flush() took, not in `done` yet */
    mfi_buf crash_line;            /* allocated ahead, because a signal handler cannot */
    _Atomic(uint64_t) done;        /* records of the ring that are written; release */
    _Atomic(uint64_t) refused;     /* records that found the ring full, not declared yet */
    _Atomic(uint64_t) dropped_ring_full; /* total, relaxed */
    _Atomic(size_t) most_used;           /* cells of the ring, since the last reading */
    mfi_mutex mutex;                     /* for threads that add a sink or set the level */
    mfi_sink *sinks[MFI_SINKS_MAX];
    _Atomic(size_t) sink_count;       /* release by the adder of a sink; sinks only come */
    _Atomic(uint64_t) retries_wanted; /* tries of sinks that failed; release by a flusher */
    _Atomic(uint64_t) retries_done;
    _Atomic(mfi_log_tail_fn) tail; /* or NULL; release by the setter, behind tail_self */
    void *tail_self;
    uint64_t reopened;     /* the calls of mf_log_reopen() that the writer has followed */
    mfi_mutex flush_mutex; /* with flushed: for threads that wait for `done` */
    mfi_cond flushed;
    uint64_t summary_period_ns; /* between summaries of sampling; set before the first sink */
    uint64_t seq;               /* only the reader of the ring uses this and all below */
    uint64_t summary_ns;        /* when the next summary is due */
    uint64_t summed_up;         /* records that the summaries have reported */
    uint64_t wall_ahead_ns; /* wall clock minus monotonic clock, as of the last look at the ring */
};

/* The function of the writer thread: writer.c. */
void *mfi_log_writer(void *argument);

/* crash.c: makes mf_log_crash_flush() find the logger. False without memory. A logger beyond the
 * MFI_CRASH_LOGGERS_MAX that it can find is not listed. */
#define MFI_CRASH_LOGGERS_MAX 64
bool mfi_crash_list(mf_logger *logger);
/* Before the logger is freed. Waits for a flush that is just reading the logger. */
void mfi_crash_unlist(mf_logger *logger);

/* writer.c: the next record of the ring with its number. A note is expanded into `made`. */
const mfi_record *mfi_log_read(mf_logger *logger, const mfi_record *cell, mfi_record *made);
/* A record that declares `count` records, lost because the ring was full, and takes their numbers.
 */
void mfi_log_make_drops(mf_logger *logger, uint64_t count, mfi_record *ret_record);

const char *mfi_level_word(mf_log_level level);
/* Picks the level of an option, else the one of the environment, else info. */
mf_status mfi_level_pick(mf_log_level given, mf_log_level *ret_level, mf_error *error);

/* reopen.c: the number of calls of mf_log_reopen() so far. */
uint64_t mfi_log_reopens(void);
/* Waits for a call of mf_log_reopen() that is just waking the logger. */
void mfi_log_reopen_wait(void);
/* crash.c: the logger at a place of the table below MFI_CRASH_LOGGERS_MAX, or NULL. */
mf_logger *mfi_crash_listed(size_t place);

/* writer.c: from now on `tail` sees the lines. To be called once; self must outlive the logger. */
void mfi_log_set_tail(mf_logger *logger, mfi_log_tail_fn tail, void *self);

/* logger.c. Async-signal-safe. Ends the writer's sleep. */
void mfi_log_wake(mf_logger *logger);

#endif
