/* Counters, gauges and histograms. A writer touches only its own shard, and a reader pays for the
 * merge (the trade of brpc's bvar). All cells are relaxed, because they order no other memory. */
#include "metrics/instruments.h"

#include <math.h>
#include <stdbool.h>

/* ---- Counters and gauges ---- */

void mf_counter_add(mf_counter *counter, uint64_t n)
{
    if (counter != NULL) {
        mfi_counter_add_at(counter, mfi_shard_index(), n);
    }
}

uint64_t mf_counter_value(const mf_counter *counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; counter != NULL && i < MFI_SHARDS; i++) {
        sum += atomic_load_explicit(&counter->page->cells[i][counter->index], memory_order_relaxed);
    }
    return sum;
}

void mf_gauge_set(mf_gauge *gauge, double value)
{
    if (gauge != NULL) {
        atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
    }
}

void mf_gauge_add(mf_gauge *gauge, double n)
{
    if (gauge == NULL) {
        return;
    }
    double value = atomic_load_explicit(&gauge->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&gauge->value, &value, value + n,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

double mf_gauge_value(const mf_gauge *gauge)
{
    return gauge != NULL ? atomic_load_explicit(&gauge->value, memory_order_relaxed) : 0.0;
}

/* ---- Recording ---- */

void *mfi_make_on_use(const mfi_arena *arena, _Atomic(void *) *place, size_t size)
{
    void *found = NULL;
    void *made = arena->allocate(arena->self, size);
    bool placed = made != NULL &&
                  atomic_compare_exchange_strong_explicit(place, &found, made, memory_order_acq_rel,
                                                          memory_order_acquire);
    return placed ? made : found;
}

/* As mfi_made_on_use(), from the arena's memory for cells if there is any. */
static void *make_cells(const mfi_arena *arena, _Atomic(void *) *place, size_t size,
                        mfi_cells_tag tag)
{
    void *found = atomic_load_explicit(place, memory_order_acquire);
    if (found != NULL || arena->cells == NULL) {
        return mfi_made_on_use(arena, place, size);
    }
    void *made = arena->cells(arena->self, size, arena->series, tag);
    bool placed = made != NULL &&
                  atomic_compare_exchange_strong_explicit(place, &found, made, memory_order_acq_rel,
                                                          memory_order_acquire);
    return placed ? made : found;
}

static mfi_edges *edges_of(mf_histogram *histogram, mfi_histogram_shard *shard, unsigned own)
{
    mfi_edges *edges = NULL;
    if (histogram->arena.cells != NULL) {
        edges = make_cells(&histogram->arena, &shard->edges, sizeof *edges,
                           (mfi_cells_tag){.kind = MFI_CELLS_EDGES, .shard = own});
    }
    return edges != NULL ? edges : &shard->own;
}

/* NULL for a value outside the range, and without memory. */
static mfi_octave *octave_of(mf_histogram *histogram, mfi_histogram_shard *shard, unsigned own,
                             int index)
{
    if (index < 0 || index >= histogram->layout->cells) {
        return NULL;
    }
    unsigned octave = (unsigned)index / MFI_CELLS_PER_OCTAVE;
    return make_cells(&histogram->arena, &shard->octaves[octave], sizeof(mfi_octave),
                      (mfi_cells_tag){.kind = MFI_CELLS_OCTAVE, .shard = own, .octave = octave});
}

static mfi_histogram_shard *shard_of(mf_histogram *histogram, unsigned own)
{
    return mfi_made_on_use(&histogram->arena, &histogram->shards[own], sizeof(mfi_histogram_shard));
}

/* The slow path: the first value of a thread or an octave, and every value of the shared shard. */
static __attribute__((noinline)) void record_slowly(mf_histogram *histogram, int index,
                                                    uint64_t integer)
{
    unsigned own = mfi_shard_index();
    mfi_histogram_shard *shard = shard_of(histogram, own);
    if (shard == NULL) {
        return; /* no memory for the first value of this thread: the value is lost */
    }
    mfi_octave *octave = octave_of(histogram, shard, own, index);
    if (octave != NULL) {
        mfi_cell_add(own, &octave->cells[index % MFI_CELLS_PER_OCTAVE], 1);
        mfi_cell_add(own, &octave->sum, integer);
        return;
    }
    /* Without memory the value counts as one above the range. */
    mfi_edges *edges = edges_of(histogram, shard, own);
    mfi_cell_add(own, index < 0 ? &edges->under : &edges->over, 1);
    mfi_cell_add(own, &edges->sum, integer);
}

void mfi_histogram_add_cells(mf_histogram *histogram, const mfi_cells *cells, uint64_t sum)
{
    const unsigned own = MFI_SHARED_SHARD; /* the numbers are of many threads */
    mfi_histogram_shard *shard = shard_of(histogram, own);
    if (shard == NULL || (cells->count == 0 && sum == 0)) {
        return;
    }
    mfi_edges *edges = edges_of(histogram, shard, own);
    mfi_cell_add(own, &edges->under, cells->under);
    mfi_cell_add(own, &edges->over, cells->over);
    mfi_cell_add(own, &edges->sum, sum);
    for (int i = 0; i < histogram->layout->cells; i++) {
        if (cells->cells[i] > 0) {
            mfi_octave *octave = octave_of(histogram, shard, own, i);
            mfi_cell_add(own,
                         octave != NULL ? &octave->cells[i % MFI_CELLS_PER_OCTAVE] : &edges->over,
                         cells->cells[i]);
        }
    }
}

/* The fast path of nearly every value: an owned shard, and cells that exist. */
static inline void record(mf_histogram *histogram, unsigned own, int index, uint64_t integer)
{
    unsigned place = (unsigned)index;
    mfi_histogram_shard *shard = NULL;
    mfi_octave *octave = NULL;
    if (own < MFI_SHARED_SHARD) {
        shard = atomic_load_explicit(&histogram->shards[own], memory_order_acquire);
    }
    if (shard != NULL && place < (unsigned)histogram->layout->cells) {
        octave = atomic_load_explicit(&shard->octaves[place / MFI_CELLS_PER_OCTAVE],
                                      memory_order_acquire);
    }
    if (octave == NULL) {
        record_slowly(histogram, index, integer);
        return;
    }
    mfi_cell_add(own, &octave->cells[place % MFI_CELLS_PER_OCTAVE], 1);
    mfi_cell_add(own, &octave->sum, integer);
}

void mf_histogram_record(mf_histogram *histogram, double value)
{
    if (histogram == NULL) {
        return;
    }
    double positive = value > 0 ? value : 0; /* NaN becomes 0 too */
    double integer = fmin(positive * histogram->layout->unit, 0x1p62);
    record(histogram, mfi_shard_index(), mfi_layout_index(histogram->layout, positive),
           (uint64_t)integer);
}

void mfi_histogram_record_at(mf_histogram *histogram, unsigned shard, uint64_t integer)
{
    record(histogram, shard, mfi_layout_near_index(histogram->layout, integer), integer);
}

void mfi_histogram_record_share_at(mf_histogram *histogram, unsigned shard, uint64_t billionths)
{
    record(histogram, shard, mfi_layout_linear_index(histogram->layout, billionths), billionths);
}

/* For a histogram of bytes or ratios: its value is the number of seconds. */
static __attribute__((noinline)) void record_seconds(mf_histogram *histogram, uint64_t duration_ns)
{
    record_slowly(histogram, mfi_layout_index(histogram->layout, (double)duration_ns / 1e9),
                  duration_ns);
}

void mf_histogram_record_ns(mf_histogram *histogram, uint64_t duration_ns)
{
    if (histogram == NULL) {
        return;
    }
    if (__builtin_expect(histogram->layout->integer_is_ns, 1)) {
        mfi_histogram_record_at(histogram, mfi_shard_index(), duration_ns);
    } else {
        record_seconds(histogram, duration_ns);
    }
}

/* ---- Reading ---- */

/* Adds to both counts. NULL is a no-op. Returns the sum. */
static uint64_t read_edges(const mfi_edges *edges, uint64_t *under, uint64_t *over)
{
    if (edges == NULL) {
        return 0;
    }
    *under += atomic_load_explicit(&edges->under, memory_order_relaxed);
    *over += atomic_load_explicit(&edges->over, memory_order_relaxed);
    return atomic_load_explicit(&edges->sum, memory_order_relaxed);
}

static uint64_t merge_octave(const mfi_octave *octave, uint64_t *to, mfi_cells *ret_cells)
{
    if (octave == NULL) {
        return 0;
    }
    for (int c = 0; c < MFI_CELLS_PER_OCTAVE; c++) {
        uint64_t n = atomic_load_explicit(&octave->cells[c], memory_order_relaxed);
        to[c] += n;
        ret_cells->count += n;
    }
    return atomic_load_explicit(&octave->sum, memory_order_relaxed);
}

void mfi_histogram_merge(const mf_histogram *histogram, mfi_cells *ret_cells)
{
    for (unsigned s = 0; s < MFI_SHARDS; s++) {
        mfi_histogram_shard *shard =
            atomic_load_explicit(&histogram->shards[s], memory_order_acquire);
        if (shard == NULL) {
            continue;
        }
        uint64_t under = 0;
        uint64_t over = 0;
        uint64_t sum = read_edges(&shard->own, &under, &over);
        sum += read_edges(atomic_load_explicit(&shard->edges, memory_order_acquire), &under, &over);
        ret_cells->under += under;
        ret_cells->over += over;
        ret_cells->count += under + over;
        for (int o = 0; o < histogram->layout->octaves; o++) {
            sum += merge_octave(atomic_load_explicit(&shard->octaves[o], memory_order_acquire),
                                &ret_cells->cells[(size_t)o * MFI_CELLS_PER_OCTAVE], ret_cells);
        }
        ret_cells->sum += (double)sum / histogram->layout->unit;
    }
}

double mfi_cells_quantile(const mfi_cells *cells, const mfi_layout *layout, double q)
{
    if (cells->count == 0) {
        return (double)NAN;
    }
    uint64_t rank = (uint64_t)ceil(q * (double)cells->count);
    uint64_t seen = cells->under;
    int most = layout->cells;
    if (seen >= rank) {
        return mfi_layout_middle(layout, -1);
    }
    for (int i = 0; i < most; i++) {
        seen += cells->cells[i];
        if (seen >= rank) {
            return mfi_layout_middle(layout, i);
        }
    }
    return mfi_layout_middle(layout, most);
}

void mfi_cells_summarise(const mfi_cells *cells, const mfi_layout *layout,
                         mf_distribution *ret_distribution)
{
    ret_distribution->count = cells->count;
    ret_distribution->sum = cells->sum;
    ret_distribution->p50 = mfi_cells_quantile(cells, layout, 0.5);
    ret_distribution->p90 = mfi_cells_quantile(cells, layout, 0.9);
    ret_distribution->p95 = mfi_cells_quantile(cells, layout, 0.95);
    ret_distribution->p99 = mfi_cells_quantile(cells, layout, 0.99);
    ret_distribution->p999 = mfi_cells_quantile(cells, layout, 0.999);
}

void mfi_cells_range_of(const mfi_cells *cells, const mfi_layout *layout,
                        mfi_cells_range *ret_range)
{
    double count = (double)cells->count;
    double sum = (double)cells->under * mfi_layout_middle(layout, -1) +
                 (double)cells->over * mfi_layout_middle(layout, layout->cells);
    for (int i = 0; i < layout->cells; i++) {
        if (cells->cells[i] != 0) {
            sum += (double)cells->cells[i] * mfi_layout_middle(layout, i);
        }
    }
    ret_range->mean = cells->count != 0 ? sum / count : (double)NAN;
    ret_range->least = mfi_cells_quantile(cells, layout, 0.5 / count); /* the first value */
    ret_range->most = mfi_cells_quantile(cells, layout, 1);
}

static uint64_t octave_count(const mfi_octave *octave)
{
    uint64_t sum = 0;
    for (int c = 0; octave != NULL && c < MFI_CELLS_PER_OCTAVE; c++) {
        sum += atomic_load_explicit(&octave->cells[c], memory_order_relaxed);
    }
    return sum;
}

/* A linear layout has one octave, and each of its cells is a group. */
static void add_cells(uint64_t *sums, const mfi_layout *layout, const mfi_octave *octave)
{
    for (int c = 0; octave != NULL && c < layout->cells; c++) {
        sums[c] += atomic_load_explicit(&octave->cells[c], memory_order_relaxed);
    }
}

/* Every bound lies between two groups, so the sums of the groups are enough. Adds all of them to
 * the count, which begins with the overflow. */
static void fill_buckets(const mfi_layout *layout, const uint64_t *sums, uint64_t under,
                         mfi_buckets *ret_buckets)
{
    uint64_t seen = under;
    int group = 0;
    for (size_t i = 0; i < layout->bound_count; i++) {
        int end = layout->bound_first + (int)i * layout->bound_step - layout->lowest_exponent;
        for (; group < end; group++) {
            seen += sums[group];
        }
        ret_buckets->counts[i] = seen;
    }
    for (; group < layout->groups; group++) {
        seen += sums[group];
    }
    ret_buckets->count += seen;
}

void mfi_cells_buckets(const mfi_cells *cells, const mfi_layout *layout, mfi_buckets *ret_buckets)
{
    uint64_t sums[MFI_OCTAVES_MAX] = {0};
    for (int i = 0; i < layout->cells; i++) {
        sums[i / layout->cells_per_group] += cells->cells[i];
    }
    *ret_buckets = (mfi_buckets){.count = cells->over, .sum = cells->sum};
    fill_buckets(layout, sums, cells->under, ret_buckets);
}

void mfi_histogram_buckets(const mf_histogram *histogram, mfi_buckets *ret_buckets)
{
    const mfi_layout *layout = histogram->layout;
    uint64_t sums[MFI_OCTAVES_MAX] = {0};
    uint64_t under = 0;
    *ret_buckets = (mfi_buckets){.count = 0};
    for (unsigned s = 0; s < MFI_SHARDS; s++) {
        const mfi_histogram_shard *shard =
            atomic_load_explicit(&histogram->shards[s], memory_order_acquire);
        if (shard == NULL) {
            continue;
        }
        uint64_t sum = read_edges(&shard->own, &under, &ret_buckets->count);
        sum += read_edges(atomic_load_explicit(&shard->edges, memory_order_acquire), &under,
                          &ret_buckets->count);
        for (int o = 0; o < layout->octaves; o++) {
            const mfi_octave *octave =
                atomic_load_explicit(&shard->octaves[o], memory_order_acquire);
            if (layout->is_linear) {
                add_cells(sums, layout, octave);
            } else {
                sums[o] += octave_count(octave);
            }
            sum += octave != NULL ? atomic_load_explicit(&octave->sum, memory_order_relaxed) : 0;
        }
        ret_buckets->sum += (double)sum / layout->unit;
    }
    fill_buckets(layout, sums, under, ret_buckets);
}

void mf_histogram_read(const mf_histogram *histogram, mf_distribution *ret_distribution)
{
    if (histogram == NULL || ret_distribution == NULL) {
        return;
    }
    mfi_cells cells = {0};
    mfi_histogram_merge(histogram, &cells);
    mfi_cells_summarise(&cells, histogram->layout, ret_distribution);
}
