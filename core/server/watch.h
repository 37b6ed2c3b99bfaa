/* The engine thread's watch over a worker's parent and connection. Engine thread. */
#ifndef MFI_SERVER_WATCH_H
#define MFI_SERVER_WATCH_H

#include <stdbool.h>

#include "core/engine/loop.h"
#include "core/process/admission.h"
#include "core/server/message.h"
#include "core/server/state.h"

typedef struct mfi_watch {
    const mfi_channel *channel;
    mfi_child_state *state;
    mfi_source parent_source, monitor_source;
    mfi_timer orphan_timer; /* ends a worker that has no connection by then */
    int parent_fd;          /* pidfd of the parent process; -1: none */
    bool was_connected;
    uint32_t connections;    /* number of open connections */
    mfi_admission admission; /* service mode: who may connect */
    bool told_blind;         /* that the kernel does not tell whose a connection is */
} mfi_watch;

/* Any thread. Watches nothing yet. */
void mfi_watch_init(mfi_watch *watch, const mfi_channel *channel, mfi_child_state *state);
/* Stops the worker when the parent process ends, and when the worker seems to be an orphan and its
 * connection is not accepted in time. */
void mfi_watch_parent(mfi_watch *watch);
/* The transport is open: from here on, its connections are reported. */
mf_status mfi_watch_connection(mfi_watch *watch, mf_error *error);
void mfi_watch_end(mfi_watch *watch);

#endif
