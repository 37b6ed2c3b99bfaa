/* Heartbeats. Each one is a slot like a call, minded by the engine; any `heartbeat` message with
 * its id is the answer, whatever it carries. The round trip is taken from the monotonic clock. */
#include "base/error.h"
#include "core/engine/parent.h"

/* ---- One heartbeat ---- */

static mfi_slot *make_heartbeat(mf_parent *parent, int64_t timeout_ms)
{
    mfi_slot *slot = mfi_pending_acquire(&parent->pending);
    if (slot == NULL) {
        return NULL;
    }
    uint64_t now = mfi_monotonic_ns();
    mfi_client_span_clear(&slot->own_span);
    slot->own_span.start_ns = now;
    slot->span = &slot->own_span;
    atomic_store_explicit(&slot->traffic, MFI_TRAFFIC_HEARTBEAT, memory_order_relaxed);
    atomic_store_explicit(&slot->started_ns, now, memory_order_relaxed);
    atomic_store_explicit(&slot->sent_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->deadline_ns, mfi_deadline_after_ms(now, timeout_ms),
                          memory_order_relaxed);
    double timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    if (mfi_encode_heartbeat(&slot->out, slot->id, timestamp, NULL) != MF_OK) {
        mfi_slot_abandon(&parent->pending, slot);
        return NULL;
    }
    return slot;
}

static void observe(mf_parent *parent, const mfi_heartbeat_event *event)
{
    mfi_observe_heartbeat_seen(parent->observed, event);
}

static uint64_t answered(mf_parent *parent, mfi_slot *slot)
{
    uint64_t sent = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed);
    uint64_t rtt = slot->span->received_ns - sent;
    atomic_store_explicit(&parent->heartbeat_rtt_ns, rtt, memory_order_relaxed);
    atomic_store_explicit(&parent->consecutive_misses, 0, memory_order_relaxed);
    atomic_store_explicit(&parent->heartbeat_last_ns, mfi_wall_ns(), memory_order_relaxed);
    observe(parent, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_ANSWERED,
                                           .rtt_ns = rtt,
                                           .max_misses = parent->settings.heartbeat_misses,
                                           .request_id = slot->id});
    mfi_circuit_heartbeat_answered(&parent->circuit);
    return rtt;
}

static void missed(mf_parent *parent, mfi_slot *slot)
{
    uint32_t most = parent->settings.heartbeat_misses;
    uint32_t in_row =
        atomic_fetch_add_explicit(&parent->consecutive_misses, 1, memory_order_relaxed) + 1;
    atomic_fetch_add_explicit(&parent->heartbeat_misses, 1, memory_order_relaxed);
    observe(parent, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_MISSED,
                                           .consecutive_misses = in_row,
                                           .max_misses = most,
                                           .request_id = slot->id});
    if (in_row >= most) {
        mfi_circuit_trip(&parent->circuit, MFI_RULE_HEARTBEAT, (double)in_row, (double)most,
                         MF_ERR_TIMEOUT, NULL, NULL);
        mfi_link_silent(parent, in_row);
    }
}

/* ---- Periodic ---- */

static void heartbeat_ended(void *owner, mfi_slot *slot)
{
    mf_parent *parent = owner;
    if (slot->status == MF_OK) {
        (void)answered(parent, slot);
        mfi_link_ready(parent);
    } else if (slot->status == MF_ERR_TIMEOUT && parent->phase == MFI_LINK_RUNNING) {
        missed(parent, slot);
    }
}

void mfi_heartbeat_send(mf_parent *parent, int64_t timeout_ms)
{
    mfi_slot *slot = make_heartbeat(parent, timeout_ms);
    if (slot == NULL) {
        return; /* no slot or no memory now; the next one is due soon */
    }
    slot->ended = heartbeat_ended;
    observe(parent, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_SENT, .request_id = slot->id});
    mfi_call_submit_async(parent, slot, NULL);
}

void mfi_heartbeat_on_timer(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, heartbeat_timer);
    mfi_heartbeat_send(parent, parent->settings.heartbeat_timeout_ms);
    uint64_t next = mfi_deadline_after_ms(mfi_loop_now(parent->runtime->loop),
                                          parent->settings.heartbeat_interval_ms);
    (void)mfi_timer_set(parent->runtime->loop, timer, next);
}

/* ---- On demand ---- */

static mf_status wait_for_answer(mf_parent *parent, mfi_slot *slot, uint64_t *ret_rtt_ns,
                                 mf_error *error)
{
    mfi_call_wait(parent, slot);
    if (slot->status == MF_OK) {
        *ret_rtt_ns = answered(parent, slot);
        return MF_OK;
    }
    if (slot->status == MF_ERR_TIMEOUT) {
        return mfi_fail(error, MF_ERR_TIMEOUT, "'%s' did not answer a heartbeat in time",
                        parent->settings.target);
    }
    return mfi_fail(error, slot->status, "'%s': %s", parent->settings.target,
                    mf_strerror(slot->status));
}

mf_status mf_parent_heartbeat(mf_parent *parent, int64_t timeout_ms, uint64_t *ret_rtt_ns,
                              mf_error *error)
{
    if (parent == NULL || ret_rtt_ns == NULL || timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s",
                        timeout_ms < 0 ? "timeout_ms must not be negative"
                                       : "parent and ret_rtt_ns must not be NULL");
    }
    mf_status status = mfi_runtime_check(parent->runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->runtime->loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a heartbeat from a callback would wait for itself");
    }
    if (mfi_parent_state(parent) != MF_PARENT_READY) {
        return mfi_parent_not_running(parent, error);
    }
    mfi_slot *slot = make_heartbeat(
        parent, timeout_ms != 0 ? timeout_ms : parent->settings.heartbeat_timeout_ms);
    if (slot == NULL) {
        return mfi_fail(error, MF_ERR_TOO_MANY_CALLS, "'%s' has no room for one more heartbeat",
                        parent->settings.target);
    }
    observe(parent, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_SENT, .request_id = slot->id});
    status = wait_for_answer(parent, slot, ret_rtt_ns, error);
    mfi_slot_release(&parent->pending, slot);
    return status;
}
