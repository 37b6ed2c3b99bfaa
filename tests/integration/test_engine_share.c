/* Nobody holds the engine thread: deadlines and a stop come while callbacks make calls without end
 * and while a worker prints without end, and a call that has ended gives its slot back although the
 * queue cannot move. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "mf_test.h"
#include "parents.h"

#define CALLBACK_NS 50000
#define WAITING_THREADS 4
#define CHAINS 512 /* so many that their answers are back before the last callback has run */

typedef struct load {
    mf_parent *parent;
    _Atomic(bool) over;     /* set when what was waited for has come */
    _Atomic(uint64_t) work; /* callbacks so far */
    _Atomic(uint32_t) chains;
} load;

/* Keeps the thread busy, as a callback does that works. */
static void be_busy(void)
{
    struct timespec from, now;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < CALLBACK_NS);
}

/* Each answer makes the next call, until the load is over. */
static void call_again(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    load *at = user_data;
    (void)status;
    (void)error;
    mf_result_destroy(result);
    be_busy();
    atomic_fetch_add(&at->work, 1);
    bool goes_on = !atomic_load(&at->over) && mf_call_async(at->parent, "add", MF_ARGS(1, 2), NULL,
                                                            call_again, at, NULL) == MF_OK;
    if (!goes_on) {
        atomic_fetch_sub(&at->chains, 1);
    }
}

static void begin_chains(load *at)
{
    for (int i = 0; i < CHAINS; i++) {
        atomic_fetch_add(&at->chains, 1);
        mf_check_int(mf_call_async(at->parent, "add", MF_ARGS(1, 2), NULL, call_again, at, NULL),
                     MF_OK);
    }
}

static void *call_until_over(void *argument)
{
    load *at = argument;
    while (!atomic_load(&at->over) &&
           mf_call(at->parent, "add", MF_ARGS(1, 2), NULL, NULL) == MF_OK) {
    }
    return NULL;
}

static void *call_once(void *argument)
{
    load *at = argument;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = MF_TIMEOUT_INFINITE;
    mf_check_int(mf_call_with(at->parent, "add", MF_ARGS(1, 2), &options, NULL, NULL),
                 MF_ERR_CANCELLED);
    return NULL;
}

static bool no_chain_is_left(void *data)
{
    load *at = data;
    return atomic_load(&at->chains) == 0;
}

static bool has_worked(void *data)
{
    load *at = data;
    return atomic_load(&at->work) > CHAINS;
}

/* The call's end comes by the engine's timer alone: nobody answers it, and nobody waits for it. */
static void expect_deadline(mf_parent *silent)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = 100;
    mf_check_int(mf_call_future(silent, "add", MF_ARGS(1, 2), &options, &future, &error), MF_OK);
    mf_check_int(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, &error), MF_ERR_TIMEOUT);
    mf_check_contains(error.message, "timed out after 100 ms");
    mf_future_destroy(future);
}

static void test_deadlines_come_while_callbacks_call(void)
{
    load at = {0};
    pthread_t threads[WAITING_THREADS];
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    at.parent = start(&options);
    options.target = "silent";
    options.heartbeat_interval_ms = MF_DISABLED;
    mf_parent *silent = start(&options);
    stop_worker(silent);
    begin_chains(&at);
    for (int i = 0; i < WAITING_THREADS; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, call_until_over, &at), 0);
    }
    mf_check(mf_test_until(has_worked, &at, MF_TEST_PATIENCE_MS));
    expect_deadline(silent);
    mf_check_int(atomic_load(&at.chains), CHAINS); /* the load went on all the time */
    /* A stop comes too; it ends the load. */
    mf_check_int(mf_parent_stop(at.parent, &error), MF_OK);
    atomic_store(&at.over, true);
    for (int i = 0; i < WAITING_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mf_check(mf_test_until(no_chain_is_left, &at, MF_TEST_PATIENCE_MS));
    continue_worker(silent);
    mf_parent_destroy(silent);
    mf_parent_destroy(at.parent);
    mf_runtime_destroy(runtime);
}

static void on_output(const char *text, size_t length, bool is_stderr, void *user_data)
{
    load *at = user_data;
    (void)text;
    (void)length;
    (void)is_stderr;
    be_busy();
    atomic_fetch_add(&at->work, 1);
}

static void test_a_stop_comes_while_a_worker_prints(void)
{
    load at = {0};
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    options.target = "silent";
    options.heartbeat_interval_ms = MF_DISABLED;
    mf_parent *silent = start(&options);
    stop_worker(silent);
    options.target = "printer";
    options.on_output = on_output;
    options.user_data = &at;
    at.parent = start(&options);
    /* More lines than the callback shows within the patience of this test. */
    mf_check_int(
        mf_call_async(at.parent, "print_lines", MF_ARGS(1000000000), NULL, call_again, &at, &error),
        MF_OK);
    atomic_store(&at.over, true); /* its end makes no other call */
    atomic_store(&at.chains, 1);
    /* It waits for the worker, drives meanwhile, and so refills what the engine thread works off.
     */
    pthread_t thread;
    mf_check_int(pthread_create(&thread, NULL, call_once, &at), 0);
    mf_check(mf_test_until(has_worked, &at, MF_TEST_PATIENCE_MS));
    expect_deadline(silent);
    uint64_t before = atomic_load(&at.work);
    mf_check_int(mf_parent_stop(at.parent, &error), MF_OK);
    mf_check(atomic_load(&at.work) > before); /* the worker printed until it was stopped */
    (void)pthread_join(thread, NULL);
    continue_worker(silent);
    mf_parent_destroy(silent);
    mf_parent_destroy(at.parent);
    mf_runtime_destroy(runtime);
}

/* ---- Slots of calls that cannot leave ---- */

static const char *const never_connects[] = {"-c", "exec sleep 600", NULL};

typedef struct attempt {
    mf_parent *parent;
    mf_future *future;
    mf_status status;
} attempt;

/* A slot comes back soon after its call has ended, and nothing tells of it. */
static bool is_taken(void *data)
{
    attempt *at = data;
    at->status = mf_call_future(at->parent, "add", MF_ARGS(1, 2), NULL, &at->future, NULL);
    return at->status != MF_ERR_TOO_MANY_CALLS;
}

static void cancel_all(attempt *calls, int count)
{
    for (int i = 0; i < count; i++) {
        mf_future_cancel(calls[i].future);
        mf_check_int(mf_future_wait(calls[i].future, MF_TEST_PATIENCE_MS, NULL, NULL),
                     MF_ERR_CANCELLED);
        mf_future_destroy(calls[i].future);
    }
}

static void test_cancelled_calls_give_their_slots_back_before_the_start(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = worker_options();
    options.program = "/bin/sh"; /* never connects */
    options.args = never_connects;
    options.max_in_flight = 16;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    for (int round = 0; round < 20; round++) { /* many more calls than there are slots */
        attempt calls[16] = {{NULL, NULL, MF_OK}};
        for (int i = 0; i < 16; i++) {
            calls[i].parent = parent;
            mf_check(mf_test_until(is_taken, &calls[i], MF_TEST_PATIENCE_MS));
            mf_check_int(calls[i].status, MF_OK);
        }
        cancel_all(calls, 16);
    }
    mf_parent_destroy(parent);
}

typedef struct timed {
    mf_parent *parent;
    const mf_call_options *options;
    mf_status status;
} timed;

static bool is_timed_out(void *data)
{
    timed *at = data;
    at->status = mf_call_with(at->parent, "add", MF_ARGS(1, 2), at->options, NULL, NULL);
    return at->status != MF_ERR_TOO_MANY_CALLS;
}

static void test_timed_out_calls_give_their_slots_back_before_the_start(void)
{
    enum { CALLS = 200 };
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = worker_options();
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    call.timeout_ms = 1;
    options.program = "/bin/sh";
    options.args = never_connects;
    options.circuit_failures = MF_DISABLED;
    options.max_in_flight = 16;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    for (int i = 0; i < CALLS; i++) {
        timed at = {parent, &call, MF_OK};
        mf_check(mf_test_until(is_timed_out, &at, MF_TEST_PATIENCE_MS));
        mf_check_int(at.status, MF_ERR_TIMEOUT);
    }
    mf_parent_destroy(parent);
}

static const mf_test tests[] = {
    {"engine_share__deadlines_come_while_callbacks_call", test_deadlines_come_while_callbacks_call},
    {"engine_share__a_stop_comes_while_a_worker_prints", test_a_stop_comes_while_a_worker_prints},
    {"engine_share__cancelled_calls_give_their_slots_back_before_the_start",
     test_cancelled_calls_give_their_slots_back_before_the_start},
    {"engine_share__timed_out_calls_give_their_slots_back_before_the_start",
     test_timed_out_calls_give_their_slots_back_before_the_start},
};
MF_TEST_MAIN(tests)
