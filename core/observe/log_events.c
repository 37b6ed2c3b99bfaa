/* The log records beside calls: circuits, services, heartbeats, connections, output. The events and
 * fields are those that docs/observability.md lists. It exists apart from log.c because these
 * events are rare, and none of them leaves a note. */
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/observe/parts.h"
#include "logging/record.h"

#define FLOOD_EVERY_NS MFI_NS_PER_S

bool mfi_logged_shows_ids(const mfi_record *record)
{
    return !mfi_log_gate_of(record->logger)->no_correlation_ids;
}

/* NULL and "" are left out. */
static void add_ids(mfi_record *record, const char *correlation_id, const char *trace_id)
{
    if (mfi_logged_shows_ids(record) && correlation_id != NULL && correlation_id[0] != '\0') {
        mfi_record_str(record, "correlation_id", correlation_id);
    }
    if (mfi_logged_shows_ids(record) && trace_id != NULL && trace_id[0] != '\0') {
        mfi_record_str(record, "trace_id", trace_id);
    }
}

/* ---- Circuit ---- */

void mfi_logged_circuit(const mfi_target *target, const mfi_circuit_event *event)
{
    mfi_record on_stack;
    bool opens = event->to == MFI_CIRCUIT_OPEN || event->to == MFI_CIRCUIT_FORCED_OPEN;
    const char *to = mfi_circuit_state_word(event->to);
    const char *name = opens                                ? "circuit_open"
                       : event->to == MFI_CIRCUIT_HALF_OPEN ? "circuit_half_open"
                                                            : "circuit_close";
    mfi_record *record =
        mfi_log_begin(target->observer->logger, opens ? MF_LOG_WARN : MF_LOG_INFO, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "Circuit of %s: %s", target->worker, to);
    mfi_logged_target(record, target);
    add_ids(record, event->correlation_id, event->trace_id);
    mfi_record_str(record, "from", mfi_circuit_state_word(event->from));
    mfi_record_str(record, "to", to);
    mfi_record_str(record, "reason", mfi_circuit_cause_word(event->cause));
    if (opens) {
        mfi_record_str(record, "status",
                       event->status != MF_OK ? mf_err_status(event->status) : NULL);
        mfi_record_object_begin(record, "fields");
        mfi_record_str(record, "rule", mfi_circuit_cause_word(event->rule));
        mfi_record_float(record, "observed", event->observed);
        if (event->threshold > 0) {
            mfi_record_float(record, "threshold", event->threshold);
        }
        if (event->window_calls != 0) {
            char window[24];
            (void)mfi_str_format(window, sizeof window, "count:%u", (unsigned)event->window_calls);
            mfi_record_str(record, "window", window);
        }
        mfi_record_str(record, "detail", event->detail);
        if (event->to == MFI_CIRCUIT_OPEN) { /* an operator ends the other one */
            mfi_record_uint(record, "retry_in_ms", event->retry_in_ms);
        }
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}

/* ---- Services ---- */

static const struct {
    const char *event, *message;
    mf_log_level level;
    const char *reason; /* or NULL */
} service_words[] = {
    [MFI_SERVICE_REGISTERED] = {"service_register", "Registered", MF_LOG_INFO, NULL},
    [MFI_SERVICE_UNREGISTERED] = {"service_unregister", "Unregistered", MF_LOG_INFO, NULL},
    [MFI_SERVICE_FOUND] = {"service_found", "Found", MF_LOG_INFO, NULL},
    [MFI_SERVICE_LOST] = {"service_lost", "Lost", MF_LOG_WARN, NULL},
    [MFI_SERVICE_BOUND] = {"service_bind", "Bound", MF_LOG_INFO, NULL},
    [MFI_SERVICE_EXPOSED] = {"service_bind", "Bound", MF_LOG_WARN,
                             "the address is reachable by others than this machine's programs, and "
                             "whoever reaches it can call"},
};

void mfi_logged_service(const mfi_target *target, const mfi_service_event *event)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(target->observer->logger, service_words[event->what].level,
                                       service_words[event->what].event, &on_stack);
    if (record == NULL) {
        return;
    }
    const char *reason =
        event->what == MFI_SERVICE_LOST ? event->text : service_words[event->what].reason;
    mfi_record_message(record, "%s service%s%s%s%s%s%s", service_words[event->what].message,
                       event->service_id != NULL ? " " : "",
                       event->service_id != NULL ? event->service_id : "",
                       event->text != NULL ? ": " : "", event->text != NULL ? event->text : "",
                       event->what == MFI_SERVICE_EXPOSED ? ": " : "",
                       event->what == MFI_SERVICE_EXPOSED ? reason : "");
    mfi_logged_target(record, target);
    mfi_record_context(record, &target->started_by);
    if (reason != NULL) {
        mfi_record_str(record, "reason", reason);
    }
    if (event->gap_ns != 0) {
        mfi_record_ms(record, "duration_ms", event->gap_ns);
    }
    mfi_record_object_begin(record, "fields");
    if (event->service_id != NULL) {
        mfi_record_str(record, "service_id", event->service_id);
    }
    if (event->what != MFI_SERVICE_LOST) {
        mfi_record_str(record, "endpoint", event->text);
    }
    if (event->pid != 0) {
        mfi_record_int(record, "service_pid", event->pid);
    }
    if (event->pending_failed != 0) {
        mfi_record_uint(record, "pending_failed", event->pending_failed);
    }
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

void mfi_logged_drain(const mfi_target *target, const mfi_drain_event *event)
{
    mfi_record on_stack;
    mf_log_level level = !event->begins && event->calls_left > 0 ? MF_LOG_WARN : MF_LOG_INFO;
    mfi_record *record = mfi_log_begin(target->observer->logger, level, "drain", &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "%s %s",
                       event->begins            ? "Draining"
                       : event->calls_left == 0 ? "Drained"
                                                : "Still busy, in spite of draining:",
                       target->worker != NULL ? target->worker : target->name);
    mfi_logged_target(record, target);
    if (!event->begins) {
        mfi_record_ms(record, "duration_ms", event->duration_ns);
    }
    mfi_record_str(record, "reason", mfi_drain_word(event->reason));
    mfi_record_object_begin(record, "fields");
    mfi_record_uint(record, "calls_left", event->calls_left);
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

/* ---- Heartbeats ---- */

static void log_heartbeat(const mfi_target *target, mf_log_level level, const char *name,
                          const char *message, const mfi_heartbeat_event *event)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(target->observer->logger, level, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message_pair(record, message, target->name);
    mfi_logged_target(record, target);
    if (mfi_logged_shows_ids(record)) {
        mfi_record_str(record, "request_id", event->request_id);
    }
    if (event->what == MFI_HEARTBEAT_ANSWERED) {
        mfi_record_ms(record, "duration_ms", event->rtt_ns);
    } else if (event->what != MFI_HEARTBEAT_SENT) {
        mfi_record_object_begin(record, "fields");
        mfi_record_uint(record, "consecutive_misses", event->consecutive_misses);
        mfi_record_uint(record, "max_allowed", event->max_misses);
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}

void mfi_logged_heartbeat(const mfi_target *target, const mfi_heartbeat_event *event)
{
    switch (event->what) {
    case MFI_HEARTBEAT_SENT:
        log_heartbeat(target, MF_LOG_DEBUG, "heartbeat_sent", "Heartbeat to", event);
        break;
    case MFI_HEARTBEAT_ANSWERED:
        log_heartbeat(target, MF_LOG_DEBUG, "heartbeat_received", "Heartbeat answered by", event);
        break;
    case MFI_HEARTBEAT_LATE:
        log_heartbeat(target, MF_LOG_DEBUG, "heartbeat_missed",
                      "Heartbeat is late, other messages came from", event);
        break;
    case MFI_HEARTBEAT_MISSED:
        log_heartbeat(target, MF_LOG_WARN, "heartbeat_missed", "Heartbeat missed by", event);
        break;
    case MFI_HEARTBEAT_BUSY:
        log_heartbeat(target, MF_LOG_WARN, "heartbeat_missed",
                      "Heartbeat missed, but an answer is owed, by", event);
        break;
    case MFI_HEARTBEAT_FROZEN:
        log_heartbeat(target, MF_LOG_WARN, "heartbeat_missed", "Heartbeat missed by", event);
        if (event->first) {
            log_heartbeat(target, MF_LOG_ERROR, "heartbeat_timeout", "No heartbeat from", event);
        }
        break;
    }
}

/* ---- Transport ---- */

/* NULL if the event has no reason. */
static const char *transport_reason(const mfi_transport_event *event)
{
    return event->what == MFI_TRANSPORT_DISCONNECTED ? mfi_disconnect_word(event->disconnect)
           : event->what == MFI_TRANSPORT_REFUSED    ? mfi_disconnect_word(MFI_DISCONNECT_REFUSED)
           : event->what == MFI_TRANSPORT_DROPPED    ? mfi_drop_word(event->drop)
                                                     : NULL;
}

static void log_transport(const mfi_target *target, mf_log_level level, const char *name,
                          const char *message, const mfi_transport_event *event)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(target->observer->logger, level, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "%s%s%s", message, event->text != NULL ? ": " : "",
                       event->text != NULL ? event->text : "");
    mfi_logged_target(record, target);
    mfi_record_context(record, &target->started_by);
    mfi_record_str(record, "reason", transport_reason(event));
    if (event->bytes != 0) {
        mfi_record_object_begin(record, "fields");
        mfi_record_uint(record, "bytes", event->bytes);
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}

/* At most once a second, because what comes in floods would else fill the log too. */
static bool is_due(_Atomic(uint64_t) *logged_ns)
{
    uint64_t now = mfi_monotonic_ns();
    uint64_t last = atomic_load_explicit(logged_ns, memory_order_relaxed);
    return (last == 0 || now - last >= FLOOD_EVERY_NS) &&
           atomic_compare_exchange_strong_explicit(logged_ns, &last, now, memory_order_relaxed,
                                                   memory_order_relaxed);
}

void mfi_logged_transport(const mfi_target *target, const mfi_transport_event *event)
{
    switch (event->what) {
    case MFI_TRANSPORT_CONNECTED:
        log_transport(target, MF_LOG_INFO, "socket_connect", "Peer connected", event);
        break;
    case MFI_TRANSPORT_EXTRA_CONNECTION:
        log_transport(target, MF_LOG_WARN, "socket_connect",
                      "A second peer connected, and may take calls", event);
        break;
    case MFI_TRANSPORT_REFUSED:
        if (is_due(&target->observer->refusal_logged_ns)) {
            log_transport(target, MF_LOG_WARN, "socket_disconnect", "Stranger refused", event);
        }
        break;
    case MFI_TRANSPORT_BLIND:
        log_transport(
            target, MF_LOG_WARN, "socket_connect",
            "The kernel does not tell which process connects, so strangers may be admitted", event);
        break;
    case MFI_TRANSPORT_DISCONNECTED:
        log_transport(target, MF_LOG_INFO, "socket_disconnect", "Peer disconnected", event);
        break;
    case MFI_TRANSPORT_RECONNECTED:
        log_transport(target, MF_LOG_INFO, "socket_reconnect", "Peer connected again", event);
        break;
    case MFI_TRANSPORT_DROPPED:
        if (event->drop != MFI_DROP_WRONG_PEER || is_due(&target->observer->wrong_peer_logged_ns)) {
            log_transport(target, MF_LOG_WARN, "message_rejected", "Message dropped", event);
        }
        break;
    case MFI_TRANSPORT_QUEUE_FULL:
        if (is_due(&target->observer->overflow_logged_ns)) {
            log_transport(target, MF_LOG_WARN, "queue_overflow", "Too many calls", event);
        }
        break;
    case MFI_TRANSPORT_SEND_BLOCKED:
    case MFI_TRANSPORT_LATE_REPLY:
        break;
    }
}

void mfi_logged_output_line(const mfi_target *target, const mfi_output_event *event)
{
    mfi_record on_stack;
    mfi_record *record =
        mfi_log_begin(target->observer->logger, event->is_stderr ? MF_LOG_WARN : MF_LOG_INFO,
                      "worker_output", &on_stack);
    bool has_call = event->correlation_id != NULL && event->correlation_id[0] != '\0';
    if (record == NULL) {
        return;
    }
    mfi_record_message_strn(record, event->text, event->length);
    mfi_logged_target(record, target);
    add_ids(record, event->correlation_id, event->trace_id);
    mfi_record_object_begin(record, "fields");
    mfi_record_str(record, "stream", event->is_stderr ? "stderr" : "stdout");
    mfi_record_str(record, "correlation", has_call && event->is_likely ? "likely" : NULL);
    if (event->counts_open) {
        mfi_record_uint(record, "open_calls", event->open_calls);
    }
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

/* ---- Health ---- */

void mfi_logged_health(const mfi_observer *observer, const char *check, mf_health from,
                       mf_health to, const char *output)
{
    static const char *const words[] = {"pass", "warn", "fail"};
    static const mf_log_level levels[] = {MF_LOG_INFO, MF_LOG_WARN, MF_LOG_ERROR};
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, levels[to], "health_change", &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "Health check %s: %s", check, words[to]);
    mfi_record_str(record, "from", words[from]);
    mfi_record_str(record, "to", words[to]);
    mfi_record_str(record, "reason", output);
    mfi_record_object_begin(record, "fields");
    mfi_record_str(record, "check", check);
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}
