/* Delivers attempts, and ends those that get no answer: by a deadline, by the peer's end, by a
 * stop. It exists so that every way of ending goes through one claim and one delivery. Callbacks
 * run on the engine thread, outside the driver's role. */
#include "core/client/calls/calls.h"

#include <string.h>

#include "base/str.h"

/* The engine thread times the deadlines of waiting calls beyond this. */
#define FAR_NS MFI_NS_PER_S

void mfi_calls_deliver(mfi_calls *calls, mfi_slot *slot, uint64_t state)
{
    if ((state & 3u) == MFI_SLOT_SYNC) {
        mfi_waiter_done(&slot->waiter);
        return;
    }
    mfi_mpsc_push(&calls->delivered, &slot->delivered_node);
    (void)mfi_loop_post(calls->state->loop, &calls->delivered_task);
}

void mfi_calls_count_finished(mfi_calls *calls)
{
    /* Either the draining thread reads the count after this and sees the smaller value; or it has
     * read the count before: then this later write to the same word sees the flag. */
    atomic_fetch_sub_explicit(&calls->open, 1, memory_order_acq_rel);
    if (atomic_load_explicit(&calls->draining, memory_order_acquire)) {
        mfi_calls_tell_drain(calls);
    }
    if (atomic_load_explicit(&calls->watching, memory_order_acquire)) {
        (void)mfi_loop_post(calls->state->loop, calls->idle_task);
    }
}

void mfi_calls_tell_drain(mfi_calls *calls)
{
    atomic_fetch_add_explicit(&calls->drain_news, 1, memory_order_acq_rel);
    mfi_futex_wake(&calls->drain_news, INT32_MAX);
}

static void run_delivered(mfi_task *task)
{
    mfi_calls *calls = MFI_CONTAINER(task, mfi_calls, delivered_task);
    mfi_turn turn = mfi_turn_begin(calls->state->loop);
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&calls->delivered)) != NULL;) {
        mfi_slot *slot = MFI_CONTAINER(node, mfi_slot, delivered_node);
        slot->on_delivered(calls, slot);
        atomic_fetch_sub_explicit(&calls->async_open, 1, memory_order_release);
        mfi_slot_release(&calls->slots, slot);
        if (mfi_turn_is_over(&turn)) { /* callbacks may make calls that end at once */
            (void)mfi_loop_post(calls->state->loop, task);
            return;
        }
    }
}

void mfi_calls_sweep_soon(mfi_calls *calls, const mfi_slot *slot)
{
    if (atomic_load_explicit(&slot->sent_ns, memory_order_relaxed) == 0) {
        (void)mfi_loop_post(calls->state->loop, &calls->sweep_task);
    }
}

bool mfi_calls_give_up(mfi_calls *calls, mfi_slot *slot, uint64_t state)
{
    uint64_t sent_ns = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed);
    bool owed = sent_ns != 0 && sent_ns != MFI_NEVER && /* NEVER: the outcome was read already */
                atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL;
    /* Counted before the claim, so that no heartbeat and no late answer comes in between. */
    if (owed) {
        mfi_signs_give_up(&calls->signs, sent_ns);
    }
    bool claimed = mfi_slot_claim(slot, state);
    if (owed && !claimed) {
        mfi_signs_late(&calls->signs); /* the call was answered after all */
    }
    return claimed;
}

/* ---- All at once ---- */

typedef struct claim_all {
    mfi_claimed *claimed;
    mf_status status;
    bool sent_only;
    uint64_t now_ns;
} claim_all;

/* Puts a claimed call into its place in the list, or leaves a call out that is younger than all in
 * a full list. */
static void name_call(const claim_all *all, const mfi_client_span *span)
{
    mfi_ended_calls *ended = &all->claimed->ended;
    uint64_t age = all->now_ns > span->start_ns ? all->now_ns - span->start_ns : 0;
    uint32_t place = ended->named;
    while (place > 0 && ended->list[place - 1].age_ns < age) {
        place--;
    }
    if (place == MFI_OPEN_CALLS_MAX) {
        return;
    }
    ended->named += ended->named < MFI_OPEN_CALLS_MAX ? 1 : 0;
    mfi_open_call *call = &ended->list[place];
    memmove(call + 1, call, (ended->named - 1 - place) * sizeof *call);
    (void)mfi_str_copy(call->function, sizeof call->function, span->function_name);
    (void)mfi_str_copy(call->correlation_id, sizeof call->correlation_id,
                       span->context.correlation_id);
    call->age_ns = age;
    call->attempt = span->attempt;
    if (place == 0) {
        ended->oldest = span->context;
    }
}

static void claim_one(mfi_slot *slot, uint64_t state, void *user_data)
{
    claim_all *all = user_data;
    mfi_claimed *claimed = all->claimed;
    bool is_call = atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL;
    bool waits = is_call && atomic_load_explicit(&slot->sent_ns, memory_order_relaxed) == 0;
    if ((all->sent_only && waits) || !mfi_slot_claim(slot, state)) {
        return;
    }
    if (is_call) {
        claimed->calls++;
        name_call(all, slot->span);
    }
    slot->status = all->status;
    mfi_slot **list = (state & 3u) == MFI_SLOT_SYNC ? &claimed->sync : &claimed->async;
    slot->list_next = *list;
    *list = slot;
}

void mfi_calls_claim(mfi_calls *calls, mf_status status, bool sent_only, mfi_claimed *ret_claimed)
{
    *ret_claimed = (mfi_claimed){.calls = 0};
    claim_all all = {.claimed = ret_claimed,
                     .status = status,
                     .sent_only = sent_only,
                     .now_ns = mfi_monotonic_ns()};
    mfi_slots_visit(&calls->slots, claim_one, &all);
}

static void deliver_list(mfi_calls *calls, mfi_slot *first, mfi_slot_phase phase)
{
    for (mfi_slot *next = NULL; first != NULL; first = next) {
        next = first->list_next; /* a delivered slot may be used again at once */
        mfi_calls_deliver(calls, first, phase);
    }
}

void mfi_calls_deliver_claimed(mfi_calls *calls, const mfi_claimed *claimed)
{
    deliver_list(calls, claimed->sync, MFI_SLOT_SYNC);
    deliver_list(calls, claimed->async, MFI_SLOT_ASYNC);
    mfi_driver_wake(&calls->driver); /* a thread whose call was ended may drive, and sleep */
}

static void fail(mfi_calls *calls, mf_status status, bool sent_only)
{
    mfi_claimed claimed;
    mfi_calls_claim(calls, status, sent_only, &claimed);
    mfi_calls_deliver_claimed(calls, &claimed);
}

void mfi_calls_fail_all(mfi_calls *calls, mf_status status)
{
    fail(calls, status, false);
}

void mfi_calls_fail_sent(mfi_calls *calls, mf_status status)
{
    fail(calls, status, true);
}

typedef struct active_calls {
    uint32_t sent, waiting;
} active_calls;

static void count_active(mfi_slot *slot, uint64_t state, void *user_data)
{
    (void)state;
    active_calls *count = user_data;
    bool is_call = atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL;
    bool is_sent = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed) != 0;
    count->sent += is_call && is_sent ? 1 : 0;
    count->waiting += is_call && !is_sent ? 1 : 0;
}

uint32_t mfi_calls_sent(mfi_calls *calls)
{
    active_calls count = {0};
    mfi_slots_visit(&calls->slots, count_active, &count);
    return count.sent;
}

uint32_t mfi_calls_waiting(mfi_calls *calls)
{
    active_calls count = {0};
    mfi_slots_visit(&calls->slots, count_active, &count);
    return count.waiting;
}

bool mfi_calls_owed(mfi_calls *calls)
{
    return atomic_load_explicit(&calls->signs.given_up, memory_order_relaxed) != 0 ||
           mfi_calls_sent(calls) != 0;
}

/* ---- Deadlines of asynchronous calls, and far ones ----
 *
 * A waiting caller times a near deadline itself. The engine thread times far deadlines, and those
 * of asynchronous calls, because a system timer for every wait costs more.
 *
 * One timer is set to the earliest known deadline. A thread that submits a call with an earlier
 * deadline asks the engine thread to move the timer. When the timer fires, the engine thread reads
 * the whole table: late calls end, and the timer moves to the earliest deadline of the rest. */

typedef struct scan {
    mfi_calls *calls;
    uint64_t now_ns;
    uint64_t earliest_ns;
    bool ended_waiting; /* the end of calls that threads wait for */
} scan;

static bool is_far(const mfi_slot *slot)
{
    return atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed) -
               atomic_load_explicit(&slot->started_ns, memory_order_relaxed) >
           FAR_NS;
}

static void check_deadline(mfi_slot *slot, uint64_t state, void *user_data)
{
    scan *at = user_data;
    bool waits = (state & 3u) == MFI_SLOT_SYNC;
    if (waits && !is_far(slot)) {
        return; /* the waiting thread times this deadline itself */
    }
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    if (deadline > at->now_ns) {
        at->earliest_ns = deadline < at->earliest_ns ? deadline : at->earliest_ns;
    } else if (mfi_calls_give_up(at->calls, slot, state)) {
        slot->status = MF_ERR_TIMEOUT;
        at->ended_waiting = at->ended_waiting || waits;
        mfi_calls_sweep_soon(at->calls, slot); /* before another thread may read the outcome */
        mfi_calls_deliver(at->calls, slot, state);
    }
}

static void scan_deadlines(mfi_calls *calls)
{
    /* A thread that submits a call activates the call and then touches armed_ns (both acq_rel). If
     * the thread comes first, its call is seen below. Else the thread reads "never" and moves the
     * timer. */
    (void)atomic_exchange_explicit(&calls->armed_ns, MFI_NEVER, memory_order_acq_rel);
    scan at = {
        .calls = calls, .now_ns = mfi_loop_now(calls->state->loop), .earliest_ns = MFI_NEVER};
    mfi_slots_visit(&calls->slots, check_deadline, &at);
    if (at.ended_waiting) {
        mfi_driver_wake(&calls->driver); /* a thread whose call was ended may drive, and sleep */
    }
    uint64_t armed = atomic_load_explicit(&calls->armed_ns, memory_order_relaxed);
    while (at.earliest_ns < armed &&
           !atomic_compare_exchange_weak_explicit(&calls->armed_ns, &armed, at.earliest_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    (void)mfi_timer_set(calls->state->loop, &calls->deadline_timer,
                        atomic_load_explicit(&calls->armed_ns, memory_order_relaxed));
}

static void on_deadline(mfi_timer *timer)
{
    scan_deadlines(MFI_CONTAINER(timer, mfi_calls, deadline_timer));
}

static void rearm(mfi_task *task)
{
    mfi_calls *calls = MFI_CONTAINER(task, mfi_calls, rearm_task);
    (void)mfi_timer_set(calls->state->loop, &calls->deadline_timer,
                        atomic_load_explicit(&calls->armed_ns, memory_order_relaxed));
}

/* Makes the engine thread end the call at that time, if it has not ended before. */
static void time_deadline(mfi_calls *calls, uint64_t deadline_ns)
{
    uint64_t armed = atomic_fetch_add_explicit(&calls->armed_ns, 0, memory_order_acq_rel);
    while (deadline_ns < armed) {
        if (atomic_compare_exchange_weak_explicit(&calls->armed_ns, &armed, deadline_ns,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            (void)mfi_loop_post(calls->state->loop, &calls->rearm_task);
            return;
        }
    }
}

void mfi_call_wait(mfi_calls *calls, mfi_slot *slot)
{
    mfi_slot_activate(slot, MFI_SLOT_SYNC);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    mfi_mpsc_push(&calls->driver.queue, &slot->out_node);
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    if (is_far(slot)) {
        time_deadline(calls, deadline);
        deadline = MFI_NEVER;
    }
    mfi_wait waited = mfi_driver_wait(&calls->driver, &slot->waiter, deadline);
    if (waited == MFI_WAIT_DONE) {
        return;
    }
    if (mfi_calls_give_up(calls, slot, state)) {
        slot->status = waited == MFI_WAIT_DEADLINE ? MF_ERR_TIMEOUT : MF_ERR_NOT_RUNNING;
        mfi_calls_sweep_soon(calls, slot);
    } else {
        mfi_waiter_wait(&slot->waiter); /* the claiming thread is about to deliver it */
    }
}

static void submit(mfi_calls *calls, mfi_slot *slot, uint64_t *ret_state, bool is_urgent)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&calls->async_open, 1, memory_order_acq_rel);
    uint64_t state = mfi_slot_active_state(slot, MFI_SLOT_ASYNC);
    if (ret_state != NULL) {
        *ret_state = state;
    }
    mfi_slot_activate(slot, MFI_SLOT_ASYNC);
    if (is_urgent) {
        atomic_store_explicit(&calls->urgent, slot, memory_order_release);
    } else {
        mfi_mpsc_push(&calls->driver.queue, &slot->out_node);
    }
    time_deadline(calls, deadline);
    if (!mfi_driver_kick(&calls->driver) && mfi_slot_claim(slot, state)) {
        /* The parent stopped after its state was checked. */
        slot->status = MF_ERR_NOT_RUNNING;
        mfi_calls_deliver(calls, slot, state);
    }
}

void mfi_call_submit_async(mfi_calls *calls, mfi_slot *slot, uint64_t *ret_state)
{
    submit(calls, slot, ret_state, false);
}

bool mfi_call_submit_urgent(mfi_calls *calls, mfi_slot *slot)
{
    if (atomic_load_explicit(&calls->urgent, memory_order_relaxed) != NULL) {
        return false;
    }
    submit(calls, slot, NULL, true);
    return true;
}

/* ---- The oldest ---- */

static void compare_age(mfi_slot *slot, uint64_t state, void *user_data)
{
    (void)state;
    uint64_t *oldest_ns = user_data;
    uint64_t start = atomic_load_explicit(&slot->started_ns, memory_order_relaxed);
    if (atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL &&
        start < *oldest_ns) {
        *oldest_ns = start;
    }
}

uint64_t mfi_calls_oldest(mfi_calls *calls)
{
    uint64_t oldest_ns = MFI_NEVER;
    mfi_slots_visit(&calls->slots, compare_age, &oldest_ns);
    return oldest_ns;
}

/* ---- Life ---- */

void mfi_calls_init_endings(mfi_calls *calls)
{
    mfi_mpsc_init(&calls->delivered);
    mfi_task_init(&calls->delivered_task, run_delivered);
    mfi_task_init(&calls->rearm_task, rearm);
    mfi_timer_init(&calls->deadline_timer, on_deadline);
    atomic_init(&calls->armed_ns, MFI_NEVER);
}
