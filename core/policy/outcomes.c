/* Counts the last calls by their outcome. It exists because counts since the last change of a
 * circuit's state say less and less about the present, the longer the state lasts. */
#include "core/policy/outcomes.h"

void mfi_outcomes_exclude(mfi_outcomes *outcomes)
{
    outcomes->excluded_at[outcomes->excluded++ % MFI_OUTCOMES_WINDOW] =
        atomic_load_explicit(&outcomes->count, memory_order_relaxed);
}

void mfi_outcomes_read(const mfi_outcomes *outcomes, mfi_circuit_counts *ret_counts)
{
    uint64_t end = atomic_load_explicit(&outcomes->count, memory_order_relaxed);
    uint64_t first = end > MFI_OUTCOMES_WINDOW ? end - MFI_OUTCOMES_WINDOW : 0;
    *ret_counts = (mfi_circuit_counts){.calls = end - first};
    for (uint64_t i = first; i < end; i++) {
        uint8_t status =
            atomic_load_explicit(&outcomes->statuses[i % MFI_OUTCOMES_RING], memory_order_relaxed);
        ret_counts->ok += status == MFI_STATUS_OK;
        ret_counts->timeout += status == MFI_STATUS_TIMEOUT;
        ret_counts->unavailable += status == MFI_STATUS_UNAVAILABLE;
        ret_counts->worker_crashed += status == MFI_STATUS_WORKER_CRASHED;
        ret_counts->protocol_error += status == MFI_STATUS_PROTOCOL_ERROR;
    }
    ret_counts->failed = ret_counts->calls - ret_counts->ok;
    uint64_t kept =
        outcomes->excluded < MFI_OUTCOMES_WINDOW ? outcomes->excluded : MFI_OUTCOMES_WINDOW;
    for (uint64_t i = 0; i < kept; i++) {
        /* Those that came before the window's first call are no part of it. */
        ret_counts->excluded += first == 0 || outcomes->excluded_at[i] > first;
    }
}
