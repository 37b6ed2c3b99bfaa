/* Makes the tables with which a value finds its cell without a logarithm. */
#include "metrics/layout.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/number.h"

#define MANTISSA_BITS 52
#define HIGHEST_BIT (UINT64_C(1) << 63)
#define TENTHS 10 /* cells, and exposed bounds, of a ratio */

/* The tables are made once and only read afterwards. */
static mfi_layout layouts[] = {
    [MF_SCALE_DURATION] = {.lowest_exponent = -20,
                           .octaves = 27,
                           .unit = 1e9,
                           .integer_is_ns = true,
                           .bound_count = 18,
                           .bound_first = -15,
                           .bound_step = 1},
    [MF_SCALE_SIZE] = {.lowest_exponent = 0,
                       .octaves = 36,
                       .unit = 1,
                       .bound_count = 10,
                       .bound_first = 6,
                       .bound_step = 2},
    [MF_SCALE_RATIO] = {.is_linear = true,
                        .octaves = 1, /* of which the first ten cells are used */
                        .unit = 1e9,
                        .bound_count = TENTHS,
                        .bound_first = 1,
                        .bound_step = 1},
};

/* A ladder for numbers that stand for number / scale, 1 <= scale < 2. Bounds of doubles are rounded
 * as doubles are, so that mfi_layout_bound() itself is in its own cell. Bounds of integers lie
 * between two integers or are powers of two, and both are exact. */
static void make_ladder(mfi_ladder *ladder, long double scale)
{
    for (int step = 0; step < 1 << MFI_LADDER_BITS; step++) {
        long double least = 1 + (long double)step / (1 << MFI_LADDER_BITS);
        int j = -MFI_CELLS_PER_OCTAVE;
        long double bound = 0;
        for (;; j++) {
            bound = scale == 1 ? (long double)exp2((double)j / MFI_CELLS_PER_OCTAVE)
                               : scale * exp2l((long double)j / MFI_CELLS_PER_OCTAVE);
            if (bound >= least) {
                break;
            }
        }
        ladder->cell[step] = (int8_t)(j - 1);
        ladder->bound[step] = bound < 2 ? (uint64_t)(bound * (long double)HIGHEST_BIT) : UINT64_MAX;
    }
}

static void make_exponential(mfi_layout *layout)
{
    int exponent = 0;
    double fraction = frexp(layout->unit, &exponent); /* unit = 2 * fraction * 2^(e - 1) */
    make_ladder(&layout->of_integers, 2 * (long double)fraction);
    make_ladder(&layout->of_values, 1);
    layout->groups = layout->octaves;
    layout->cells_per_group = MFI_CELLS_PER_OCTAVE;
    layout->cells = layout->octaves * MFI_CELLS_PER_OCTAVE;
    layout->integer_base = (63 - (exponent - 1) - layout->lowest_exponent) * MFI_CELLS_PER_OCTAVE;
}

static void make_tables(void)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        mfi_layout *layout = &layouts[i];
        if (layout->is_linear) {
            layout->cells = layout->groups = TENTHS;
            layout->cells_per_group = 1;
        } else {
            make_exponential(layout);
        }
        for (size_t j = 0; j < layout->bound_count; j++) {
            (void)mfi_format_double(layout->bound_texts[j], sizeof layout->bound_texts[j],
                                    mfi_layout_classic_bound(layout, j), true);
        }
    }
}

const mfi_layout *mfi_layout_of(mf_metric_scale scale)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_tables);
    bool is_known = scale == MF_SCALE_SIZE || scale == MF_SCALE_RATIO;
    return &layouts[is_known ? scale : MF_SCALE_DURATION];
}

/* ---- Linear cells ---- */

int mfi_layout_linear_index(const mfi_layout *layout, uint64_t integer)
{
    const uint64_t width = (uint64_t)layout->unit / (uint64_t)layout->cells;
    uint64_t index = integer > 0 ? (integer - 1) / width : 0;
    return index < (uint64_t)layout->cells ? (int)index : layout->cells;
}

/* By comparison with the bounds themselves, so that 0.3 is in the cell that ends at 0.3, however
 * both are rounded. */
static int index_of_share(const mfi_layout *layout, double value)
{
    int index = 0;
    while (index < layout->cells && value > mfi_layout_bound(layout, index)) {
        index++;
    }
    return index;
}

/* ---- Cells ---- */

int mfi_layout_index(const mfi_layout *layout, double value)
{
    uint64_t bits = 0;
    if (layout->is_linear) {
        return index_of_share(layout, value);
    }
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> MANTISSA_BITS) - 1023;
    uint64_t number = bits << (63 - MANTISSA_BITS) | HIGHEST_BIT;
    int index = (exponent - layout->lowest_exponent) * MFI_CELLS_PER_OCTAVE +
                mfi_ladder_index(&layout->of_values, number);
    return mfi_layout_clamp(layout, index);
}

double mfi_layout_classic_bound(const mfi_layout *layout, size_t i)
{
    int at = layout->bound_first + (int)i * layout->bound_step;
    return layout->is_linear ? mfi_layout_bound(layout, at - 1) : exp2(at);
}

double mfi_layout_bound(const mfi_layout *layout, int index)
{
    if (layout->is_linear) {
        return (double)(index + 1) / layout->cells;
    }
    return exp2((double)(index + 1) / MFI_CELLS_PER_OCTAVE + layout->lowest_exponent);
}

double mfi_layout_middle(const mfi_layout *layout, int index)
{
    if (layout->is_linear) { /* values above 1 count as 1 */
        return index < layout->cells ? ((double)index + 0.5) / layout->cells : 1;
    }
    if (index < 0) {
        return exp2(layout->lowest_exponent);
    }
    if (index >= layout->cells) {
        return exp2(layout->lowest_exponent + layout->octaves);
    }
    return exp2(((double)index + 0.5) / MFI_CELLS_PER_OCTAVE + layout->lowest_exponent);
}
