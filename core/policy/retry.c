/* Decides whether a failed attempt is followed by another one. It exists apart from the call so
 * that a test can check every combination of outcome, policy and budget. */
#include "core/policy/retry.h"

#include "base/clock.h"
#include "base/error.h"
#include "core/policy/backoff.h"

/* In thousandths of a retry; retry.h names the numbers. */
#define EARNED 200           /* by every first attempt: a fifth of a retry */
#define AT_START 10000       /* ten retries */
#define SAVED_AT_MOST 100000 /* a hundred retries */
#define ONE_RETRY 1000
#define ATTEMPTS_MAX 100

void mfi_retry_budget_init(mfi_retry_budget *budget)
{
    atomic_init(&budget->thousandths, AT_START);
}

void mfi_retry_budget_earn(mfi_retry_budget *budget)
{
    /* A full budget is left alone; nearly all calls find it full. The sum may exceed the cap by
     * what other threads add at this moment. */
    if (atomic_load_explicit(&budget->thousandths, memory_order_relaxed) < SAVED_AT_MOST) {
        atomic_fetch_add_explicit(&budget->thousandths, EARNED, memory_order_relaxed);
    }
}

static bool spend(mfi_retry_budget *budget)
{
    int64_t saved = atomic_load_explicit(&budget->thousandths, memory_order_relaxed);
    while (saved >= ONE_RETRY) {
        if (atomic_compare_exchange_weak_explicit(&budget->thousandths, &saved, saved - ONE_RETRY,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

mf_status mfi_retry_policy_read(mf_retry_policy *ret_policy, const mf_retry_policy *from,
                                mf_error *error)
{
    mf_retry_policy policy;
    mf_status status =
        mfi_options_copy(&policy, sizeof policy, sizeof policy, from, "mf_retry_policy", error);
    if (status != MF_OK) {
        return status;
    }
    if (policy.max_attempts < 0 || policy.max_attempts > ATTEMPTS_MAX) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "max_attempts must be 1 to %d, not %d",
                        ATTEMPTS_MAX, (int)policy.max_attempts);
    }
    if (policy.backoff_ms < 0 || policy.backoff_max_ms < 0 || policy.attempt_timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "backoff_ms, backoff_max_ms and attempt_timeout_ms must not be negative");
    }
    if (!(policy.jitter >= 0 && policy.jitter <= 1) ||
        (policy.multiplier != 0 && !(policy.multiplier >= 1))) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "jitter must be 0 to 1, multiplier 1 or more");
    }
    policy.max_attempts = policy.max_attempts != 0 ? policy.max_attempts : 3;
    policy.backoff_ms = policy.backoff_ms != 0 ? policy.backoff_ms : 20;
    policy.backoff_max_ms = policy.backoff_max_ms != 0 ? policy.backoff_max_ms : 1000;
    policy.multiplier = policy.multiplier > 0 ? policy.multiplier : 2;
    policy.jitter = policy.jitter > 0 ? policy.jitter : 0.2;
    *ret_policy = policy;
    return MF_OK;
}

/* An error answer whose worker says when another attempt may follow. (The idea is gRPC's server
 * pushback: github.com/grpc/proposal, A6.) */
static bool is_pushback(const mfi_retry_outcome *outcome)
{
    return outcome->status == MF_ERR_REMOTE && outcome->has_pushback;
}

/* Failures of the way to the worker and back. All other outcomes are answers, which are final
 * unless they say otherwise, or the caller's own mistakes. */
static bool is_retriable(const mfi_retry_outcome *outcome)
{
    if (is_pushback(outcome)) {
        return true;
    }
    switch ((int)outcome->status) {
    case MF_ERR_TIMEOUT:
    case MF_ERR_CIRCUIT_OPEN:
    case MF_ERR_WORKER_EXITED:
    case MF_ERR_PROTOCOL:
    case MF_ERR_IO:
        return true;
    case MF_ERR_NOT_RUNNING:
        return outcome->can_return;
    default:
        return false;
    }
}

mfi_retry_verdict mfi_retry_decide(const mf_retry_policy *policy, mfi_retry_budget *budget,
                                   const mfi_retry_outcome *outcome, uint64_t random)
{
    mfi_retry_verdict verdict = {0};
    if (!is_retriable(outcome) || outcome->attempt >= (uint32_t)policy->max_attempts) {
        return verdict;
    }
    const mfi_backoff backoff = {.first_ms = policy->backoff_ms,
                                 .most_ms = policy->backoff_max_ms,
                                 .multiplier = policy->multiplier,
                                 .jitter = policy->jitter};
    bool is_invited = is_pushback(outcome); /* the worker knows that its function may run again */
    verdict.wait_ns = is_invited ? (uint64_t)outcome->pushback_ms * MFI_NS_PER_MS
                                 : mfi_backoff_ns(&backoff, outcome->attempt - 1, random);
    if (is_invited && outcome->pushback_ms < 0) {
        verdict.wait_ns = 0;
        verdict.suppressed = MFI_SUPPRESSED_BY_PUSHBACK;
    } else if (outcome->sent && !outcome->idempotent && !is_invited) {
        verdict.suppressed = MFI_SUPPRESSED_NOT_IDEMPOTENT;
    } else if (outcome->now_ns + verdict.wait_ns >= outcome->deadline_ns) {
        verdict.suppressed = MFI_SUPPRESSED_BY_DEADLINE;
    } else if (!spend(budget)) {
        verdict.suppressed = MFI_SUPPRESSED_BY_BUDGET;
    } else {
        verdict.again = true;
    }
    return verdict;
}
