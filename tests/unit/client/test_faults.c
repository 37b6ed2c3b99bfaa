/* Faults: which calls they hit, and how long. */
#include <string.h>

#include "base/clock.h"
#include "core/client/calls/faults.h"
#include "mf_test.h"

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

static const mf_test tests[] = {
    {"faults__function_time_and_count", test_function_time_and_count},
    {"faults__share_and_seed", test_share_and_seed},
    {"faults__texts", test_texts},
};
MF_TEST_MAIN(tests)
