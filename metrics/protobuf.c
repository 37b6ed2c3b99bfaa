/* Writes the families of a set as protobuf messages, which Prometheus asks for where it stores
 * native histograms. The structs of a message stand in one piece of memory, so a scrape with a
 * thousand histograms allocates no more than one with a single histogram. */
#include "metrics/protobuf.h"

#if MFI_HAS_PROTOBUF

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "metrics.pb-c.h"
#include "metrics/exemplars.h"

#define SCHEMA 5                         /* 2^5 buckets for each octave, as our cells */
#define BUCKETS_MAX (MFI_BOUNDS_MAX + 1) /* with that of +Inf */
#define NATIVE_MAX (MFI_CELLS_MAX + 1)   /* with that of values above the range */
#define GAP_MAX 2                        /* empty buckets within a span; more end it */
#define SPANS_MAX (NATIVE_MAX / (GAP_MAX + 2) + 1)
#define QUANTILES 5
#define LENGTH_MAX 10 /* bytes of a varint */

/* A bucket's exemplar with the structs that its message is made of. */
typedef struct exemplar {
    mfi_exemplar kept;
    MfiPb__Exemplar message;
    MfiPb__Label labels[2];
    MfiPb__Label *label_places[2];
    MfiPb__Time time;
} exemplar;

struct mfi_protobuf {
    mfi_buf family, help; /* of the present family */
    MfiPb__Label labels[MF_METRIC_LABELS_MAX];
    MfiPb__Label *label_places[MF_METRIC_LABELS_MAX];
    MfiPb__Time created;
    /* Of the present histogram. */
    mfi_cells cells;
    MfiPb__Bucket buckets[BUCKETS_MAX];
    MfiPb__Bucket *bucket_places[BUCKETS_MAX];
    exemplar exemplars[BUCKETS_MAX];
    MfiPb__Span spans[SPANS_MAX];
    MfiPb__Span *span_places[SPANS_MAX];
    int64_t deltas[NATIVE_MAX];
    /* Of the present summary. */
    MfiPb__Quantile quantiles[QUANTILES];
    MfiPb__Quantile *quantile_places[QUANTILES];
};

bool mfi_protobuf_is_built(void)
{
    return true;
}

mfi_protobuf *mfi_protobuf_begin(void)
{
    mfi_protobuf *protobuf = calloc(1, sizeof *protobuf);
    if (protobuf != NULL) {
        mfi_buf_init(&protobuf->family, 0);
        mfi_buf_init(&protobuf->help, 0);
    }
    return protobuf;
}

void mfi_protobuf_end(mfi_protobuf *protobuf)
{
    if (protobuf != NULL) {
        mfi_buf_fini(&protobuf->family);
        mfi_buf_fini(&protobuf->help);
        free(protobuf);
    }
}

/* ---- Parts of a metric ---- */

static MfiPb__Time time_of(uint64_t wall_ns)
{
    MfiPb__Time time = MFI_PB__TIME__INIT;
    time.has_seconds = true;
    time.seconds = (int64_t)(wall_ns / MFI_NS_PER_S);
    time.has_nanos = true;
    time.nanos = (int32_t)(wall_ns % MFI_NS_PER_S);
    return time;
}

static MfiPb__Label label_of(char *name, char *value)
{
    MfiPb__Label label = MFI_PB__LABEL__INIT;
    label.name = name;
    label.value = value;
    return label;
}

static MfiPb__Exemplar *read_exemplar(exemplar *to, const mf_histogram *histogram, size_t bucket)
{
    static char trace_id[] = "trace_id";
    static char span_id[] = "span_id";
    if (!mfi_exemplar_read(histogram, bucket, &to->kept)) {
        return NULL;
    }
    to->labels[0] = label_of(trace_id, to->kept.trace_id);
    to->labels[1] = label_of(span_id, to->kept.span_id);
    to->label_places[0] = &to->labels[0];
    to->label_places[1] = &to->labels[1];
    to->time = time_of(to->kept.wall_ns);
    to->message = (MfiPb__Exemplar)MFI_PB__EXEMPLAR__INIT;
    to->message.n_label = 2;
    to->message.label = to->label_places;
    to->message.has_value = true;
    to->message.value = to->kept.value;
    to->message.timestamp = &to->time;
    return &to->message;
}

static void add_classic(mfi_protobuf *at, const mf_histogram *histogram, MfiPb__Histogram *message)
{
    const mfi_layout *layout = histogram->layout;
    mfi_buckets buckets;
    mfi_cells_buckets(&at->cells, layout, &buckets);
    for (size_t i = 0; i <= layout->bound_count; i++) {
        bool is_last = i == layout->bound_count;
        MfiPb__Bucket *bucket = at->bucket_places[i] = &at->buckets[i];
        *bucket = (MfiPb__Bucket)MFI_PB__BUCKET__INIT;
        bucket->has_cumulative_count = true;
        bucket->cumulative_count = is_last ? buckets.count : buckets.counts[i];
        bucket->has_upper_bound = true;
        bucket->upper_bound = is_last ? (double)INFINITY : mfi_layout_classic_bound(layout, i);
        bucket->exemplar = read_exemplar(&at->exemplars[i], histogram, i);
    }
    message->n_bucket = layout->bound_count + 1;
    message->bucket = at->bucket_places;
}

/* Appends a native bucket; index counts from the first cell. */
static void add_native_bucket(mfi_protobuf *at, MfiPb__Histogram *message, int32_t offset,
                              uint64_t count, uint64_t before)
{
    if (message->n_positive_span == 0 || offset != 0) {
        MfiPb__Span *span = &at->spans[message->n_positive_span];
        *span = (MfiPb__Span)MFI_PB__SPAN__INIT;
        span->has_offset = true;
        span->offset = offset;
        span->has_length = true;
        at->span_places[message->n_positive_span++] = span;
    }
    at->spans[message->n_positive_span - 1].length++;
    at->deltas[message->n_positive_delta++] = (int64_t)(count - before);
}

/* Values above the range count in the bucket just above it, so that a quantile is its end there. */
static void add_native(mfi_protobuf *at, const mfi_layout *layout, MfiPb__Histogram *message)
{
    /* Bucket i of schema 5 ends at 2^(i / 32); our cell 0 ends a 32nd above the lowest bound. */
    const int first = layout->lowest_exponent * MFI_CELLS_PER_OCTAVE + 1;
    int behind = 0; /* the cell behind the last one that was added */
    uint64_t before = 0;
    for (int i = 0; i <= layout->cells; i++) {
        uint64_t count = i < layout->cells ? at->cells.cells[i] : at->cells.over;
        bool is_first = message->n_positive_span == 0;
        if (count == 0) {
            continue;
        }
        for (; !is_first && i - behind <= GAP_MAX && behind < i; behind++, before = 0) {
            add_native_bucket(at, message, 0, 0, before);
        }
        add_native_bucket(at, message, is_first ? first + i : i - behind, count, before);
        behind = i + 1;
        before = count;
    }
    message->positive_span = at->span_places;
    message->positive_delta = at->deltas;
    message->has_schema = true;
    message->schema = SCHEMA;
    message->has_zero_threshold = true;
    message->zero_threshold = exp2(layout->lowest_exponent);
    message->has_zero_count = true;
    message->zero_count = at->cells.under;
}

static MfiPb__Histogram histogram_of(mfi_protobuf *at, const mf_histogram *histogram)
{
    MfiPb__Histogram message = MFI_PB__HISTOGRAM__INIT;
    at->cells = (mfi_cells){.count = 0};
    mfi_histogram_merge(histogram, &at->cells);
    message.has_count = true;
    message.count = at->cells.count;
    message.has_sum = true;
    message.sum = at->cells.sum;
    add_classic(at, histogram, &message);
    if (!histogram->layout->is_linear) { /* native buckets are exponential */
        add_native(at, histogram->layout, &message);
    }
    message.created = &at->created;
    return message;
}

static MfiPb__Summary summary_of(mfi_protobuf *at, const mf_window *window)
{
    static const double quantiles[QUANTILES] = {0.5, 0.9, 0.95, 0.99, 0.999};
    MfiPb__Summary message = MFI_PB__SUMMARY__INIT;
    mf_distribution total = MF_DISTRIBUTION_INIT;
    at->cells = (mfi_cells){.count = 0};
    message.has_count = true;
    mfi_window_merge(window, &at->cells, &message.count);
    mfi_cells_summarise(&at->cells, window->layout, &total);
    message.has_sum = true;
    message.sum = total.sum;
    const double values[QUANTILES] = {total.p50, total.p90, total.p95, total.p99, total.p999};
    for (size_t i = 0; i < QUANTILES; i++) {
        MfiPb__Quantile *quantile = at->quantile_places[i] = &at->quantiles[i];
        *quantile = (MfiPb__Quantile)MFI_PB__QUANTILE__INIT;
        quantile->has_quantile = true;
        quantile->quantile = quantiles[i];
        quantile->has_value = true;
        quantile->value = values[i];
    }
    message.n_quantile = QUANTILES;
    message.quantile = at->quantile_places;
    message.created = &at->created;
    return message;
}

/* ---- Families ---- */

/* A message that was cut in two and written one half behind the other is the same message. So a
 * family is written as its head and then metric by metric. */
static void pack(mfi_protobuf *at, const MfiPb__MetricFamily *part)
{
    size_t size = mfi_pb__metric_family__get_packed_size(part);
    uint8_t *room = mfi_buf_reserve(&at->family, size);
    if (room != NULL) {
        at->family.size += mfi_pb__metric_family__pack(part, room);
    }
}

static void pack_head(mfi_protobuf *at, const mf_family *family)
{
    static const MfiPb__Kind kinds[] = {[MF_METRIC_COUNTER] = MFI_PB__KIND__COUNTER,
                                        [MF_METRIC_GAUGE] = MFI_PB__KIND__GAUGE,
                                        [MF_METRIC_HISTOGRAM] = MFI_PB__KIND__HISTOGRAM,
                                        [MF_METRIC_WINDOW] = MFI_PB__KIND__SUMMARY,
                                        [MF_METRIC_INFO] = MFI_PB__KIND__GAUGE};
    MfiPb__MetricFamily head = MFI_PB__METRIC_FAMILY__INIT;
    mfi_buf_clear(&at->help);
    mfi_utf8_append_clean(&at->help, family->help, strlen(family->help));
    mfi_buf_append_byte(&at->help, 0);
    if (at->help.failed) {
        at->family.failed = true;
        return;
    }
    head.name = family->name;
    head.help = (char *)at->help.data;
    head.has_type = true;
    head.type = kinds[family->type];
    head.unit = family->unit != NULL && family->unit[0] != '\0' ? family->unit : NULL;
    pack(at, &head);
}

static void pack_metric(mfi_protobuf *at, MfiPb__Metric *metric)
{
    MfiPb__MetricFamily part = MFI_PB__METRIC_FAMILY__INIT;
    part.n_metric = 1;
    part.metric = &metric;
    pack(at, &part);
}

static void pack_value(mfi_protobuf *at, MfiPb__Metric *metric, const mf_family *family,
                       const mfi_series *series)
{
    MfiPb__Counter counter = MFI_PB__COUNTER__INIT;
    MfiPb__Gauge gauge = MFI_PB__GAUGE__INIT;
    if (family->type == MF_METRIC_COUNTER) {
        counter.has_value = true;
        counter.value = (double)mf_counter_value(&series->as.counter) * family->counter_factor;
        counter.created = &at->created;
        metric->counter = &counter;
    } else {
        gauge.has_value = true;
        gauge.value = family->type == MF_METRIC_INFO ? 1 : mf_gauge_value(&series->as.gauge);
        metric->gauge = &gauge;
    }
    pack_metric(at, metric);
}

static void pack_series(mfi_protobuf *at, const mf_family *family, const mfi_series *series)
{
    MfiPb__Metric metric = MFI_PB__METRIC__INIT;
    for (size_t i = 0; i < family->label_count; i++) {
        if (series->values[i][0] != '\0') { /* as labels.c does */
            at->labels[metric.n_label] = label_of(family->label_names[i], series->values[i]);
            at->label_places[metric.n_label] = &at->labels[metric.n_label];
            metric.n_label++;
        }
    }
    metric.label = at->label_places;
    at->created = time_of(series->created_ns);
    if (family->type == MF_METRIC_HISTOGRAM) {
        MfiPb__Histogram histogram = histogram_of(at, series->as.histogram);
        metric.histogram = &histogram;
        pack_metric(at, &metric);
    } else if (family->type == MF_METRIC_WINDOW) {
        MfiPb__Summary summary = summary_of(at, series->as.window);
        metric.summary = &summary;
        pack_metric(at, &metric);
    } else {
        pack_value(at, &metric, family, series);
    }
}

static void append_length(mfi_buf *to, size_t length)
{
    uint8_t bytes[LENGTH_MAX];
    size_t count = 0;
    for (; length >= 0x80; length >>= 7) {
        bytes[count++] = (uint8_t)(length | 0x80);
    }
    bytes[count++] = (uint8_t)length;
    mfi_buf_append(to, bytes, count);
}

void mfi_protobuf_append(mfi_protobuf *protobuf, const mf_family *family, mfi_buf *to)
{
    mfi_buf_clear(&protobuf->family);
    pack_head(protobuf, family);
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        pack_series(protobuf, family, series);
    }
    if (family->other_used) {
        pack_series(protobuf, family, family->other);
    }
    append_length(to, protobuf->family.size);
    mfi_buf_append(to, protobuf->family.data, protobuf->family.size);
    to->failed |= protobuf->family.failed;
}

#else

bool mfi_protobuf_is_built(void)
{
    return false;
}

mfi_protobuf *mfi_protobuf_begin(void)
{
    return NULL;
}

void mfi_protobuf_end(mfi_protobuf *protobuf)
{
    (void)protobuf;
}

void mfi_protobuf_append(mfi_protobuf *protobuf, const mf_family *family, mfi_buf *to)
{
    (void)protobuf;
    (void)family;
    to->failed = true;
}

#endif
