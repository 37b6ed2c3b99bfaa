/* The buckets of a histogram. Those of durations and sizes are base-2 exponential, 32 for each
 * octave, upper bounds inclusive at 2^(k/32). This is the layout of Prometheus native histograms of
 * schema 5 and of OpenTelemetry exponential histograms of scale 5
 * (opentelemetry.io/docs/specs/otel/metrics/data-model).
 *
 * Those of ratios are linear: ten cells, upper bounds inclusive at 0.1 to 1. A share of a deadline
 * is read in tenths, and half of an exponential scale would lie between 0.5 and 1. No native
 * histogram has such buckets, so ratios are exposed in classic ones alone. */
#ifndef MFI_METRICS_LAYOUT_H
#define MFI_METRICS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#define MFI_CELLS_PER_OCTAVE 32 /* each is 2.2 % wide, so its middle is within 1.1 % */
#define MFI_OCTAVES_MAX 36      /* of MF_SCALE_SIZE, the larger scale */
#define MFI_CELLS_MAX (MFI_OCTAVES_MAX * MFI_CELLS_PER_OCTAVE)
#define MFI_BOUNDS_MAX 18 /* of MF_SCALE_DURATION, the scale with more bounds */

/* The cells of one octave, for a number shifted left until its leading one is the highest bit. A
 * step is a 64th of the octave, shorter than any cell, so it contains at most one bound: numbers up
 * to the bound belong to `cell`, larger ones to the next cell. */
#define MFI_LADDER_BITS 6 /* 64 steps for 32 cells */
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
    bool is_linear; /* cell i ends at (i + 1) / cells; no value belongs to the underflow cell */
    int lowest_exponent; /* values up to 2^lowest belong to the underflow cell */
    int octaves;         /* values above 2^(lowest + octaves) belong to the overflow cell */
    double unit;         /* recorded integer = value * unit: 1 for bytes, 1e9 for the others */
    size_t bound_count;  /* exposed classic bounds; they lie between groups of cells */
    int bound_first, bound_step;          /* exponential: bound i is 2^(first + i * step) */
    int groups, cells_per_group;          /* octaves or, if linear, single cells */
    char bound_texts[MFI_BOUNDS_MAX][24]; /* the `le` texts */
    bool integer_is_ns;
    int cells;              /* octaves * 32, or those of the linear scale */
    int integer_base;       /* cells between the highest bit of an integer and cell 0 */
    mfi_ladder of_integers; /* cells of recorded integers */
    mfi_ladder of_values;   /* cells of doubles */
} mfi_layout;

/* Returns a layout; the first call makes the tables of all. Never NULL. */
const mfi_layout *mfi_layout_of(mf_metric_scale scale);

/* Index of the cell that holds a positive value: -1 underflow, `cells` overflow. */
int mfi_layout_index(const mfi_layout *layout, double value);

/* The exposed classic bound i, below bound_count. */
double mfi_layout_classic_bound(const mfi_layout *layout, size_t i);

/* For a linear layout: the cell of a recorded integer. */
int mfi_layout_linear_index(const mfi_layout *layout, uint64_t integer);

/* As mfi_layout_index(layout, integer / unit), without a division. The _near form does not clamp:
 * its result may lie beyond both ends. It is for exponential layouts alone. */
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
    return layout->is_linear ? mfi_layout_linear_index(layout, integer)
                             : mfi_layout_clamp(layout, mfi_layout_near_index(layout, integer));
}

/* Upper bound of a cell, and the value that stands for the cell: its geometric middle or, if the
 * layout is linear, its middle. */
double mfi_layout_bound(const mfi_layout *layout, int index);
double mfi_layout_middle(const mfi_layout *layout, int index);

#endif
