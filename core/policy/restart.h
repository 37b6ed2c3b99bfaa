/* Whether and when an ended worker is started again: a pure state machine. As with Erlang's
 * supervisors, restarts within a period are bounded; the wait grows from restart to restart.
 *
 * A row of restarts ends when the worker has run for `stable_ms`. Then the wait has its first
 * length again. More than `max_attempts` restarts within `period_ms` end the restarting. */
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
    uint32_t kept;                       /* number of entries in times_ns, oldest first */
    uint64_t times_ns[MFI_RESTARTS_MAX]; /* when restarts were decided */
} mfi_restart;

void mfi_restart_init(mfi_restart *restart, const mfi_restart_config *config);

typedef struct mfi_restart_decision {
    bool again;
    uint64_t wait_ns;
    uint32_t row;       /* 1 for the first in a row */
    uint32_t in_period; /* this one included */
} mfi_restart_decision;
/* The worker ended at now_ns after it had run for up_ns (0: it never became ready). */
mfi_restart_decision mfi_restart_decide(mfi_restart *restart, uint64_t up_ns, uint64_t now_ns,
                                        uint64_t random);
/* Number of restarts in the present period. */
uint32_t mfi_restart_in_period(const mfi_restart *restart, uint64_t now_ns);
/* Number of restarts that the period still allows; MFI_RESTARTS_MAX if there is no bound. */
uint32_t mfi_restart_budget(const mfi_restart *restart, uint64_t now_ns);
/* The program restarts the worker itself: a new row and a new period begin. */
void mfi_restart_forget(mfi_restart *restart);

#endif
