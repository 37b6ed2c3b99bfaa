/* A parent as a member of a pool: the functions that only a pool needs. It exists so that pools
 * need not see the inside of a parent. */
#include "core/client/member.h"

#include "core/client/call/call.h"
#include "core/client/parent.h"

mf_status mfi_member_create(mf_parent **ret_parent, const mf_parent_options *options,
                            mf_error *error)
{
    return mfi_parent_make(ret_parent, options, true, error);
}

const char *mfi_member_target(const mf_parent *parent)
{
    return parent->state.settings.target;
}

const char *mfi_member_worker(const mf_parent *parent)
{
    return parent->state.settings.worker;
}

int64_t mfi_member_call_timeout_ms(const mf_parent *parent)
{
    return parent->state.settings.call_timeout_ms;
}

bool mfi_member_fails_fast(const mf_parent *parent)
{
    return parent->state.settings.fail_fast;
}

mf_parent_state mfi_member_state(const mf_parent *parent)
{
    return mfi_state_get(&parent->state);
}

bool mfi_member_circuit_is_open(const mf_parent *parent)
{
    mfi_circuit_state state = mfi_circuit_get_state(&parent->state.circuit);
    return state == MFI_CIRCUIT_OPEN || state == MFI_CIRCUIT_FORCED_OPEN;
}

bool mfi_member_is_frozen(const mf_parent *parent)
{
    return mfi_parent_is_frozen(parent);
}

void mfi_member_explain(mf_parent *parent, char *to, size_t size)
{
    mfi_parent_explain(parent, to, size);
}

mf_status mfi_member_refuse(mf_parent *parent, const char *function, mf_args args,
                            const mf_call_options *options, mfi_refusal reason, mf_error *error)
{
    return mfi_call_refuse(&parent->calls, function, args, options, reason, error);
}

void mfi_member_stop_begin(mf_parent *parent)
{
    /* The link of a parent that was stopped before any start has not begun. It would begin to end
     * now, and no thread would wait for that. */
    mf_parent_state state = mfi_state_get(&parent->state);
    if (state != MF_PARENT_CREATED && state != MF_PARENT_STOPPED) {
        (void)mfi_loop_post(parent->state.loop, &parent->link.stop_task);
    }
}

uint32_t mfi_member_calls_open(const mf_parent *parent)
{
    return atomic_load_explicit(&parent->calls.open, memory_order_acquire);
}

void mfi_member_drain_begin(mf_parent *parent, mfi_drain_reason reason)
{
    atomic_store_explicit(&parent->calls.drain_since_ns, mfi_monotonic_ns(), memory_order_relaxed);
    /* acq_rel; mfi_member_is_idle reads calls_open by a write too. See mfi_calls_count_finished().
     */
    (void)atomic_exchange_explicit(&parent->calls.draining, true, memory_order_acq_rel);
    mfi_observe_drain(parent->state.observed,
                      &(mfi_drain_event){.begins = true,
                                         .reason = reason,
                                         .calls_left = mfi_member_calls_open(parent)});
}

uint32_t mfi_member_drain_news(const mf_parent *parent)
{
    return atomic_load_explicit(&parent->calls.drain_news, memory_order_acquire);
}

void mfi_member_drain_sleep(mf_parent *parent, uint32_t news, uint64_t deadline_ns)
{
    mfi_futex_wait(&parent->calls.drain_news, news, deadline_ns);
}

void mfi_member_drain_tell(mf_parent *parent)
{
    mfi_calls_tell_drain(&parent->calls);
}

bool mfi_member_is_idle(mf_parent *parent)
{
    return atomic_fetch_add_explicit(&parent->calls.open, 0, memory_order_acq_rel) == 0;
}

void mfi_member_drain_report(mf_parent *parent, mfi_drain_reason reason)
{
    uint64_t since = atomic_load_explicit(&parent->calls.drain_since_ns, memory_order_relaxed);
    mfi_observe_drain(parent->state.observed,
                      &(mfi_drain_event){.reason = reason,
                                         .calls_left = mfi_member_calls_open(parent),
                                         .duration_ns = mfi_monotonic_ns() - since});
}

void mfi_member_drain_end(mf_parent *parent)
{
    atomic_store_explicit(&parent->calls.draining, false, memory_order_relaxed);
}
