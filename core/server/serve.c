/* One call on the worker's side: checks in the protocol's order, context, handler, answer.
 *
 * It exists so that the run thread and the handler threads serve calls in the same way, and a
 * stopping worker cancels calls in the same way wherever they wait. */
#include "core/server/serve.h"

#include <stdlib.h>
#include <string.h>

#include "base/carried.h"
#include "base/context.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/engine/deadline.h"
#include "core/server/deferred.h"
#include "core/server/output.h"
#include "core/server/reply.h"
#include "core/wire/limits.h"
#include "core/wire/trace.h"
#include "core/wire/trace_lists.h"

/* ---- Context ---- */

static void copy_text(char *to, size_t size, mfi_text text)
{
    (void)mfi_str_copy_n(to, size, text.data != NULL ? text.data : "", text.size);
}

/* Fills the context from the call's metadata. Missing ids are made, so that every log line can be
 * joined. The context is empty before. */
static void fill_context(mf_context *context, const mfi_incoming *call,
                         const mfi_metadata *metadata, const char *const *baggage_keys)
{
    mfi_text tracestate = metadata->tracestate;
    if (metadata->traceparent.data == NULL ||
        !mfi_traceparent_parse(metadata->traceparent.data, metadata->traceparent.size,
                               context->trace_id, context->parent_span_id, &context->trace_flags)) {
        mfi_trace_new_id(context->trace_id);
        context->trace_flags = 2;
        tracestate.data = NULL; /* it belongs to no trace that is known here */
    }
    if (tracestate.data != NULL || metadata->baggage.data != NULL) {
        context->carried = mfi_trace_lists_keep(tracestate, metadata->baggage, baggage_keys);
    }
    mfi_trace_new_span_id(context->span_id);
    if (metadata->correlation_id.data != NULL) {
        copy_text(context->correlation_id, sizeof context->correlation_id,
                  metadata->correlation_id);
    } else {
        memcpy(context->correlation_id, context->trace_id, sizeof context->trace_id);
    }
    copy_text(context->request_id, sizeof context->request_id, call->envelope.id);
    copy_text(context->parent_request_id, sizeof context->parent_request_id,
              metadata->parent_request_id);
}

/* Returns the caller's deadline; MFI_NEVER if the caller sent none. function holds the span's name
 * if it is not registered. */
static uint64_t fill_span(const mfi_serving *serving, mfi_server_span *span,
                          const mfi_incoming *call, uint64_t now_ns,
                          char function[MFI_NAME_MAX_BYTES + 1])
{
    mfi_metadata metadata;
    mfi_target *observed = serving->channel->observed;
    const mfi_handler *handler = call->handler;
    mfi_metadata_read(call->envelope.metadata, &metadata);
    if (handler == NULL) {
        copy_text(function, MFI_NAME_MAX_BYTES + 1, call->envelope.function);
    }
    mfi_server_span_clear(span);
    span->target = observed;
    span->function_name = handler != NULL ? handler->name : function;
    span->namespace_name = serving->namespace_name;
    span->received_ns = call->received_ns;
    span->begun_ns = now_ns;
    span->request_bytes = (uint32_t)call->message.size;
    span->correlation_id_replaced = metadata.correlation_id_invalid;
    fill_context(&span->context, call, &metadata, serving->baggage_keys);
    /* Only registered names have series of their own. */
    span->function = mfi_target_function(observed, handler != NULL ? handler->name : NULL,
                                         call->envelope.function.size);
    if (!metadata.has_deadline) {
        return MFI_NEVER;
    }
    span->deadline_ns = mfi_deadline_after_ms(call->received_ns, metadata.deadline_ms_left);
    return span->deadline_ns;
}

/* ---- Checks ---- */

/* Bytes of a name that an error answer shows if the name is too long. */
#define SHOWN_BYTES 64

/* With the protocol's text. A name that no function can have says why. */
static void refuse_unknown(mf_reply *reply, mfi_text name)
{
    int shown = (int)(name.size <= MFI_NAME_MAX_BYTES ? name.size : SHOWN_BYTES);
    const char *why = "";
    if (memchr(name.data, '\0', name.size) != NULL) {
        why = ": the name has a NUL inside";
    } else if (name.size > MFI_NAME_MAX_BYTES) {
        why = ": the name has more than 256 bytes";
    }
    (void)mf_reply_error(reply, "AttributeError", "Function '%.*s' not found%s", shown, name.data,
                         why);
}

/* Sets an error answer with the protocol's texts; false if the call cannot run. */
static bool check_call(mf_request *request, mf_reply *reply, mfi_handler **ret_handler,
                       mf_status *ret_status)
{
    const mfi_channel *channel = reply->channel;
    mfi_text name = request->call->envelope.function;
    *ret_status = MF_ERR_INVALID_ARGUMENT;
    if (reply->deadline_ns <= reply->span->begun_ns) {
        *ret_status = MF_ERR_TIMEOUT;
        mfi_observe_server_expired(channel->observed, MFI_EXPIRED_BEFORE_START);
        (void)mf_reply_error(reply, "TimeoutError", "the caller no longer waits");
        return false;
    }
    if (name.size == 0) {
        (void)mf_reply_error(reply, "ValueError", "Message missing 'function' field");
        return false;
    }
    *ret_handler = request->call->handler;
    if (*ret_handler == NULL || name.data[0] == '_') {
        *ret_status = MF_ERR_FUNCTION_NOT_FOUND;
        mfi_observe_server_unknown(channel->observed);
        if (*ret_handler == NULL) {
            refuse_unknown(reply, name);
        } else {
            (void)mf_reply_error(reply, "AttributeError", "Cannot call private method '%.*s'",
                                 (int)name.size, name.data);
        }
        return false;
    }
    return true;
}

static bool decode_args(mf_request *request, mf_reply *reply)
{
    mfi_slice bytes = request->call->envelope.args;
    mfi_tree *args = &request->trees->args;
    args->root = mf_nil();
    if (bytes.data != NULL && mfi_tree_decode(args, bytes, &request->error) != MF_OK) {
        (void)mf_reply_error(reply, "ValueError", "%s", request->error.message);
        return false;
    }
    if (args->root.type != MF_TYPE_ARRAY && args->root.type != MF_TYPE_NIL) {
        (void)mf_reply_error(reply, "TypeError", "args must be an array, not %s",
                             mf_type_name((mf_type)args->root.type));
        return false;
    }
    return true;
}

/* ---- The call ---- */

static mf_status run_handler(mfi_handler_thread *thread, const mfi_handler *handler,
                             mf_request *request, mf_reply *reply)
{
    mfi_context_scope scope;
    mfi_printing printing;
    mfi_context_enter(&scope, request->context);
    uint64_t deadline_before = mfi_running_enter(request->deadline_ns);
    mfi_printing_enter(&printing, request->context);
    reply->span->has_run = true;
    bool is_sampled = mfi_sampling_begins(&thread->sampling);
    mf_status status = handler->run(request, reply, handler->user_data);
    if (is_sampled) {
        mfi_sampling_end(&thread->sampling, &reply->span->handler_times);
        mfi_observe_handler_times(reply->span->target, &reply->span->handler_times);
    }
    mfi_printing_leave(&printing);
    mfi_running_leave(deadline_before);
    mfi_context_leave(&scope);
    if (status == MF_OK || reply->deferred != 0) {
        return status;
    }
    if (!reply->has_error) {
        bool unpack_failed = request->error.code != MF_OK;
        (void)mf_reply_error(reply, unpack_failed ? "TypeError" : "RuntimeError", "%s",
                             unpack_failed ? request->error.message : mf_strerror(status));
    }
    return MF_ERR_REMOTE;
}

uint64_t mfi_serve_expected_ns(const mfi_incoming *call)
{
    if (call->handler == NULL) {
        return 0;
    }
    uint64_t last = atomic_load_explicit(&call->handler->last_run_ns, memory_order_relaxed);
    return last != 0 ? last : UINT64_MAX;
}

bool mfi_serve_admit(void *self, size_t bytes)
{
    mfi_handler_thread *thread = self;
    size_t charged = 0;
    bool fits = mfi_budget_take_or_alone(thread->budget, thread->charged, bytes, &charged);
    thread->charged += fits ? charged : 0;
    return fits;
}

uint64_t mfi_serve_call(mfi_handler_thread *thread, mfi_incoming *call)
{
    mfi_server_span span;
    mfi_handler *handler = NULL;
    mf_reply reply;
    const mfi_serving *serving = thread->serving;
    mfi_channel *channel = serving->channel;
    mf_request request; /* its fields are set one by one, because it has kilobytes */
    mf_status status = MF_OK;
    uint64_t now = mfi_monotonic_ns();
    if (!mfi_reply_init(&reply, channel, &call->route, call->envelope.id, &span, now)) {
        mfi_channel_dropped(channel, MFI_DROP_HWM, "no memory for an answer", 0);
        mfi_reply_fini(&reply);
        mfi_incoming_free(call);
        return now;
    }
    reply.deferrals = serving->deferrals;
    reply.load = serving->load;
    reply.mark = &thread->mark;
    reply.deadline_ns = fill_span(serving, &span, call, now, request.function);
    request.trees = &thread->trees;
    request.call = call;
    request.name = span.function_name;
    request.context = &span.context;
    request.deadline_ns = reply.deadline_ns;
    request.metadata_decoded = false;
    mfi_error_clear(&request.error);
    span.handler = thread->number;
    mfi_observe_server_begin(&span);
    atomic_store_explicit(&thread->mark.since_ns, span.begun_ns, memory_order_relaxed);
    if (check_call(&request, &reply, &handler, &status) && decode_args(&request, &reply)) {
        status = run_handler(thread, handler, &request, &reply);
    }
    atomic_store_explicit(&thread->mark.since_ns, 0, memory_order_relaxed);
    mfi_observe_server_returned(span.target, thread->number);
    /* The values are freed below, but their room belongs to the answer, which may be as large. */
    if (thread->charged != 0) {
        mfi_budget_sub(thread->budget, thread->charged);
        thread->charged = 0;
    }
    if (reply.deferred != 0) {
        mfi_deferrals_handler_returned(&reply, status, &request.error);
        mfi_reply_fini(&reply);
        mfi_carried_drop(&span.context.carried);
    } else {
        mfi_reply_finish(&reply, status);
    }
    now = span.done_ns != 0 ? span.done_ns : mfi_monotonic_ns();
    if (span.done_ns == 0) { /* deferred: the thread is free, and the answer comes later */
        mfi_handler_mark_add(&thread->mark, now - span.begun_ns);
    }
    if (handler != NULL) {
        atomic_store_explicit(&handler->last_run_ns, now - span.begun_ns, memory_order_relaxed);
    }
    mfi_tree_trim(&thread->trees.args, MFI_TREE_MUCH);
    mfi_tree_trim(&thread->trees.metadata, MFI_TREE_MUCH);
    mfi_incoming_free(call);
    return now;
}

void mfi_serve_cancel(const mfi_serving *serving, mfi_incoming *call)
{
    mfi_server_span span;
    mf_reply reply;
    char function[MFI_NAME_MAX_BYTES + 1];
    uint64_t now = mfi_monotonic_ns();
    (void)mfi_reply_init(&reply, serving->channel, &call->route, call->envelope.id, &span, now);
    reply.load = serving->load;
    reply.deadline_ns = fill_span(serving, &span, call, now, function);
    span.handler = MFI_NO_HANDLER;
    mfi_observe_server_begin(&span);
    (void)mf_reply_error(&reply, "CancelledError", "the worker is stopping");
    mfi_reply_finish(&reply, MF_ERR_CANCELLED);
    mfi_incoming_free(call);
}
