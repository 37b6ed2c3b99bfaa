/* Whether a failed call is tried again. Pure but for the budget, whose word is atomic. */
#ifndef MFI_POLICY_RETRY_H
#define MFI_POLICY_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/retry.h>

#include "core/words/attempts.h"

/* Shared by all calls of a parent. Every first attempt earns a part of a retry, so that retries add
 * at most that part to the load, however many calls fail. (The idea is Finagle's RetryBudget.) */
typedef struct mfi_retry_budget {
    _Atomic(int64_t) thousandths; /* thousandths of a retry; relaxed: guards no other data */
} mfi_retry_budget;
void mfi_retry_budget_init(mfi_retry_budget *budget);
void mfi_retry_budget_earn(mfi_retry_budget *budget);

/* Copies the policy and fills in the defaults; MF_ERR_INVALID_ARGUMENT names the option out of
 * range. */
mf_status mfi_retry_policy_read(mf_retry_policy *ret_policy, const mf_retry_policy *from,
                                mf_error *error);

/* How one attempt ended. */
typedef struct mfi_retry_outcome {
    mf_status status;
    bool sent;           /* sent to the wire, so that the function may have run */
    bool idempotent;     /* the function may run more than once */
    bool can_return;     /* MF_ERR_NOT_RUNNING: the worker is expected back */
    bool has_pushback;   /* MF_ERR_REMOTE: the answer says when another attempt may follow */
    int64_t pushback_ms; /* then: after this wait; negative: none may */
    uint32_t attempt;
    uint64_t now_ns, deadline_ns; /* monotonic; the deadline is the whole call's */
} mfi_retry_outcome;

typedef struct mfi_retry_verdict {
    bool again;
    uint64_t wait_ns;
    mfi_suppression suppressed; /* why a retry that the policy allows is not made */
} mfi_retry_verdict;
/* Takes a retry from the budget if the verdict is "again". */
mfi_retry_verdict mfi_retry_decide(const mf_retry_policy *policy, mfi_retry_budget *budget,
                                   const mfi_retry_outcome *outcome, uint64_t random);

#endif
