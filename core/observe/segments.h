/* The memory of a parent's worker (metrics/segment.h), as the parent sees it: one for each start.
 * What the worker counted there is added to series of the parent's own, so that they go on over
 * restarts and kills. */
#ifndef MFI_OBSERVE_SEGMENTS_H
#define MFI_OBSERVE_SEGMENTS_H

#include "core/observe/span.h"

/* Makes the memory for the next start. Returns a descriptor that the worker is to inherit and the
 * caller closes; -1: nothing is measured, or the kernel gives no memory. What an earlier worker
 * counted is added before. */
int mfi_target_begin_segment(mfi_target *target);
/* The worker has ended: adds what it counted last. Its gauges leave the exposition. */
void mfi_target_end_segment(mfi_target *target);

#endif
