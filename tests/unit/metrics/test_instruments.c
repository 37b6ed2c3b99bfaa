/* Counters, gauges and histograms: what is recorded is read back, whoever writes at the same time.
 */
#include "metrics/instruments.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric_support.h"

#define SAMPLES 1000000

/* ---- Quantiles ---- */

static double uniform(void)
{
    return ((double)(next_random() >> 11) + 0.5) * 0x1p-53;
}

static double draw(int distribution)
{
    double u = uniform();
    switch (distribution) {
    case 0:
        return 0.001 + 0.099 * u;
    case 1:
        return -0.002 * log(u);
    case 2:
        return exp(-7 + sqrt(-2 * log(u)) * cos(6.283185307179586 * uniform()));
    default:
        return u < 0.7 ? 0.0001 + 0.00001 * uniform() : 0.05 + 0.01 * uniform();
    }
}

static int compare(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void test_quantiles(void)
{
    double *samples = malloc(SAMPLES * sizeof *samples);
    mf_metrics *metrics = make_set();
    static const char *const labels[] = {"d"};
    mf_family *family = add_family(metrics, MF_METRIC_HISTOGRAM, "test_seconds", labels, 1, 0);
    for (int d = 0; d < 4; d++) {
        char name[16];
        const char *values[] = {name};
        mf_distribution read = MF_DISTRIBUTION_INIT;
        (void)snprintf(name, sizeof name, "%d", d);
        mf_histogram *histogram = mf_family_histogram(family, values);
        for (int i = 0; i < SAMPLES; i++) {
            samples[i] = draw(d);
            mf_histogram_record(histogram, samples[i]);
        }
        qsort(samples, SAMPLES, sizeof *samples, compare);
        mf_histogram_read(histogram, &read);
        mf_check_int(read.count, SAMPLES);
        mf_check(fabs(read.p50 / samples[SAMPLES / 2 - 1] - 1) < 0.011);
        mf_check(fabs(read.p95 / samples[SAMPLES / 100 * 95 - 1] - 1) < 0.011);
        mf_check(fabs(read.p99 / samples[SAMPLES / 100 * 99 - 1] - 1) < 0.011);
        mf_check(fabs(read.p999 / samples[SAMPLES / 1000 * 999 - 1] - 1) < 0.011);
    }
    mf_metrics_destroy(metrics);
    free(samples);
}

/* ---- Writers and readers at once ---- */

#define WRITERS 8
#define VALUES (WITH_SANITIZER ? 1000000 : 10000000)

typedef struct load {
    mf_metrics *metrics;
    mf_histogram *histogram;
    mf_counter *counter;
    _Atomic(int) writing, wrong;
} load;

static void *write_values(void *argument)
{
    load *at = argument;
    for (uint64_t i = 0; i < VALUES; i++) {
        mf_histogram_record_ns(at->histogram, 1000 + i % 100000);
        mf_counter_add(at->counter, 1);
    }
    at->writing--;
    return NULL;
}

/* The last bucket must equal the count in every scrape. */
static void *scrape(void *argument)
{
    load *at = argument;
    for (int i = 0; i < 250 || at->writing > 0; i++) {
        char *text = NULL;
        size_t length = 0;
        at->wrong += mf_metrics_render(at->metrics, i % 2, &text, &length, NULL) != MF_OK;
        const char *bucket = strstr(text, "load_seconds_bucket{le=\"+Inf\"} ");
        const char *count = strstr(text, "load_seconds_count ");
        at->wrong += bucket == NULL || count == NULL ||
                     strtoull(strrchr(bucket, '}') != NULL ? strchr(bucket, '}') + 2 : "x", NULL,
                              10) != strtoull(count + strlen("load_seconds_count "), NULL, 10);
        free(text);
    }
    return NULL;
}

static void test_none_is_lost_under_scrapes(void)
{
    pthread_t threads[WRITERS + 4];
    load at = {.metrics = make_set(), .writing = WRITERS};
    at.histogram = mf_family_histogram(
        add_family(at.metrics, MF_METRIC_HISTOGRAM, "load_seconds", NULL, 0, 0), NULL);
    at.counter = mf_family_counter(
        add_family(at.metrics, MF_METRIC_COUNTER, "load_total", NULL, 0, 0), NULL);
    for (int i = 0; i < WRITERS + 4; i++) {
        pthread_create(&threads[i], NULL, i < WRITERS ? write_values : scrape, &at);
    }
    for (int i = 0; i < WRITERS + 4; i++) {
        pthread_join(threads[i], NULL);
    }
    mf_distribution read = MF_DISTRIBUTION_INIT;
    mf_histogram_read(at.histogram, &read);
    mf_check_int(read.count, (long long)WRITERS * VALUES);
    mf_check_int(mf_counter_value(at.counter), (long long)WRITERS * VALUES);
    mf_check_int(at.wrong, 0);
    mf_metrics_destroy(at.metrics);
}

/* ---- One value at a time ---- */

static void test_counters_and_gauges(void)
{
    mf_metrics *metrics = make_set();
    static const char *const labels[] = {"n"};
    mf_family *counters = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    mf_gauge *gauge = mf_family_gauge(add_family(metrics, MF_METRIC_GAUGE, "b", NULL, 0, 0), NULL);
    /* More than one page of cells: none lies where another one does. */
    mf_counter *made[3 * MFI_PAGE_COUNTERS];
    for (unsigned i = 0; i < 3 * MFI_PAGE_COUNTERS; i++) {
        char name[16];
        const char *values[] = {name};
        (void)snprintf(name, sizeof name, "%u", i);
        made[i] = mf_family_counter(counters, values);
        mf_counter_add(made[i], i);
        mf_counter_add(made[i], (uint64_t)i << 40);
    }
    for (unsigned i = 0; i < 3 * MFI_PAGE_COUNTERS; i++) {
        mf_check(mf_counter_value(made[i]) == ((uint64_t)i << 40) + i);
    }
    mf_check(mf_gauge_value(gauge) == 0);
    mf_gauge_set(gauge, 2.5);
    mf_gauge_add(gauge, 4);
    mf_gauge_add(gauge, -10);
    mf_check(mf_gauge_value(gauge) == -3.5);
    mf_metrics_destroy(metrics);
}

static mf_histogram *add_histogram(mf_metrics *metrics, const char *name, mf_metric_scale scale)
{
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_HISTOGRAM;
    options.name = name;
    options.help = "";
    options.scale = scale;
    mf_check_int(mf_metrics_add(metrics, &options, &family, NULL), MF_OK);
    return mf_family_histogram(family, NULL);
}

/* What is no duration counts as 0, what is beyond the range goes to either end: none is lost. */
static void test_every_value_is_counted(void)
{
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, "a_seconds", MF_SCALE_DURATION);
    mf_distribution read = MF_DISTRIBUTION_INIT;
    mfi_cells cells = {0};
    mf_histogram_read(histogram, &read);
    mf_check_int(read.count, 0);
    mf_check(isnan(read.p50) && isnan(read.p90) && isnan(read.p95) && isnan(read.p99) &&
             isnan(read.p999));
    mf_histogram_record(histogram, -1);
    mf_histogram_record(histogram, (double)NAN);
    mf_histogram_record(histogram, 0);
    mf_histogram_record(histogram, 0.25);
    mf_histogram_record(histogram, 1000);
    mf_histogram_record_ns(histogram, 0);
    mf_histogram_record_ns(histogram, 250000000);
    mf_histogram_record_ns(histogram, 2000 * MFI_NS_PER_S);
    mfi_histogram_merge(histogram, &cells);
    mf_check_int(cells.count, 8);
    mf_check_int(cells.under, 4);
    mf_check_int(cells.over, 2);
    mf_check_int(cells.cells[mfi_layout_index(mfi_layout_of(MF_SCALE_DURATION), 0.25)], 2);
    mf_check(cells.sum == 3000.5);
    mf_histogram_record(histogram, (double)INFINITY);
    mf_histogram_read(histogram, &read);
    mf_check_int(read.count, 9);
    mf_check(read.p50 == mfi_layout_middle(mfi_layout_of(MF_SCALE_DURATION), 18 * 32 - 1));
    mf_check(read.p999 == 128);
    mf_metrics_destroy(metrics);
}

/* Nanoseconds given to a histogram of sizes are its number in seconds. */
static void test_sizes_take_seconds_as_numbers(void)
{
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, "a_bytes", MF_SCALE_SIZE);
    mfi_cells cells = {0};
    mf_histogram_record(histogram, 64);
    mf_histogram_record_ns(histogram, 64 * MFI_NS_PER_S);
    mfi_histogram_record_at(histogram, mfi_shard_index(), 64);
    mfi_histogram_merge(histogram, &cells);
    mf_check_int(cells.count, 3);
    mf_check_int(cells.cells[mfi_layout_index(mfi_layout_of(MF_SCALE_SIZE), 64)], 3);
    mf_metrics_destroy(metrics);
}

/* The ranks of 1 to 100 values in two cells: a quantile is the value of its rank, rounded up. */
static void test_quantiles_are_of_their_rank(void)
{
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    for (uint64_t low = 0; low <= 100; low++) {
        mfi_cells cells = {.count = 100};
        cells.cells[100] = low;
        cells.cells[200] = 100 - low;
        for (int percent = 1; percent <= 100; percent++) {
            double wanted = mfi_layout_middle(layout, (uint64_t)percent <= low ? 100 : 200);
            mf_check(mfi_cells_quantile(&cells, layout, (percent - 0.5) / 100) == wanted);
        }
    }
}

/* Cumulative, inclusive, and the same as the cells say. */
static void test_buckets_hold_values_up_to_their_bound(void)
{
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = add_histogram(metrics, "a_bytes", MF_SCALE_SIZE);
    mfi_buckets buckets;
    static const double values[] = {0, 64, 65, 256, 257, 16777216, 16777217, 1e12};
    static const uint64_t wanted[] = {2, 4, 5, 5, 5, 5, 5, 5, 5, 6};
    double sum = 0;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        mf_histogram_record(histogram, values[i]);
        sum += values[i];
    }
    mfi_histogram_buckets(histogram, &buckets);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        mf_check_int(buckets.counts[i], wanted[i]);
    }
    mf_check_int(buckets.count, 8);
    mf_check(buckets.sum == sum);
    mf_metrics_destroy(metrics);
}

/* ---- Without memory ---- */

typedef struct short_memory {
    mfi_arena real;
    int left; /* pieces that are given before there is none */
} short_memory;

static void *allocate_some(void *self, size_t size)
{
    short_memory *memory = self;
    return memory->left-- > 0 ? memory->real.allocate(memory->real.self, size) : NULL;
}

static void test_values_without_memory(void)
{
    mfi_heap_arena *heap = mfi_arena_heap_create();
    for (int left = 0; left < 3; left++) {
        short_memory memory = {mfi_arena_heap_as(heap), left};
        mf_histogram histogram = {.layout = mfi_layout_of(MF_SCALE_DURATION),
                                  .arena = {.allocate = allocate_some, .self = &memory}};
        mfi_cells cells = {0};
        mf_histogram_record(&histogram, 0.25);
        mfi_histogram_merge(&histogram, &cells);
        /* Without a shard there is nothing to count in; without an octave it is counted as over. */
        mf_check_int(cells.count, left > 0 ? 1 : 0);
        mf_check_int(cells.over, left == 1 ? 1 : 0);
        mf_check(cells.sum == (left > 0 ? 0.25 : 0));
    }
    mfi_arena_heap_destroy(heap);
}

/* The second caller uses what the first caller made. */
static void test_made_once(void)
{
    mfi_heap_arena *heap = mfi_arena_heap_create();
    mfi_arena arena = mfi_arena_heap_as(heap);
    _Atomic(void *) place = NULL;
    void *first = mfi_make_on_use(&arena, &place, 64);
    mf_check(first != NULL && place == first);
    mf_check(mfi_make_on_use(&arena, &place, 64) == first);
    mf_check(mfi_made_on_use(&arena, &place, 64) == first);
    mf_check(place == first);
    mfi_arena_heap_destroy(heap);
}

static const mf_test tests[] = {
    {"histogram__quantiles_within_1_1_percent_of_exact", test_quantiles},
    {"histogram__8_writers_lose_none_under_1000_scrapes", test_none_is_lost_under_scrapes},
    {"instruments__counters_and_gauges_add_up", test_counters_and_gauges},
    {"histogram__every_value_is_counted", test_every_value_is_counted},
    {"histogram__sizes_take_seconds_as_numbers", test_sizes_take_seconds_as_numbers},
    {"histogram__quantiles_are_of_their_rank", test_quantiles_are_of_their_rank},
    {"histogram__buckets_hold_values_up_to_their_bound",
     test_buckets_hold_values_up_to_their_bound},
    {"histogram__values_without_memory_are_counted_if_they_can", test_values_without_memory},
    {"instruments__cells_are_made_once", test_made_once},
};
MF_TEST_MAIN(tests)
