/* Deadlines saturate, and remaining times round up. The fake clock moves only by hand. */
#include "base/clock.h"

#include <limits.h>

#include "mf_test.h"

static void test_deadlines_saturate(void)
{
    mf_check_int(mfi_deadline_after_ms(5, 2), 5 + 2 * MFI_NS_PER_MS);
    mf_check_int(mfi_deadline_after_ms(5, 0), 5);
    mf_check_int(mfi_deadline_after_ms(5, -1), 5);
    mf_check(mfi_deadline_after_ms(5, INT64_MAX) == MFI_NEVER);
    mf_check(mfi_deadline_after_ms(5, INT64_MAX - 1) == MFI_NEVER);
    mf_check(mfi_deadline_after_ms(MFI_NEVER - 1, 1) == MFI_NEVER);
}

static void test_remaining(void)
{
    mf_check_int(mfi_remaining_ns(10, 4), 6);
    mf_check_int(mfi_remaining_ns(10, 10), 0);
    mf_check_int(mfi_remaining_ns(10, 11), 0);
    mf_check(mfi_remaining_ns(MFI_NEVER, 11) == MFI_NEVER);
}

static void test_poll_timeout_rounds_up(void)
{
    mf_check_int(mfi_poll_timeout_ms(MFI_NEVER, 0), -1);
    mf_check_int(mfi_poll_timeout_ms(7, 7), 0);
    mf_check_int(mfi_poll_timeout_ms(8, 7), 1);
    mf_check_int(mfi_poll_timeout_ms(MFI_NS_PER_MS, 0), 1);
    mf_check_int(mfi_poll_timeout_ms(MFI_NS_PER_MS + 1, 0), 2);
    mf_check_int(mfi_poll_timeout_ms(MFI_NEVER - 1, 0), INT_MAX);
}

static void test_fake_clock(void)
{
    mfi_fake_clock fake;
    mfi_fake_clock_init(&fake, 100);
    mf_check_int(mfi_clock_monotonic(&fake.clock), 100);
    mf_check_int(mfi_clock_wall(&fake.clock), 100);
    mfi_fake_clock_advance(&fake, 11);
    mf_check_int(mfi_clock_monotonic(&fake.clock), 111);
    mf_check_int(mfi_clock_wall(&fake.clock), 111);
}

static void test_system_clock_goes_on(void)
{
    const mfi_clock *clock = mfi_clock_system();
    uint64_t before = mfi_monotonic_ns();
    uint64_t between = mfi_clock_monotonic(clock);
    mf_check(before <= between);
    mf_check(between <= mfi_monotonic_ns());
    mf_check(mfi_clock_wall(clock) > UINT64_C(1600000000) * MFI_NS_PER_S);
}

static const mf_test tests[] = {
    {"clock__deadlines_saturate", test_deadlines_saturate},
    {"clock__remaining_time_is_never_negative", test_remaining},
    {"clock__poll_timeouts_round_up", test_poll_timeout_rounds_up},
    {"clock__fake_one_is_turned_by_hand", test_fake_clock},
    {"clock__system_one_goes_on", test_system_clock_goes_on},
};
MF_TEST_MAIN(tests)
