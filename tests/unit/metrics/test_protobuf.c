/* The protobuf body, read back by a decoder that knows nothing of the schema, so that field numbers
 * and types are tested too. */
#include "metrics/protobuf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metric_support.h"
#include "metrics/exemplars.h"
#include "metrics/exposition.h"
#include "mf_alloc.h"
#include "protobuf_support.h"

static bool begin_or_skip(void)
{
    if (mfi_protobuf_is_built()) {
        return true;
    }
    char *body = NULL;
    size_t length = 0;
    mf_error error = MF_ERROR_INIT;
    mf_metrics *metrics = make_set();
    mf_check(!mfi_exposition_has(MF_METRICS_PROTOBUF));
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROTOBUF, &body, &length, &error),
                 MF_ERR_UNSUPPORTED);
    mf_check_str(error.message, "this build has no protobuf");
    mf_check(body == NULL);
    mf_metrics_destroy(metrics);
    return false;
}

static bytes render(mf_metrics *metrics, char **ret_body)
{
    size_t length = 0;
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROTOBUF, ret_body, &length, NULL), MF_OK);
    return (bytes){(uint8_t *)*ret_body, (uint8_t *)*ret_body + length};
}

static mf_family *add(mf_metrics *metrics, mf_metric_options options)
{
    mf_family *family = NULL;
    options.struct_size = sizeof options;
    mf_check_int(mf_metrics_add(metrics, &options, &family, NULL), MF_OK);
    return family;
}

static mf_histogram *add_histogram(mf_metrics *metrics, mf_metric_scale scale)
{
    return mf_family_histogram(add(metrics, (mf_metric_options){.type = MF_METRIC_HISTOGRAM,
                                                                .name = "a",
                                                                .help = "a test",
                                                                .scale = scale}),
                               NULL);
}

/* ---- Families and plain values ---- */

static void test_counter(void)
{
    static const char *const labels[] = {"who", "why"};
    if (!begin_or_skip()) {
        return;
    }
    uint64_t before = mfi_wall_ns() / MFI_NS_PER_S;
    mf_metrics *metrics = make_set();
    mf_family *family = add(metrics, (mf_metric_options){.type = MF_METRIC_COUNTER,
                                                         .name = "busy_seconds_total",
                                                         .help = "a \"b\"\n\xff",
                                                         .unit = "seconds",
                                                         .label_names = labels,
                                                         .label_count = 2,
                                                         .counter_factor = 1e-9});
    mf_counter_add(mf_family_counter(family, (const char *const[]){"x\"\n", ""}), 1500000000);
    char *body = NULL;
    bytes message = find_family(render(metrics, &body), "busy_seconds_total");
    check_text(message, 2, "a \"b\"\n\xef\xbf\xbd");
    check_text(message, 5, "seconds");
    mf_check_int((int)find_varint(message, 3), 0);
    mf_check_int((int)count_of(message, 4), 1);
    bytes metric = find(message, 4, 2).value;
    mf_check_int((int)count_of(metric, 1), 1); /* an empty value is left out */
    check_text(find(metric, 1, 2).value, 1, "who");
    check_text(find(metric, 1, 2).value, 2, "x\"\n");
    bytes counter = find(metric, 3, 2).value;
    mf_check(find_double(counter, 1) == 1.5);
    uint64_t created = find_varint(find(counter, 3, 2).value, 1);
    mf_check(created >= before && created <= mfi_wall_ns() / MFI_NS_PER_S);
    free(body);
    mf_metrics_destroy(metrics);
}

static void test_gauge_info_summary(void)
{
    if (!begin_or_skip()) {
        return;
    }
    mf_metrics *metrics = make_set();
    mf_family *gauge = add_family(metrics, MF_METRIC_GAUGE, "level", NULL, 0, 0);
    mf_family *info = add_family(metrics, MF_METRIC_INFO, "room_info", NULL, 0, 0);
    mf_family *window = add_family(metrics, MF_METRIC_WINDOW, "now_seconds", NULL, 0, 0);
    mf_gauge_set(mf_family_gauge(gauge, NULL), -0.1);
    mf_family_info(info, NULL);
    mf_window_record_ns(mf_family_window(window, NULL), 500 * MFI_NS_PER_S);
    char *body = NULL;
    bytes all = render(metrics, &body);
    bytes message = find_family(all, "level");
    mf_check_int((int)find_varint(message, 3), 1);
    mf_check(find_double(find(find(message, 4, 2).value, 2, 2).value, 1) == -0.1);
    message = find_family(all, "room_info");
    mf_check_int((int)find_varint(message, 3), 1);
    mf_check(find_double(find(find(message, 4, 2).value, 2, 2).value, 1) == 1);
    message = find_family(all, "now_seconds");
    mf_check_int((int)find_varint(message, 3), 2);
    bytes summary = find(find(message, 4, 2).value, 4, 2).value;
    mf_check(find_varint(summary, 1) == 1 && find_double(summary, 2) == 500);
    mf_check_int((int)count_of(summary, 3), 5);
    bytes quantile = find(summary, 3, 2).value;
    mf_check(find_double(quantile, 1) == 0.5 && find_double(quantile, 2) == 128);
    (void)find(summary, 4, 2);
    free(body);
    mf_metrics_destroy(metrics);
}

/* ---- Histograms ---- */

typedef struct native {
    uint64_t zero, count;
    double zero_threshold;
    int indexes[MFI_CELLS_MAX + 1];
    uint64_t counts[MFI_CELLS_MAX + 1];
    size_t size; /* buckets, with the empty ones within spans */
    size_t spans;
} native;

static bytes histogram_of(bytes body)
{
    return find(find(find_family(body, "a"), 4, 2).value, 7, 2).value;
}

static void read_native(bytes histogram, native *ret)
{
    field span, delta;
    int index = 0;
    int64_t count = 0;
    *ret = (native){.zero = find_varint(histogram, 7),
                    .count = find_varint(histogram, 1),
                    .zero_threshold = find_double(histogram, 6)};
    mf_check_int((int)zigzag(find_varint(histogram, 5)), 5);
    for (; find_nth(histogram, 12, ret->spans, &span); ret->spans++) {
        index += (int)zigzag(find_varint(span.value, 1));
        for (uint64_t n = find_varint(span.value, 2); n > 0; n--) {
            mf_check(find_nth(histogram, 13, ret->size, &delta));
            count += zigzag(delta.number_value);
            ret->indexes[ret->size] = index++;
            ret->counts[ret->size++] = (uint64_t)count;
        }
    }
    mf_check(!find_nth(histogram, 13, ret->size, &delta));
}

static void check_sum(const native *from)
{
    uint64_t sum = from->zero;
    for (size_t i = 0; i < from->size; i++) {
        sum += from->counts[i];
    }
    mf_check(sum == from->count);
}

/* The buckets of native histograms end at 2^(index / 32), inclusive. */
static void test_native_bounds(void)
{
    static native found;
    if (!begin_or_skip()) {
        return;
    }
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, MF_SCALE_DURATION);
    mf_histogram_record(histogram, 1);              /* index 0 */
    mf_histogram_record(histogram, 1.0001);         /* 1 */
    mf_histogram_record(histogram, exp2(4.0 / 32)); /* 4: a gap of two is filled */
    mf_histogram_record(histogram, exp2(4.0 / 32));
    mf_histogram_record(histogram, 2);         /* 32: a span of its own */
    mf_histogram_record(histogram, 0.5);       /* -32 */
    mf_histogram_record(histogram, 0);         /* zero bucket */
    mf_histogram_record(histogram, exp2(-20)); /* zero bucket */
    mf_histogram_record(histogram, 128);       /* 224, the last cell */
    mf_histogram_record(histogram, 1e6);       /* 225, just above the range */
    char *body = NULL;
    read_native(histogram_of(render(metrics, &body)), &found);
    static const struct {
        int index;
        uint64_t count;
    } wanted[] = {{-32, 1}, {0, 1}, {1, 1}, {2, 0}, {3, 0}, {4, 2}, {32, 1}, {224, 1}, {225, 1}};
    mf_check_int((int)found.size, sizeof wanted / sizeof wanted[0]);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        mf_check_int(found.indexes[i], wanted[i].index);
        mf_check(found.counts[i] == wanted[i].count);
    }
    mf_check_int((int)found.spans, 4);
    mf_check(found.zero == 2 && found.count == 10 && found.zero_threshold == exp2(-20));
    check_sum(&found);
    free(body);
    mf_metrics_destroy(metrics);
}

static void test_empty_histogram(void)
{
    static native found;
    if (!begin_or_skip()) {
        return;
    }
    mf_metrics *metrics = make_set();
    (void)add_histogram(metrics, MF_SCALE_SIZE);
    char *body = NULL;
    bytes histogram = histogram_of(render(metrics, &body));
    read_native(histogram, &found);
    /* The threshold alone tells Prometheus that the histogram is a native one. */
    mf_check(found.size == 0 && found.count == 0 && found.zero == 0 && found.zero_threshold == 1);
    mf_check_int((int)count_of(histogram, 3), 11);
    free(body);
    mf_metrics_destroy(metrics);
}

/* The classic buckets are those of the text, and the native ones add up to them. */
static void check_views(mf_metric_scale scale, double (*value)(void))
{
    static native found;
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, scale);
    mfi_buckets text;
    for (int i = 0; i < 5000; i++) {
        mf_histogram_record(histogram, value());
    }
    mfi_histogram_buckets(histogram, &text);
    char *body = NULL;
    bytes message = histogram_of(render(metrics, &body));
    read_native(message, &found);
    check_sum(&found);
    mf_check(find_double(message, 2) == text.sum && find_varint(message, 1) == 5000);
    const mfi_layout *layout = histogram->layout;
    for (size_t i = 0; i <= layout->bound_count; i++) {
        bool is_last = i == layout->bound_count;
        field bucket;
        mf_check(find_nth(message, 3, i, &bucket));
        uint64_t sum = found.zero;
        double bound = find_double(bucket.value, 2);
        for (size_t j = 0; j < found.size; j++) {
            sum += is_last || exp2(found.indexes[j] / 32.0) <= bound ? found.counts[j] : 0;
        }
        mf_check(is_last ? isinf(bound)
                         : bound == exp2(layout->bound_first + (int)i * layout->bound_step));
        mf_check(find_varint(bucket.value, 1) == (is_last ? text.count : text.counts[i]));
        mf_check(sum == find_varint(bucket.value, 1));
    }
    mf_check_int((int)count_of(message, 3), (int)layout->bound_count + 1);
    free(body);
    mf_metrics_destroy(metrics);
}

static double uniform(void)
{
    return (double)(next_random() >> 11) / 0x1p53;
}

static double wide(void)
{
    return exp2(uniform() * 40 - 24); /* beyond both ends of the durations */
}

static double narrow(void)
{
    return 0.001 + uniform() * 1e-6;
}

static void test_views_agree(void)
{
    if (begin_or_skip()) {
        check_views(MF_SCALE_DURATION, wide);
        check_views(MF_SCALE_DURATION, narrow);
        check_views(MF_SCALE_SIZE, wide);
    }
}

/* No native histogram has linear buckets: schema, threshold, spans and deltas are left out. */
static void test_shares(void)
{
    if (!begin_or_skip()) {
        return;
    }
    static const uint64_t counts[] = {1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 4};
    char *body = NULL;
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, MF_SCALE_RATIO);
    mf_histogram_record(histogram, 0.0625);
    mf_histogram_record(histogram, 0.3);
    mf_histogram_record(histogram, 1);
    mf_histogram_record(histogram, 1.5);
    bytes message = histogram_of(render(metrics, &body));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        field bucket;
        mf_check(find_nth(message, 3, i, &bucket));
        double bound = find_double(bucket.value, 2);
        mf_check(i == 10 ? isinf(bound) : bound == (double)(i + 1) / 10);
        mf_check(find_varint(bucket.value, 1) == counts[i]);
    }
    mf_check_int((int)count_of(message, 3), 11);
    mf_check_int((int)find_varint(message, 1), 4);
    for (unsigned number = 5; number <= 13; number++) { /* the fields of native histograms */
        mf_check_int((int)count_of(message, number), 0);
    }
    free(body);
    mf_metrics_destroy(metrics);
}

/* Each cell filled, and every fourth one, which makes the most spans. */
static void test_fullest_histograms(void)
{
    static native found;
    for (int step = 1; begin_or_skip() && step <= 4; step += 3) {
        mf_metrics *metrics = make_set();
        mf_histogram *histogram = add_histogram(metrics, MF_SCALE_SIZE);
        int wanted = 1;
        for (int i = 0; i < histogram->layout->cells; i += step, wanted++) {
            mf_histogram_record(histogram, mfi_layout_middle(histogram->layout, i));
        }
        mf_histogram_record(histogram, 0x1p40);
        char *body = NULL;
        read_native(histogram_of(render(metrics, &body)), &found);
        mf_check_int((int)found.count, wanted);
        mf_check_int((int)found.spans, step == 1 ? 1 : wanted);
        check_sum(&found);
        free(body);
        mf_metrics_destroy(metrics);
    }
}

static void test_exemplars(void)
{
    if (!begin_or_skip()) {
        return;
    }
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, MF_SCALE_DURATION);
    mf_histogram_record_ns(histogram, 800000000);
    mfi_exemplar_keep(histogram, 800000000, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331",
                      1700000000123456789);
    char *body = NULL;
    bytes message = histogram_of(render(metrics, &body));
    field bucket, second;
    for (size_t i = 0; find_nth(message, 3, i, &bucket); i++) {
        mf_check_int((int)count_of(bucket.value, 3), i == 15 ? 1 : 0);
    }
    mf_check(find_nth(message, 3, 15, &bucket));
    bytes exemplar = find(bucket.value, 3, 2).value;
    mf_check(find_nth(exemplar, 1, 1, &second));
    check_text(find(exemplar, 1, 2).value, 1, "trace_id");
    check_text(find(exemplar, 1, 2).value, 2, "0af7651916cd43dd8448eb211c80319c");
    check_text(second.value, 1, "span_id");
    check_text(second.value, 2, "b7ad6b7169203331");
    mf_check(find_double(exemplar, 2) == 0.8);
    bytes time = find(exemplar, 3, 2).value;
    mf_check(find_varint(time, 1) == 1700000000 && find_varint(time, 2) == 123456789);
    free(body);
    mf_metrics_destroy(metrics);
}

/* Each allocation of a scrape fails once: there is a whole body or none. */
static void test_without_memory(void)
{
    if (!begin_or_skip()) {
        return;
    }
    mf_metrics *metrics = make_set();
    mf_histogram_record(add_histogram(metrics, MF_SCALE_DURATION), 1);
    char *wanted = NULL;
    bytes all = render(metrics, &wanted); /* which makes two series */
    free(wanted);
    all = render(metrics, &wanted);
    long failed = 0;
    bool reached = true;
    for (long n = 0; reached; n++) {
        char *body = NULL;
        size_t length = 0;
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(n);
        mf_status status = mf_metrics_render(metrics, MF_METRICS_PROTOBUF, &body, &length, &error);
        reached = mf_alloc_stop();
        if (reached) {
            mf_check_int(status, MF_ERR_NO_MEMORY);
            mf_check_str(error.message, "no memory for the metrics");
            failed++;
        } else {
            mf_check(length == (size_t)(all.end - all.at) && memcmp(body, wanted, length) == 0);
        }
        free(body);
    }
    mf_check(failed > 0);
    free(wanted);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"protobuf__counters", test_counter},
    {"protobuf__gauges_infos_and_summaries", test_gauge_info_summary},
    {"protobuf__native_bounds", test_native_bounds},
    {"protobuf__empty_histogram", test_empty_histogram},
    {"protobuf__classic_and_native_buckets_agree", test_views_agree},
    {"protobuf__shares_have_classic_buckets_alone", test_shares},
    {"protobuf__fullest_histograms", test_fullest_histograms},
    {"protobuf__exemplars", test_exemplars},
    {"protobuf__is_whole_or_none_without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
