/* What the run loop keeps for its start and its end. */
#ifndef MFI_SERVER_RUN_H
#define MFI_SERVER_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/engine/loop.h"

typedef struct mfi_run {
    _Atomic(uint32_t) closed; /* futex: the transport is gone */
    /* The engine thread's own. */
    mfi_source parent_source, monitor_source;
    mfi_timer orphan_timer; /* ends a worker that was not connected by then */
    int parent_fd;          /* pidfd of the parent process; -1: none */
    bool was_connected;
} mfi_run;

void mfi_run_init(mfi_run *run);

#endif
