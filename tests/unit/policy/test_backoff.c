/* Waits that grow, with the random numbers in hand. */
#include "core/policy/backoff.h"

#include "base/clock.h"
#include "mf_test.h"

#define MS MFI_NS_PER_MS
#define MIDDLE (UINT64_C(1) << 63) /* the random number that varies nothing */

static void test_backoff_grows_to_its_cap(void)
{
    const mfi_backoff backoff = {.first_ms = 100, .most_ms = 1000, .multiplier = 2, .jitter = 0.2};
    mf_check_int(mfi_backoff_ns(&backoff, 0, MIDDLE) / MS, 100);
    mf_check_int(mfi_backoff_ns(&backoff, 1, MIDDLE) / MS, 200);
    mf_check_int(mfi_backoff_ns(&backoff, 3, MIDDLE) / MS, 800);
    mf_check_int(mfi_backoff_ns(&backoff, 4, MIDDLE) / MS, 1000);
    mf_check_int(mfi_backoff_ns(&backoff, UINT32_MAX, MIDDLE) / MS, 1000);
    const mfi_backoff endless = {.first_ms = INT64_MAX, .most_ms = INT64_MAX, .multiplier = 2};
    mf_check(mfi_backoff_ns(&endless, 3, MIDDLE) > UINT64_C(1000000) * MFI_NS_PER_S);
}

static void test_backoff_varies_within_its_jitter(void)
{
    const mfi_backoff backoff = {.first_ms = 100, .most_ms = 1000, .multiplier = 2, .jitter = 0.2};
    const mfi_backoff steady = {.first_ms = 100, .most_ms = 1000, .multiplier = 2};
    mf_check_int(mfi_backoff_ns(&backoff, 0, 0) / MS, 80);
    uint64_t most = mfi_backoff_ns(&backoff, 0, UINT64_MAX);
    mf_check(most > 119 * MS && most <= 120 * MS);
    mf_check_int(mfi_backoff_ns(&steady, 0, 0), mfi_backoff_ns(&steady, 0, UINT64_MAX));
}

static void test_cap_varies_too(void)
{
    const mfi_backoff backoff = {.first_ms = 100, .most_ms = 1000, .multiplier = 2, .jitter = 0.2};
    mf_check_int(mfi_backoff_ns(&backoff, 9, 0) / MS, 800);
    uint64_t most = mfi_backoff_ns(&backoff, 9, UINT64_MAX);
    mf_check(most > 1199 * MS && most <= 1200 * MS);
    const mfi_backoff whole = {.first_ms = 100, .most_ms = 1000, .multiplier = 2, .jitter = 1};
    mf_check_int(mfi_backoff_ns(&whole, 0, 0), 0);
}

static void test_first_wait_is_capped_and_a_multiplier_of_one_keeps_it(void)
{
    const mfi_backoff capped = {.first_ms = 5000, .most_ms = 1000, .multiplier = 2};
    const mfi_backoff level = {.first_ms = 100, .most_ms = 1000, .multiplier = 1};
    const mfi_backoff none = {.most_ms = 1000, .multiplier = 2};
    mf_check_int(mfi_backoff_ns(&capped, 0, MIDDLE) / MS, 1000);
    mf_check_int(mfi_backoff_ns(&level, 0, MIDDLE) / MS, 100);
    mf_check_int(mfi_backoff_ns(&level, 50, MIDDLE) / MS, 100);
    mf_check_int(mfi_backoff_ns(&none, 5, MIDDLE), 0);
}

/* Sums with a clock must not overflow: three years is the end. */
static void test_no_wait_is_endless(void)
{
    const mfi_backoff backoff = {
        .first_ms = INT64_MAX, .most_ms = INT64_MAX, .multiplier = 2, .jitter = 1};
    uint64_t longest = UINT64_C(100000000000) * MS;
    mf_check_int(mfi_backoff_ns(&backoff, UINT32_MAX, UINT64_MAX), longest);
    mf_check_int(mfi_backoff_ns(&backoff, 0, MIDDLE), longest);
}

static const mf_test tests[] = {
    {"backoff__grows_to_its_cap", test_backoff_grows_to_its_cap},
    {"backoff__varies_within_its_jitter", test_backoff_varies_within_its_jitter},
    {"backoff__cap_varies_too", test_cap_varies_too},
    {"backoff__first_wait_is_capped_and_a_multiplier_of_one_keeps_it",
     test_first_wait_is_capped_and_a_multiplier_of_one_keeps_it},
    {"backoff__no_wait_is_endless", test_no_wait_is_endless},
};
MF_TEST_MAIN(tests)
