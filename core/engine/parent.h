/* The inside of mf_parent, shared by the files that make it up:
 *
 *   parent.c        creation, start and stop, destruction; parent_options.c: options
 *   parent_stats.c  what users read back
 *   parent_io.c     the driver's burst: messages out and in
 *   parent_calls.c  the ends of calls: claims, deadlines, completions on the engine thread
 *   call.c          mf_call and its relatives: the life of one call
 *   link.c          the connection's life in both modes: start, readiness, end, start again
 *   worker.c        spawn mode: the process, its output, its exit
 *   service.c       connect mode: loss and return of the service
 *   service_view.c  the registry, as parents with one directory share it
 *   heartbeat.c     periodic and on-demand heartbeats */
#ifndef MFI_ENGINE_PARENT_H
#define MFI_ENGINE_PARENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/call.h>
#include <multifrost/parent.h>
#include <multifrost/registry.h>

#include "base/lines.h"
#include "base/list.h"
#include "base/mutex.h"
#include "core/engine/driver.h"
#include "core/engine/pending.h"
#include "core/engine/runtime.h"
#include "core/engine/service_view.h"
#include "core/engine/transport.h"
#include "core/policy/circuit.h"
#include "core/policy/restart.h"
#include "core/policy/retry.h"
#include "core/process/spawn.h"

#define MFI_CONTROL_SLOTS 8 /* for heartbeats and SHUTDOWN, beyond max_in_flight */
#define MFI_EXIT_TEXT_MAX 256

/* Options with the defaults filled in, and texts of its own. */
typedef struct mfi_parent_settings {
    char *target, *worker;    /* "math", "math-0" */
    uint32_t index;           /* the last part of worker */
    bool is_member;           /* of a pool: the circuit has the worker's name */
    char *program;            /* spawn mode */
    char **args, **env;       /* NULL-terminated */
    char *service_id;         /* connect mode */
    char *registry_directory; /* or NULL */
    char *working_directory, *namespace_name, *client_name, *bind_address;
    uint16_t port;
    bool critical;
    bool auto_restart, fail_fast;
    int64_t call_timeout_ms, start_timeout_ms, stop_timeout_ms;
    int64_t discovery_timeout_ms, discovery_poll_ms;
    int64_t heartbeat_interval_ms, heartbeat_timeout_ms;
    uint32_t heartbeat_misses;
    uint32_t max_in_flight;
    size_t max_message_bytes;
    mfi_limits limits;
    mfi_circuit_config circuit;
    mfi_restart_config restart;
    mf_output_fn on_output;
    void *user_data;
} mfi_parent_settings;

/* Where the connection stands. Engine thread only; the transitions are in link.c. */
typedef enum mfi_link_phase {
    MFI_LINK_NONE,     /* not started */
    MFI_LINK_LOOKING,  /* connect mode: no live service has that name */
    MFI_LINK_STARTING, /* spawned or connecting: no heartbeat answered yet */
    MFI_LINK_RUNNING,
    MFI_LINK_DRAINING, /* no new calls go out; those in flight are waited for */
    MFI_LINK_ENDING,   /* spawn mode: the process is being ended, `ending` says why */
    MFI_LINK_CLOSING,  /* waits for the driver to let go of the transport */
    MFI_LINK_WAITING,  /* for the time of the next start */
    MFI_LINK_GONE
} mfi_link_phase;

/* Why a process is being ended. */
typedef enum mfi_ending {
    MFI_ENDING_NOT,
    MFI_ENDING_STOP,
    MFI_ENDING_RESTART,  /* asked for */
    MFI_ENDING_START,    /* it did not become ready, or cannot be watched */
    MFI_ENDING_HEARTBEAT /* it answered no heartbeats */
} mfi_ending;

/* One of the worker's streams: a pipe that is always drained. */
typedef struct mfi_stream {
    mfi_source source;
    mfi_lines lines;
    bool is_stderr;
    struct mf_parent *parent;
} mfi_stream;

struct mf_parent {
    mf_runtime *runtime;
    mfi_parent_settings settings;
    mfi_component component;
    mfi_target *observed;
    mfi_circuit circuit;
    mfi_pending pending;
    mfi_driver driver;
    mfi_transport *transport; /* set on the engine thread while the driver is closed */
    /* Role held. */
    mfi_slot *stalled;                /* taken from the queue, could not be sent yet */
    mf_result *spare;                 /* what the next answer is received into */
    mfi_slot *done_first, *done_last; /* ended in this burst, on their way to the engine thread */
    uint64_t burst_ns;                /* the clock, read once for a few messages */
    uint32_t burst_reads;

    _Atomic(uint32_t) state; /* mf_parent_state; release by the engine; futex of waiters */
    _Atomic(int64_t) pid;
    _Atomic(uint32_t) calls_open; /* user calls that have not ended */
    _Atomic(bool) draining;       /* who ends a call tells whoever waits for the last one */
    _Atomic(uint32_t) drain_news; /* futex of those: counted up when there is something to see */
    _Atomic(uint64_t) drain_since_ns;
    _Atomic(uint32_t) async_open; /* calls and heartbeats that the engine minds */
    _Atomic(uint64_t) calls_ended, calls_failed;
    _Atomic(uint64_t) late_replies, retries_made;
    mfi_retry_budget retry_budget;
    _Atomic(bool) holding;  /* calls stay in the queue: set before a barrier in the driver */
    _Atomic(bool) watching; /* who ends a call posts drain_task */
    _Atomic(uint64_t) heartbeat_rtt_ns, heartbeat_misses;
    _Atomic(uint64_t) heartbeat_last_ns; /* wall clock of the last answer */
    _Atomic(uint32_t) consecutive_misses;
    _Atomic(uint64_t) armed_ns; /* when deadline_timer fires, or will once rearm has run */

    mfi_mutex mutex;
    char endpoint[MFI_ENDPOINT_MAX];        /* guarded by mutex */
    char exit_text[MFI_EXIT_TEXT_MAX];      /* guarded by mutex: why it does not run */
    mf_status start_status;                 /* guarded by mutex */
    mf_start_fn start_done;                 /* guarded by mutex */
    void *start_data;                       /* guarded by mutex */
    mfi_restart restart;                    /* guarded by mutex */
    mfi_exit last_exit;                     /* guarded by mutex */
    char last_exit_text[MFI_EXIT_TEXT_MAX]; /* guarded by mutex */
    uint64_t restarts, restart_at_ns;       /* guarded by mutex; 0: waits for none */

    /* Ended asynchronous calls, on their way to the engine thread. */
    mfi_mpsc ended;
    mfi_task ended_task;
    /* Output messages, on their way to the engine thread. */
    mfi_mpsc outputs;
    mfi_task outputs_task;
    mfi_mpsc new_retries; /* asynchronous calls with a retry policy */
    _Atomic(uint32_t) outputs_waiting;

    /* The engine thread's own. */
    mfi_task start_task, stop_task, rearm_task, circuit_task, drain_task, retry_task, sweep_task;
    mfi_timer deadline_timer, heartbeat_timer, start_timer, stop_timer, circuit_timer;
    mfi_timer again_timer; /* the next start or the next look, or the end of draining */
    mfi_link_phase phase;
    mfi_ending ending;
    bool stop_asked, was_ready;
    bool again; /* when it is closed, it starts again after again_wait_ns */
    uint64_t again_wait_ns;
    mfi_process_event decision;  /* what the restart policy said, until it is told */
    uint64_t began_ns, ready_ns; /* this start; when it became ready, 0 if it did not */
    uint64_t port_until_ns;      /* so long a start waits for its port; 0: it does not */
    uint32_t connections;
    bool was_connected;
    bool peer_gone; /* while it was drained */
    int stop_step;
    mf_status failure; /* why it will not start (again) */
    mfi_source monitor_source;
    mfi_list retries; /* asynchronous calls with a retry policy */

    /* Spawn mode. */
    mfi_process process;
    mfi_source process_source;
    mfi_stream streams[2];

    /* Connect mode. */
    mfi_service_view *view;
    mfi_list_node view_node; /* in view->parents, which are told of changes */
    mf_service service;      /* the one it is connected to */
    uint64_t look_until_ns;  /* of the first start */
    uint64_t lost_ns;        /* 0: not lost */
};

/* ---- parent.c ---- */
static inline mf_parent_state mfi_parent_state(const mf_parent *parent)
{
    return (mf_parent_state)atomic_load_explicit(&parent->state, memory_order_acquire);
}
/* What its circuit is called: the target, or the worker where several share a target. */
static inline const char *mfi_parent_circuit_name(const mf_parent *parent)
{
    return parent->settings.is_member ? parent->settings.worker : parent->settings.target;
}
void mfi_parent_set_state(mf_parent *parent, mf_parent_state state);
/* Makes one; index tells it from the other members of a pool. */
mf_status mfi_parent_make(mf_parent **ret_parent, const mf_parent_options *options, bool is_member,
                          uint32_t index, mf_error *error);
/* MF_ERR_NOT_RUNNING with the reason. */
mf_status mfi_parent_not_running(mf_parent *parent, mf_error *error);

/* ---- parent_io.c ---- */
extern const mfi_driver_ops mfi_parent_driver_ops;
/* Forgets what is queued. Role held, or driver closed. */
void mfi_parent_drop_queue(mf_parent *parent);
void mfi_parent_run_outputs(mfi_task *task);
/* Engine thread, while the driver is closed. */
void mfi_parent_sweep_queue(mf_parent *parent);

/* ---- parent_calls.c ---- */
/* The slot was claimed and its outcome written: tells the waiter, or queues the callback. */
void mfi_call_ended(mf_parent *parent, mfi_slot *slot, uint64_t state);
/* A user call has ended for good. */
void mfi_call_closed(mf_parent *parent);
/* Activates and sends a slot, and waits for its end on this thread, its deadline included. */
void mfi_call_wait(mf_parent *parent, mfi_slot *slot);
/* Claims every active call and ends it with status. Returns how many user calls; ret_oldest (may be
 * NULL) gets the ids of the oldest of them. */
uint32_t mfi_calls_fail_all(mf_parent *parent, mf_status status, mf_context *ret_oldest);
/* The same for what was handed to the transport; calls that still wait in the queue stay. */
uint32_t mfi_calls_fail_sent(mf_parent *parent, mf_status status, mf_context *ret_oldest);
/* How many calls were handed to the transport and have not ended. */
uint32_t mfi_calls_sent(mf_parent *parent);
/* Activates an asynchronous call: its deadline is minded from here on, and it is sent. ret_state
 * (may be NULL) is what claims it; it is written before the call can end. */
void mfi_call_submit_async(mf_parent *parent, mfi_slot *slot, uint64_t *ret_state);
void mfi_calls_run_ended(mfi_task *task);
void mfi_calls_rearm(mfi_task *task);
void mfi_calls_on_deadline(mfi_timer *timer);
/* When the oldest active call began, MFI_NEVER if there is none. */
uint64_t mfi_calls_oldest(mf_parent *parent);

/* ---- call_async.c: engine thread ---- */
void mfi_retries_run(mfi_task *task);
/* The parent ends: calls that wait for an attempt end too. */
void mfi_retries_end(mf_parent *parent);

/* ---- link.c: engine thread ---- */
void mfi_link_init(mf_parent *parent);
/* A heartbeat was answered: what was starting is ready. */
void mfi_link_ready(mf_parent *parent);
/* No heartbeat was answered for long enough. */
void mfi_link_silent(mf_parent *parent, uint32_t misses);
/* The transport is open: whatever the peer does is seen from here on. */
mf_status mfi_link_watch(mf_parent *parent, mf_error *error);
/* A start, the first or another one, came to nothing. */
void mfi_link_start_failed(mf_parent *parent, const mf_error *error, const char *reason);
/* What was running is no more: calls end, and it is decided whether another start follows. why
 * reads like "was killed by signal 9 (SIGKILL)"; reason is one of the metrics' words. Gives how
 * many calls that ended; ret_oldest gets the ids of the oldest. */
uint32_t mfi_link_lost(mf_parent *parent, const char *why, const char *reason,
                       mf_context *ret_oldest);
/* After it, when the loss itself has been reported: opens the circuit, and closes. */
void mfi_link_close_lost(mf_parent *parent, const mf_context *oldest);
/* Lets go of the transport, and of the process; then it starts again or is gone. */
void mfi_link_close(mf_parent *parent);
/* What is drained has gone away. */
void mfi_link_drain_lost(mf_parent *parent);
/* No new calls go out until the next start; when those in flight have ended, it goes on. */
void mfi_link_drain(mf_parent *parent);
void mfi_link_set_exit_text(mf_parent *parent, const char *text);
void mfi_link_begin(mf_parent *parent);
/* ---- link_drain.c: engine thread ---- */
void mfi_link_drained(mf_parent *parent);
void mfi_link_on_drain_task(mfi_task *task);
/* mf_parent_restart(), on the engine thread. */
mf_status mfi_link_restart(mf_parent *parent, mf_error *error);

/* ---- worker.c: engine thread ---- */
void mfi_worker_init(mf_parent *parent);
/* Opens the transport and spawns. */
mf_status mfi_worker_begin(mf_parent *parent, mf_error *error);
/* Asks it to end, by SHUTDOWN or else SIGTERM; SIGKILL follows if it does not. */
void mfi_worker_end(mf_parent *parent, mfi_ending ending, bool shutdown);
void mfi_worker_kill(mf_parent *parent, mfi_ending ending);
/* The process has ended: gives back what belongs to it. */
void mfi_worker_close(mf_parent *parent);
void mfi_worker_output(mf_parent *parent, bool is_stderr, const char *text, size_t length);

/* ---- service.c: engine thread ---- */
mf_status mfi_service_init(mf_parent *parent, mf_error *error);
void mfi_service_fini(mf_parent *parent);
/* Looks for it: connects, or goes on looking. */
mf_status mfi_service_begin(mf_parent *parent, mf_error *error);
/* The registry's file was changed. */
void mfi_service_changed(mf_parent *parent);
/* Something has happened to the connection: is it still the service of that name? */
void mfi_service_check(mf_parent *parent, bool disconnected);
static inline bool mfi_parent_connects(const mf_parent *parent)
{
    return parent->settings.service_id != NULL;
}

/* ---- heartbeat.c ---- */
/* Engine thread: sends one; its answer or miss is handled by itself. */
void mfi_heartbeat_send(mf_parent *parent, int64_t timeout_ms);
void mfi_heartbeat_on_timer(mfi_timer *timer);

/* ---- parent_probe.c: how it shows itself to mf_probe ---- */
void mfi_parent_component_init(mf_parent *parent);
/* Why it is not ready, and what happens next, for people. */
void mfi_parent_explain(mf_parent *parent, char *to, size_t size);

/* ---- Circuit events ---- */
void mfi_parent_circuit_changed(void *user_data, const mfi_circuit_change *change);

#endif
