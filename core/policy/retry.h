/* Whether a call that failed is tried again. Pure but for the budget, whose word is atomic. */
#ifndef MFI_POLICY_RETRY_H
#define MFI_POLICY_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/retry.h>

#include "core/words/attempts.h"

/* All calls of a parent share it: first attempts earn a part of a retry each, so that retries add
 * at most that part to the load however much fails. (The idea is Finagle's RetryBudget.) */
typedef struct mfi_retry_budget {
    _Atomic(int64_t) thousandths; /* of a retry; relaxed: it guards nothing else */
} mfi_retry_budget;
void mfi_retry_budget_init(mfi_retry_budget *budget);
void mfi_retry_budget_earn(mfi_retry_budget *budget);

/* The policy with its defaults filled in; MF_ERR_INVALID_ARGUMENT names what is out of range. */
mf_status mfi_retry_policy_read(mf_retry_policy *ret_policy, const mf_retry_policy *from,
                                mf_error *error);

/* How one attempt ended. */
typedef struct mfi_retry_outcome {
    mf_status status;
    bool sent;       /* it was handed to the wire, so that it may have run */
    bool idempotent; /* it may run more than once */
    bool can_return; /* MF_ERR_NOT_RUNNING: the worker is expected back */
    uint32_t attempt;
    uint64_t now_ns, deadline_ns; /* of the whole call */
} mfi_retry_outcome;

typedef struct mfi_retry_verdict {
    bool again;
    uint64_t wait_ns;
    mfi_suppression suppressed; /* why a retry that the policy had left is not made */
} mfi_retry_verdict;
/* Spends from the budget when the verdict is "again". */
mfi_retry_verdict mfi_retry_decide(const mf_retry_policy *policy, mfi_retry_budget *budget,
                                   const mfi_retry_outcome *outcome, uint64_t random);

#endif
