/* A sliding minute in slots of five seconds. Who records first in a new five seconds clears the
 * slot that is thirteen slots old; a value recorded by another thread in that very moment may be
 * missed by the window. Counts since the start are exact. */
#include "metrics/instruments.h"

static uint64_t epoch_now(const mf_window *window)
{
    return mfi_clock_monotonic(window->clock) / MFI_WINDOW_SLOT_NS + 1; /* 0 means none */
}

static void clear_slot(mfi_window_slot *slot)
{
    atomic_store_explicit(&slot->under, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->over, 0, memory_order_relaxed);
    for (size_t i = 0; i < sizeof slot->cells / sizeof slot->cells[0]; i++) {
        atomic_store_explicit(&slot->cells[i], 0, memory_order_relaxed);
    }
}

/* NULL without memory. */
static mfi_window_slot *slot_of(mf_window *window, uint64_t epoch)
{
    _Atomic(mfi_window_slot *) *place = &window->slots[epoch % MFI_WINDOW_SLOTS];
    mfi_window_slot *slot = atomic_load_explicit(place, memory_order_acquire);
    if (slot == NULL) {
        mfi_window_slot *made = window->arena.allocate(window->arena.self, sizeof *made);
        if (made != NULL && atomic_compare_exchange_strong_explicit(
                                place, &slot, made, memory_order_acq_rel, memory_order_acquire)) {
            slot = made;
        }
    }
    return slot;
}

/* NULL without memory: then the window misses the value. */
static mfi_window_slot *present_slot(mf_window *window)
{
    uint64_t epoch = epoch_now(window);
    mfi_window_slot *slot = slot_of(window, epoch);
    if (slot == NULL) {
        return NULL;
    }
    uint64_t held = atomic_load_explicit(&slot->epoch, memory_order_acquire);
    if (held != epoch &&
        atomic_compare_exchange_strong_explicit(&slot->epoch, &held, epoch, memory_order_acq_rel,
                                                memory_order_relaxed)) {
        clear_slot(slot);
    }
    return slot;
}

void mf_window_record_ns(mf_window *window, uint64_t duration_ns)
{
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    int index = mfi_layout_index(layout, (double)duration_ns / 1e9);
    mfi_window_slot *slot = present_slot(window);
    if (slot != NULL) {
        _Atomic(uint32_t) *cell = index < 0 ? &slot->under
                                  : index >= layout->octaves * MFI_CELLS_PER_OCTAVE
                                      ? &slot->over
                                      : &slot->cells[index];
        atomic_fetch_add_explicit(cell, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&window->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&window->sum_ns, duration_ns, memory_order_relaxed);
}

void mfi_window_merge(const mf_window *window, mfi_cells *ret_cells)
{
    uint64_t epoch = epoch_now(window);
    for (size_t s = 0; s < MFI_WINDOW_SLOTS; s++) {
        const mfi_window_slot *slot = atomic_load_explicit(&window->slots[s], memory_order_acquire);
        uint64_t held = slot != NULL ? atomic_load_explicit(&slot->epoch, memory_order_acquire) : 0;
        if (held == 0 || held > epoch || epoch - held >= MFI_WINDOW_SLOTS) {
            continue;
        }
        ret_cells->under += atomic_load_explicit(&slot->under, memory_order_relaxed);
        ret_cells->over += atomic_load_explicit(&slot->over, memory_order_relaxed);
        for (size_t i = 0; i < sizeof slot->cells / sizeof slot->cells[0]; i++) {
            uint32_t n = atomic_load_explicit(&slot->cells[i], memory_order_relaxed);
            ret_cells->cells[i] += n;
            ret_cells->count += n;
        }
    }
    ret_cells->count += ret_cells->under + ret_cells->over;
    ret_cells->sum = (double)atomic_load_explicit(&window->sum_ns, memory_order_relaxed) / 1e9;
}

void mf_window_read(const mf_window *window, mf_distribution *ret_distribution)
{
    mfi_cells cells = {0};
    mfi_window_merge(window, &cells);
    mfi_cells_summarise(&cells, mfi_layout_of(MF_SCALE_DURATION), ret_distribution);
    ret_distribution->count = atomic_load_explicit(&window->count, memory_order_relaxed);
}
