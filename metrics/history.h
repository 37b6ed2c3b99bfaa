/* What the last hour looked like: a ring of points in the process, so that a page can draw lines
 * where no Prometheus stores anything. */
#ifndef MFI_METRICS_HISTORY_H
#define MFI_METRICS_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/metrics.h>

#include "base/clock.h"
#include "base/mutex.h"

#define MFI_HISTORY_POINTS 360
#define MFI_HISTORY_STEP_NS (10 * MFI_NS_PER_S)
#define MFI_HISTORY_LINES_MAX 17 /* the first one is of all targets together */
#define MFI_HISTORY_NAME_MAX 128

/* How calls of one target have ended since the start, and how long those of the last 60 s took. */
typedef struct mfi_history_totals {
    char target[MFI_HISTORY_NAME_MAX]; /* "" for all together */
    uint64_t calls;
    uint64_t errors;      /* neither ok, nor an error of the function, nor cancelled */
    uint64_t app_errors;  /* the function itself answered with an error */
    double p50, p95, p99; /* seconds; NaN without a call */
} mfi_history_totals;

/* One reading of the metrics. totals[0] is of all targets, those without a line included. */
typedef struct mfi_history_reading {
    mfi_history_totals totals[MFI_HISTORY_LINES_MAX];
    size_t count;
} mfi_history_reading;

/* Rates are per second. All are NaN for a step in which nothing was read. */
typedef struct mfi_history_point {
    float calls, errors, app_errors, p50, p95, p99;
} mfi_history_point;

typedef struct mfi_history_line {
    mfi_history_totals last;
    mfi_history_point points[MFI_HISTORY_POINTS]; /* by the number of the step */
} mfi_history_line;

typedef struct mfi_history {
    mfi_mutex mutex; /* guards the members below */
    mfi_history_line *lines[MFI_HISTORY_LINES_MAX];
    size_t line_count;
    uint64_t last_ns;       /* monotonic, of the last reading; 0: there was none */
    uint64_t last_wall_ns;  /* the same by the wall clock */
    uint64_t first_step;    /* of the first point */
    _Atomic(uint64_t) step; /* of the last reading */
} mfi_history;

void mfi_history_init(mfi_history *history);
void mfi_history_fini(mfi_history *history);

/* Reads the metrics, without their collectors, if a step has passed since the last reading. */
void mfi_history_feed(mfi_history *history, mf_metrics *metrics, uint64_t now_ns, uint64_t wall_ns);
void mfi_history_read(mf_metrics *metrics, mfi_history_reading *ret_reading);
void mfi_history_add(mfi_history *history, const mfi_history_reading *reading, uint64_t now_ns,
                     uint64_t wall_ns);

/* Copies the points of a target ("" for all) to ret_points, which has room for all of a ring, the
 * oldest first. Returns how many there are; ret_end_wall_ns: time of the last one. */
size_t mfi_history_copy(mfi_history *history, const char *target, mfi_history_point *ret_points,
                        uint64_t *ret_end_wall_ns);

/* Counts n calls that ended with this status. */
void mfi_history_count(mfi_history_totals *totals, const char *status, uint64_t n);

#endif
