/* The inside of a logger, shared by the files of this room. */
#ifndef MFI_LOGGING_LOGGER_H
#define MFI_LOGGING_LOGGER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/mpsc.h"
#include "base/mutex.h"
#include "logging/record.h"

#define MFI_LINE_MAX_BYTES ((size_t)8192) /* of a line; texts are cut until the line fits */
#define MFI_SINKS_MAX 8                   /* sinks of one logger */

/* Bits of mf_logger.reader. */
enum {
    MFI_READER_WRITER = 1, /* the writer takes records, or writes those that it took */
    MFI_READER_CRASH = 2   /* mf_log_crash_flush() wants the ring, or has it */
};

typedef struct mfi_sink {
    mf_log_format format;
    int fd;       /* -1: the sink is a function */
    bool is_pipe; /* writes at most PIPE_BUF bytes at once, so that processes do not mix lines */
    mf_log_sink_fn write;
    void *user_data;
} mfi_sink;

struct mf_logger {
    mfi_log_gate gate; /* first member: see record.h */
    _Atomic(int) level;
    mfi_buf constant; /* JSON of the fields that every line repeats: service to "tid": */
    uint64_t fork_generation;
    mfi_ring *ring;
    pthread_t thread; /* the writer, if has_writer */
    bool has_writer;  /* guarded by mutex until the logger is destroyed */
    _Atomic(bool) stopping;
    _Atomic(uint32_t) sleeping;    /* futex of the writer: 1 while it sleeps or is about to */
    _Atomic(uint32_t) nap;         /* futex of the writer while it waits for more records */
    bool asymmetric;               /* membarrier works: see wake_writer() */
    _Atomic(uint32_t) reader;      /* MFI_READER_ bits: the thread that takes records */
    _Atomic(int32_t) writer_tid;   /* the kernel's id of the writer; 0 before it runs */
    _Atomic(uint64_t) crash_taken; /* records that mf_log_crash_flush() took, not in `done` yet */
    mfi_buf crash_line;            /* allocated ahead, because a signal handler cannot */
    _Atomic(uint64_t) done;        /* records of the ring that are written; release */
    _Atomic(uint64_t) refused;     /* records that found the ring full, not declared yet */
    _Atomic(uint64_t) records[7];  /* totals by level, relaxed */
    _Atomic(uint64_t) dropped_ring_full, dropped_sink_error, bytes;
    _Atomic(size_t) most_used; /* cells of the ring, since the last reading */
    mfi_mutex mutex;           /* guards the sinks */
    mfi_sink sinks[MFI_SINKS_MAX];
    size_t sink_count;
    _Atomic(unsigned) formats;   /* bits of the formats in use; release by the adder of a sink */
    _Atomic(unsigned) functions; /* bits of the formats that go to functions */
    mfi_mutex flush_mutex;       /* with flushed: for threads that wait for `done` */
    mfi_cond flushed;
    uint64_t summary_period_ns; /* between summaries of sampling; set before the first sink */
    uint64_t seq;               /* only the reader of the ring uses this and all below */
    uint64_t summary_ns;        /* when the next summary is due */
    uint64_t summed_up;         /* records that the summaries have reported */
    uint64_t wall_ahead_ns; /* wall clock minus monotonic clock, as of the last look at the ring */
    uint64_t stamp_second;  /* the second whose text `stamp` holds: "2026-11-24T04:00:00" */
    char stamp[24];
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

/* Writes logger->constant. False without memory. */
bool mfi_encoder_constant(mf_logger *logger, const char *service, const char *instance,
                          const char *role);
/* Write one record as a line of at most MFI_LINE_MAX_BYTES, without a newline. Writer only. */
void mfi_encoder_json(mfi_buf *to, mf_logger *logger, const mfi_record *record);
void mfi_encoder_human(mfi_buf *to, const mf_logger *logger, const mfi_record *record);

/* Writes whole lines, each with its newline. False if a part could not be written. */
bool mfi_sink_write(const mfi_sink *sink, const char *lines, size_t size);

#endif
