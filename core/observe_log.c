/* What is logged, and how: the events and fields that docs/observability.md lists. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/observe_parts.h"
#include "logging/record.h"

#define OVERFLOW_EVERY_NS MFI_NS_PER_S

static mf_log_level level_of(mf_status status)
{
    const char *word = mfi_err_level(status);
    return strcmp(word, "error") == 0  ? MF_LOG_ERROR
           : strcmp(word, "warn") == 0 ? MF_LOG_WARN
                                       : MF_LOG_INFO;
}

static void add_target(mfi_record *record, const mfi_target *target)
{
    mfi_record_str(record, target->is_server ? "worker" : "target", target->name);
    if (!target->is_server) {
        mfi_record_str(record, "worker", target->worker);
    }
}

/* ---- Calls ---- */

static void add_call(mfi_record *record, const mfi_span *span)
{
    add_target(record, span->target);
    mfi_record_context(record, &span->context);
    mfi_record_str(record, "function", span->function_name);
    mfi_record_str(record, "namespace", span->namespace_name);
}

void mfi_log_call_begin(mfi_observer *observer, const mfi_span *span)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, MF_LOG_DEBUG, "request_start", &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message_pair(record, span->is_server ? "Running" : "Calling", span->function_name);
    add_call(record, span);
    if (!span->is_server) {
        mfi_record_int(record, "attempt", span->attempt);
        if (span->deadline_ms != MF_TIMEOUT_INFINITE) {
            mfi_record_int(record, "deadline_ms", span->deadline_ms);
        }
    }
    (void)mfi_log_commit(record);
}

static void add_phase(mfi_record *record, const char *key, bool known, uint64_t ns)
{
    if (known) {
        mfi_record_ms(record, key, ns);
    } else {
        mfi_record_null(record, key);
    }
}

static void add_phases(mfi_record *record, const mfi_span *span)
{
    uint64_t wire = 0;
    bool split = mfi_span_wire_ns(span, &wire);
    mfi_record_object_begin(record, "phases");
    if (span->is_server) {
        add_phase(record, "peer_queue", true, span->sent_ns - span->start_ns);
        add_phase(record, "handler", true, span->received_ns - span->sent_ns);
    } else {
        add_phase(record, "send_wait", span->sent_ns != 0, span->sent_ns - span->start_ns);
        add_phase(record, "wire", split, wire);
        add_phase(record, "peer_queue", split, span->server_queue_ns);
        add_phase(record, "handler", split, span->server_handler_ns);
        add_phase(record, "receive_wait", span->received_ns != 0, span->end_ns - span->received_ns);
    }
    mfi_record_object_end(record);
}

static const char *error_kind(mf_status status)
{
    if (status == MF_ERR_REMOTE || status == MF_ERR_FUNCTION_NOT_FOUND) {
        return "application";
    }
    if (status == MF_ERR_PROTOCOL) {
        return "protocol";
    }
    bool transport = status == MF_ERR_TIMEOUT || status == MF_ERR_WORKER_EXITED ||
                     status == MF_ERR_NOT_RUNNING || status == MF_ERR_IO;
    return transport ? "transport" : "library";
}

static void add_error(mfi_record *record, mf_status status, const mf_error *error)
{
    mfi_record_str(record, "error_kind", error_kind(status));
    mfi_record_str(record, "error_type",
                   error != NULL && error->remote_type[0] != '\0' ? error->remote_type
                                                                  : mf_err_name(status));
    mfi_record_str(record, "error", error != NULL ? mf_error_text(error) : mf_strerror(status));
}

static const char *end_event(mf_status status)
{
    return status == MF_OK            ? "request_complete"
           : status == MF_ERR_TIMEOUT ? "request_timeout"
                                      : "request_error";
}

void mfi_log_call_end(mfi_observer *observer, const mfi_span *span, const mf_error *error)
{
    mfi_record on_stack;
    mfi_record *record =
        mfi_log_begin(observer->logger, level_of(span->status), end_event(span->status), &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message_pair(record, span->status == MF_OK ? "Completed" : "Failed",
                            span->function_name);
    add_call(record, span);
    mfi_record_str(record, "status", mf_err_status(span->status));
    mfi_record_bool(record, "success", span->status == MF_OK);
    if (span->status != MF_OK) {
        add_error(record, span->status, error);
    }
    if (!span->is_server) {
        mfi_record_int(record, "attempt", span->attempt);
        if (span->deadline_ms != MF_TIMEOUT_INFINITE) {
            mfi_record_int(record, "deadline_ms", span->deadline_ms);
        }
    }
    mfi_record_ms(record, "duration_ms", span->end_ns - span->start_ns);
    add_phases(record, span);
    if (span->request_bytes != 0) {
        mfi_record_uint(record, "request_bytes", span->request_bytes);
    }
    if (span->response_bytes != 0) {
        mfi_record_uint(record, "response_bytes", span->response_bytes);
    }
    if (span->correlation_id_replaced) {
        mfi_record_str(record, "reason", "correlation_id was not fit for use and was replaced");
    }
    (void)mfi_log_commit(record);
}

/* ---- Circuit ---- */

void mfi_log_circuit(mfi_observer *observer, mfi_target *target, const mfi_circuit_event *event)
{
    mfi_record on_stack;
    bool opens = strcmp(event->to, "open") == 0;
    const char *name = opens                                 ? "circuit_open"
                       : strcmp(event->to, "half_open") == 0 ? "circuit_half_open"
                                                             : "circuit_close";
    mfi_record *record =
        mfi_log_begin(observer->logger, opens ? MF_LOG_WARN : MF_LOG_INFO, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "Circuit of %s: %s", target->name, event->to);
    add_target(record, target);
    if (event->correlation_id != NULL) {
        mfi_record_str(record, "correlation_id", event->correlation_id);
        mfi_record_str(record, "trace_id", event->trace_id);
    }
    mfi_record_str(record, "from", event->from);
    mfi_record_str(record, "to", event->to);
    mfi_record_str(record, "reason", event->rule);
    if (opens) {
        mfi_record_str(record, "status", event->status);
        mfi_record_object_begin(record, "fields");
        mfi_record_float(record, "observed", event->observed);
        mfi_record_float(record, "threshold", event->threshold);
        mfi_record_uint(record, "retry_in_ms", event->retry_in_ms);
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}

/* ---- Processes ---- */

static void log_process_event(mfi_observer *observer, mfi_target *target, mf_log_level level,
                              const char *name, const char *message, const mfi_process_event *event)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, level, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "Worker %s %s%s%s", target->worker, message,
                       event->text != NULL ? ": " : "", event->text != NULL ? event->text : "");
    add_target(record, target);
    if (event->what == MFI_PROCESS_READY) {
        mfi_record_ms(record, "duration_ms", event->duration_ns);
    }
    if (event->what == MFI_PROCESS_EXITED && event->exit_known) {
        if (event->signal != 0) {
            mfi_record_int(record, "signal", event->signal);
        } else {
            mfi_record_int(record, "exit_code", event->exit_code);
        }
    }
    mfi_record_str(record, "reason", event->text);
    mfi_record_object_begin(record, "fields");
    if (event->pid != 0) {
        mfi_record_int(record, "worker_pid", event->pid);
    }
    if (event->pending_failed != 0) {
        mfi_record_uint(record, "pending_failed", event->pending_failed);
    }
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

void mfi_log_process(mfi_observer *observer, mfi_target *target, const mfi_process_event *event)
{
    bool clean = event->expected || (event->exit_known && event->exit_code == 0);
    switch (event->what) {
    case MFI_PROCESS_SPAWNED:
        log_process_event(observer, target, MF_LOG_INFO, "process_spawn", "spawned", event);
        break;
    case MFI_PROCESS_READY:
        log_process_event(observer, target, MF_LOG_INFO, "worker_start", "is ready", event);
        break;
    case MFI_PROCESS_EXITED:
        log_process_event(observer, target, clean ? MF_LOG_INFO : MF_LOG_WARN, "process_exit",
                          "ended", event);
        if (!event->expected) {
            log_process_event(observer, target, MF_LOG_ERROR, "worker_crash", "ended by itself",
                              event);
        }
        break;
    case MFI_PROCESS_FAILED:
        log_process_event(observer, target, MF_LOG_ERROR, "worker_stop", "did not start", event);
        break;
    case MFI_PROCESS_STOPPED:
        log_process_event(observer, target, MF_LOG_INFO, "worker_stop", "stopped", event);
        break;
    }
}

/* ---- Heartbeats ---- */

static void log_heartbeat(mfi_observer *observer, mfi_target *target, mf_log_level level,
                          const char *name, const char *message, const mfi_heartbeat_event *event)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, level, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message_pair(record, message, target->name);
    add_target(record, target);
    mfi_record_str(record, "request_id", event->request_id);
    if (event->answered) {
        mfi_record_ms(record, "duration_ms", event->rtt_ns);
    } else if (!event->sent) {
        mfi_record_object_begin(record, "fields");
        mfi_record_uint(record, "consecutive_misses", event->consecutive_misses);
        mfi_record_uint(record, "max_allowed", event->max_misses);
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}

void mfi_log_heartbeat(mfi_observer *observer, mfi_target *target, const mfi_heartbeat_event *event)
{
    if (event->sent) {
        log_heartbeat(observer, target, MF_LOG_DEBUG, "heartbeat_sent", "Heartbeat to", event);
    } else if (event->answered) {
        log_heartbeat(observer, target, MF_LOG_DEBUG, "heartbeat_received", "Heartbeat answered by",
                      event);
    } else {
        log_heartbeat(observer, target, MF_LOG_WARN, "heartbeat_missed", "Heartbeat missed by",
                      event);
        if (event->consecutive_misses == event->max_misses) {
            log_heartbeat(observer, target, MF_LOG_ERROR, "heartbeat_timeout", "No heartbeat from",
                          event);
        }
    }
}

/* ---- Transport ---- */

static void log_transport(mfi_observer *observer, mfi_target *target, mf_log_level level,
                          const char *name, const char *message, const mfi_transport_event *event)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, level, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "%s%s%s", message, event->text != NULL ? ": " : "",
                       event->text != NULL ? event->text : "");
    add_target(record, target);
    mfi_record_str(record, "reason", event->reason);
    if (event->bytes != 0) {
        mfi_record_object_begin(record, "fields");
        mfi_record_uint(record, "bytes", event->bytes);
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}

/* At most once a second: an overflow would else fill the log too. */
static bool overflow_is_due(mfi_observer *observer)
{
    uint64_t now = mfi_monotonic_ns();
    uint64_t last = atomic_load_explicit(&observer->overflow_logged_ns, memory_order_relaxed);
    return (last == 0 || now - last >= OVERFLOW_EVERY_NS) &&
           atomic_compare_exchange_strong_explicit(&observer->overflow_logged_ns, &last, now,
                                                   memory_order_relaxed, memory_order_relaxed);
}

void mfi_log_transport(mfi_observer *observer, mfi_target *target, const mfi_transport_event *event)
{
    switch (event->what) {
    case MFI_TRANSPORT_CONNECTED:
        log_transport(observer, target, MF_LOG_INFO, "socket_connect", "Peer connected", event);
        break;
    case MFI_TRANSPORT_EXTRA_CONNECTION:
        log_transport(observer, target, MF_LOG_WARN, "socket_connect",
                      "A second peer connected, and may take calls", event);
        break;
    case MFI_TRANSPORT_DISCONNECTED:
        log_transport(observer, target, MF_LOG_INFO, "socket_disconnect", "Peer disconnected",
                      event);
        break;
    case MFI_TRANSPORT_RECONNECTED:
        log_transport(observer, target, MF_LOG_INFO, "socket_reconnect", "Peer connected again",
                      event);
        break;
    case MFI_TRANSPORT_DROPPED:
        log_transport(observer, target, MF_LOG_WARN, "message_rejected", "Message dropped", event);
        break;
    case MFI_TRANSPORT_QUEUE_FULL:
        if (overflow_is_due(observer)) {
            log_transport(observer, target, MF_LOG_WARN, "queue_overflow", "Too many calls", event);
        }
        break;
    case MFI_TRANSPORT_SEND_BLOCKED:
    case MFI_TRANSPORT_SENT:
    case MFI_TRANSPORT_RECEIVED:
    case MFI_TRANSPORT_LATE_REPLY:
        break;
    }
}

void mfi_observe_output_line(mfi_observer *observer, mfi_target *target, bool is_stderr,
                             const char *text, size_t length, bool truncated)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, is_stderr ? MF_LOG_WARN : MF_LOG_INFO,
                                       "worker_output", &on_stack);
    if (record == NULL) {
        return;
    }
    (void)truncated; /* the record itself says so when it is cut */
    mfi_record_message_strn(record, text, length);
    add_target(record, target);
    mfi_record_object_begin(record, "fields");
    mfi_record_str(record, "stream", is_stderr ? "stderr" : "stdout");
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

/* ---- Health ---- */

void mfi_log_health(mfi_observer *observer, const char *check, mf_health from, mf_health to,
                    const char *output)
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
