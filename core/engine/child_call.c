/* One call on the worker's side: checks in the protocol's order, context, handler, answer. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/engine/child.h"
#include "core/wire/trace.h"
#include "logging/context.h"

static double wall_seconds(void)
{
    return (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
}

/* ---- Context ---- */

static void copy_text(char *to, size_t size, mfi_text text)
{
    (void)mfi_str_copy_n(to, size, text.data != NULL ? text.data : "", text.size);
}

static void new_hex_id(char *to, size_t bytes)
{
    uint8_t random[16];
    mfi_random(random, bytes);
    random[0] |= 1; /* never all zero */
    mfi_format_hex(to, random, bytes);
}

/* From the call's metadata; what is missing is made, so that every line can be joined. */
static void fill_context(mf_context *context, const mfi_call_in *call, bool *ret_replaced)
{
    mfi_metadata metadata;
    mfi_metadata_read(call->envelope.metadata, &metadata);
    memset(context, 0, sizeof *context);
    if (metadata.traceparent.data == NULL ||
        !mfi_traceparent_parse(metadata.traceparent.data, metadata.traceparent.size,
                               context->trace_id, context->parent_span_id, &context->trace_flags)) {
        new_hex_id(context->trace_id, 16);
        context->trace_flags = 2;
    }
    new_hex_id(context->span_id, 8);
    if (metadata.correlation_id.data != NULL) {
        copy_text(context->correlation_id, sizeof context->correlation_id, metadata.correlation_id);
    } else {
        memcpy(context->correlation_id, context->trace_id, sizeof context->trace_id);
    }
    copy_text(context->request_id, sizeof context->request_id, call->envelope.id);
    copy_text(context->parent_request_id, sizeof context->parent_request_id,
              metadata.parent_request_id);
    *ret_replaced = metadata.correlation_id_invalid;
}

/* ---- Checks ---- */

/* Sets an error answer with the texts of the protocol; false if the call cannot run. */
static bool check_call(mf_child *child, mf_request *request, mf_reply *reply,
                       mfi_handler **ret_handler, mf_status *ret_status)
{
    const mfi_envelope *envelope = &request->call->envelope;
    mfi_text name = envelope->function;
    *ret_status = MF_ERR_INVALID_ARGUMENT;
    if (name.size == 0) {
        (void)mf_reply_error(reply, "ValueError", "Message missing 'function' field");
        return false;
    }
    int shown = (int)(name.size < MFI_NAME_MAX_BYTES ? name.size : MFI_NAME_MAX_BYTES);
    *ret_handler = mfi_child_find(child, name.data, name.size);
    if (*ret_handler == NULL || name.data[0] == '_') {
        *ret_status = MF_ERR_FUNCTION_NOT_FOUND;
        mfi_observe_unknown_function(child->runtime->observer, child->observed);
        (void)(*ret_handler == NULL
                   ? mf_reply_error(reply, "AttributeError", "Function '%.*s' not found", shown,
                                    name.data)
                   : mf_reply_error(reply, "AttributeError", "Cannot call private method '%.*s'",
                                    shown, name.data));
        return false;
    }
    mf_status status = MF_OK;
    child->args.root = mf_nil();
    if (envelope->args.data != NULL) {
        status = mfi_tree_decode(&child->args, envelope->args, &request->error);
    }
    if (status != MF_OK) {
        (void)mf_reply_error(reply, "ValueError", "%s", request->error.message);
        return false;
    }
    if (child->args.root.type != MF_TYPE_ARRAY && child->args.root.type != MF_TYPE_NIL) {
        (void)mf_reply_error(reply, "TypeError", "args must be an array, not %s",
                             mf_type_name((mf_type)child->args.root.type));
        return false;
    }
    return true;
}

/* ---- Answer ---- */

/* Completes the answer. What cannot be sent becomes an error answer: the caller must not wait for
 * ever. */
static mfi_out *make_answer(mf_reply *reply, const mfi_reply_times *times)
{
    mf_error error;
    mfi_text id = reply->call->envelope.id;
    mfi_out *out = reply->out;
    mf_status status = MF_OK;
    mfi_error_clear(&error);
    if (!reply->has_error) {
        mf_value nil = mf_nil();
        if (!reply->has_result) {
            status = mfi_encode_response_begin(&out->buf, id, &nil, wall_seconds(),
                                               &reply->child->limits, &error);
        }
        if (status == MF_OK) {
            status = mfi_encode_response_end(&out->buf, times, &error);
        }
        if (status == MF_OK) {
            out->traffic = MFI_TRAFFIC_RESPONSE;
            return out;
        }
        (void)mf_reply_error(reply, "ResultError", "%s", error.message);
    }
    mfi_buf_clear(&out->buf);
    out->traffic = MFI_TRAFFIC_ERROR;
    mfi_text text = {(const char *)reply->error_text.data, reply->error_text.size};
    if (text.data == NULL) {
        text = (mfi_text){"error", 5};
    }
    return mfi_encode_error(&out->buf, id, text, wall_seconds(), times, NULL) == MF_OK ? out : NULL;
}

/* ---- The call ---- */

static mf_status run_handler(const mfi_handler *handler, mf_request *request, mf_reply *reply)
{
    mfi_context_scope scope;
    mfi_context_enter(&scope, &request->context);
    mf_status status = handler->run(request, reply, handler->user_data);
    mfi_context_leave(&scope);
    if (status == MF_OK) {
        return reply->has_error ? MF_ERR_REMOTE : MF_OK;
    }
    if (!reply->has_error) {
        bool unpack_failed = request->error.code != MF_OK;
        (void)mf_reply_error(reply, unpack_failed ? "TypeError" : "RuntimeError", "%s",
                             unpack_failed ? request->error.message : mf_strerror(status));
    }
    return MF_ERR_REMOTE;
}

static void describe_failure(mf_error *error, mf_status status, const mf_reply *reply)
{
    mfi_error_clear(error);
    error->code = status;
    (void)mfi_str_copy_n(error->message, sizeof error->message,
                         reply->error_text.data != NULL ? (const char *)reply->error_text.data : "",
                         reply->error_text.size);
}

static void fill_span(mf_child *child, mfi_span *span, mf_request *request)
{
    const mfi_call_in *call = request->call;
    mfi_text name = call->envelope.function;
    copy_text(request->function, sizeof request->function, name);
    *span = (mfi_span){.target = child->observed,
                       .function_name = request->function,
                       .namespace_name = child->namespace_name,
                       .start_ns = call->received_ns,
                       .sent_ns = mfi_monotonic_ns(),
                       .deadline_ms = MF_TIMEOUT_INFINITE,
                       .request_bytes = (uint32_t)call->message.size,
                       .attempt = 1,
                       .is_server = true};
    fill_context(&span->context, call, &span->correlation_id_replaced);
    request->context = span->context;
    /* Only registered names get series of their own. */
    bool known = mfi_child_find(child, name.data, name.size) != NULL;
    span->function = mfi_target_function(child->observed, known ? request->function : NULL,
                                         known ? strlen(request->function) : 0);
}

void mfi_child_serve(mf_child *child, mfi_call_in *call)
{
    mfi_span span;
    mfi_handler *handler = NULL;
    mf_status status = MF_OK;
    mf_request request = {.child = child, .call = call};
    mf_reply reply = {.child = child, .call = call};
    double received = wall_seconds();
    mfi_error_clear(&request.error);
    mfi_buf_init(&reply.error_text, MFI_ERROR_TEXT_MAX_BYTES);
    reply.out = mfi_out_make(child, MFI_TRAFFIC_RESPONSE, &call->route);
    if (reply.out == NULL) {
        mfi_child_dropped(child, "hwm", "no memory for an answer", 0);
        goto out;
    }
    fill_span(child, &span, &request);
    mfi_observe_call_begin(child->runtime->observer, &span);
    atomic_store_explicit(&child->handler_since_ns, span.sent_ns, memory_order_relaxed);
    if (check_call(child, &request, &reply, &handler, &status)) {
        status = run_handler(handler, &request, &reply);
    }
    atomic_store_explicit(&child->handler_since_ns, 0, memory_order_relaxed);
    span.received_ns = mfi_monotonic_ns();
    mfi_reply_times times = {.timestamp_received = received,
                             .has_server_times = true,
                             .queue_us = (span.sent_ns - span.start_ns) / MFI_NS_PER_US,
                             .handler_us = (span.received_ns - span.sent_ns) / MFI_NS_PER_US};
    mfi_out *answer = make_answer(&reply, &times);
    if (answer != NULL) {
        span.response_bytes = (uint32_t)answer->buf.size;
        status = status == MF_OK && reply.has_error ? MF_ERR_REMOTE : status;
        mfi_child_push(child, answer);
        reply.out = NULL;
    }
    span.end_ns = mfi_monotonic_ns();
    span.status = status;
    if (status != MF_OK) {
        describe_failure(&request.error, status, &reply);
    }
    mfi_observe_call_end(child->runtime->observer, &span, status != MF_OK ? &request.error : NULL);
out:
    mfi_out_free(reply.out);
    mfi_buf_fini(&reply.error_text);
    mfi_call_in_free(call);
}
