/* The engine works with another transport in libzmq's place. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#include <multifrost/call.h>
#include <multifrost/child.h>
#include <multifrost/parent.h>

#include "core/runtime/runtime.h"
#include "memory_messaging.h"
#include "mf_test.h"

#define CALLS 2000

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

/* A handler that runs until it is told to go on. */
static sem_t begun, go_on;

static mf_status hold(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    sem_post(&begun);
    while (sem_wait(&go_on) != 0) {
    }
    return mf_reply_value(reply, 1);
}

static void *run_child(void *child)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_run(child, &error), MF_OK);
    return NULL;
}

typedef struct both {
    mf_runtime *runtime;
    mf_child *child;
    mf_parent *parent;
    pthread_t thread;
} both;

static both start(int threads)
{
    static int count;
    static char folder[512];
    both at = {NULL};
    mf_error error = MF_ERROR_INIT;
    mf_child_options worker = MF_CHILD_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s/registry%d", mf_test_temp_dir(), count++);
    mf_check_int(mf_runtime_create(&at.runtime, NULL, &error), MF_OK);
    at.runtime->messaging->destroy(at.runtime->messaging);
    at.runtime->messaging = memory_messaging_create();
    worker.runtime = at.runtime;
    worker.service_id = "math";
    worker.registry_directory = folder;
    worker.no_signals = true;
    worker.no_output_capture = true;
    worker.threads = threads;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    mf_check_int(mf_child_create(&at.child, &worker, &error), MF_OK);
    mf_child_handle(at.child, "add", add, NULL);
    mf_child_handle(at.child, "hold", hold, NULL);
    mf_check_int(pthread_create(&at.thread, NULL, run_child, at.child), 0);
    options.runtime = at.runtime;
    options.service_id = "math";
    options.heartbeat_interval_ms = MF_DISABLED; /* nothing wakes the driver by chance */
    options.registry_directory = folder;
    mf_check_int(mf_parent_create(&at.parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(at.parent, &error), MF_OK);
    mf_check_str(error.message, "");
    return at;
}

static void stop(const both *at)
{
    mf_parent_destroy(at->parent);
    mf_child_stop(at->child);
    pthread_join(at->thread, NULL);
    mf_child_destroy(at->child);
    mf_runtime_destroy(at->runtime);
}

static void check_sum(mf_parent *parent, int64_t number)
{
    mf_result *sum = NULL;
    mf_check_int(mf_call(parent, "add", MF_ARGS(number, 1), &sum, NULL), MF_OK);
    mf_check_int(mf_result_int(sum), number + 1);
    mf_result_destroy(sum);
}

static void test_waiting_calls(void)
{
    both at = start(1);
    mf_error error = MF_ERROR_INIT;
    for (int i = 0; i < CALLS; i++) {
        check_sum(at.parent, i);
    }
    mf_check_int(mf_call(at.parent, "add", MF_ARGS("one"), NULL, &error), MF_ERR_REMOTE);
    mf_check_int(mf_call(at.parent, "nothing", MF_NO_ARGS, NULL, &error),
                 MF_ERR_FUNCTION_NOT_FOUND);
    stop(&at);
}

static void *call_all(void *parent)
{
    for (int i = 0; i < CALLS; i++) {
        check_sum(parent, i);
    }
    return NULL;
}

static void test_several_callers_and_futures(void)
{
    both at = start(1);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, call_all, at.parent), 0);
    }
    for (int i = 0; i < CALLS; i++) {
        mf_future *future = NULL;
        mf_result *sum = NULL;
        mf_check_int(mf_call_future(at.parent, "add", MF_ARGS(i, i), NULL, &future, NULL), MF_OK);
        mf_check_int(mf_future_wait(future, 60000, &sum, NULL), MF_OK);
        mf_check_int(mf_result_int(sum), 2 * i);
        mf_result_destroy(sum);
        mf_future_destroy(future);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    stop(&at);
}

/* A worker that ends answers what it has; then there is nobody any more. */
static void test_the_peer_goes_away(void)
{
    both at = start(1);
    mf_error error = MF_ERROR_INIT;
    check_sum(at.parent, 1);
    mf_child_stop(at.child);
    pthread_join(at.thread, NULL);
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = 200;
    mf_status status = mf_call_with(at.parent, "add", MF_ARGS(1, 2), &options, NULL, &error);
    mf_check(status != MF_OK);
    mf_check(error.message[0] != '\0');
    mf_parent_destroy(at.parent);
    mf_child_destroy(at.child);
    mf_runtime_destroy(at.runtime);
}

/* ---- Wake-ups ---- */

typedef struct chain {
    mf_parent *parent;
    sem_t in_callback, leave_callback, second_ended;
} chain;

static void second_ended(mf_status status, mf_result *result, const mf_error *error,
                         void *user_data)
{
    chain *at = user_data;
    (void)error;
    mf_check_int(status, MF_OK);
    mf_result_destroy(result);
    sem_post(&at->second_ended);
}

static void first_ended(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    chain *at = user_data;
    (void)error;
    mf_check_int(status, MF_OK);
    mf_result_destroy(result);
    sem_post(&at->in_callback);
    sem_wait(&at->leave_callback);
    mf_check_int(mf_call_async(at->parent, "add", MF_ARGS(1, 2), NULL, second_ended, at, NULL),
                 MF_OK);
}

static void ignored(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)status;
    (void)error;
    (void)user_data;
    mf_result_destroy(result);
}

static void *call_hold(void *parent)
{
    mf_check_int(mf_call(parent, "hold", MF_NO_ARGS, NULL, NULL), MF_OK);
    return NULL;
}

static bool has_ended(void *data)
{
    return sem_trywait(data) == 0;
}

/* While the engine thread is in a callback, a turn of it is posted, and then another thread takes
 * the socket over and sleeps: a call that the callback makes is sent all the same. */
static void test_a_callback_is_heard_by_who_drives(void)
{
    both at = start(2);
    pthread_t holder;
    chain calls = {.parent = at.parent};
    sem_init(&calls.in_callback, 0, 0);
    sem_init(&calls.leave_callback, 0, 0);
    sem_init(&calls.second_ended, 0, 0);
    mf_check_int(mf_call_async(at.parent, "add", MF_ARGS(1, 2), NULL, first_ended, &calls, NULL),
                 MF_OK);
    sem_wait(&calls.in_callback);
    mf_check_int(mf_call_async(at.parent, "add", MF_ARGS(1, 2), NULL, ignored, NULL, NULL), MF_OK);
    mf_check_int(pthread_create(&holder, NULL, call_hold, at.parent), 0);
    sem_wait(&begun);
    sem_post(&calls.leave_callback);
    mf_check(mf_test_until(has_ended, &calls.second_ended, MF_TEST_PATIENCE_MS));
    sem_post(&go_on);
    pthread_join(holder, NULL);
    stop(&at);
}

/* Calls that the worker took together with one that runs long are cancelled when it is stopped. */
static void test_stopping_cancels_what_was_taken(void)
{
    both at = start(1);
    mf_future *futures[3] = {NULL};
    mf_error error = MF_ERROR_INIT;
    const char *const names[] = {"hold", "hold", "add"};
    for (int i = 0; i < 3; i++) {
        mf_check_int(mf_call_future(at.parent, names[i], MF_ARGS(1, 2), NULL, &futures[i], &error),
                     MF_OK);
        if (i == 0) {
            sem_wait(&begun); /* the other two wait behind it, and are taken together */
        }
    }
    uint64_t rtt_ns = 0;
    mf_check_int(mf_parent_heartbeat(at.parent, MF_TEST_PATIENCE_MS, &rtt_ns, &error),
                 MF_OK); /* both are there */
    sem_post(&go_on);
    sem_wait(&begun);
    mf_child_stop(at.child);
    mf_check_int(mf_future_wait(futures[2], MF_TEST_PATIENCE_MS, NULL, &error), MF_ERR_REMOTE);
    mf_check_str(error.remote_type, "CancelledError");
    mf_check(!mf_future_is_done(futures[1]));
    sem_post(&go_on);
    mf_check_int(mf_future_wait(futures[1], MF_TEST_PATIENCE_MS, NULL, &error), MF_OK);
    for (int i = 0; i < 3; i++) {
        mf_future_destroy(futures[i]);
    }
    stop(&at);
}

static const mf_test tests[] = {
    {"transport__waiting_calls", test_waiting_calls},
    {"transport__several_callers_and_futures", test_several_callers_and_futures},
    {"transport__the_peer_goes_away", test_the_peer_goes_away},
    {"transport__a_callback_is_heard_by_who_drives", test_a_callback_is_heard_by_who_drives},
    {"transport__stopping_cancels_what_was_taken", test_stopping_cancels_what_was_taken},
};
MF_TEST_MAIN(tests)
