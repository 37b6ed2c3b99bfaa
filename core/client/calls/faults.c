/* Faults that an operator arms. It exists so that a program, its dashboards and its people can be
 * tested with calls that fail, without a worker that really does.
 *
 * The thread that holds the driver's role decides whether a call is hit. What takes time, or
 * touches the worker's process, is the engine thread's. */
#include "core/client/calls/faults.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/str.h"
#include "core/client/calls/calls.h"

#define WANTS_CRASH 1u
#define WANTS_FREEZE 2u

/* ---- The rule ---- */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void write_rule(const mfi_fault_rule *rule, uint64_t hits, char *to)
{
    size_t length = mfi_str_format(
        to, MFI_FAULT_TEXT_MAX, "%s of %s, share %s, for %lld ms, %llu calls hit",
        mfi_fault_word(rule->kind), rule->function[0] != '\0' ? rule->function : "any function",
        mfi_fixed_text(rule->share, 3).text, (long long)rule->for_ms, (unsigned long long)hits);
    if (rule->kind == MFI_FAULT_DELAY || rule->kind == MFI_FAULT_FREEZE) {
        (void)mfi_str_format(to + length, MFI_FAULT_TEXT_MAX - length, ", delay %lld ms",
                             (long long)rule->delay_ms);
    }
}

static bool is_over_locked(const mfi_faults *faults, uint64_t now_ns)
{
    const mfi_fault_rule *rule = &faults->rule;
    return now_ns >= faults->until_ns || (rule->count != 0 && faults->hits >= rule->count);
}

void mfi_faults_arm(mfi_faults *faults, const mfi_fault_rule *rule, uint64_t now_ns, char *from,
                    char *to)
{
    mfi_mutex_lock(&faults->mutex);
    (void)mfi_str_copy(from, MFI_FAULT_TEXT_MAX, "none");
    (void)mfi_str_copy(to, MFI_FAULT_TEXT_MAX, "none");
    if (atomic_load_explicit(&faults->armed, memory_order_relaxed) &&
        !is_over_locked(faults, now_ns)) {
        write_rule(&faults->rule, faults->hits, from);
    }
    if (rule != NULL) {
        faults->rule = *rule;
        faults->until_ns = mfi_deadline_after_ms(now_ns, rule->for_ms);
        faults->random = rule->seed;
        faults->hits = 0;
        write_rule(rule, 0, to);
    }
    atomic_store_explicit(&faults->armed, rule != NULL, memory_order_relaxed);
    mfi_mutex_unlock(&faults->mutex);
}

bool mfi_faults_hit(mfi_faults *faults, const char *function, uint64_t now_ns,
                    mfi_fault_rule *ret_rule)
{
    bool hit = false;
    mfi_mutex_lock(&faults->mutex);
    const mfi_fault_rule *rule = &faults->rule;
    if (!atomic_load_explicit(&faults->armed, memory_order_relaxed)) {
        hit = false; /* it was taken back meanwhile */
    } else if (is_over_locked(faults, now_ns)) {
        atomic_store_explicit(&faults->armed, false, memory_order_relaxed);
    } else if (rule->function[0] == '\0' || strcmp(rule->function, function) == 0) {
        double at = (double)(next_random(&faults->random) >> 11) * 0x1p-53;
        hit = at < rule->share;
        faults->hits += hit;
    }
    if (hit) {
        *ret_rule = *rule;
    }
    mfi_mutex_unlock(&faults->mutex);
    return hit;
}

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
            send_late(calls, slot);
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
        slot->due_ns = mfi_deadline_after_ms(now, rule.delay_ms);
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

void mfi_faults_init(mfi_faults *faults)
{
    mfi_mutex_init(&faults->mutex);
    mfi_mpsc_init(&faults->late);
    mfi_task_init(&faults->task, on_task);
    mfi_timer_init(&faults->late_timer, on_late);
    mfi_timer_init(&faults->thaw_timer, on_thaw);
}

void mfi_faults_settle(mfi_calls *calls)
{
    mfi_timer_cancel(calls->state->loop, &calls->faults.late_timer);
    mfi_timer_cancel(calls->state->loop, &calls->faults.thaw_timer);
    take_late(calls);
    while (calls->faults.waiting.first != NULL) {
        mfi_chain_node *node = mfi_chain_pop_front(&calls->faults.waiting);
        mfi_slot_release(&calls->slots, MFI_CONTAINER(node, mfi_slot, front_node));
    }
}

void mfi_faults_fini(mfi_faults *faults)
{
    mfi_mutex_fini(&faults->mutex);
}
