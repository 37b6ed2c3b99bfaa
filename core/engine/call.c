/* The life of one call on the calling side: context, admission, encoding, waiting, and the end that
 * every call has exactly once. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/engine/parent.h"
#include "core/engine/result.h"
#include "core/wire/trace.h"
#include "logging/context.h"

/* What a caller asked for, with the defaults of the parent. */
typedef struct call_request {
    const char *function;
    size_t function_length;
    mf_args args;
    mf_call_options options;
    int64_t timeout_ms;
    uint64_t start_ns;
} call_request;

/* ---- Checks that come before a call exists ---- */

static mf_status check_name(const char *what, const char *name, mf_error *error)
{
    size_t length = name != NULL ? strlen(name) : 0;
    if (name == NULL || length > MFI_NAME_MAX_BYTES || !mfi_utf8_valid(name, length)) {
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
    if (options->metadata != NULL && options->metadata->type != MF_TYPE_MAP) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "metadata must be a map, not %s",
                        mf_type_name((mf_type)options->metadata->type));
    }
    if (options->namespace_name != NULL &&
        check_name("namespace_name", options->namespace_name, error) != MF_OK) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (options->client_name != NULL) {
        return check_name("client_name", options->client_name, error);
    }
    return MF_OK;
}

static mf_status read_request(mf_parent *parent, const char *function, mf_args args,
                              const mf_call_options *options, call_request *ret, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->runtime, error);
    if (status == MF_OK) {
        status = check_name("function", function, error);
    }
    if (status == MF_OK && function[0] == '\0') {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "function is empty");
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
                                                       : parent->settings.call_timeout_ms;
        ret->start_ns = mfi_monotonic_ns();
    }
    return status;
}

/* ---- Context: new, given, or inherited from the call that runs on this thread ---- */

static void new_hex_id(char *to, size_t bytes)
{
    uint8_t random[16];
    do {
        mfi_random(random, bytes);
    } while (random[0] == 0 && random[bytes - 1] == 0); /* all-zero ids are invalid */
    mfi_format_hex(to, random, bytes);
}

static void fill_context(mf_context *context, const call_request *request)
{
    const mf_context *current = mfi_context_current();
    const char *given = request->options.traceparent;
    memset(context, 0, sizeof *context);
    if (given != NULL && mfi_traceparent_parse(given, strlen(given), context->trace_id,
                                               context->parent_span_id, &context->trace_flags)) {
        /* as given */
    } else if (current != NULL && current->trace_id[0] != '\0') {
        memcpy(context->trace_id, current->trace_id, sizeof context->trace_id);
        memcpy(context->parent_span_id, current->span_id, sizeof context->parent_span_id);
        context->trace_flags = current->trace_flags;
    } else {
        new_hex_id(context->trace_id, 16);
        context->trace_flags = 2; /* random trace id */
    }
    new_hex_id(context->span_id, 8);
    const char *correlation_id = request->options.correlation_id;
    if (correlation_id == NULL) {
        correlation_id = current != NULL && current->correlation_id[0] != '\0'
                             ? current->correlation_id
                             : context->trace_id;
    }
    (void)mfi_str_copy(context->correlation_id, sizeof context->correlation_id, correlation_id);
    if (current != NULL) {
        memcpy(context->parent_request_id, current->request_id, sizeof context->parent_request_id);
    }
}

static void fill_span(mf_parent *parent, mfi_span *span, const call_request *request)
{
    const char *namespace_name = request->options.namespace_name;
    *span = (mfi_span){
        .target = parent->observed,
        .function =
            mfi_target_function(parent->observed, request->function, request->function_length),
        .function_name = request->function,
        .namespace_name = namespace_name != NULL ? namespace_name : parent->settings.namespace_name,
        .start_ns = request->start_ns,
        .deadline_ms = request->timeout_ms,
        .attempt = 1,
    };
    fill_context(&span->context, request);
}

/* ---- The end ---- */

static void describe(mf_parent *parent, const mfi_span *span, mf_status status, mf_error *error)
{
    char reason[MFI_EXIT_TEXT_MAX];
    if (status == MF_ERR_TIMEOUT) {
        (void)mfi_fail(error, status, "Function '%s' timed out after %lld ms", span->function_name,
                       (long long)span->deadline_ms);
    } else if (status == MF_ERR_WORKER_EXITED) {
        mfi_mutex_lock(&parent->mutex);
        (void)mfi_str_copy(reason, sizeof reason, parent->exit_text);
        mfi_mutex_unlock(&parent->mutex);
        (void)mfi_fail(error, status, "worker '%s' %s during the call of '%s'",
                       parent->settings.worker, reason, span->function_name);
    } else if (status == MF_ERR_NOT_RUNNING) {
        (void)mfi_parent_not_running(parent, error);
    } else if (status == MF_ERR_CANCELLED) {
        (void)mfi_fail(error, status, "'%s' was stopped during the call of '%s'",
                       parent->settings.target, span->function_name);
    } else {
        (void)mfi_fail(error, status, "the call of '%s' could not be sent to '%s'",
                       span->function_name, parent->settings.target);
    }
}

/* Counts and reports a call that has its final status in the span. */
static void finish_span(mf_parent *parent, mfi_span *span, const mf_error *error)
{
    atomic_fetch_add_explicit(&parent->calls_ended, 1, memory_order_relaxed);
    if (span->status != MF_OK) {
        atomic_fetch_add_explicit(&parent->calls_failed, 1, memory_order_relaxed);
    }
    span->end_ns = mfi_monotonic_ns();
    mfi_observe_call_end(parent->runtime->observer, span, error);
}

/* The outcome that was written to the slot becomes status, error (not NULL) and result. Runs once
 * for each slot that was activated, on the thread that gets the result. */
static mf_status finish_slot(mf_parent *parent, mfi_slot *slot, mf_result **ret_result,
                             mf_error *error)
{
    mf_status status = slot->status;
    slot->span.sent_ns = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed);
    if (status == MF_ERR_REMOTE) {
        mfi_remote_error_split(slot->error_text, error);
        status = error->code;
    } else if (status != MF_OK) {
        describe(parent, &slot->span, status, error);
    } else if (ret_result != NULL) {
        status = mfi_result_make(ret_result, &slot->reply, slot->result, slot->metadata,
                                 &parent->settings.limits, error);
    }
    if (slot->admitted) {
        mfi_circuit_report(&parent->circuit, slot->ticket, status,
                           slot->span.context.correlation_id, slot->span.context.trace_id);
    }
    slot->span.status = status;
    finish_span(parent, &slot->span, status != MF_OK ? error : NULL);
    mfi_call_closed(parent);
    return status;
}

/* ---- The beginning ---- */

/* A call that ends before it got a slot: it is still counted and logged like any other. */
static mf_status refuse(mf_parent *parent, mfi_span *span, const char *reason, mf_status status,
                        mf_error *error)
{
    mfi_observe_call_begin(parent->runtime->observer, span);
    if (reason != NULL) {
        mfi_observe_refused(parent->runtime->observer, span, reason);
    }
    span->status = status;
    finish_span(parent, span, error);
    return status;
}

static mf_status encode(mf_parent *parent, mfi_slot *slot, const call_request *request,
                        mf_error *error)
{
    char traceparent[56];
    const mf_context *context = &slot->span.context;
    const char *client_name = request->options.client_name != NULL ? request->options.client_name
                                                                   : parent->settings.client_name;
    mfi_traceparent_format(traceparent, context->trace_id, context->span_id, context->trace_flags);
    mfi_call_fields fields = {
        .id = slot->id,
        .function = {request->function, request->function_length},
        .namespace_name = {slot->span.namespace_name, strlen(slot->span.namespace_name)},
        .args = request->args,
        .metadata = request->options.metadata,
        .correlation_id = context->correlation_id,
        .parent_request_id = context->parent_request_id,
        .traceparent = traceparent,
        .timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S,
        .deadline_ms_left = MF_TIMEOUT_INFINITE,
        .limits = &parent->settings.limits,
    };
    if (client_name != NULL) {
        fields.client_name = (mfi_text){client_name, strlen(client_name)};
    }
    mf_status status = mfi_encode_call(&slot->out, &fields, error);
    if (status == MF_OK && slot->out.size > parent->settings.max_message_bytes) {
        status = mfi_fail(error, MF_ERR_LIMIT,
                          "the call of '%s' has %zu bytes, more than max_message_bytes (%zu)",
                          request->function, slot->out.size, parent->settings.max_message_bytes);
    }
    slot->span.request_bytes = (uint32_t)slot->out.size;
    return status;
}

/* Room for one more call, or NULL. */
static mfi_slot *take_slot(mf_parent *parent)
{
    uint32_t open = atomic_fetch_add_explicit(&parent->calls_open, 1, memory_order_acquire);
    mfi_slot *slot =
        open < parent->settings.max_in_flight ? mfi_pending_acquire(&parent->pending) : NULL;
    if (slot == NULL) {
        atomic_fetch_sub_explicit(&parent->calls_open, 1, memory_order_release);
    }
    return slot;
}

/* Ends a call whose slot was taken but never activated. */
static mf_status refuse_slot(mf_parent *parent, mfi_slot *slot, const char *reason,
                             mf_status status, mf_error *error)
{
    if (slot->admitted) {
        mfi_circuit_report(&parent->circuit, slot->ticket, status, NULL, NULL);
    }
    if (reason != NULL) {
        mfi_observe_refused(parent->runtime->observer, &slot->span, reason);
    }
    slot->span.status = status;
    finish_span(parent, &slot->span, error);
    mfi_slot_abandon(&parent->pending, slot);
    mfi_call_closed(parent);
    return status;
}

/* Makes a call: checked, admitted by the circuit, encoded, ready to be activated. On failure it
 * has ended already. */
static mf_status begin(mf_parent *parent, const call_request *request, mfi_slot **ret_slot,
                       mf_error *error)
{
    mf_parent_state state = mfi_parent_state(parent);
    mfi_slot *slot = NULL;
    mfi_span span;
    if (state != MF_PARENT_STARTING && state != MF_PARENT_READY) {
        fill_span(parent, &span, request);
        return refuse(parent, &span, "no_worker", mfi_parent_not_running(parent, error), error);
    }
    slot = take_slot(parent);
    if (slot == NULL) {
        fill_span(parent, &span, request);
        mfi_observe_transport_event(parent->runtime->observer, parent->observed,
                                    &(mfi_transport_event){.what = MFI_TRANSPORT_QUEUE_FULL});
        return refuse(parent, &span, "queue_full",
                      mfi_fail(error, MF_ERR_TOO_MANY_CALLS,
                               "'%s' has %u calls in flight (max_in_flight)",
                               parent->settings.target, (unsigned)parent->settings.max_in_flight),
                      error);
    }
    fill_span(parent, &slot->span, request);
    memcpy(slot->span.context.request_id, slot->id, sizeof slot->span.context.request_id);
    atomic_store_explicit(&slot->traffic, MFI_TRAFFIC_CALL, memory_order_relaxed);
    atomic_store_explicit(&slot->started_ns, request->start_ns, memory_order_relaxed);
    atomic_store_explicit(&slot->sent_ns, 0, memory_order_relaxed);
    uint64_t deadline = mfi_deadline_after_ms(request->start_ns, request->timeout_ms);
    atomic_store_explicit(&slot->deadline_ns, deadline, memory_order_relaxed);
    mfi_observe_call_begin(parent->runtime->observer, &slot->span);
    mf_status status = mfi_circuit_admit(&parent->circuit, &slot->ticket, error);
    if (status != MF_OK) {
        return refuse_slot(parent, slot, "circuit_open", status, error);
    }
    slot->admitted = true;
    status = encode(parent, slot, request, error);
    if (status != MF_OK) {
        return refuse_slot(parent, slot, NULL, status, error);
    }
    mfi_observe_attempt(parent->runtime->observer, &slot->span);
    *ret_slot = slot;
    return MF_OK;
}

/* ---- Waiting calls ---- */

mf_status mf_call_with(mf_parent *parent, const char *function, mf_args args,
                       const mf_call_options *options, mf_result **ret_result, mf_error *error)
{
    call_request request;
    mfi_slot *slot = NULL;
    mf_error local; /* the log wants the text even if the caller does not */
    mf_error *detail = error != NULL ? error : &local;
    mfi_error_clear(&local);
    mf_status status = read_request(parent, function, args, options, &request, detail);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->runtime->loop)) {
        return mfi_fail(detail, MF_ERR_WOULD_DEADLOCK,
                        "a waiting call from a callback would wait for itself: use "
                        "mf_call_async()");
    }
    status = begin(parent, &request, &slot, detail);
    if (status != MF_OK) {
        return status;
    }
    mfi_call_wait(parent, slot);
    status = finish_slot(parent, slot, ret_result, detail);
    mfi_slot_release(&parent->pending, slot);
    return status;
}

mf_status mf_call(mf_parent *parent, const char *function, mf_args args, mf_result **ret_result,
                  mf_error *error)
{
    return mf_call_with(parent, function, args, NULL, ret_result, error);
}

/* ---- Asynchronous calls ---- */

/* The caller's texts may be gone when the call ends. */
static void keep_texts(mfi_slot *slot, const mf_parent *parent)
{
    mfi_span *span = &slot->span;
    const char *stored = mfi_function_name(span->function);
    if (stored != NULL) {
        span->function_name = stored;
    } else {
        (void)mfi_str_copy(slot->function_copy, sizeof slot->function_copy, span->function_name);
        span->function_name = slot->function_copy;
    }
    if (span->namespace_name != parent->settings.namespace_name) {
        (void)mfi_str_copy(slot->namespace_copy, sizeof slot->namespace_copy, span->namespace_name);
        span->namespace_name = slot->namespace_copy;
    }
}

static void async_ended(void *owner, mfi_slot *slot)
{
    mf_parent *parent = owner;
    mf_result *result = NULL;
    mf_error error;
    mfi_error_clear(&error);
    mf_status status = finish_slot(parent, slot, &result, &error);
    slot->done(status, result, status != MF_OK ? &error : NULL, slot->user_data);
}

mf_status mf_call_async(mf_parent *parent, const char *function, mf_args args,
                        const mf_call_options *options, mf_call_fn done, void *user_data,
                        mf_error *error)
{
    call_request request;
    mfi_slot *slot = NULL;
    mf_error local;
    mf_error *detail = error != NULL ? error : &local;
    mfi_error_clear(&local);
    if (done == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "done is NULL");
    }
    mf_status status = read_request(parent, function, args, options, &request, detail);
    if (status == MF_OK) {
        status = begin(parent, &request, &slot, detail);
    }
    if (status != MF_OK) {
        return status;
    }
    keep_texts(slot, parent);
    slot->ended = async_ended;
    slot->done = done;
    slot->user_data = user_data;
    mfi_call_submit_async(parent, slot);
    return MF_OK;
}

mf_status mf_parent_prepare(mf_parent *parent, const char *function, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = check_name("function", function, error);
    if (status == MF_OK && !mfi_target_prepare(parent->observed, function)) {
        status = mfi_fail(error, MF_ERR_LIMIT,
                          "'%s' has too many function names to give '%s' its own label",
                          parent->settings.target, function);
    }
    return status;
}
