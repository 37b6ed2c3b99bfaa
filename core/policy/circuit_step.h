/* The steps in which a circuit breaker changes. Shared by the files of the circuit, and included by
 * no other. */
#ifndef MFI_POLICY_CIRCUIT_STEP_H
#define MFI_POLICY_CIRCUIT_STEP_H

#include "core/policy/circuit_parts.h"

/* Changes that happened under the lock and are reported outside it. One step makes two at most: the
 * end of the cool-down, and the change that follows. */
typedef struct mfi_circuit_step {
    mfi_circuit_change changes[2];
    size_t count;
    uint32_t probes[MFI_PROBE_RESULT_COUNT]; /* that ended */
} mfi_circuit_step;

/* Takes both locks. Everything below runs between begin and end. */
void mfi_circuit_begin_step(mfi_circuit *circuit, mfi_circuit_step *step);
/* Releases them, and reports what the step changed. */
void mfi_circuit_end_step(mfi_circuit *circuit, const mfi_circuit_step *step);
void mfi_circuit_store_word_locked(mfi_circuit *circuit, uint64_t generation,
                                   mfi_circuit_state state);
void mfi_circuit_change_locked(mfi_circuit *circuit, mfi_circuit_state to, mfi_circuit_cause why,
                               mfi_circuit_step *step);
/* The circuit opens, and a cool-down begins. */
void mfi_circuit_open_locked(mfi_circuit *circuit, mfi_circuit_cause why, mfi_circuit_step *step);
/* The call that opens the circuit, or opens it again. */
void mfi_circuit_set_call_locked(mfi_circuit *circuit, mf_status status, const char *correlation_id,
                                 const char *trace_id);

#endif
