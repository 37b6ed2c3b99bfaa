/* The inside of a logger, shared by the files of this room. */
#ifndef MFI_LOGGING_LOGGER_H
#define MFI_LOGGING_LOGGER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/mpsc.h"
#include "base/mutex.h"
#include "logging/record.h"

#define MFI_LINE_MAX_BYTES ((size_t)8192)
#define MFI_SINKS_MAX 8

typedef struct mfi_sink {
    mf_log_format format;
    int fd;       /* -1: a function */
    bool is_pipe; /* writes of at most PIPE_BUF, so that lines of several processes do not mix */
    mf_log_sink_fn write;
    void *user_data;
} mfi_sink;

struct mf_logger {
    mfi_log_gate gate; /* first member: see record.h */
    _Atomic(int) level;
    mfi_buf constant; /* JSON of what is the same in each line: service to "tid": */
    uint64_t fork_generation;
    mfi_ring *ring;
    pthread_t thread; /* of the writer, if there is one */
    bool has_writer;  /* guarded by mutex, until the end */
    _Atomic(bool) stopping;
    _Atomic(uint32_t) sleeping;   /* futex of the writer: 1 while it sleeps or is about to */
    _Atomic(uint32_t) nap;        /* futex of the writer while it lets records gather */
    bool asymmetric;              /* membarrier works: see wake_writer */
    _Atomic(uint64_t) done;       /* records of the ring that are written out; release */
    _Atomic(uint64_t) refused;    /* by a full ring, not declared yet */
    _Atomic(uint64_t) records[7]; /* totals, relaxed */
    _Atomic(uint64_t) dropped_ring_full, dropped_sink_error, bytes;
    _Atomic(size_t) most_used; /* since the last reading */
    mfi_mutex mutex;           /* guards the sinks */
    mfi_sink sinks[MFI_SINKS_MAX];
    size_t sink_count;
    _Atomic(unsigned) formats;   /* bits of the formats in use; release by who adds a sink */
    _Atomic(unsigned) functions; /* those of which that go to functions */
    mfi_mutex flush_mutex;       /* with flushed: who waits for `done` */
    mfi_cond flushed;
    uint64_t summary_period_ns; /* of what was sampled out; before the first sink */
    uint64_t seq;               /* the writer's own, as all below */
    uint64_t summary_ns;        /* when the next one is due */
    uint64_t summed_up;         /* what was told of by then */
    uint64_t wall_ahead_ns; /* wall clock minus monotonic clock, since the last look at the ring */
    uint64_t stamp_second;  /* whose text stamp has: "2026-11-24T04:00:00" */
    char stamp[24];
};

/* The writer: writer.c. */
void *mfi_log_writer(void *argument);

const char *mfi_level_word(mf_log_level level);
/* The level of an option, else of the environment, else info. */
mf_status mfi_level_pick(mf_log_level given, mf_log_level *ret_level, mf_error *error);

/* Makes logger->constant. False without memory. */
bool mfi_encode_constant(mf_logger *logger, const char *service, const char *instance,
                         const char *role);
/* One record as one line, without newline, at most MFI_LINE_MAX_BYTES. The writer's own. */
void mfi_encode_json(mfi_buf *to, mf_logger *logger, const mfi_record *record);
void mfi_encode_human(mfi_buf *to, const mf_logger *logger, const mfi_record *record);

/* Writes whole lines, each with its newline. False if some of it could not be written. */
bool mfi_sink_write(const mfi_sink *sink, const char *lines, size_t size);

#endif
