/* Asynchronous calls, for callers that continue while the worker works. A call without retries is
 * one slot, which holds everything the call needs. A call with retries has an object of its own,
 * which keeps copies of the caller's data; the engine thread makes its attempts. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/call/async.h"
#include "core/client/call/call.h"

/* ---- Without retries ---- */

/* Copies the caller's texts, because the caller may free them before the call ends. */
static void keep_texts(mfi_slot *slot, const mfi_calls *calls)
{
    mfi_client_span *span = slot->span;
    const char *stored = mfi_function_name(span->function);
    if (stored != NULL) {
        span->function_name = stored;
    } else {
        (void)mfi_str_copy(slot->function_copy, sizeof slot->function_copy, span->function_name);
        span->function_name = slot->function_copy;
    }
    if (span->namespace_name != calls->state->settings.namespace_name) {
        (void)mfi_str_copy(slot->namespace_copy, sizeof slot->namespace_copy, span->namespace_name);
        span->namespace_name = slot->namespace_copy;
    }
}

static void on_delivered(void *owner, mfi_slot *slot)
{
    mfi_calls *calls = owner;
    mf_result *result = NULL;
    mf_error error;
    mfi_error_clear(&error);
    mf_status status = mfi_attempt_read(calls, slot, &result, &error);
    mfi_call_finish(calls, slot->span, status, &error);
    slot->callback(status, result, status != MF_OK ? &error : NULL, slot->user_data);
}

static mf_status start_once(mfi_calls *calls, const mfi_call_request *request, mf_call_fn done,
                            void *user_data, mfi_call_handle *ret_handle, mf_error *error)
{
    mfi_client_span refused; /* used if there is no slot to hold the span; only until the return */
    mfi_slot *slot = mfi_slots_acquire(&calls->slots);
    mfi_client_span *span = slot != NULL ? &slot->own_span : &refused;
    mf_status status = mfi_call_open(calls, request, span, error);
    if (status != MF_OK) {
        mfi_slot_abandon(&calls->slots, slot);
        return status;
    }
    status = mfi_attempt_begin(calls, request, span, slot, error);
    if (status != MF_OK) {
        mfi_call_finish(calls, span, status, error);
        mfi_slot_abandon(&calls->slots, slot);
        return status;
    }
    keep_texts(slot, calls);
    slot->on_delivered = on_delivered;
    slot->callback = done;
    slot->user_data = user_data;
    *ret_handle = (mfi_call_handle){.slot = slot};
    mfi_call_submit_async(calls, slot, &ret_handle->state);
    return MF_OK;
}

/* ---- With retries ---- */

typedef struct mfi_async_retry mfi_async_retry;

struct mfi_async_retry {
    /* First member; links the object while it is on its way to the engine thread. */
    mfi_mpsc_node node;
    _Atomic(uint32_t) holders;
    _Atomic(bool) cancelled; /* the cancelling thread releases, the engine thread acquires */
    mfi_calls *calls;
    mf_call_fn done;
    void *user_data;
    /* Written before the object is pushed, then the engine thread's alone. */
    mfi_call_request request;
    mfi_client_span span;
    mf_document *args, *metadata;
    char function[MFI_NAME_MAX_BYTES + 1];
    char namespace_name[MFI_NAME_MAX_BYTES + 1];
    char client_name[MFI_NAME_MAX_BYTES + 1];
    mfi_timer timer;
    bool begun;     /* the beginning was reported */
    mfi_slot *slot; /* of the attempt in progress, or NULL */
    uint64_t slot_state;
    mfi_list_node listed; /* in mfi_calls.retries */
};

static void retry_unref(mfi_async_retry *retry)
{
    if (atomic_fetch_sub_explicit(&retry->holders, 1, memory_order_acq_rel) == 1) {
        mf_document_destroy(retry->args);
        mf_document_destroy(retry->metadata);
        free(retry);
    }
}

static void retry_done(mfi_async_retry *retry, mf_status status, mf_result *result,
                       const mf_error *error)
{
    mfi_list_remove(&retry->calls->retries, &retry->listed);
    mfi_timer_cancel(retry->calls->state->loop, &retry->timer);
    mfi_call_finish(retry->calls, &retry->span, status, error);
    retry->done(status, result, status != MF_OK ? error : NULL, retry->user_data);
    retry_unref(retry);
}

static bool is_cancelled(const mfi_async_retry *retry)
{
    return atomic_load_explicit(&retry->cancelled, memory_order_acquire);
}

static void end_cancelled(mfi_async_retry *retry)
{
    mf_error error;
    mfi_error_clear(&error);
    if (!retry->begun) {
        mfi_observe_client_begin(&retry->span);
    }
    retry->span.is_refused = false; /* whatever became of the last attempt */
    (void)mfi_fail(&error, MF_ERR_CANCELLED, "'%s': the call of '%s' was cancelled",
                   retry->calls->state->settings.target, retry->function);
    retry_done(retry, MF_ERR_CANCELLED, NULL, &error);
}

/* The attempt has failed: sets a timer for the next attempt, or finishes the call. */
static void attempt_failed(mfi_async_retry *retry, mf_status status, const mf_error *error)
{
    uint64_t wait_ns = 0;
    mfi_loop *loop = retry->calls->state->loop;
    if (is_cancelled(retry)) { /* cancelled during the attempt: nothing later checks for that */
        end_cancelled(retry);
    } else if (!mfi_call_again(retry->calls, &retry->request, &retry->span, status, error,
                               &wait_ns)) {
        retry_done(retry, status, NULL, error);
    } else {
        (void)mfi_timer_set(loop, &retry->timer, mfi_loop_now(loop) + wait_ns);
    }
}

static void on_retry_delivered(void *owner, mfi_slot *slot)
{
    mfi_calls *calls = owner;
    mfi_async_retry *retry = slot->user_data;
    mf_result *result = NULL;
    mf_error error;
    mfi_error_clear(&error);
    retry->slot = NULL;
    mf_status status = mfi_attempt_read(calls, slot, &result, &error);
    if (status == MF_OK) {
        retry_done(retry, MF_OK, result, NULL);
    } else {
        attempt_failed(retry, status, &error);
    }
}

static void begin_attempt(mfi_async_retry *retry)
{
    mf_error error;
    mfi_error_clear(&error);
    if (is_cancelled(retry)) {
        end_cancelled(retry);
        return;
    }
    retry->begun = true;
    mfi_slot *slot = mfi_slots_acquire(&retry->calls->slots);
    mf_status status = mfi_attempt_begin(retry->calls, &retry->request, &retry->span, slot, &error);
    if (status != MF_OK) {
        mfi_slot_abandon(&retry->calls->slots, slot);
        attempt_failed(retry, status, &error);
        return;
    }
    slot->on_delivered = on_retry_delivered;
    slot->user_data = retry;
    retry->slot = slot;
    mfi_call_submit_async(retry->calls, slot, &retry->slot_state);
}

static void on_retry_timer(mfi_timer *timer)
{
    begin_attempt(MFI_CONTAINER(timer, mfi_async_retry, timer));
}

static void look_for_cancelled(mfi_calls *calls)
{
    mfi_list_node *next = NULL;
    for (mfi_list_node *at = calls->retries.first; at != NULL; at = next) {
        mfi_async_retry *retry = MFI_CONTAINER(at, mfi_async_retry, listed);
        next = at->next;
        if (!is_cancelled(retry)) {
            continue;
        }
        if (retry->slot == NULL) {
            end_cancelled(retry);
        } else if (mfi_calls_give_up(calls, retry->slot, retry->slot_state)) {
            retry->slot->status = MF_ERR_CANCELLED;
            mfi_calls_sweep_soon(calls, retry->slot);
            mfi_calls_deliver(calls, retry->slot, retry->slot_state);
        }
    }
}

static void run_retries(mfi_task *task)
{
    mfi_calls *calls = MFI_CONTAINER(task, mfi_calls, retry_task);
    mfi_turn turn = mfi_turn_begin(calls->state->loop);
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&calls->new_retries)) != NULL;) {
        mfi_async_retry *retry = (mfi_async_retry *)(void *)node;
        mfi_list_push_back(&calls->retries, &retry->listed);
        begin_attempt(retry);
        if (mfi_turn_is_over(&turn)) { /* its callback may make calls */
            (void)mfi_loop_post(calls->state->loop, task);
            return;
        }
    }
    look_for_cancelled(calls);
}

void mfi_retries_init(mfi_calls *calls)
{
    mfi_mpsc_init(&calls->new_retries);
    mfi_task_init(&calls->retry_task, run_retries);
}

void mfi_retries_end(mfi_calls *calls)
{
    mfi_list_node *next = NULL;
    for (mfi_list_node *at = calls->retries.first; at != NULL; at = next) {
        mfi_async_retry *retry = MFI_CONTAINER(at, mfi_async_retry, listed);
        next = at->next;
        if (retry->slot == NULL) {
            begin_attempt(retry); /* the attempt is refused now, and no other follows */
        }
    }
}

/* Makes a copy that does not use the caller's memory. */
static mf_status copy_value(mf_document **ret_copy, const mf_value *value, mf_error *error)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_status status = mf_value_encode(value, &bytes, &size, error);
    if (status == MF_OK) {
        status = mf_document_decode(bytes, size, ret_copy, error);
    }
    free(bytes);
    return status;
}

static mf_status keep_request(mfi_async_retry *retry, const mfi_call_request *from, mf_error *error)
{
    mfi_call_request *request = &retry->request;
    mf_value args = mf_array(from->args.items, from->args.count);
    *request = *from;
    mf_status status = copy_value(&retry->args, &args, error);
    if (status == MF_OK && from->options.metadata != NULL) {
        status = copy_value(&retry->metadata, from->options.metadata, error);
    }
    if (status != MF_OK) {
        return status;
    }
    const mf_value *root = mf_document_root(retry->args);
    request->args = (mf_args){root->as.items, root->length};
    (void)mfi_str_copy(retry->function, sizeof retry->function, from->function);
    request->function = retry->function;
    if (retry->metadata != NULL) {
        request->options.metadata = mf_document_root(retry->metadata);
    }
    if (from->options.namespace_name != NULL) {
        (void)mfi_str_copy(retry->namespace_name, sizeof retry->namespace_name,
                           from->options.namespace_name);
        request->options.namespace_name = retry->namespace_name;
    }
    if (from->options.client_name != NULL) {
        (void)mfi_str_copy(retry->client_name, sizeof retry->client_name,
                           from->options.client_name);
        request->options.client_name = retry->client_name;
    }
    return MF_OK;
}

static mf_status start_with_retries(mfi_calls *calls, const mfi_call_request *from, mf_call_fn done,
                                    void *user_data, mfi_call_handle *ret_handle, mf_error *error)
{
    mfi_async_retry *retry = calloc(1, sizeof *retry);
    if (retry == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a call");
    }
    atomic_init(&retry->holders, 1);
    retry->calls = calls;
    retry->done = done;
    retry->user_data = user_data;
    mfi_timer_init(&retry->timer, on_retry_timer);
    mf_status status = keep_request(retry, from, error);
    if (status == MF_OK) { /* the context is inherited from the call that runs on this thread */
        status = mfi_call_open(calls, &retry->request, &retry->span, error);
    }
    if (status != MF_OK) {
        retry_unref(retry);
        return status;
    }
    /* The context was made from the caller's texts, which are not kept. */
    retry->request.options.correlation_id = NULL;
    retry->request.options.traceparent = NULL;
    retry->request.options.tracestate = NULL;
    retry->request.options.baggage = NULL;
    retry->request.options.retry = NULL;
    atomic_store_explicit(&retry->holders, 2, memory_order_relaxed);
    *ret_handle = (mfi_call_handle){.retry = retry};
    mfi_mpsc_push(&calls->new_retries, &retry->node);
    (void)mfi_loop_post(calls->state->loop, &calls->retry_task);
    return MF_OK;
}

/* ---- Both ---- */

mf_status mfi_call_start_async(mfi_calls *calls, const char *function, mf_args args,
                               const mf_call_options *options, mf_call_fn done, void *user_data,
                               mfi_call_handle *ret_handle, mf_error *error)
{
    mfi_call_request request;
    mf_error local; /* for the log, if the caller passed no error */
    mf_error *detail = error != NULL ? error : &local;
    mfi_error_clear(&local);
    mf_status status = mfi_call_read(calls, function, args, options, &request, detail);
    if (status != MF_OK) {
        return status;
    }
    return request.retry.max_attempts > 1
               ? start_with_retries(calls, &request, done, user_data, ret_handle, detail)
               : start_once(calls, &request, done, user_data, ret_handle, detail);
}

mf_status mf_call_async(mf_parent *parent, const char *function, mf_args args,
                        const mf_call_options *options, mf_call_fn done, void *user_data,
                        mf_error *error)
{
    mfi_call_handle handle = {0};
    if (done == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "done is NULL");
    }
    mf_status status = mfi_call_start_async(mfi_calls_of(parent), function, args, options, done,
                                            user_data, &handle, error);
    mfi_call_handle_fini(&handle);
    return status;
}

void mfi_call_cancel(mfi_calls *calls, const mfi_call_handle *handle)
{
    if (handle->retry != NULL) {
        atomic_store_explicit(&handle->retry->cancelled, true, memory_order_release);
        (void)mfi_loop_post(calls->state->loop, &calls->retry_task);
    } else if (handle->slot != NULL && mfi_calls_give_up(calls, handle->slot, handle->state)) {
        handle->slot->status = MF_ERR_CANCELLED;
        mfi_calls_sweep_soon(calls, handle->slot);
        mfi_calls_deliver(calls, handle->slot, handle->state);
    }
}

void mfi_call_handle_fini(mfi_call_handle *handle)
{
    if (handle->retry != NULL) {
        retry_unref(handle->retry);
    }
    *handle = (mfi_call_handle){0};
}
