/* Makes the tables with which a value finds its cell without a logarithm. */
#include "metrics/layout.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/number.h"

#define MANTISSA_BITS 52
#define HIGHEST_BIT (UINT64_C(1) << 63)

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

static void make_tables(void)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        int exponent = 0;
        double fraction = frexp(layouts[i].unit, &exponent); /* unit = 2 * fraction * 2^(e - 1) */
        make_ladder(&layouts[i].of_integers, 2 * (long double)fraction);
        make_ladder(&layouts[i].of_values, 1);
        for (size_t j = 0; j < layouts[i].bound_count; j++) {
            (void)mfi_format_double(layouts[i].bound_texts[j], sizeof layouts[i].bound_texts[j],
                                    exp2(layouts[i].bound_first + (int)j * layouts[i].bound_step),
                                    true);
        }
        layouts[i].cells = layouts[i].octaves * MFI_CELLS_PER_OCTAVE;
        layouts[i].integer_base =
            (63 - (exponent - 1) - layouts[i].lowest_exponent) * MFI_CELLS_PER_OCTAVE;
    }
}

const mfi_layout *mfi_layout_of(mf_metric_scale scale)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_tables);
    return &layouts[scale == MF_SCALE_SIZE ? MF_SCALE_SIZE : MF_SCALE_DURATION];
}

int mfi_layout_index(const mfi_layout *layout, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> MANTISSA_BITS) - 1023;
    uint64_t number = bits << (63 - MANTISSA_BITS) | HIGHEST_BIT;
    int index = (exponent - layout->lowest_exponent) * MFI_CELLS_PER_OCTAVE +
                mfi_ladder_index(&layout->of_values, number);
    return mfi_layout_clamp(layout, index);
}

double mfi_layout_bound(const mfi_layout *layout, int index)
{
    return exp2((double)(index + 1) / MFI_CELLS_PER_OCTAVE + layout->lowest_exponent);
}

double mfi_layout_middle(const mfi_layout *layout, int index)
{
    if (index < 0) {
        return exp2(layout->lowest_exponent);
    }
    if (index >= layout->cells) {
        return exp2(layout->lowest_exponent + layout->octaves);
    }
    return exp2(((double)index + 0.5) / MFI_CELLS_PER_OCTAVE + layout->lowest_exponent);
}
