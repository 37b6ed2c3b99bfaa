/**
 * @file retry.h
 * When and how a failed call is tried again.
 */
#ifndef MULTIFROST_RETRY_H
#define MULTIFROST_RETRY_H

#include <stddef.h>
#include <stdint.h>

#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

/**
 * When and how a call is tried again. Set by MF_RETRY_POLICY_INIT; zero means the default.
 *
 * A call that was never sent to the worker is tried again in any case. A call that may have run is
 * tried again only if it is marked `idempotent`. An answer is final, also an error that the
 * function raised, unless it says when the caller may try again (mf_reply_retry_after()): the next
 * attempt then follows after that time, or none does. All calls of a parent share a budget: every
 * first attempt earns a fifth of a retry (at most 100 retries are saved; 10 are there at the
 * start), so that retries cannot multiply an overload. No attempt is made if the call's timeout
 * leaves no time for it.
 */
typedef struct mf_retry_policy {
    size_t struct_size;
    int32_t max_attempts;       /**< Attempts, the first included; default 3. */
    int64_t backoff_ms;         /**< Wait before the second attempt; default 20. */
    int64_t backoff_max_ms;     /**< Longest wait; default 1,000. */
    double multiplier;          /**< Growth from wait to wait; default 2. */
    double jitter;              /**< Share by which waits vary, 0 to 1; default 0.2. */
    int64_t attempt_timeout_ms; /**< Timeout of one attempt; default: what is left of the call's. */
} mf_retry_policy;
#define MF_RETRY_POLICY_INIT MF_DETAIL_INIT(mf_retry_policy)

MF_EXTERN_C_END

#endif
