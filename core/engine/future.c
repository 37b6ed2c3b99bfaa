/* A future: an asynchronous call whose callback leaves the outcome where a thread can wait for it.
 * Shared by that callback and the user; the last of the two frees it. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "core/engine/parent.h"

struct mf_future {
    _Atomic(uint32_t) holders;
    _Atomic(uint32_t) ended; /* release by the callback, acquire by the waiter */
    mfi_loop *loop;
    bool taken; /* the waiter's */
    mf_status status;
    mf_result *result;
    mf_error error;
};

static void future_unref(mf_future *future)
{
    if (atomic_fetch_sub_explicit(&future->holders, 1, memory_order_acq_rel) == 1) {
        mf_result_destroy(future->result);
        free(future);
    }
}

static void future_ended(mf_status status, mf_result *result, const mf_error *error,
                         void *user_data)
{
    mf_future *future = user_data;
    future->status = status;
    future->result = result;
    mfi_error_copy(&future->error, error);
    atomic_store_explicit(&future->ended, 1, memory_order_release);
    mfi_futex_wake(&future->ended, 1);
    future_unref(future);
}

mf_status mf_call_future(mf_parent *parent, const char *function, mf_args args,
                         const mf_call_options *options, mf_future **ret_future, mf_error *error)
{
    if (parent == NULL || ret_future == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is NULL",
                        parent == NULL ? "parent" : "ret_future");
    }
    mf_future *future = malloc(sizeof *future);
    if (future == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a future");
    }
    atomic_init(&future->holders, 2);
    atomic_init(&future->ended, 0);
    future->loop = parent->runtime->loop;
    future->taken = false;
    future->status = MF_OK;
    future->result = NULL;
    mfi_error_clear(&future->error);
    mf_status status = mf_call_async(parent, function, args, options, future_ended, future, error);
    if (status != MF_OK) {
        free(future);
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
    while (atomic_load_explicit(&future->ended, memory_order_acquire) == 0) {
        if (deadline != MFI_NEVER && mfi_monotonic_ns() >= deadline) {
            return mfi_fail(error, MF_ERR_TIMEOUT,
                            "the call is still going on after a wait of %lld ms",
                            (long long)timeout_ms);
        }
        mfi_futex_wait(&future->ended, 0, deadline);
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

void mf_future_destroy(mf_future *future)
{
    if (future != NULL) {
        future_unref(future);
    }
}
