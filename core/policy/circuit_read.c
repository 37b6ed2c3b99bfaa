/* Copies a circuit breaker's figures out under its lock. It exists so that pages, metrics and stats
 * show one moment, and none of them sees the circuit's parts. */
#include <string.h>

#include "core/policy/circuit.h"
#include "core/policy/circuit_word.h"

mfi_circuit_state mfi_circuit_get_state(const mfi_circuit *circuit)
{
    return mfi_circuit_state_of(mfi_circuit_word(circuit));
}

void mfi_circuit_read(mfi_circuit *circuit, mfi_circuit_snapshot *ret_snapshot)
{
    mfi_mutex_lock(&circuit->mutex);
    uint64_t word = mfi_circuit_word(circuit);
    *ret_snapshot = (mfi_circuit_snapshot){
        .state = mfi_circuit_state_of(word),
        .generation = mfi_circuit_generation_of(word),
        .since_ns = circuit->since_ns,
        .since_wall_ns = circuit->since_wall_ns,
        .probe_at_ns = mfi_circuit_state_of(word) == MFI_CIRCUIT_OPEN ? circuit->probe_at_ns : 0,
        .failures = circuit->failures,
        .open_in_row = circuit->open_in_row,
        .trips = circuit->trips,
        .refused = atomic_load_explicit(&circuit->refused, memory_order_relaxed),
        .counts_at_trip = circuit->counts_at_trip,
        .refused_total = circuit->refused_total,
        .reason = circuit->reason,
        .probes_ok = circuit->probes_ok,
        .probes_failed = circuit->probes_failed,
        .history_count = circuit->history_count,
    };
    mfi_circuit_counts judged;
    mfi_outcomes_read(&circuit->outcomes, &ret_snapshot->counts);
    mfi_outcomes_read_begun(&circuit->outcomes, &judged);
    ret_snapshot->judged_calls = judged.calls;
    ret_snapshot->ratios = mfi_window_ratios_of(&circuit->config.rules, &judged);
    for (uint32_t i = 0; i < circuit->config.probes; i++) {
        ret_snapshot->probes_in_flight += circuit->probe_until_ns[i] != 0;
    }
    memcpy(ret_snapshot->history, circuit->history, sizeof circuit->history);
    mfi_mutex_unlock(&circuit->mutex);
}

uint64_t mfi_circuit_next_event_ns(mfi_circuit *circuit)
{
    uint64_t next = MFI_NEVER;
    mfi_mutex_lock(&circuit->mutex);
    mfi_circuit_state state = mfi_circuit_state_of(mfi_circuit_word(circuit));
    if (state == MFI_CIRCUIT_OPEN) {
        next = circuit->probe_at_ns;
    }
    for (uint32_t i = 0; state == MFI_CIRCUIT_HALF_OPEN && i < circuit->config.probes; i++) {
        uint64_t until = circuit->probe_until_ns[i];
        next = until != 0 && until < next ? until : next;
    }
    mfi_mutex_unlock(&circuit->mutex);
    return next;
}
