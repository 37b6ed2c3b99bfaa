/* What happened in the last minute, from totals that only grow. It exists so that a health check
 * can judge the present without a server that keeps the past. */
#ifndef MFI_OBSERVE_RECENT_H
#define MFI_OBSERVE_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define MFI_RECENT_VALUES 4
#define MFI_RECENT_NS (60 * MFI_NS_PER_S)
#define MFI_RECENT_STEP_NS (5 * MFI_NS_PER_S) /* between two kept readings */
#define MFI_RECENT_KEPT 14                    /* a minute of them, and one at each end */

/* Readings of some totals. All zero: none yet. Not thread-safe. */
typedef struct mfi_recent {
    size_t count, next; /* kept readings; place of the next one */
    uint64_t at_ns[MFI_RECENT_KEPT];
    uint64_t totals[MFI_RECENT_KEPT][MFI_RECENT_VALUES];
} mfi_recent;

/* Gives by how much each total grew in the last minute, or since the first reading if that is
 * later; after a pause of two minutes the readings begin anew. */
void mfi_recent_read(mfi_recent *recent, uint64_t now_ns, const uint64_t totals[MFI_RECENT_VALUES],
                     uint64_t ret_grown[MFI_RECENT_VALUES]);

#endif
