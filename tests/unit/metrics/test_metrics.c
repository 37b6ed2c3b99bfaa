/* Instruments count exactly under many threads, quantiles are within 1.1 %, label values beyond a
 * cap are folded, and the exposed text is exact. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metric_set.h"
#include "mf_test.h"

#define SAMPLES 1000000

static mf_family *add(mf_metrics *metrics, mf_metric_type type, const char *name,
                      const char *const *labels, size_t count, size_t cap)
{
    mf_family *family = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.help = "a test";
    options.label_names = labels;
    options.label_count = count;
    options.max_series = cap;
    mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_OK);
    mf_check_str(error.message, "");
    return family;
}

static mf_metrics *make(void)
{
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    return metrics;
}

/* ---- Quantiles ---- */

static uint64_t state = 88172645463325252u;

/* xorshift64 (G. Marsaglia): the same numbers in every run. */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

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
    mf_metrics *metrics = make();
    static const char *const labels[] = {"d"};
    mf_family *family = add(metrics, MF_METRIC_HISTOGRAM, "test_seconds", labels, 1, 0);
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

static void test_bounds_are_inclusive(void)
{
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    for (int e = -19; e <= 7; e++) {
        double bound = exp2(e);
        int index = mfi_layout_index(layout, bound);
        mf_check(mfi_layout_bound(layout, index) == bound);
        mf_check_int(mfi_layout_index(layout, nextafter(bound, 1e9)), index + 1);
    }
    mf_check_int(mfi_layout_index(layout, exp2(-20)), -1);
    mf_check_int(mfi_layout_index(layout, 129), 27 * 32);
    mf_check_int(mfi_layout_index(layout, (double)1953125 / 1e9),
                 mfi_layout_index(layout, exp2(-9)));
}

static int expected_index(const mfi_layout *layout, uint64_t integer)
{
    return mfi_layout_index(layout, (double)integer / layout->unit);
}

/* Integers take a way of their own to the same cells. */
static void test_integers_land_as_their_values(void)
{
    int wrong = 0;
    for (int scale = MF_SCALE_DURATION; scale <= MF_SCALE_SIZE; scale++) {
        const mfi_layout *layout = mfi_layout_of((mf_metric_scale)scale);
        for (int i = -1; i <= layout->octaves * MFI_CELLS_PER_OCTAVE; i++) {
            uint64_t bound = (uint64_t)(mfi_layout_bound(layout, i) * layout->unit);
            for (uint64_t at = bound > 3 ? bound - 3 : 0; at <= bound + 3; at++) {
                wrong += mfi_layout_index_integer(layout, at) != expected_index(layout, at);
            }
        }
        for (int i = 0; i < SAMPLES; i++) {
            uint64_t at = next_random() >> (i % 64);
            wrong += mfi_layout_index_integer(layout, at) != expected_index(layout, at);
        }
        for (uint64_t at = 0; at < 100000; at++) {
            wrong += mfi_layout_index_integer(layout, at) != expected_index(layout, at);
        }
    }
    mf_check_int(wrong, 0);
}

/* ---- Writers and readers at once ---- */

#define WRITERS 8
/* A sanitizer makes each record many times slower; what is to be shown is the same. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VALUES 1000000
#else
#define VALUES 10000000
#endif

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
    load at = {.metrics = make(), .writing = WRITERS};
    at.histogram =
        mf_family_histogram(add(at.metrics, MF_METRIC_HISTOGRAM, "load_seconds", NULL, 0, 0), NULL);
    at.counter =
        mf_family_counter(add(at.metrics, MF_METRIC_COUNTER, "load_total", NULL, 0, 0), NULL);
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

#define GENERATIONS 20
#define AT_ONCE (MFI_SHARDS + 9) /* some share */

typedef struct crowd {
    mf_histogram *histogram;
    mf_counter *counter;
    mf_window *window;
    pthread_barrier_t all_here;
} crowd;

static void *write_some(void *argument)
{
    crowd *at = argument;
    mf_counter_add(at->counter, 1);
    (void)pthread_barrier_wait(&at->all_here); /* nobody ends before all have a shard */
    for (uint64_t i = 0; i < 1000; i++) {
        mf_counter_add(at->counter, 1);
        mf_histogram_record_ns(at->histogram, 5000);
        mf_window_record_ns(at->window, 7000);
    }
    return NULL;
}

/* Threads come and go: the next owner of a shard goes on from its numbers. */
static void test_shards_change_hands(void)
{
    pthread_t threads[AT_ONCE];
    mf_metrics *metrics = make();
    mf_distribution read = MF_DISTRIBUTION_INIT;
    crowd at;
    at.histogram =
        mf_family_histogram(add(metrics, MF_METRIC_HISTOGRAM, "hand_seconds", NULL, 0, 0), NULL);
    at.counter = mf_family_counter(add(metrics, MF_METRIC_COUNTER, "hand_total", NULL, 0, 0), NULL);
    at.window = mf_family_window(add(metrics, MF_METRIC_WINDOW, "now_seconds", NULL, 0, 0), NULL);
    pthread_barrier_init(&at.all_here, NULL, AT_ONCE);
    for (int generation = 0; generation < GENERATIONS; generation++) {
        for (int i = 0; i < AT_ONCE; i++) {
            pthread_create(&threads[i], NULL, write_some, &at);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    mf_check_int(mf_counter_value(at.counter), GENERATIONS * AT_ONCE * 1001);
    mf_histogram_read(at.histogram, &read);
    mf_check_int(read.count, GENERATIONS * AT_ONCE * 1000);
    mf_check(fabs(read.sum / (GENERATIONS * AT_ONCE * 5e-3) - 1) < 1e-9);
    mf_window_read(at.window, &read);
    mf_check_int(read.count, GENERATIONS * AT_ONCE * 1000);
    mf_check(fabs(read.p50 / 7e-6 - 1) < 0.011);
    pthread_barrier_destroy(&at.all_here);
    mf_metrics_destroy(metrics);
}

/* A thread that comes alone owns what it writes, as did the one before it. */
static void *own_shard(void *argument)
{
    unsigned *ret_shard = argument;
    *ret_shard = mfi_shard_index();
    return NULL;
}

static void test_shards_are_given_back(void)
{
    for (int i = 0; i < 10 * MFI_SHARDS; i++) {
        pthread_t thread;
        unsigned shard = MFI_SHARED_SHARD;
        pthread_create(&thread, NULL, own_shard, &shard);
        pthread_join(thread, NULL);
        mf_check(shard < MFI_SHARED_SHARD);
    }
}

/* ---- Bounds and names ---- */

static void test_unknown_labels_fold(void)
{
    static const char *const labels[] = {"function"};
    mf_metrics *metrics = NULL;
    mfi_heap_arena *heap = mfi_heap_arena_create();
    char *text = NULL;
    size_t sizes[2];
    size_t used[2];
    mf_check_int(
        mfi_metric_set_create_in(&metrics, NULL, mfi_heap_arena_as(heap), mfi_clock_system(), NULL),
        MF_OK);
    mf_family *family = add(metrics, MF_METRIC_HISTOGRAM, "calls_seconds", labels, 1, 32);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < (round == 0 ? 1000 : 100000); i++) {
            char name[32];
            const char *values[] = {name};
            (void)snprintf(name, sizeof name, "function_%d", i);
            mf_histogram_record_ns(mf_family_histogram(family, values), 5000);
        }
        mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, &sizes[round], NULL),
                     MF_OK);
        mf_check_contains(text, "function=\"_OTHER\"");
        free(text);
        used[round] = mfi_heap_arena_used(heap);
    }
    mf_check_int(used[1], used[0]);
    mf_check(sizes[1] < sizes[0] + 200); /* only digits of counts grow */
    mf_metrics_destroy(metrics);
    mfi_heap_arena_destroy(heap);
}

static void test_names_are_checked(void)
{
    static const struct {
        mf_metric_type type;
        const char *name;
    } bad[] = {{MF_METRIC_COUNTER, "requests"},   {MF_METRIC_GAUGE, "a_total"},
               {MF_METRIC_GAUGE, "1st"},          {MF_METRIC_GAUGE, "multifrost_mine"},
               {MF_METRIC_GAUGE, "process_mine"}, {MF_METRIC_GAUGE, "with blank"}};
    mf_metrics *metrics = make();
    mf_family *family = NULL;
    mf_error error = MF_ERROR_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_metric_options options = MF_METRIC_OPTIONS_INIT;
        options.type = bad[i].type;
        options.name = bad[i].name;
        options.help = "x";
        mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, bad[i].name);
    }
    (void)add(metrics, MF_METRIC_HISTOGRAM, "twice_seconds", NULL, 0, 0);
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_GAUGE;
    options.name = "twice_seconds_count";
    options.help = "x";
    mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_ERR_EXISTS);
    mf_metrics_destroy(metrics);
}

static void test_text_is_exact(void)
{
    static const char *const labels[] = {"who"};
    mf_metrics *metrics = make();
    char *text = NULL;
    size_t length = 0;
    mf_family *family = add(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    mf_counter_add(mf_family_counter(family, (const char *const[]){"x\"\\\n\xff"}), 3);
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &length, NULL),
                 MF_OK);
    mf_check_contains(text, "# HELP a_total a test\n# TYPE a_total counter\n"
                            "a_total{who=\"x\\\"\\\\\\n\xef\xbf\xbd\"} 3\n");
    free(text);
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, &length, NULL), MF_OK);
    mf_check_contains(text, "# HELP a a test\n# TYPE a counter\na_total{who=");
    mf_check_str(text + length - 6, "# EOF\n");
    free(text);
    mf_metrics_destroy(metrics);
}

static void test_window_forgets(void)
{
    mfi_fake_clock clock;
    mf_metrics *metrics = NULL;
    mfi_heap_arena *heap = mfi_heap_arena_create();
    mf_distribution read = MF_DISTRIBUTION_INIT;
    mfi_fake_clock_init(&clock, 1000 * MFI_NS_PER_S);
    mf_check_int(
        mfi_metric_set_create_in(&metrics, NULL, mfi_heap_arena_as(heap), &clock.clock, NULL),
        MF_OK);
    mf_family *family = add(metrics, MF_METRIC_WINDOW, "recent_seconds", NULL, 0, 0);
    mf_window *window = mf_family_window(family, NULL);
    mf_window_record_ns(window, 2000000);
    mf_window_read(window, &read);
    mf_check(fabs(read.p50 / 0.002 - 1) < 0.011);
    mfi_fake_clock_advance(&clock, 50 * MFI_NS_PER_S);
    mf_window_read(window, &read);
    mf_check(!isnan(read.p50));
    mfi_fake_clock_advance(&clock, 20 * MFI_NS_PER_S);
    mf_window_read(window, &read);
    mf_check(isnan(read.p50));
    mf_check_int(read.count, 1);
    /* A thread that read its clock long ago is counted, but changes no later slot. */
    mf_window_record_ns(window, 3000000);
    mfi_window_record_at(window, mfi_shard_index(), 9000000,
                         1000 * MFI_NS_PER_S + 5 * MFI_NS_PER_S);
    mf_window_read(window, &read);
    mf_check(fabs(read.p999 / 0.003 - 1) < 0.011);
    mf_check_int(read.count, 3);
    mf_metrics_destroy(metrics);
    mfi_heap_arena_destroy(heap);
}

static const mf_test tests[] = {
    {"histogram__quantiles_within_1_1_percent_of_exact", test_quantiles},
    {"histogram__bounds_are_inclusive", test_bounds_are_inclusive},
    {"histogram__8_writers_lose_none_under_1000_scrapes", test_none_is_lost_under_scrapes},
    {"histogram__integers_land_in_the_cells_of_their_values", test_integers_land_as_their_values},
    {"shards__lose_nothing_when_they_change_hands", test_shards_change_hands},
    {"shards__are_given_back_by_threads_that_end", test_shards_are_given_back},
    {"family__100000_unknown_labels_fold", test_unknown_labels_fold},
    {"family__names_are_checked", test_names_are_checked},
    {"exposition__text_is_exact", test_text_is_exact},
    {"window__forgets_after_a_minute", test_window_forgets},
};
MF_TEST_MAIN(tests)
