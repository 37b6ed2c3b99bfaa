/* Values find their cells: bounds are inclusive, and integers land as their values do. */
#include "metrics/layout.h"

#include <math.h>
#include <stdlib.h>

#include "metric_support.h"

#define SAMPLES 1000000

static void test_bounds_are_inclusive(void)
{
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    for (int e = -19; e <= 7; e++) {
        double bound = exp2(e);
        int index = mfi_layout_index(layout, bound);
        mf_check(mfi_layout_bound(layout, index) == bound);
        mf_check_int(mfi_layout_index(layout, nextafter(bound, 1e9)), index + 1);
    }
    mf_check_int(mfi_layout_index(layout, exp2(-20)), -1);
    mf_check_int(mfi_layout_index(layout, 129), 27 * 32);
    mf_check_int(mfi_layout_index(layout, (double)1953125 / 1e9),
                 mfi_layout_index(layout, exp2(-9)));
}

static int expected_index(const mfi_layout *layout, uint64_t integer)
{
    return mfi_layout_index(layout, (double)integer / layout->unit);
}

/* Integers take a way of their own to the same cells. */
static void test_integers_land_as_their_values(void)
{
    int wrong = 0;
    for (int scale = MF_SCALE_DURATION; scale <= MF_SCALE_SIZE; scale++) {
        const mfi_layout *layout = mfi_layout_of((mf_metric_scale)scale);
        for (int i = -1; i <= layout->octaves * MFI_CELLS_PER_OCTAVE; i++) {
            uint64_t bound = (uint64_t)(mfi_layout_bound(layout, i) * layout->unit);
            for (uint64_t at = bound > 3 ? bound - 3 : 0; at <= bound + 3; at++) {
                wrong += mfi_layout_index_integer(layout, at) != expected_index(layout, at);
            }
        }
        for (int i = 0; i < SAMPLES; i++) {
            uint64_t at = next_random() >> (i % 64);
            wrong += mfi_layout_index_integer(layout, at) != expected_index(layout, at);
        }
        for (uint64_t at = 0; at < 100000; at++) {
            wrong += mfi_layout_index_integer(layout, at) != expected_index(layout, at);
        }
    }
    mf_check_int(wrong, 0);
}

/* Prometheus compares the texts: one that changes would be another series. */
static void test_bounds_have_fixed_texts(void)
{
    static const char *const durations[] = {"3.0517578125e-05",
                                            "6.103515625e-05",
                                            "0.0001220703125",
                                            "0.000244140625",
                                            "0.00048828125",
                                            "0.0009765625",
                                            "0.001953125",
                                            "0.00390625",
                                            "0.0078125",
                                            "0.015625",
                                            "0.03125",
                                            "0.0625",
                                            "0.125",
                                            "0.25",
                                            "0.5",
                                            "1.0",
                                            "2.0",
                                            "4.0"};
    static const char *const sizes[] = {"64.0",      "256.0",     "1024.0",   "4096.0",
                                        "16384.0",   "65536.0",   "262144.0", "1048576.0",
                                        "4194304.0", "16777216.0"};
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    mf_check_int(layout->bound_count, sizeof durations / sizeof durations[0]);
    for (size_t i = 0; i < layout->bound_count; i++) {
        mf_check_str(layout->bound_texts[i], durations[i]);
    }
    layout = mfi_layout_of(MF_SCALE_SIZE);
    mf_check_int(layout->bound_count, sizeof sizes / sizeof sizes[0]);
    for (size_t i = 0; i < layout->bound_count; i++) {
        mf_check_str(layout->bound_texts[i], sizes[i]);
    }
    mf_check(mfi_layout_of((mf_metric_scale)99) == mfi_layout_of(MF_SCALE_DURATION));
}

/* The value that stands for a cell lies in it, 1.1 % from either bound; beyond the ends it is the
 * end. */
static void test_middles_stand_for_cells(void)
{
    for (int scale = MF_SCALE_DURATION; scale <= MF_SCALE_SIZE; scale++) {
        const mfi_layout *layout = mfi_layout_of((mf_metric_scale)scale);
        int last = layout->octaves * MFI_CELLS_PER_OCTAVE;
        mf_check_int(layout->cells, last);
        for (int i = 0; i < last; i++) {
            double middle = mfi_layout_middle(layout, i);
            mf_check_int(mfi_layout_index(layout, middle), i);
            mf_check(mfi_layout_bound(layout, i) / middle < 1.011);
            mf_check(middle / mfi_layout_bound(layout, i - 1) < 1.011);
        }
        mf_check(mfi_layout_middle(layout, -1) == exp2(layout->lowest_exponent));
        mf_check(mfi_layout_middle(layout, last) == mfi_layout_bound(layout, last - 1));
        mf_check(mfi_layout_middle(layout, last + 7) == mfi_layout_bound(layout, last - 1));
    }
}

static void test_ends_take_the_rest(void)
{
    for (int scale = MF_SCALE_DURATION; scale <= MF_SCALE_SIZE; scale++) {
        const mfi_layout *layout = mfi_layout_of((mf_metric_scale)scale);
        mf_check_int(mfi_layout_index(layout, 0), -1);
        mf_check_int(mfi_layout_index(layout, 5e-324), -1);
        mf_check_int(mfi_layout_index(layout, 1e300), layout->cells);
        mf_check_int(mfi_layout_index(layout, (double)INFINITY), layout->cells);
        mf_check_int(mfi_layout_index_integer(layout, 0), -1);
        mf_check_int(mfi_layout_index_integer(layout, UINT64_MAX), layout->cells);
        mf_check_int(mfi_layout_clamp(layout, -1000), -1);
        mf_check_int(mfi_layout_clamp(layout, 0), 0);
        mf_check_int(mfi_layout_clamp(layout, layout->cells + 1), layout->cells);
    }
}

/* Ten equal cells: each ends at its bound, as the text shows it, and what is above 1 is late. */
static void test_shares_are_in_tenths(void)
{
    static const char *const texts[] = {"0.1", "0.2", "0.3", "0.4", "0.5",
                                        "0.6", "0.7", "0.8", "0.9", "1.0"};
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_RATIO);
    mf_check_int(layout->bound_count, 10);
    mf_check_int(layout->cells, 10);
    for (int i = 0; i < 10; i++) {
        double bound = strtod(texts[i], NULL);
        uint64_t integer = (uint64_t)(i + 1) * 100000000;
        mf_check_str(layout->bound_texts[i], texts[i]);
        mf_check(mfi_layout_bound(layout, i) == bound);
        mf_check(mfi_layout_classic_bound(layout, (size_t)i) == bound);
        mf_check_int(mfi_layout_index(layout, bound), i);
        mf_check_int(mfi_layout_index(layout, nextafter(bound, 2)), i + 1);
        mf_check_int(mfi_layout_index_integer(layout, integer), i);
        mf_check_int(mfi_layout_index_integer(layout, integer + 1), i + 1);
        mf_check_int(mfi_layout_index(layout, mfi_layout_middle(layout, i)), i);
    }
    mf_check_int(mfi_layout_index(layout, 0), 0);
    mf_check_int(mfi_layout_index_integer(layout, 0), 0);
    mf_check_int(mfi_layout_index(layout, (double)INFINITY), layout->cells);
    mf_check_int(mfi_layout_index_integer(layout, UINT64_MAX), layout->cells);
    mf_check(mfi_layout_middle(layout, layout->cells) == 1);
}

static const mf_test tests[] = {
    {"layout__bounds_are_inclusive", test_bounds_are_inclusive},
    {"layout__integers_land_in_the_cells_of_their_values", test_integers_land_as_their_values},
    {"layout__bounds_have_fixed_texts", test_bounds_have_fixed_texts},
    {"layout__middles_stand_for_cells", test_middles_stand_for_cells},
    {"layout__ends_take_the_rest", test_ends_take_the_rest},
    {"layout__shares_are_in_tenths", test_shares_are_in_tenths},
};
MF_TEST_MAIN(tests)
