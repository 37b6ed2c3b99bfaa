/* The log records of calls: the events and fields that docs/observability.md lists. A call that
 * succeeds leaves only a note with its span, so that the caller pays for a copy, and the log writer
 * makes the record. It exists so that all records of calls have the same fields. */
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
    switch (mfi_err_level(status)[0]) { /* the table of codes has only these three words */
    case 'e':
        return MF_LOG_ERROR;
    case 'w':
        return MF_LOG_WARN;
    default:
        return MF_LOG_INFO;
    }
}

/* ---- Names ---- */

/* The names of a call: texts of the span and its target, or those of a note. */
typedef struct call_texts {
    const char *target, *worker, *function, *namespace_name;
} call_texts;

static call_texts texts_of(const mfi_target *target, const char *function,
                           const char *namespace_name)
{
    return (call_texts){.target = target->name,
                        .worker = target->worker,
                        .function = function,
                        .namespace_name = namespace_name};
}

static void add_target(mfi_record *record, bool is_server, const char *name, const char *worker)
{
    mfi_record_str(record, is_server ? "worker" : "target", name);
    if (!is_server) {
        mfi_record_str(record, "worker", worker);
    }
}

void mfi_logged_target(mfi_record *record, const mfi_target *target)
{
    add_target(record, target->is_server, target->name, target->worker);
}

static void add_call(mfi_record *record, bool is_server, const mf_context *context,
                     const call_texts *texts)
{
    add_target(record, is_server, texts->target, texts->worker);
    mfi_record_context(record, context);
    mfi_record_str(record, "function", texts->function);
    mfi_record_str(record, "namespace", texts->namespace_name);
}

/* ---- Notes ----
 *
 * The begin and the success of a call are noted. The log writer makes the record of a note. */

typedef struct call_note {
    mfi_call_names names;
    char namespace_name[MFI_CALL_NAME_MAX]; /* empty: no namespace */
    union {
        mfi_client_span client;
        mfi_server_span server;
    } span; /* its pointers must not be followed */
} call_note;
_Static_assert(sizeof(call_note) <= MFI_RECORD_DATA, "a note must fit a cell");

/* The content of a note. */
typedef struct call_seen {
    const char *event;
    mfi_log_expand_fn expand;
    const mfi_function *function;
    const char *namespace_name; /* or NULL */
    const void *span;
    size_t span_size;
    uint64_t at_ns;
} call_seen;

/* False if a name is too long: then the caller makes the record. */
static inline bool leave_note(mf_logger *logger, mf_log_level level, const call_seen *seen)
{
    uint64_t ticket = 0;
    const char *space = seen->namespace_name;
    size_t length = space != NULL ? strnlen(space, MFI_CALL_NAME_MAX) : 0;
    if (!seen->function->has_names || (space != NULL && length == 0) ||
        length == MFI_CALL_NAME_MAX) {
        return false;
    }
    call_note *note =
        mfi_log_note_begin(logger, level, seen->event, seen->expand, seen->at_ns, &ticket);
    if (note != NULL) {
        memcpy(&note->span, seen->span, seen->span_size);
        note->names = seen->function->names;
        memcpy(note->namespace_name, space != NULL ? space : "", length);
        note->namespace_name[length] = '\0';
        mfi_log_note_commit(logger, ticket);
    }
    return true;
}

static call_texts texts_of_note(const call_note *note)
{
    return (call_texts){.target = note->names.target,
                        .worker = mfi_str_or_null(note->names.worker),
                        .function = note->names.function,
                        .namespace_name = mfi_str_or_null(note->namespace_name)};
}

/* ---- Fields of both sides ---- */

static void add_phase(mfi_record *record, mfi_call_phase phase, bool known, uint64_t ns)
{
    const char *key = mfi_call_phase_word(phase);
    if (known) {
        mfi_record_ms(record, key, ns);
    } else {
        mfi_record_null(record, key);
    }
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

/* Adds the fields at the end of a call that both sides have. */
static void add_end(mfi_record *record, bool is_server, const mf_context *context,
                    const call_texts *texts, mf_status status, const mf_error *error)
{
    mfi_record_message_pair(record, status == MF_OK ? "Completed" : "Failed", texts->function);
    add_call(record, is_server, context, texts);
    mfi_record_str(record, "status", mf_err_status(status));
    mfi_record_bool(record, "success", status == MF_OK);
    if (status != MF_OK) {
        add_error(record, status, error);
    }
}

static void add_sizes(mfi_record *record, uint32_t request_bytes, uint32_t response_bytes)
{
    if (request_bytes != 0) {
        mfi_record_uint(record, "request_bytes", request_bytes);
    }
    if (response_bytes != 0) {
        mfi_record_uint(record, "response_bytes", response_bytes);
    }
}

/* ---- Client ---- */

static void add_attempt(mfi_record *record, const mfi_client_span *span)
{
    mfi_record_int(record, "attempt", span->attempt);
    if (span->deadline_ms != MF_TIMEOUT_INFINITE) {
        mfi_record_int(record, "deadline_ms", span->deadline_ms);
    }
}

static void add_client_begin(mfi_record *record, const mfi_client_span *span,
                             const call_texts *texts)
{
    mfi_record_message_pair(record, "Calling", texts->function);
    add_call(record, false, &span->context, texts);
    add_attempt(record, span);
}

static void expand_client_begin(mfi_record *record, const void *data)
{
    const call_note *note = data;
    call_texts texts = texts_of_note(note);
    add_client_begin(record, &note->span.client, &texts);
}

static void add_client_phases(mfi_record *record, const mfi_client_span *span)
{
    uint64_t wire = 0;
    bool split = mfi_span_wire_ns(span, &wire);
    /* The driver's shared reading of the clock may be older than the call. */
    bool was_sent = span->sent_ns >= span->start_ns;
    mfi_record_object_begin(record, "phases");
    add_phase(record, MFI_CALL_PHASE_SEND_WAIT, span->sent_ns != 0,
              was_sent ? span->sent_ns - span->start_ns : 0);
    add_phase(record, MFI_CALL_PHASE_WIRE, split, wire);
    add_phase(record, MFI_CALL_PHASE_PEER_QUEUE, split, span->server_queue_ns);
    add_phase(record, MFI_CALL_PHASE_HANDLER, split, span->server_handler_ns);
    add_phase(record, MFI_CALL_PHASE_RECEIVE_WAIT, span->received_ns != 0,
              span->end_ns - span->received_ns);
    mfi_record_object_end(record);
}

static void add_client_end(mfi_record *record, const mfi_client_span *span, const call_texts *texts,
                           const mf_error *error)
{
    add_end(record, false, &span->context, texts, span->status, error);
    add_attempt(record, span);
    mfi_record_ms(record, "duration_ms", span->end_ns - span->start_ns);
    add_client_phases(record, span);
    add_sizes(record, span->request_bytes, span->response_bytes);
}

static void expand_client_end(mfi_record *record, const void *data)
{
    const call_note *note = data;
    call_texts texts = texts_of_note(note);
    add_client_end(record, &note->span.client, &texts, NULL);
}

static bool note_client(const mfi_client_span *span, mf_log_level level, const char *event,
                        mfi_log_expand_fn expand, uint64_t at_ns)
{
    const call_seen seen = {event, expand,       span->function, span->namespace_name,
                            span,  sizeof *span, at_ns};
    return leave_note(span->target->observer->logger, level, &seen);
}

void mfi_logged_client_begin(const mfi_client_span *span)
{
    mfi_record on_stack;
    mf_logger *logger = span->target->observer->logger;
    if (!mfi_log_wanted(logger, MF_LOG_DEBUG, "request_start", span->function->log_key,
                        span->start_ns) ||
        note_client(span, MF_LOG_DEBUG, "request_start", expand_client_begin, span->start_ns)) {
        return;
    }
    call_texts texts = texts_of(span->target, span->function_name, span->namespace_name);
    (void)mfi_log_start(logger, MF_LOG_DEBUG, "request_start", &on_stack);
    add_client_begin(&on_stack, span, &texts);
    (void)mfi_log_commit(&on_stack);
}

void mfi_logged_client_end(const mfi_client_span *span, const mf_error *error)
{
    mfi_record on_stack;
    mf_logger *logger = span->target->observer->logger;
    mf_log_level level = level_of(span->status);
    const char *event = end_event(span->status);
    if (!mfi_log_wanted(logger, level, event, span->function->log_key, span->end_ns) ||
        (span->status == MF_OK &&
         note_client(span, level, event, expand_client_end, span->end_ns))) {
        return;
    }
    call_texts texts = texts_of(span->target, span->function_name, span->namespace_name);
    (void)mfi_log_start(logger, level, event, &on_stack);
    add_client_end(&on_stack, span, &texts, error);
    (void)mfi_log_commit(&on_stack);
}

void mfi_logged_retry(const mfi_client_span *span, mf_status status, const mf_error *error,
                      uint64_t wait_ms)
{
    mfi_record on_stack;
    mfi_record *record =
        mfi_log_begin(span->target->observer->logger, MF_LOG_WARN, "request_retry", &on_stack);
    if (record == NULL) {
        return;
    }
    call_texts texts = texts_of(span->target, span->function_name, span->namespace_name);
    mfi_record_message_pair(record, "Trying again", texts.function);
    add_call(record, false, &span->context, &texts);
    mfi_record_str(record, "status", mf_err_status(status));
    add_error(record, status, error);
    mfi_record_int(record, "attempt", span->attempt);
    mfi_record_object_begin(record, "fields");
    mfi_record_uint(record, "retry_in_ms", wait_ms);
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

/* ---- Server ---- */

static void add_server_begin(mfi_record *record, const mfi_server_span *span,
                             const call_texts *texts)
{
    mfi_record_message_pair(record, "Running", texts->function);
    add_call(record, true, &span->context, texts);
}

static void expand_server_begin(mfi_record *record, const void *data)
{
    const call_note *note = data;
    call_texts texts = texts_of_note(note);
    add_server_begin(record, &note->span.server, &texts);
}

static void add_handler_times(mfi_record *record, const mfi_handler_times *times)
{
    if (times->one_in == 0) {
        return;
    }
    mfi_record_object_begin(record, "handler_state");
    for (size_t i = 0; i < MFI_HANDLER_STATE_COUNT; i++) {
        mfi_record_ms(record, mfi_handler_state_word((mfi_handler_state)i), times->ns[i]);
    }
    mfi_record_object_end(record);
    mfi_record_uint(record, "handler_sampled_one_in", times->one_in);
}

static void add_server_end(mfi_record *record, const mfi_server_span *span, const call_texts *texts,
                           const mf_error *error)
{
    add_end(record, true, &span->context, texts, span->status, error);
    mfi_record_ms(record, "duration_ms", span->end_ns - span->received_ns);
    mfi_record_object_begin(record, "phases");
    add_phase(record, MFI_CALL_PHASE_PEER_QUEUE, true, span->begun_ns - span->received_ns);
    add_phase(record, MFI_CALL_PHASE_HANDLER, true, span->done_ns - span->begun_ns);
    mfi_record_object_end(record);
    add_handler_times(record, &span->handler_times);
    add_sizes(record, span->request_bytes, span->response_bytes);
    if (span->correlation_id_replaced) {
        mfi_record_str(record, "reason", "correlation_id was not fit for use and was replaced");
    }
}

static void expand_server_end(mfi_record *record, const void *data)
{
    const call_note *note = data;
    call_texts texts = texts_of_note(note);
    add_server_end(record, &note->span.server, &texts, NULL);
}

static bool note_server(const mfi_server_span *span, mf_log_level level, const char *event,
                        mfi_log_expand_fn expand, uint64_t at_ns)
{
    const call_seen seen = {event, expand,       span->function, span->namespace_name,
                            span,  sizeof *span, at_ns};
    return leave_note(span->target->observer->logger, level, &seen);
}

void mfi_logged_server_begin(const mfi_server_span *span)
{
    mfi_record on_stack;
    mf_logger *logger = span->target->observer->logger;
    if (!mfi_log_wanted(logger, MF_LOG_DEBUG, "request_start", span->function->log_key,
                        span->begun_ns) ||
        note_server(span, MF_LOG_DEBUG, "request_start", expand_server_begin, span->begun_ns)) {
        return;
    }
    call_texts texts = texts_of(span->target, span->function_name, span->namespace_name);
    (void)mfi_log_start(logger, MF_LOG_DEBUG, "request_start", &on_stack);
    add_server_begin(&on_stack, span, &texts);
    (void)mfi_log_commit(&on_stack);
}

void mfi_logged_server_end(const mfi_server_span *span, const mf_error *error)
{
    mfi_record on_stack;
    mf_logger *logger = span->target->observer->logger;
    mf_log_level level = level_of(span->status);
    const char *event = end_event(span->status);
    if (!mfi_log_wanted(logger, level, event, span->function->log_key, span->end_ns) ||
        (span->status == MF_OK &&
         note_server(span, level, event, expand_server_end, span->end_ns))) {
        return;
    }
    call_texts texts = texts_of(span->target, span->function_name, span->namespace_name);
    (void)mfi_log_start(logger, level, event, &on_stack);
    add_server_end(&on_stack, span, &texts, error);
    (void)mfi_log_commit(&on_stack);
}
