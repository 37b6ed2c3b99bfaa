/* The demo's load: a steady mix of successes, remote errors and slow calls, with a timeout now and
 * then. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "demo.h"

static const char *const statuses[DEMO_STATUSES] = {
    "ok",          "app_error",      "function_not_found", "invalid_argument",
    "timeout",     "cancelled",      "circuit_open",       "rejected",
    "unavailable", "worker_crashed", "protocol_error",     "internal"};

static demo_count counts[] = {
    {.target = "math-c", .function = "add"},      {.target = "math-c", .function = "divide"},
    {.target = "math-c", .function = "sleep_ms"}, {.target = "math-py", .function = "greet"},
    {.target = "math-py", .function = "mean"},    {.target = "math-py", .function = "sleep_ms"},
};
enum { C_ADD, C_DIVIDE, C_SLEEP, PY_GREET, PY_MEAN, PY_SLEEP, COUNTS };

static pthread_t threads[2];

static void count(demo_count *of, mf_status status)
{
    for (size_t i = 0; i < DEMO_STATUSES; i++) {
        if (strcmp(statuses[i], mf_err_status(status)) == 0) {
            atomic_fetch_add(&of->ended[i], 1);
        }
    }
}

static void call(mf_parent *parent, demo_count *of, mf_args args, int64_t timeout_ms)
{
    mf_result *result = NULL;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = timeout_ms;
    count(of, mf_call_with(parent, of->function, args, &options, &result, NULL));
    mf_result_destroy(result);
}

/* ---- Asynchronous calls ---- */

typedef struct ended {
    demo_state *demo;
    demo_count *of;
} ended;

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    ended *at = user_data;
    (void)error;
    mf_result_destroy(result);
    count(at->of, status);
    atomic_fetch_sub(&at->demo->asynchronous, 1);
    free(at);
}

static void call_async(demo_state *demo, mf_parent *parent, demo_count *of, mf_args args)
{
    ended *at = malloc(sizeof *at);
    if (at == NULL) {
        return;
    }
    *at = (ended){demo, of};
    atomic_fetch_add(&demo->asynchronous, 1);
    mf_status status = mf_call_async(parent, of->function, args, NULL, on_end, at, NULL);
    if (status != MF_OK) {
        on_end(status, NULL, NULL, at);
    }
}

/* ---- Pace ---- */

static bool goes_on(demo_state *demo)
{
    return !atomic_load(&demo->stopping) && !atomic_load(&demo->quiescing);
}

/* Waits for the next beat of a steady rhythm, so that slow calls do not slow the rest down. */
static void next_beat(struct timespec *beat, long interval_ns)
{
    beat->tv_nsec += interval_ns;
    beat->tv_sec += beat->tv_nsec / 1000000000;
    beat->tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, beat, NULL) == EINTR) {
    }
}

static void *load_c(void *argument)
{
    demo_state *demo = argument;
    struct timespec beat;
    (void)clock_gettime(CLOCK_MONOTONIC, &beat);
    for (int i = 1; goes_on(demo); i++) {
        if (i % 1500 == 0) {
            call(demo->c, &counts[C_SLEEP], MF_ARGS(200), 100); /* times out */
        } else if (i % 97 == 0) {
            call(demo->c, &counts[C_SLEEP], MF_ARGS(20 + i % 40), 0);
        } else if (i % 53 == 0) {
            call(demo->c, &counts[C_DIVIDE], MF_ARGS(1, 0), 0);
        } else if (i % 10 == 0) {
            for (int j = 0; j < 4; j++) {
                call_async(demo, demo->c, &counts[C_ADD], MF_ARGS(i, j));
            }
        } else if (i % 5 == 0) {
            call(demo->c, &counts[C_DIVIDE], MF_ARGS(i, 7), 0);
        } else {
            call(demo->c, &counts[C_ADD], MF_ARGS(i, 1), 0);
        }
        next_beat(&beat, 4000000);
    }
    return NULL;
}

static void *load_py(void *argument)
{
    demo_state *demo = argument;
    struct timespec beat;
    (void)clock_gettime(CLOCK_MONOTONIC, &beat);
    for (int i = 1; goes_on(demo); i++) {
        if (i % 41 == 0) {
            call(demo->py, &counts[PY_SLEEP], MF_ARGS(30 + i % 50), 0);
        } else if (i % 37 == 0) {
            call(demo->py, &counts[PY_MEAN], MF_ARGS(MF_ARRAY(mf_nil())), 0); /* TypeError */
        } else if (i % 3 == 0) {
            call(demo->py, &counts[PY_MEAN], MF_ARGS(MF_ARRAY(i, 2, 3.5)), 0);
        } else {
            call(demo->py, &counts[PY_GREET], MF_ARGS("Ada"), 0);
        }
        next_beat(&beat, 20000000);
    }
    return NULL;
}

void demo_load_start(demo_state *demo)
{
    (void)pthread_create(&threads[0], NULL, load_c, demo);
    (void)pthread_create(&threads[1], NULL, load_py, demo);
}

void demo_load_join(demo_state *demo)
{
    struct timespec beat;
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &beat);
    while (atomic_load(&demo->asynchronous) > 0) {
        next_beat(&beat, 1000000);
    }
}

/* ---- Counts ---- */

void demo_totals(uint64_t *ret_calls, uint64_t *ret_errors)
{
    uint64_t calls = 0;
    uint64_t errors = 0;
    for (size_t i = 0; i < COUNTS; i++) {
        for (size_t s = 0; s < DEMO_STATUSES; s++) {
            uint64_t n = atomic_load(&counts[i].ended[s]);
            calls += n;
            errors += s > 0 ? n : 0;
        }
    }
    *ret_calls = calls;
    *ret_errors = errors;
}

bool demo_write_counts(const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return false;
    }
    const char *target = "";
    (void)fputs("{", file);
    for (size_t i = 0; i < COUNTS; i++) {
        bool first = strcmp(target, counts[i].target) != 0;
        (void)fputs(i == 0 ? "" : first ? "}," : ",", file);
        if (first) {
            (void)fprintf(file, "\"%s\":{", counts[i].target);
        }
        target = counts[i].target;
        (void)fprintf(file, "\"%s\":{", counts[i].function);
        for (size_t s = 0, shown = 0; s < DEMO_STATUSES; s++) {
            uint64_t n = atomic_load(&counts[i].ended[s]);
            if (n > 0) {
                (void)fprintf(file, "%s\"%s\":%llu", shown++ > 0 ? "," : "", statuses[s],
                              (unsigned long long)n);
            }
        }
        (void)fputs("}", file);
    }
    (void)fputs("}}\n", file);
    return fclose(file) == 0;
}
