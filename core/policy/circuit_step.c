/* One step of a circuit breaker: the changes of its state under the lock, and their report behind
 * it. It exists apart from circuit.c because rules, calls and operators all change a circuit, and
 * every change is remembered and reported in the same way. */
#include "core/policy/circuit_step.h"

#include <string.h>

#include "base/str.h"
#include "core/policy/backoff.h"
#include "core/policy/circuit_word.h"

/* ---- The word ---- */

void mfi_circuit_store_word_locked(mfi_circuit *circuit, uint64_t generation,
                                   mfi_circuit_state state)
{
    uint64_t failing = circuit->failures > 0 ? 1 : 0;
    atomic_store_explicit(&circuit->word,
                          generation << MFI_GENERATION_SHIFT | (uint64_t)state << MFI_STATE_SHIFT |
                              failing,
                          memory_order_release);
}

/* ---- Changing state ---- */

static void remember_locked(mfi_circuit *circuit, const mfi_circuit_change *change)
{
    if (circuit->history_count == MFI_CIRCUIT_HISTORY) {
        memmove(circuit->history, circuit->history + 1,
                sizeof circuit->history - sizeof circuit->history[0]);
        circuit->history_count--;
    }
    circuit->history[circuit->history_count++] =
        (mfi_circuit_history){change->from, change->to, change->why, change->wall_ns};
}

void mfi_circuit_change_locked(mfi_circuit *circuit, mfi_circuit_state to, mfi_circuit_cause why,
                               mfi_circuit_step *step)
{
    uint64_t word = mfi_circuit_word(circuit);
    mfi_circuit_change *change = &step->changes[step->count++];
    *change = (mfi_circuit_change){.from = mfi_circuit_state_of(word),
                                   .to = to,
                                   .why = why,
                                   .wall_ns = mfi_clock_wall(circuit->clock),
                                   .reason = circuit->reason};
    circuit->since_ns = mfi_clock_monotonic(circuit->clock);
    circuit->since_wall_ns = change->wall_ns;
    memset(circuit->probe_until_ns, 0, sizeof circuit->probe_until_ns);
    circuit->probes_ok = 0;
    circuit->probes_failed = 0;
    if (to == MFI_CIRCUIT_CLOSED) {
        circuit->failures = 0;
        circuit->open_in_row = 0;
        circuit->probe_at_ns = 0;
        circuit->reason = (mfi_circuit_reason){.rule = MFI_CAUSE_NONE}; /* kept in the history */
        /* The window stays; the same calls trip only once. */
        mfi_outcomes_begin(&circuit->outcomes);
        atomic_store_explicit(&circuit->had_volume, false, memory_order_relaxed);
    }
    remember_locked(circuit, change);
    mfi_circuit_store_word_locked(circuit, mfi_circuit_generation_of(word) + 1, to);
}

static uint64_t cool_down_locked(const mfi_circuit *circuit)
{
    const mfi_backoff backoff = {.first_ms = circuit->config.open_ms,
                                 .most_ms = circuit->config.open_max_ms,
                                 .multiplier = 2,
                                 .jitter = circuit->config.jitter};
    return mfi_backoff_ns(&backoff, circuit->open_in_row,
                          circuit->random(circuit->listener.user_data));
}

void mfi_circuit_open_locked(mfi_circuit *circuit, mfi_circuit_cause why, mfi_circuit_step *step)
{
    uint64_t cool_down_ns = cool_down_locked(circuit);
    mfi_outcomes_read(&circuit->outcomes, &circuit->counts_at_trip);
    circuit->probe_at_ns = mfi_clock_monotonic(circuit->clock) + cool_down_ns;
    circuit->open_in_row++;
    circuit->trips++;
    circuit->heartbeats_ok = 0;
    circuit->by_calls = why == MFI_RULE_FAILURES || why == MFI_RULE_FAILURE_RATIO ||
                        why == MFI_RULE_SLOW_RATIO || why == MFI_CAUSE_PROBE_FAILED ||
                        why == MFI_CAUSE_PROBE_EXPIRED;
    atomic_store_explicit(&circuit->refused, 0, memory_order_relaxed);
    mfi_circuit_change_locked(circuit, MFI_CIRCUIT_OPEN, why, step);
    step->changes[step->count - 1].cool_down_ms = cool_down_ns / MFI_NS_PER_MS;
}

/* The call that opens the circuit, or opens it again. */
void mfi_circuit_set_call_locked(mfi_circuit *circuit, mf_status status, const char *correlation_id,
                                 const char *trace_id)
{
    mfi_circuit_reason *reason = &circuit->reason;
    reason->status = status;
    (void)mfi_str_copy(reason->correlation_id, sizeof reason->correlation_id,
                       correlation_id != NULL ? correlation_id : "");
    (void)mfi_str_copy(reason->trace_id, sizeof reason->trace_id, trace_id != NULL ? trace_id : "");
}

/* Takes `order` before the state is touched, so that changes are reported in order. */
void mfi_circuit_begin_step(mfi_circuit *circuit, mfi_circuit_step *step)
{
    step->count = 0;
    memset(step->probes, 0, sizeof step->probes);
    mfi_mutex_lock(&circuit->order);
    mfi_mutex_lock(&circuit->mutex);
}

void mfi_circuit_end_step(mfi_circuit *circuit, const mfi_circuit_step *step)
{
    mfi_mutex_unlock(&circuit->mutex);
    const mfi_circuit_listener *listener = &circuit->listener;
    for (size_t i = 0; i < MFI_PROBE_RESULT_COUNT && listener->probed != NULL; i++) {
        for (uint32_t ended = 0; ended < step->probes[i]; ended++) {
            listener->probed(listener->user_data, (mfi_probe_result)i);
        }
    }
    for (size_t i = 0; i < step->count && listener->changed != NULL; i++) {
        listener->changed(listener->user_data, &step->changes[i]);
    }
    mfi_mutex_unlock(&circuit->order);
}
