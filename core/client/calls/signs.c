/* Signs of life of a peer. They exist apart from the calls, because a call that was given up leaves
 * its slot, while the peer may still work on it: then silence is no sign of a frozen peer, and what
 * the peer prints may belong to that call. */
#include "core/client/calls/signs.h"

void mfi_signs_end(mfi_signs *signs)
{
    atomic_store_explicit(&signs->says_busy, false, memory_order_relaxed);
    atomic_store_explicit(&signs->busy_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&signs->queue_length, 0, memory_order_relaxed);
    atomic_store_explicit(&signs->says_load, false, memory_order_relaxed);
    atomic_store_explicit(&signs->load, 0, memory_order_relaxed);
    atomic_store_explicit(&signs->says_draining, false, memory_order_relaxed);
}

void mfi_signs_begin(mfi_signs *signs)
{
    mfi_signs_end(signs);
    atomic_store_explicit(&signs->heard_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&signs->given_up, 0, memory_order_relaxed);
    atomic_store_explicit(&signs->given_up_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&signs->handlers, 0, memory_order_relaxed);
}

void mfi_signs_forgive_counted(mfi_signs *signs, uint32_t count)
{
    (void)atomic_compare_exchange_strong_explicit(&signs->given_up, &count, 0, memory_order_relaxed,
                                                  memory_order_relaxed);
}

void mfi_signs_forgive(mfi_signs *signs, uint64_t sent_ns)
{
    /* The count is read first: a call that is given up meanwhile raises its time before the count,
     * so either its time is seen here or the count has changed, and stays. */
    uint32_t count = atomic_load_explicit(&signs->given_up, memory_order_acquire);
    if (count > 0 && mfi_signs_in_order(signs) &&
        sent_ns > atomic_load_explicit(&signs->given_up_ns, memory_order_relaxed)) {
        mfi_signs_forgive_counted(signs, count);
    }
}

void mfi_signs_give_up(mfi_signs *signs, uint64_t sent_ns)
{
    uint64_t last = atomic_load_explicit(&signs->given_up_ns, memory_order_relaxed);
    while (last < sent_ns &&
           !atomic_compare_exchange_weak_explicit(&signs->given_up_ns, &last, sent_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    atomic_fetch_add_explicit(&signs->given_up, 1, memory_order_release);
}

void mfi_signs_late(mfi_signs *signs)
{
    uint32_t count = atomic_load_explicit(&signs->given_up, memory_order_relaxed);
    while (count > 0 &&
           !atomic_compare_exchange_weak_explicit(&signs->given_up, &count, count - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void mfi_signs_beat(mfi_signs *signs, const mfi_metadata *metadata, bool late)
{
    atomic_store_explicit(&signs->handlers, (uint32_t)metadata->handlers, memory_order_relaxed);
    atomic_store_explicit(&signs->says_draining, metadata->says_draining, memory_order_relaxed);
    if (metadata->says_busy) {
        atomic_store_explicit(&signs->says_busy, true, memory_order_relaxed);
        atomic_store_explicit(&signs->busy_ms, metadata->busy_ms, memory_order_relaxed);
        atomic_store_explicit(&signs->queue_length, metadata->queue_length, memory_order_relaxed);
    }
    if (late) {
        (void)mfi_loop_post(signs->loop, signs->late_task);
    }
}
