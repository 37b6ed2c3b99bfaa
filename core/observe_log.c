/* What is logged of calls: the events and fields that docs/observability.md lists. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/observe_parts.h"
#include "logging/record.h"

static mf_log_level level_of(mf_status status)
{
    const char *word = mfi_err_level(status);
    return strcmp(word, "error") == 0  ? MF_LOG_ERROR
           : strcmp(word, "warn") == 0 ? MF_LOG_WARN
                                       : MF_LOG_INFO;
}

void mfi_log_target(mfi_record *record, const mfi_target *target)
{
    mfi_record_str(record, target->is_server ? "worker" : "target", target->name);
    if (!target->is_server) {
        mfi_record_str(record, "worker", target->worker);
    }
}

/* ---- Calls ---- */

static void add_call(mfi_record *record, const mfi_span *span)
{
    mfi_log_target(record, span->target);
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
    return status == MF_OK              ? "request_complete"
           : status == MF_ERR_TIMEOUT   ? "request_timeout"
           : status == MF_ERR_CANCELLED ? "request_cancelled"
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

void mfi_log_retry(mfi_observer *observer, const mfi_span *span, mf_status status,
                   const mf_error *error, uint64_t wait_ms)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, MF_LOG_WARN, "request_retry", &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message_pair(record, "Trying again", span->function_name);
    add_call(record, span);
    mfi_record_str(record, "status", mf_err_status(status));
    add_error(record, status, error);
    mfi_record_int(record, "attempt", span->attempt);
    mfi_record_object_begin(record, "fields");
    mfi_record_uint(record, "retry_in_ms", wait_ms);
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}
