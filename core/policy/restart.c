/* Decides whether and when an ended worker is started again. It exists apart from the link so that
 * a test can pass in the times, and check the decisions without a process. */
#include "core/policy/restart.h"

#include <string.h>

#include "base/clock.h"

void mfi_restart_init(mfi_restart *restart, const mfi_restart_config *config)
{
    memset(restart, 0, sizeof *restart);
    restart->config = *config;
}

void mfi_restart_forget(mfi_restart *restart)
{
    restart->row = 0;
    restart->kept = 0;
}

uint32_t mfi_restart_in_period(const mfi_restart *restart, uint64_t now_ns)
{
    uint64_t period = (uint64_t)restart->config.period_ms * MFI_NS_PER_MS;
    uint32_t past = 0;
    while (past < restart->kept && now_ns - restart->times_ns[past] >= period) {
        past++;
    }
    return restart->kept - past;
}

uint32_t mfi_restart_budget(const mfi_restart *restart, uint64_t now_ns)
{
    uint32_t most = restart->config.max_attempts;
    uint32_t used = mfi_restart_in_period(restart, now_ns);
    return most == 0 ? MFI_RESTARTS_MAX : used < most ? most - used : 0;
}

static void remember(mfi_restart *restart, uint64_t now_ns)
{
    if (restart->kept == MFI_RESTARTS_MAX) {
        memmove(restart->times_ns, restart->times_ns + 1,
                sizeof restart->times_ns - sizeof restart->times_ns[0]);
        restart->kept--;
    }
    restart->times_ns[restart->kept++] = now_ns;
}

mfi_restart_decision mfi_restart_decide(mfi_restart *restart, uint64_t up_ns, uint64_t now_ns,
                                        uint64_t random)
{
    const mfi_restart_config *config = &restart->config;
    mfi_restart_decision decision = {.in_period = mfi_restart_in_period(restart, now_ns)};
    if (up_ns >= (uint64_t)config->stable_ms * MFI_NS_PER_MS) {
        restart->row = 0;
    }
    if (config->max_attempts != 0 && decision.in_period >= config->max_attempts) {
        decision.row = restart->row;
        return decision;
    }
    decision.again = true;
    decision.wait_ns = mfi_backoff_ns(&config->backoff, restart->row, random);
    remember(restart, now_ns);
    decision.row = ++restart->row;
    decision.in_period++;
    return decision;
}
