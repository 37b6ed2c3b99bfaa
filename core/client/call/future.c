/* A future: an asynchronous call whose callback keeps the outcome, so that a thread can wait for
 * it. The callback and the user share the future; the last of the two frees it. */
#include <stdatomic.h>

#include "base/cache.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "core/client/call/async.h"

#define FUTURE_ENDED 1u
#define FUTURE_WAITED 2u /* a thread blocks on the word, or is about to */

struct mf_future {
    _Atomic(uint32_t) holders;
    _Atomic(uint32_t) state; /* FUTURE_* bits: release by the callback, acquire by the waiter */
    mfi_loop *loop;
    mfi_calls *calls;       /* for cancelling */
    mfi_call_handle handle; /* the user's, as are calls and taken */
    bool taken;
    mf_status status;
    mf_result *result;
    mf_error error;
};

/* Counts futures that have ended, in the whole process. A thread that waits for any of several
 * futures checks all of them after every count. Such waits are rare, so a future keeps no list of
 * the threads that wait for it. */
static _Atomic(uint32_t) any_ended;
static _Atomic(uint32_t) any_waiting;

static mfi_cache futures_cache = MFI_CACHE_INIT(mf_future, NULL);

static void future_unref(mf_future *future)
{
    if (atomic_fetch_sub_explicit(&future->holders, 1, memory_order_acq_rel) == 1) {
        mf_result_destroy(future->result);
        mfi_cache_put(&futures_cache, future);
    }
}

static bool has_ended(uint32_t state)
{
    return (state & FUTURE_ENDED) != 0;
}

/* True if the call has ended; false if the deadline passed before. */
static bool wait_for_end(mf_future *future, uint64_t deadline_ns)
{
    uint32_t state = atomic_load_explicit(&future->state, memory_order_acquire);
    while (!has_ended(state) && (deadline_ns == MFI_NEVER || mfi_monotonic_ns() < deadline_ns)) {
        state = atomic_fetch_or_explicit(&future->state, FUTURE_WAITED, memory_order_acq_rel) |
                FUTURE_WAITED;
        if (!has_ended(state)) {
            mfi_futex_wait(&future->state, state, deadline_ns);
            state = atomic_load_explicit(&future->state, memory_order_acquire);
        }
    }
    return has_ended(state);
}

static void future_ended(mf_status status, mf_result *result, const mf_error *error,
                         void *user_data)
{
    mf_future *future = user_data;
    future->status = status;
    future->result = result;
    mfi_error_copy(&future->error, error);
    uint32_t before = atomic_exchange_explicit(&future->state, FUTURE_ENDED, memory_order_acq_rel);
    if ((before & FUTURE_WAITED) != 0) {
        mfi_futex_wake(&future->state, INT32_MAX);
    }
    /* acq_rel both: either this thread sees the waiting thread, or the waiting thread sees the end.
     */
    atomic_fetch_add_explicit(&any_ended, 1, memory_order_acq_rel);
    if (atomic_load_explicit(&any_waiting, memory_order_acquire) > 0) {
        mfi_futex_wake(&any_ended, INT32_MAX);
    }
    future_unref(future);
}

mf_status mf_call_future(mf_parent *parent, const char *function, mf_args args,
                         const mf_call_options *options, mf_future **ret_future, mf_error *error)
{
    if (parent == NULL || ret_future == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is NULL",
                        parent == NULL ? "parent" : "ret_future");
    }
    mfi_calls *calls = mfi_calls_of(parent);
    mf_future *future = mfi_cache_get(&futures_cache);
    if (future == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a future");
    }
    atomic_init(&future->holders, 2);
    atomic_init(&future->state, 0);
    future->loop = calls->state->loop;
    future->calls = calls;
    future->handle = (mfi_call_handle){0};
    future->taken = false;
    future->status = MF_OK;
    future->result = NULL;
    mfi_error_clear(&future->error);
    mf_status status = mfi_call_start_async(calls, function, args, options, future_ended, future,
                                            &future->handle, error);
    if (status != MF_OK) {
        mfi_cache_put(&futures_cache, future);
        return status;
    }
    *ret_future = future;
    return MF_OK;
}

mf_status mf_future_wait(mf_future *future, int64_t timeout_ms, mf_result **ret_result,
                         mf_error *error)
{
    if (future == NULL || timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s",
                        future == NULL ? "future is NULL" : "timeout_ms must not be negative");
    }
    if (future->taken) {
        return mfi_fail(error, MF_ERR_STATE, "the future's outcome was taken already");
    }
    if (timeout_ms > 0 && mfi_loop_on_thread(future->loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a future cannot be waited for in a callback: it would wait for itself");
    }
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    if (!wait_for_end(future, deadline)) {
        return mfi_fail(error, MF_ERR_TIMEOUT, "the call is still going on after a wait of %lld ms",
                        (long long)timeout_ms);
    }
    future->taken = true;
    if (future->status != MF_OK) {
        mfi_error_copy(error, &future->error);
    } else if (ret_result != NULL) {
        *ret_result = future->result;
        future->result = NULL;
    }
    return future->status;
}

void mf_future_cancel(mf_future *future)
{
    if (future != NULL && !mf_future_is_done(future)) {
        mfi_call_cancel(future->calls, &future->handle);
    }
}

bool mf_future_is_done(const mf_future *future)
{
    return future != NULL && has_ended(atomic_load_explicit(&future->state, memory_order_acquire));
}

/* ---- Several at once ---- */

static mf_status check_wait(mf_future *const *futures, size_t count, int64_t timeout_ms,
                            mf_error *error)
{
    if ((futures == NULL && count > 0) || timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s",
                        timeout_ms < 0 ? "timeout_ms must not be negative" : "futures is NULL");
    }
    for (size_t i = 0; i < count; i++) {
        if (futures[i] != NULL && timeout_ms > 0 && mfi_loop_on_thread(futures[i]->loop)) {
            return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                            "futures cannot be waited for in a callback");
        }
    }
    return MF_OK;
}

static size_t count_open(mf_future *const *futures, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        open += futures[i] != NULL && !mf_future_is_done(futures[i]);
    }
    return open;
}

mf_status mf_futures_wait_all(mf_future *const *futures, size_t count, int64_t timeout_ms,
                              mf_error *error)
{
    mf_status status = check_wait(futures, count, timeout_ms, error);
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    for (size_t i = 0; status == MF_OK && i < count; i++) {
        if (futures[i] != NULL && !wait_for_end(futures[i], deadline)) {
            return mfi_fail(error, MF_ERR_TIMEOUT,
                            "%zu of %zu calls are still going on after a wait of %lld ms",
                            count_open(futures, count), count, (long long)timeout_ms);
        }
    }
    return status;
}

/* Index of the first future that has ended; count if none has. */
static size_t find_ended(mf_future *const *futures, size_t count)
{
    size_t index = 0;
    while (index < count && !mf_future_is_done(futures[index])) {
        index++;
    }
    return index;
}

mf_status mf_futures_wait_any(mf_future *const *futures, size_t count, int64_t timeout_ms,
                              size_t *ret_index, mf_error *error)
{
    mf_status status = check_wait(futures, count, timeout_ms, error);
    if (status != MF_OK) {
        return status;
    }
    size_t there = 0;
    for (size_t i = 0; i < count; i++) {
        there += futures[i] != NULL;
    }
    if (ret_index == NULL || there == 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s",
                        ret_index == NULL ? "ret_index is NULL" : "there is no future to wait for");
    }
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    size_t index = find_ended(futures, count);
    atomic_fetch_add_explicit(&any_waiting, 1, memory_order_acq_rel);
    while (index == count && (deadline == MFI_NEVER || mfi_monotonic_ns() < deadline)) {
        uint32_t seen = atomic_fetch_add_explicit(&any_ended, 0, memory_order_acq_rel);
        index = find_ended(futures, count);
        if (index == count) {
            mfi_futex_wait(&any_ended, seen, deadline);
            index = find_ended(futures, count);
        }
    }
    atomic_fetch_sub_explicit(&any_waiting, 1, memory_order_acq_rel);
    if (index == count) {
        return mfi_fail(error, MF_ERR_TIMEOUT,
                        "none of %zu calls has ended after a wait of %lld ms", there,
                        (long long)timeout_ms);
    }
    *ret_index = index;
    return MF_OK;
}

void mf_future_destroy(mf_future *future)
{
    if (future != NULL) {
        mfi_call_handle_fini(&future->handle);
        future_unref(future);
    }
}
