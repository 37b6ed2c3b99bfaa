/* The memory in which a worker's counters outlive the worker.
 *
 * The parent makes one segment for each start of a worker: a sealed memfd that can neither shrink
 * nor grow, with all its pages allocated, so that no access can fault. The worker attaches, and its
 * series of the families in mfi_segment_family keep their cells there. The parent reads at any
 * time, also after the worker was killed. mfi_segment_collect() reports differences, so totals of
 * the parent never go backwards.
 *
 * A forked child of the worker must not write into the segment. The fork guard of base/id.h
 * maps private zeroed memory over the range before fork() returns in the child, so every pointer
 * of the child stays valid and nothing that the child records reaches the parent. A child of
 * vfork() or of a raw clone() without CLONE_VM shows no sign that the guard could see: such a child
 * must call exec, as every caller of the library does. */
#ifndef MFI_METRICS_SEGMENT_H
#define MFI_METRICS_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#include "metrics/instruments.h"

#define MFI_SEGMENT_VERSION 1u
/* The default size. 32 functions with two outcomes take 711 KiB of it if four threads run them and
 * durations lie within eight octaves, and 464 KiB within four. */
#define MFI_SEGMENT_BYTES ((size_t)1024 * 1024)
#define MFI_SEGMENT_BYTES_LEAST ((size_t)256 * 1024)
#define MFI_SEGMENT_BYTES_MOST ((size_t)64 * 1024 * 1024)
#define MFI_SEGMENT_RUNNING 256                   /* entries of handler threads */
#define MFI_SEGMENT_LOG_BYTES ((size_t)32 * 1024) /* the last log lines */
#define MFI_SEGMENT_FUNCTION_MAX 128              /* bytes of a function's name */

/* The families whose series live in a segment. The number is part of the layout. */
typedef enum mfi_segment_family {
    MFI_SEGMENT_CALLS_STARTED = 1, /* counter; function */
    MFI_SEGMENT_CALLS = 2,         /* counter; function, word: status */
    MFI_SEGMENT_DURATION = 3,      /* histogram; function, word: outcome */
    MFI_SEGMENT_QUEUE_WAIT = 4,    /* histogram */
    MFI_SEGMENT_EXPIRED = 5,       /* counter; word: stage */
    MFI_SEGMENT_UNKNOWN = 6,       /* counter */
    MFI_SEGMENT_BUSY_NS = 7,       /* counter */
    MFI_SEGMENT_STATE_NS = 8,      /* counter; word: state of a handler thread */
    MFI_SEGMENT_FAMILY_END
} mfi_segment_family;

#define MFI_SEGMENT_NO_WORD 255u /* the family has no word, or the word is in no table */

/* ---- The parent makes it ---- */

/* A new segment. size: bytes, 0 for the default. Returns a descriptor (close-on-exec), or -1 with
 * errno: EINVAL for a size that is too small or too large, or what the kernel said. */
int mfi_segment_make(size_t size);
/* Nobody attaches: gives the memory back to the system, whoever still holds a descriptor. Who
 * attaches later is refused. */
void mfi_segment_discard(int fd);

/* ---- The worker writes ---- */

typedef struct mfi_segment mfi_segment;

typedef enum mfi_segment_attached {
    MFI_SEGMENT_ATTACHED,
    MFI_SEGMENT_OTHER_VERSION, /* the worker's version is noted in the segment, nothing else */
    MFI_SEGMENT_REFUSED        /* no segment: not sealed, wrong size or magic; or no memory */
} mfi_segment_attached;

/* Attaches the worker to the segment behind fd, which the caller may close afterwards. One
 * worker at a time may write. *ret_segment is NULL unless the result is MFI_SEGMENT_ATTACHED. */
mfi_segment_attached mfi_segment_attach(int fd, mfi_segment **ret_segment);
/* Releases the mapping; what is in the segment stays there. No instrument, handler or log may use
 * the segment afterwards. NULL is a no-op. */
void mfi_segment_detach(mfi_segment *segment);

/* How a family's labels are kept. An index is one of the family's label_names, or -1. */
typedef struct mfi_segment_place {
    mfi_segment_family family;
    int function;             /* index of the label with the function's name */
    int word;                 /* index of the label with a word of a closed set */
    const char *const *words; /* that set, in the order of its enum; lives as long as the family */
    size_t word_count;        /* below MFI_SEGMENT_NO_WORD */
} mfi_segment_place;

/* From now on the family's series have their cells in the segment, and on the heap once that is
 * full. Call it before the family has any series. segment NULL is a no-op. The place is copied. The
 * segment must outlive the metric set. False if the family has series, is no counter or histogram,
 * or without memory. */
bool mfi_segment_keep(mfi_segment *segment, mf_family *family, const mfi_segment_place *place);

typedef enum mfi_segment_gauge {
    MFI_SEGMENT_THREADS, /* that run handlers */
    MFI_SEGMENT_GAUGES
} mfi_segment_gauge;
/* Any thread. segment NULL is a no-op. */
void mfi_segment_set(mfi_segment *segment, mfi_segment_gauge gauge, uint64_t value);

/* Any thread: adds to the calls that wait for a handler, and to their bytes (below 2^40). */
void mfi_segment_queue(mfi_segment *segment, int32_t calls, int64_t bytes);

/* What a handler thread runs. Longer texts are cut, NULL counts as "". The limits are in bytes. */
#define MFI_SEGMENT_CORRELATION_MAX 128
#define MFI_SEGMENT_TRACE_MAX 32
#define MFI_SEGMENT_SPAN_MAX 16
#define MFI_SEGMENT_REQUEST_MAX 64
#define MFI_SEGMENT_NAMESPACE_MAX 64
typedef struct mfi_segment_call {
    /* Two calls of one handler thread with the same key have the same function and namespace; NULL:
     * nothing is known of them. */
    const void *key;
    const char *function, *correlation_id, *trace_id, *span_id, *request_id, *namespace_name;
    uint64_t started_ns; /* monotonic, of this machine; not 0 */
} mfi_segment_call;

/* The handler thread with this number begins or ends a call. One thread for each number; numbers
 * from MFI_SEGMENT_RUNNING on and segment NULL are no-ops. No lock, no system call. */
void mfi_segment_begin(mfi_segment *segment, unsigned number, const mfi_segment_call *call);
void mfi_segment_end(mfi_segment *segment, unsigned number);

/* Keeps one log line, with or without its newline, for the writer thread of the log alone. A line
 * that is longer than MFI_SEGMENT_LOG_BYTES is left out. segment NULL is a no-op. */
void mfi_segment_log(mfi_segment *segment, const char *line, size_t size);

/* ---- The parent reads ---- */

/* Reads a segment whatever bytes a worker left there: no pointer is followed, and every size,
 * index, count and text is bounded. Time and memory are bounded by the size of the segment. One
 * thread at a time. */
typedef struct mfi_segment_reader mfi_segment_reader;

/* The caller may close fd afterwards. NULL with errno: EINVAL if fd is no sealed segment, or what
 * the kernel said. */
mfi_segment_reader *mfi_segment_open(int fd);
void mfi_segment_close(mfi_segment_reader *reader); /* NULL is a no-op */

typedef struct mfi_segment_delta {
    mfi_segment_family family;
    const char *function; /* valid UTF-8; "" for families without the label */
    unsigned word;        /* index in the closed set as the worker gave it, so check its range; or
                             MFI_SEGMENT_NO_WORD */
    bool is_histogram;
    uint64_t count;         /* of a counter */
    const mfi_cells *cells; /* of a histogram, else NULL; `sum` in the layout's unit */
    uint64_t sum;           /* of a histogram, in the layout's integers: cells and sum are what
                               mfi_histogram_add_cells() takes */
} mfi_segment_delta;

/* Reports each series that has grown since the last call, or that is new (with zeros, so that the
 * parent exposes it too). The texts and cells live until the visitor returns. */
void mfi_segment_collect(mfi_segment_reader *reader,
                         void (*visit)(const mfi_segment_delta *delta, void *user_data),
                         void *user_data);

typedef struct mfi_segment_facts {
    uint32_t worker_version; /* 0: no worker has attached */
    uint64_t lost_series;    /* series that found it full, wholly or in part; at most a million */
    uint64_t ignored; /* cells that went backwards or beyond reason, and broken blocks; counted
                         by mfi_segment_collect() of this reader */
    uint64_t gauges[MFI_SEGMENT_GAUGES];
    uint64_t waiting, waiting_bytes; /* as mfi_segment_queue() adds up */
} mfi_segment_facts;
void mfi_segment_read(const mfi_segment_reader *reader, mfi_segment_facts *ret_facts);

typedef struct mfi_segment_running {
    unsigned number; /* of the handler thread */
    char function[MFI_SEGMENT_FUNCTION_MAX + 1];
    char correlation_id[MFI_SEGMENT_CORRELATION_MAX + 1];
    char trace_id[MFI_SEGMENT_TRACE_MAX + 1];
    char span_id[MFI_SEGMENT_SPAN_MAX + 1];
    char request_id[MFI_SEGMENT_REQUEST_MAX + 1];
    char namespace_name[MFI_SEGMENT_NAMESPACE_MAX + 1];
    uint64_t started_ns; /* monotonic; the worker wrote it, so it may lie in the future */
} mfi_segment_running;
/* What runs now, or ran when the worker died: at most `most` entries, by number. Texts are valid
 * UTF-8. An entry that is being written, or whose writer died in the middle, is skipped after
 * a few attempts. Returns the count. */
size_t mfi_segment_read_running(const mfi_segment_reader *reader, mfi_segment_running *ret_running,
                                size_t most);

/* Shows the kept log lines, oldest first, without newlines: valid UTF-8 with control characters
 * as escapes. A line that a writer overwrites meanwhile is left out. */
void mfi_segment_read_log(mfi_segment_reader *reader,
                          void (*line)(const char *line, size_t size, void *user_data),
                          void *user_data);

#endif
