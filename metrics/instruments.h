/* The inside of instruments, for the set that makes them and the exposition that reads them. */
#ifndef MFI_METRICS_INSTRUMENTS_H
#define MFI_METRICS_INSTRUMENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#include "base/clock.h"
#include "metrics/arena.h"
#include "metrics/layout.h"
#include "metrics/shard.h"

/* ---- Counters and gauges ---- */

/* One page holds the cells of many counters, shard by shard, so that the counters of a thread share
 * its cache lines and those of no other thread. */
#define MFI_PAGE_COUNTERS 128 /* 1 KiB of cells for each shard */
typedef struct mfi_counter_page {
    _Alignas(64) _Atomic(uint64_t) cells[MFI_SHARDS][MFI_PAGE_COUNTERS];
} mfi_counter_page;

struct mf_counter {
    mfi_counter_page *page;
    uint32_t index;
};

/* For a caller that records several values: one mfi_shard_index() costs more than an addition. */
static inline void mfi_counter_add_at(mf_counter *counter, unsigned shard, uint64_t n)
{
    mfi_cell_add(shard, &counter->page->cells[shard][counter->index], n);
}

struct mf_gauge {
    _Atomic(double) value; /* relaxed: a gauge orders no other memory */
};

/* ---- Histograms ---- */

/* Finds the memory at `place`, or makes it on first use (release by the maker, acquire by users).
 * If two threads make it at once, one wins and the arena keeps the other's memory. NULL without
 * memory. */
void *mfi_make_on_use(const mfi_arena *arena, _Atomic(void *) *place, size_t size);
static inline void *mfi_made_on_use(const mfi_arena *arena, _Atomic(void *) *place, size_t size)
{
    void *made = atomic_load_explicit(place, memory_order_acquire);
    return __builtin_expect(made != NULL, 1) ? made : mfi_make_on_use(arena, place, size);
}

/* Sums are in the layout's integers: nanoseconds or bytes. Each octave has a sum of its own, so
 * that cells and sum lie in memory that may be apart from the pointers. */
typedef struct mfi_octave {
    _Atomic(uint64_t) sum;
    _Atomic(uint64_t) cells[MFI_CELLS_PER_OCTAVE];
} mfi_octave;

/* Values that have no octave. */
typedef struct mfi_edges {
    _Atomic(uint64_t) sum, under, over;
} mfi_edges;

typedef struct mfi_histogram_shard {
    _Alignas(64) mfi_edges own;
    _Atomic(void *) edges; /* mfi_edges, made on first use where an arena has memory for cells */
    _Atomic(void *) octaves[MFI_OCTAVES_MAX]; /* mfi_octave, made on first use */
} mfi_histogram_shard;

struct mf_histogram {
    const mfi_layout *layout;
    mfi_arena arena;
    _Atomic(void *) shards[MFI_SHARDS]; /* mfi_histogram_shard, made on first use */
    _Atomic(void *) exemplars;          /* of exemplars.c, made on first use */
};

/* As mf_histogram_record(), for one of the layout's integers (nanoseconds or bytes) and the shard
 * of the calling thread. */
void mfi_histogram_record_at(mf_histogram *histogram, unsigned shard, uint64_t integer);
/* The same for a histogram of MF_SCALE_RATIO, which mfi_histogram_record_at() must not get. */
void mfi_histogram_record_share_at(mf_histogram *histogram, unsigned shard, uint64_t billionths);

/* Adds values that other memory has counted: cells, and their sum in the layout's integers. Any
 * thread. */
typedef struct mfi_cells mfi_cells;
void mfi_histogram_add_cells(mf_histogram *histogram, const mfi_cells *cells, uint64_t sum);

/* A merged copy of all shards. */
struct mfi_cells {
    uint64_t count, under, over;
    double sum;
    uint64_t cells[MFI_CELLS_MAX];
};
/* Adds the histogram's cells to ret_cells, which begins zeroed. */
void mfi_histogram_merge(const mf_histogram *histogram, mfi_cells *ret_cells);
double mfi_cells_quantile(const mfi_cells *cells, const mfi_layout *layout, double q);
/* Middles of the cells, so within 1.1 %; NaN when the count is 0. */
typedef struct mfi_cells_range {
    double mean, least, most;
} mfi_cells_range;
void mfi_cells_range_of(const mfi_cells *cells, const mfi_layout *layout,
                        mfi_cells_range *ret_range);
void mfi_cells_summarise(const mfi_cells *cells, const mfi_layout *layout,
                         mf_distribution *ret_distribution);

/* The exposed form of a histogram: cumulative counts up to each bound, all of one reading. */
typedef struct mfi_buckets {
    uint64_t counts[MFI_BOUNDS_MAX];
    uint64_t count;
    double sum;
} mfi_buckets;
void mfi_histogram_buckets(const mf_histogram *histogram, mfi_buckets *ret_buckets);
/* The same of cells that are merged already. */
void mfi_cells_buckets(const mfi_cells *cells, const mfi_layout *layout, mfi_buckets *ret_buckets);

/* ---- Windows ---- */

#define MFI_WINDOW_SLOTS 13                   /* twelve for the last minute, and the present one */
#define MFI_WINDOW_OCTAVES 27                 /* as MF_SCALE_DURATION has */
#define MFI_WINDOW_SLOT_NS (5 * MFI_NS_PER_S) /* a twelfth of a minute */

typedef struct mfi_window_octave {
    _Atomic(uint32_t) cells[MFI_CELLS_PER_OCTAVE];
} mfi_window_octave;

typedef struct mfi_window_slot {
    _Atomic(uint64_t) epoch; /* number of the five seconds that the slot holds; 0: none */
    _Atomic(uint32_t) under, over;
    _Atomic(void *) octaves[MFI_WINDOW_OCTAVES]; /* mfi_window_octave, made on first use */
} mfi_window_slot;

typedef struct mfi_window_shard {
    _Alignas(64) _Atomic(uint64_t) count, sum_ns; /* since the start */
    mfi_window_slot slots[MFI_WINDOW_SLOTS];
} mfi_window_shard;

struct mf_window {
    const mfi_clock *clock;
    const mfi_layout *layout;
    mfi_arena arena;
    _Atomic(void *) shards[MFI_SHARDS]; /* mfi_window_shard, made on first use */
};
/* As mf_window_record_ns() for a caller that knows the time. now_ns is of the window's clock. */
void mfi_window_record_at(mf_window *window, unsigned shard_index, uint64_t duration_ns,
                          uint64_t now_ns);
/* Merges the cells of the last minute and the sum since the start. ret_total: count since then. */
void mfi_window_merge(const mf_window *window, mfi_cells *ret_cells, uint64_t *ret_total);

#endif
