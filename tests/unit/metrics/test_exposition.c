/* The text of a set, to the byte, in both formats. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "metric_support.h"
#include "metrics/exemplars.h"
#include "metrics/exposition.h"
#include "mf_alloc.h"

static void check_family(mf_metrics *metrics, mf_metrics_format format, const char *name,
                         const char *wanted)
{
    char *text = render_family(metrics, format, name);
    mf_check_str(text, wanted);
    free(text);
}

static mf_family *add_with(mf_metrics *metrics, mf_metric_options options)
{
    mf_family *family = NULL;
    options.struct_size = sizeof options;
    mf_check_int(mf_metrics_add(metrics, &options, &family, NULL), MF_OK);
    return family;
}

static void test_empty_set(void)
{
    static const char own[] = "# HELP multifrost_series Series now\n"
                              "# TYPE multifrost_series gauge\n"
                              "multifrost_series 2\n"
                              "# HELP multifrost_series_limit Cap on the number of series\n"
                              "# TYPE multifrost_series_limit gauge\n"
                              "multifrost_series_limit 50000\n";
    mf_metrics *metrics = make_set();
    free(render_set(metrics, MF_METRICS_PROMETHEUS_TEXT)); /* which makes the two series */
    char *text = render_set(metrics, MF_METRICS_PROMETHEUS_TEXT);
    mf_check_str(text, own);
    free(text);
    text = render_set(metrics, MF_METRICS_OPENMETRICS);
    mf_check(strncmp(text, own, sizeof own - 1) == 0);
    mf_check_str(text + sizeof own - 1, "# EOF\n");
    free(text);
    mf_metrics_destroy(metrics);
}

static void test_counter(void)
{
    static const char *const labels[] = {"who"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a", ""); /* nothing without a series */
    mf_counter_add(mf_family_counter(family, (const char *const[]){"x\"\\\n\xff"}), 3);
    mf_counter_add(mf_family_counter(family, (const char *const[]){"a"}), 0);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a",
                 "# HELP a_total a test\n# TYPE a_total counter\n"
                 "a_total{who=\"a\"} 0\n"
                 "a_total{who=\"x\\\"\\\\\\n\xef\xbf\xbd\"} 3\n");
    check_family(metrics, MF_METRICS_OPENMETRICS, "a",
                 "# HELP a a test\n# TYPE a counter\n"
                 "a_total{who=\"a\"} 0\n"
                 "a_total{who=\"x\\\"\\\\\\n\xef\xbf\xbd\"} 3\n");
    mf_metrics_destroy(metrics);
}

static void test_help_and_unit(void)
{
    mf_metrics *metrics = make_set();
    mf_family *family = add_with(metrics, (mf_metric_options){.type = MF_METRIC_COUNTER,
                                                              .name = "busy_seconds_total",
                                                              .help = "a \"b\" \\ c\nd",
                                                              .unit = "seconds",
                                                              .counter_factor = 1e-9});
    mf_counter_add(mf_family_counter(family, NULL), 1500000000);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "busy",
                 "# HELP busy_seconds_total a \"b\" \\\\ c\\nd\n"
                 "# TYPE busy_seconds_total counter\n"
                 "busy_seconds_total 1.5\n");
    check_family(metrics, MF_METRICS_OPENMETRICS, "busy",
                 "# HELP busy_seconds a \\\"b\\\" \\\\ c\\nd\n"
                 "# TYPE busy_seconds counter\n"
                 "# UNIT busy_seconds seconds\n"
                 "busy_seconds_total 1.5\n");
    mf_metrics_destroy(metrics);
}

/* To Prometheus, an empty value is no label. */
static void test_empty_values_are_left_out(void)
{
    static const char *const labels[] = {"a", "b"};
    mf_metrics *metrics = make_set();
    mf_family *counters = add_family(metrics, MF_METRIC_COUNTER, "hits_total", labels, 2, 0);
    mf_family *times = add_family(metrics, MF_METRIC_HISTOGRAM, "wait_seconds", labels, 2, 0);
    mf_counter_add(mf_family_counter(counters, (const char *const[]){"", ""}), 1);
    mf_counter_add(mf_family_counter(counters, (const char *const[]){"", "x"}), 2);
    mf_histogram_record(mf_family_histogram(times, (const char *const[]){"", ""}), 1);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "hits",
                 "# HELP hits_total a test\n# TYPE hits_total counter\n"
                 "hits_total 1\n"
                 "hits_total{b=\"x\"} 2\n");
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &size, NULL), MF_OK);
    mf_check_contains(text, "\nwait_seconds_bucket{le=\"+Inf\"} 1\nwait_seconds_sum 1\n");
    free(text);
    mf_metrics_destroy(metrics);
}

static void test_gauge_and_info(void)
{
    static const char *const labels[] = {"a", "b"};
    mf_metrics *metrics = make_set();
    mf_family *gauges = add_family(metrics, MF_METRIC_GAUGE, "level", labels, 2, 0);
    mf_family *infos = add_family(metrics, MF_METRIC_INFO, "room_info", labels, 2, 0);
    mf_gauge_set(mf_family_gauge(gauges, (const char *const[]){"1", "x"}), -0.1);
    mf_gauge_set(mf_family_gauge(gauges, (const char *const[]){"2", ""}), (double)NAN);
    mf_gauge_set(mf_family_gauge(gauges, (const char *const[]){"3", "y"}), (double)INFINITY);
    mf_gauge_set(mf_family_gauge(gauges, (const char *const[]){"4", "z"}), -(double)INFINITY);
    mf_family_info(infos, (const char *const[]){"left", "right"});
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "level",
                 "# HELP level a test\n# TYPE level gauge\n"
                 "level{a=\"1\",b=\"x\"} -0.1\n"
                 "level{a=\"2\"} NaN\n"
                 "level{a=\"3\",b=\"y\"} +Inf\n"
                 "level{a=\"4\",b=\"z\"} -Inf\n");
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "room",
                 "# HELP room_info a test\n# TYPE room_info gauge\n"
                 "room_info{a=\"left\",b=\"right\"} 1\n");
    check_family(metrics, MF_METRICS_OPENMETRICS, "room",
                 "# HELP room a test\n# TYPE room info\n"
                 "room_info{a=\"left\",b=\"right\"} 1\n");
    mf_metrics_destroy(metrics);
}

static void test_histogram(void)
{
    static const char *const labels[] = {"f"};
    static const char wanted[] = "# HELP size_bytes a test\n# TYPE size_bytes histogram\n"
                                 "size_bytes_bucket{f=\"g\",le=\"64.0\"} 1\n"
                                 "size_bytes_bucket{f=\"g\",le=\"256.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"1024.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"4096.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"16384.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"65536.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"262144.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"1048576.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"4194304.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"16777216.0\"} 2\n"
                                 "size_bytes_bucket{f=\"g\",le=\"+Inf\"} 3\n"
                                 "size_bytes_sum{f=\"g\"} 33554660\n"
                                 "size_bytes_count{f=\"g\"} 3\n";
    mf_metrics *metrics = make_set();
    mf_family *family = add_with(metrics, (mf_metric_options){.type = MF_METRIC_HISTOGRAM,
                                                              .name = "size_bytes",
                                                              .help = "a test",
                                                              .label_names = labels,
                                                              .label_count = 1,
                                                              .scale = MF_SCALE_SIZE});
    mf_histogram *histogram = mf_family_histogram(family, (const char *const[]){"g"});
    mf_histogram_record(histogram, 28);
    mf_histogram_record(histogram, 200);
    mf_histogram_record(histogram, 33554432);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "size_bytes", wanted);
    check_family(metrics, MF_METRICS_OPENMETRICS, "size_bytes", wanted);
    mf_metrics_destroy(metrics);
}

static void test_shares(void)
{
    static const char wanted[] = "# HELP used_ratio a test\n# TYPE used_ratio histogram\n"
                                 "%sused_ratio_bucket{le=\"0.1\"} 2\n"
                                 "used_ratio_bucket{le=\"0.2\"} 2\n"
                                 "used_ratio_bucket{le=\"0.3\"} 4\n"
                                 "used_ratio_bucket{le=\"0.4\"} 5\n"
                                 "used_ratio_bucket{le=\"0.5\"} 5\n"
                                 "used_ratio_bucket{le=\"0.6\"} 5\n"
                                 "used_ratio_bucket{le=\"0.7\"} 5\n"
                                 "used_ratio_bucket{le=\"0.8\"} 5\n"
                                 "used_ratio_bucket{le=\"0.9\"} 5\n"
                                 "used_ratio_bucket{le=\"1.0\"} 6\n"
                                 "used_ratio_bucket{le=\"+Inf\"} 8\n"
                                 "used_ratio_sum 5.53125\n"
                                 "used_ratio_count 8\n";
    char text[1024];
    mf_metrics *metrics = make_set();
    mf_family *family = add_with(metrics, (mf_metric_options){.type = MF_METRIC_HISTOGRAM,
                                                              .name = "used_ratio",
                                                              .help = "a test",
                                                              .unit = "ratio",
                                                              .scale = MF_SCALE_RATIO});
    mf_histogram *histogram = mf_family_histogram(family, NULL);
    mf_histogram_record(histogram, 0);
    mf_histogram_record(histogram, 0.03125);
    mf_histogram_record(histogram, 0.25);
    mfi_histogram_record_share_at(histogram, mfi_shard_index(), 300000000); /* at its bound */
    mfi_histogram_record_share_at(histogram, mfi_shard_index(), 400000000);
    mf_histogram_record(histogram, 1);
    mf_histogram_record(histogram, 1.05); /* late, as is the next */
    mfi_histogram_record_share_at(histogram, mfi_shard_index(), 2500000000);
    (void)snprintf(text, sizeof text, wanted, "");
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "used_ratio", text);
    (void)snprintf(text, sizeof text, wanted, "# UNIT used_ratio ratio\n");
    check_family(metrics, MF_METRICS_OPENMETRICS, "used_ratio", text);
    mf_metrics_destroy(metrics);
}

static void test_window(void)
{
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_WINDOW, "now_seconds", NULL, 0, 0);
    mf_window *window = mf_family_window(family, NULL);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "now",
                 "# HELP now_seconds a test\n# TYPE now_seconds summary\n"
                 "now_seconds{quantile=\"0.5\"} NaN\n"
                 "now_seconds{quantile=\"0.9\"} NaN\n"
                 "now_seconds{quantile=\"0.95\"} NaN\n"
                 "now_seconds{quantile=\"0.99\"} NaN\n"
                 "now_seconds{quantile=\"0.999\"} NaN\n"
                 "now_seconds_sum 0\n"
                 "now_seconds_count 0\n");
    mf_window_record_ns(window, 500 * MFI_NS_PER_S); /* above the range: shown as its end */
    mf_window_record_ns(window, 500 * MFI_NS_PER_S);
    check_family(metrics, MF_METRICS_OPENMETRICS, "now",
                 "# HELP now_seconds a test\n# TYPE now_seconds summary\n"
                 "now_seconds{quantile=\"0.5\"} 128\n"
                 "now_seconds{quantile=\"0.9\"} 128\n"
                 "now_seconds{quantile=\"0.95\"} 128\n"
                 "now_seconds{quantile=\"0.99\"} 128\n"
                 "now_seconds{quantile=\"0.999\"} 128\n"
                 "now_seconds_sum 1000\n"
                 "now_seconds_count 2\n");
    mf_metrics_destroy(metrics);
}

/* The overflow comes last, once there is any. */
static void test_overflow_comes_last(void)
{
    static const char *const labels[] = {"f"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 1);
    mf_counter_add(mf_family_counter(family, (const char *const[]){"z"}), 1);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a_",
                 "# HELP a_total a test\n# TYPE a_total counter\na_total{f=\"z\"} 1\n");
    mf_counter_add(mf_family_counter(family, (const char *const[]){"y"}), 2);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a_",
                 "# HELP a_total a test\n# TYPE a_total counter\na_total{f=\"z\"} 1\n"
                 "a_total{f=\"_OTHER\"} 2\n");
    check_family(
        metrics, MF_METRICS_PROMETHEUS_TEXT, "multifrost_series_folded_total",
        "# HELP multifrost_series_folded_total Label sets folded into _OTHER; of gauges: left out\n"
        "# TYPE multifrost_series_folded_total counter\n"
        "multifrost_series_folded_total{family=\"a_total\"} 1\n");
    mf_metrics_destroy(metrics);
}

/* Exemplars are in OpenMetrics alone, behind the count of their bucket. */
static void test_exemplars(void)
{
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_HISTOGRAM, "a_seconds", NULL, 0, 0);
    mf_histogram *histogram = mf_family_histogram(family, NULL);
    mf_histogram_record_ns(histogram, 800000000);
    mf_histogram_record_ns(histogram, 100000000000);
    char *before = render_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a_seconds");
    mfi_exemplar_keep(histogram, 800000000, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331",
                      1700000000007456789);
    mfi_exemplar_keep(histogram, 100000000000, "11111111111111111111111111111111",
                      "2222222222222222", 1700000001000000000);
    check_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a_seconds", before);
    check_family(metrics, MF_METRICS_OPENMETRICS, "a_seconds_bucket{le=\"1.0\"",
                 "a_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\","
                 "span_id=\"b7ad6b7169203331\"} 0.8 1700000000.007\n");
    check_family(metrics, MF_METRICS_OPENMETRICS, "a_seconds_bucket{le=\"2.0\"",
                 "a_seconds_bucket{le=\"2.0\"} 1\n");
    check_family(metrics, MF_METRICS_OPENMETRICS, "a_seconds_bucket{le=\"+Inf\"",
                 "a_seconds_bucket{le=\"+Inf\"} 2 # {trace_id=\"11111111111111111111111111111111\","
                 "span_id=\"2222222222222222\"} 100 1700000001.000\n");
    free(before);
    mf_metrics_destroy(metrics);
}

static void check_chosen(mf_metrics *metrics, mf_metrics_format format, const char *const *names,
                         const char *wanted)
{
    char *text = NULL;
    size_t length = 0;
    mfi_exposition how = {.format = format, .names = names};
    bool is_partial = true;
    mf_check_int(mfi_exposition_render(metrics, &how, &text, &length, &is_partial, NULL), MF_OK);
    mf_check(!is_partial);
    mf_check_str(text, wanted);
    mf_check(length == strlen(wanted));
    free(text);
}

/* A family is chosen by its whole name, however often that is said. */
static void test_names_choose_families(void)
{
    static const char gauge[] = "# HELP b a test\n# TYPE b gauge\nb 0\n";
    static const char both[] = "# HELP a_total a test\n# TYPE a_total counter\na_total 0\n"
                               "# HELP b a test\n# TYPE b gauge\nb 0\n";
    mf_metrics *metrics = make_set();
    (void)mf_family_counter(add_family(metrics, MF_METRIC_COUNTER, "a_total", NULL, 0, 0), NULL);
    (void)mf_family_gauge(add_family(metrics, MF_METRIC_GAUGE, "b", NULL, 0, 0), NULL);
    (void)mf_family_gauge(add_family(metrics, MF_METRIC_GAUGE, "bb", NULL, 0, 0), NULL);
    check_chosen(metrics, MF_METRICS_PROMETHEUS_TEXT, (const char *const[]){"b", NULL}, gauge);
    check_chosen(metrics, MF_METRICS_PROMETHEUS_TEXT,
                 (const char *const[]){"b", "a_total", "none", "b", NULL}, both);
    check_chosen(metrics, MF_METRICS_PROMETHEUS_TEXT, (const char *const[]){"none", "", NULL}, "");
    check_chosen(metrics, MF_METRICS_PROMETHEUS_TEXT, (const char *const[]){NULL}, "");
    check_chosen(metrics, MF_METRICS_OPENMETRICS, (const char *const[]){"a_total", NULL},
                 "# HELP a a test\n# TYPE a counter\na_total 0\n# EOF\n");
    check_chosen(metrics, MF_METRICS_OPENMETRICS, (const char *const[]){"none", NULL}, "# EOF\n");
    if (mfi_exposition_has(MF_METRICS_PROTOBUF)) {
        check_chosen(metrics, MF_METRICS_PROTOBUF, (const char *const[]){"none", NULL}, "");
    }
    mf_metrics_destroy(metrics);
}

static void set_level(void *user_data)
{
    mf_gauge_set(user_data, mf_gauge_value(user_data) + 1);
}

/* In haste gauges are shown as they are, but not before their first collection. */
static void test_haste_leaves_collectors_out(void)
{
    static const char *const names[] = {"b", NULL};
    static const struct {
        bool in_haste, is_partial;
        const char *level;
    } steps[] = {{true, false, "b 1\n"},
                 {true, true, "b 1\n"},
                 {false, false, "b 2\n"},
                 {true, true, "b 2\n"}};
    mf_metrics *metrics = make_set();
    mf_gauge *gauge = mf_family_gauge(add_family(metrics, MF_METRIC_GAUGE, "b", NULL, 0, 0), NULL);
    mf_check_int(mf_metrics_add_collector(metrics, set_level, gauge, NULL), MF_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char *text = NULL;
        size_t length = 0;
        bool is_partial = false;
        mfi_exposition how = {.names = names, .in_haste = steps[i].in_haste};
        mf_check_int(mfi_exposition_render(metrics, &how, &text, &length, &is_partial, NULL),
                     MF_OK);
        mf_check(is_partial == steps[i].is_partial);
        mf_check_contains(text, steps[i].level);
        free(text);
    }
    mf_metrics_destroy(metrics);
}

/* The longest name and labels: a line has room for them. */
static void test_longest_line(void)
{
    char name[129], value[300], wanted[4000];
    const char *labels[MF_METRIC_LABELS_MAX];
    const char *values[MF_METRIC_LABELS_MAX];
    char names[MF_METRIC_LABELS_MAX][129];
    size_t length = 0;
    memset(name, 'n', 128);
    name[128] = '\0';
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < MF_METRIC_LABELS_MAX; i++) {
        memset(names[i], 'a' + (int)i, 128);
        names[i][128] = '\0';
        labels[i] = names[i];
        values[i] = value;
        length += (size_t)mfi_str_format(wanted + length, sizeof wanted - length, "%s%s=\"%.256s\"",
                                         i > 0 ? "," : "", names[i], value);
    }
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_GAUGE, name, labels, MF_METRIC_LABELS_MAX, 0);
    mf_gauge_set(mf_family_gauge(family, values), -2.2250738585072014e-308);
    char *text = render_set(metrics, MF_METRICS_PROMETHEUS_TEXT);
    char *at = strstr(text, "\nnnn");
    mf_check(at != NULL && strncmp(at + 1, name, 128) == 0 && at[129] == '{' &&
             strncmp(at + 130, wanted, length) == 0 &&
             strcmp(at + 130 + length, "} -2.2250738585072014e-308\n") == 0);
    free(text);
    mf_metrics_destroy(metrics);
}

static void test_arguments(void)
{
    mf_metrics *metrics = make_set();
    char *text = NULL;
    size_t length = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_metrics_render(NULL, MF_METRICS_OPENMETRICS, &text, &length, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "metrics, ret_text and ret_length must not be NULL");
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, NULL, &length, NULL),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, NULL, NULL),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check(text == NULL && length == 0);
    mf_metrics_destroy(metrics);
}

/* Each allocation of a scrape fails once: there is a whole text or none. */
static void test_without_memory(void)
{
    static const char *const labels[] = {"f"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_HISTOGRAM, "a_seconds", labels, 1, 0);
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) {
        mf_histogram_record(mf_family_histogram(family, (const char *const[]){name}), 1);
    }
    free(render_set(metrics, MF_METRICS_OPENMETRICS));
    char *wanted = render_set(metrics, MF_METRICS_OPENMETRICS);
    long failed = 0;
    bool reached = true;
    for (long n = 0; reached; n++) {
        char *text = NULL;
        size_t length = 0;
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(n);
        mf_status status =
            mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, &length, &error);
        reached = mf_alloc_stop();
        if (reached) {
            mf_check_int(status, MF_ERR_NO_MEMORY);
            mf_check_str(error.message, "no memory for the metrics");
            mf_check(text == NULL);
            failed++;
        } else {
            mf_check_str(text, wanted);
        }
        free(text);
    }
    mf_check(failed > 0);
    free(wanted);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"exposition__of_an_empty_set", test_empty_set},
    {"exposition__empty_values_are_left_out", test_empty_values_are_left_out},
    {"exposition__of_counters", test_counter},
    {"exposition__of_help_and_unit", test_help_and_unit},
    {"exposition__of_gauges_and_infos", test_gauge_and_info},
    {"exposition__of_histograms", test_histogram},
    {"exposition__shares_have_ten_buckets", test_shares},
    {"exposition__of_windows", test_window},
    {"exposition__overflow_comes_last", test_overflow_comes_last},
    {"exposition__of_exemplars", test_exemplars},
    {"exposition__names_choose_families", test_names_choose_families},
    {"exposition__haste_leaves_collectors_out", test_haste_leaves_collectors_out},
    {"exposition__longest_line_has_room", test_longest_line},
    {"exposition__bad_arguments_are_named", test_arguments},
    {"exposition__is_whole_or_none_without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
