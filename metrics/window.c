/* A sliding minute in slots of 5 s. The first thread that records in a new 5 s clears the slot that
 * is 13 slots old. In the shared shard the window may miss a value that another thread records at
 * that moment. Counts since the start are exact. */
#include "metrics/instruments.h"

static uint64_t epoch_at(uint64_t now_ns)
{
    return now_ns / MFI_WINDOW_SLOT_NS + 1; /* 0 means none */
}

/* ---- Recording ---- */

static void clear_slot(mfi_window_slot *slot)
{
    atomic_store_explicit(&slot->under, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->over, 0, memory_order_relaxed);
    for (size_t o = 0; o < MFI_WINDOW_OCTAVES; o++) {
        mfi_window_octave *octave = atomic_load_explicit(&slot->octaves[o], memory_order_acquire);
        for (size_t i = 0; octave != NULL && i < MFI_CELLS_PER_OCTAVE; i++) {
            atomic_store_explicit(&octave->cells[i], 0, memory_order_relaxed);
        }
    }
}

/* NULL if the slot of that time already holds a later time. */
static mfi_window_slot *slot_at(mfi_window_shard *shard, uint64_t now_ns)
{
    uint64_t epoch = epoch_at(now_ns);
    mfi_window_slot *slot = &shard->slots[epoch % MFI_WINDOW_SLOTS];
    uint64_t held = atomic_load_explicit(&slot->epoch, memory_order_acquire);
    if (held < epoch &&
        atomic_compare_exchange_strong_explicit(&slot->epoch, &held, epoch, memory_order_acq_rel,
                                                memory_order_acquire)) {
        clear_slot(slot);
        held = epoch;
    }
    return held == epoch ? slot : NULL;
}

static _Atomic(uint32_t) *cell_of(mf_window *window, mfi_window_slot *slot, uint64_t duration_ns)
{
    int index = mfi_layout_index_integer(window->layout, duration_ns);
    if (index < 0) {
        return &slot->under;
    }
    if (index >= MFI_WINDOW_OCTAVES * MFI_CELLS_PER_OCTAVE) {
        return &slot->over;
    }
    mfi_window_octave *octave = mfi_made_on_use(
        &window->arena, &slot->octaves[index / MFI_CELLS_PER_OCTAVE], sizeof *octave);
    /* Without memory the value counts as one above the range. */
    return octave != NULL ? &octave->cells[index % MFI_CELLS_PER_OCTAVE] : &slot->over;
}

void mfi_window_record_at(mf_window *window, unsigned shard_index, uint64_t duration_ns,
                          uint64_t now_ns)
{
    mfi_window_shard *shard =
        mfi_made_on_use(&window->arena, &window->shards[shard_index], sizeof *shard);
    if (shard == NULL) {
        return; /* no memory for the first value of this thread: the value is lost */
    }
    mfi_cell_add(shard_index, &shard->count, 1);
    mfi_cell_add(shard_index, &shard->sum_ns, duration_ns);
    mfi_window_slot *slot = slot_at(shard, now_ns);
    if (slot == NULL) {
        return;
    }
    _Atomic(uint32_t) *cell = cell_of(window, slot, duration_ns);
    if (shard_index != MFI_SHARED_SHARD) {
        atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(cell, 1, memory_order_relaxed);
    }
}

void mf_window_record_ns(mf_window *window, uint64_t duration_ns)
{
    if (window != NULL) {
        mfi_window_record_at(window, mfi_shard_index(), duration_ns,
                             mfi_clock_monotonic(window->clock));
    }
}

/* ---- Reading ---- */

static void merge_slot(const mfi_window_slot *slot, mfi_cells *ret_cells)
{
    ret_cells->under += atomic_load_explicit(&slot->under, memory_order_relaxed);
    ret_cells->over += atomic_load_explicit(&slot->over, memory_order_relaxed);
    for (size_t o = 0; o < MFI_WINDOW_OCTAVES; o++) {
        mfi_window_octave *octave = atomic_load_explicit(&slot->octaves[o], memory_order_acquire);
        uint64_t *to = &ret_cells->cells[o * MFI_CELLS_PER_OCTAVE];
        for (size_t i = 0; octave != NULL && i < MFI_CELLS_PER_OCTAVE; i++) {
            to[i] += atomic_load_explicit(&octave->cells[i], memory_order_relaxed);
        }
    }
}

void mfi_window_merge(const mf_window *window, mfi_cells *ret_cells, uint64_t *ret_total)
{
    uint64_t epoch = epoch_at(mfi_clock_monotonic(window->clock));
    uint64_t sum_ns = 0;
    *ret_total = 0;
    for (size_t i = 0; i < MFI_SHARDS; i++) {
        mfi_window_shard *shard = atomic_load_explicit(&window->shards[i], memory_order_acquire);
        for (size_t s = 0; shard != NULL && s < MFI_WINDOW_SLOTS; s++) {
            const mfi_window_slot *slot = &shard->slots[s];
            uint64_t held = atomic_load_explicit(&slot->epoch, memory_order_acquire);
            if (held != 0 && held <= epoch && epoch - held < MFI_WINDOW_SLOTS) {
                merge_slot(slot, ret_cells);
            }
        }
        if (shard != NULL) {
            sum_ns += atomic_load_explicit(&shard->sum_ns, memory_order_relaxed);
            *ret_total += atomic_load_explicit(&shard->count, memory_order_relaxed);
        }
    }
    for (size_t i = 0; i < (size_t)MFI_WINDOW_OCTAVES * MFI_CELLS_PER_OCTAVE; i++) {
        ret_cells->count += ret_cells->cells[i];
    }
    ret_cells->count += ret_cells->under + ret_cells->over;
    ret_cells->sum = (double)sum_ns / 1e9;
}

void mf_window_read(const mf_window *window, mf_distribution *ret_distribution)
{
    if (window == NULL || ret_distribution == NULL) {
        return;
    }
    mfi_cells cells = {0};
    uint64_t total = 0;
    mfi_window_merge(window, &cells, &total);
    mfi_cells_summarise(&cells, window->layout, ret_distribution);
    ret_distribution->count = total;
}
