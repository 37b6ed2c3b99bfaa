/* A thread that waits for the end of its call: one futex word for "done" and for "you drive now".
 * It exists so that a driver wakes exactly one thread, and makes no system call if that thread does
 * not block. */
#include "core/engine/waiter.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/mutex.h"

void mfi_waiter_init(mfi_waiter *waiter)
{
    atomic_init(&waiter->signal, 0);
    waiter->node.is_listed = false;
}

void mfi_waiter_signal(mfi_waiter *waiter, uint32_t bit)
{
    _Atomic(uint32_t) *word = &waiter->signal;
    if ((atomic_fetch_or_explicit(word, bit, memory_order_acq_rel) & MFI_WAITER_WAITING) != 0) {
        mfi_futex_wake(word, 1); /* harmless if the word is freed already */
    }
}

void mfi_waiter_done(mfi_waiter *waiter)
{
    mfi_waiter_signal(waiter, MFI_WAITER_DONE);
}

bool mfi_waiter_is_done(const mfi_waiter *waiter)
{
    return (atomic_load_explicit(&waiter->signal, memory_order_acquire) & MFI_WAITER_DONE) != 0;
}

uint32_t mfi_waiter_block(mfi_waiter *waiter, uint32_t bits, uint64_t deadline_ns)
{
    uint32_t word =
        atomic_fetch_or_explicit(&waiter->signal, MFI_WAITER_WAITING, memory_order_acq_rel) |
        MFI_WAITER_WAITING;
    while ((word & bits) == 0 && (deadline_ns == MFI_NEVER || mfi_monotonic_ns() < deadline_ns)) {
        mfi_futex_wait(&waiter->signal, word, deadline_ns);
        word = atomic_load_explicit(&waiter->signal, memory_order_acquire);
    }
    return word;
}

void mfi_waiter_wait(mfi_waiter *waiter)
{
    (void)mfi_waiter_block(waiter, MFI_WAITER_DONE, MFI_NEVER);
}
