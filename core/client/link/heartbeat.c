/* Heartbeats: periodic ones, which show that a peer no longer answers, and those that the program
 * asks for. It exists apart from the link, and calls it by callbacks, so that heartbeats can be
 * tested alone. Whether silence means anything is decided by core/policy/liveness.h. */
#include "core/client/link/heartbeat.h"

#include "base/error.h"

/* ---- One heartbeat ---- */

static mfi_slot *make_heartbeat(mfi_calls *calls, int64_t timeout_ms)
{
    mfi_slot *slot = mfi_slots_acquire(&calls->slots);
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
        mfi_slot_abandon(&calls->slots, slot);
        return NULL;
    }
    return slot;
}

static void observe(const mfi_calls *calls, const mfi_heartbeat_event *event)
{
    mfi_observe_heartbeat_seen(calls->state->observed, event);
}

static void observe_sent(const mfi_calls *calls, const mfi_slot *slot)
{
    observe(calls, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_SENT, .request_id = slot->id});
}

static uint64_t note_answer(mfi_heartbeat *heartbeat, mfi_slot *slot)
{
    mfi_state *state = heartbeat->calls->state;
    uint64_t sent = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed);
    uint64_t rtt = slot->span->received_ns - sent;
    atomic_store_explicit(&heartbeat->rtt_ns, rtt, memory_order_relaxed);
    atomic_store_explicit(&heartbeat->last_ns, mfi_wall_ns(), memory_order_relaxed);
    observe(heartbeat->calls, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_ANSWERED,
                                                     .rtt_ns = rtt,
                                                     .max_misses = state->settings.heartbeat_misses,
                                                     .request_id = slot->id});
    mfi_circuit_heartbeat_answered(&state->circuit, sent);
    return rtt;
}

static void observe_silence(const mfi_heartbeat *heartbeat, const mfi_slot *slot,
                            mfi_verdict verdict, bool was_frozen)
{
    static const mfi_heartbeat_what what[] = {[MFI_VERDICT_ALIVE] = MFI_HEARTBEAT_LATE,
                                              [MFI_VERDICT_MISSED] = MFI_HEARTBEAT_MISSED,
                                              [MFI_VERDICT_BUSY] = MFI_HEARTBEAT_BUSY,
                                              [MFI_VERDICT_FROZEN] = MFI_HEARTBEAT_FROZEN};
    observe(heartbeat->calls,
            &(mfi_heartbeat_event){.what = what[verdict],
                                   .consecutive_misses = heartbeat->liveness.misses,
                                   .max_misses = heartbeat->liveness.limit,
                                   .first = !was_frozen,
                                   .request_id = slot->id});
}

/* The time of a heartbeat is over. */
static void note_silence(mfi_heartbeat *heartbeat, const mfi_slot *slot)
{
    mfi_calls *calls = heartbeat->calls;
    mfi_liveness *liveness = &heartbeat->liveness;
    uint64_t sent = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed);
    uint64_t began = atomic_load_explicit(&slot->started_ns, memory_order_relaxed);
    bool was_frozen = liveness->frozen;
    mfi_silence silence = {.sent_ns = sent != 0 && sent != MFI_NEVER ? sent : began,
                           .now_ns = mfi_loop_now(calls->state->loop),
                           .heard_ns = mfi_signs_heard_ns(&calls->signs),
                           .owes = mfi_calls_owed(calls),
                           .says_busy =
                               atomic_load_explicit(&calls->signs.says_busy, memory_order_relaxed),
                           .stopped = heartbeat->is_stopped(heartbeat)};
    mfi_verdict verdict = mfi_liveness_missed(liveness, &silence);
    atomic_store_explicit(&heartbeat->misses_in_row, liveness->misses, memory_order_relaxed);
    atomic_store_explicit(&heartbeat->missed_ns, liveness->missed_ns, memory_order_relaxed);
    atomic_store_explicit(&heartbeat->frozen, liveness->frozen, memory_order_relaxed);
    mfi_circuit_heartbeat_missed(&calls->state->circuit);
    if (verdict != MFI_VERDICT_ALIVE) {
        atomic_fetch_add_explicit(&heartbeat->misses, 1, memory_order_relaxed);
    }
    observe_silence(heartbeat, slot, verdict, was_frozen);
    if (verdict == MFI_VERDICT_FROZEN) {
        heartbeat->froze(heartbeat, liveness->misses, silence.stopped);
    }
}

/* The liveness as other threads see it. */
static mfi_liveness seen(const mfi_heartbeat *heartbeat)
{
    return (mfi_liveness){
        .misses = atomic_load_explicit(&heartbeat->misses_in_row, memory_order_relaxed),
        .missed_ns = atomic_load_explicit(&heartbeat->missed_ns, memory_order_relaxed),
        .frozen = atomic_load_explicit(&heartbeat->frozen, memory_order_relaxed)};
}

uint32_t mfi_heartbeat_misses(const mfi_heartbeat *heartbeat)
{
    mfi_liveness liveness = seen(heartbeat);
    return mfi_liveness_misses(&liveness, mfi_signs_heard_ns(&heartbeat->calls->signs));
}

bool mfi_heartbeat_is_frozen(const mfi_heartbeat *heartbeat)
{
    mfi_liveness liveness = seen(heartbeat);
    return mfi_liveness_is_frozen(&liveness, mfi_signs_heard_ns(&heartbeat->calls->signs));
}

/* ---- Periodic ---- */

static void tell_answered(mfi_heartbeat *heartbeat)
{
    const mfi_calls *calls = heartbeat->calls;
    int64_t most_ms = calls->state->settings.handler_timeout_ms;
    uint64_t busy_ms = atomic_load_explicit(&calls->signs.busy_ms, memory_order_relaxed);
    heartbeat->answered(heartbeat);
    if (most_ms != 0 && busy_ms > (uint64_t)most_ms) {
        heartbeat->overdue(heartbeat, busy_ms);
    }
}

static void on_delivered(void *calls, mfi_slot *slot)
{
    mfi_heartbeat *heartbeat = slot->user_data;
    (void)calls;
    if (slot->status == MF_OK) {
        (void)note_answer(heartbeat, slot);
        tell_answered(heartbeat);
    } else if (slot->status == MF_ERR_TIMEOUT && heartbeat->counts_misses &&
               atomic_load_explicit(&slot->started_ns, memory_order_relaxed) >=
                   heartbeat->began_ns) {
        note_silence(heartbeat, slot);
    }
}

/* An answer that came when its time was over. It proves that the peer lives, but has no round trip.
 */
static void on_late(mfi_task *task)
{
    mfi_heartbeat *heartbeat = MFI_CONTAINER(task, mfi_heartbeat, late_task);
    atomic_store_explicit(&heartbeat->last_ns, mfi_wall_ns(), memory_order_relaxed);
    if (heartbeat->counts_misses) {
        mfi_circuit_heartbeat_answered(&heartbeat->calls->state->circuit, 0);
        tell_answered(heartbeat);
    }
}

void mfi_heartbeat_send(mfi_heartbeat *heartbeat, int64_t timeout_ms)
{
    mfi_slot *slot = make_heartbeat(heartbeat->calls, timeout_ms);
    if (slot == NULL) {
        return; /* no slot or no memory now; the next heartbeat comes soon */
    }
    slot->on_delivered = on_delivered;
    slot->user_data = heartbeat;
    observe_sent(heartbeat->calls, slot);
    mfi_call_submit_async(heartbeat->calls, slot, NULL);
}

static void on_told(void *calls, mfi_slot *slot)
{
    mfi_heartbeat *heartbeat = slot->user_data;
    (void)calls;
    heartbeat->is_asking = false;
    if (slot->status == MF_OK) {
        (void)note_answer(heartbeat, slot);
        heartbeat->told(heartbeat);
    }
}

void mfi_heartbeat_send_past(mfi_heartbeat *heartbeat)
{
    mfi_calls *calls = heartbeat->calls;
    mfi_slot *slot = heartbeat->is_asking
                         ? NULL
                         : make_heartbeat(calls, calls->state->settings.heartbeat_timeout_ms);
    if (slot == NULL) {
        return;
    }
    slot->on_delivered = on_told;
    slot->user_data = heartbeat;
    heartbeat->is_asking = mfi_call_submit_urgent(calls, slot);
    if (heartbeat->is_asking) {
        observe_sent(calls, slot);
    } else {
        mfi_slot_abandon(&calls->slots, slot);
    }
}

static void set_timer(mfi_heartbeat *heartbeat)
{
    const mfi_state *state = heartbeat->calls->state;
    (void)mfi_timer_set(
        state->loop, &heartbeat->timer,
        mfi_deadline_after_ms(mfi_loop_now(state->loop), state->settings.heartbeat_interval_ms));
}

static void on_timer(mfi_timer *timer)
{
    mfi_heartbeat *heartbeat = MFI_CONTAINER(timer, mfi_heartbeat, timer);
    mfi_heartbeat_send(heartbeat, heartbeat->calls->state->settings.heartbeat_timeout_ms);
    set_timer(heartbeat);
}

void mfi_heartbeat_forget(mfi_heartbeat *heartbeat)
{
    mfi_liveness_init(&heartbeat->liveness, heartbeat->calls->state->settings.heartbeat_misses);
    atomic_store_explicit(&heartbeat->misses_in_row, 0, memory_order_relaxed);
    atomic_store_explicit(&heartbeat->frozen, false, memory_order_relaxed);
}

void mfi_heartbeat_start(mfi_heartbeat *heartbeat)
{
    heartbeat->counts_misses = true;
    heartbeat->began_ns = mfi_monotonic_ns();
    mfi_heartbeat_forget(heartbeat);
    if (heartbeat->calls->state->settings.heartbeat_interval_ms != MF_DISABLED) {
        set_timer(heartbeat);
    }
}

void mfi_heartbeat_stop(mfi_heartbeat *heartbeat)
{
    heartbeat->counts_misses = false;
    mfi_timer_cancel(heartbeat->calls->state->loop, &heartbeat->timer);
}

void mfi_heartbeat_init(mfi_heartbeat *heartbeat, mfi_calls *calls)
{
    heartbeat->calls = calls;
    mfi_timer_init(&heartbeat->timer, on_timer);
    mfi_task_init(&heartbeat->late_task, on_late);
    calls->signs.late_task = &heartbeat->late_task;
}

/* ---- On demand ---- */

static mf_status wait_for_answer(mfi_heartbeat *heartbeat, mfi_slot *slot, uint64_t *ret_rtt_ns,
                                 mf_error *error)
{
    const char *target = heartbeat->calls->state->settings.target;
    mfi_call_wait(heartbeat->calls, slot);
    if (slot->status == MF_OK) {
        *ret_rtt_ns = note_answer(heartbeat, slot);
        return MF_OK;
    }
    if (slot->status == MF_ERR_TIMEOUT) {
        return mfi_fail(error, MF_ERR_TIMEOUT, "'%s' did not answer a heartbeat in time", target);
    }
    return mfi_fail(error, slot->status, "'%s': %s", target, mf_strerror(slot->status));
}

mf_status mfi_heartbeat_ask(mfi_heartbeat *heartbeat, int64_t timeout_ms, uint64_t *ret_rtt_ns,
                            mf_error *error)
{
    mfi_calls *calls = heartbeat->calls;
    const mfi_parent_settings *settings = &calls->state->settings;
    mfi_slot *slot =
        make_heartbeat(calls, timeout_ms != 0 ? timeout_ms : settings->heartbeat_timeout_ms);
    if (slot == NULL) {
        return mfi_fail(error, MF_ERR_TOO_MANY_CALLS, "'%s' has no room for one more heartbeat",
                        settings->target);
    }
    observe_sent(calls, slot);
    mf_status status = wait_for_answer(heartbeat, slot, ret_rtt_ns, error);
    mfi_slot_release(&calls->slots, slot);
    return status;
}
