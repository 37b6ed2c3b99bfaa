/* How calls end without an answer: by their deadlines, or many at once; and what their callers get.
 */
#include <string.h>

#include "client_rig.h"

static void init(client_rig *rig)
{
    mf_parent_options options;
    rig_options(&options);
    rig_init(rig, &options, true);
    rig_start(rig);
}

/* ---- Deadlines ---- */

static void call_for(client_rig *rig, int64_t timeout_ms, rig_outcome *outcome)
{
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = timeout_ms;
    rig_call_with(rig, "add", &options, outcome);
}

/* The timer stands at the earliest of the deadlines, and moves on. */
static void test_deadlines_of_asynchronous_calls(void)
{
    client_rig rig;
    rig_outcome outcomes[4];
    init(&rig);
    call_for(&rig, 100 * (int64_t)MF_TEST_PATIENCE_MS, &outcomes[0]);
    call_for(&rig, 40, &outcomes[1]);
    call_for(&rig, 10, &outcomes[2]);
    call_for(&rig, MF_TIMEOUT_INFINITE, &outcomes[3]);
    mf_check_int(rig_await(&outcomes[2]), MF_ERR_TIMEOUT);
    mf_check_int(rig_await(&outcomes[1]), MF_ERR_TIMEOUT);
    mf_check_contains(outcomes[1].text, "add");
    mf_check(sem_trywait(&outcomes[0].ended) != 0);
    mf_check(sem_trywait(&outcomes[3].ended) != 0);
    rig_fini(&rig);
    mf_check_int(rig_await(&outcomes[0]), MF_ERR_CANCELLED);
    mf_check_int(rig_await(&outcomes[3]), MF_ERR_CANCELLED);
}

/* A waiting thread times a near deadline itself, the engine a far one: both end by a timeout. */
static void check_waiting_call(int64_t timeout_ms)
{
    client_rig rig;
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    init(&rig);
    options.timeout_ms = timeout_ms;
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    mf_check_int(mf_call_with(rig.parent, "add", MF_NO_ARGS, &options, NULL, &error),
                 MF_ERR_TIMEOUT);
    mf_check(mfi_monotonic_ns() >= deadline);
    mf_check_contains(error.message, "add");
    rig_fini(&rig);
}

static void test_near_deadline(void)
{
    check_waiting_call(10);
}

static void test_far_deadline(void)
{
    check_waiting_call(1050);
}

/* A thread that gives up a call too late, whose outcome another thread has read: later answers
 * still end the count of the calls that are given up. */
static void test_read_outcome_is_not_given_up(void)
{
    client_rig rig;
    init(&rig);
    mfi_calls *calls = &rig.parent->calls;
    mfi_slot *slot = mfi_slots_acquire(&calls->slots);
    atomic_store(&slot->traffic, MFI_TRAFFIC_CALL);
    atomic_store(&slot->sent_ns, 0);
    uint64_t state = mfi_slot_active_state(slot, MFI_SLOT_SYNC);
    mfi_slot_activate(slot, MFI_SLOT_SYNC);
    mf_check(mfi_slot_claim(slot, state));
    mf_check_int(mfi_slot_end_send(slot), 0);
    mf_check(!mfi_calls_give_up(calls, slot, state));
    mf_check_int(atomic_load(&calls->signs.given_up), 0);
    mfi_signs_give_up(&calls->signs, 100);
    mfi_signs_answered(&calls->signs, 101);
    mf_check_int(atomic_load(&calls->signs.given_up), 0);
    mfi_slot_release(&calls->slots, slot);
    mfi_slot_release(&calls->slots, slot);
    rig_fini(&rig);
}

/* ---- All at once ---- */

typedef struct fail_order {
    client_rig *rig;
    bool sent_only;
    uint32_t count;
    mf_context oldest;
} fail_order;

static void fail_calls(void *data)
{
    fail_order *at = data;
    mfi_calls *calls = &at->rig->parent->calls;
    mfi_claimed claimed;
    mfi_calls_claim(calls, MF_ERR_CANCELLED, at->sent_only, &claimed);
    at->count = claimed.calls;
    at->oldest = claimed.ended.oldest;
    mfi_calls_deliver_claimed(calls, &claimed);
}

static void call_named(client_rig *rig, const char *correlation_id, rig_outcome *outcome)
{
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.correlation_id = correlation_id;
    rig_call_with(rig, "add", &options, outcome);
}

static void take_and_drop(client_rig *rig)
{
    rig_message message;
    rig_take(rig, &message, MFI_MESSAGE_CALL, "add");
    rig_drop(&message);
}

/* Heartbeats end too, and are not counted. */
static void beat(void *data)
{
    client_rig *rig = data;
    mfi_heartbeat_send(&rig->parent->heartbeat, MF_TEST_PATIENCE_MS);
}

static void test_all_at_once(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcomes[2];
    fail_order order = {.rig = &rig};
    init(&rig);
    mf_check(mfi_calls_oldest(&rig.parent->calls) == MFI_NEVER);
    uint64_t before = mfi_monotonic_ns();
    call_named(&rig, "the-first", &outcomes[0]);
    uint64_t between = mfi_monotonic_ns();
    call_named(&rig, "the-second", &outcomes[1]);
    take_and_drop(&rig);
    take_and_drop(&rig);
    mfi_loop_call(rig.runtime->loop, beat, &rig);
    rig_take(&rig, &message, MFI_MESSAGE_HEARTBEAT, NULL);
    mf_check_int(mfi_calls_sent(&rig.parent->calls), 2);
    uint64_t oldest = mfi_calls_oldest(&rig.parent->calls);
    mf_check(oldest >= before && oldest <= between);
    mfi_loop_call(rig.runtime->loop, fail_calls, &order);
    mf_check_int(order.count, 2);
    mf_check_str(order.oldest.correlation_id, "the-first");
    mf_check_int(rig_await(&outcomes[0]), MF_ERR_CANCELLED);
    mf_check_int(rig_await(&outcomes[1]), MF_ERR_CANCELLED);
    mf_check_int(mfi_calls_sent(&rig.parent->calls), 0);
    mf_check_int(atomic_load(&rig.parent->calls.async_open), 0);
    mfi_loop_call(rig.runtime->loop, fail_calls, &order); /* none is left */
    mf_check_int(order.count, 0);
    rig_drop(&message);
    rig_fini(&rig);
}

/* On the engine thread, so that nothing is sent in between. */
static void call_and_fail_sent(void *data)
{
    fail_order *at = data;
    static rig_outcome queued;
    call_named(at->rig, "queued", &queued);
    fail_calls(at);
    mf_check(sem_trywait(&queued.ended) != 0);
}

static void test_sent_ones_only(void)
{
    client_rig rig;
    rig_outcome sent;
    fail_order order = {.rig = &rig, .sent_only = true};
    init(&rig);
    call_named(&rig, "sent", &sent);
    take_and_drop(&rig);
    mfi_loop_call(rig.runtime->loop, call_and_fail_sent, &order);
    mf_check_int(order.count, 1);
    mf_check_str(order.oldest.correlation_id, "sent");
    mf_check_int(rig_await(&sent), MF_ERR_CANCELLED);
    take_and_drop(&rig); /* the other one goes its way */
    rig_fini(&rig);
}

/* A thread that waits, and drives, is woken. */
static void *wait_for_call(void *data)
{
    rig_request *request = data;
    request->status = mf_call(request->rig->parent, "add", MF_NO_ARGS, NULL, &request->error);
    return NULL;
}

static void test_waiting_thread_is_woken(void)
{
    client_rig rig;
    rig_request request = {.rig = &rig};
    fail_order order = {.rig = &rig};
    init(&rig);
    mf_check_int(pthread_create(&request.thread, NULL, wait_for_call, &request), 0);
    take_and_drop(&rig);
    mfi_loop_call(rig.runtime->loop, fail_calls, &order);
    mf_check_int(rig_request_end(&request), MF_ERR_CANCELLED);
    rig_fini(&rig);
}

/* ---- What callers get ---- */

/* Only while somebody drains: each call that ends is news. */
static void test_drain_news(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    init(&rig);
    mfi_calls *calls = &rig.parent->calls;
    for (int i = 0; i < 3; i++) {
        uint32_t before = atomic_load(&calls->drain_news);
        atomic_store(&calls->draining, i == 1);
        rig_call(&rig, "add", &outcome);
        rig_take(&rig, &message, MFI_MESSAGE_CALL, "add");
        mf_check_int(atomic_load(&calls->open), 1);
        rig_answer(&rig, &message);
        mf_check_int(rig_await(&outcome), MF_OK);
        mf_check_int(atomic_load(&calls->open), 0);
        mf_check_int(atomic_load(&calls->drain_news) - before, i == 1);
    }
    mf_check_int(atomic_load(&calls->finished), 3);
    mf_check_int(atomic_load(&calls->failed), 0);
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"deadline__of_a_call_whose_outcome_was_read", test_read_outcome_is_not_given_up},
    {"endings__deadlines_of_asynchronous_calls", test_deadlines_of_asynchronous_calls},
    {"endings__near_deadline_of_a_waiting_call", test_near_deadline},
    {"endings__far_deadline_of_a_waiting_call", test_far_deadline},
    {"endings__all_at_once", test_all_at_once},
    {"endings__sent_ones_only", test_sent_ones_only},
    {"endings__waiting_thread_is_woken", test_waiting_thread_is_woken},
    {"endings__drain_is_told", test_drain_news},
};
MF_TEST_MAIN(tests)
