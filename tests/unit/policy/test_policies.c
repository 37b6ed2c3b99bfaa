/* Backoff, restarts and retries, with the test's own clock and random numbers. */
#include <stdint.h>

#include <multifrost/retry.h>

#include "base/clock.h"
#include "core/policy/backoff.h"
#include "core/policy/restart.h"
#include "core/policy/retry.h"
#include "mf_test.h"

#define MS MFI_NS_PER_MS
#define MIDDLE (UINT64_C(1) << 63) /* the random number that varies nothing */

/* ---- Backoff ---- */

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

/* ---- Restarts ---- */

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

/* ---- Retries ---- */

static mf_retry_policy make_policy(void)
{
    mf_retry_policy policy = MF_RETRY_POLICY_INIT;
    mf_error error = MF_ERROR_INIT;
    policy.jitter = 0.5;
    mf_check_int(mfi_retry_policy_read(&policy, &policy, &error), MF_OK);
    mf_check_int(policy.max_attempts, 3);
    mf_check_int(policy.backoff_ms, 20);
    return policy;
}

static mfi_retry_outcome make_outcome(mf_status status, bool sent, bool idempotent)
{
    return (mfi_retry_outcome){.status = status,
                               .sent = sent,
                               .idempotent = idempotent,
                               .can_return = true,
                               .attempt = 1,
                               .now_ns = 1000 * MS,
                               .deadline_ns = 9000 * MS};
}

static void test_retry_only_of_what_may_run_again(void)
{
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    mfi_retry_outcome unsent = make_outcome(MF_ERR_CIRCUIT_OPEN, false, false);
    mfi_retry_verdict verdict = mfi_retry_decide(&policy, &budget, &unsent, MIDDLE);
    mf_check(verdict.again);
    mf_check_int(verdict.wait_ns / MS, 20);
    mfi_retry_outcome sent = make_outcome(MF_ERR_WORKER_EXITED, true, false);
    verdict = mfi_retry_decide(&policy, &budget, &sent, MIDDLE);
    mf_check(!verdict.again);
    mf_check_int(verdict.suppressed, MFI_SUPPRESSED_NOT_IDEMPOTENT);
    sent.idempotent = true;
    sent.attempt = 2;
    verdict = mfi_retry_decide(&policy, &budget, &sent, MIDDLE);
    mf_check(verdict.again);
    mf_check_int(verdict.wait_ns / MS, 40);
    sent.attempt = 3;
    verdict = mfi_retry_decide(&policy, &budget, &sent, MIDDLE);
    mf_check(!verdict.again && verdict.suppressed == MFI_SUPPRESSED_NOT);
}

static void test_retry_leaves_answers_alone(void)
{
    static const mf_status finals[] = {MF_ERR_REMOTE, MF_ERR_FUNCTION_NOT_FOUND, MF_ERR_CANCELLED,
                                       MF_ERR_LIMIT,  MF_ERR_INVALID_ARGUMENT,   MF_ERR_TYPE};
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
        mfi_retry_outcome outcome = make_outcome(finals[i], true, true);
        mfi_retry_verdict verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
        mf_check(!verdict.again && verdict.suppressed == MFI_SUPPRESSED_NOT);
    }
    mfi_retry_outcome gone = make_outcome(MF_ERR_NOT_RUNNING, false, true);
    mf_check(mfi_retry_decide(&policy, &budget, &gone, MIDDLE).again);
    gone.can_return = false;
    mf_check(!mfi_retry_decide(&policy, &budget, &gone, MIDDLE).again);
}

static void test_retry_minds_the_deadline(void)
{
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    mfi_retry_outcome outcome = make_outcome(MF_ERR_TIMEOUT, true, true);
    outcome.deadline_ns = outcome.now_ns + 20 * MS;
    mfi_retry_verdict verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
    mf_check(!verdict.again);
    mf_check_int(verdict.suppressed, MFI_SUPPRESSED_BY_DEADLINE);
    outcome.deadline_ns++;
    mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
}

static void test_retry_budget(void)
{
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_outcome outcome = make_outcome(MF_ERR_TIMEOUT, true, true);
    mfi_retry_budget_init(&budget);
    for (int i = 0; i < 10; i++) {
        mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    }
    mfi_retry_verdict verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
    mf_check(!verdict.again);
    mf_check_int(verdict.suppressed, MFI_SUPPRESSED_BY_BUDGET);
    for (int i = 0; i < 5; i++) { /* five first attempts earn one */
        mf_check(!mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
        mfi_retry_budget_earn(&budget);
    }
    mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    mf_check(!mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    for (int i = 0; i < 100000; i++) {
        mfi_retry_budget_earn(&budget);
    }
    int saved = 0;
    while (mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again) {
        saved++;
    }
    mf_check_int(saved, 100);
}

static const mf_test tests[] = {
    {"backoff__grows_to_its_cap", test_backoff_grows_to_its_cap},
    {"backoff__varies_within_its_jitter", test_backoff_varies_within_its_jitter},
    {"restart__waits_longer_each_time_and_gives_up", test_restart_waits_longer_each_time},
    {"restart__row_ends_with_stable_uptime_alone", test_restart_row_ends_with_stable_uptime_alone},
    {"restart__period_forgets", test_restart_period_forgets},
    {"restart__without_limit_and_by_hand", test_restart_without_limit_and_by_hand},
    {"retry__only_of_what_may_run_again", test_retry_only_of_what_may_run_again},
    {"retry__leaves_answers_alone", test_retry_leaves_answers_alone},
    {"retry__minds_the_deadline", test_retry_minds_the_deadline},
    {"retry__spends_from_a_budget", test_retry_budget},
};

MF_TEST_MAIN(tests)
