/* The inside of mf_parent, shared by the files that make it up:
 *
 *   parent.c        options, creation, destruction, what users read back
 *   parent_io.c     the driver's burst: messages out and in
 *   parent_calls.c  the ends of calls: claims, deadlines, completions on the engine thread
 *   call.c          mf_call and its relatives: the life of one call
 *   worker.c        the process: start, readiness, output, exit, stop (engine thread)
 *   heartbeat.c     periodic and on-demand heartbeats */
#ifndef MFI_ENGINE_PARENT_H
#define MFI_ENGINE_PARENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/call.h>
#include <multifrost/parent.h>

#include "base/mutex.h"
#include "core/engine/driver.h"
#include "core/engine/lines.h"
#include "core/engine/pending.h"
#include "core/engine/runtime.h"
#include "core/engine/transport.h"
#include "core/policy/circuit.h"
#include "core/process/spawn.h"

#define MFI_CONTROL_SLOTS 8 /* for heartbeats and SHUTDOWN, beyond max_in_flight */
#define MFI_EXIT_TEXT_MAX 256

/* Options with the defaults filled in, and texts of its own. */
typedef struct mfi_parent_settings {
    char *target, *worker; /* "math", "math-0" */
    uint32_t index;        /* the last part of worker */
    bool is_member;        /* of a pool: the circuit has the worker's name */
    char *program;
    char **args, **env; /* NULL-terminated */
    char *working_directory, *namespace_name, *client_name, *bind_address;
    uint16_t port;
    bool critical;
    int64_t call_timeout_ms, start_timeout_ms, stop_timeout_ms;
    int64_t heartbeat_interval_ms, heartbeat_timeout_ms;
    uint32_t heartbeat_misses;
    uint32_t max_in_flight;
    size_t max_message_bytes;
    mfi_limits limits;
    mfi_circuit_config circuit;
    mf_output_fn on_output;
    void *user_data;
} mfi_parent_settings;

/* Where the worker's process stands. Engine thread only. */
typedef enum mfi_worker_phase {
    MFI_WORKER_NONE,
    MFI_WORKER_STARTING, /* spawned, no heartbeat answered yet */
    MFI_WORKER_RUNNING,
    MFI_WORKER_STOPPING, /* asked to end, by a stop */
    MFI_WORKER_KILLING,  /* the start failed; being ended */
    MFI_WORKER_GONE
} mfi_worker_phase;

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
    mfi_slot *stalled;        /* role held: taken from the queue, could not be sent yet */

    _Atomic(uint32_t) state; /* mf_parent_state; release by the engine; futex of waiters */
    _Atomic(int64_t) pid;
    _Atomic(uint32_t) calls_open; /* user calls that have not ended; futex while it drains */
    _Atomic(bool) draining;       /* who ends a call wakes whoever waits for the last one */
    _Atomic(uint64_t) drain_since_ns;
    _Atomic(uint32_t) async_open; /* calls and heartbeats that the engine minds */
    _Atomic(uint64_t) calls_ended, calls_failed;
    _Atomic(uint64_t) late_replies;
    _Atomic(uint64_t) heartbeat_rtt_ns, heartbeat_misses;
    _Atomic(uint64_t) heartbeat_last_ns; /* wall clock of the last answer */
    _Atomic(uint32_t) consecutive_misses;
    _Atomic(uint64_t) armed_ns; /* when deadline_timer fires, or will once rearm has run */

    mfi_mutex mutex;
    char endpoint[MFI_ENDPOINT_MAX];   /* guarded by mutex */
    char exit_text[MFI_EXIT_TEXT_MAX]; /* guarded by mutex: why it does not run */
    mf_status start_status;            /* guarded by mutex */
    mf_start_fn start_done;            /* guarded by mutex */
    void *start_data;                  /* guarded by mutex */

    /* Ended asynchronous calls, on their way to the engine thread. */
    mfi_mpsc ended;
    mfi_task ended_task;
    /* Output messages, on their way to the engine thread. */
    mfi_mpsc outputs;
    mfi_task outputs_task;
    _Atomic(uint32_t) outputs_waiting;

    /* The engine thread's own. */
    mfi_task start_task, stop_task, rearm_task, circuit_task;
    mfi_timer deadline_timer, heartbeat_timer, start_timer, stop_timer, circuit_timer;
    mfi_worker_phase phase;
    mfi_process process;
    mfi_source process_source, monitor_source;
    mfi_stream streams[2];
    uint64_t spawned_ns;
    uint32_t connections;
    bool was_connected;
    bool stop_asked;
    int stop_step;
    mf_status failure; /* why the start failed */
};

#define MFI_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

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
/* An asynchronous call was activated: its deadline is minded from here on, and it is sent. */
void mfi_call_submit_async(mf_parent *parent, mfi_slot *slot);
void mfi_calls_run_ended(mfi_task *task);
void mfi_calls_rearm(mfi_task *task);
void mfi_calls_on_deadline(mfi_timer *timer);
/* When the oldest active call began, MFI_NEVER if there is none. */
uint64_t mfi_calls_oldest(mf_parent *parent);

/* ---- worker.c: engine thread ---- */
void mfi_worker_start(mfi_task *task);
void mfi_worker_stop(mfi_task *task);
void mfi_worker_ready(mf_parent *parent);
void mfi_worker_shutdown_ended(void *owner, mfi_slot *slot);
void mfi_worker_init(mf_parent *parent);
void mfi_worker_output(mf_parent *parent, bool is_stderr, const char *text, size_t length);

/* ---- heartbeat.c ---- */
/* Engine thread: sends one; its answer or miss is handled by itself. */
void mfi_heartbeat_send(mf_parent *parent, int64_t timeout_ms);
void mfi_heartbeat_on_timer(mfi_timer *timer);

/* ---- parent_probe.c: how it shows itself to mf_probe ---- */
void mfi_parent_component_init(mf_parent *parent);

/* ---- Circuit events ---- */
void mfi_parent_circuit_changed(void *user_data, const mfi_circuit_change *change);

#endif
