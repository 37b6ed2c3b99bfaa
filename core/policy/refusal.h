/* Why a circuit breaker is open, and what it tells a call that it refuses. */
#ifndef MFI_POLICY_REFUSAL_H
#define MFI_POLICY_REFUSAL_H

#include <stdint.h>

#include <multifrost/context.h>
#include <multifrost/error.h>

#include "core/words/circuits.h"

#define MFI_CIRCUIT_TEXT_MAX 192

/* Why the circuit is not closed. */
typedef struct mfi_circuit_reason {
    mfi_circuit_cause rule;          /* MFI_CAUSE_NONE if the circuit is closed */
    double observed, threshold;      /* threshold 0: the rule has none */
    uint32_t window_calls;           /* 0: the rule looks at no window */
    char text[MFI_CIRCUIT_TEXT_MAX]; /* what was observed, for people: "exit code 3" */
    mf_status status;                /* of the call that opened the circuit; MF_OK if no call did */
    char correlation_id[MF_CORRELATION_ID_MAX];
    char trace_id[MF_TRACE_ID_MAX];
} mfi_circuit_reason;

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
