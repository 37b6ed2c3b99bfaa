/* The inside of a segment's writer, for its files and for the families that it keeps. */
#ifndef MFI_METRICS_SEGMENT_INSIDE_H
#define MFI_METRICS_SEGMENT_INSIDE_H

#include "base/mutex.h"
#include "metrics/segment_layout.h"

/* The names that stand in a handler thread's entry. */
typedef struct mfi_segment_names {
    const void *key;
    uint64_t sizes;
} mfi_segment_names;

/* On the heap. What is in the segment is written from here and never read back, because a stray
 * write of the program may have changed it. */
struct mfi_segment {
    mfi_segment_head *head;
    size_t size, room; /* bytes of the segment, and of its blocks */
    mfi_mutex mutex;
    size_t used;               /* guarded by mutex: bytes of blocks */
    unsigned series;           /* guarded by mutex */
    mfi_counter_page *page;    /* guarded by mutex: in use; NULL: none yet */
    uint32_t pages, page_used; /* guarded by mutex */
    unsigned char *lost; /* guarded by mutex: a bit for each series whose cells found no room */
    mfi_segment_names names[MFI_SEGMENT_RUNNING]; /* each is its handler thread's */
    uint64_t log_from, log_to;                    /* the log's writer thread */
};

/* Stores at most `max` bytes of a text as words; NULL counts as "". Returns the bytes. */
size_t mfi_segment_put_text(_Atomic(uint64_t) *words, size_t max, const char *text);

/* For families: makes the cells of a new series. `in`: as mfi_segment_keep() has left it in the
 * family. False, or a histogram that is unchanged: the segment is full, and the series is on the
 * heap. */
bool mfi_segment_make_counter(void *in, mf_counter *counter, char *const *values);
void mfi_segment_make_histogram(void *in, mf_histogram *histogram, char *const *values);

#endif
