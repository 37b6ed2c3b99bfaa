/* What is logged of calls: the events and fields that docs/observability.md lists. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/observe/parts.h"
#include "logging/record.h"

static mf_log_level level_of(mf_status status)
{
    if (status == MF_OK) {
        return MF_LOG_INFO;
    }
    const char *word = mfi_err_level(status);
    return strcmp(word, "error") == 0  ? MF_LOG_ERROR
           : strcmp(word, "warn") == 0 ? MF_LOG_WARN
                                       : MF_LOG_INFO;
}

/* ---- Names ---- */

/* Whose call it is: texts of the span and its target, or those of a note. */
typedef struct call_texts {
    const char *target, *worker, *function, *namespace_name;
} call_texts;

static call_texts texts_of(const mfi_span *span)
{
    return (call_texts){.target = span->target->name,
                        .worker = span->target->worker,
                        .function = span->function_name,
                        .namespace_name = span->namespace_name};
}

static void add_target(mfi_record *record, bool is_server, const char *name, const char *worker)
{
    mfi_record_str(record, is_server ? "worker" : "target", name);
    if (!is_server) {
        mfi_record_str(record, "worker", worker);
    }
}

void mfi_log_target(mfi_record *record, const mfi_target *target)
{
    add_target(record, target->is_server, target->name, target->worker);
}

static void add_call(mfi_record *record, const mfi_span *span, const call_texts *texts)
{
    add_target(record, span->is_server, texts->target, texts->worker);
    mfi_record_context(record, &span->context);
    mfi_record_str(record, "function", texts->function);
    mfi_record_str(record, "namespace", texts->namespace_name);
}

/* ---- Notes ----
 *
 * Calls that begin, and those that end well, are noted: the writer makes the record. */

typedef struct call_note {
    mfi_span span; /* its pointers lead nowhere by then */
    mfi_call_names names;
    char namespace_name[MFI_CALL_NAME_MAX]; /* empty: none */
} call_note;
_Static_assert(sizeof(call_note) <= MFI_RECORD_DATA, "a note must fit a cell");

/* False where a name does not fit: then the caller makes the record. */
static bool leave_note(mf_logger *logger, mf_log_level level, const char *event,
                       mfi_log_expand_fn expand, const mfi_span *span, uint64_t at_ns)
{
    uint64_t ticket = 0;
    const char *space = span->namespace_name;
    size_t length = space != NULL ? strnlen(space, MFI_CALL_NAME_MAX) : 0;
    if (!span->function->has_names || (space != NULL && length == 0) ||
        length == MFI_CALL_NAME_MAX) {
        return false;
    }
    call_note *note = mfi_log_note_begin(logger, level, event, expand, at_ns, &ticket);
    if (note != NULL) {
        note->span = *span;
        note->names = span->function->names;
        memcpy(note->namespace_name, space != NULL ? space : "", length);
        note->namespace_name[length] = '\0';
        mfi_log_note_commit(logger, ticket);
    }
    return true;
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static call_texts texts_of_note(const call_note *note)
{
    return (call_texts){.target = note->names.target,
                        .worker = text_or_null(note->names.worker),
                        .function = note->names.function,
                        .namespace_name = text_or_null(note->namespace_name)};
}

/* ---- Calls ---- */

static void add_attempt(mfi_record *record, const mfi_span *span)
{
    if (!span->is_server) {
        mfi_record_int(record, "attempt", span->attempt);
        if (span->deadline_ms != MF_TIMEOUT_INFINITE) {
            mfi_record_int(record, "deadline_ms", span->deadline_ms);
        }
    }
}

static void add_begin(mfi_record *record, const mfi_span *span, const call_texts *texts)
{
    mfi_record_message_pair(record, span->is_server ? "Running" : "Calling", texts->function);
    add_call(record, span, texts);
    add_attempt(record, span);
}

static void expand_begin(mfi_record *record, const void *data)
{
    const call_note *note = data;
    call_texts texts = texts_of_note(note);
    add_begin(record, &note->span, &texts);
}

void mfi_log_call_begin(mfi_observer *observer, const mfi_span *span)
{
    mfi_record on_stack;
    uint64_t at_ns = span->is_server ? span->sent_ns : span->start_ns;
    if (!mfi_log_wanted(observer->logger, MF_LOG_DEBUG, "request_start", span->function->log_key,
                        at_ns) ||
        leave_note(observer->logger, MF_LOG_DEBUG, "request_start", expand_begin, span, at_ns)) {
        return;
    }
    call_texts texts = texts_of(span);
    (void)mfi_log_start(observer->logger, MF_LOG_DEBUG, "request_start", &on_stack);
    add_begin(&on_stack, span, &texts);
    (void)mfi_log_commit(&on_stack);
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
        bool was_sent =
            span->sent_ns >= span->start_ns; /* the driver shares a reading of the clock */
        add_phase(record, "send_wait", span->sent_ns != 0,
                  was_sent ? span->sent_ns - span->start_ns : 0);
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

static void add_end(mfi_record *record, const mfi_span *span, const call_texts *texts,
                    const mf_error *error)
{
    mfi_record_message_pair(record, span->status == MF_OK ? "Completed" : "Failed",
                            texts->function);
    add_call(record, span, texts);
    mfi_record_str(record, "status", mf_err_status(span->status));
    mfi_record_bool(record, "success", span->status == MF_OK);
    if (span->status != MF_OK) {
        add_error(record, span->status, error);
    }
    add_attempt(record, span);
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
}

static void expand_end(mfi_record *record, const void *data)
{
    const call_note *note = data;
    call_texts texts = texts_of_note(note);
    add_end(record, &note->span, &texts, NULL);
}

void mfi_log_call_end(mfi_observer *observer, const mfi_span *span, const mf_error *error)
{
    mfi_record on_stack;
    mf_log_level level = level_of(span->status);
    const char *event = end_event(span->status);
    if (!mfi_log_wanted(observer->logger, level, event, span->function->log_key, span->end_ns) ||
        (span->status == MF_OK &&
         leave_note(observer->logger, level, event, expand_end, span, span->end_ns))) {
        return;
    }
    call_texts texts = texts_of(span);
    (void)mfi_log_start(observer->logger, level, event, &on_stack);
    add_end(&on_stack, span, &texts, error);
    (void)mfi_log_commit(&on_stack);
}

void mfi_log_retry(mfi_observer *observer, const mfi_span *span, mf_status status,
                   const mf_error *error, uint64_t wait_ms)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, MF_LOG_WARN, "request_retry", &on_stack);
    if (record == NULL) {
        return;
    }
    call_texts texts = texts_of(span);
    mfi_record_message_pair(record, "Trying again", texts.function);
    add_call(record, span, &texts);
    mfi_record_str(record, "status", mf_err_status(status));
    add_error(record, status, error);
    mfi_record_int(record, "attempt", span->attempt);
    mfi_record_object_begin(record, "fields");
    mfi_record_uint(record, "retry_in_ms", wait_ms);
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}
