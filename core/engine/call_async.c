/* Asynchronous calls. Without retries a call is one slot, and everything it needs lies in there.
 * With retries it has an object of its own, which keeps copies of what the caller gave; its
 * attempts are made on the engine thread. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/engine/call_parts.h"

/* ---- Without retries ---- */

/* The caller's texts may be gone when the call ends. */
static void keep_texts(mfi_slot *slot, const mf_parent *parent)
{
    mfi_span *span = slot->span;
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
    mf_status status = mfi_attempt_end(parent, slot, &result, &error);
    mfi_call_close(parent, slot->span, status, &error);
    slot->done(status, result, status != MF_OK ? &error : NULL, slot->user_data);
}

static mf_status start_once(mf_parent *parent, const mfi_call_request *request, mf_call_fn done,
                            void *user_data, mfi_call_handle *ret_handle, mf_error *error)
{
    mfi_span refused; /* where there is no slot to keep it in, only until the return */
    mfi_slot *slot = mfi_pending_acquire(&parent->pending);
    mfi_span *span = slot != NULL ? &slot->own_span : &refused;
    mf_status status = mfi_call_open(parent, request, span, error);
    if (status != MF_OK) {
        mfi_slot_abandon(&parent->pending, slot);
        return status;
    }
    status = mfi_attempt_begin(parent, request, span, slot, error);
    if (status != MF_OK) {
        mfi_call_close(parent, span, status, error);
        mfi_slot_abandon(&parent->pending, slot);
        return status;
    }
    keep_texts(slot, parent);
    slot->ended = async_ended;
    slot->done = done;
    slot->user_data = user_data;
    *ret_handle = (mfi_call_handle){.slot = slot};
    mfi_call_submit_async(parent, slot, &ret_handle->state);
    return MF_OK;
}

/* ---- With retries ---- */

typedef struct mfi_async_retry mfi_async_retry;

struct mfi_async_retry {
    mfi_mpsc_node node; /* first member; on its way to the engine thread */
    _Atomic(uint32_t) holders;
    _Atomic(bool) cancelled; /* release by who cancels, acquire by the engine */
    mf_parent *parent;
    mf_call_fn done;
    void *user_data;
    /* Written before it is pushed, then the engine thread's own. */
    mfi_call_request request;
    mfi_span span;
    mf_document *args, *metadata;
    char function[MFI_NAME_MAX_BYTES + 1];
    char namespace_name[MFI_NAME_MAX_BYTES + 1];
    char client_name[MFI_NAME_MAX_BYTES + 1];
    mfi_timer timer;
    bool begun;     /* its beginning was reported */
    mfi_slot *slot; /* of the attempt that goes on, or NULL */
    uint64_t slot_state;
    mfi_list_node listed; /* in parent->retries */
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
    mfi_list_remove(&retry->parent->retries, &retry->listed);
    mfi_timer_cancel(retry->parent->runtime->loop, &retry->timer);
    mfi_call_close(retry->parent, &retry->span, status, error);
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
        mfi_observe_call_begin(retry->parent->runtime->observer, &retry->span);
    }
    (void)mfi_fail(&error, MF_ERR_CANCELLED, "'%s': the call of '%s' was cancelled",
                   retry->parent->settings.target, retry->function);
    retry_done(retry, MF_ERR_CANCELLED, NULL, &error);
}

/* The attempt has failed: waits for the next one, or ends it all. */
static void attempt_failed(mfi_async_retry *retry, mf_status status, const mf_error *error)
{
    uint64_t wait_ns = 0;
    mfi_loop *loop = retry->parent->runtime->loop;
    if (is_cancelled(retry)) { /* while it was ending: nobody will look for that again */
        end_cancelled(retry);
    } else if (!mfi_call_again(retry->parent, &retry->request, &retry->span, status, error,
                               &wait_ns)) {
        retry_done(retry, status, NULL, error);
    } else {
        (void)mfi_timer_set(loop, &retry->timer, mfi_loop_now(loop) + wait_ns);
    }
}

static void retry_ended(void *owner, mfi_slot *slot)
{
    mf_parent *parent = owner;
    mfi_async_retry *retry = slot->user_data;
    mf_result *result = NULL;
    mf_error error;
    mfi_error_clear(&error);
    retry->slot = NULL;
    mf_status status = mfi_attempt_end(parent, slot, &result, &error);
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
    mfi_slot *slot = mfi_pending_acquire(&retry->parent->pending);
    mf_status status =
        mfi_attempt_begin(retry->parent, &retry->request, &retry->span, slot, &error);
    if (status != MF_OK) {
        mfi_slot_abandon(&retry->parent->pending, slot);
        attempt_failed(retry, status, &error);
        return;
    }
    slot->ended = retry_ended;
    slot->user_data = retry;
    retry->slot = slot;
    mfi_call_submit_async(retry->parent, slot, &retry->slot_state);
}

static void on_retry_timer(mfi_timer *timer)
{
    begin_attempt(MFI_CONTAINER(timer, mfi_async_retry, timer));
}

static void look_for_cancelled(mf_parent *parent)
{
    mfi_list_node *next = NULL;
    for (mfi_list_node *node = parent->retries.first; node != NULL; node = next) {
        mfi_async_retry *retry = MFI_CONTAINER(node, mfi_async_retry, listed);
        next = node->next;
        if (!is_cancelled(retry)) {
            continue;
        }
        if (retry->slot == NULL) {
            end_cancelled(retry);
        } else if (mfi_slot_claim(retry->slot, retry->slot_state)) {
            retry->slot->status = MF_ERR_CANCELLED;
            mfi_call_ended(parent, retry->slot, retry->slot_state);
        }
    }
}

void mfi_retries_run(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, retry_task);
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&parent->new_retries)) != NULL;) {
        mfi_async_retry *retry = (mfi_async_retry *)(void *)node;
        mfi_list_insert(&parent->retries, parent->retries.first, &retry->listed);
        begin_attempt(retry);
    }
    look_for_cancelled(parent);
}

void mfi_retries_end(mf_parent *parent)
{
    mfi_list_node *next = NULL;
    for (mfi_list_node *node = parent->retries.first; node != NULL; node = next) {
        mfi_async_retry *retry = MFI_CONTAINER(node, mfi_async_retry, listed);
        next = node->next;
        if (retry->slot == NULL) {
            begin_attempt(retry); /* is refused now, and for good */
        }
    }
}

/* A copy that is independent of the caller's memory. */
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

static mf_status start_with_retries(mf_parent *parent, const mfi_call_request *from,
                                    mf_call_fn done, void *user_data, mfi_call_handle *ret_handle,
                                    mf_error *error)
{
    mfi_async_retry *retry = calloc(1, sizeof *retry);
    if (retry == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a call");
    }
    atomic_init(&retry->holders, 1);
    retry->parent = parent;
    retry->done = done;
    retry->user_data = user_data;
    mfi_timer_init(&retry->timer, on_retry_timer);
    mf_status status = keep_request(retry, from, error);
    if (status == MF_OK) { /* the context is inherited from the call that runs on this thread */
        status = mfi_call_open(parent, &retry->request, &retry->span, error);
    }
    if (status != MF_OK) {
        retry_unref(retry);
        return status;
    }
    /* The texts that made the context are the caller's: they were used, and are not kept. */
    retry->request.options.correlation_id = NULL;
    retry->request.options.traceparent = NULL;
    retry->request.options.retry = NULL;
    atomic_store_explicit(&retry->holders, 2, memory_order_relaxed);
    *ret_handle = (mfi_call_handle){.retry = retry};
    mfi_mpsc_push(&parent->new_retries, &retry->node);
    (void)mfi_loop_post(parent->runtime->loop, &parent->retry_task);
    return MF_OK;
}

/* ---- Both ---- */

mf_status mfi_call_start_async(mf_parent *parent, const char *function, mf_args args,
                               const mf_call_options *options, mf_call_fn done, void *user_data,
                               mfi_call_handle *ret_handle, mf_error *error)
{
    mfi_call_request request;
    mf_error local; /* the log wants the text even if the caller does not */
    mf_error *detail = error != NULL ? error : &local;
    mfi_error_clear(&local);
    mf_status status = mfi_call_read(parent, function, args, options, &request, detail);
    if (status != MF_OK) {
        return status;
    }
    return request.retry.max_attempts > 1
               ? start_with_retries(parent, &request, done, user_data, ret_handle, detail)
               : start_once(parent, &request, done, user_data, ret_handle, detail);
}

mf_status mf_call_async(mf_parent *parent, const char *function, mf_args args,
                        const mf_call_options *options, mf_call_fn done, void *user_data,
                        mf_error *error)
{
    mfi_call_handle handle = {0};
    if (done == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "done is NULL");
    }
    mf_status status =
        mfi_call_start_async(parent, function, args, options, done, user_data, &handle, error);
    mfi_call_handle_fini(&handle);
    return status;
}

void mfi_call_cancel(mf_parent *parent, const mfi_call_handle *handle)
{
    if (handle->retry != NULL) {
        atomic_store_explicit(&handle->retry->cancelled, true, memory_order_release);
        (void)mfi_loop_post(parent->runtime->loop, &parent->retry_task);
    } else if (handle->slot != NULL && mfi_slot_claim(handle->slot, handle->state)) {
        handle->slot->status = MF_ERR_CANCELLED;
        mfi_call_ended(parent, handle->slot, handle->state);
    }
}

void mfi_call_handle_fini(mfi_call_handle *handle)
{
    if (handle->retry != NULL) {
        retry_unref(handle->retry);
    }
    *handle = (mfi_call_handle){0};
}
