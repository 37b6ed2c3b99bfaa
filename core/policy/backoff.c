/* Computes one wait of a growing series. It exists so that retries, restarts and the circuit
 * breaker share one formula, which a test can check without a clock. */
#include "core/policy/backoff.h"

#include <math.h>

#include "base/clock.h"

/* Three years in milliseconds: longer than any useful wait, and small enough that sums of times do
 * not overflow. */
#define LONGEST_MS 1e11

uint64_t mfi_backoff_ns(const mfi_backoff *backoff, uint32_t before, uint64_t random)
{
    double ms = (double)backoff->first_ms * pow(backoff->multiplier, (double)before);
    double unit = (double)(random >> 11) * 0x1p-53; /* [0, 1) */
    ms = fmin(ms, (double)backoff->most_ms);
    ms *= 1.0 + backoff->jitter * (2.0 * unit - 1.0);
    return (uint64_t)(fmin(ms, LONGEST_MS) * (double)MFI_NS_PER_MS);
}
