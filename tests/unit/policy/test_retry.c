/* Whether a call is tried again, with clock and random numbers in hand. */
#include "core/policy/retry.h"

#include <math.h>

#include "base/clock.h"
#include "mf_test.h"

#define MS MFI_NS_PER_MS
#define MIDDLE (UINT64_C(1) << 63) /* the random number that varies nothing */

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

static void test_retry_of_each_failure_of_the_way(void)
{
    static const mf_status failures[] = {MF_ERR_TIMEOUT,  MF_ERR_CIRCUIT_OPEN, MF_ERR_WORKER_EXITED,
                                         MF_ERR_PROTOCOL, MF_ERR_IO,           MF_ERR_NOT_RUNNING};
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        mfi_retry_outcome outcome = make_outcome(failures[i], true, true);
        mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    }
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

/* What does not come to a retry for another reason leaves the budget alone. */
static void test_only_a_retry_spends(void)
{
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    mfi_retry_outcome sent = make_outcome(MF_ERR_TIMEOUT, true, false);
    mfi_retry_outcome late = make_outcome(MF_ERR_TIMEOUT, true, true);
    mfi_retry_outcome last = make_outcome(MF_ERR_TIMEOUT, true, true);
    late.deadline_ns = late.now_ns;
    last.attempt = 3;
    for (int i = 0; i < 20; i++) {
        mf_check(!mfi_retry_decide(&policy, &budget, &sent, MIDDLE).again);
        mf_check(!mfi_retry_decide(&policy, &budget, &late, MIDDLE).again);
        mf_check(!mfi_retry_decide(&policy, &budget, &last, MIDDLE).again);
    }
    mf_check_int(atomic_load(&budget.thousandths), 10000);
    mfi_retry_outcome good = make_outcome(MF_ERR_TIMEOUT, true, true);
    mf_check(mfi_retry_decide(&policy, &budget, &good, MIDDLE).again);
    mf_check_int(atomic_load(&budget.thousandths), 9000);
}

/* An error answer may say when the next attempt may follow. */
static void test_pushback(void)
{
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    mfi_retry_outcome outcome = make_outcome(MF_ERR_REMOTE, true, false);
    outcome.has_pushback = true;
    outcome.pushback_ms = 7;
    mfi_retry_verdict verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
    mf_check(verdict.again && verdict.wait_ns == 7 * MS);
    outcome.pushback_ms = 0;
    mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    outcome.pushback_ms = 7999;
    mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    outcome.pushback_ms = 8000; /* at the deadline */
    verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
    mf_check(!verdict.again && verdict.suppressed == MFI_SUPPRESSED_BY_DEADLINE);
    outcome.pushback_ms = -1;
    verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
    mf_check(!verdict.again && verdict.suppressed == MFI_SUPPRESSED_BY_PUSHBACK);
    outcome.attempt = 3; /* no attempt is left that could be suppressed */
    verdict = mfi_retry_decide(&policy, &budget, &outcome, MIDDLE);
    mf_check(!verdict.again && verdict.suppressed == MFI_SUPPRESSED_NOT);
    mf_check_int(atomic_load(&budget.thousandths), 7000);
}

static void test_pushback_is_of_error_answers(void)
{
    mfi_retry_budget budget;
    mf_retry_policy policy = make_policy();
    mfi_retry_budget_init(&budget);
    mfi_retry_outcome outcome = make_outcome(MF_ERR_TIMEOUT, true, true);
    outcome.has_pushback = true;
    outcome.pushback_ms = -1;
    mf_check(mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
    outcome.status = MF_ERR_FUNCTION_NOT_FOUND;
    outcome.pushback_ms = 1;
    mf_check(!mfi_retry_decide(&policy, &budget, &outcome, MIDDLE).again);
}

/* ---- The policy ---- */

static void test_zero_means_the_default(void)
{
    mf_retry_policy policy = MF_RETRY_POLICY_INIT;
    mf_check_int(mfi_retry_policy_read(&policy, &policy, NULL), MF_OK);
    mf_check_int(policy.max_attempts, 3);
    mf_check_int(policy.backoff_ms, 20);
    mf_check_int(policy.backoff_max_ms, 1000);
    mf_check(policy.multiplier > 1.99 && policy.multiplier < 2.01);
    mf_check(policy.jitter > 0.19 && policy.jitter < 0.21);
    mf_check_int(policy.attempt_timeout_ms, 0);
}

static void check_policy(mf_retry_policy from, mf_status wanted, const char *message)
{
    mf_error error = MF_ERROR_INIT;
    mf_retry_policy policy = {.max_attempts = 77};
    from.struct_size = sizeof from;
    mf_check_int(mfi_retry_policy_read(&policy, &from, &error), wanted);
    mf_check_contains(error.message, message);
    mf_check_int(policy.max_attempts == 77, wanted != MF_OK); /* untouched on failure */
}

static void test_what_is_out_of_range_is_named(void)
{
    static const mf_status wrong = MF_ERR_INVALID_ARGUMENT;
    check_policy((mf_retry_policy){.max_attempts = 100}, MF_OK, "");
    check_policy((mf_retry_policy){.max_attempts = 101}, wrong,
                 "max_attempts must be 1 to 100, not 101");
    check_policy((mf_retry_policy){.max_attempts = -1}, wrong, "not -1");
    check_policy((mf_retry_policy){.backoff_ms = -1}, wrong, "backoff_ms");
    check_policy((mf_retry_policy){.backoff_max_ms = -1}, wrong, "backoff_max_ms");
    check_policy((mf_retry_policy){.attempt_timeout_ms = -1}, wrong, "attempt_timeout_ms");
    check_policy((mf_retry_policy){.jitter = 1, .multiplier = 1}, MF_OK, "");
    check_policy((mf_retry_policy){.jitter = 1.01}, wrong, "jitter must be 0 to 1");
    check_policy((mf_retry_policy){.jitter = -0.01}, wrong, "jitter");
    check_policy((mf_retry_policy){.jitter = (double)NAN}, wrong, "jitter");
    check_policy((mf_retry_policy){.multiplier = 0.99}, wrong, "multiplier 1 or more");
    check_policy((mf_retry_policy){.multiplier = (double)NAN}, wrong, "multiplier");
}

static const mf_test tests[] = {
    {"retry__only_of_what_may_run_again", test_retry_only_of_what_may_run_again},
    {"retry__leaves_answers_alone", test_retry_leaves_answers_alone},
    {"retry__of_each_failure_of_the_way", test_retry_of_each_failure_of_the_way},
    {"retry__minds_the_deadline", test_retry_minds_the_deadline},
    {"retry__spends_from_a_budget", test_retry_budget},
    {"retry__alone_spends", test_only_a_retry_spends},
    {"retry__follows_what_the_answer_says", test_pushback},
    {"retry__of_other_failures_ignores_pushback", test_pushback_is_of_error_answers},
    {"policy__zero_means_the_default", test_zero_means_the_default},
    {"policy__what_is_out_of_range_is_named", test_what_is_out_of_range_is_named},
};
MF_TEST_MAIN(tests)
