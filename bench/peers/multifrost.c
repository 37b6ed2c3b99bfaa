/* The client in this library: calls one after the other, many open calls, several threads, and
 * large bodies, with instruments on or off. */
#include "bench/peers/multifrost.h"

#include <pthread.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

typedef struct client {
    mf_runtime *runtime;
    mf_parent *parent;
    /* One run of open calls. Between begin and end only the engine thread uses these. */
    const char *function;
    mf_value body;
    size_t expected; /* bytes of a result; 0: the number 3 */
    unsigned to_start, to_end;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended; /* guarded by mutex */
} client;

static void stop(void *user_data)
{
    client *self = user_data;
    mf_parent_destroy(self->parent);
    mf_runtime_destroy(self->runtime);
    free(self);
}

/* ---- One call after the other ---- */

static bench_latency sync_calls(void *user_data, unsigned calls)
{
    client *self = user_data;
    uint64_t *samples = calloc(calls, sizeof *samples);
    for (unsigned i = 0; samples != NULL && i < calls; i++) {
        mf_result *result = NULL;
        uint64_t before = bench_now_ns();
        mf_status status = mf_call(self->parent, "add", MF_ARGS(1, 2), &result, NULL);
        if (status != MF_OK || mf_result_int(result) != 3) {
            bench_die("the call failed: %s", mf_strerror(status));
        }
        mf_result_destroy(result);
        samples[i] = bench_now_ns() - before;
    }
    bench_latency latency = samples != NULL ? bench_summarise(samples, calls) : (bench_latency){0};
    free(samples);
    return latency;
}

/* ---- Many open calls ---- */

static void start_call(client *self);

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    client *self = user_data;
    bool right = status == MF_OK &&
                 (self->expected == 0 ? mf_result_int(result) == 3
                                      : mf_result_value(result)->length == self->expected);
    if (!right) {
        bench_die("a call failed: %s", error != NULL ? mf_error_text(error) : "wrong result");
    }
    mf_result_destroy(result);
    if (self->to_start > 0) {
        self->to_start--;
        start_call(self);
    }
    if (--self->to_end == 0) {
        (void)pthread_mutex_lock(&self->mutex);
        self->has_ended = true;
        (void)pthread_cond_signal(&self->ended);
        (void)pthread_mutex_unlock(&self->mutex);
    }
}

static void start_call(client *self)
{
    mf_error error = MF_ERROR_INIT;
    mf_args args = self->expected == 0 ? MF_ARGS(1, 2) : MF_ARGS(self->body);
    if (mf_call_async(self->parent, self->function, args, NULL, on_end, self, &error) != MF_OK) {
        bench_die("%s", mf_error_text(&error));
    }
}

/* The first calls start on this thread. What they share with callbacks is set before, and counters
 * that callbacks change are not read until the end. */
static double run(client *self, unsigned in_flight, unsigned calls)
{
    unsigned first = calls < in_flight ? calls : in_flight;
    self->to_start = calls - first;
    self->to_end = calls;
    self->has_ended = false;
    uint64_t before = bench_now_ns();
    (void)pthread_mutex_lock(&self->mutex);
    for (unsigned i = 0; i < first; i++) {
        start_call(self);
    }
    while (!self->has_ended) {
        (void)pthread_cond_wait(&self->ended, &self->mutex);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return calls / ((double)(bench_now_ns() - before) / 1e9);
}

static double pipelined_calls(void *user_data, unsigned in_flight, unsigned calls)
{
    client *self = user_data;
    self->function = "add";
    self->expected = 0;
    return run(self, in_flight, calls);
}

double bench_multifrost_echo(void *user_data, size_t size, unsigned in_flight, unsigned calls)
{
    client *self = user_data;
    void *bytes = calloc(1, size);
    self->function = "echo";
    self->body = mf_bin(bytes, size);
    self->expected = size;
    double rate = run(self, in_flight, calls);
    free(bytes);
    return rate;
}

/* ---- Several threads ---- */

typedef struct caller {
    client *client;
    unsigned calls;
    pthread_t thread;
} caller;

static void *call_all(void *user_data)
{
    caller *self = user_data;
    for (unsigned i = 0; i < self->calls; i++) {
        mf_result *result = NULL;
        if (mf_call(self->client->parent, "add", MF_ARGS(1, 2), &result, NULL) != MF_OK) {
            bench_die("a call failed");
        }
        mf_result_destroy(result);
    }
    return NULL;
}

double bench_multifrost_threads(void *user_data, unsigned threads, unsigned calls_of_each)
{
    caller *callers = calloc(threads, sizeof *callers);
    uint64_t before = bench_now_ns();
    for (unsigned i = 0; callers != NULL && i < threads; i++) {
        callers[i] = (caller){.client = user_data, .calls = calls_of_each};
        (void)pthread_create(&callers[i].thread, NULL, call_all, &callers[i]);
    }
    for (unsigned i = 0; callers != NULL && i < threads; i++) {
        (void)pthread_join(callers[i].thread, NULL);
    }
    double seconds = (double)(bench_now_ns() - before) / 1e9;
    free(callers);
    return (double)threads * calls_of_each / seconds;
}

/* ---- Start ---- */

bench_peer bench_peer_instrumented(const bench_instruments *instruments)
{
    static const char *const quiet[] = {"BENCH_METRICS=off", NULL};
    static const char *const on_libzmq[] = {"COMLINK_TRANSPORT=libzmq", NULL};
    char program[4096];
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime_options = MF_RUNTIME_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    client *self = calloc(1, sizeof *self);
    if (self == NULL) {
        bench_die("no memory");
    }
    (void)pthread_mutex_init(&self->mutex, NULL);
    (void)pthread_cond_init(&self->ended, NULL);
    runtime_options.no_metrics = instruments->no_metrics;
    runtime_options.no_segments = instruments->no_metrics;
    runtime_options.recorder_bytes = instruments->no_metrics ? MF_DISABLED : 0;
    runtime_options.log_file = instruments->log_file;
    runtime_options.log_sample_first = instruments->log_sample_first;
    runtime_options.log_sample_thereafter = instruments->log_sample_thereafter;
    options.program = bench_sibling("bench_worker", program, sizeof program);
    runtime_options.transport = instruments->on_libzmq ? MF_TRANSPORT_LIBZMQ : MF_TRANSPORT_DEFAULT;
    options.env = instruments->no_metrics ? quiet : instruments->on_libzmq ? on_libzmq : NULL;
    mf_status status = mf_runtime_create(&self->runtime, &runtime_options, &error);
    if (status == MF_OK) {
        options.runtime = self->runtime;
        status = mf_parent_create(&self->parent, &options, &error);
    }
    if (status == MF_OK) {
        status = mf_parent_start(self->parent, &error);
    }
    if (status != MF_OK) {
        bench_die("%s", mf_error_text(&error));
    }
    return (bench_peer){.name = instruments->name,
                        .self = self,
                        .sync = sync_calls,
                        .pipelined = pipelined_calls,
                        .stop = stop};
}

bench_peer bench_peer_multifrost(void)
{
    return bench_peer_instrumented(&(bench_instruments){.name = "multifrost"});
}

bench_peer bench_peer_multifrost_on_libzmq(void)
{
    return bench_peer_instrumented(
        &(bench_instruments){.name = "multifrost on libzmq", .on_libzmq = true});
}
