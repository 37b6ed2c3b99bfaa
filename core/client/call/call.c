/* The life of one call on the calling side: admission, encoding, waiting, further attempts, and the
 * end. It exists so that every way to call opens a call once and finishes it once. */
#include <string.h>

#include "base/carried.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/client/call/call.h"
#include "core/wire/trace.h"

/* ---- The whole call ---- */

/* The present attempt never comes into the queue. The refusal is counted when the call ends by it.
 */
static mf_status refuse(mfi_client_span *span, mfi_refusal reason, mf_status status)
{
    span->is_refused = true;
    span->refusal = (uint8_t)reason;
    return status;
}

mf_status mfi_call_open(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                        mf_error *error)
{
    mfi_call_fill_span(calls, span, request);
    mfi_retry_budget_earn(&calls->retry_budget);
    uint32_t open = atomic_fetch_add_explicit(&calls->open, 1, memory_order_acquire);
    if (open < calls->state->settings.max_in_flight) {
        return MF_OK;
    }
    mfi_observe_client_begin(span);
    mfi_observe_transport_event(calls->state->observed,
                                &(mfi_transport_event){.what = MFI_TRANSPORT_QUEUE_FULL});
    mf_status status = refuse(
        span, MFI_REFUSAL_QUEUE_FULL,
        mfi_fail(error, MF_ERR_TOO_MANY_CALLS, "'%s' has %u calls in flight (max_in_flight)",
                 calls->state->settings.target, (unsigned)calls->state->settings.max_in_flight));
    mfi_call_finish(calls, span, status, error);
    return status;
}

void mfi_call_finish(mfi_calls *calls, mfi_client_span *span, mf_status status,
                     const mf_error *error)
{
    atomic_fetch_add_explicit(&calls->finished, 1, memory_order_relaxed);
    if (status != MF_OK) {
        atomic_fetch_add_explicit(&calls->failed, 1, memory_order_relaxed);
    }
    span->status = status;
    span->end_ns = mfi_monotonic_ns();
    if (span->is_refused) {
        mfi_observe_client_refused(span, (mfi_refusal)span->refusal);
    }
    mfi_observe_client_end(span, status != MF_OK ? error : NULL);
    mfi_carried_drop(&span->context.carried);
    mfi_calls_count_finished(calls);
}

bool mfi_call_again(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                    mf_status status, const mf_error *error, uint64_t *ret_wait_ns)
{
    if (status == MF_OK || request->retry.max_attempts == 1) {
        return false;
    }
    mf_parent_state state = mfi_state_get(calls->state);
    mfi_retry_outcome outcome = {.status = status,
                                 .sent = span->sent_ns != 0,
                                 .idempotent = request->options.idempotent,
                                 .can_return = state == MF_PARENT_RESTARTING ||
                                               state == MF_PARENT_READY ||
                                               state == MF_PARENT_STARTING,
                                 .has_pushback = span->has_pushback,
                                 .pushback_ms = span->pushback_ms,
                                 .attempt = span->attempt,
                                 .now_ns = mfi_monotonic_ns(),
                                 .deadline_ns = request->deadline_ns};
    mfi_retry_verdict verdict =
        mfi_retry_decide(&request->retry, &calls->retry_budget, &outcome, mfi_random_fast());
    if (!verdict.again && span->attempt > 1 && status == MF_ERR_CIRCUIT_OPEN) {
        mfi_observe_client_suppressed(span, MFI_SUPPRESSED_BY_CIRCUIT);
    }
    if (verdict.suppressed != MFI_SUPPRESSED_NOT) {
        mfi_observe_client_suppressed(span, verdict.suppressed);
    }
    if (!verdict.again) {
        return false;
    }
    mfi_observe_client_retry(span, status, error, verdict.wait_ns / MFI_NS_PER_MS);
    atomic_fetch_add_explicit(&calls->retries_made, 1, memory_order_relaxed);
    span->attempt++;
    span->attempt_ns = 0;
    span->sent_ns = 0;
    span->received_ns = 0;
    span->has_server_times = false;
    span->has_pushback = false;
    span->is_refused = false;
    span->response_bytes = 0;
    mfi_trace_new_span_id(span->context.span_id);
    *ret_wait_ns = verdict.wait_ns;
    return true;
}

/* ---- The outcome of an attempt ---- */

static void describe(mfi_calls *calls, const mfi_slot *slot, mf_status status, mf_error *error)
{
    const mfi_client_span *span = slot->span;
    bool is_looking = span->sent_ns == 0 && mfi_state_connects(calls->state) &&
                      mfi_state_get(calls->state) == MF_PARENT_RESTARTING;
    if (slot->is_faulted) {
        (void)mfi_fail(error, status, "the call of '%s' to '%s' was ended by an injected fault",
                       span->function_name, calls->state->settings.target);
    } else if (status == MF_ERR_TIMEOUT && is_looking) {
        mf_error why;
        mfi_error_clear(&why);
        (void)mfi_state_not_running(calls->state, &why);
        (void)mfi_fail(error, status, "Function '%s' timed out after %lld ms, not sent: %s",
                       span->function_name,
                       (long long)(slot->attempt_timeout_ms != 0 ? slot->attempt_timeout_ms
                                                                 : span->deadline_ms),
                       why.message);
    } else if (status == MF_ERR_TIMEOUT && slot->attempt_timeout_ms != 0) {
        (void)mfi_fail(error, status, "Function '%s' timed out after %lld ms (attempt %u)",
                       span->function_name, (long long)slot->attempt_timeout_ms,
                       (unsigned)span->attempt);
    } else if (status == MF_ERR_TIMEOUT) {
        (void)mfi_fail(error, status, "Function '%s' timed out after %lld ms", span->function_name,
                       (long long)span->deadline_ms);
    } else if (status == MF_ERR_WORKER_EXITED) {
        (void)mfi_state_exited(calls->state, span->function_name, error);
    } else if (status == MF_ERR_NOT_RUNNING) {
        (void)mfi_state_not_running(calls->state, error);
    } else if (status == MF_ERR_NO_MEMORY) {
        (void)mfi_fail(error, status, "no memory for the answer to '%s'", span->function_name);
    } else if (status == MF_ERR_CANCELLED) {
        mf_parent_state state = mfi_state_get(calls->state);
        bool stopped = state == MF_PARENT_STOPPING || state == MF_PARENT_STOPPED;
        (void)mfi_fail(error, status,
                       stopped ? "'%s' was stopped during the call of '%s'"
                               : "'%s': the call of '%s' was cancelled",
                       calls->state->settings.target, span->function_name);
    } else {
        (void)mfi_fail(error, status, "the call of '%s' could not be sent to '%s'",
                       span->function_name, calls->state->settings.target);
    }
}

mf_status mfi_attempt_read(mfi_calls *calls, mfi_slot *slot, mf_result **ret_result,
                           mf_error *error)
{
    mfi_client_span *span = slot->span;
    mf_status status = slot->status;
    span->sent_ns = slot->answer != NULL
                        ? atomic_load_explicit(&slot->sent_ns, memory_order_relaxed)
                        : mfi_slot_end_send(slot);
    if (status == MF_ERR_REMOTE) {
        mfi_remote_error_split(slot->error_text, error);
        status = error->code;
    } else if (status == MF_ERR_LIMIT || status == MF_ERR_PROTOCOL) {
        (void)mfi_fail(error, status, "the answer of '%s' to '%s' was refused: %s",
                       calls->state->settings.target, span->function_name, slot->refusal);
    } else if (status != MF_OK) {
        describe(calls, slot, status, error);
    } else if (ret_result != NULL) {
        *ret_result = slot->answer;
        slot->answer = NULL;
    }
    if (slot->admitted) {
        mfi_circuit_report(&calls->state->circuit, slot->ticket, status,
                           span->context.correlation_id, span->context.trace_id);
    }
    if (slot->tried) {
        mfi_circuit_report(&calls->state->trial, slot->trial_ticket, status,
                           span->context.correlation_id, span->context.trace_id);
    }
    if (atomic_load_explicit(&calls->watching, memory_order_acquire)) {
        (void)mfi_loop_post(calls->state->loop, calls->idle_task);
    }
    return status;
}

/* ---- The beginning of an attempt ---- */

/* The rest of the call's time, in milliseconds, for the worker. */
static int64_t left_ms(const mfi_call_request *request, uint64_t now_ns)
{
    if (request->deadline_ns == MFI_NEVER) {
        return MF_TIMEOUT_INFINITE;
    }
    uint64_t left = mfi_remaining_ns(request->deadline_ns, now_ns) / MFI_NS_PER_MS;
    return left > 0 ? (int64_t)left : 1;
}

static mfi_text text_of(const char *text)
{
    return (mfi_text){text, text != NULL ? strlen(text) : 0};
}

static mf_status encode(mfi_calls *calls, mfi_slot *slot, const mfi_call_request *request,
                        mf_error *error)
{
    char traceparent[56];
    const mf_context *context = &slot->span->context;
    const char *client_name = request->options.client_name != NULL
                                  ? request->options.client_name
                                  : calls->state->settings.client_name;
    /* The first attempt is encoded when the call begins, so it needs no new reading of the clock.
     */
    uint64_t now = slot->span->attempt == 1 ? request->start_ns : mfi_monotonic_ns();
    mfi_traceparent_format(traceparent, context->trace_id, context->span_id, context->trace_flags);
    mfi_call_fields fields = {
        .id = slot->id,
        .function = {request->function, request->function_length},
        .namespace_name = {slot->span->namespace_name, strlen(slot->span->namespace_name)},
        .args = request->args,
        .metadata = request->options.metadata,
        .correlation_id = context->correlation_id,
        .parent_request_id = context->parent_request_id,
        .traceparent = traceparent,
        .timestamp = (double)mfi_wall_at_ns(now) / (double)MFI_NS_PER_S,
        .deadline_ms_left = left_ms(request, now),
        .attempt = slot->span->attempt,
        .limits = &calls->state->settings.limits,
    };
    if (context->carried != 0) {
        fields.tracestate = text_of(mfi_carried_tracestate(context->carried));
        fields.baggage = text_of(mfi_carried_baggage(context->carried));
    }
    if (client_name != NULL) {
        fields.client_name = (mfi_text){client_name, strlen(client_name)};
    }
    mf_status status = mfi_encode_call(&slot->out, &fields, error);
    if (status == MF_OK && slot->out.size > calls->state->settings.max_message_bytes) {
        status =
            mfi_fail(error, MF_ERR_LIMIT,
                     "the call of '%s' has %zu bytes, more than max_message_bytes (%zu)",
                     request->function, slot->out.size, calls->state->settings.max_message_bytes);
    }
    slot->span->request_bytes = (uint32_t)slot->out.size;
    return status;
}

static void fill_slot(mfi_slot *slot, const mfi_call_request *request, mfi_client_span *span)
{
    uint64_t deadline = request->deadline_ns;
    slot->attempt_timeout_ms = 0;
    if (request->retry.attempt_timeout_ms > 0) {
        uint64_t own = mfi_deadline_after_ms(mfi_monotonic_ns(), request->retry.attempt_timeout_ms);
        slot->attempt_timeout_ms = own < deadline ? request->retry.attempt_timeout_ms : 0;
        deadline = own < deadline ? own : deadline;
    }
    slot->span = span;
    slot->kind = span->attempt > 1 ? MFI_ATTEMPT_RETRY : MFI_ATTEMPT_FIRST;
    memcpy(span->context.request_id, slot->id, sizeof span->context.request_id);
    atomic_store_explicit(&slot->traffic, MFI_TRAFFIC_CALL, memory_order_relaxed);
    atomic_store_explicit(&slot->started_ns, request->start_ns, memory_order_relaxed);
    atomic_store_explicit(&slot->sent_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->deadline_ns, deadline, memory_order_relaxed);
}

/* Counts the call if the circuit on trial would have refused it. */
static void ask_trial(mfi_calls *calls, mfi_slot *slot)
{
    mfi_circuit_cause rule;
    mfi_state *state = calls->state;
    slot->tried = mfi_circuit_would_admit(&state->trial, &slot->trial_ticket, &rule);
    if (!slot->tried) {
        mfi_observe_circuit_trial(state->observed, rule == MFI_RULE_SLOW_RATIO
                                                       ? MFI_TRIAL_SLOW_RATIO
                                                       : MFI_TRIAL_FAILURE_RATIO);
    }
}

/* Asks the circuit. A call that is made while the worker is restarting is not checked, because the
 * restart is why the circuit is open: such a call waits in the queue. */
static mf_status admit(mfi_calls *calls, const mfi_call_request *request, mfi_slot *slot,
                       mf_error *error)
{
    mf_parent_state state = mfi_state_get(calls->state);
    bool waits = state == MF_PARENT_RESTARTING && !calls->state->settings.fail_fast;
    if (state != MF_PARENT_STARTING && state != MF_PARENT_READY && !waits) {
        return refuse(slot->span, MFI_REFUSAL_NO_WORKER,
                      mfi_state_not_running(calls->state, error));
    }
    if (request->inherits && mfi_monotonic_ns() >= request->deadline_ns) {
        return mfi_fail(error, MF_ERR_TIMEOUT,
                        "Function '%s' was not called: the deadline of the running call has passed",
                        request->function);
    }
    if (waits && mfi_circuit_get_state(&calls->state->circuit) != MFI_CIRCUIT_FORCED_OPEN) {
        return MF_OK;
    }
    mf_status status = mfi_circuit_admit(&calls->state->circuit, &slot->ticket, error);
    slot->admitted = status == MF_OK;
    if (slot->admitted && calls->state->settings.has_trial) {
        ask_trial(calls, slot);
    }
    return status == MF_OK ? status : refuse(slot->span, MFI_REFUSAL_CIRCUIT_OPEN, status);
}

mf_status mfi_attempt_begin(mfi_calls *calls, const mfi_call_request *request,
                            mfi_client_span *span, mfi_slot *slot, mf_error *error)
{
    span->attempt_ns = span->attempt == 1 ? request->start_ns : mfi_monotonic_ns();
    if (slot != NULL) {
        fill_slot(slot, request, span);
    }
    if (span->attempt == 1) { /* the call has an id only from here on */
        mfi_observe_client_begin(span);
    } else {
        mfi_observe_client_again(span);
    }
    if (slot != NULL) {
        slot->recorded = span->recorded;
    }
    if (slot == NULL) {
        return refuse(span, MFI_REFUSAL_QUEUE_FULL,
                      mfi_fail(error, MF_ERR_TOO_MANY_CALLS, "'%s' has no room for one more call",
                               calls->state->settings.target));
    }
    mf_status status = admit(calls, request, slot, error);
    if (status == MF_OK) {
        status = encode(calls, slot, request, error);
    }
    if (status == MF_OK && !mfi_slot_charge(&calls->slots, slot)) {
        size_t most = calls->state->settings.max_queued_bytes;
        status = refuse(span, MFI_REFUSAL_QUEUE_FULL,
                        mfi_fail(error, MF_ERR_TOO_MANY_CALLS,
                                 "'%s' has no room for a call of %zu bytes: %zu wait to be sent "
                                 "(max_queued_bytes is %zu)",
                                 calls->state->settings.target, slot->out.size,
                                 mfi_budget_held(calls->slots.budget), most));
    }
    if (status != MF_OK) {
        if (slot->admitted) {
            mfi_circuit_report(&calls->state->circuit, slot->ticket, status, NULL, NULL);
        }
        if (slot->tried) {
            mfi_circuit_report(&calls->state->trial, slot->trial_ticket, status, NULL, NULL);
        }
    }
    return status;
}

mf_status mfi_call_refuse(mfi_calls *calls, const char *function, mf_args args,
                          const mf_call_options *options, mfi_refusal reason, mf_error *error)
{
    mfi_call_request request;
    mfi_client_span span;
    mf_status why = error->code;
    mf_status status = mfi_call_read(calls, function, args, options, &request, error);
    if (status == MF_OK) {
        status = mfi_call_open(calls, &request, &span, error);
    }
    if (status == MF_OK) {
        mfi_observe_client_begin(&span);
        status = refuse(&span, reason, why);
        mfi_call_finish(calls, &span, status, error);
    }
    return status;
}

/* ---- Waiting calls ---- */

static mf_status attempt(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                         mf_result **ret_result, mf_error *error)
{
    mfi_slot *slot = mfi_slots_acquire(&calls->slots);
    mf_status status = mfi_attempt_begin(calls, request, span, slot, error);
    if (status == MF_OK) {
        mfi_call_wait(calls, slot);
        status = mfi_attempt_read(calls, slot, ret_result, error);
        mfi_slot_release(&calls->slots, slot);
    } else {
        mfi_slot_abandon(&calls->slots, slot);
    }
    return status;
}

/* Waits before the next attempt; a stop ends the wait. */
static void wait_for_retry(mfi_calls *calls, uint64_t wait_ns)
{
    uint64_t until = mfi_monotonic_ns() + wait_ns;
    mf_parent_state state = mfi_state_get(calls->state);
    while (mfi_monotonic_ns() < until && state != MF_PARENT_STOPPING &&
           state != MF_PARENT_STOPPED && state != MF_PARENT_FAILED) {
        mfi_futex_wait(&calls->state->value, state, until);
        state = mfi_state_get(calls->state);
    }
}

mf_status mf_call_with(mf_parent *parent, const char *function, mf_args args,
                       const mf_call_options *options, mf_result **ret_result, mf_error *error)
{
    mfi_calls *calls = mfi_calls_of(parent);
    mfi_call_request request;
    mfi_client_span span;
    mf_error local; /* for the log, if the caller passed no error */
    mf_error *detail = error != NULL ? error : &local;
    uint64_t wait_ns = 0;
    mfi_error_clear(&local);
    mf_status status = mfi_call_read(calls, function, args, options, &request, detail);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(calls->state->loop)) {
        return mfi_fail(detail, MF_ERR_WOULD_DEADLOCK,
                        "a waiting call from a callback would wait for itself: use "
                        "mf_call_async()");
    }
    status = mfi_call_open(calls, &request, &span, detail);
    if (status != MF_OK) {
        return status;
    }
    for (;;) {
        status = attempt(calls, &request, &span, ret_result, detail);
        if (!mfi_call_again(calls, &request, &span, status, detail, &wait_ns)) {
            break;
        }
        wait_for_retry(calls, wait_ns);
        mfi_error_clear(detail);
    }
    mfi_call_finish(calls, &span, status, detail);
    return status;
}

mf_status mf_call(mf_parent *parent, const char *function, mf_args args, mf_result **ret_result,
                  mf_error *error)
{
    return mf_call_with(parent, function, args, NULL, ret_result, error);
}

mf_status mf_parent_prepare(mf_parent *parent, const char *function, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_call_check_name("function", function, error);
    if (status == MF_OK && !mfi_target_prepare(mfi_calls_of(parent)->state->observed, function)) {
        status = mfi_fail(error, MF_ERR_LIMIT,
                          "'%s' has too many function names to give '%s' its own label",
                          mfi_calls_of(parent)->state->settings.target, function);
    }
    return status;
}
