/* Tells a peer that is alive, busy or frozen apart. It exists apart from the link so that a test
 * can pass in the times and the signs, and check the verdicts without a process or a clock. */
#include "core/policy/liveness.h"

void mfi_liveness_init(mfi_liveness *liveness, uint32_t limit)
{
    *liveness = (mfi_liveness){.limit = limit};
}

mfi_verdict mfi_liveness_missed(mfi_liveness *liveness, const mfi_silence *silence)
{
    if (silence->heard_ns >= silence->sent_ns) {
        liveness->misses = 0;
        liveness->frozen = false;
        return MFI_VERDICT_ALIVE;
    }
    /* A message between the last miss and this heartbeat ended the row. */
    liveness->misses = mfi_liveness_misses(liveness, silence->heard_ns) + 1;
    liveness->missed_ns = silence->now_ns;
    bool at_limit = liveness->misses >= liveness->limit;
    liveness->frozen = at_limit && (!silence->owes || silence->says_busy || silence->stopped);
    return liveness->frozen ? MFI_VERDICT_FROZEN : at_limit ? MFI_VERDICT_BUSY : MFI_VERDICT_MISSED;
}

uint32_t mfi_liveness_misses(const mfi_liveness *liveness, uint64_t heard_ns)
{
    return heard_ns > liveness->missed_ns ? 0 : liveness->misses;
}

bool mfi_liveness_is_frozen(const mfi_liveness *liveness, uint64_t heard_ns)
{
    return liveness->frozen && mfi_liveness_misses(liveness, heard_ns) > 0;
}
