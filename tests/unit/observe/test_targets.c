/* Handles: targets and their functions, found without a lock, and what they have recorded. */
#include "core/observe/targets.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_alloc.h"
#include "mf_test.h"

typedef struct fixture {
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
} fixture;

static void show_client(mfi_client_gauges *ret_gauges, void *user_data)
{
    (void)ret_gauges;
    (void)user_data;
}

static void show_server(mfi_server_gauges *ret_gauges, void *user_data)
{
    (void)ret_gauges;
    (void)user_data;
}

static void setup(fixture *at, bool measured)
{
    *at = (fixture){.logger = NULL};
    mf_check_int(mf_logger_create(&at->logger, NULL, NULL), MF_OK);
    if (measured) {
        mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    }
    mf_check_int(mfi_observer_create(&at->observer, at->logger, at->metrics, 64, NULL), MF_OK);
}

static void teardown(fixture *at)
{
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
    mf_logger_destroy(at->logger);
}

static double recent_p99(mfi_target *target)
{
    mfi_target_recent recent;
    mfi_target_read_recent(target, mfi_monotonic_ns(), &recent);
    return recent.p99_seconds;
}

static mfi_target *add_client(const fixture *at, const char *name, const char *worker)
{
    mfi_target *target = NULL;
    mfi_client_options options = {.target = name, .worker = worker, .gauges = show_client};
    mf_check_int(mfi_target_create_client(&target, at->observer, &options, NULL), MF_OK);
    return target;
}

static mfi_target *add_server(const fixture *at, const char *name)
{
    mfi_target *target = NULL;
    mfi_server_options options = {.worker = name, .gauges = show_server};
    mf_check_int(mfi_target_create_server(&target, at->observer, &options, NULL), MF_OK);
    return target;
}

/* In the order of their names; those of one name in the order of their making. */
static void test_targets_are_listed(void)
{
    fixture at;
    setup(&at, false);
    mfi_target *m = add_client(&at, "m", "m-0");
    mfi_target *a = add_client(&at, "a", "a-0");
    mfi_target *z = add_server(&at, "z");
    mfi_target *n = add_client(&at, "m", "m-1");
    const mfi_target *order[] = {a, m, n, z};
    const mfi_target *target = at.observer->targets;
    for (size_t i = 0; i < 4; i++, target = target != NULL ? target->next : NULL) {
        mf_check(target == order[i]);
    }
    mf_check(target == NULL);
    mfi_target_destroy(m);
    mf_check(at.observer->targets == a && a->next == n);
    mfi_target_destroy(a);
    mfi_target_destroy(z);
    mf_check(at.observer->targets == n && n->next == NULL);
    mfi_target_destroy(n);
    mf_check(at.observer->targets == NULL);
    mfi_target_destroy(NULL);
    teardown(&at);
}

/* The first 32 names are found again; the others share. */
static void test_functions_are_bounded(void)
{
    fixture at;
    char name[16];
    mfi_function *made[MFI_FUNCTIONS_MAX];
    setup(&at, true);
    mfi_target *target = add_client(&at, "math", "math-0");
    for (int i = 0; i < MFI_FUNCTIONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        mf_check(mfi_target_prepare(target, name));
        made[i] = mfi_target_function(target, name, strlen(name));
        mf_check_str(mfi_function_name(made[i]), name);
        for (int before = 0; before < i; before++) {
            mf_check(made[before] != made[i]);
        }
    }
    mf_check(!mfi_target_prepare(target, "one more"));
    mf_check(mfi_target_function(target, "one more", 8) == &target->other);
    mf_check(mfi_function_name(&target->other) == NULL);
    mf_check(mfi_target_function(target, "f31", 3) == made[31]);
    mf_check(mfi_target_function(target, "f31x", 3) == made[31]); /* by its length */
    mf_check(mfi_target_function(target, "f3", 2) == made[3]);
    mf_check(mfi_target_function(target, NULL, 0) == &target->other);
    mfi_target_destroy(target);
    teardown(&at);
}

/* A call that can be told by a note needs names of fewer than 32 bytes. */
static void test_names_for_notes(void)
{
    static const char fits[] = "a_name_of_31_bytes_is_just_fine";
    static const char too_long[] = "a_name_of_32_bytes_is_too_long__";
    static const struct {
        const char *target, *worker, *function;
        bool has_names;
    } cases[] = {{"t", "t-0", "f", true},       {fits, fits, fits, true},
                 {"t", NULL, "f", true},        {"t", "t-0", too_long, false},
                 {too_long, "t-0", "f", false}, {"t", too_long, "f", false},
                 {"t", "t-0", "", false},       {"t", "", "f", false}};
    fixture at;
    setup(&at, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_target *target = add_client(&at, cases[i].target, cases[i].worker);
        const mfi_function *function =
            mfi_target_function(target, cases[i].function, strlen(cases[i].function));
        mf_check_int(function->has_names, cases[i].has_names);
        if (cases[i].has_names) {
            mf_check_str(function->names.target, cases[i].target);
            mf_check_str(function->names.worker, cases[i].worker != NULL ? cases[i].worker : "");
            mf_check_str(function->names.function, cases[i].function);
        }
        mfi_target_destroy(target);
    }
    teardown(&at);
}

/* ---- Threads ---- */

#define THREADS 4

static void *ask_for_all(void *argument)
{
    mfi_function **found = calloc(MFI_FUNCTIONS_MAX, sizeof *found);
    for (int i = 0; found != NULL && i < MFI_FUNCTIONS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        found[i] = mfi_target_function(argument, name, strlen(name));
    }
    return found;
}

static void test_threads_find_the_same(void)
{
    fixture at;
    pthread_t threads[THREADS];
    void *found[THREADS] = {NULL};
    setup(&at, true);
    mfi_target *target = add_client(&at, "math", "math-0");
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, ask_for_all, target);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &found[i]);
        mf_check(found[i] != NULL &&
                 memcmp(found[0], found[i], MFI_FUNCTIONS_MAX * sizeof(mfi_function *)) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        free(found[i]);
    }
    mfi_target_destroy(target);
    teardown(&at);
}

/* ---- Reading back ---- */

static void end_call(mfi_target *target, const char *function, uint64_t duration_ns,
                     mf_status status)
{
    uint64_t now = mfi_monotonic_ns();
    mfi_client_span span = {.target = target,
                            .function = mfi_target_function(target, function, strlen(function)),
                            .function_name = function,
                            .namespace_name = "default",
                            .start_ns = now - duration_ns,
                            .sent_ns = now - duration_ns,
                            .received_ns = now,
                            .end_ns = now,
                            .attempt = 1,
                            .status = status};
    mfi_observe_client_begin(&span);
    mfi_observe_client_end(&span, NULL);
}

static bool near(double got, double wanted)
{
    return fabs(got / wanted - 1) < 0.011;
}

static void test_reads_all_calls_of_a_target(void)
{
    fixture at;
    mfi_latency read;
    mfi_latency recent;
    setup(&at, true);
    mfi_target *target = add_client(&at, "math", "math-0");
    mfi_target *other = add_client(&at, "other", "other-0");
    mfi_target_read(target, &read, &recent);
    mf_check_int(read.count, 0);
    mf_check_int(recent.count, 0);
    mf_check(isnan(read.mean) && isnan(read.least) && isnan(recent.most) && isnan(recent.p99));
    mf_check(isnan(read.p50) && isnan(recent_p99(target)));
    end_call(target, "add", 1000000, MF_OK);
    end_call(target, "add", 1000000, MF_OK);
    end_call(target, "sub", 2000000, MF_ERR_REMOTE);
    end_call(other, "add", 50000000, MF_OK);
    mfi_target_read(target, &read, &recent);
    mf_check_int(read.count, 3);
    mf_check(near(read.mean, 0.004 / 3) && near(read.p50, 0.001) && near(read.p99, 0.002));
    mf_check(near(read.least, 0.001) && near(read.most, 0.002));
    mf_check_int(recent.count, 3);
    mf_check(near(recent.mean, 0.004 / 3) && near(recent.p50, 0.001) && near(recent.p95, 0.002));
    mf_check(near(recent.least, 0.001) && near(recent.most, 0.002));
    mf_check(near(recent_p99(target), 0.002));
    mf_check(near(recent_p99(other), 0.05));
    mfi_target_destroy(target);
    mfi_target_destroy(other);
    teardown(&at);
}

/* What `_OTHER` has is of many targets, so it is of none. */
static void test_targets_beyond_the_cap_have_no_latencies(void)
{
    fixture at;
    mfi_latency read;
    mfi_latency recent;
    setup(&at, true);
    at.observer->max_targets = 1;
    mfi_target *counted = add_client(&at, "a", "a-0");
    mfi_target *others[] = {add_client(&at, "b", "b-0"), add_client(&at, "c", "c-0")};
    end_call(others[0], "add", 1000000, MF_OK);
    for (int i = 0; i < 2; i++) {
        mfi_target_read(others[i], &read, &recent);
        mf_check_int(read.count, 0);
        mf_check_int(recent.count, 0);
        mf_check(isnan(recent.p50) && isnan(recent_p99(others[i])));
        mfi_target_destroy(others[i]);
    }
    mfi_target_destroy(counted);
    teardown(&at);
}

typedef struct runs_seen {
    char text[256];
    double p50;
} runs_seen;

static void note_runs(const mfi_function_runs *runs, void *user_data)
{
    runs_seen *seen = user_data;
    size_t length = strlen(seen->text);
    (void)snprintf(seen->text + length, sizeof seen->text - length, "%s %d %d|",
                   runs->name != NULL ? runs->name : "(other)", (int)runs->calls,
                   (int)runs->errors);
    seen->p50 = runs->name != NULL ? runs->p50 : seen->p50; /* no handler ran for the others */
}

static void end_run(mfi_target *target, mfi_function *function, mf_status status)
{
    mfi_server_span span = {.target = target,
                            .function = function,
                            .function_name = "f",
                            .namespace_name = "default",
                            .received_ns = 1000,
                            .begun_ns = 2000,
                            .done_ns = 2000 + 4000000,
                            .end_ns = 2000 + 4000000,
                            .has_run = status != MF_ERR_FUNCTION_NOT_FOUND,
                            .status = status};
    mfi_observe_server_begin(&span);
    mfi_observe_server_end(&span, NULL);
}

static void test_visits_runs_of_each_function(void)
{
    fixture at;
    runs_seen seen = {.p50 = 0};
    setup(&at, true);
    mfi_target *target = add_server(&at, "serve");
    mf_check(mfi_target_prepare(target, "never"));
    mfi_function *add = mfi_target_function(target, "add", 3);
    mfi_target_visit_runs(target, note_runs, &seen);
    mf_check_str(seen.text, ""); /* nothing was called */
    end_run(target, add, MF_OK);
    end_run(target, add, MF_OK);
    end_run(target, add, MF_ERR_REMOTE);
    end_run(target, &target->other, MF_ERR_FUNCTION_NOT_FOUND);
    mfi_target_visit_runs(target, note_runs, &seen);
    mf_check_str(seen.text, "add 3 1|(other) 1 1|");
    mf_check(near(seen.p50, 0.004));
    mfi_target_destroy(target);
    teardown(&at);
}

/* Where nothing is measured there is nothing to read, and nothing breaks. */
static void test_without_metrics(void)
{
    fixture at;
    runs_seen seen = {.p50 = 0};
    mfi_latency read;
    mfi_latency recent;
    setup(&at, false);
    mfi_target *client = add_client(&at, "math", "math-0");
    mfi_target *server = add_server(&at, "serve");
    end_call(client, "add", 1000, MF_OK);
    end_run(server, mfi_target_function(server, "add", 3), MF_OK);
    mfi_target_read(client, &read, &recent);
    mf_check_int(read.count, 0);
    mf_check_int(recent.count, 0);
    mf_check(isnan(recent_p99(client)) && isnan(recent_p99(server)));
    mfi_target_visit_runs(server, note_runs, &seen);
    mf_check_str(seen.text, "");
    mfi_target_destroy(client);
    mfi_target_destroy(server);
    teardown(&at);
}

/* ---- Without memory ---- */

static void test_without_memory(void)
{
    fixture at;
    mfi_client_options options = {.target = "math", .worker = "math-0", .gauges = show_client};
    setup(&at, false);
    mfi_target *target = NULL;
    mf_error error = MF_ERROR_INIT;
    for (long n = 0; n < 3; n++) { /* itself and two names */
        mf_alloc_fail_at(n);
        mf_check_int(mfi_target_create_client(&target, at.observer, &options, &error),
                     MF_ERR_NO_MEMORY);
        mf_check(mf_alloc_stop());
        mf_check_str(error.message, "no memory for target 'math'");
        mf_check(target == NULL && at.observer->targets == NULL);
    }
    target = add_client(&at, "math", "math-0");
    for (long n = 0; n < 2; n++) { /* itself and its name: then it shares */
        mf_alloc_fail_at(n);
        mf_check(mfi_target_function(target, "add", 3) == &target->other);
        mf_check(mf_alloc_stop());
    }
    mf_check(mfi_target_function(target, "add", 3) != &target->other);
    mfi_target_destroy(target);
    teardown(&at);
}

static const mf_test tests[] = {
    {"targets__are_listed_by_name", test_targets_are_listed},
    {"functions__beyond_32_share", test_functions_are_bounded},
    {"functions__have_names_for_notes_if_they_fit", test_names_for_notes},
    {"functions__are_the_same_for_all_threads", test_threads_find_the_same},
    {"targets__read_all_their_calls", test_reads_all_calls_of_a_target},
    {"targets__beyond_the_cap_have_no_latencies", test_targets_beyond_the_cap_have_no_latencies},
    {"targets__visit_runs_of_each_function", test_visits_runs_of_each_function},
    {"targets__without_metrics_read_nothing", test_without_metrics},
    {"targets__without_memory_are_not_made", test_without_memory},
};
MF_TEST_MAIN(tests)
