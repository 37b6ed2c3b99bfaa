/* The memory of a parent's worker (metrics/segment.h), as the parent sees it: one for each start.
 * What the worker counted there is added to series of the parent's own, so that they go on over
 * restarts and kills. */
#ifndef MFI_OBSERVE_SEGMENTS_H
#define MFI_OBSERVE_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/observe/handles.h"
#include "core/observe/span.h"
#include "core/words/segments.h"

struct mfi_segment_running; /* metrics/segment.h */

#define MFI_FUNCTIONS_MAX 32 /* with series of their own, of each target */

/* Guarded by the observer's mutex, as each target's part of the collection is. */
typedef struct mfi_segments {
    struct mfi_segment_reader *reader; /* of the worker that runs, or ran last; NULL: none */
    bool is_counted;                   /* how the worker took it */
    bool is_taken;                     /* it was counted as taken, and is read from then on */
    uint64_t ignored, lost;            /* of this reader, as counted so far */
    size_t function_count;             /* over all starts, so that names do not grow without end */
    char *functions[MFI_FUNCTIONS_MAX];
} mfi_segments;

/* Makes the memory for the next start. Returns a descriptor that the worker is to inherit and the
 * caller closes; -1: nothing is measured, or the kernel gives no memory. What an earlier worker
 * counted is added before. */
int mfi_target_begin_segment(mfi_target *target);
/* The worker has ended: adds what it counted last. Its gauges leave the exposition. */
void mfi_target_end_segment(mfi_target *target);

/* What the worker's handlers run now, the oldest first; 0 if that is not known. Observer's mutex
 * held. */
size_t mfi_segments_read_running_locked(mfi_target *target, struct mfi_segment_running *ret_running,
                                        size_t most);

/* Makes the series about the memory itself, at zero. */
void mfi_segments_make(mfi_target *target);
/* Observer's mutex held, like a part of each collection. False: the worker has no segment, or did
 * not take it. */
bool mfi_segments_show_locked(mfi_target *target);
void mfi_segments_free(mfi_target *target);

#endif
