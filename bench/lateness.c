/* Measures how late a deadline and a stop come while callbacks keep the engine thread busy: an
 * asynchronous call to a worker that stands still ends by its deadline alone, and the engine thread
 * times that deadline. The peer of each figure is the same without load.
 *
 *     bench_lateness [--smoke] [--rounds N] */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <multifrost/multifrost.h>

#include "bench/harness.h"

#define CHAINS 512
#define CALLBACK_NS 50000
#define TIMEOUT_MS 20
#define SAMPLES 25 /* deadlines in each round */

typedef struct load {
    mf_parent *parent;
    _Atomic(bool) over;
    _Atomic(unsigned) chains; /* that go on */
} load;

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        bench_die("%s", mf_error_text(error));
    }
}

static mf_parent *start_parent(mf_runtime *runtime, const char *target)
{
    char path[4096];
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.program = bench_sibling("bench_worker", path, sizeof path);
    options.target = target;
    options.heartbeat_interval_ms = MF_DISABLED;
    options.circuit_failures = MF_DISABLED;
    check(mf_parent_create(&parent, &options, &error), &error);
    check(mf_parent_start(parent, &error), &error);
    return parent;
}

/* Each answer makes the next call, after a callback that works. */
static void call_again(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    load *at = user_data;
    uint64_t until = bench_now_ns() + CALLBACK_NS;
    (void)error;
    mf_result_destroy(result);
    while (bench_now_ns() < until) {
    }
    bool goes_on =
        status == MF_OK && !atomic_load(&at->over) &&
        mf_call_async(at->parent, "add", MF_ARGS(1, 2), NULL, call_again, at, NULL) == MF_OK;
    if (!goes_on) {
        atomic_fetch_sub(&at->chains, 1);
    }
}

static void begin_load(load *at)
{
    mf_error error = MF_ERROR_INIT;
    for (int i = 0; i < CHAINS; i++) {
        atomic_fetch_add(&at->chains, 1);
        check(mf_call_async(at->parent, "add", MF_ARGS(1, 2), NULL, call_again, at, &error),
              &error);
    }
}

/* From the deadline to the moment in which the waiting thread knows of it; the median. */
static double deadline_us(mf_parent *silent, unsigned samples)
{
    uint64_t late[SAMPLES];
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = TIMEOUT_MS;
    for (unsigned i = 0; i < samples; i++) {
        mf_future *future = NULL;
        uint64_t due = bench_now_ns() + (uint64_t)TIMEOUT_MS * 1000000;
        check(mf_call_future(silent, "add", MF_ARGS(1, 2), &options, &future, &error), &error);
        if (mf_future_wait(future, MF_TIMEOUT_INFINITE, NULL, &error) != MF_ERR_TIMEOUT) {
            bench_die("a call to a worker that stands still was answered: %s",
                      mf_error_text(&error));
        }
        uint64_t now = bench_now_ns();
        late[i] = now > due ? now - due : 0;
        mf_future_destroy(future);
    }
    return bench_summarise(late, samples).p50_us;
}

static double stop_ms(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    uint64_t before = bench_now_ns();
    check(mf_parent_stop(parent, &error), &error);
    return (double)(bench_now_ns() - before) / 1e6;
}

typedef struct figures {
    bench_series deadline, deadline_idle, stop, stop_idle;
} figures;

static void measure(figures *all, unsigned samples)
{
    load at = {.parent = NULL};
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    check(mf_runtime_create(&runtime, NULL, &error), &error);
    mf_parent *silent = start_parent(runtime, "silent");
    mf_parent *idle = start_parent(runtime, "idle");
    at.parent = start_parent(runtime, "loaded");
    (void)kill((pid_t)mf_parent_pid(silent), SIGSTOP);
    bench_add(&all->deadline_idle, deadline_us(silent, samples));
    bench_add(&all->stop_idle, stop_ms(idle));
    begin_load(&at);
    bench_add(&all->deadline, deadline_us(silent, samples));
    if (atomic_load(&at.chains) != CHAINS) {
        bench_die("the load ended early");
    }
    bench_add(&all->stop, stop_ms(at.parent));
    atomic_store(&at.over, true);
    (void)kill((pid_t)mf_parent_pid(silent), SIGCONT);
    mf_parent_destroy(at.parent);
    mf_parent_destroy(idle);
    mf_parent_destroy(silent);
    mf_runtime_destroy(runtime);
}

int main(int argc, char **argv)
{
    int first = 0;
    static figures all;
    bench_options options = bench_options_read(argc, argv, &first);
    for (unsigned i = 0; i < options.rounds; i++) {
        measure(&all, options.smoke ? 2 : SAMPLES);
    }
    bench_report(&(bench_figure){.bench = "lateness",
                                 .name = "deadline, beside callbacks that call again",
                                 .unit = "us",
                                 .values = &all.deadline,
                                 .against = "idle",
                                 .peers = &all.deadline_idle});
    bench_report(&(bench_figure){.bench = "lateness",
                                 .name = "stop, beside callbacks that call again",
                                 .unit = "ms",
                                 .values = &all.stop,
                                 .against = "idle",
                                 .peers = &all.stop_idle});
    return EXIT_SUCCESS;
}
