/* The catalogue of metrics: every family is described once, here. It also makes the series that
 * belong to no target: dropped messages, the registry, the log, the loop. It exists so that names,
 * types, labels and help texts stand in one table. */
#include "base/clock.h"
#include "base/error.h"
#include "core/observe/parts.h"
#include "core/words/log_drops.h"
#include "logging/logger.h"
#include "metrics/metric_set.h"

/* No family bounds its series that name a target, because a state must not be left out. What bounds
 * them is max_targets (owners.c), and the functions of each target (targets.c). */
#define BY_TARGET SIZE_MAX

/* X(field, type, name, unit, labels, cap, help). */
#define L(...)                                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define FAMILIES(X)                                                                                \
    X(calls_started, COUNTER, "client_calls_started_total", "", L("target", "function"),           \
      BY_TARGET, "Calls begun, including those still open")                                        \
    X(calls, COUNTER, "client_calls_total", "", L("target", "function", "status"), BY_TARGET,      \
      "Calls ended, by final status after retries")                                                \
    X(call_duration, HISTOGRAM, "client_call_duration_seconds", "seconds",                         \
      L("target", "function", "outcome"), BY_TARGET,                                               \
      "Time from call entry to result delivery, all attempts")                                     \
    X(latency_window, WINDOW, "client_call_latency_window_seconds", "seconds", L("target"),        \
      BY_TARGET, "Latency quantiles over the last 60 s")                                           \
    X(call_phase, HISTOGRAM, "client_call_phase_seconds", "seconds", L("target", "phase"),         \
      BY_TARGET, "Time per phase: send_wait, wire, peer_queue, handler, receive_wait")             \
    X(in_flight, GAUGE, "client_calls_in_flight", "", L("target"), BY_TARGET, "Calls open now")    \
    X(oldest_age, GAUGE, "client_oldest_call_age_seconds", "seconds", L("target"), BY_TARGET,      \
      "Age of the oldest open call, 0 if none")                                                    \
    X(attempts, COUNTER, "client_attempts_total", "", L("target", "kind"), BY_TARGET,              \
      "Attempts handed to the transport: first, retry")                                            \
    X(refused, COUNTER, "client_refused_total", "", L("target", "reason"), BY_TARGET,              \
      "Calls that ended because they were refused before sending")                                 \
    X(retries_suppressed, COUNTER, "client_retries_suppressed_total", "", L("target", "reason"),   \
      BY_TARGET, "Retries not sent: budget, deadline, not_idempotent, pushback, circuit")          \
    X(late_replies, COUNTER, "client_late_replies_total", "", L("target"), BY_TARGET,              \
      "Replies that arrived after their call had ended")                                           \
    X(request_size, HISTOGRAM, "client_request_size_bytes", "bytes", L("target"), BY_TARGET,       \
      "Encoded request size")                                                                      \
    X(response_size, HISTOGRAM, "client_response_size_bytes", "bytes", L("target"), BY_TARGET,     \
      "Encoded response size")                                                                     \
    X(queue_depth, GAUGE, "client_queue_depth", "", L("target"), BY_TARGET,                        \
      "Messages waiting to be sent")                                                               \
    X(queue_capacity, GAUGE, "client_queue_capacity", "", L("target"), BY_TARGET,                  \
      "Most messages that may wait to be sent")                                                    \
    X(concurrency_limit, GAUGE, "client_concurrency_limit", "", L("target"), BY_TARGET,            \
      "Present limit on open calls")                                                               \
    X(server_started, COUNTER, "server_calls_started_total", "", L("worker", "function"),          \
      BY_TARGET, "Calls accepted")                                                                 \
    X(server_calls, COUNTER, "server_calls_total", "", L("worker", "function", "status"),          \
      BY_TARGET, "Calls answered")                                                                 \
    X(server_duration, HISTOGRAM, "server_call_duration_seconds", "seconds",                       \
      L("function", "outcome"), BY_TARGET, "Handler run time")                                     \
    X(server_queue_wait, HISTOGRAM, "server_queue_wait_seconds", "seconds", L("worker"),           \
      BY_TARGET, "Time between receipt and handler start")                                         \
    X(server_queue_depth, GAUGE, "server_queue_depth", "", L("worker"), BY_TARGET,                 \
      "Calls that wait for a handler")                                                             \
    X(server_queue_bytes, GAUGE, "server_queue_bytes", "bytes", L("worker"), BY_TARGET,            \
      "Size of the calls that wait for a handler")                                                 \
    X(server_in_flight, GAUGE, "server_calls_in_flight", "", L("worker"), BY_TARGET,               \
      "Handlers running now")                                                                      \
    X(server_expired, COUNTER, "server_expired_calls_total", "", L("worker", "stage"), BY_TARGET,  \
      "Calls whose deadline had passed: before_start, at_reply")                                   \
    X(server_unknown, COUNTER, "server_unknown_function_total", "", L("worker"), BY_TARGET,        \
      "Calls to functions not registered")                                                         \
    X(server_threads, GAUGE, "server_threads", "", L("worker", "state"), BY_TARGET,                \
      "Handler threads busy or idle")                                                              \
    X(server_running_age, GAUGE, "server_running_handler_age_seconds", "seconds", L("worker"),     \
      BY_TARGET, "Age of the handler that has run longest, 0 if none runs")                        \
    X(server_busy, COUNTER, "server_busy_seconds_total", "seconds", L("worker"), BY_TARGET,        \
      "Thread-seconds spent in handlers")                                                          \
    X(messages, COUNTER, "transport_messages_total", "", L("target", "direction", "type"),         \
      BY_TARGET, "Messages by type")                                                               \
    X(bytes, COUNTER, "transport_bytes_total", "bytes", L("target", "direction"), BY_TARGET,       \
      "Encoded bytes")                                                                             \
    X(send_blocked, COUNTER, "transport_send_blocked_total", "", L("target"), BY_TARGET,           \
      "Sends that met the high-water mark")                                                        \
    X(dropped, COUNTER, "transport_dropped_messages_total", "", L("reason"), 16,                   \
      "Messages not delivered or not accepted")                                                    \
    X(connections, GAUGE, "transport_connections", "", L("target"), BY_TARGET, "Live connections") \
    X(disconnects, COUNTER, "transport_disconnects_total", "", L("target", "reason"), BY_TARGET,   \
      "Connections that ended")                                                                    \
    X(heartbeat_rtt, HISTOGRAM, "heartbeat_rtt_seconds", "seconds", L("target"), BY_TARGET,        \
      "Round trip of heartbeats")                                                                  \
    X(heartbeat_missed, COUNTER, "heartbeat_missed_total", "", L("target"), BY_TARGET,             \
      "Heartbeats without an answer in time")                                                      \
    X(heartbeat_consecutive, GAUGE, "heartbeat_consecutive_misses", "", L("target"), BY_TARGET,    \
      "Misses since the last answer")                                                              \
    X(heartbeat_last, GAUGE, "heartbeat_last_success_timestamp_seconds", "seconds", L("target"),   \
      BY_TARGET, "Unix time of the last answer")                                                   \
    X(circuits, GAUGE, "circuits", "", L("state"), MFI_CIRCUIT_STATE_COUNT,                        \
      "Circuits in each state, all of them")                                                       \
    X(circuit_state, GAUGE, "circuit_state", "", L("target", "worker", "state"), BY_TARGET,        \
      "1 for the present state")                                                                   \
    X(circuit_transitions, COUNTER, "circuit_transitions_total", "",                               \
      L("target", "worker", "from", "to"), BY_TARGET, "State changes")                             \
    X(circuit_since, GAUGE, "circuit_state_since_timestamp_seconds", "seconds",                    \
      L("target", "worker"), BY_TARGET, "Unix time of the last change")                            \
    X(circuit_probe, GAUGE, "circuit_next_probe_timestamp_seconds", "seconds",                     \
      L("target", "worker"), BY_TARGET, "Unix time when probing may begin, 0 if not open")         \
    X(pool_workers, GAUGE, "pool_workers", "", L("target", "state"), BY_TARGET,                    \
      "Pool members by state: ready, starting, draining, down")                                    \
    X(worker_up, GAUGE, "worker_up", "", L("target", "worker"), BY_TARGET,                         \
      "1 when connected and answering")                                                            \
    X(workers, GAUGE, "workers", "", L("state"), MFI_WORKER_STATE_COUNT,                           \
      "Workers in each state, all of them: ready, starting, restarting, draining, frozen, down")   \
    X(worker_restarts, COUNTER, "worker_restarts_total", "", L("target", "reason"), BY_TARGET,     \
      "Restarts by reason")                                                                        \
    X(worker_exit_code, GAUGE, "worker_last_exit_code", "", L("target", "worker"), BY_TARGET,      \
      "Exit code of the last ended process, -1 if none")                                           \
    X(worker_exit_signal, GAUGE, "worker_last_exit_signal", "", L("target", "worker"), BY_TARGET,  \
      "Signal that ended the last process, 0 if none")                                             \
    X(worker_start, HISTOGRAM, "worker_start_duration_seconds", "seconds", L("target"), BY_TARGET, \
      "From start to first answered heartbeat")                                                    \
    X(worker_pid, GAUGE, "worker_pid", "", L("target", "worker"), BY_TARGET,                       \
      "Process id of the worker, 0 if none runs")                                                  \
    X(restart_backoff, GAUGE, "worker_restart_backoff_seconds", "seconds", L("target", "worker"),  \
      BY_TARGET, "Wait before the next start, 0 when running")                                     \
    X(restart_budget, GAUGE, "worker_restart_budget_remaining", "", L("target"), BY_TARGET,        \
      "Restarts left in the present period")                                                       \
    X(log_records, COUNTER, "log_records_total", "", L("level"), 8, "Records written")             \
    X(log_dropped, COUNTER, "log_dropped_total", "", L("reason"), 8, "Records dropped")            \
    X(log_ring, GAUGE, "log_ring_used_ratio", "ratio", L(NULL), 1,                                 \
      "Highest fill of the log ring since the last scrape")                                        \
    X(log_bytes, COUNTER, "log_bytes_total", "bytes", L(NULL), 1, "Bytes given to the sinks")      \
    X(registry_operations, COUNTER, "registry_operations_total", "", L("op", "result"), 32,        \
      "Operations on the service registry")                                                        \
    X(registry_lock_wait, HISTOGRAM, "registry_lock_wait_seconds", "seconds", L(NULL), 1,          \
      "Wait for the registry's locks")                                                             \
    X(loop_lag, HISTOGRAM, "loop_lag_seconds", "seconds", L("loop"), 8, "How late loops wake")

typedef struct description {
    size_t offset; /* of the family's field in mfi_families */
    mf_metric_type type;
    const char *name, *unit;
    const char *labels[MF_METRIC_LABELS_MAX];
    size_t cap;
    const char *help;
} description;

static const description catalogue[] = {
#define DESCRIBE(field, kind, name, unit, labels, cap, help)                                       \
    {offsetof(mfi_families, field), MF_METRIC_##kind, "multifrost_" name, unit, labels, cap, help},
    FAMILIES(DESCRIBE)
#undef DESCRIBE
};

static mf_status add_one(mfi_observer *observer, const description *from, mf_error *error)
{
    mf_family **place = (mf_family **)(void *)((char *)&observer->families + from->offset);
    bool is_size = from->type == MF_METRIC_HISTOGRAM && from->unit[0] == 'b';
    /* Counted in nanoseconds, shown in seconds. */
    bool is_busy = place == &observer->families.server_busy;
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = from->type,
                                 .name = from->name,
                                 .help = from->help,
                                 .unit = from->unit,
                                 .label_names = from->labels,
                                 .max_series = from->cap,
                                 .scale = is_size ? MF_SCALE_SIZE : MF_SCALE_DURATION,
                                 .counter_factor = is_busy ? 1e-9 : 1};
    while (options.label_count < MF_METRIC_LABELS_MAX &&
           from->labels[options.label_count] != NULL) {
        options.label_count++;
    }
    return mfi_metric_set_add(observer->metrics, &options, place, error);
}

/* ---- Figures of the log and the loop ---- */

static void add_difference(mf_family *family, const char *label, uint64_t now, uint64_t *seen)
{
    const char *values[] = {label};
    mf_counter *counter = mf_family_counter(family, label != NULL ? values : NULL);
    /* Adds 0 too, so that the series exists from the first scrape on. */
    mf_counter_add(counter, now - *seen);
    *seen = now;
}

static uint64_t *dropped(mf_log_stats *stats, mfi_log_drop reason)
{
    switch (reason) {
    case MFI_LOG_DROP_RING_FULL:
        return &stats->dropped_ring_full;
    case MFI_LOG_DROP_OVERSIZE:
        return &stats->dropped_oversize;
    case MFI_LOG_DROP_SAMPLED:
        return &stats->dropped_sampled;
    case MFI_LOG_DROP_SINK_ERROR:
    case MFI_LOG_DROP_COUNT:
        break;
    }
    return &stats->dropped_sink_error;
}

static void collect_log(void *user_data)
{
    mfi_observer *observer = user_data;
    const mfi_families *families = &observer->families;
    mf_log_stats *seen = &observer->log_seen;
    mf_log_stats now = MF_LOG_STATS_INIT;
    mf_log_stats_read(observer->logger, &now);
    for (size_t i = MF_LOG_TRACE; i <= MF_LOG_FATAL; i++) {
        add_difference(families->log_records, mfi_level_word((mf_log_level)i), now.records[i],
                       &seen->records[i]);
    }
    for (size_t i = 0; i < MFI_LOG_DROP_COUNT; i++) {
        add_difference(families->log_dropped, mfi_log_drop_word((mfi_log_drop)i),
                       *dropped(&now, (mfi_log_drop)i), dropped(seen, (mfi_log_drop)i));
    }
    add_difference(families->log_bytes, NULL, now.bytes, &seen->bytes);
    mf_gauge_set(mf_family_gauge(families->log_ring, NULL), now.ring_used_ratio);
}

/* ---- Series that exist from the start ---- */

static void make_series(mfi_observer *observer)
{
    const mfi_families *families = &observer->families;
    for (size_t i = 0; i < MFI_DROP_COUNT; i++) {
        const char *reason = mfi_drop_word((mfi_drop_reason)i);
        observer->dropped[i] = mf_family_counter(families->dropped, &reason);
    }
    for (size_t i = 0; i < MFI_REGISTRY_OP_COUNT; i++) {
        for (size_t j = 0; j < MFI_REGISTRY_RESULT_COUNT; j++) {
            const char *names[] = {mfi_registry_op_word((mfi_registry_op)i),
                                   mfi_registry_result_word((mfi_registry_result)j)};
            observer->registry[i][j] = mf_family_counter(families->registry_operations, names);
        }
    }
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        const char *state = mfi_circuit_state_word((mfi_circuit_state)i);
        observer->circuits[i] = mf_family_gauge(families->circuits, &state);
    }
    for (size_t i = 0; i < MFI_WORKER_STATE_COUNT; i++) {
        const char *state = mfi_worker_word((mfi_worker_state)i);
        observer->workers[i] = mf_family_gauge(families->workers, &state);
    }
    observer->registry_lock_wait = mf_family_histogram(families->registry_lock_wait, NULL);
    observer->loop_lag = mf_family_histogram(families->loop_lag, (const char *const[]){"engine"});
}

mf_status mfi_families_add(mfi_observer *observer, mf_error *error)
{
    for (size_t i = 0; i < sizeof catalogue / sizeof catalogue[0]; i++) {
        mf_status status = add_one(observer, &catalogue[i], error);
        if (status != MF_OK) {
            return status;
        }
    }
    make_series(observer);
    mf_status status = mf_metrics_add_collector(observer->metrics, collect_log, observer, error);
    if (status == MF_OK) {
        status = mf_metrics_add_collector(observer->metrics, mfi_targets_collect, observer, error);
    }
    return status;
}

void mfi_families_remove(mfi_observer *observer)
{
    if (observer->metrics != NULL) {
        mf_metrics_remove_collector(observer->metrics, mfi_targets_collect, observer);
        mf_metrics_remove_collector(observer->metrics, collect_log, observer);
    }
}
