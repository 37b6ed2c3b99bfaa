/* What a worker wrote down in its memory (metrics/segment.h) before it ended: the calls that it was
 * running, and its last log lines. It exists because callers of other programs may have made those
 * calls, and the log may go anywhere: the parent knows both from there alone. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/parts.h"
#include "metrics/segment.h"

/* Keeps the last lines for which there is room, whole ones only. */
static void add_line(const char *line, size_t size, void *user_data)
{
    mfi_segment_notes *notes = user_data;
    size_t room = sizeof notes->log;
    if (size >= room) {
        return;
    }
    while (notes->log_size + size + 1 > room) {
        const char *end = memchr(notes->log, '\n', notes->log_size);
        size_t first = end != NULL ? (size_t)(end + 1 - notes->log) : notes->log_size;
        notes->log_size -= first;
        memmove(notes->log, notes->log + first, notes->log_size);
    }
    if (notes->log_size > 0) {
        notes->log[notes->log_size++] = '\n';
    }
    memcpy(notes->log + notes->log_size, line, size);
    notes->log_size += size;
}

/* The worker may have written anything: a time in the future counts as now. */
static void add_running(mfi_running_calls *to, const mfi_segment_running *running, size_t count)
{
    uint64_t now = mfi_monotonic_ns();
    for (size_t i = 0; i < count; i++) {
        uint64_t began = running[i].started_ns;
        const char *id = running[i].correlation_id;
        mfi_crash_add_running(to, running[i].function, mfi_str_or_null(id),
                              began < now ? now - began : 0);
    }
}

bool mfi_remains_read(mfi_target *target, mfi_segment_notes *ret_notes)
{
    mfi_segment_running *running = calloc(MFI_SEGMENT_RUNNING, sizeof *running);
    memset(ret_notes, 0, sizeof *ret_notes);
    mfi_mutex_lock(&target->observer->mutex);
    bool has_memory = running != NULL && target->segments.reader != NULL;
    if (has_memory) {
        size_t count = mfi_segments_read_running_locked(target, running, MFI_SEGMENT_RUNNING);
        add_running(&ret_notes->running, running, count);
        mfi_segment_read_log(target->segments.reader, add_line, ret_notes);
    }
    mfi_mutex_unlock(&target->observer->mutex);
    free(running);
    return has_memory;
}
