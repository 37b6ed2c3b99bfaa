/* Answers that any thread gives after the handler has returned. They exist so that a handler that
 * waits for something does not hold a thread.
 *
 * mf_reply_defer() moves all that an answer needs from the handler's stack into a handle. The user
 * owns the handle until the one call that answers. An open handle is also in the child's list. Four
 * events end it: the user's call, the timer (engine thread), a handler that fails after it
 * deferred, and the end of the child. The first of them takes the handle out of the list, under the
 * mutex, and answers; later ones find the handle taken. The list is freed with the last handle,
 * even if the child is destroyed before.
 *
 * All answers have the same timeout. So the list is sorted by deadline, and one timer, for the
 * first handle, is enough. */
#include "core/server/deferred.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/carried.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/str.h"
#include "core/wire/limits.h"

struct mf_deferred {
    mfi_deferrals *owner;
    mfi_list_node node; /* listed: open. Guarded by the owner's mutex, as are the next two */
    mf_status outcome;  /* why the child answered in the user's place */
    uint64_t number;
    uint64_t expires_ns;
    mf_reply reply; /* the thread that makes the one call owns its result and error text */
    mfi_server_span span;
    char id[MFI_ID_MAX_BYTES];
    char function[MFI_NAME_MAX_BYTES + 1];
};

struct mfi_deferrals {
    _Atomic(uint32_t) references; /* the child's, and one for every handle */
    mfi_channel *channel;
    mfi_child_state *state;
    int64_t timeout_ms;
    mfi_mutex mutex; /* to be locked before the driver's */
    mfi_list open;
    uint64_t numbers;
    mfi_task arm;
    mfi_timer timer; /* the engine thread's alone */
};

/* ---- Life ---- */

void mfi_deferrals_unref(mfi_deferrals *deferrals)
{
    if (deferrals != NULL &&
        atomic_fetch_sub_explicit(&deferrals->references, 1, memory_order_acq_rel) == 1) {
        mfi_mutex_fini(&deferrals->mutex);
        free(deferrals);
    }
}

static void handle_free(mf_deferred *deferred)
{
    mfi_reply_fini(&deferred->reply);
    mfi_deferrals_unref(deferred->owner);
    free(deferred);
}

/* ---- Answering: mutex held, and the handle is open ---- */

static void take_out_locked(mf_deferred *deferred, mf_status outcome)
{
    mfi_deferrals *owner = deferred->owner;
    mfi_list_remove(&owner->open, &deferred->node);
    deferred->outcome = outcome;
    atomic_fetch_sub_explicit(&owner->state->deferred, 1, memory_order_relaxed);
}

/* Answers in the user's place. Does not touch the reply, because the user's thread may be filling
 * it. */
static void answer_for_user_locked(mf_deferred *deferred, mf_status outcome, const char *type,
                                   const char *format, ...) MF_PRINTF(4, 5);
static void answer_for_user_locked(mf_deferred *deferred, mf_status outcome, const char *type,
                                   const char *format, ...)
{
    mf_reply reply;
    va_list args;
    take_out_locked(deferred, outcome);
    (void)mfi_reply_init(&reply, deferred->owner->channel, &deferred->reply.out->route,
                         deferred->reply.id, &deferred->span, 0);
    reply.received = deferred->reply.received;
    reply.deadline_ns = deferred->reply.deadline_ns;
    reply.load = deferred->reply.load;
    va_start(args, format);
    mfi_reply_verror(&reply, type, format, args);
    va_end(args);
    mfi_reply_finish(&reply, outcome);
}

/* ---- The timer: engine thread ---- */

static void set_timer(mfi_deferrals *deferrals, uint64_t deadline_ns)
{
    /* Without memory for the timer, answers stay open until they are given or the child stops. */
    (void)mfi_timer_set(deferrals->channel->loop, &deferrals->timer, deadline_ns);
}

/* The oldest open handle; NULL if none is open. */
static mf_deferred *first_locked(const mfi_deferrals *deferrals)
{
    return MFI_CONTAINER_OR_NULL(deferrals->open.first, mf_deferred, node);
}

static uint64_t first_expires_locked(const mfi_deferrals *deferrals)
{
    const mf_deferred *first = first_locked(deferrals);
    return first != NULL ? first->expires_ns : MFI_NEVER;
}

static void on_timer(mfi_timer *timer)
{
    mfi_deferrals *deferrals = MFI_CONTAINER(timer, mfi_deferrals, timer);
    uint64_t now = mfi_monotonic_ns();
    mfi_mutex_lock(&deferrals->mutex);
    while (first_expires_locked(deferrals) <= now) {
        answer_for_user_locked(first_locked(deferrals), MF_ERR_TIMEOUT, "TimeoutError",
                               "no answer within %lld ms", (long long)deferrals->timeout_ms);
    }
    uint64_t next = first_expires_locked(deferrals);
    mfi_mutex_unlock(&deferrals->mutex);
    (void)mfi_driver_kick(&deferrals->channel->driver);
    set_timer(deferrals, next);
}

static void on_arm(mfi_task *task)
{
    mfi_deferrals *deferrals = MFI_CONTAINER(task, mfi_deferrals, arm);
    mfi_mutex_lock(&deferrals->mutex);
    uint64_t next = first_expires_locked(deferrals);
    mfi_mutex_unlock(&deferrals->mutex);
    set_timer(deferrals, next);
}

static void cancel_timer(void *argument)
{
    mfi_deferrals *deferrals = argument;
    mfi_timer_cancel(deferrals->channel->loop, &deferrals->timer);
}

mf_status mfi_deferrals_create(mfi_deferrals **ret_deferrals, mfi_channel *channel,
                               mfi_child_state *state, int64_t timeout_ms, mf_error *error)
{
    mfi_deferrals *deferrals = calloc(1, sizeof *deferrals);
    if (deferrals == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for deferred answers");
    }
    atomic_init(&deferrals->references, 1);
    deferrals->channel = channel;
    deferrals->state = state;
    deferrals->timeout_ms = timeout_ms;
    mfi_mutex_init(&deferrals->mutex);
    mfi_task_init(&deferrals->arm, on_arm);
    mfi_timer_init(&deferrals->timer, on_timer);
    *ret_deferrals = deferrals;
    return MF_OK;
}

void mfi_deferrals_close(mfi_deferrals *deferrals)
{
    mfi_mutex_lock(&deferrals->mutex);
    while (deferrals->open.first != NULL) {
        answer_for_user_locked(first_locked(deferrals), MF_ERR_CANCELLED, "CancelledError",
                               "the worker is stopping");
    }
    mfi_mutex_unlock(&deferrals->mutex);
    /* On the engine thread, after a task that may arm the timer. */
    mfi_loop_call(deferrals->channel->loop, cancel_timer, deferrals);
}

/* ---- The handler's side ---- */

static void append_locked(mfi_deferrals *owner, mf_deferred *deferred)
{
    atomic_fetch_add_explicit(&owner->state->deferred, 1, memory_order_relaxed);
    deferred->number = ++owner->numbers;
    mfi_list_push_back(&owner->open, &deferred->node);
}

/* Moves the reply into the handle. The handler's reply keeps nothing. */
static void move_reply(mf_deferred *deferred, mf_reply *from)
{
    deferred->span = *from->span;
    /* The answer may be given while the handler still uses the texts of its request. */
    deferred->span.context.carried = mfi_carried_hold(from->span->context.carried);
    (void)mfi_str_copy(deferred->function, sizeof deferred->function, from->span->function_name);
    deferred->span.function_name = deferred->function;
    /* Its length was checked when the call was queued. */
    memcpy(deferred->id, from->id.data, from->id.size);
    deferred->reply = *from;
    deferred->reply.span = &deferred->span;
    deferred->reply.id = (mfi_text){deferred->id, from->id.size};
    deferred->reply.mark = NULL; /* its thread counts the handler */
    deferred->reply.has_result = false;
    deferred->reply.has_error = false;
    mfi_buf_clear(&deferred->reply.out->buf);
    mfi_buf_clear(&deferred->reply.error_text);
    from->out = NULL;
    from->pairs = NULL;
    mfi_buf_init(&from->error_text, MFI_ERROR_TEXT_MAX_BYTES);
}

mf_deferred *mf_reply_defer(mf_reply *reply)
{
    if (reply == NULL || reply->deferred != 0) {
        return NULL;
    }
    mfi_deferrals *owner = reply->deferrals;
    mf_deferred *deferred = calloc(1, sizeof *deferred);
    if (deferred == NULL) {
        return NULL;
    }
    move_reply(deferred, reply);
    deferred->owner = owner;
    atomic_fetch_add_explicit(&owner->references, 1, memory_order_relaxed);
    mfi_mutex_lock(&owner->mutex);
    bool first = owner->open.first == NULL;
    /* Under the mutex, so that the list is sorted by deadline. */
    deferred->expires_ns = mfi_deadline_after_ms(mfi_monotonic_ns(), owner->timeout_ms);
    append_locked(owner, deferred);
    reply->deferred = deferred->number;
    mfi_mutex_unlock(&owner->mutex);
    if (first) { /* else the timer is set to an earlier deadline already */
        (void)mfi_loop_post(owner->channel->loop, &owner->arm);
    }
    return deferred;
}

static mf_deferred *find_locked(mfi_deferrals *owner, uint64_t number)
{
    mfi_list_node *node = owner->open.last; /* mostly one of the newest handles */
    while (node != NULL && MFI_CONTAINER(node, mf_deferred, node)->number > number) {
        node = node->previous;
    }
    mf_deferred *deferred = MFI_CONTAINER_OR_NULL(node, mf_deferred, node);
    return deferred != NULL && deferred->number == number ? deferred : NULL;
}

void mfi_deferrals_handler_returned(const mf_reply *reply, mf_status status, const mf_error *error)
{
    mfi_deferrals *owner = reply->deferrals;
    bool failed = false;
    mfi_mutex_lock(&owner->mutex);
    mf_deferred *deferred = find_locked(owner, reply->deferred);
    if (deferred != NULL) {
        deferred->span.released_ns = mfi_monotonic_ns();
        deferred->span.handler_times = reply->span->handler_times;
        failed = status != MF_OK;
        mfi_observe_server_deferred(&deferred->span);
    }
    if (failed) {
        bool unpack_failed = error->code != MF_OK;
        answer_for_user_locked(deferred, MF_ERR_CANCELLED,
                               unpack_failed ? "TypeError" : "RuntimeError", "%s",
                               unpack_failed ? error->message : mf_strerror(status));
    }
    mfi_mutex_unlock(&owner->mutex);
}

/* ---- The user's one call ---- */

static mf_status give(mf_deferred *deferred, mf_status status)
{
    mfi_deferrals *owner = deferred->owner;
    mfi_mutex_lock(&owner->mutex);
    if (deferred->node.is_listed) {
        take_out_locked(deferred, MF_OK);
        mfi_reply_finish(&deferred->reply, MF_OK);
        (void)mfi_driver_kick(&owner->channel->driver);
    } else {
        status = deferred->outcome;
    }
    mfi_mutex_unlock(&owner->mutex);
    handle_free(deferred);
    return status;
}

mf_status mf_deferred_set(mf_deferred *deferred, mf_value value)
{
    if (deferred == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    return give(deferred, mf_reply_set(&deferred->reply, value));
}

mf_status mf_deferred_error(mf_deferred *deferred, const char *type, const char *format, ...)
{
    va_list args;
    if (deferred == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    va_start(args, format);
    mfi_reply_verror(&deferred->reply, type, format, args);
    va_end(args);
    return give(deferred, MF_OK);
}
