/* The outcomes of the last calls: a sliding window that is counted in calls, not in time. */
#ifndef MFI_POLICY_OUTCOMES_H
#define MFI_POLICY_OUTCOMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/words/statuses.h"

#define MFI_OUTCOMES_WINDOW 50       /* calls: the default */
#define MFI_OUTCOMES_WINDOW_MAX 1000 /* calls */
#define MFI_OUTCOMES_RING 1024       /* a power of two, larger than the largest window */

typedef struct mfi_circuit_counts {
    uint64_t calls, ok, failed; /* calls: the sum of both */
    uint64_t excluded;          /* calls beside these, in the same stretch, that do not count */
    uint64_t timeout, unavailable, worker_crashed, protocol_error; /* parts of failed */
    uint64_t slow;                                                 /* a part of ok */
} mfi_circuit_counts;

/* Starts as zero. */
typedef struct mfi_outcomes {
    uint32_t window;         /* calls; 0: the default */
    _Atomic(uint64_t) count; /* since the start */
    _Atomic(uint64_t) begun; /* `count` when the rules began to look anew */
    /* mfi_call_status; MFI_STATUS_OK: not failed. With the marks below. */
    _Atomic(uint8_t) statuses[MFI_OUTCOMES_RING];
    uint32_t excluded_at[MFI_OUTCOMES_WINDOW_MAX]; /* low bits of `count` at that time; a ring */
    uint64_t excluded;                             /* since the start */
} mfi_outcomes;

#define MFI_OUTCOME_SLOW 0x80u /* it took long */
#define MFI_OUTCOME_OLD 0x40u  /* of a call from before the last change of state: not judged */
_Static_assert(MFI_STATUS_COUNT <= MFI_OUTCOME_OLD, "a status must leave room for the marks");

/* Any thread. marks: SLOW, OLD, both or 0. A reader may see the outcome that the ring held there
 * before, for a moment. Returns how many calls there were before. */
static inline uint64_t mfi_outcomes_add(mfi_outcomes *outcomes, mfi_call_status status,
                                        unsigned marks)
{
    uint64_t at = atomic_fetch_add_explicit(&outcomes->count, 1, memory_order_relaxed);
    atomic_store_explicit(&outcomes->statuses[at % MFI_OUTCOMES_RING],
                          (uint8_t)((unsigned)status | marks), memory_order_relaxed);
    return at;
}
/* Exclude and begin: one thread at a time. The rules look at no call before this one. */
void mfi_outcomes_exclude(mfi_outcomes *outcomes);
void mfi_outcomes_begin(mfi_outcomes *outcomes);
/* The whole window; and, without `excluded`, those of its calls that the rules look at: no OLD. */
void mfi_outcomes_read(const mfi_outcomes *outcomes, mfi_circuit_counts *ret_counts);
void mfi_outcomes_read_begun(const mfi_outcomes *outcomes, mfi_circuit_counts *ret_counts);

#endif
