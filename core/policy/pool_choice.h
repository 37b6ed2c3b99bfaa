/* Chooses the member of a pool that gets a call: of two members picked at random, the one with
 * fewer calls in flight (M. Mitzenmacher, "The power of two choices in randomized load balancing",
 * 1996). Pure. */
#ifndef MFI_POLICY_POOL_CHOICE_H
#define MFI_POLICY_POOL_CHOICE_H

#include <stdint.h>

/* How well a member could serve a call now, worst first. Only members of the best fitness are
 * picked. */
typedef enum mfi_fitness {
    MFI_FIT_NOT,     /* gets no call: down, draining, or tried already */
    MFI_FIT_REFUSES, /* its circuit is open: a call would be refused */
    MFI_FIT_WAITS,   /* is being started: a call would wait for that */
    MFI_FIT_NOW
} mfi_fitness;

typedef struct mfi_candidate {
    mfi_fitness fitness;
    uint32_t load; /* calls in flight */
} mfi_candidate;

#define MFI_NOBODY UINT32_MAX

/* Index of the chosen candidate; MFI_NOBODY if no candidate is fit. random: 64 random bits. */
uint32_t mfi_choice_pick(const mfi_candidate *candidates, uint32_t count, uint64_t random);

#endif
