/* The rules of a circuit breaker that look at the outcomes of the last calls: shares of failed and
 * of slow calls, once there are enough of them. Both are off unless configured. */
#ifndef MFI_POLICY_CIRCUIT_WINDOW_H
#define MFI_POLICY_CIRCUIT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/policy/outcomes.h"
#include "core/policy/refusal.h"

#define MFI_CIRCUIT_MIN_CALLS 20 /* the default */

/* A ratio of 0 is off. */
typedef struct mfi_window_rules {
    double failure_ratio; /* of the calls that count: those that failed */
    double slow_ratio;    /* of the calls that count: ok, but not before slow_call_ms */
    int64_t slow_call_ms; /* 0: no call is slow */
    uint32_t min_calls;   /* fewer are not judged */
    uint32_t window_calls;
} mfi_window_rules;

static inline bool mfi_window_rules_on(const mfi_window_rules *rules)
{
    return rules->failure_ratio > 0 || rules->slow_ratio > 0;
}

/* The shares that the rules look at; 0 below the minimum volume. */
typedef struct mfi_window_ratios {
    double failure, slow;
} mfi_window_ratios;
mfi_window_ratios mfi_window_ratios_of(const mfi_window_rules *rules,
                                       const mfi_circuit_counts *counts);

/* True, with the reason, if a ratio has reached its threshold. Failures come first. The caller adds
 * the call. */
bool mfi_window_judge(const mfi_window_rules *rules, const mfi_circuit_counts *counts,
                      mfi_circuit_reason *ret_reason);

#endif
