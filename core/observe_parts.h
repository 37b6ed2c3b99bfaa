/* What the three files of the observer share. Nobody else includes this. */
#ifndef MFI_CORE_OBSERVE_PARTS_H
#define MFI_CORE_OBSERVE_PARTS_H

#include <stdatomic.h>

#include "base/mutex.h"
#include "core/observe.h"

#define MFI_FUNCTIONS_MAX 32
#define MFI_STATUS_WORDS 12
#define MFI_REASONS_MAX 6
#define MFI_REGISTRY_OPS 4
#define MFI_REGISTRY_RESULTS 5

/* The families of the catalogue, one field each. */
typedef struct mfi_families {
    mf_family *calls_started, *calls, *call_duration, *latency_window, *call_phase;
    mf_family *in_flight, *oldest_age, *attempts, *refused, *late_replies;
    mf_family *queue_depth, *queue_capacity, *concurrency_limit, *request_size, *response_size;
    mf_family *server_started, *server_calls, *server_duration, *server_queue_wait;
    mf_family *server_in_flight, *server_unknown, *server_threads, *server_busy;
    mf_family *messages, *bytes, *send_blocked, *dropped, *connections, *disconnects;
    mf_family *heartbeat_rtt, *heartbeat_missed, *heartbeat_consecutive, *heartbeat_last;
    mf_family *circuit_state, *circuit_transitions, *circuit_since;
    mf_family *worker_up, *worker_restarts, *worker_exit_code, *worker_exit_signal;
    mf_family *worker_start, *worker_pid, *restart_backoff, *restart_budget;
    mf_family *retries_suppressed, *server_expired, *circuit_probe, *pool_workers;
    mf_family *log_records, *log_dropped, *log_ring, *log_bytes;
    mf_family *registry_operations, *registry_lock_wait;
    mf_family *loop_lag;
} mfi_families;

struct mfi_observer {
    mf_logger *logger;
    mf_metrics *metrics; /* NULL: nothing is measured */
    mfi_families families;
    mf_counter *dropped[MFI_REASONS_MAX];
    mf_histogram *loop_lag;
    mf_counter *registry[MFI_REGISTRY_OPS][MFI_REGISTRY_RESULTS];
    mf_histogram *registry_lock_wait;
    mf_log_stats log_seen; /* what the log's counters have been told; collections are serialised */
    mfi_mutex mutex;
    mfi_target *targets;                  /* guarded by mutex, sorted by name */
    _Atomic(uint64_t) overflow_logged_ns; /* when queue_overflow was logged last */
};

/* The names of a call, of a fixed size so that copying them takes a few instructions. */
#define MFI_CALL_NAME_MAX 32
typedef struct mfi_call_names {
    char target[MFI_CALL_NAME_MAX], function[MFI_CALL_NAME_MAX];
    char worker[MFI_CALL_NAME_MAX]; /* empty: none */
} mfi_call_names;

struct mfi_function {
    bool has_names; /* false where one is not known before the call, or too long */
    mfi_call_names names;
    uint64_t log_key; /* of its name, for sampling */
    char *name;       /* NULL: `_OTHER` */
    size_t length;
    mf_counter *started;
    _Atomic(mf_counter *) ended[MFI_STATUS_WORDS]; /* made on first use; release and acquire */
    mf_histogram *duration_ok, *duration_error;
};

enum {
    MFI_PHASE_SEND_WAIT,
    MFI_PHASE_WIRE,
    MFI_PHASE_PEER_QUEUE,
    MFI_PHASE_HANDLER,
    MFI_PHASE_RECEIVE_WAIT,
    MFI_PHASE_COUNT
};

/* Everything that one target (client) or worker (server) records into. */
struct mfi_target {
    mfi_observer *observer;
    struct mfi_target *next;       /* guarded by the observer's mutex */
    char *name, *worker, *circuit; /* circuit NULL: name */
    _Atomic(int32_t) connected;    /* its own part of the connections gauge */
    bool is_server;
    mfi_gauges_fn gauges;
    void *user_data;
    mfi_mutex mutex; /* guards appending to functions */
    _Atomic(mfi_function *) functions[MFI_FUNCTIONS_MAX];
    mfi_function other;
    bool measured; /* the pointers below are set */
    mf_window *window;
    mf_histogram *phases[MFI_PHASE_COUNT];
    mf_histogram *request_size, *response_size, *queue_wait, *heartbeat_rtt, *start_duration;
    mf_counter *attempts_first, *attempts_retry, *expired[2], *late_replies, *send_blocked,
        *heartbeat_missed, *unknown, *busy;
    mf_counter *messages[2][MFI_TRAFFIC_COUNT], *bytes[2];
    mf_gauge *in_flight, *oldest_age, *queue_depth, *queue_capacity, *concurrency_limit;
    mf_gauge *connections, *heartbeat_consecutive, *heartbeat_last;
    mf_gauge *up, *exit_code, *exit_signal, *pid, *threads_busy, *threads_idle;
    mf_gauge *circuit_states[5], *circuit_since, *circuit_probe;
    mf_gauge *restart_backoff, *restart_budget, *pool[MFI_POOL_COUNT];
};

/* ---- observe_families.c ---- */
mf_status mfi_families_add(mfi_observer *observer, mf_error *error);
void mfi_families_remove(mfi_observer *observer);

/* ---- observe_series.c ---- */
void mfi_target_series_make(mfi_target *target);
/* The target goes away: what it shows as present becomes absent. */
void mfi_target_series_end(mfi_target *target);
void mfi_function_series_make(mfi_target *target, mfi_function *function, const char *name);
/* Collector: brings the gauges of all targets up to date. */
void mfi_targets_collect(void *user_data);
static inline const char *mfi_circuit_name(const mfi_target *target)
{
    return target->circuit != NULL ? target->circuit : target->name;
}

/* ---- observe_metrics.c ---- */
void mfi_measure_begin(const mfi_span *span);
void mfi_measure_attempt(const mfi_span *span);
void mfi_measure_end(const mfi_span *span);
void mfi_measure_refused(const mfi_span *span, const char *reason);
void mfi_measure_suppressed(const mfi_span *span, const char *reason);
void mfi_measure_circuit(mfi_target *target, const mfi_circuit_event *event);
void mfi_measure_process(mfi_target *target, const mfi_process_event *event);
void mfi_measure_heartbeat(mfi_target *target, const mfi_heartbeat_event *event);
void mfi_measure_transport(mfi_target *target, const mfi_transport_event *event);
/* Time on the wire: what the peer does not account for. False if that is not known. */
bool mfi_span_wire_ns(const mfi_span *span, uint64_t *ret_ns);

/* ---- observe_log.c ---- */
struct mfi_record;
void mfi_log_target(struct mfi_record *record, const mfi_target *target);
void mfi_log_call_begin(mfi_observer *observer, const mfi_span *span);
void mfi_log_call_end(mfi_observer *observer, const mfi_span *span, const mf_error *error);
void mfi_log_circuit(mfi_observer *observer, mfi_target *target, const mfi_circuit_event *event);
void mfi_log_process(mfi_observer *observer, mfi_target *target, const mfi_process_event *event);
void mfi_log_heartbeat(mfi_observer *observer, mfi_target *target,
                       const mfi_heartbeat_event *event);
void mfi_log_retry(mfi_observer *observer, const mfi_span *span, mf_status status,
                   const mf_error *error, uint64_t wait_ms);
/* ---- observe_log_events.c ---- */
void mfi_log_service(mfi_observer *observer, mfi_target *target, const mfi_service_event *event);
void mfi_log_drain(mfi_observer *observer, mfi_target *target, const mfi_drain_event *event);
void mfi_log_transport(mfi_observer *observer, mfi_target *target,
                       const mfi_transport_event *event);
void mfi_log_health(mfi_observer *observer, const char *check, mf_health from, mf_health to,
                    const char *output);

#endif
