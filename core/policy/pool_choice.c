/* Picks the member of a pool that gets a call. It exists apart from the pool so that a test can
 * pass in loads and random bits, and check the choice. */
#include "core/policy/pool_choice.h"

/* Maps 32 random bits to a number below `below`. */
static uint32_t scale(uint32_t random, uint32_t below)
{
    return (uint32_t)(((uint64_t)random * below) >> 32);
}

/* Index of the nth candidate with that fitness. The caller knows that there are more than n. */
static uint32_t find(const mfi_candidate *candidates, mfi_fitness fitness, uint32_t n)
{
    uint32_t i = 0;
    for (; candidates[i].fitness != fitness || n > 0; i++) {
        n -= candidates[i].fitness == fitness;
    }
    return i;
}

uint32_t mfi_choice_pick(const mfi_candidate *candidates, uint32_t count, uint64_t random)
{
    mfi_fitness best = MFI_FIT_NOT;
    uint32_t fit = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (candidates[i].fitness > best) {
            best = candidates[i].fitness;
            fit = 0;
        }
        fit += candidates[i].fitness == best;
    }
    if (best == MFI_FIT_NOT) {
        return MFI_NOBODY;
    }
    uint32_t first = scale((uint32_t)random, fit);
    uint32_t one = find(candidates, best, first);
    if (fit == 1) {
        return one;
    }
    /* The second candidate is any but the first, all equally likely. */
    uint32_t second = (first + 1 + scale((uint32_t)(random >> 32), fit - 1)) % fit;
    uint32_t other = find(candidates, best, second);
    return candidates[other].load < candidates[one].load ? other : one;
}
