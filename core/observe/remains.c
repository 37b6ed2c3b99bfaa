/* What a worker wrote down in its memory (metrics/segment.h) before it ended: the calls that it was
 * running. It exists because callers of other programs may have made them: then the parent knows
 * them from there alone. */
#include <stdlib.h>

#include "base/clock.h"
#include "core/observe/parts.h"
#include "metrics/segment.h"

static int compare_age(const void *a, const void *b)
{
    uint64_t one = ((const mfi_segment_running *)a)->started_ns;
    uint64_t two = ((const mfi_segment_running *)b)->started_ns;
    return one < two ? -1 : one > two;
}

/* The worker may have written anything: a time in the future counts as now. */
static void add_all(mfi_running_calls *to, const mfi_segment_running *running, size_t count)
{
    uint64_t now = mfi_monotonic_ns();
    for (size_t i = 0; i < count; i++) {
        uint64_t began = running[i].started_ns;
        const char *id = running[i].correlation_id;
        mfi_crash_add_running(to, running[i].function, id[0] != '\0' ? id : NULL,
                              began < now ? now - began : 0);
    }
}

bool mfi_remains_read_running(mfi_target *target, mfi_running_calls *ret_running)
{
    mfi_segment_running *running = NULL;
    size_t count = 0;
    *ret_running = (mfi_running_calls){.named = 0};
    mfi_mutex_lock(&target->observer->mutex);
    if (target->segments.reader != NULL) {
        running = calloc(MFI_SEGMENT_RUNNING, sizeof *running);
    }
    if (running != NULL) {
        count = mfi_segment_read_running(target->segments.reader, running, MFI_SEGMENT_RUNNING);
    }
    mfi_mutex_unlock(&target->observer->mutex);
    if (count > 0) {
        qsort(running, count, sizeof *running, compare_age);
        add_all(ret_running, running, count);
    }
    free(running);
    return count > 0;
}
