/* The buckets of a histogram: base-2 exponential, 32 for each octave, upper bounds inclusive at
 * 2^(k/32). This is the layout of Prometheus native histograms of schema 5 and of OpenTelemetry
 * exponential histograms of scale 5 (opentelemetry.io/docs/specs/otel/metrics/data-model). */
#ifndef MFI_METRICS_LAYOUT_H
#define MFI_METRICS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#define MFI_CELLS_PER_OCTAVE 32
#define MFI_OCTAVES_MAX 36
#define MFI_CELLS_MAX (MFI_OCTAVES_MAX * MFI_CELLS_PER_OCTAVE)
#define MFI_BOUNDS_MAX 18

/* The cells of one octave, for numbers shifted so far to the left that their leading one is the
 * highest bit. A 64th of an octave's length is shorter than any cell, so that at most one bound
 * lies in each: numbers up to it are in `cell`, those above in the next one. */
#define MFI_LADDER_BITS 6
typedef struct mfi_ladder {
    int8_t cell[1 << MFI_LADDER_BITS];
    uint64_t bound[1 << MFI_LADDER_BITS];
} mfi_ladder;

static inline int mfi_ladder_index(const mfi_ladder *ladder, uint64_t number)
{
    unsigned step = (unsigned)(number << 1 >> (64 - MFI_LADDER_BITS));
    return ladder->cell[step] + (number > ladder->bound[step]);
}

typedef struct mfi_layout {
    int lowest_exponent; /* values up to 2^lowest go to the underflow cell */
    int octaves;         /* values above 2^(lowest + octaves) to the overflow cell */
    double unit;         /* recorded integer = value * unit: 1e9 for durations, 1 for bytes */
    size_t bound_count;  /* exposed classic bounds: 2^(first + i * step) */
    int bound_first, bound_step;
    char bound_texts[MFI_BOUNDS_MAX][24]; /* as they are exposed */
    bool integer_is_ns;
    int cells;              /* octaves * 32 */
    int integer_base;       /* cells between the highest bit of an integer and cell 0 */
    mfi_ladder of_integers; /* cells of recorded integers */
    mfi_ladder of_values;   /* cells of doubles */
} mfi_layout;

/* Also makes the tables; every layout comes from here. */
const mfi_layout *mfi_layout_of(mf_metric_scale scale);

/* Index of the cell that holds a positive value: -1 underflow, octaves * 32 overflow. */
int mfi_layout_index(const mfi_layout *layout, double value);

/* As mfi_layout_index(layout, integer / unit), without a division. _near leaves out the clamping:
 * what is beyond either end may be further beyond it. */
static inline int mfi_layout_near_index(const mfi_layout *layout, uint64_t integer)
{
    int zeros = __builtin_clzll(integer | 1);
    return mfi_ladder_index(&layout->of_integers, integer << zeros) + layout->integer_base -
           zeros * MFI_CELLS_PER_OCTAVE;
}

static inline int mfi_layout_clamp(const mfi_layout *layout, int index)
{
    return index < 0 ? -1 : index > layout->cells ? layout->cells : index;
}

static inline int mfi_layout_index_integer(const mfi_layout *layout, uint64_t integer)
{
    return mfi_layout_clamp(layout, mfi_layout_near_index(layout, integer));
}

/* Upper bound of a cell, and the value that stands for those in it (their geometric middle). */
double mfi_layout_bound(const mfi_layout *layout, int index);
double mfi_layout_middle(const mfi_layout *layout, int index);

#endif
