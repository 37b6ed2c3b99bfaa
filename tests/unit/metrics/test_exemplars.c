/* Exemplars: the newest traced call of each bucket, whole under many writers. */
#include "metrics/exemplars.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "metric_support.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static mf_histogram *make(mf_metrics *metrics, mf_metric_scale scale)
{
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_HISTOGRAM;
    options.name = "a_seconds";
    options.help = "a test";
    options.scale = scale;
    mf_check_int(mf_metrics_add(metrics, &options, &family, NULL), MF_OK);
    return mf_family_histogram(family, NULL);
}

/* The bucket that has an exemplar, which is the only one; -1 for none. */
static int bucket_with_one(const mf_histogram *histogram, mfi_exemplar *ret_exemplar)
{
    int found = -1;
    for (size_t i = 0; i <= histogram->layout->bound_count; i++) {
        mfi_exemplar at;
        if (mfi_exemplar_read(histogram, i, &at)) {
            mf_check_int(found, -1);
            *ret_exemplar = at;
            found = (int)i;
        }
    }
    return found;
}

static void test_none_at_first(void)
{
    mfi_exemplar found;
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = make(metrics, MF_SCALE_DURATION);
    mf_check_int(bucket_with_one(histogram, &found), -1);
    mf_metrics_destroy(metrics);
}

static void test_newest_is_kept(void)
{
    mfi_exemplar found;
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = make(metrics, MF_SCALE_DURATION);
    mfi_exemplar_keep(histogram, 900000000, "00000000000000000000000000000001", SPAN, 1);
    mfi_exemplar_keep(histogram, 800000000, TRACE, SPAN, 1700000000123456789);
    mf_check_int(bucket_with_one(histogram, &found), 15); /* 0.5 s to 1 s */
    mf_check_str(found.trace_id, TRACE);
    mf_check_str(found.span_id, SPAN);
    mf_check(found.value == 0.8);
    mf_check(found.wall_ns == 1700000000123456789);
    mf_metrics_destroy(metrics);
}

/* Each value finds the bucket whose count it raises. */
static void test_bucket_is_that_of_the_value(void)
{
    static const mf_metric_scale scales[] = {MF_SCALE_DURATION, MF_SCALE_SIZE};
    for (size_t s = 0; s < 2; s++) {
        for (unsigned bits = 0; bits < 63; bits++) {
            for (int off = -1; off <= 1; off++) {
                uint64_t integer = (UINT64_C(1) << bits) + (uint64_t)off;
                mf_metrics *metrics = make_set();
                mf_histogram *histogram = make(metrics, scales[s]);
                mfi_exemplar found;
                mfi_buckets buckets;
                mfi_histogram_record_at(histogram, mfi_shard_index(), integer);
                mfi_exemplar_keep(histogram, integer, TRACE, SPAN, 1);
                mfi_histogram_buckets(histogram, &buckets);
                int bucket = bucket_with_one(histogram, &found);
                int wanted = 0;
                while (wanted < (int)histogram->layout->bound_count &&
                       buckets.counts[wanted] == 0) {
                    wanted++;
                }
                mf_check_int(bucket, wanted);
                mf_metrics_destroy(metrics);
            }
        }
    }
}

static void test_bucket_of_a_share(void)
{
    static const struct {
        uint64_t billionths;
        int bucket;
    } cases[] = {{0, 0},         {100000000, 0},  {100000001, 1},
                 {300000000, 2}, {1000000000, 9}, {1000000001, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_exemplar found;
        mf_metrics *metrics = make_set();
        mf_histogram *histogram = make(metrics, MF_SCALE_RATIO);
        mfi_exemplar_keep(histogram, cases[i].billionths, TRACE, SPAN, 1);
        mf_check_int(bucket_with_one(histogram, &found), cases[i].bucket);
        mf_metrics_destroy(metrics);
    }
}

static void test_other_ids_are_left_out(void)
{
    static const char *const traces[] = {
        "", "0af7651916cd43dd8448eb211c80319", "0af7651916cd43dd8448eb211c80319c0",
        "0af7651916cd43dd8448eb211c8031\"c", "0AF7651916CD43DD8448EB211C80319C"};
    static const char *const spans[] = {"", "b7ad6b716920333", "b7ad6b71692033310",
                                        "b7ad6b716920333\n"};
    mfi_exemplar found;
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = make(metrics, MF_SCALE_DURATION);
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        mfi_exemplar_keep(histogram, 1, traces[i], SPAN, 1);
        mf_check_int(bucket_with_one(histogram, &found), -1);
    }
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        mfi_exemplar_keep(histogram, 1, TRACE, spans[i], 1);
        mf_check_int(bucket_with_one(histogram, &found), -1);
    }
    mfi_exemplar_keep(histogram, 1, TRACE, SPAN, 1);
    mf_check_int(bucket_with_one(histogram, &found), 0);
    mf_metrics_destroy(metrics);
}

/* ---- Many writers ---- */

#define WRITERS 2
#define BURST 256  /* writes, or reads, until another thread may have the processor */
#define CHANGES 50 /* of the writer that a reader sees, so that both were at work together */

typedef struct writer {
    pthread_t thread;
    mf_histogram *histogram;
    const _Atomic(bool) *may_end;
    char digit;
} writer;

/* All digits of a writer's exemplar are the writer's digit, and so are both numbers. */
static void *write_many(void *argument)
{
    const writer *at = argument;
    char trace[33] = "", span[17] = "";
    memset(trace, at->digit, 32);
    memset(span, at->digit, 16);
    while (!atomic_load(at->may_end)) {
        for (int i = 0; i < BURST; i++) {
            mfi_exemplar_keep(at->histogram, (uint64_t)at->digit, trace, span, (uint64_t)at->digit);
        }
        (void)sched_yield();
    }
    return NULL;
}

/* Reads until the writer has changed often enough. */
static void read_many(const mf_histogram *histogram)
{
    mfi_exemplar found;
    char before = '\0';
    int changes = 0;
    for (int i = 1; changes < CHANGES; i++) {
        if (i % BURST == 0) {
            (void)sched_yield();
        }
        if (mfi_exemplar_read(histogram, 0, &found)) {
            char digit[2] = {found.trace_id[0], '\0'};
            if (!mf_check(strspn(found.trace_id, digit) == 32 &&
                          strspn(found.span_id, digit) == 16) ||
                !mf_check(found.value == (double)digit[0] / 1e9 &&
                          found.wall_ns == (uint64_t)digit[0])) {
                return;
            }
            changes += digit[0] != before ? 1 : 0;
            before = digit[0];
        }
    }
}

static void test_whole_under_writers(void)
{
    writer writers[WRITERS];
    _Atomic(bool) may_end = false;
    mf_metrics *metrics = make_set();
    mf_histogram *histogram = make(metrics, MF_SCALE_DURATION);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            (writer){.histogram = histogram, .may_end = &may_end, .digit = (char)('0' + i)};
        mf_check_int(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    read_many(histogram);
    atomic_store(&may_end, true);
    for (int i = 0; i < WRITERS; i++) {
        mf_check_int(pthread_join(writers[i].thread, NULL), 0);
    }
    mfi_exemplar last;
    mf_check(mfi_exemplar_read(histogram, 0, &last)); /* no thread writes any more */
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"exemplars__none_at_first", test_none_at_first},
    {"exemplars__newest_is_kept", test_newest_is_kept},
    {"exemplars__bucket_is_that_of_the_value", test_bucket_is_that_of_the_value},
    {"exemplars__bucket_of_a_share", test_bucket_of_a_share},
    {"exemplars__other_ids_are_left_out", test_other_ids_are_left_out},
    {"exemplars__whole_under_writers", test_whole_under_writers},
};
MF_TEST_MAIN(tests)
