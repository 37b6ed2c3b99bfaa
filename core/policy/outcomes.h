/* The outcomes of the last calls: a sliding window that is counted in calls, not in time. */
#ifndef MFI_POLICY_OUTCOMES_H
#define MFI_POLICY_OUTCOMES_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/words/statuses.h"

#define MFI_OUTCOMES_WINDOW 50 /* calls */
#define MFI_OUTCOMES_RING 64   /* a power of two, larger than the window */

typedef struct mfi_circuit_counts {
    uint64_t calls, ok, failed; /* calls: the sum of both */
    uint64_t excluded;          /* calls beside these, in the same stretch, that do not count */
    uint64_t timeout, unavailable, worker_crashed, protocol_error; /* parts of failed */
} mfi_circuit_counts;

/* Starts as zero. */
typedef struct mfi_outcomes {
    _Atomic(uint64_t) count;                      /* since the start */
    _Atomic(uint8_t) statuses[MFI_OUTCOMES_RING]; /* mfi_call_status; MFI_STATUS_OK: not failed */
    uint64_t excluded_at[MFI_OUTCOMES_WINDOW];    /* `count` at that time; a ring as well */
    uint64_t excluded;                            /* since the start */
} mfi_outcomes;

/* Any thread. A reader may see the outcome that the ring held there before, for a moment. */
static inline void mfi_outcomes_add(mfi_outcomes *outcomes, mfi_call_status status)
{
    uint64_t at = atomic_fetch_add_explicit(&outcomes->count, 1, memory_order_relaxed);
    atomic_store_explicit(&outcomes->statuses[at % MFI_OUTCOMES_RING], (uint8_t)status,
                          memory_order_relaxed);
}
/* One thread at a time, as the next. */
void mfi_outcomes_exclude(mfi_outcomes *outcomes);
void mfi_outcomes_read(const mfi_outcomes *outcomes, mfi_circuit_counts *ret_counts);

#endif
