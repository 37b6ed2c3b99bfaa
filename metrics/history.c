/* The ring of the last hour. The health thread feeds it, because that thread wakes each second
 * anyway; a reading takes no collection, because counters and windows need none. */
#include "metrics/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "metrics/metric_set.h"

static const mfi_history_point nothing = {NAN, NAN, NAN, NAN, NAN, NAN};

void mfi_history_init(mfi_history *history)
{
    *history = (mfi_history){.line_count = 0};
    mfi_mutex_init(&history->mutex);
}

void mfi_history_fini(mfi_history *history)
{
    for (size_t i = 0; i < history->line_count; i++) {
        free(history->lines[i]);
    }
    mfi_mutex_fini(&history->mutex);
}

/* ---- Reading ---- */

void mfi_history_count(mfi_history_totals *totals, const char *status, uint64_t n)
{
    totals->calls += n;
    if (strcmp(status, "app_error") == 0) {
        totals->app_errors += n;
    } else if (strcmp(status, "ok") != 0 && strcmp(status, "cancelled") != 0) {
        totals->errors += n;
    }
}

typedef struct reader {
    mfi_history_reading *to;
    mfi_cells cells; /* of all windows */
} reader;

static mfi_history_totals empty_totals(const char *target)
{
    mfi_history_totals totals = {.p50 = NAN, .p95 = NAN, .p99 = NAN};
    (void)mfi_str_copy(totals.target, sizeof totals.target, target);
    return totals;
}

/* NULL if there is no room for one more target. */
static mfi_history_totals *totals_of(mfi_history_reading *reading, const char *target)
{
    mfi_history_totals wanted = empty_totals(target);
    for (size_t i = 1; i < reading->count; i++) {
        if (strcmp(reading->totals[i].target, wanted.target) == 0) {
            return &reading->totals[i];
        }
    }
    if (reading->count == MFI_HISTORY_LINES_MAX) {
        return NULL;
    }
    reading->totals[reading->count] = wanted;
    return &reading->totals[reading->count++];
}

static void take_calls(reader *at, const mfi_series *series, const char *target, const char *status)
{
    uint64_t n = mf_counter_value(&series->as.counter);
    mfi_history_totals *totals = totals_of(at->to, target);
    mfi_history_count(&at->to->totals[0], status, n);
    if (totals != NULL) {
        mfi_history_count(totals, status, n);
    }
}

static void take_quantiles(mfi_history_totals *to, const mfi_cells *cells, const mfi_layout *layout)
{
    mf_distribution summary = MF_DISTRIBUTION_INIT;
    mfi_cells_summarise(cells, layout, &summary);
    to->p50 = summary.p50;
    to->p95 = summary.p95;
    to->p99 = summary.p99;
}

static void take_window(reader *at, const mfi_series *series, const char *target)
{
    const mf_window *window = series->as.window;
    mfi_cells own = {0};
    uint64_t since_start = 0;
    mfi_history_totals *totals = totals_of(at->to, target);
    mfi_window_merge(window, &own, &since_start);
    if (totals != NULL) {
        take_quantiles(totals, &own, window->layout);
    }
    at->cells.count += own.count;
    at->cells.under += own.under;
    at->cells.over += own.over;
    for (size_t i = 0; i < sizeof own.cells / sizeof own.cells[0]; i++) {
        at->cells.cells[i] += own.cells[i];
    }
    take_quantiles(&at->to->totals[0], &at->cells, window->layout);
}

/* Both families begin with the label `target`; the last one of the counter is the status. */
static void take_family(mf_family *family, void *user_data)
{
    reader *at = user_data;
    bool is_calls = strcmp(family->name, "multifrost_client_calls_total") == 0;
    bool is_window = strcmp(family->name, "multifrost_client_call_latency_window_seconds") == 0;
    if (!is_calls && !is_window) {
        return;
    }
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        if (is_window) {
            take_window(at, series, series->values[0]);
        } else {
            take_calls(at, series, series->values[0], series->values[family->label_count - 1]);
        }
    }
    if (family->other_used && is_window) {
        take_window(at, family->other, MF_METRIC_OTHER);
    } else if (family->other_used) { /* how these calls ended is not known */
        take_calls(at, family->other, MF_METRIC_OTHER, "ok");
    }
}

void mfi_history_read(mf_metrics *metrics, mfi_history_reading *ret_reading)
{
    reader at = {.to = ret_reading};
    ret_reading->totals[0] = empty_totals("");
    ret_reading->count = 1;
    mfi_metric_set_show(metrics, take_family, &at);
}

/* ---- The ring ---- */

static mfi_history_line *find_line(const mfi_history *history, const char *target)
{
    for (size_t i = 0; i < history->line_count; i++) {
        if (strcmp(history->lines[i]->last.target, target) == 0) {
            return history->lines[i];
        }
    }
    return NULL;
}

/* NULL without memory, or when all lines are taken. */
static mfi_history_line *make_line(mfi_history *history, const char *target)
{
    mfi_history_line *line =
        history->line_count < MFI_HISTORY_LINES_MAX ? malloc(sizeof *line) : NULL;
    if (line != NULL) {
        line->last = empty_totals(target);
        for (size_t i = 0; i < MFI_HISTORY_POINTS; i++) {
            line->points[i] = nothing;
        }
        history->lines[history->line_count++] = line;
    }
    return line;
}

static float rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (float)((double)(now - before) / seconds) : 0;
}

static void add_point(mfi_history_line *line, const mfi_history_totals *now, uint64_t step,
                      double seconds)
{
    const mfi_history_totals *last = &line->last;
    line->points[step % MFI_HISTORY_POINTS] =
        (mfi_history_point){.calls = rate(now->calls, last->calls, seconds),
                            .errors = rate(now->errors, last->errors, seconds),
                            .app_errors = rate(now->app_errors, last->app_errors, seconds),
                            .p50 = (float)now->p50,
                            .p95 = (float)now->p95,
                            .p99 = (float)now->p99};
}

/* Steps that passed without a reading have no point. */
static void clear_skipped(mfi_history *history, uint64_t step)
{
    uint64_t from = atomic_load(&history->step) + 1;
    from = step - from < MFI_HISTORY_POINTS ? from : step - MFI_HISTORY_POINTS + 1;
    for (uint64_t at = from; at <= step; at++) {
        for (size_t i = 0; i < history->line_count; i++) {
            history->lines[i]->points[at % MFI_HISTORY_POINTS] = nothing;
        }
    }
}

void mfi_history_add(mfi_history *history, const mfi_history_reading *reading, uint64_t now_ns,
                     uint64_t wall_ns)
{
    uint64_t step = now_ns / MFI_HISTORY_STEP_NS;
    mfi_mutex_lock(&history->mutex);
    bool is_first = history->last_ns == 0;
    if (is_first) {
        history->first_step = step + 1;
    } else {
        clear_skipped(history, step);
    }
    for (size_t i = 0; i < reading->count; i++) {
        const mfi_history_totals *now = &reading->totals[i];
        mfi_history_line *line = find_line(history, now->target);
        line = line != NULL ? line : make_line(history, now->target);
        if (line == NULL) {
            continue;
        }
        if (!is_first) {
            add_point(line, now, step, (double)(now_ns - history->last_ns) / 1e9);
        }
        line->last = *now;
    }
    history->last_ns = now_ns;
    history->last_wall_ns = wall_ns;
    atomic_store(&history->step, step);
    mfi_mutex_unlock(&history->mutex);
}

void mfi_history_feed(mfi_history *history, mf_metrics *metrics, uint64_t now_ns, uint64_t wall_ns)
{
    mfi_history_reading reading;
    if (atomic_load(&history->step) == now_ns / MFI_HISTORY_STEP_NS) {
        return;
    }
    mfi_history_read(metrics, &reading);
    mfi_history_add(history, &reading, now_ns, wall_ns);
}

size_t mfi_history_copy(mfi_history *history, const char *target, mfi_history_point *ret_points,
                        uint64_t *ret_end_wall_ns)
{
    mfi_mutex_lock(&history->mutex);
    const mfi_history_line *line = find_line(history, target);
    uint64_t end = atomic_load(&history->step) + 1;
    uint64_t count = history->last_ns != 0 ? end - history->first_step : 0;
    count = count < MFI_HISTORY_POINTS ? count : MFI_HISTORY_POINTS;
    for (uint64_t i = 0; i < count; i++) {
        ret_points[i] =
            line != NULL ? line->points[(end - count + i) % MFI_HISTORY_POINTS] : nothing;
    }
    *ret_end_wall_ns = history->last_wall_ns;
    mfi_mutex_unlock(&history->mutex);
    return (size_t)count;
}
