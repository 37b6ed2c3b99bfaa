/* The seam. The engine reports here and never measures: this is the only part of core that sees
 * metrics and logging. Whoever wants calls somewhere new adds an observer behind these functions
 * and touches nothing else.
 *
 * All functions are thread-safe, never block and never fail; those of the hot path (call_begin,
 * attempt, call_end) allocate nothing. */
#ifndef MFI_CORE_OBSERVE_H
#define MFI_CORE_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/log.h>
#include <multifrost/metrics.h>
#include <multifrost/probe.h>

#include "core/span.h"
#include "core/words/pools.h"
#include "core/words/traffic.h"

typedef struct mfi_observer mfi_observer; /* one per runtime */

/* Adds every family of the catalogue that is in use. logger and metrics are borrowed; metrics NULL
 * measures nothing. */
mf_status mfi_observer_create(mfi_observer **ret_observer, mf_logger *logger, mf_metrics *metrics,
                              mf_error *error);
void mfi_observer_destroy(mfi_observer *observer);

/* ---- Handles, made once and kept ---- */

/* What the gauges of a target show; read before each collection, on the collecting thread. Of
 * several parents with the same target (the members of a pool) the sums are shown, or the worst. */
typedef struct mfi_target_gauges {
    uint64_t calls_in_flight;
    double oldest_call_age_seconds;
    uint64_t queue_depth, queue_capacity;
    uint64_t concurrency_limit;
    uint32_t heartbeat_misses;      /* since the last answer */
    uint64_t heartbeat_last_ns;     /* wall clock of the last answer, 0 if there was none */
    double restart_backoff_seconds; /* until the next start, 0 unless it waits for one */
    uint64_t restart_budget;        /* restarts that are left in the present period */
    uint64_t next_probe_ns;         /* wall clock, 0 unless the circuit is open */
    mfi_pool_state pool_state;
    uint64_t handlers_busy, handlers; /* server: running now, and how many can */
} mfi_target_gauges;
typedef void (*mfi_gauges_fn)(mfi_target_gauges *ret_gauges, void *user_data);

typedef struct mfi_target_options {
    const char *target;  /* name of the target (client) or worker (server) */
    const char *worker;  /* slot name such as "math-0"; NULL on the server side */
    const char *circuit; /* name of its circuit, which is no other's; NULL: target */
    bool is_server;
    mfi_gauges_fn gauges;
    void *user_data; /* for gauges */
} mfi_target_options;
/* Creates the series with closed label sets at zero. Never NULL on MF_OK. */
mf_status mfi_target_create(mfi_target **ret_target, mfi_observer *observer,
                            const mfi_target_options *options, mf_error *error);
void mfi_target_destroy(mfi_target *target);

/* Series of a function name; lock-free for a known name. On the client side the first 32 names get
 * their own, later ones share `_OTHER`; on the server side (registered names only) likewise.
 * prepare gives false when the name has to share. Never NULL. */
mfi_function *mfi_target_function(mfi_target *target, const char *name, size_t length);
bool mfi_target_prepare(mfi_target *target, const char *name);
/* The stored name of a function that has series of its own, NULL for `_OTHER`. */
const char *mfi_function_name(const mfi_function *function);

/* Distribution of all client calls of this target since the start, merged over functions. */
void mfi_target_read(mfi_target *target, mf_distribution *ret_distribution);
/* Median of the last minute in seconds, NaN when there were no calls. */
double mfi_target_recent_p50(mfi_target *target);

/* Server: the handler runs of one function since the start. name NULL: of all that share `_OTHER`.
 */
typedef struct mfi_function_runs {
    const char *name;
    uint64_t calls, errors;
    double p50, p95, p99; /* seconds; NaN without calls */
} mfi_function_runs;
/* Shows each function that has been called; nothing where nothing is measured. */
void mfi_target_visit_runs(mfi_target *target,
                           void (*visit)(const mfi_function_runs *runs, void *user_data),
                           void *user_data);

/* ---- Calls ---- */

/* The call begins: counted as started, `request_start` at debug. Client: span is in the caller's
 * slot. Server: a handler is about to run (sent_ns is set). */
void mfi_observe_call_begin(mfi_observer *observer, const mfi_span *span);
/* One attempt was handed to the transport. */
void mfi_observe_attempt(mfi_observer *observer, const mfi_span *span);
/* The call ended. error holds the text when status is not MF_OK; may be NULL. */
void mfi_observe_call_end(mfi_observer *observer, const mfi_span *span, const mf_error *error);
/* A call was refused before it began to exist on the wire: circuit_open, queue_full. It still gets
 * call_begin and call_end; this counts the reason, and keeps it out of the duration histogram. */
void mfi_observe_refused(mfi_observer *observer, const mfi_span *span, const char *reason);
/* An attempt failed and another one follows after wait_ms: request_retry (warn). */
void mfi_observe_retry(mfi_observer *observer, const mfi_span *span, mf_status status,
                       const mf_error *error, uint64_t wait_ms);
/* An attempt failed and no other one follows, though the policy had one left: budget, deadline,
 * not_idempotent, circuit. */
void mfi_observe_retry_suppressed(mfi_observer *observer, const mfi_span *span, const char *reason);
/* Server: the caller no longer waited, before the handler started (the call is refused) or when the
 * answer was ready. */
void mfi_observe_expired(mfi_observer *observer, mfi_target *target, bool at_reply);
/* Server: a call for a function that is not registered (or private). */
void mfi_observe_unknown_function(mfi_observer *observer, mfi_target *target);

/* ---- Events ---- */

typedef struct mfi_circuit_event {
    const char *from, *to; /* closed, open, half_open, disabled */
    const char *rule;      /* why */
    double observed, threshold;
    const char *status;                    /* of the call that tipped it, or NULL */
    const char *correlation_id, *trace_id; /* or NULL */
    uint64_t retry_in_ms;                  /* when opening: cool-down */
} mfi_circuit_event;
void mfi_observe_circuit_changed(mfi_observer *observer, mfi_target *target,
                                 const mfi_circuit_event *event);

typedef enum mfi_process_what {
    MFI_PROCESS_SPAWNED, /* process_spawn */
    MFI_PROCESS_READY,   /* worker_start; duration_ns since the spawn */
    MFI_PROCESS_EXITED,  /* process_exit, and worker_crash unless expected */
    MFI_PROCESS_FAILED,  /* the start failed: worker_stop with the reason */
    MFI_PROCESS_STOPPED, /* worker_stop, after an asked-for stop */
    MFI_PROCESS_RESTART, /* worker_restart: will be started again */
    MFI_PROCESS_GAVE_UP, /* worker_stop: too many restarts */
} mfi_process_what;
typedef struct mfi_process_event {
    mfi_process_what what;
    int64_t pid;
    uint64_t duration_ns;
    bool expected; /* the exit was asked for */
    bool exit_known;
    int exit_code;           /* -1 if it was a signal */
    int signal;              /* 0 if none */
    const char *text;        /* "killed by signal 9 (SIGKILL)", or the reason of a failure */
    uint64_t pending_failed; /* calls that the exit ended */
    /* Restarts. */
    const char *reason; /* exit_ok, exit_error, signal, heartbeat, start_timeout, manual */
    uint64_t restart_in_ms;
    uint32_t restart_attempt;    /* in a row */
    uint32_t restarts_in_period; /* this one included */
    uint32_t restarts_allowed;   /* in a period; 0: any number */
} mfi_process_event;
void mfi_observe_process_changed(mfi_observer *observer, mfi_target *target,
                                 const mfi_process_event *event);

typedef enum mfi_service_what {
    MFI_SERVICE_REGISTERED,   /* service_register */
    MFI_SERVICE_UNREGISTERED, /* service_unregister */
    MFI_SERVICE_FOUND,        /* service_found */
    MFI_SERVICE_LOST,         /* service_lost (warn): text says why */
} mfi_service_what;
typedef struct mfi_service_event {
    mfi_service_what what;
    const char *service_id;
    const char *text; /* the endpoint, or the reason */
    int64_t pid;
    uint64_t pending_failed; /* calls that the loss ended */
    uint64_t gap_ns;         /* found again: how long it was lost */
} mfi_service_event;
void mfi_observe_service_changed(mfi_observer *observer, mfi_target *target,
                                 const mfi_service_event *event);

/* A worker gets no new calls any more (begins), or its calls in flight have ended or the time for
 * that is over: drain (info, warn with calls_left). */
typedef struct mfi_drain_event {
    bool begins;
    const char *reason; /* rolling_restart, asked_for, stop */
    uint64_t calls_left;
    uint64_t duration_ns;
} mfi_drain_event;
void mfi_observe_drain(mfi_observer *observer, mfi_target *target, const mfi_drain_event *event);

typedef struct mfi_heartbeat_event {
    bool sent;     /* heartbeat_sent (debug) */
    bool answered; /* heartbeat_received (debug), else a miss: heartbeat_missed (warn) */
    uint64_t rtt_ns;
    uint32_t consecutive_misses;
    uint32_t max_misses; /* reached: heartbeat_timeout (error) too */
    const char *request_id;
} mfi_heartbeat_event;
void mfi_observe_heartbeat_seen(mfi_observer *observer, mfi_target *target,
                                const mfi_heartbeat_event *event);

typedef enum mfi_transport_what {
    MFI_TRANSPORT_CONNECTED,        /* socket_connect */
    MFI_TRANSPORT_EXTRA_CONNECTION, /* a second peer on a spawn-mode socket: socket_connect, warn */
    MFI_TRANSPORT_DISCONNECTED,     /* socket_disconnect */
    MFI_TRANSPORT_RECONNECTED,      /* socket_reconnect */
    MFI_TRANSPORT_SEND_BLOCKED,     /* counted only */
    MFI_TRANSPORT_SENT,             /* counted only: type, bytes */
    MFI_TRANSPORT_RECEIVED,         /* counted only: type, bytes */
    MFI_TRANSPORT_DROPPED,          /* reason; message_rejected (warn) */
    MFI_TRANSPORT_LATE_REPLY,       /* counted, debug */
    MFI_TRANSPORT_QUEUE_FULL,       /* queue_overflow (warn, at most one record per second) */
} mfi_transport_what;
typedef struct mfi_transport_event {
    mfi_transport_what what;
    const char *type;   /* call, response, error, heartbeat, output, control, other */
    const char *reason; /* closed sets of the catalogue */
    const char *text;   /* detail for people: the decoder's message, the endpoint */
    size_t bytes;
} mfi_transport_event;
void mfi_observe_transport_event(mfi_observer *observer, mfi_target *target,
                                 const mfi_transport_event *event);
/* Hot-path forms of SENT and RECEIVED. */
void mfi_observe_traffic(mfi_target *target, bool sent, mfi_traffic type, size_t bytes);

/* A line that a worker printed: a worker_output record (info for stdout, warn for stderr). */
void mfi_observe_output_line(mfi_observer *observer, mfi_target *target, bool is_stderr,
                             const char *text, size_t length, bool truncated);

/* One operation on the service registry. op: register, unregister, discover, list; result: ok (the
 * look itself worked, whatever it found), conflict, locked, corrupt, error. lock_wait_ns:
 * MFI_NO_LOCK when no lock was asked for. */
#define MFI_NO_LOCK UINT64_MAX
void mfi_observe_registry(mfi_observer *observer, const char *op, const char *result,
                          uint64_t lock_wait_ns);

/* How late the engine's loop woke for a timer or a ping. */
void mfi_observe_loop_lag(mfi_observer *observer, uint64_t lag_ns);
/* health_change, once for each transition. */
void mfi_observe_health_changed(mfi_observer *observer, const char *check, mf_health from,
                                mf_health to, const char *output);

#endif
