/* Passes ended spans to the program's observer (multifrost/span.h). It exists so that the engine's
 * spans can change without the public ones, and so that a program without an observer pays for
 * nothing but a branch. */
#include "core/observe/spans.h"

#include "base/carried.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/id.h"

#define NOT_KNOWN (-1)

static const char *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* ---- Parts of a span ---- */

static void set_ids(mf_span *to, const mf_context *context)
{
    to->trace_id = text_or_null(context->trace_id);
    to->span_id = text_or_null(context->span_id);
    to->parent_span_id = text_or_null(context->parent_span_id);
    to->trace_flags = context->trace_flags;
    to->correlation_id = text_or_null(context->correlation_id);
    to->tracestate = mfi_carried_tracestate(context->carried);
}

static void set_times(mf_span *to, uint64_t start_ns, uint64_t end_ns)
{
    to->end_ns = end_ns;
    to->start_ns = start_ns < end_ns ? start_ns : end_ns;
    to->end_wall_ns = mfi_wall_at_ns(end_ns);
    to->start_wall_ns = to->end_wall_ns - (to->end_ns - to->start_ns);
}

static void set_status(mf_span *to, mf_status status, const mf_error *error)
{
    to->status = status;
    to->status_text =
        mfi_call_status_word(status == MF_OK ? MFI_STATUS_OK : mfi_call_status_of(status));
    if (status != MF_OK) {
        to->error_text = error != NULL ? mf_error_text(error) : mf_strerror(status);
    }
}

static mf_span empty_span(mf_span_type type, mf_span_kind kind, const mfi_target *target)
{
    return (mf_span){.struct_size = sizeof(mf_span),
                     .type = type,
                     .kind = kind,
                     .target = target->is_server ? NULL : target->name,
                     .worker = target->is_server ? target->name : target->worker,
                     .phases = {NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN}};
}

static void pass_on(const mfi_target *target, const mf_span *span)
{
    const mf_span_observer *observer = &target->observer->spans;
    observer->fn(span, observer->user_data);
}

/* Nanoseconds between two steps. The driver's shared reading of the clock may be older than the
 * step before. */
static int64_t between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (int64_t)(to_ns - from_ns) : 0;
}

/* ---- Client ---- */

/* Those of the present attempt, also for the span of the whole call. */
static void set_phases(mf_span *to, const mfi_client_span *span)
{
    uint64_t wire = 0;
    if (span->sent_ns != 0) {
        to->phases.send_wait_ns =
            between(span->has_attempts ? span->attempt_ns : span->start_ns, span->sent_ns);
    }
    if (mfi_span_wire_ns(span, &wire)) {
        to->phases.wire_ns = (int64_t)wire;
        to->phases.peer_queue_ns = (int64_t)span->server_queue_ns;
        to->phases.handler_ns = (int64_t)span->server_handler_ns;
    }
    if (span->received_ns != 0) {
        to->phases.receive_wait_ns = between(span->received_ns, to->end_ns);
    }
}

static mf_span client_span_of(const mfi_client_span *span, mf_span_type type, uint64_t start_ns,
                              uint64_t end_ns)
{
    mf_span to = empty_span(type, MF_SPAN_KIND_CLIENT, span->target);
    to.name = span->function_name;
    to.function = span->function_name;
    to.namespace_name = text_or_null(span->namespace_name);
    to.request_bytes = span->request_bytes;
    to.response_bytes = span->response_bytes;
    set_ids(&to, &span->context);
    set_times(&to, start_ns, end_ns);
    set_phases(&to, span);
    return to;
}

/* The id of a call whose attempts have spans is in no message: it is the attempts' parent. */
static void format_id(char to[MF_SPAN_ID_MAX], uint64_t id)
{
    mfi_hex_write8(to, (uint32_t)(id >> 32));
    mfi_hex_write8(to + 8, (uint32_t)id);
    to[16] = '\0';
}

static uint64_t make_id(void)
{
    uint64_t id = 0;
    while (id == 0) {
        id = mfi_random_fast();
    }
    return id;
}

static void end_attempt(const mfi_client_span *span, uint64_t call_id, uint64_t end_ns,
                        mf_status status, const mf_error *error)
{
    char call[MF_SPAN_ID_MAX];
    mf_span to = client_span_of(span, MF_SPAN_ATTEMPT, span->attempt_ns, end_ns);
    format_id(call, call_id);
    to.parent_span_id = call;
    to.attempt = span->attempt;
    set_status(&to, status, error);
    pass_on(span->target, &to);
}

void mfi_spans_retry(mfi_client_span *span, mf_status status, const mf_error *error)
{
    if (span->call_id == 0) {
        span->call_id = make_id();
    }
    end_attempt(span, span->call_id, mfi_monotonic_ns(), status, error);
}

void mfi_spans_client_end(const mfi_client_span *span, const mf_error *error)
{
    char call[MF_SPAN_ID_MAX];
    uint64_t call_id = span->call_id != 0 ? span->call_id : make_id();
    bool is_open = span->attempt_ns != 0; /* else the call ended before or between attempts */
    if (span->has_attempts && is_open) {
        end_attempt(span, call_id, span->end_ns, span->status, error);
    }
    mf_span to = client_span_of(span, MF_SPAN_CALL, span->start_ns, span->end_ns);
    if (span->has_attempts) {
        format_id(call, call_id);
        to.span_id = call;
    }
    to.attempt = is_open ? span->attempt : span->attempt - 1u;
    set_status(&to, span->status, error);
    pass_on(span->target, &to);
}

/* ---- Server ---- */

void mfi_spans_server_end(const mfi_server_span *span, const mf_error *error)
{
    mf_span to = empty_span(MF_SPAN_HANDLER, MF_SPAN_KIND_SERVER, span->target);
    to.name = span->function_name;
    to.function = span->function_name;
    to.namespace_name = text_or_null(span->namespace_name);
    to.request_bytes = span->request_bytes;
    to.response_bytes = span->response_bytes;
    set_ids(&to, &span->context);
    set_times(&to, span->received_ns, span->end_ns);
    to.phases.peer_queue_ns = between(span->received_ns, span->begun_ns);
    if (span->has_run) {
        to.phases.handler_ns = between(span->begun_ns, span->done_ns);
    }
    set_status(&to, span->status, error);
    pass_on(span->target, &to);
}

/* ---- Starts ---- */

void mfi_spans_start_ended(const mfi_target *target, const mfi_start_event *event)
{
    mf_span to = empty_span(MF_SPAN_WORKER_START, MF_SPAN_KIND_INTERNAL, target);
    to.name = "worker_start";
    set_ids(&to, event->context);
    set_times(&to, event->began_ns, event->ended_ns);
    set_status(&to, event->status, NULL);
    if (event->status != MF_OK && event->text != NULL) {
        to.error_text = event->text;
    }
    pass_on(target, &to);
}
