#include "core/client/member.h"

#include "core/client/parent.h"

void mfi_member_stop_begin(mf_parent *parent)
{
    if (mfi_parent_state(parent) != MF_PARENT_CREATED) {
        (void)mfi_loop_post(parent->runtime->loop, &parent->stop_task);
    }
}

uint32_t mfi_member_calls_open(const mf_parent *parent)
{
    return atomic_load_explicit(&parent->calls_open, memory_order_acquire);
}

void mfi_member_drain_begin(mf_parent *parent, mfi_drain_reason reason)
{
    atomic_store_explicit(&parent->drain_since_ns, mfi_monotonic_ns(), memory_order_relaxed);
    /* acq_rel, and the read of calls_open in is_idle is a write too: see mfi_call_closed() */
    (void)atomic_exchange_explicit(&parent->draining, true, memory_order_acq_rel);
    mfi_observe_drain(parent->observed,
                      &(mfi_drain_event){.begins = true,
                                         .reason = reason,
                                         .calls_left = mfi_member_calls_open(parent)});
}

uint32_t mfi_member_drain_news(const mf_parent *parent)
{
    return atomic_load_explicit(&parent->drain_news, memory_order_acquire);
}

void mfi_member_drain_sleep(mf_parent *parent, uint32_t news, uint64_t deadline_ns)
{
    mfi_futex_wait(&parent->drain_news, news, deadline_ns);
}

void mfi_member_drain_tell(mf_parent *parent)
{
    atomic_fetch_add_explicit(&parent->drain_news, 1, memory_order_acq_rel);
    mfi_futex_wake(&parent->drain_news, INT32_MAX);
}

bool mfi_member_is_idle(mf_parent *parent)
{
    return atomic_fetch_add_explicit(&parent->calls_open, 0, memory_order_acq_rel) == 0;
}

void mfi_member_drain_report(mf_parent *parent, mfi_drain_reason reason)
{
    uint64_t since = atomic_load_explicit(&parent->drain_since_ns, memory_order_relaxed);
    mfi_observe_drain(parent->observed,
                      &(mfi_drain_event){.reason = reason,
                                         .calls_left = mfi_member_calls_open(parent),
                                         .duration_ns = mfi_monotonic_ns() - since});
}

void mfi_member_drain_end(mf_parent *parent)
{
    atomic_store_explicit(&parent->draining, false, memory_order_relaxed);
}
