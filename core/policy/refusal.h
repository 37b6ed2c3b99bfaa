/* What a circuit breaker tells a call that it refuses. */
#ifndef MFI_POLICY_REFUSAL_H
#define MFI_POLICY_REFUSAL_H

#include "core/policy/circuit.h"

typedef struct mfi_circuit_refusal {
    mfi_circuit_state state;
    mfi_circuit_reason reason;
    /* Half-open. */
    uint32_t probes, permitted; /* probes that passed or are in flight, of how many */
    uint64_t wait_ns;           /* until the last probe in flight has ended, at the latest */
} mfi_circuit_refusal;

/* MF_ERR_CIRCUIT_OPEN with the reason, and when more calls may pass. */
mf_status mfi_circuit_refuse(const mfi_circuit_refusal *refusal, mf_error *error);

#endif
