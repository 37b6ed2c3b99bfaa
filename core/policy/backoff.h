/* Growing waits: exponential, capped, and varied so that many waits do not end at the same moment.
 * Pure. */
#ifndef MFI_POLICY_BACKOFF_H
#define MFI_POLICY_BACKOFF_H

#include <stdint.h>

typedef struct mfi_backoff {
    int64_t first_ms, most_ms;
    double multiplier; /* at least 1 */
    double jitter;     /* 0.2: varies by up to 20 % either way, also at the cap */
} mfi_backoff;

/* The wait after `before` earlier waits in a row, in nanoseconds. random: 64 random bits. */
uint64_t mfi_backoff_ns(const mfi_backoff *backoff, uint32_t before, uint64_t random);

#endif
