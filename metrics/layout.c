#include "metrics/layout.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define MANTISSA_BITS 52
#define MANTISSA_MASK ((UINT64_C(1) << MANTISSA_BITS) - 1)
#define GUESS_BITS 6

static const mfi_layout layouts[] = {
    [MF_SCALE_DURATION] = {.lowest_exponent = -20,
                           .octaves = 27,
                           .unit = 1e9,
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

const mfi_layout *mfi_layout_of(mf_metric_scale scale)
{
    return &layouts[scale == MF_SCALE_SIZE ? MF_SCALE_SIZE : MF_SCALE_DURATION];
}

/* Mantissas of 2^(j/32), and for the first bits of a mantissa the least j that may fit. */
static uint64_t mantissas[MFI_CELLS_PER_OCTAVE];
static uint8_t guesses[1 << GUESS_BITS];

static uint64_t bits_of(double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void make_tables(void)
{
    for (int j = 0; j < MFI_CELLS_PER_OCTAVE; j++) {
        mantissas[j] = bits_of(exp2((double)j / MFI_CELLS_PER_OCTAVE)) & MANTISSA_MASK;
    }
    for (uint64_t i = 0; i < 1 << GUESS_BITS; i++) {
        uint64_t least = i << (MANTISSA_BITS - GUESS_BITS);
        int j = 0;
        while (j < MFI_CELLS_PER_OCTAVE && mantissas[j] < least) {
            j++;
        }
        guesses[i] = (uint8_t)j;
    }
}

static void need_tables(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic(int) made; /* spares the hot path the call */
    if (atomic_load_explicit(&made, memory_order_acquire) == 0) {
        (void)pthread_once(&once, make_tables);
        atomic_store_explicit(&made, 1, memory_order_release);
    }
}

int mfi_layout_index(const mfi_layout *layout, double value)
{
    need_tables();
    uint64_t bits = bits_of(value);
    int exponent = (int)(bits >> MANTISSA_BITS) - 1023;
    uint64_t mantissa = bits & MANTISSA_MASK;
    int j = guesses[mantissa >> (MANTISSA_BITS - GUESS_BITS)];
    while (j < MFI_CELLS_PER_OCTAVE && mantissas[j] < mantissa) {
        j++;
    }
    /* The cell's upper bound is 2^(exponent + j/32); cell 0 ends at 2^(lowest + 1/32). */
    int index = (exponent - layout->lowest_exponent) * MFI_CELLS_PER_OCTAVE + j - 1;
    int most = layout->octaves * MFI_CELLS_PER_OCTAVE;
    return index < 0 ? -1 : index > most ? most : index;
}

double mfi_layout_bound(const mfi_layout *layout, int index)
{
    return exp2((double)(index + 1) / MFI_CELLS_PER_OCTAVE + layout->lowest_exponent);
}

double mfi_layout_middle(const mfi_layout *layout, int index)
{
    int most = layout->octaves * MFI_CELLS_PER_OCTAVE;
    if (index < 0) {
        return exp2(layout->lowest_exponent);
    }
    if (index >= most) {
        return exp2(layout->lowest_exponent + layout->octaves);
    }
    return exp2(((double)index + 0.5) / MFI_CELLS_PER_OCTAVE + layout->lowest_exponent);
}
