/* Times one record into a histogram and one addition to a counter, against other ways to count. CPU
 * time of the writing threads: a thread that sleeps on a mutex uses none. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <multifrost/metrics.h>

#include "bench/harness.h"
#ifdef BENCH_WITH_BOOST
#include "bench/peers/histogram.h"
#endif

#define RECORDS 4000000 /* in a round */
#define LATENCIES 4096  /* different values, recorded in turn */
#define THREADS_MAX 4

static uint64_t latencies[LATENCIES];

/* 10 us to 10 ms, as calls take; octave and cell change from one record to the next. */
static void make_latencies(void)
{
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < LATENCIES; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        latencies[i] = (UINT64_C(10000) << state % 10) + (state >> 20) % 10000;
    }
}

/* ---- The instruments ---- */

typedef struct subject {
    const char *name;
    void *(*make)(void);
    void (*record)(void *self, unsigned count);
    uint64_t (*count)(void *self);
    void (*end)(void *self);
} subject;

typedef struct ours {
    mf_metrics *metrics;
    mf_histogram *histogram;
    mf_counter *counter;
} ours;

static mf_family *add_family(mf_metrics *metrics, mf_metric_type type, const char *name)
{
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.help = "What is measured here";
    if (mf_metrics_add(metrics, &options, &family, NULL) != MF_OK) {
        bench_die("cannot add %s", name);
    }
    return family;
}

static void *ours_make(void)
{
    ours *self = calloc(1, sizeof *self);
    if (self == NULL || mf_metrics_create(&self->metrics, NULL, NULL) != MF_OK) {
        bench_die("no memory");
    }
    self->histogram =
        mf_family_histogram(add_family(self->metrics, MF_METRIC_HISTOGRAM, "call_seconds"), NULL);
    self->counter =
        mf_family_counter(add_family(self->metrics, MF_METRIC_COUNTER, "calls_total"), NULL);
    return self;
}

static void ours_record(void *at, unsigned count)
{
    ours *self = at;
    for (unsigned i = 0; i < count; i++) {
        mf_histogram_record_ns(self->histogram, latencies[i % LATENCIES]);
    }
}

static uint64_t ours_recorded(void *at)
{
    ours *self = at;
    mf_distribution read = MF_DISTRIBUTION_INIT;
    mf_histogram_read(self->histogram, &read);
    return read.count;
}

static void ours_add(void *at, unsigned count)
{
    ours *self = at;
    for (unsigned i = 0; i < count; i++) {
        mf_counter_add(self->counter, 1);
    }
}

static uint64_t ours_counted(void *at)
{
    ours *self = at;
    return mf_counter_value(self->counter);
}

static void ours_end(void *at)
{
    ours *self = at;
    mf_metrics_destroy(self->metrics);
    free(self);
}

/* ---- A mutex over an array: 32 linear cells in each octave, and a sum ---- */

typedef struct guarded {
    pthread_mutex_t mutex;
    uint64_t sum, cells[64 * 32];
} guarded;

static void *guarded_make(void)
{
    guarded *self = calloc(1, sizeof *self);
    if (self == NULL || pthread_mutex_init(&self->mutex, NULL) != 0) {
        bench_die("no memory");
    }
    return self;
}

static void guarded_record(void *at, unsigned count)
{
    guarded *self = at;
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = latencies[i % LATENCIES] | 32;
        unsigned octave = 63u - (unsigned)__builtin_clzll(value);
        (void)pthread_mutex_lock(&self->mutex);
        self->cells[octave * 32 + (value >> (octave - 5)) % 32]++;
        self->sum += value;
        (void)pthread_mutex_unlock(&self->mutex);
    }
}

static uint64_t guarded_count(void *at)
{
    guarded *self = at;
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof self->cells / sizeof self->cells[0]; i++) {
        count += self->cells[i];
    }
    return count;
}

static void guarded_end(void *at)
{
    guarded *self = at;
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
}

/* ---- One atomic number ---- */

static void *atomic_make(void)
{
    return calloc(1, 64);
}

static void atomic_add(void *at, unsigned count)
{
    _Atomic(uint64_t) *cell = at;
    for (unsigned i = 0; i < count; i++) {
        atomic_fetch_add_explicit(cell, 1, memory_order_relaxed);
    }
}

static uint64_t atomic_count(void *at)
{
    return atomic_load_explicit((_Atomic(uint64_t) *)at, memory_order_relaxed);
}

#ifdef BENCH_WITH_BOOST
static void *boost_make(void)
{
    return bench_boost_histogram_make();
}

static void boost_record(void *at, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bench_boost_histogram_record(at, latencies[i % LATENCIES]);
    }
}

static uint64_t boost_count(void *at)
{
    return bench_boost_histogram_count(at);
}

static void boost_end(void *at)
{
    bench_boost_histogram_end(at);
}
#endif

static const subject histograms[] = {
    {"multifrost", ours_make, ours_record, ours_recorded, ours_end},
    {"mutex and array", guarded_make, guarded_record, guarded_count, guarded_end},
#ifdef BENCH_WITH_BOOST
    {"Boost.Histogram, thread_safe", boost_make, boost_record, boost_count, boost_end},
#endif
};
static const subject counters[] = {
    {"multifrost", ours_make, ours_add, ours_counted, ours_end},
    {"atomic_fetch_add", atomic_make, atomic_add, atomic_count, free},
};

/* ---- Rounds ---- */

typedef struct writer {
    pthread_t thread;
    const subject *subject;
    void *self;
    unsigned count;
    pthread_barrier_t *start;
    double cpu_ns;
} writer;

static double thread_cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

static void *write_records(void *argument)
{
    writer *at = argument;
    at->subject->record(at->self, LATENCIES); /* warm-up: makes the cells and takes a shard */
    (void)pthread_barrier_wait(at->start);
    double begin = thread_cpu_ns();
    at->subject->record(at->self, at->count);
    at->cpu_ns = thread_cpu_ns() - begin;
    return NULL;
}

static double round_of(const subject *measured, unsigned threads, unsigned count)
{
    writer writers[THREADS_MAX];
    pthread_barrier_t start;
    double cpu_ns = 0;
    void *self = measured->make();
    if (pthread_barrier_init(&start, NULL, threads) != 0) {
        bench_die("no barrier");
    }
    for (unsigned i = 0; i < threads; i++) {
        writers[i] = (writer){.subject = measured, .self = self, .count = count, .start = &start};
        if (pthread_create(&writers[i].thread, NULL, write_records, &writers[i]) != 0) {
            bench_die("cannot start a thread");
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        cpu_ns += writers[i].cpu_ns;
    }
    if (measured->count(self) < (uint64_t)threads * count) {
        bench_die("%s lost records", measured->name);
    }
    measured->end(self);
    (void)pthread_barrier_destroy(&start);
    return cpu_ns / ((double)threads * count);
}

/* The library's own time has a goal; the ratios have the goal not to be slower. */
static void compare(const bench_options *options, const char *name, const subject *subjects,
                    size_t subject_count, unsigned threads, double most_ns)
{
    bench_series series[4] = {{.count = 0}};
    for (unsigned round = 0; round < options->rounds; round++) {
        for (size_t i = 0; i < subject_count; i++) {
            bench_add(&series[i], round_of(&subjects[i], threads, bench_scaled(options, RECORDS)));
        }
    }
    bench_report_ns("instruments", name, &series[0], NULL, NULL, most_ns);
    for (size_t i = 1; i < subject_count; i++) {
        bench_report_ns("instruments", name, &series[0], subjects[i].name, &series[i], 1);
    }
}

int main(int argc, char **argv)
{
    int first = 0;
    bench_options options = bench_options_read(argc, argv, &first);
    size_t histogram_count = sizeof histograms / sizeof histograms[0];
#ifndef BENCH_WITH_BOOST
    (void)fputs("bench_instruments: built without Boost.Histogram (libboost-dev)\n", stderr);
#endif
    make_latencies();
    compare(&options, "histogram record, 1 thread", histograms, histogram_count, 1, 4);
    compare(&options, "histogram record, 4 threads on one", histograms, histogram_count, 4, 6);
    compare(&options, "counter add, 1 thread", counters, 2, 1, 0);
    compare(&options, "counter add, 4 threads on one", counters, 2, 4, 0);
    return EXIT_SUCCESS;
}
