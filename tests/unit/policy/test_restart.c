/* Whether and when a worker is started again, with clock and random numbers in hand. */
#include "core/policy/restart.h"

#include "base/clock.h"
#include "mf_test.h"

#define MS MFI_NS_PER_MS
#define MIDDLE (UINT64_C(1) << 63) /* the random number that varies nothing */

static mfi_restart make_restart(uint32_t max_attempts)
{
    mfi_restart restart;
    const mfi_restart_config config = {
        .max_attempts = max_attempts,
        .period_ms = 60000,
        .stable_ms = 10000,
        .backoff = {.first_ms = 1000, .most_ms = 30000, .multiplier = 2}};
    mfi_restart_init(&restart, &config);
    return restart;
}

static void test_restart_waits_longer_each_time(void)
{
    mfi_restart restart = make_restart(5);
    uint64_t now = 1000 * MFI_NS_PER_S;
    for (uint32_t i = 0; i < 5; i++) {
        mf_check_int(mfi_restart_budget(&restart, now), 5 - i);
        mfi_restart_decision decision = mfi_restart_decide(&restart, 0, now, MIDDLE);
        mf_check(decision.again);
        mf_check_int(decision.wait_ns / MS, 1000 << i);
        mf_check_int(decision.row, i + 1);
        mf_check_int(decision.in_period, i + 1);
        now += MFI_NS_PER_S;
    }
    mfi_restart_decision last = mfi_restart_decide(&restart, 0, now, MIDDLE);
    mf_check(!last.again);
    mf_check_int(last.in_period, 5);
    mf_check_int(mfi_restart_budget(&restart, now), 0);
}

static void test_restart_row_ends_with_stable_uptime_alone(void)
{
    mfi_restart restart = make_restart(5);
    uint64_t now = 1000 * MFI_NS_PER_S;
    (void)mfi_restart_decide(&restart, 0, now, MIDDLE);
    mf_check_int(mfi_restart_decide(&restart, 9999 * MS, now, MIDDLE).row, 2);
    mfi_restart_decision stable = mfi_restart_decide(&restart, 10000 * MS, now, MIDDLE);
    mf_check_int(stable.row, 1);
    mf_check_int(stable.wait_ns / MS, 1000);
    mf_check_int(stable.in_period, 3); /* the period knows better than the row */
}

static void test_restart_period_forgets(void)
{
    mfi_restart restart = make_restart(2);
    uint64_t now = 1000 * MFI_NS_PER_S;
    mf_check(mfi_restart_decide(&restart, 0, now, MIDDLE).again);
    mf_check(mfi_restart_decide(&restart, 0, now + 30000 * MS, MIDDLE).again);
    mf_check(!mfi_restart_decide(&restart, 0, now + 59999 * MS, MIDDLE).again);
    mf_check_int(mfi_restart_in_period(&restart, now + 60000 * MS), 1);
    mf_check(mfi_restart_decide(&restart, 0, now + 60000 * MS, MIDDLE).again);
}

static void test_restart_without_limit_and_by_hand(void)
{
    mfi_restart restart = make_restart(0);
    uint64_t now = 1000 * MFI_NS_PER_S;
    for (int i = 0; i < 3 * MFI_RESTARTS_MAX; i++) {
        mf_check(mfi_restart_decide(&restart, 0, now + (uint64_t)i, MIDDLE).again);
    }
    mf_check_int(mfi_restart_in_period(&restart, now + 3 * MFI_RESTARTS_MAX), MFI_RESTARTS_MAX);
    mfi_restart_forget(&restart);
    mf_check_int(mfi_restart_in_period(&restart, now), 0);
    mf_check_int(mfi_restart_decide(&restart, 0, now, MIDDLE).row, 1);
}

static void test_a_refused_restart_is_not_counted(void)
{
    mfi_restart restart = make_restart(1);
    uint64_t now = 1000 * MFI_NS_PER_S;
    mf_check(mfi_restart_decide(&restart, 0, now, MIDDLE).again);
    for (int i = 0; i < 3; i++) {
        mfi_restart_decision refused = mfi_restart_decide(&restart, 0, now + 59999 * MS, MIDDLE);
        mf_check(!refused.again);
        mf_check_int(refused.wait_ns, 0);
        mf_check_int(refused.row, 1);
        mf_check_int(refused.in_period, 1);
    }
    mf_check_int(mfi_restart_in_period(&restart, now + 60000 * MS), 0);
    mfi_restart_decision next = mfi_restart_decide(&restart, 0, now + 60000 * MS, MIDDLE);
    mf_check(next.again);
    mf_check_int(next.row, 2); /* the row knows better than the period */
    mf_check_int(next.wait_ns / MS, 2000);
}

static void test_budget_is_what_the_period_has_left(void)
{
    mfi_restart endless = make_restart(0);
    mfi_restart restart = make_restart(2);
    uint64_t now = 1000 * MFI_NS_PER_S;
    mf_check_int(mfi_restart_budget(&endless, now), MFI_RESTARTS_MAX);
    (void)mfi_restart_decide(&endless, 0, now, MIDDLE);
    mf_check_int(mfi_restart_budget(&endless, now), MFI_RESTARTS_MAX);
    (void)mfi_restart_decide(&restart, 0, now, MIDDLE);
    (void)mfi_restart_decide(&restart, 0, now + 1000 * MS, MIDDLE);
    mf_check_int(mfi_restart_budget(&restart, now + 59999 * MS), 0);
    mf_check_int(mfi_restart_budget(&restart, now + 60000 * MS), 1);
    mf_check_int(mfi_restart_budget(&restart, now + 61000 * MS), 2);
}

static void test_waits_vary_with_the_random_number(void)
{
    mfi_restart restart = make_restart(5);
    restart.config.backoff.jitter = 0.5;
    mf_check_int(mfi_restart_decide(&restart, 0, MFI_NS_PER_S, 0).wait_ns / MS, 500);
}

static const mf_test tests[] = {
    {"restart__waits_longer_each_time_and_gives_up", test_restart_waits_longer_each_time},
    {"restart__row_ends_with_stable_uptime_alone", test_restart_row_ends_with_stable_uptime_alone},
    {"restart__period_forgets", test_restart_period_forgets},
    {"restart__without_limit_and_by_hand", test_restart_without_limit_and_by_hand},
    {"restart__that_is_refused_is_not_counted", test_a_refused_restart_is_not_counted},
    {"restart__budget_is_what_the_period_has_left", test_budget_is_what_the_period_has_left},
    {"restart__waits_vary_with_the_random_number", test_waits_vary_with_the_random_number},
};
MF_TEST_MAIN(tests)
