/* Faults: which calls they hit, how long, and what becomes of a call that is hit. */
#include <string.h>

#include "base/error.h"
#include "client_rig.h"

#define NOW MFI_NS_PER_S

static mfi_fault_rule rule_of(mfi_fault_kind kind)
{
    return (mfi_fault_rule){.kind = kind, .share = 1, .seed = 1, .for_ms = 1000};
}

static void arm(mfi_faults *faults, const mfi_fault_rule *rule)
{
    char from[MFI_FAULT_TEXT_MAX];
    char to[MFI_FAULT_TEXT_MAX];
    mfi_faults_arm(faults, rule, NOW, from, to);
}

/* ---- The rule ---- */

static unsigned hits_of(mfi_faults *faults, unsigned calls)
{
    mfi_fault_rule rule;
    unsigned hits = 0;
    for (unsigned i = 0; i < calls; i++) {
        hits += mfi_faults_hit(faults, "add", NOW, &rule);
    }
    return hits;
}

static void test_function_time_and_count(void)
{
    mfi_faults faults = {.hits = 0};
    mfi_fault_rule rule = rule_of(MFI_FAULT_DROP);
    mfi_fault_rule got;
    mfi_faults_init(&faults);
    mf_check(!mfi_faults_armed(&faults));
    mf_check(!mfi_faults_hit(&faults, "add", NOW, &got));
    (void)strcpy(rule.function, "add");
    rule.count = 2;
    arm(&faults, &rule);
    mf_check(mfi_faults_armed(&faults));
    mf_check(!mfi_faults_hit(&faults, "divide", NOW, &got));
    mf_check(mfi_faults_hit(&faults, "add", NOW, &got));
    mf_check_int(got.kind, MFI_FAULT_DROP);
    mf_check(mfi_faults_hit(&faults, "add", NOW + 999 * MFI_NS_PER_MS, &got));
    mf_check(!mfi_faults_hit(&faults, "add", NOW, &got)); /* it hit two */
    mf_check(!mfi_faults_armed(&faults));
    arm(&faults, &rule);
    mf_check(!mfi_faults_hit(&faults, "add", NOW + 1000 * MFI_NS_PER_MS, &got));
    mf_check(!mfi_faults_armed(&faults));
    mfi_faults_fini(&faults);
}

static void test_share_and_seed(void)
{
    mfi_faults faults = {.hits = 0};
    mfi_fault_rule rule = rule_of(MFI_FAULT_ERROR);
    mfi_faults_init(&faults);
    rule.share = 0;
    arm(&faults, &rule);
    mf_check_int(hits_of(&faults, 1000), 0);
    rule.share = 0.25;
    arm(&faults, &rule);
    unsigned hits = hits_of(&faults, 1000); /* the same in each run: the seed is given */
    mf_check(hits > 200 && hits < 300);
    arm(&faults, &rule);
    mf_check_int(hits_of(&faults, 1000), hits);
    mfi_faults_fini(&faults);
}

static void test_texts(void)
{
    mfi_faults faults = {.hits = 0};
    mfi_fault_rule rule = rule_of(MFI_FAULT_DELAY);
    char from[MFI_FAULT_TEXT_MAX];
    char to[MFI_FAULT_TEXT_MAX];
    mfi_faults_init(&faults);
    rule.delay_ms = 20;
    mfi_faults_arm(&faults, &rule, NOW, from, to);
    mf_check_str(from, "none");
    mf_check_str(to, "delay of any function, share 1.000, for 1000 ms, 0 calls hit, delay 20 ms");
    mf_check_int(hits_of(&faults, 3), 3);
    mfi_faults_arm(&faults, NULL, NOW, from, to);
    mf_check_str(from, "delay of any function, share 1.000, for 1000 ms, 3 calls hit, delay 20 ms");
    mf_check_str(to, "none");
    mf_check(!mfi_faults_armed(&faults));
    mfi_faults_fini(&faults);
}

/* ---- Calls ---- */

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
    rule.for_ms = 3600000;
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
    {"faults__function_time_and_count", test_function_time_and_count},
    {"faults__share_and_seed", test_share_and_seed},
    {"faults__texts", test_texts},
    {"faults__a_dropped_call_is_never_sent", test_drop},
    {"faults__an_error_ends_a_call", test_error},
    {"faults__a_late_call_is_sent_later", test_delay},
    {"faults__a_crash_kills_the_worker", test_crash},
    {"faults__a_freeze_ends", test_freeze},
};
MF_TEST_MAIN(tests)
