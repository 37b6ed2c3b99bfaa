/* Spawn mode: the peer is a process that the link starts, reads the output of, ends, and whose exit
 * it sees. Engine thread. */
#ifndef MFI_CLIENT_LINK_SPAWNED_H
#define MFI_CLIENT_LINK_SPAWNED_H

#include "base/lines.h"
#include "core/client/link/link.h"
#include "core/process/spawn.h"

/* One of the process's streams: a pipe that is always drained. */
typedef struct mfi_stream {
    mfi_source source;
    mfi_lines lines;
    bool is_stderr;
    mfi_state *state;
} mfi_stream;

typedef struct mfi_spawned {
    mfi_link *link;
    mfi_state *state;
    mfi_process process;
    mfi_source process_source; /* fd -1: nothing tells of its exit */
    mfi_stream streams[2];
    mfi_timer stop_timer; /* the next step of ending it */
    int stop_step;        /* signals that were sent to end it */
} mfi_spawned;

extern const mfi_peer_ops mfi_spawned_ops; /* of an mfi_spawned */
void mfi_spawned_init(mfi_spawned *spawned, mfi_link *link, mfi_state *state);

#endif
