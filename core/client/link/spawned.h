/* Spawn mode: the peer is a process. The link starts it, reads its output, ends it, and sees its
 * exit. Engine thread. */
#ifndef MFI_CLIENT_LINK_SPAWNED_H
#define MFI_CLIENT_LINK_SPAWNED_H

#include "core/client/link/link.h"
#include "core/process/admission.h"
#include "core/process/exits.h"

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
    mfi_source process_source; /* the helper's reports; fd -1: not watched */
    mfi_source helper_source;  /* the helper's end; fd -1: not watched, or there is no pidfd */
    mfi_stream streams[2];
    bool reported;         /* that the worker was started */
    uint64_t reported_ns;  /* when that was */
    mfi_timer stop_timer;  /* the next step of ending the process */
    mfi_timer cut_timer;   /* ends the wait for a worker that has lost its connection */
    int stop_step;         /* number of steps taken to end the process */
    mfi_timer look_timer;  /* the next look for an end that is near, or cannot be watched */
    uint64_t look_wait_ns; /* before that look */
    mfi_admission admission;
    bool told_blind; /* that the kernel does not tell whose a connection is */
} mfi_spawned;

extern const mfi_peer_ops mfi_spawned_ops; /* of an mfi_spawned */
void mfi_spawned_init(mfi_spawned *spawned, mfi_link *link, mfi_state *state);

/* ---- strangers.c: operations of the peer ---- */

void mfi_spawned_refused(void *self);
void mfi_spawned_connected(void *self);

/* ---- exited.c ---- */

/* Reports the spawn, once, when the pid is known. */
void mfi_spawned_report_start(mfi_spawned *spawned);
/* The process has ended: reports it and passes it to the link. */
void mfi_spawned_exited(mfi_spawned *spawned, const mfi_exit *ended);

#endif
