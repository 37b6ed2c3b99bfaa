/* The black box: what is known of the last crashes of each worker. It belongs to the observer, so
 * that it outlives the worker, its restarts, and the parent. Bounded in count and in bytes: the
 * oldest crash makes room. Thread-safe; no lock is held while a crash is shown. */
#ifndef MFI_OBSERVE_CRASHES_H
#define MFI_OBSERVE_CRASHES_H

#include <stddef.h>
#include <stdint.h>

#include <multifrost/probe.h>

#include "base/mutex.h"

#define MFI_CRASHES_KEPT 32                     /* of each worker, unless the program says so */
#define MFI_CRASHES_BYTES ((size_t)1024 * 1024) /* of all kept crashes together */
/* Bytes of the last lines of one stream: what a report has of them (core/client/link/lost.c), each
 * byte as an escape. The last ones tell most, and none of them is cut. */
#define MFI_CRASH_LINES_MAX (4 * 640 + 1)

typedef struct mfi_crash mfi_crash;

typedef struct mfi_crashes {
    mfi_mutex mutex;  /* guards all below */
    mfi_crash **list; /* by number, the oldest first */
    size_t count, room;
    size_t bytes; /* of the crashes in the list */
    size_t most;  /* crashes of one worker */
    uint64_t seen;
} mfi_crashes;

void mfi_crashes_init(mfi_crashes *crashes);
void mfi_crashes_fini(mfi_crashes *crashes);
void mfi_crashes_keep(mfi_crashes *crashes, size_t most);
/* Copies the row and its texts, cleaned and cut; sets its number. Without memory the crash is only
 * counted. */
void mfi_crashes_add(mfi_crashes *crashes, const mf_crash_row *row);
/* Shows the kept crashes, the newest first. Returns how many there were since the start. */
uint64_t mfi_crashes_visit(mfi_crashes *crashes, mf_crash_visit_fn visit, void *user_data);

#endif
