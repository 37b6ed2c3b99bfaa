/* The connection of a parent to its peer, from the first start to the stop. Everything that happens
 * becomes an event; the table of core/policy/life.h gives the actions. Everything here runs on the
 * engine thread.
 *
 *   link.c       the table's events and actions: start, readiness, end, the next start
 *   start_span.c the trace of a start
 *   monitor.c    the connections, as the transport reports them
 *   lost.c       the end of calls after a loss, and the decision about another start
 *   drain.c      calls that are held back; restarts that wait for calls in flight
 *   heartbeat.c  whether the peer answers
 *   unfit.c      peers that run, but are of no use any more
 *   spawned.c    spawn mode: the process, from its start until it has ended
 *   strangers.c  spawn mode: connections that are not the worker's
 *   exited.c     spawn mode: what the end of the process means
 *   vanished.c   connect mode: services that crashed
 *   found.c      connect mode: a service that is found by its name, or at a fixed address */
#ifndef MFI_CLIENT_LINK_LINK_H
#define MFI_CLIENT_LINK_LINK_H

#include "core/client/calls/calls.h"
#include "core/client/link/heartbeat.h"
#include "core/client/link/peer_ops.h"
#include "core/policy/life.h"

/* Why a peer that was ready is lost. */
typedef struct mfi_unfit {
    mfi_restart_reason restart;
    mfi_circuit_reason reason; /* without a call */
} mfi_unfit;

typedef struct mfi_link {
    mfi_state *state;
    mfi_calls *calls;
    mfi_heartbeat *heartbeat;
    const mfi_peer_ops *ops;
    void *peer; /* passed to ops */

    mfi_life_phase phase;
    mfi_task start_task, stop_task, idle_task;
    mfi_timer start_timer; /* ends a start that takes too long */
    mfi_timer wait_timer;  /* begins the next start */
    mfi_timer drain_timer; /* ends draining that takes too long */
    mfi_source monitor_source;

    mfi_unfit unfit;            /* why the peer is being ended, in the phases KILLING */
    bool was_ready;             /* since creation */
    uint64_t wait_ns;           /* before the next start */
    mf_status failure;          /* of the present start; MF_OK: no failure */
    mfi_process_event decision; /* of the restart policy, until it is reported */
    mfi_remains remains;        /* for the decision */
    /* What the peer printed last to stdout and stderr. */
    char last_words[2][MFI_TAIL_BYTES + 1];
    mf_context start_span;   /* of the present process's start */
    bool start_is_open;      /* its span has not ended */
    bool start_is_inherited; /* it joins the trace that this program inherited */
    uint64_t start_began_ns; /* when the span began */
    uint64_t began_ns;       /* when this start began */
    uint64_t ready_ns;       /* when the peer became ready; 0: not yet */
    uint64_t look_until_ns;  /* end of the search for a service, after which the start fails */
    uint64_t port_until_ns;  /* end of the wait for a port; 0: no wait */
    uint32_t connections;    /* number of open connections */
    bool was_connected;      /* since creation */
} mfi_link;

void mfi_link_init(mfi_link *link, mfi_calls *calls, mfi_heartbeat *heartbeat,
                   const mfi_peer_ops *ops, void *peer);
void mfi_link_cancel_timers(mfi_link *link);
/* mf_parent_restart(), on the engine thread. MF_ERR_STATE before the start and after a stop. */
mf_status mfi_link_restart(mfi_link *link, mf_error *error);

/* ---- For the parts of a link ---- */

/* Takes an event: changes the phase and performs the actions of the table. */
void mfi_link_step(mfi_link *link, mfi_life_event event);
/* STARTING: ends the peer, because its start has failed. */
void mfi_link_abort(mfi_link *link, const mf_error *error);

/* ---- start_span.c ---- */

/* The thread that starts the parent: its trace becomes that of the first start. */
void mfi_start_span_join(mfi_state *state);
/* Both do nothing where the span of the present start has begun, or has ended, before. */
void mfi_start_span_begin(mfi_link *link);
void mfi_start_span_end(mfi_link *link, mf_status status, const char *text);
/* The variables that tell a worker the span of its start: at most two entries. None if the program
 * gives the worker a trace itself. Returns their number. */
typedef struct mfi_start_environment {
    char traceparent[80];
    char tracestate[544];
} mfi_start_environment;
size_t mfi_start_span_environment(const mfi_link *link, const char *const *given,
                                  mfi_start_environment *texts, const char *to[2]);

/* ---- monitor.c ---- */

/* The transport is open: from here on, its events are received. */
mf_status mfi_link_watch(mfi_link *link, mf_error *error);
/* The transport is about to be closed, and its connections with it. */
void mfi_link_end_connections(mfi_link *link);
/* When the present start has taken too long. Without a registry the first start has one deadline,
 * however often the service comes and goes. */
uint64_t mfi_link_start_deadline(const mfi_link *link);
void mfi_link_init_monitor(mfi_link *link);

/* ---- lost.c ---- */

/* A start has failed. A restart because of it is counted under `reason`. */
void mfi_link_start_failed(mfi_link *link, const mf_error *error, mfi_restart_reason reason);
/* The same in two steps, with the report of a process that has ended between them. Returns whether
 * another start follows. */
bool mfi_link_judge_start(mfi_link *link, const mf_error *error, mfi_restart_reason reason);
void mfi_link_close_start(mfi_link *link, const mf_error *error, bool again);
/* Between the decision about another start and its report: adds to the report of an end what
 * happens next. */
void mfi_link_add_next(const mfi_link *link, bool again, mfi_process_event *event);
/* The consequences of the loss of a peer. */
typedef struct mfi_loss {
    bool again;          /* another start follows */
    bool is_orderly;     /* a service has left, and no call ended because of it */
    mfi_claimed claimed; /* the calls that end because of it */
    mfi_circuit_reason reason;
} mfi_loss;
/* A peer that was ready is gone: claims the calls that were sent, and decides whether another start
 * follows. why is a text such as "was killed by signal 9 (SIGKILL)". The caller then reports the
 * loss, and calls mfi_link_close_lost. */
mfi_loss mfi_link_lost(mfi_link *link, const char *why, const mfi_unfit *cause);
/* The same, for a connection that has ended; whether the process has, is not known. */
mfi_loss mfi_link_lost_connection(mfi_link *link, const char *why);
/* What the peer printed last. Valid until the next call. */
mfi_remains mfi_link_remains(mfi_link *link);
/* After mfi_link_lost: opens the circuit (unless the end was orderly), delivers the calls, reports
 * the decision, and closes. The circuit opens first, so that it tells the cause and not the calls
 * that failed because of it. */
void mfi_link_close_lost(mfi_link *link, const mfi_loss *loss);
/* Ends all calls. The status of a sent call says that it may have run. */
void mfi_link_fail_calls(mfi_link *link, mf_status status);

/* ---- unfit.c ---- */

/* The worker has closed its connection, and its process goes on. */
void mfi_link_cut_off(mfi_link *link);
/* RUNNING: a process that is not the worker's has a connection, and may get calls. */
void mfi_link_met_stranger(mfi_link *link, const char *who);
/* After mfi_link_init(). */
void mfi_link_init_unfit(mfi_link *link);

/* ---- drain.c: actions of the table ---- */

void mfi_link_count_restart(mfi_link *link, mfi_life_phase before);
void mfi_link_defer(mfi_link *link, mfi_life_phase before);
void mfi_link_resume(mfi_link *link, mfi_life_phase before);
void mfi_link_hold(mfi_link *link);
void mfi_link_watch_calls(mfi_link *link);
void mfi_link_settle(mfi_link *link);
void mfi_link_init_drain(mfi_link *link);

#endif
