/* A steady state allocates nothing. Caller and worker are in this one process with the library
 * linked statically, so that its allocations are counted and those of libzmq are not. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <multifrost/multifrost.h>

#include "mf_alloc.h"
#include "mf_test.h"

#define CALLS 3000
#define IN_FLIGHT 64
#define ROUNDS 30

typedef struct pair {
    mf_runtime *runtime;
    mf_child *child;
    mf_parent *parent;
    pthread_t thread;
    char home[256], registry[300], log[300];
    /* Of a run of asynchronous calls: the engine thread's, but for its begin and end. */
    unsigned to_start, failed;
    _Atomic(unsigned) to_end;
} pair;

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a = 0;
    int64_t b = 0;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, a + b);
}

static mf_status greet(mf_request *request, mf_reply *reply, void *user_data)
{
    const char *name = NULL;
    (void)user_data;
    if (mf_request_unpack(request, &name) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, name);
}

static void *run_child(void *argument)
{
    pair *at = argument;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_run(at->child, &error), MF_OK);
    return NULL;
}

static pair *start(bool logs)
{
    pair *at = calloc(1, sizeof *at);
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime_options = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options child_options = MF_CHILD_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    static int count;
    (void)snprintf(at->home, sizeof at->home, "%s/home%d", mf_test_temp_dir(), count++);
    (void)snprintf(at->registry, sizeof at->registry, "%s/.multifrost", at->home);
    (void)snprintf(at->log, sizeof at->log, "%s/log", at->home);
    mf_check_int(mkdir(at->home, 0700), 0);
    runtime_options.log_file = logs ? at->log : NULL;
    mf_check_int(mf_runtime_create(&at->runtime, &runtime_options, &error), MF_OK);
    child_options.runtime = at->runtime;
    child_options.service_id = "math";
    child_options.registry_directory = at->registry;
    child_options.no_signals = true;
    child_options.no_output_capture = true;
    mf_check_int(mf_child_create(&at->child, &child_options, &error), MF_OK);
    mf_child_handle(at->child, "add", add, NULL);
    mf_child_handle(at->child, "greet", greet, NULL);
    mf_check_int(pthread_create(&at->thread, NULL, run_child, at), 0);
    options.runtime = at->runtime;
    options.service_id = "math";
    options.registry_directory = at->registry;
    options.heartbeat_interval_ms = MF_DISABLED;
    mf_check_int(mf_parent_create(&at->parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(at->parent, &error), MF_OK);
    mf_check_str(error.message, "");
    return at;
}

static void stop(pair *at)
{
    mf_parent_destroy(at->parent);
    mf_child_stop(at->child);
    pthread_join(at->thread, NULL);
    mf_child_destroy(at->child);
    mf_runtime_destroy(at->runtime);
    free(at);
}

/* ---- What callers do ---- */

static void call_and_wait(pair *at)
{
    for (int i = 0; i < CALLS; i++) {
        mf_result *sum = NULL;
        mf_result *text = NULL;
        mf_check_int(mf_call(at->parent, "add", MF_ARGS(1, i), &sum, NULL), MF_OK);
        mf_check_int(mf_result_int(sum), i + 1);
        mf_check_int(mf_call(at->parent, "greet", MF_ARGS("somebody"), &text, NULL), MF_OK);
        mf_check_str(mf_result_str(text), "somebody");
        mf_result_destroy(sum);
        mf_result_destroy(text);
    }
}

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data);

static void start_one(pair *at)
{
    if (mf_call_async(at->parent, "add", MF_ARGS(1, 2), NULL, on_end, at, NULL) != MF_OK) {
        at->failed++;
    }
}

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    pair *at = user_data;
    (void)error;
    at->failed += status != MF_OK || mf_result_int(result) != 3;
    mf_result_destroy(result);
    if (at->to_start > 0) {
        at->to_start--;
        start_one(at);
    }
    atomic_fetch_sub(&at->to_end, 1);
}

/* The first ones in one go, then one for each that ends; the last one of a second kind of call is
 * waited for, so nothing is polled. */
static void call_and_go_on(pair *at)
{
    mf_future *last = NULL;
    at->to_start = CALLS - IN_FLIGHT;
    atomic_store(&at->to_end, CALLS);
    for (int i = 0; i < IN_FLIGHT; i++) {
        start_one(at);
    }
    while (atomic_load(&at->to_end) > 0) {
        mf_check_int(mf_call_future(at->parent, "add", MF_ARGS(3, 4), NULL, &last, NULL), MF_OK);
        mf_check_int(mf_future_wait(last, MF_TIMEOUT_INFINITE, NULL, NULL), MF_OK);
        mf_future_destroy(last);
    }
    mf_check_int(at->failed, 0);
}

/* 0 if three rounds of calls in a row have no allocation: at first tables and caches grow to what
 * is needed at once, which depends on how threads meet. Else those of the last round, and one. */
static long settles_at(pair *at, void (*calls)(pair *at))
{
    long made = 1;
    int in_row = 0;
    for (int round = 0; round < ROUNDS && in_row < 3; round++) {
        long before = mf_alloc_count();
        calls(at);
        made = mf_alloc_count() - before;
        in_row = made == 0 ? in_row + 1 : 0;
    }
    return in_row == 3 ? 0 : made + 1;
}

static void test_counts_at_all(void)
{
    long before = mf_alloc_count();
    pair *at = start(false);
    mf_check(mf_alloc_count() > before + 10);
    stop(at);
}

static void test_waiting_calls(void)
{
    pair *at = start(false);
    mf_check_int(settles_at(at, call_and_wait), 0);
    stop(at);
}

static void test_asynchronous_calls(void)
{
    pair *at = start(false);
    mf_check_int(settles_at(at, call_and_go_on), 0);
    stop(at);
}

static void test_logged_calls(void)
{
    pair *at = start(true);
    mf_check_int(settles_at(at, call_and_wait), 0);
    stop(at);
}

static const mf_test tests[] = {
    {"counting__sees_the_library", test_counts_at_all},
    {"steady_state__waiting_calls_allocate_nothing", test_waiting_calls},
    {"steady_state__asynchronous_calls_allocate_nothing", test_asynchronous_calls},
    {"steady_state__logged_calls_allocate_nothing", test_logged_calls},
};
MF_TEST_MAIN(tests)
