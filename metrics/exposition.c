/* Prometheus text 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) and OpenMetrics 1.0
 * (github.com/OpenObservability/OpenMetrics). Both say the same, with the same `le` and `quantile`
 * texts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "metrics/metric_registry.h"

#define BODY_MAX ((size_t)256 * 1024 * 1024)

typedef struct body {
    mfi_buf text;
    bool openmetrics;
} body;

/* One more label behind the family's own. */
typedef struct extra {
    const char *name, *value; /* NULL: none */
} extra;

static void append(body *to, const char *text)
{
    mfi_buf_append_str(&to->text, text);
}

static void append_escaped(body *to, const char *text, bool quotes)
{
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    const char *from = text;
    size_t size = strlen(text);
    if (!mfi_utf8_valid(text, size)) {
        mfi_utf8_append_clean(&clean, text, size);
        from = (const char *)clean.data;
        size = clean.size;
    }
    for (size_t i = 0; i < size; i++) {
        if (from[i] == '\\') {
            append(to, "\\\\");
        } else if (from[i] == '\n') {
            append(to, "\\n");
        } else if (from[i] == '"' && quotes) {
            append(to, "\\\"");
        } else {
            mfi_buf_append_byte(&to->text, (uint8_t)from[i]);
        }
    }
    mfi_buf_fini(&clean);
}

static void append_labels(body *to, const mf_family *family, const mfi_series *series, extra more)
{
    bool any = family->label_count > 0 || more.name != NULL;
    if (!any) {
        return;
    }
    append(to, "{");
    for (size_t i = 0; i < family->label_count; i++) {
        append(to, i > 0 ? "," : "");
        append(to, family->label_names[i]);
        append(to, "=\"");
        append_escaped(to, series->values[i], true);
        append(to, "\"");
    }
    if (more.name != NULL) {
        append(to, family->label_count > 0 ? "," : "");
        append(to, more.name);
        append(to, "=\"");
        append(to, more.value);
        append(to, "\"");
    }
    append(to, "}");
}

static void append_number(body *to, double number)
{
    char text[48];
    (void)mfi_format_double(text, sizeof text, number, false);
    append(to, text);
}

static void append_line(body *to, const mf_family *family, const char *suffix,
                        const mfi_series *series, extra more, double number)
{
    append(to, family->name);
    append(to, suffix);
    append_labels(to, family, series, more);
    append(to, " ");
    append_number(to, number);
    append(to, "\n");
}

static void append_count(body *to, const mf_family *family, const char *suffix,
                         const mfi_series *series, extra more, uint64_t count)
{
    char text[24];
    append(to, family->name);
    append(to, suffix);
    append_labels(to, family, series, more);
    (void)snprintf(text, sizeof text, " %llu\n", (unsigned long long)count);
    append(to, text);
}

/* ---- Heads ---- */

static const char *type_word(const body *to, mf_metric_type type)
{
    switch (type) {
    case MF_METRIC_COUNTER:
        return "counter";
    case MF_METRIC_HISTOGRAM:
        return "histogram";
    case MF_METRIC_WINDOW:
        return "summary";
    case MF_METRIC_INFO:
        return to->openmetrics ? "info" : "gauge";
    case MF_METRIC_GAUGE:
        break;
    }
    return "gauge";
}

/* OpenMetrics names counters and infos without their suffix. */
static size_t head_length(const body *to, const mf_family *family)
{
    size_t length = strlen(family->name);
    if (to->openmetrics && family->type == MF_METRIC_COUNTER) {
        return length - strlen("_total");
    }
    if (to->openmetrics && family->type == MF_METRIC_INFO) {
        return length - strlen("_info");
    }
    return length;
}

static void append_head(body *to, const mf_family *family)
{
    size_t length = head_length(to, family);
    append(to, "# HELP ");
    mfi_buf_append(&to->text, family->name, length);
    append(to, " ");
    append_escaped(to, family->help, to->openmetrics);
    append(to, "\n# TYPE ");
    mfi_buf_append(&to->text, family->name, length);
    append(to, " ");
    append(to, type_word(to, family->type));
    append(to, "\n");
    if (to->openmetrics && family->unit != NULL && family->unit[0] != '\0') {
        append(to, "# UNIT ");
        mfi_buf_append(&to->text, family->name, length);
        append(to, " ");
        append(to, family->unit);
        append(to, "\n");
    }
}

/* ---- Series ---- */

static void append_histogram(body *to, const mf_family *family, const mfi_series *series)
{
    const mfi_layout *layout = family->layout;
    uint64_t counts[MFI_BOUNDS_MAX];
    mfi_cells cells = {0};
    mfi_histogram_merge(series->as.histogram, &cells);
    mfi_cells_cumulate(&cells, layout, counts);
    for (size_t i = 0; i < layout->bound_count; i++) {
        char bound[48];
        (void)mfi_format_double(bound, sizeof bound,
                                exp2(layout->bound_first + (int)i * layout->bound_step), true);
        append_count(to, family, "_bucket", series, (extra){"le", bound}, counts[i]);
    }
    /* The count is that of the same reading, so that the two never disagree. */
    append_count(to, family, "_bucket", series, (extra){"le", "+Inf"}, cells.count);
    append_line(to, family, "_sum", series, (extra){0}, cells.sum);
    append_count(to, family, "_count", series, (extra){0}, cells.count);
}

static void append_window(body *to, const mf_family *family, const mfi_series *series)
{
    static const char *const texts[] = {"0.5", "0.9", "0.95", "0.99", "0.999"};
    mfi_cells cells = {0};
    mf_distribution total = MF_DISTRIBUTION_INIT;
    uint64_t count = 0;
    mfi_window_merge(series->as.window, &cells, &count);
    mfi_cells_summarise(&cells, series->as.window->layout, &total);
    const double values[] = {total.p50, total.p90, total.p95, total.p99, total.p999};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        append_line(to, family, "", series, (extra){"quantile", texts[i]}, values[i]);
    }
    append_line(to, family, "_sum", series, (extra){0}, total.sum);
    append_count(to, family, "_count", series, (extra){0}, count);
}

static void append_series(body *to, const mf_family *family, const mfi_series *series)
{
    switch (family->type) {
    case MF_METRIC_COUNTER:
        append_line(to, family, "", series, (extra){0},
                    (double)mf_counter_value(&series->as.counter) * family->counter_factor);
        break;
    case MF_METRIC_GAUGE:
        append_line(to, family, "", series, (extra){0}, mf_gauge_value(&series->as.gauge));
        break;
    case MF_METRIC_HISTOGRAM:
        append_histogram(to, family, series);
        break;
    case MF_METRIC_WINDOW:
        append_window(to, family, series);
        break;
    case MF_METRIC_INFO:
        append_line(to, family, "", series, (extra){0}, 1);
        break;
    }
}

static void append_family(mf_family *family, void *user_data)
{
    body *to = user_data;
    if (family->series == NULL && !family->other_used) {
        return;
    }
    append_head(to, family);
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        append_series(to, family, series);
    }
    if (family->other_used) {
        append_series(to, family, family->other);
    }
}

mf_status mf_metrics_render(mf_metrics *metrics, mf_metrics_format format, char **ret_text,
                            size_t *ret_length, mf_error *error)
{
    if (metrics == NULL || ret_text == NULL || ret_length == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "metrics, ret_text and ret_length must not be NULL");
    }
    body to = {.openmetrics = format == MF_METRICS_OPENMETRICS};
    mfi_buf_init(&to.text, BODY_MAX);
    mfi_metrics_visit(metrics, append_family, &to);
    if (to.openmetrics) {
        append(&to, "# EOF\n");
    }
    mfi_buf_append_byte(&to.text, 0);
    if (to.text.failed) {
        mfi_buf_fini(&to.text);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the metrics");
    }
    size_t size = 0;
    *ret_text = (char *)mfi_buf_take(&to.text, &size);
    *ret_length = size - 1;
    return MF_OK;
}
