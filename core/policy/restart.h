/* Whether and when a worker that ended is started again: a pure state machine, in the manner of
 * Erlang's supervisors (restart intensity within a period) with a growing wait between restarts.
 *
 * A row of restarts ends when the worker has run for `stable_ms`: only then the wait goes back to
 * its first length. More than `max_attempts` within `period_ms` ends it all. */
#ifndef MFI_POLICY_RESTART_H
#define MFI_POLICY_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "core/policy/backoff.h"

#define MFI_RESTARTS_MAX 128 /* the highest max_attempts */

typedef struct mfi_restart_config {
    uint32_t max_attempts; /* 0: any number */
    int64_t period_ms, stable_ms;
    mfi_backoff backoff;
} mfi_restart_config;

typedef struct mfi_restart {
    mfi_restart_config config;
    uint32_t row;                        /* restarts in a row */
    uint32_t kept;                       /* of the times below, oldest first */
    uint64_t times_ns[MFI_RESTARTS_MAX]; /* when restarts were decided */
} mfi_restart;

void mfi_restart_init(mfi_restart *restart, const mfi_restart_config *config);

typedef struct mfi_restart_decision {
    bool again;
    uint64_t wait_ns;
    uint32_t row;       /* 1 for the first in a row */
    uint32_t in_period; /* this one included */
} mfi_restart_decision;
/* The worker ended at now_ns, having run for up_ns (0: it never became ready). */
mfi_restart_decision mfi_restart_decide(mfi_restart *restart, uint64_t up_ns, uint64_t now_ns,
                                        uint64_t random);
/* How many restarts the present period has seen. */
uint32_t mfi_restart_in_period(const mfi_restart *restart, uint64_t now_ns);
/* How many it still allows; MFI_RESTARTS_MAX where any number is. */
uint32_t mfi_restart_budget(const mfi_restart *restart, uint64_t now_ns);
/* Somebody restarts it by hand: a new row and a new period. */
void mfi_restart_forget(mfi_restart *restart);

#endif
