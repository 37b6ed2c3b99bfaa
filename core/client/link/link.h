/* The connection of a parent to its peer, from the first start to the stop. It follows the table of
 * core/policy/life.h: whatever happens becomes an event, and the table says what is to be done.
 * Everything here runs on the engine thread.
 *
 *   link.c       the table's events and actions: start, readiness, end, the next start
 *   lost.c       what becomes of calls, and whether another start follows
 *   drain.c      restarts that wait for calls in flight
 *   heartbeat.c  whether the peer answers
 *   spawned.c    spawn mode: the process, its output, its exit
 *   found.c      connect mode: a service that is found by its name */
#ifndef MFI_CLIENT_LINK_LINK_H
#define MFI_CLIENT_LINK_LINK_H

#include "core/client/calls/calls.h"
#include "core/client/link/heartbeat.h"
#include "core/client/link/peer_ops.h"
#include "core/policy/life.h"

typedef struct mfi_link {
    mfi_state *state;
    mfi_calls *calls;
    mfi_heartbeat *heartbeat;
    const mfi_peer_ops *ops;
    void *peer; /* for ops */

    mfi_life_phase phase;
    mfi_task start_task, stop_task, idle_task;
    mfi_timer start_timer; /* the start takes too long */
    mfi_timer wait_timer;  /* the next start */
    mfi_timer drain_timer; /* draining takes too long */
    mfi_source monitor_source;

    bool was_ready;             /* ever */
    uint64_t wait_ns;           /* before the next start */
    mf_status failure;          /* of the present start; MF_OK: none */
    mfi_process_event decision; /* what the restart policy said, until it is reported */
    uint64_t began_ns;          /* this start */
    uint64_t ready_ns;          /* when it became ready; 0: it did not */
    uint64_t look_until_ns;     /* a service is looked for so long, before a start has failed */
    uint64_t port_until_ns;     /* a start waits for its port so long; 0: it does not wait */
    uint32_t connections;       /* that are open */
    bool was_connected;         /* ever */
} mfi_link;

void mfi_link_init(mfi_link *link, mfi_calls *calls, mfi_heartbeat *heartbeat,
                   const mfi_peer_ops *ops, void *peer);
void mfi_link_cancel_timers(mfi_link *link);
/* mf_parent_restart(), on the engine thread. MF_ERR_STATE if it was not started, or was stopped. */
mf_status mfi_link_restart(mfi_link *link, mf_error *error);

/* ---- For the parts of a link ---- */

/* Something has happened: goes to the next phase and does what the table says. */
void mfi_link_step(mfi_link *link, mfi_life_event event);
/* The transport is open: what the peer does is seen from here on. */
mf_status mfi_link_watch(mfi_link *link, mf_error *error);

/* ---- lost.c ---- */

/* A start, the first or another one, came to nothing. reason is how a restart because of it is
 * counted. */
void mfi_link_start_failed(mfi_link *link, const mf_error *error, mfi_restart_reason reason);
/* What the loss of a peer brought about. */
typedef struct mfi_loss {
    bool again;        /* another start follows */
    uint32_t calls;    /* how many calls it ended */
    mf_context oldest; /* the ids of the oldest of them; empty without any */
} mfi_loss;
/* A peer that was ready is no more: calls that were sent end, and it is decided whether another
 * start follows. why reads like "was killed by signal 9 (SIGKILL)". The caller then reports the
 * loss, and closes. */
mfi_loss mfi_link_lost(mfi_link *link, const char *why, mfi_restart_reason reason);
/* After it: opens the circuit, reports the decision, and closes. */
void mfi_link_close_lost(mfi_link *link, const mfi_loss *loss);
/* All calls end. A call that was sent may have run: its status says so. */
void mfi_link_fail_calls(mfi_link *link, mf_status status);

/* ---- drain.c: actions of the table ---- */

void mfi_link_count_restart(mfi_link *link, mfi_life_phase before);
void mfi_link_hold(mfi_link *link);
void mfi_link_watch_calls(mfi_link *link);
void mfi_link_settle(mfi_link *link);
void mfi_link_init_drain(mfi_link *link);

#endif
