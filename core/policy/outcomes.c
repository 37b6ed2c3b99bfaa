/* Counts the last calls by their outcome. It exists because counts since the last change of a
 * circuit's state say less and less about the present, the longer the state lasts. */
#include "core/policy/outcomes.h"

static uint64_t window_of(const mfi_outcomes *outcomes)
{
    return outcomes->window != 0 ? outcomes->window : MFI_OUTCOMES_WINDOW;
}

static uint64_t load(const _Atomic(uint64_t) *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

void mfi_outcomes_exclude(mfi_outcomes *outcomes)
{
    outcomes->excluded_at[outcomes->excluded++ % window_of(outcomes)] =
        (uint32_t)load(&outcomes->count);
}

void mfi_outcomes_begin(mfi_outcomes *outcomes)
{
    atomic_store_explicit(&outcomes->begun, load(&outcomes->count), memory_order_relaxed);
}

/* Leaves out the calls that have a mark of `without`. */
static void count_calls(const mfi_outcomes *outcomes, uint64_t first, uint64_t end,
                        unsigned without, mfi_circuit_counts *ret_counts)
{
    *ret_counts = (mfi_circuit_counts){.calls = 0};
    for (uint64_t i = first; i < end; i++) {
        unsigned outcome =
            atomic_load_explicit(&outcomes->statuses[i % MFI_OUTCOMES_RING], memory_order_relaxed);
        unsigned status = outcome & ~(MFI_OUTCOME_SLOW | MFI_OUTCOME_OLD);
        if ((outcome & without) != 0) {
            continue;
        }
        ret_counts->calls++;
        ret_counts->ok += status == MFI_STATUS_OK;
        ret_counts->slow += (outcome & MFI_OUTCOME_SLOW) != 0;
        ret_counts->timeout += status == MFI_STATUS_TIMEOUT;
        ret_counts->unavailable += status == MFI_STATUS_UNAVAILABLE;
        ret_counts->worker_crashed += status == MFI_STATUS_WORKER_CRASHED;
        ret_counts->protocol_error += status == MFI_STATUS_PROTOCOL_ERROR;
    }
    ret_counts->failed = ret_counts->calls - ret_counts->ok;
}

void mfi_outcomes_read(const mfi_outcomes *outcomes, mfi_circuit_counts *ret_counts)
{
    uint64_t window = window_of(outcomes);
    uint64_t end = load(&outcomes->count);
    uint64_t first = end > window ? end - window : 0;
    count_calls(outcomes, first, end, 0, ret_counts);
    uint64_t kept = outcomes->excluded < window ? outcomes->excluded : window;
    for (uint64_t i = 0; i < kept; i++) {
        /* Those that came before the window's first call are no part of it. */
        uint32_t age = (uint32_t)end - outcomes->excluded_at[i];
        ret_counts->excluded += first == 0 || age < window;
    }
}

void mfi_outcomes_read_begun(const mfi_outcomes *outcomes, mfi_circuit_counts *ret_counts)
{
    uint64_t window = window_of(outcomes);
    uint64_t end = load(&outcomes->count);
    uint64_t first = end > window ? end - window : 0;
    uint64_t begun = load(&outcomes->begun);
    begun = begun < end ? begun : end;
    count_calls(outcomes, first > begun ? first : begun, end, MFI_OUTCOME_OLD, ret_counts);
}
