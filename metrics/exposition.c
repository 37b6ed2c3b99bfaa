/* Writes the samples of a set as Prometheus text 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats) or as OpenMetrics 1.0
 * (github.com/OpenObservability/OpenMetrics), with the same `le` and `quantile` texts. protobuf.c
 * writes the third format. */
#include "metrics/exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/str.h"
#include "metrics/exemplars.h"
#include "metrics/labels.h"
#include "metrics/metric_set.h"
#include "metrics/protobuf.h"

#define BODY_MAX ((size_t)256 * 1024 * 1024) /* bytes of a text at most */

typedef struct body {
    mfi_buf text;
    bool openmetrics;
    mfi_protobuf *protobuf;   /* NULL: text */
    const char *const *names; /* as in mfi_exposition */
} body;

/* One label more than the family has. */
typedef struct extra {
    const char *name, *value; /* NULL: none */
} extra;

static void append(body *to, const char *text)
{
    mfi_buf_append_str(&to->text, text);
}

static char *put(char *to, const char *text, size_t size)
{
    memcpy(to, text, size);
    return to + size;
}

/* Writes a line up to its number. The caller has reserved ROOM bytes beside name and labels. */
#define ROOM 256 /* bytes: more than suffix, extra label, number and exemplar take */
static char *put_sample(char *to, const mf_family *family, const char *suffix,
                        const mfi_series *series, extra more)
{
    to = put(to, family->name, family->name_size);
    to = put(to, suffix, strlen(suffix));
    if (series->labels_size > 0 || more.name != NULL) {
        *to++ = '{';
        if (series->labels_size > 0) {
            to = put(to, series->labels, series->labels_size);
        }
        if (more.name != NULL) {
            to = put(to, ",", series->labels_size > 0);
            to = put(to, more.name, strlen(more.name));
            to = put(to, "=\"", 2);
            to = put(to, more.value, strlen(more.value));
            *to++ = '"';
        }
        *to++ = '}';
    }
    *to++ = ' ';
    return to;
}

static char *room_for_line(body *to, const mf_family *family, const mfi_series *series)
{
    return (char *)mfi_buf_reserve(&to->text, family->name_size + series->labels_size + ROOM);
}

static void end_line(body *to, char *end)
{
    *end++ = '\n';
    to->text.size = (size_t)((uint8_t *)end - to->text.data);
}

static void append_line(body *to, const mf_family *family, const char *suffix,
                        const mfi_series *series, extra more, double number)
{
    char *at = room_for_line(to, family, series);
    if (at != NULL) {
        at = put_sample(at, family, suffix, series, more);
        end_line(to, at + mfi_format_double(at, 48, number, false));
    }
}

static void append_count(body *to, const mf_family *family, const char *suffix,
                         const mfi_series *series, extra more, uint64_t count)
{
    char *at = room_for_line(to, family, series);
    if (at != NULL) {
        at = put_sample(at, family, suffix, series, more);
        end_line(to, mfi_str_put_u64(at, count));
    }
}

/* The count of a bucket, in OpenMetrics with its exemplar. */
static void append_bucket(body *to, const mf_family *family, const mfi_series *series,
                          size_t bucket, const char *le, uint64_t count)
{
    mfi_exemplar found;
    char *at = room_for_line(to, family, series);
    if (at == NULL) {
        return;
    }
    at = put_sample(at, family, "_bucket", series, (extra){"le", le});
    at = mfi_str_put_u64(at, count);
    if (to->openmetrics && mfi_exemplar_read(series->as.histogram, bucket, &found)) {
        at += mfi_str_format(at, ROOM / 2, " # {trace_id=\"%s\",span_id=\"%s\"} ", found.trace_id,
                             found.span_id);
        at += mfi_format_double(at, 48, found.value, false);
        *at++ = ' ';
        at = mfi_str_put_u64(at, found.wall_ns / MFI_NS_PER_S);
        *at++ = '.';
        at = mfi_str_put_padded(at, found.wall_ns % MFI_NS_PER_S / MFI_NS_PER_MS, 3);
    }
    end_line(to, at);
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

/* In OpenMetrics the heads of counters and infos have no suffix. */
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
    mfi_append_escaped(&to->text, family->help, to->openmetrics);
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
    mfi_buckets buckets;
    mfi_histogram_buckets(series->as.histogram, &buckets);
    for (size_t i = 0; i < layout->bound_count; i++) {
        append_bucket(to, family, series, i, layout->bound_texts[i], buckets.counts[i]);
    }
    /* The count belongs to the same reading as the buckets, so that both agree. */
    append_bucket(to, family, series, layout->bound_count, "+Inf", buckets.count);
    append_line(to, family, "_sum", series, (extra){0}, buckets.sum);
    append_count(to, family, "_count", series, (extra){0}, buckets.count);
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

static bool is_wanted(const body *to, const mf_family *family)
{
    bool found = to->names == NULL;
    for (const char *const *name = to->names; !found && *name != NULL; name++) {
        found = strcmp(*name, family->name) == 0;
    }
    return found && (family->series != NULL || family->other_used);
}

static void append_family(mf_family *family, void *user_data)
{
    body *to = user_data;
    if (!is_wanted(to, family)) {
        return;
    }
    if (to->protobuf != NULL) {
        mfi_protobuf_append(to->protobuf, family, &to->text);
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

bool mfi_exposition_has(mf_metrics_format format)
{
    return format != MF_METRICS_PROTOBUF || mfi_protobuf_is_built();
}

/* Writes what is wanted, and a zero byte behind it. */
static void write_body(body *to, mf_metrics *metrics, bool is_partial)
{
    if (is_partial) {
        mfi_metric_set_show(metrics, append_family, to);
    } else {
        mfi_metric_set_visit(metrics, append_family, to);
    }
    if (to->openmetrics) {
        append(to, "# EOF\n");
    }
    mfi_buf_append_byte(&to->text, 0);
}

mf_status mfi_exposition_render(mf_metrics *metrics, const mfi_exposition *how, char **ret_body,
                                size_t *ret_length, bool *ret_is_partial, mf_error *error)
{
    bool is_partial = how->in_haste && mfi_metric_set_was_visited(metrics);
    bool is_protobuf = how->format == MF_METRICS_PROTOBUF;
    if (!mfi_exposition_has(how->format)) {
        return mfi_fail(error, MF_ERR_UNSUPPORTED, "this build has no protobuf");
    }
    body to = {.openmetrics = how->format == MF_METRICS_OPENMETRICS, .names = how->names};
    mfi_buf_init(&to.text, BODY_MAX);
    to.protobuf = is_protobuf ? mfi_protobuf_begin() : NULL;
    to.text.failed = is_protobuf && to.protobuf == NULL;
    if (!to.text.failed) {
        write_body(&to, metrics, is_partial);
    }
    mfi_protobuf_end(to.protobuf);
    if (to.text.failed) {
        mfi_buf_fini(&to.text);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the metrics");
    }
    size_t size = 0;
    *ret_body = (char *)mfi_buf_take(&to.text, &size);
    *ret_length = size - 1;
    *ret_is_partial = is_partial;
    return MF_OK;
}

mf_status mf_metrics_render(mf_metrics *metrics, mf_metrics_format format, char **ret_text,
                            size_t *ret_length, mf_error *error)
{
    if (metrics == NULL || ret_text == NULL || ret_length == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "metrics, ret_text and ret_length must not be NULL");
    }
    bool is_partial = false;
    return mfi_exposition_render(metrics, &(mfi_exposition){.format = format}, ret_text, ret_length,
                                 &is_partial, error);
}
