/* What becomes of a call that a fault hits. */
#include <string.h>

#include "base/error.h"
#include "client_rig.h"

static mfi_fault_rule rule_of(mfi_fault_kind kind)
{
    return (mfi_fault_rule){.kind = kind, .share = 1, .seed = 1, .for_ms = 3600000};
}

static _Atomic(int) last_signal;

static void take_signal(void *self, int number)
{
    (void)self;
    atomic_store(&last_signal, number);
}

static void setup(client_rig *rig, mfi_fault_rule rule)
{
    mf_parent_options options;
    char from[MFI_FAULT_TEXT_MAX];
    char to[MFI_FAULT_TEXT_MAX];
    rig_options(&options);
    rig_init(rig, &options, true);
    rig->parent->calls.faults.signal = take_signal;
    atomic_store(&last_signal, 0);
    rig_start(rig);
    mfi_faults_arm(&rig->parent->calls.faults, &rule, mfi_monotonic_ns(), from, to);
}

/* A lost call goes to no peer; the one behind it does. */
static void test_drop(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome lost;
    rig_outcome sent;
    mfi_fault_rule rule = rule_of(MFI_FAULT_DROP);
    (void)strcpy(rule.function, "lost");
    setup(&rig, rule);
    rig_call(&rig, "lost", &lost);
    rig_call(&rig, "sent", &sent);
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "sent");
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&sent), MF_OK);
    rig_exit(&rig, "was killed"); /* it counts as sent: it ends with the worker */
    mf_check_int(rig_await(&lost), MF_ERR_WORKER_EXITED);
    rig_fini(&rig);
}

static void test_error(void)
{
    client_rig rig;
    rig_outcome outcome;
    setup(&rig, rule_of(MFI_FAULT_ERROR));
    rig_call(&rig, "add", &outcome);
    mf_check_int(rig_await(&outcome), MF_ERR_NOT_RUNNING);
    mf_check_contains(outcome.text, "was ended by an injected fault");
    rig_fini(&rig);
}

/* Late calls overtake none that are later still, and are judged once. */
static void test_delay(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcomes[2];
    mfi_fault_rule rule = rule_of(MFI_FAULT_DELAY);
    rule.delay_ms = 30;
    setup(&rig, rule);
    uint64_t began = mfi_monotonic_ns();
    for (int i = 0; i < 2; i++) {
        rig_call(&rig, "add", &outcomes[i]);
    }
    for (int i = 0; i < 2; i++) {
        rig_take(&rig, &message, MFI_MESSAGE_CALL, "add");
        mf_check(mfi_monotonic_ns() - began >= 30 * MFI_NS_PER_MS);
        rig_answer(&rig, &message);
    }
    for (int i = 0; i < 2; i++) {
        mf_check_int(rig_await(&outcomes[i]), MF_OK);
    }
    mf_check_int(rig.parent->calls.faults.hits, 2);
    rig_fini(&rig);
}

static bool has_free_slots(void *data)
{
    const mfi_slots *slots = data;
    for (uint32_t i = 0; i < atomic_load(&slots->used); i++) {
        if ((atomic_load(&slots->all[i].state) & 3u) != MFI_SLOT_FREE) {
            return false;
        }
    }
    return true;
}

/* A call that ended at its deadline keeps no slot for as long as it would have been late. */
static void test_later_than_the_deadline(void)
{
    client_rig rig;
    rig_outcome outcome;
    rig_message message;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mfi_fault_rule rule = rule_of(MFI_FAULT_DELAY);
    rule.delay_ms = 600000;
    rule.count = 1;
    options.timeout_ms = 20;
    setup(&rig, rule);
    rig_call_with(&rig, "late", &options, &outcome);
    mf_check_int(rig_await(&outcome), MF_ERR_TIMEOUT);
    mf_check(mf_test_until(has_free_slots, &rig.parent->calls.slots, MF_TEST_PATIENCE_MS));
    rig_call(&rig, "next", &outcome);
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "next"); /* and not the late one */
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

static bool was_killed(void *data)
{
    (void)data;
    return atomic_load(&last_signal) == 9;
}

static void test_crash(void)
{
    client_rig rig;
    rig_outcome outcome;
    setup(&rig, rule_of(MFI_FAULT_CRASH));
    rig_call(&rig, "add", &outcome);
    mf_check(mf_test_until(was_killed, NULL, MF_TEST_PATIENCE_MS));
    rig_exit(&rig, "was killed");
    mf_check_int(rig_await(&outcome), MF_ERR_WORKER_EXITED);
    rig_fini(&rig);
}

static bool goes_on(void *data)
{
    (void)data;
    return atomic_load(&last_signal) == 18;
}

static void test_freeze(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_fault_rule rule = rule_of(MFI_FAULT_FREEZE);
    rule.delay_ms = 10;
    setup(&rig, rule);
    rig_call(&rig, "add", &outcome);
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "add"); /* it is sent all the same */
    mf_check(mf_test_until(goes_on, NULL, MF_TEST_PATIENCE_MS));
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"faulted__a_dropped_call_is_never_sent", test_drop},
    {"faulted__an_error_ends_a_call", test_error},
    {"faulted__a_late_call_is_sent_later", test_delay},
    {"faulted__a_late_call_keeps_no_slot", test_later_than_the_deadline},
    {"faulted__a_crash_kills_the_worker", test_crash},
    {"faulted__a_freeze_ends", test_freeze},
};
MF_TEST_MAIN(tests)
