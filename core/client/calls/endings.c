/* How calls end when it is not their own thread that ends them: answers, deadlines of asynchronous
 * calls, the worker's death, a stop. Callbacks run on the engine thread, outside the role. */
#include <string.h>

#include "core/client/member.h"
#include "core/client/parent.h"

/* How long a call's time is that the engine minds. */
#define FAR_NS MFI_NS_PER_S

void mfi_call_ended(mf_parent *parent, mfi_slot *slot, uint64_t state)
{
    if ((state & 3u) == MFI_PHASE_SYNC) {
        mfi_waiter_done(&slot->waiter);
        return;
    }
    mfi_mpsc_push(&parent->ended, &slot->done_node);
    (void)mfi_loop_post(parent->runtime->loop, &parent->ended_task);
}

void mfi_call_closed(mf_parent *parent)
{
    /* Either whoever drains looks at the count after this and sees it, or has looked before: then
     * this, being the later write to the same word, sees that it drains. */
    atomic_fetch_sub_explicit(&parent->calls_open, 1, memory_order_acq_rel);
    if (atomic_load_explicit(&parent->draining, memory_order_acquire)) {
        mfi_member_drain_tell(parent);
    }
    if (atomic_load_explicit(&parent->watching, memory_order_acquire)) {
        (void)mfi_loop_post(parent->runtime->loop, &parent->drain_task);
    }
}

void mfi_calls_run_ended(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, ended_task);
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&parent->ended)) != NULL;) {
        mfi_slot *slot = MFI_CONTAINER(node, mfi_slot, done_node);
        slot->ended(parent, slot);
        atomic_fetch_sub_explicit(&parent->async_open, 1, memory_order_release);
        mfi_slot_release(&parent->pending, slot);
    }
}

/* Where nobody drives for a while, a call that has ended would keep its slot. */
static void ended_in_queue(mf_parent *parent)
{
    if (mfi_parent_state(parent) == MF_PARENT_RESTARTING) {
        (void)mfi_loop_post(parent->runtime->loop, &parent->sweep_task);
    }
}

/* ---- All at once ---- */

typedef struct fail_all {
    mf_parent *parent;
    mf_status status;
    bool sent_only;
    uint32_t count;
    uint64_t oldest_ns;
    mf_context *oldest; /* or NULL */
} fail_all;

static void fail_one(mfi_slot *slot, uint64_t state, void *user_data)
{
    fail_all *all = user_data;
    bool is_call = atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL;
    bool waits = is_call && atomic_load_explicit(&slot->sent_ns, memory_order_relaxed) == 0;
    if ((all->sent_only && waits) || !mfi_slot_claim(slot, state)) {
        return;
    }
    if (is_call) {
        all->count++;
        if (all->oldest != NULL && slot->span->start_ns < all->oldest_ns) {
            all->oldest_ns = slot->span->start_ns;
            *all->oldest = slot->span->context;
        }
    }
    slot->status = all->status;
    mfi_call_ended(all->parent, slot, state);
}

static uint32_t fail(mf_parent *parent, mf_status status, bool sent_only, mf_context *ret_oldest)
{
    fail_all all = {.parent = parent,
                    .status = status,
                    .sent_only = sent_only,
                    .oldest_ns = MFI_NEVER,
                    .oldest = ret_oldest};
    mfi_pending_visit(&parent->pending, fail_one, &all);
    mfi_driver_wake(&parent->driver); /* one of them may drive, and sleep */
    return all.count;
}

uint32_t mfi_calls_fail_all(mf_parent *parent, mf_status status, mf_context *ret_oldest)
{
    return fail(parent, status, false, ret_oldest);
}

uint32_t mfi_calls_fail_sent(mf_parent *parent, mf_status status, mf_context *ret_oldest)
{
    return fail(parent, status, true, ret_oldest);
}

static void count_sent(mfi_slot *slot, uint64_t state, void *user_data)
{
    (void)state;
    uint32_t *count = user_data;
    bool is_call = atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL;
    if (is_call && atomic_load_explicit(&slot->sent_ns, memory_order_relaxed) != 0) {
        (*count)++;
    }
}

uint32_t mfi_calls_sent(mf_parent *parent)
{
    uint32_t count = 0;
    mfi_pending_visit(&parent->pending, count_sent, &count);
    return count;
}

/* ---- Deadlines of asynchronous calls, and far ones ----
 *
 * A waiting caller minds a near deadline itself. A far one is the engine's, as those of
 * asynchronous calls are: setting a timer of the system for each wait costs more.
 *
 * One timer stands at the earliest deadline that was seen; who submits a call with an earlier one
 * asks the engine to move it. When it fires, the table is looked through: calls that are late end,
 * and the timer moves to the earliest of the rest. */

typedef struct scan {
    mf_parent *parent;
    uint64_t now_ns;
    uint64_t earliest_ns;
    bool ended_waiting; /* calls that threads wait for */
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
    bool waits = (state & 3u) == MFI_PHASE_SYNC;
    if (waits && !is_far(slot)) {
        return; /* the waiting thread minds it */
    }
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    if (deadline > at->now_ns) {
        at->earliest_ns = deadline < at->earliest_ns ? deadline : at->earliest_ns;
    } else if (mfi_slot_claim(slot, state)) {
        slot->status = MF_ERR_TIMEOUT;
        at->ended_waiting = at->ended_waiting || waits;
        mfi_call_ended(at->parent, slot, state);
        ended_in_queue(at->parent);
    }
}

static void look_through(mf_parent *parent)
{
    /* Who submits a call activates it and then touches armed_ns (both acq_rel): either it comes
     * first, and its call is seen below, or it sees "never" and moves the timer itself. */
    (void)atomic_exchange_explicit(&parent->armed_ns, MFI_NEVER, memory_order_acq_rel);
    scan at = {
        .parent = parent, .now_ns = mfi_loop_now(parent->runtime->loop), .earliest_ns = MFI_NEVER};
    mfi_pending_visit(&parent->pending, check_deadline, &at);
    if (at.ended_waiting) {
        mfi_driver_wake(&parent->driver); /* one of them may drive, and sleep */
    }
    uint64_t armed = atomic_load_explicit(&parent->armed_ns, memory_order_relaxed);
    while (at.earliest_ns < armed &&
           !atomic_compare_exchange_weak_explicit(&parent->armed_ns, &armed, at.earliest_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    (void)mfi_timer_set(parent->runtime->loop, &parent->deadline_timer,
                        atomic_load_explicit(&parent->armed_ns, memory_order_relaxed));
}

void mfi_calls_on_deadline(mfi_timer *timer)
{
    look_through(MFI_CONTAINER(timer, mf_parent, deadline_timer));
}

void mfi_calls_rearm(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, rearm_task);
    (void)mfi_timer_set(parent->runtime->loop, &parent->deadline_timer,
                        atomic_load_explicit(&parent->armed_ns, memory_order_relaxed));
}

static void mind_deadline(mf_parent *parent, uint64_t deadline_ns)
{
    uint64_t armed = atomic_fetch_add_explicit(&parent->armed_ns, 0, memory_order_acq_rel);
    while (deadline_ns < armed) {
        if (atomic_compare_exchange_weak_explicit(&parent->armed_ns, &armed, deadline_ns,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            (void)mfi_loop_post(parent->runtime->loop, &parent->rearm_task);
            return;
        }
    }
}

void mfi_call_wait(mf_parent *parent, mfi_slot *slot)
{
    mfi_slot_activate(slot, MFI_PHASE_SYNC);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    mfi_mpsc_push(&parent->driver.queue, &slot->out_node);
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    if (is_far(slot)) {
        mind_deadline(parent, deadline);
        deadline = MFI_NEVER;
    }
    mfi_wait waited = mfi_driver_wait(&parent->driver, &slot->waiter, deadline);
    if (waited == MFI_WAIT_DONE) {
        return;
    }
    if (mfi_slot_claim(slot, state)) {
        slot->status = waited == MFI_WAIT_DEADLINE ? MF_ERR_TIMEOUT : MF_ERR_NOT_RUNNING;
        ended_in_queue(parent);
    } else {
        mfi_waiter_wait(&slot->waiter); /* somebody else is ending it right now */
    }
}

void mfi_call_submit_async(mf_parent *parent, mfi_slot *slot, uint64_t *ret_state)
{
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&parent->async_open, 1, memory_order_acq_rel);
    uint64_t state = mfi_slot_active_state(slot, MFI_PHASE_ASYNC);
    if (ret_state != NULL) {
        *ret_state = state;
    }
    mfi_slot_activate(slot, MFI_PHASE_ASYNC);
    mfi_mpsc_push(&parent->driver.queue, &slot->out_node);
    mind_deadline(parent, deadline);
    if (!mfi_driver_kick(&parent->driver) && mfi_slot_claim(slot, state)) {
        /* The parent stopped between the check of its state and now. */
        slot->status = MF_ERR_NOT_RUNNING;
        mfi_call_ended(parent, slot, state);
    }
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

uint64_t mfi_calls_oldest(mf_parent *parent)
{
    uint64_t oldest_ns = MFI_NEVER;
    mfi_pending_visit(&parent->pending, compare_age, &oldest_ns);
    return oldest_ns;
}
