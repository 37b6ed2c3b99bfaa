/* What an operator makes of a circuit breaker. It exists so that a person can stop the calls to a
 * worker, or let them pass, whatever the rules say, and give the circuit back to the rules. */
#include "base/str.h"
#include "core/policy/circuit.h"
#include "core/policy/circuit_step.h"
#include "core/policy/circuit_word.h"

static mfi_circuit_state state_after(const mfi_circuit *circuit, mfi_circuit_order order,
                                     mfi_circuit_state now)
{
    mfi_circuit_state rest = circuit->config.disabled ? MFI_CIRCUIT_DISABLED : MFI_CIRCUIT_CLOSED;
    switch (order) {
    case MFI_ORDER_FORCE_OPEN:
        return MFI_CIRCUIT_FORCED_OPEN;
    case MFI_ORDER_FORCE_CLOSED:
        return MFI_CIRCUIT_DISABLED;
    case MFI_ORDER_RESET:
        return rest;
    case MFI_ORDER_AUTO:
    case MFI_ORDER_COUNT:
        break;
    }
    if (now == MFI_CIRCUIT_FORCED_OPEN && !circuit->config.disabled) {
        return MFI_CIRCUIT_HALF_OPEN; /* nobody knows yet whether the worker is well */
    }
    return now == MFI_CIRCUIT_FORCED_OPEN || now == MFI_CIRCUIT_DISABLED ? rest : now;
}

static void refuse_all_locked(mfi_circuit *circuit)
{
    circuit->reason = (mfi_circuit_reason){.rule = MFI_CAUSE_ADMIN};
    (void)mfi_str_copy(circuit->reason.text, sizeof circuit->reason.text,
                       "an operator forced it open");
    mfi_outcomes_read(&circuit->outcomes, &circuit->counts_at_trip);
    circuit->by_calls = false;
    circuit->heartbeats_ok = 0;
    circuit->tripped_ns = mfi_clock_monotonic(circuit->clock);
    circuit->probe_at_ns = 0;
    circuit->trips++;
    atomic_store_explicit(&circuit->refused, 0, memory_order_relaxed);
}

void mfi_circuit_obey(mfi_circuit *circuit, mfi_circuit_order order, mfi_circuit_state *ret_from,
                      mfi_circuit_state *ret_to)
{
    mfi_circuit_step step;
    mfi_circuit_begin_step(circuit, &step);
    *ret_from = mfi_circuit_state_of(mfi_circuit_word(circuit));
    *ret_to = state_after(circuit, order, *ret_from);
    if (*ret_to != *ret_from) {
        if (*ret_to == MFI_CIRCUIT_FORCED_OPEN) {
            refuse_all_locked(circuit);
        } else if (*ret_to == MFI_CIRCUIT_DISABLED) {
            circuit->reason = (mfi_circuit_reason){.rule = MFI_CAUSE_NONE};
            circuit->failures = 0;
            circuit->open_in_row = 0;
            circuit->probe_at_ns = 0;
        }
        mfi_circuit_change_locked(circuit, *ret_to, MFI_CAUSE_ADMIN, &step);
    } else if (order == MFI_ORDER_RESET && *ret_to == MFI_CIRCUIT_CLOSED) {
        circuit->failures = 0;
        mfi_outcomes_begin(&circuit->outcomes);
        atomic_store_explicit(&circuit->had_volume, false, memory_order_relaxed);
        /* Calls that were let pass before belong to the generation before, and are not judged. */
        mfi_circuit_store_word_locked(
            circuit, mfi_circuit_generation_of(mfi_circuit_word(circuit)) + 1, MFI_CIRCUIT_CLOSED);
    }
    mfi_circuit_end_step(circuit, &step);
}
