/**
 * @file retry.h
 * When and how a call that failed is tried again.
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
 * A call that was never handed to the worker is tried again in any case; one that may have run only
 * if the call is marked `idempotent`. Answers, also errors that the function raised, are final. All
 * calls of a parent share a budget: each first attempt earns a fifth of a retry (at most 100 are
 * saved up, 10 are there at the start), so that retries cannot multiply an overload. No attempt is
 * made that the call's timeout leaves no time for.
 */
typedef struct mf_retry_policy {
    size_t struct_size;
    int32_t max_attempts;       /**< The first included; default 3. */
    int64_t backoff_ms;         /**< Before the second attempt; default 20. */
    int64_t backoff_max_ms;     /**< Default 1,000. */
    double multiplier;          /**< Default 2. */
    double jitter;              /**< Share by which waits vary, 0 to 1; default 0.2. */
    int64_t attempt_timeout_ms; /**< Of one attempt; default: what is left of the call's timeout. */
} mf_retry_policy;
#define MF_RETRY_POLICY_INIT MF_DETAIL_INIT(mf_retry_policy)

MF_EXTERN_C_END

#endif
