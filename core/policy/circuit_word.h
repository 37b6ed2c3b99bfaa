/* The word that the fast paths of a circuit breaker read. Shared by the files of the circuit, and
 * included by no other. */
#ifndef MFI_POLICY_CIRCUIT_WORD_H
#define MFI_POLICY_CIRCUIT_WORD_H

#include <stdint.h>

#include "core/words/circuits.h"

/* generation << 4 | state << 1 | failing */
#define MFI_STATE_SHIFT 1
#define MFI_STATE_MASK 7u
#define MFI_GENERATION_SHIFT 4
_Static_assert(MFI_CIRCUIT_STATE_COUNT <= MFI_STATE_MASK + 1, "a state must fit the word");

static inline mfi_circuit_state mfi_circuit_state_of(uint64_t word)
{
    return (mfi_circuit_state)((word >> MFI_STATE_SHIFT) & MFI_STATE_MASK);
}

static inline uint64_t mfi_circuit_generation_of(uint64_t word)
{
    return word >> MFI_GENERATION_SHIFT;
}

#endif
