/* Reads what a caller passed: checks it, fills in the parent's defaults, and adds the ids. It
 * exists so that all ways to call check the same and inherit the same. */
#include <string.h>

#include "base/carried.h"
#include "base/context.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/client/call/request.h"
#include "core/engine/deadline.h"
#include "core/runtime/runtime.h"
#include "core/wire/trace.h"
#include "core/wire/trace_lists.h"

/* ---- Checks that come before a call exists ---- */

mf_status mfi_call_check_name(const char *what, const char *name, mf_error *error)
{
    size_t length = name != NULL ? strlen(name) : 0;
    if (name == NULL) {
        return mfi_fail_null(error, what);
    }
    if (length > MFI_NAME_MAX_BYTES || !mfi_utf8_valid(name, length)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be UTF-8 of at most %zu bytes",
                        what, MFI_NAME_MAX_BYTES);
    }
    return MF_OK;
}

static mf_status check_options(const mf_call_options *options, mf_error *error)
{
    if (options->timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "timeout_ms must not be negative");
    }
    if (options->correlation_id != NULL &&
        !mfi_correlation_id_valid(options->correlation_id, strlen(options->correlation_id))) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "correlation_id must be 1 to 128 of [A-Za-z0-9._:-]");
    }
    char trace_id[33];
    char span_id[17];
    uint8_t flags = 0;
    if (options->traceparent != NULL &&
        !mfi_traceparent_parse(options->traceparent, strlen(options->traceparent), trace_id,
                               span_id, &flags)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "traceparent '%.60s' is not of the form 00-<32 hex>-<16 hex>-<2 hex>",
                        options->traceparent);
    }
    if (options->metadata != NULL && options->metadata->type != MF_TYPE_MAP) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "metadata must be a map, not %s",
                        mf_type_name((mf_type)options->metadata->type));
    }
    if (options->namespace_name != NULL &&
        mfi_call_check_name("namespace_name", options->namespace_name, error) != MF_OK) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (options->client_name != NULL) {
        return mfi_call_check_name("client_name", options->client_name, error);
    }
    return MF_OK;
}

/* A call that a handler makes must end before the handler's own call does. */
static void set_deadline(mfi_call_request *request)
{
    uint64_t inherited = mfi_running_deadline();
    request->start_ns = mfi_monotonic_ns();
    request->deadline_ns = mfi_deadline_after_ms(request->start_ns, request->timeout_ms);
    request->inherits = inherited < request->deadline_ns;
    if (request->inherits) {
        uint64_t left = mfi_remaining_ns(inherited, request->start_ns);
        request->deadline_ns = inherited;
        request->timeout_ms = (int64_t)(left / MFI_NS_PER_MS);
    }
}

mf_status mfi_call_read(mfi_calls *calls, const char *function, mf_args args,
                        const mf_call_options *options, mfi_call_request *ret, mf_error *error)
{
    if (calls == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(calls->state->runtime, error);
    if (status == MF_OK) {
        status = mfi_call_check_name("function", function, error);
    }
    if (status == MF_OK && function[0] == '\0') {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "function is empty");
    }
    if (status == MF_OK && args.items == NULL && args.count > 0) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "args.items is NULL");
    }
    if (status == MF_OK) {
        status = mfi_options_copy(&ret->options, sizeof ret->options, sizeof(mf_call_options),
                                  options, "mf_call_options", error);
    }
    if (status == MF_OK) {
        status = check_options(&ret->options, error);
    }
    if (status == MF_OK) {
        ret->function = function;
        ret->function_length = strlen(function);
        ret->args = args;
        ret->timeout_ms = ret->options.timeout_ms != 0 ? ret->options.timeout_ms
                                                       : calls->state->settings.call_timeout_ms;
        ret->retry = (mf_retry_policy){.max_attempts = 1};
        set_deadline(ret);
    }
    if (status == MF_OK && ret->options.retry != NULL) {
        status = mfi_retry_policy_read(&ret->retry, ret->options.retry, error);
    }
    return status;
}

/* ---- Context: new, given, or inherited from the call that runs on this thread ---- */

static mfi_text text_of(const char *text)
{
    return (mfi_text){text, text != NULL ? strlen(text) : 0};
}

/* The tracestate belongs to the trace that the call joins; the baggage to whatever the thread works
 * for. What is inherited is read again, because another runtime may allow other keys. */
static uint64_t carry(const mfi_call_request *request, const mf_context *current,
                      const char *const *baggage_keys)
{
    const mf_call_options *options = &request->options;
    const char *tracestate = options->traceparent != NULL ? options->tracestate : NULL;
    const char *baggage = options->baggage;
    uint64_t inherited = current != NULL ? mfi_carried_hold(current->carried) : 0;
    if (options->traceparent == NULL && inherited != 0 && current->trace_id[0] != '\0') {
        tracestate = mfi_carried_tracestate(inherited);
    }
    if (baggage == NULL) {
        baggage = mfi_carried_baggage(inherited);
    }
    uint64_t carried = mfi_trace_lists_keep(text_of(tracestate), text_of(baggage), baggage_keys);
    mfi_carried_drop(&inherited);
    return carried;
}

/* The context is empty before this. */
static void fill_context(mf_context *context, const mfi_call_request *request,
                         const char *const *baggage_keys)
{
    const mf_context *current = mfi_context_current();
    const char *given = request->options.traceparent;
    if (given != NULL && mfi_traceparent_parse(given, strlen(given), context->trace_id,
                                               context->parent_span_id, &context->trace_flags)) {
        /* as given */
    } else if (current != NULL && current->trace_id[0] != '\0') {
        memcpy(context->trace_id, current->trace_id, sizeof context->trace_id);
        memcpy(context->parent_span_id, current->span_id, sizeof context->parent_span_id);
        context->trace_flags = current->trace_flags;
    } else {
        mfi_trace_new_id(context->trace_id);
        context->trace_flags = 2; /* random trace id */
    }
    if (request->options.tracestate != NULL || request->options.baggage != NULL ||
        (current != NULL && current->carried != 0)) {
        context->carried = carry(request, current, baggage_keys);
    }
    mfi_trace_new_span_id(context->span_id);
    const char *correlation_id = request->options.correlation_id;
    if (correlation_id == NULL) {
        correlation_id = current != NULL && current->correlation_id[0] != '\0'
                             ? current->correlation_id
                             : context->trace_id;
    }
    (void)mfi_str_copy(context->correlation_id, sizeof context->correlation_id, correlation_id);
    if (current != NULL) {
        (void)mfi_str_copy(context->parent_request_id, sizeof context->parent_request_id,
                           current->request_id);
    }
}

void mfi_call_fill_span(mfi_calls *calls, mfi_client_span *span, const mfi_call_request *request)
{
    const char *namespace_name = request->options.namespace_name;
    mfi_client_span_clear(span);
    span->target = calls->state->observed;
    span->function =
        mfi_target_function(calls->state->observed, request->function, request->function_length);
    span->function_name = request->function;
    span->namespace_name =
        namespace_name != NULL ? namespace_name : calls->state->settings.namespace_name;
    span->start_ns = request->start_ns;
    span->deadline_ms = request->timeout_ms;
    span->attempt = 1;
    span->has_attempts = request->retry.max_attempts != 1;
    fill_context(&span->context, request, calls->state->runtime->baggage_keys);
}
