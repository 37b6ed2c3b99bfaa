/* The inside of instruments, for the registry that makes them and the exposition that reads them.
 */
#ifndef MFI_METRICS_INSTRUMENTS_H
#define MFI_METRICS_INSTRUMENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#include "base/clock.h"
#include "metrics/arena.h"
#include "metrics/layout.h"

/* Threads spread over this many shards, round robin. */
#define MFI_SHARDS 8
unsigned mfi_shard_index(void);

/* ---- Counters and gauges ---- */

/* One page holds the cells of many counters, shard by shard, so that a thread's counters share its
 * cache lines and nobody else's. */
#define MFI_PAGE_COUNTERS 128
typedef struct mfi_counter_page {
    _Alignas(64) _Atomic(uint64_t) cells[MFI_SHARDS][MFI_PAGE_COUNTERS];
} mfi_counter_page;

struct mf_counter {
    mfi_counter_page *page;
    uint32_t index;
};

struct mf_gauge {
    _Atomic(double) value; /* relaxed: a gauge orders nothing */
};

/* ---- Histograms ---- */

typedef struct mfi_octave {
    _Atomic(uint64_t) cells[MFI_CELLS_PER_OCTAVE];
} mfi_octave;

typedef struct mfi_histogram_shard {
    _Alignas(64) _Atomic(uint64_t) sum; /* in the layout's integers */
    _Atomic(uint64_t) under, over;
    /* Allocated on first use: release by who puts it there, acquire by who uses it. */
    _Atomic(mfi_octave *) octaves[MFI_OCTAVES_MAX];
} mfi_histogram_shard;

struct mf_histogram {
    const mfi_layout *layout;
    mfi_arena arena;
    _Atomic(mfi_histogram_shard *) shards[MFI_SHARDS];
};

/* A merged copy. */
typedef struct mfi_cells {
    uint64_t count, under, over;
    double sum;
    uint64_t cells[MFI_CELLS_MAX];
} mfi_cells;
/* Adds the histogram's cells to ret_cells, which begins zeroed. */
void mfi_histogram_merge(const mf_histogram *histogram, mfi_cells *ret_cells);
double mfi_cells_quantile(const mfi_cells *cells, const mfi_layout *layout, double q);
void mfi_cells_summarise(const mfi_cells *cells, const mfi_layout *layout,
                         mf_distribution *ret_distribution);
/* Values up to each exposed bound, cumulative. */
void mfi_cells_cumulate(const mfi_cells *cells, const mfi_layout *layout,
                        uint64_t ret_counts[MFI_BOUNDS_MAX]);

/* ---- Windows ---- */

#define MFI_WINDOW_SLOTS 13 /* twelve of the last minute, and the present one */
#define MFI_WINDOW_SLOT_NS (5 * MFI_NS_PER_S)

typedef struct mfi_window_slot {
    _Atomic(uint64_t) epoch; /* which five seconds it holds; 0: none */
    _Atomic(uint32_t) under, over;
    _Atomic(uint32_t) cells[27 * MFI_CELLS_PER_OCTAVE];
} mfi_window_slot;

struct mf_window {
    const mfi_clock *clock;
    mfi_arena arena;
    _Atomic(uint64_t) count, sum_ns; /* since the start */
    /* Allocated on first use, as octaves are. */
    _Atomic(mfi_window_slot *) slots[MFI_WINDOW_SLOTS];
};
void mfi_window_merge(const mf_window *window, mfi_cells *ret_cells);

#endif
