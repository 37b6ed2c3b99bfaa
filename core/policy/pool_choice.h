/* Which of several workers gets a call: of two picked at random, the one with fewer calls in flight
 * (M. Mitzenmacher, "The power of two choices in randomized load balancing", 1996). Pure. */
#ifndef MFI_POLICY_POOL_CHOICE_H
#define MFI_POLICY_POOL_CHOICE_H

#include <stdint.h>

/* How well a worker could do with a call now, worst first. Only the fittest are chosen from. */
typedef enum mfi_fitness {
    MFI_FIT_NOT,     /* it gets none: down, draining, tried already */
    MFI_FIT_REFUSES, /* its circuit is open: it would say so, and until when */
    MFI_FIT_WAITS,   /* it is being started: the call would wait for that */
    MFI_FIT_NOW
} mfi_fitness;

typedef struct mfi_candidate {
    mfi_fitness fitness;
    uint32_t load; /* calls in flight */
} mfi_candidate;

#define MFI_NOBODY UINT32_MAX

/* Index of the one to call, MFI_NOBODY if none is fit. random are 64 random bits. */
uint32_t mfi_pool_choose(const mfi_candidate *candidates, uint32_t count, uint64_t random);

#endif
