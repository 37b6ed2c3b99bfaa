/* What becomes of calls that a fault hits. It exists so that a program, its dashboards and its
 * people can be tested with calls that fail, without a worker that really does.
 *
 * The thread that holds the driver's role decides whether a call is hit. What takes time, or
 * touches the worker's process, is the engine thread's. */
#include <signal.h>

#include "base/clock.h"
#include "core/client/calls/calls.h"

#define WANTS_CRASH 1u
#define WANTS_FREEZE 2u

/* ---- Engine thread ---- */

/* The message goes into the queue, like that of a new call. */
static void send_late(mfi_calls *calls, mfi_slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    mfi_mpsc_push(&calls->driver.queue, &slot->out_node);
    if (!mfi_driver_kick(&calls->driver) && mfi_slot_is_active(state) &&
        mfi_slot_claim(slot, state)) {
        slot->status = MF_ERR_NOT_RUNNING; /* the parent has stopped */
        mfi_calls_deliver(calls, slot, state);
    }
}

/* A message that would be later than its call's deadline is never sent, and its slot is free for
 * another call from the deadline on. */
static void end_waiting(mfi_calls *calls, mfi_slot *slot, uint64_t now)
{
    if (now < atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed)) {
        send_late(calls, slot);
    } else {
        mfi_slot_uncharge(&calls->slots, slot);
        mfi_slot_release(&calls->slots, slot);
    }
}

static void look_for_due(mfi_calls *calls)
{
    mfi_loop *loop = calls->state->loop;
    uint64_t now = mfi_loop_now(loop);
    uint64_t next = MFI_NEVER;
    mfi_chain waiting = calls->faults.waiting;
    calls->faults.waiting = (mfi_chain){0};
    while (waiting.first != NULL) {
        mfi_slot *slot = MFI_CONTAINER(mfi_chain_pop_front(&waiting), mfi_slot, front_node);
        if (slot->due_ns <= now) {
            end_waiting(calls, slot, now);
        } else {
            next = slot->due_ns < next ? slot->due_ns : next;
            mfi_chain_push_back(&calls->faults.waiting, &slot->front_node);
        }
    }
    (void)mfi_timer_set(loop, &calls->faults.late_timer, next);
}

static void on_late(mfi_timer *timer)
{
    look_for_due(MFI_CONTAINER(timer, mfi_calls, faults.late_timer));
}

static void signal_worker(mfi_calls *calls, int number)
{
    if (calls->faults.signal != NULL) {
        calls->faults.signal(calls->faults.peer, number);
    }
}

static void on_thaw(mfi_timer *timer)
{
    signal_worker(MFI_CONTAINER(timer, mfi_calls, faults.thaw_timer), SIGCONT);
}

static void take_late(mfi_calls *calls)
{
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&calls->faults.late)) != NULL;) {
        mfi_chain_push_back(&calls->faults.waiting,
                            &MFI_CONTAINER(node, mfi_slot, out_node)->front_node);
    }
}

static void on_task(mfi_task *task)
{
    mfi_calls *calls = MFI_CONTAINER(task, mfi_calls, faults.task);
    mfi_faults *faults = &calls->faults;
    uint32_t wanted = atomic_exchange_explicit(&faults->wanted, 0, memory_order_acquire);
    take_late(calls);
    look_for_due(calls);
    if ((wanted & WANTS_CRASH) != 0) {
        signal_worker(calls, SIGKILL);
    } else if ((wanted & WANTS_FREEZE) != 0) {
        int64_t ms = atomic_load_explicit(&faults->frozen_ms, memory_order_relaxed);
        signal_worker(calls, SIGSTOP);
        (void)mfi_timer_set(calls->state->loop, &faults->thaw_timer,
                            mfi_deadline_after_ms(mfi_loop_now(calls->state->loop), ms));
    }
}

/* ---- Role held ---- */

static void want(mfi_calls *calls, uint32_t what)
{
    atomic_fetch_or_explicit(&calls->faults.wanted, what, memory_order_release);
    (void)mfi_loop_post(calls->state->loop, &calls->faults.task);
}

/* As if the message were sent, and lost on its way. */
static void lose(mfi_calls *calls, mfi_slot *slot)
{
    (void)mfi_slot_begin_send(slot, mfi_monotonic_ns());
    mfi_slot_uncharge(&calls->slots, slot);
    mfi_slot_release(&calls->slots, slot);
}

static void fail(mfi_calls *calls, mfi_slot *slot, uint64_t state)
{
    if (mfi_slot_claim(slot, state)) {
        slot->status = MF_ERR_NOT_RUNNING;
        slot->is_faulted = true;
        mfi_calls_deliver(calls, slot, state);
    }
    mfi_slot_release(&calls->slots, slot);
}

static uint64_t due_of(const mfi_slot *slot, uint64_t now, int64_t delay_ms)
{
    uint64_t due = mfi_deadline_after_ms(now, delay_ms);
    uint64_t deadline = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    return due < deadline ? due : deadline;
}

bool mfi_calls_suffer(mfi_calls *calls, mfi_slot *slot, uint64_t state)
{
    mfi_fault_rule rule;
    uint64_t now = mfi_monotonic_ns();
    if (slot->is_judged || !mfi_slot_pin(slot, state)) {
        return false;
    }
    bool hit = mfi_faults_hit(&calls->faults, slot->span->function_name, now, &rule);
    mfi_slot_unpin(slot);
    slot->is_judged = true;
    if (!hit) {
        return false;
    }
    mfi_observe_fault(calls->state->observed, rule.kind);
    switch (rule.kind) {
    case MFI_FAULT_DELAY:
        slot->due_ns = due_of(slot, now, rule.delay_ms);
        mfi_mpsc_push(&calls->faults.late, &slot->out_node);
        want(calls, 0);
        return true;
    case MFI_FAULT_DROP:
        lose(calls, slot);
        return true;
    case MFI_FAULT_ERROR:
        fail(calls, slot, state);
        return true;
    case MFI_FAULT_CRASH: /* the call is lost with the worker, also where the worker is quick */
        lose(calls, slot);
        want(calls, WANTS_CRASH);
        return true;
    case MFI_FAULT_FREEZE:
        atomic_store_explicit(&calls->faults.frozen_ms, rule.delay_ms, memory_order_relaxed);
        want(calls, WANTS_FREEZE);
        return false; /* it is sent, and answered when the worker goes on */
    case MFI_FAULT_COUNT:
        break;
    }
    return false;
}

/* ---- Life ---- */

void mfi_calls_init_faults(mfi_calls *calls)
{
    mfi_faults *faults = &calls->faults;
    mfi_faults_init(faults);
    mfi_mpsc_init(&faults->late);
    mfi_task_init(&faults->task, on_task);
    mfi_timer_init(&faults->late_timer, on_late);
    mfi_timer_init(&faults->thaw_timer, on_thaw);
}

void mfi_calls_settle_faults(mfi_calls *calls)
{
    mfi_timer_cancel(calls->state->loop, &calls->faults.late_timer);
    mfi_timer_cancel(calls->state->loop, &calls->faults.thaw_timer);
    take_late(calls);
    while (calls->faults.waiting.first != NULL) {
        mfi_chain_node *node = mfi_chain_pop_front(&calls->faults.waiting);
        mfi_slot_release(&calls->slots, MFI_CONTAINER(node, mfi_slot, front_node));
    }
}
