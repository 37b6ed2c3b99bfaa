/* Times what the recorder adds to a call: its begin, the report that it was sent, and its end. CPU
 * time of the calling threads, each with calls of its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench/harness.h"
#include "core/observe/recorder.h"

#define CALLS 2000000 /* in a round, of each thread */
#define THREADS_MAX 4
#define MOST_NS 30

typedef struct caller {
    pthread_t thread;
    mfi_recorder *recorder;
    unsigned calls;
    pthread_barrier_t *start;
    double cpu_ns;
} caller;

static double thread_cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

/* A call as most are: its correlation id is its trace id. */
static void fill_span(mfi_client_span *span)
{
    mfi_client_span_clear(span);
    span->namespace_name = "default";
    span->deadline_ms = 30000;
    span->attempt = 1;
    (void)snprintf(span->context.trace_id, sizeof span->context.trace_id,
                   "0af7651916cd43dd8448eb211c80319c");
    memcpy(span->context.correlation_id, span->context.trace_id, sizeof span->context.trace_id);
    (void)snprintf(span->context.span_id, sizeof span->context.span_id, "b7ad6b7169203331");
    (void)snprintf(span->context.request_id, sizeof span->context.request_id,
                   "6ba7b810-9dad-41d1-80b4-00c04fd430c8");
}

static void make_calls(mfi_recorder *recorder, const mfi_recorded_names *names, unsigned count)
{
    mfi_client_span span;
    fill_span(&span);
    uint64_t now = mfi_monotonic_ns();
    for (unsigned i = 0; i < count; i++) {
        span.start_ns = now;
        mfi_recorder_client_begin(recorder, &span, names);
        mfi_recorder_client_sent(&span.recorded);
        span.sent_ns = now + 1000;
        span.received_ns = now + 9000;
        now += 10000;
        span.end_ns = now;
        mfi_recorder_client_end(recorder, &span, names, NULL);
    }
}

static void *call(void *argument)
{
    caller *at = argument;
    mfi_recorded_names names;
    mfi_recorder_name(at->recorder, &names, "math", "math-0", "add");
    make_calls(at->recorder, &names, 4096); /* warm-up: takes the lane and its entries */
    (void)pthread_barrier_wait(at->start);
    double begin = thread_cpu_ns();
    make_calls(at->recorder, &names, at->calls);
    at->cpu_ns = thread_cpu_ns() - begin;
    return NULL;
}

static double round_of(unsigned threads, unsigned calls)
{
    caller callers[THREADS_MAX];
    pthread_barrier_t start;
    mfi_recorder *recorder = NULL;
    double cpu_ns = 0;
    if (mfi_recorder_create(&recorder, MFI_RECORDER_BYTES_DEFAULT,
                            MFI_RECORDER_SECONDS_DEFAULT * MFI_NS_PER_S, NULL) != MF_OK ||
        pthread_barrier_init(&start, NULL, threads) != 0) {
        bench_die("no recorder");
    }
    for (unsigned i = 0; i < threads; i++) {
        callers[i] = (caller){.recorder = recorder, .calls = calls, .start = &start};
        if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0) {
            bench_die("cannot start a thread");
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        cpu_ns += callers[i].cpu_ns;
    }
    mfi_recorder_destroy(recorder);
    (void)pthread_barrier_destroy(&start);
    return cpu_ns / ((double)threads * calls);
}

static void measure(const bench_options *options, const char *name, unsigned threads)
{
    bench_series series = {.count = 0};
    for (unsigned round = 0; round < options->rounds; round++) {
        bench_add(&series, round_of(threads, bench_scaled(options, CALLS)));
    }
    bench_report_ns("recorder", name, &series, NULL, NULL, MOST_NS);
}

int main(int argc, char **argv)
{
    int first = 0;
    bench_options options = bench_options_read(argc, argv, &first);
    measure(&options, "call, 1 thread", 1);
    measure(&options, "call, 2 threads", 2);
    return EXIT_SUCCESS;
}
