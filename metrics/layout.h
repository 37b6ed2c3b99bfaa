/* The buckets of a histogram: base-2 exponential, 32 for each octave, upper bounds inclusive at
 * 2^(k/32). This is the layout of Prometheus native histograms of schema 5 and of OpenTelemetry
 * exponential histograms of scale 5 (opentelemetry.io/docs/specs/otel/metrics/data-model). */
#ifndef MFI_METRICS_LAYOUT_H
#define MFI_METRICS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#define MFI_CELLS_PER_OCTAVE 32
#define MFI_OCTAVES_MAX 36
#define MFI_CELLS_MAX (MFI_OCTAVES_MAX * MFI_CELLS_PER_OCTAVE)
#define MFI_BOUNDS_MAX 18

typedef struct mfi_layout {
    int lowest_exponent; /* values up to 2^lowest go to the underflow cell */
    int octaves;         /* values above 2^(lowest + octaves) to the overflow cell */
    double unit;         /* recorded integer = value * unit: 1e9 for durations, 1 for bytes */
    size_t bound_count;  /* exposed classic bounds: 2^(first + i * step) */
    int bound_first, bound_step;
} mfi_layout;

const mfi_layout *mfi_layout_of(mf_metric_scale scale);

/* Index of the cell that holds a positive value: -1 underflow, octaves * 32 overflow. */
int mfi_layout_index(const mfi_layout *layout, double value);
/* Upper bound of a cell, and the value that stands for those in it (their geometric middle). */
double mfi_layout_bound(const mfi_layout *layout, int index);
double mfi_layout_middle(const mfi_layout *layout, int index);

#endif
