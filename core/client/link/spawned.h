/* Spawn mode: the peer is a process. The link starts it, reads its output, ends it, and sees its
 * exit. Engine thread. */
#ifndef MFI_CLIENT_LINK_SPAWNED_H
#define MFI_CLIENT_LINK_SPAWNED_H

#include "core/client/link/link.h"
#include "core/process/spawn.h"

/* One output stream of the process: a pipe that is always read. */
typedef struct mfi_stream {
    mfi_source source;
    bool is_stderr;
    mfi_output *output;
} mfi_stream;

typedef struct mfi_spawned {
    mfi_link *link;
    mfi_state *state;
    mfi_process process;
    mfi_source process_source; /* fd -1: the exit cannot be watched */
    mfi_stream streams[2];
    mfi_timer stop_timer; /* the next step of ending the process */
    int stop_step;        /* number of signals sent to end the process */
} mfi_spawned;

extern const mfi_peer_ops mfi_spawned_ops; /* of an mfi_spawned */
void mfi_spawned_init(mfi_spawned *spawned, mfi_link *link, mfi_state *state);

#endif
