/* The worker's side, in this process: service mode, deadlines, several threads, deferred answers,
 * metadata, and the end. */
#include "child_peer.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/child.h>
#include <multifrost/metrics.h>
#include <multifrost/registry.h>

#include "base/clock.h"
#include "core/engine/deadline.h"

/* ---- A gate that handlers wait at ---- */

static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int inside; /* handlers that wait */
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

static void gate_reset(void)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.open = false;
    gate.inside = 0;
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void gate_open(void)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void gate_wait_inside(int wanted)
{
    (void)pthread_mutex_lock(&gate.mutex);
    while (gate.inside < wanted) {
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    }
    (void)pthread_mutex_unlock(&gate.mutex);
}

static mf_status wait_at_gate(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t number = 0;
    (void)user_data;
    if (mf_request_unpack(request, &number) != MF_OK) {
        return MF_ERR_TYPE;
    }
    (void)pthread_mutex_lock(&gate.mutex);
    gate.inside++;
    (void)pthread_cond_broadcast(&gate.cond);
    while (!gate.open) {
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    }
    (void)pthread_mutex_unlock(&gate.mutex);
    /* The arguments are still this call's, whatever other threads read meanwhile. */
    mf_args args = mf_request_args(request);
    return mf_reply_set(reply, args.items[0]);
}

static mf_status twice(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t number = 0;
    (void)user_data;
    if (mf_request_unpack(request, &number) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, number * 2);
}

static void start_plain(test_worker *worker, int32_t threads)
{
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.threads = threads;
    gate_reset();
    worker_create(worker, &options);
    mf_check_int(mf_child_handle(worker->child, "gate", wait_at_gate, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker->child, "twice", twice, NULL), MF_OK);
    worker_start(worker);
}

/* ---- Service mode ---- */

static mf_status find_service(const char *folder, const char *id, mf_service *ret_service)
{
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = folder;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    mf_status status = mf_registry_find(registry, id, ret_service, NULL);
    mf_registry_destroy(registry);
    return status;
}

typedef struct look {
    const char *folder;
    mf_service service;
} look;

static bool is_registered(void *data)
{
    look *at = data;
    return find_service(at->folder, "worker", &at->service) == MF_OK;
}

static void test_service_registers_what_is_bound_and_unregisters(void)
{
    test_worker worker;
    test_peer peer;
    char folder[512];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    options.registry_directory = folder;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "twice", twice, NULL), MF_OK);
    mf_check_int(mf_child_port(worker.child), 0);
    worker_start(&worker);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, 5000));
    mf_check_int(at.service.port, mf_child_port(worker.child));
    peer_open(&peer, at.service.port);
    peer_call(&peer, "a", "twice", MF_ARGS(21), mf_nil());
    peer_expect_int(&peer, "a", 42);
    peer_shutdown(&peer);
    worker_join(&worker);
    mf_check_int(find_service(folder, "worker", &at.service), MF_ERR_NOT_FOUND);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_service_refuses_a_name_that_is_taken(void)
{
    test_worker first;
    test_worker second;
    char folder[512];
    char text[128];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    options.registry_directory = folder;
    worker_create(&first, &options);
    worker_start(&first);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, 5000));
    worker_create(&second, &options);
    mf_check_int(mf_child_run(second.child, &second.error), MF_ERR_EXISTS);
    (void)snprintf(text, sizeof text,
                   "FATAL: Service 'worker' already running (PID: %lld, port: %u)",
                   (long long)getpid(), (unsigned)mf_child_port(first.child));
    mf_check_str(second.error.message, text);
    mf_child_destroy(second.child);
    mf_runtime_destroy(second.runtime);
    mf_check(is_registered(&at)); /* the loser took nothing out */
    worker_end(&first);
}

static void test_options_are_named_when_they_are_wrong(void)
{
    static const struct {
        const char *name;
        mf_child_options options;
    } wrong[] = {
        {"threads", {.threads = 257}},
        {"threads", {.threads = -1}},
        {"max_queued", {.max_queued = -1}},
        {"max_string_bytes", {.max_string_bytes = -5}},
        {"max_items", {.max_items = INT64_MAX}},
        {"deferred_timeout_ms", {.deferred_timeout_ms = -1}},
        {"lock_timeout_ms", {.lock_timeout_ms = -1}},
        {"bind_address", {.bind_address = "localhost"}},
        {"service_id", {.service_id = "a\nb"}},
        {"namespace_name", {.namespace_name = "\xff"}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mf_child *child = NULL;
        mf_error error = MF_ERROR_INIT;
        mf_child_options options = wrong[i].options;
        options.struct_size = sizeof options;
        options.service_id = options.service_id != NULL ? options.service_id : "x";
        mf_check_int(mf_child_create(&child, &options, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, wrong[i].name);
        mf_check(child == NULL);
    }
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_create(&child, NULL, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "service_id");
}

static void test_answers_go_to_who_asked(void)
{
    test_worker worker;
    test_peer peers[5];
    char id[16];
    start_plain(&worker, 1);
    for (int i = 0; i < 5; i++) {
        peer_open(&peers[i], mf_child_port(worker.child));
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_call(&peers[i % 5], id, "twice", MF_ARGS(i), mf_nil());
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_expect_int(&peers[i % 5], id, 2 * (int64_t)i);
    }
    peer_close(&peers[0]); /* one that goes away harms nobody */
    peer_call(&peers[1], "x", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peers[1], "x", 8);
    for (int i = 1; i < 5; i++) {
        peer_close(&peers[i]);
    }
    worker_end(&worker);
}

/* ---- Deadlines ---- */

static mf_status tell_deadline(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    uint64_t left_ns = mfi_remaining_ns(mfi_deadline_current(), mfi_monotonic_ns());
    int64_t left = mf_request_deadline_ms(request);
    if (left == MF_TIMEOUT_INFINITE) {
        return mf_reply_value(reply, mfi_deadline_current() == MFI_NEVER ? -1 : -2);
    }
    /* What calls made here are bounded by is the same. */
    int64_t apart = left - (int64_t)(left_ns / MFI_NS_PER_MS);
    return mf_reply_value(reply, apart >= 0 && apart <= 1000 ? left : -3);
}

static void test_deadline_is_seen_and_expired_calls_are_refused(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    int64_t left = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "deadline", tell_deadline, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "none", "deadline", MF_NO_ARGS, mf_nil());
    peer_expect_int(&peer, "none", -1);
    peer_call(&peer, "some", "deadline", MF_NO_ARGS, MF_MAP("deadline_ms_left", 60000));
    peer_receive(&peer, &answer);
    mf_check(answer.result != NULL &&
             mf_value_get_int64(mf_document_root(answer.result), &left) == MF_OK);
    mf_check(left > 30000 && left <= 60000);
    answer_free(&answer);
    peer_call(&peer, "late", "deadline", MF_NO_ARGS, MF_MAP("deadline_ms_left", 0));
    peer_expect_error(&peer, "late", "TimeoutError: the caller no longer waits");
    mf_check(mfi_deadline_current() == MFI_NEVER);
    peer_close(&peer);
    worker_end(&worker);
}

static char *metrics_text(mf_runtime *runtime)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    return text;
}

static void test_expired_calls_are_counted(void)
{
    test_worker worker;
    test_peer peer;
    start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "late", "twice", MF_ARGS(1), MF_MAP("deadline_ms_left", -5));
    peer_expect_error(&peer, "late", "TimeoutError: the caller no longer waits");
    /* One whose deadline passes while it runs. */
    peer_call(&peer, "slow", "gate", MF_ARGS(7), MF_MAP("deadline_ms_left", 300));
    gate_wait_inside(1);
    mf_check(peer_hears_nothing(&peer, 350));
    gate_open();
    peer_expect_int(&peer, "slow", 7);
    peer_close(&peer);
    mf_child_stop(worker.child);
    worker_join(&worker);
    char *text = metrics_text(worker.runtime);
    mf_check_contains(text,
                      "server_expired_calls_total{worker=\"worker\",stage=\"before_start\"} 1");
    mf_check_contains(text, "server_expired_calls_total{worker=\"worker\",stage=\"at_reply\"} 1");
    free(text);
    worker_end(&worker);
}

/* ---- Several threads ---- */

static void test_pool_runs_as_many_as_it_has_threads(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    char id[16];
    bool seen[5] = {false};
    start_plain(&worker, 4);
    peer_open(&peer, mf_child_port(worker.child));
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_call(&peer, id, "gate", MF_ARGS(i), mf_nil());
    }
    gate_wait_inside(4);
    peer_heartbeat(&peer, "beat"); /* answered while all are busy */
    peer_receive(&peer, &answer);
    mf_check_str(answer.id, "beat");
    int64_t queued = -1;
    mf_check_int(mf_value_get_int64(
                     mf_value_find(mf_document_root(answer.metadata), "queue_length"), &queued),
                 MF_OK);
    mf_check_int(queued, 1);
    answer_free(&answer);
    gate_open();
    for (int i = 0; i < 5; i++) {
        int64_t number = -1;
        peer_receive(&peer, &answer);
        mf_check(answer.result != NULL &&
                 mf_value_get_int64(mf_document_root(answer.result), &number) == MF_OK);
        mf_check_int(number, strtol(answer.id, NULL, 10));
        mf_check(number >= 0 && number < 5 && !seen[number]);
        seen[number % 5] = true;
        answer_free(&answer);
    }
    peer_close(&peer);
    worker_end(&worker);
}

static void test_pool_answers_many_calls(void)
{
    enum { CALLS = 5000 };
    test_worker worker;
    test_peer peer;
    test_answer answer;
    char id[16];
    int64_t sum = 0;
    start_plain(&worker, 4);
    peer_open(&peer, mf_child_port(worker.child));
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_call(&peer, id, "twice", MF_ARGS(i), mf_nil());
    }
    for (int i = 0; i < CALLS; i++) {
        int64_t number = -1;
        peer_receive(&peer, &answer);
        mf_check(answer.result != NULL &&
                 mf_value_get_int64(mf_document_root(answer.result), &number) == MF_OK);
        mf_check(number == 2 * strtol(answer.id, NULL, 10));
        sum += number;
        answer_free(&answer);
    }
    mf_check_int(sum, (int64_t)CALLS * (CALLS - 1));
    peer_close(&peer);
    worker_end(&worker);
}

static void test_too_many_calls_are_refused(int32_t threads)
{
    test_worker worker;
    test_peer peer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.threads = threads;
    options.max_queued = 2;
    gate_reset();
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "gate", wait_at_gate, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    for (int32_t i = 0; i < threads; i++) {
        peer_call(&peer, "runs", "gate", MF_ARGS(1), mf_nil());
        gate_wait_inside(i + 1);
    }
    peer_call(&peer, "waits", "gate", MF_ARGS(1), mf_nil());
    peer_call(&peer, "waits", "gate", MF_ARGS(1), mf_nil());
    peer_call(&peer, "beyond", "gate", MF_ARGS(1), mf_nil());
    peer_expect_error(&peer, "beyond", "ServerOverloaded: too many calls are waiting");
    gate_open();
    int waited = 0;
    for (int32_t i = 0; i < threads + 2; i++) { /* in any order, where there are threads */
        test_answer answer;
        peer_receive(&peer, &answer);
        mf_check_int(answer.type, MFI_MESSAGE_RESPONSE);
        waited += strcmp(answer.id, "waits") == 0 ? 1 : 0;
        answer_free(&answer);
    }
    mf_check_int(waited, 2);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_queue_is_bounded(void)
{
    test_too_many_calls_are_refused(1);
}

static void test_queue_of_a_pool_is_bounded(void)
{
    test_too_many_calls_are_refused(2);
}

/* ---- The end ---- */

static void stop_with_calls(int32_t threads)
{
    test_worker worker;
    test_peer peer;
    start_plain(&worker, threads);
    peer_open(&peer, mf_child_port(worker.child));
    for (int32_t i = 0; i < threads; i++) {
        peer_call(&peer, "runs", "gate", MF_ARGS(1), mf_nil());
    }
    gate_wait_inside(threads);
    peer_call(&peer, "waits", "gate", MF_ARGS(2), mf_nil());
    peer_shutdown(&peer);
    /* Nobody has to wait for the handlers that run. */
    peer_expect_error(&peer, "waits", "CancelledError: the worker is stopping");
    peer_call(&peer, "late", "twice", MF_ARGS(3), mf_nil());
    peer_expect_error(&peer, "late", "CancelledError: the worker is stopping");
    gate_open();
    for (int32_t i = 0; i < threads; i++) {
        peer_expect_int(&peer, "runs", 1);
    }
    worker_join(&worker);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_stop_finishes_what_runs_and_cancels_the_rest(void)
{
    stop_with_calls(1);
}

static void test_stop_of_a_pool_does_the_same(void)
{
    stop_with_calls(3);
}

/* ---- Deferred answers ---- */

static _Atomic(mf_deferred *) kept;

static mf_status defer(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    (void)mf_reply_metadata(reply, "from", mf_str("handler"));
    mf_deferred *deferred = mf_reply_defer(reply);
    mf_check(deferred != NULL);
    mf_check(mf_reply_defer(reply) == NULL);
    mf_check_int(mf_reply_value(reply, 1), MF_ERR_STATE);
    atomic_store(&kept, deferred);
    return MF_OK;
}

static mf_status defer_and_fail(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)defer(request, reply, user_data);
    return MF_ERR_IO;
}

static bool is_kept(void *data)
{
    (void)data;
    return atomic_load(&kept) != NULL;
}

static mf_deferred *take_kept(void)
{
    mf_check(mf_test_until(is_kept, NULL, 5000));
    return atomic_exchange(&kept, NULL);
}

static void start_deferring(test_worker *worker, int32_t threads, int64_t timeout_ms)
{
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.threads = threads;
    options.deferred_timeout_ms = timeout_ms;
    worker_create(worker, &options);
    mf_check_int(mf_child_handle(worker->child, "defer", defer, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker->child, "defer_and_fail", defer_and_fail, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker->child, "twice", twice, NULL), MF_OK);
    worker_start(worker);
}

static void answer_later(int32_t threads)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    start_deferring(&worker, threads, 0);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "d", "defer", MF_NO_ARGS, mf_nil());
    mf_deferred *deferred = take_kept();
    peer_call(&peer, "t", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peer, "t", 8); /* the thread is free meanwhile */
    mf_check_int(mf_deferred_set(deferred, mf_int(5)), MF_OK);
    peer_receive(&peer, &answer);
    const mf_value *from = mf_value_find(mf_document_root(answer.metadata), "from");
    mf_check(from != NULL && from->length == 7);
    mf_check_str(answer.id, "d");
    answer_free(&answer);
    peer_call(&peer, "e", "defer", MF_NO_ARGS, mf_nil());
    mf_check_int(mf_deferred_error(take_kept(), "KeyError", "no %d", 7), MF_OK);
    peer_expect_error(&peer, "e", "KeyError: no 7");
    peer_call(&peer, "bad", "defer", MF_NO_ARGS, mf_nil());
    mf_check_int(mf_deferred_set(take_kept(), mf_str("\xff")), MF_ERR_INVALID_ARGUMENT);
    peer_receive(&peer, &answer);
    mf_check_str(answer.id, "bad");
    mf_check_contains(answer.error, "ResultError: ");
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_deferred_answer_from_another_thread(void)
{
    answer_later(1);
    answer_later(2);
}

static void test_deferred_answer_times_out(void)
{
    test_worker worker;
    test_peer peer;
    start_deferring(&worker, 1, 50);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "d", "defer", MF_NO_ARGS, mf_nil());
    mf_deferred *deferred = take_kept();
    peer_expect_error(&peer, "d", "TimeoutError: no answer within 50 ms");
    mf_check_int(mf_deferred_set(deferred, mf_int(5)), MF_ERR_TIMEOUT);
    mf_check(peer_hears_nothing(&peer, 20));
    peer_close(&peer);
    worker_end(&worker);
}

static void test_deferred_answer_outlives_the_worker(void)
{
    test_worker worker;
    test_peer peer;
    start_deferring(&worker, 1, 0);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "d", "defer", MF_NO_ARGS, mf_nil());
    mf_deferred *deferred = take_kept();
    mf_child_stop(worker.child);
    peer_expect_error(&peer, "d", "CancelledError: the worker is stopping");
    worker_end(&worker);
    mf_check_int(mf_deferred_set(deferred, mf_int(5)), MF_ERR_CANCELLED);
    peer_close(&peer);
}

static void test_handler_that_defers_and_fails(void)
{
    test_worker worker;
    test_peer peer;
    start_deferring(&worker, 1, 0);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "d", "defer_and_fail", MF_NO_ARGS, mf_nil());
    peer_expect_error(&peer, "d", "RuntimeError: a file or socket operation failed");
    mf_check_int(mf_deferred_set(take_kept(), mf_int(5)), MF_ERR_CANCELLED);
    peer_close(&peer);
    worker_end(&worker);
}

static void *answer_in_thread(void *argument)
{
    (void)mf_deferred_set(argument, mf_int(9));
    return NULL;
}

static mf_status defer_to_thread(mf_request *request, mf_reply *reply, void *user_data)
{
    pthread_t thread;
    (void)request;
    (void)user_data;
    mf_deferred *deferred = mf_reply_defer(reply);
    mf_check_int(pthread_create(&thread, NULL, answer_in_thread, deferred), 0);
    (void)pthread_detach(thread);
    return MF_OK;
}

/* Answers race with the return of the handler, the timer, and the stop: each call has one. */
static void test_deferred_answers_race_with_everything(void)
{
    enum { CALLS = 300 };
    test_worker worker;
    test_peer peer;
    test_answer answer;
    char id[16];
    bool seen[CALLS] = {false};
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.threads = 3;
    options.deferred_timeout_ms = 1;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "defer", defer_to_thread, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_call(&peer, id, "defer", MF_NO_ARGS, mf_nil());
    }
    peer_shutdown(&peer);
    for (int i = 0; i < CALLS; i++) {
        peer_receive(&peer, &answer);
        long number = strtol(answer.id, NULL, 10);
        mf_check(number >= 0 && number < CALLS && !seen[number]);
        seen[number % CALLS] = true;
        answer_free(&answer);
    }
    worker_join(&worker);
    mf_check(peer_hears_nothing(&peer, 20));
    peer_close(&peer);
    worker_end(&worker);
}

/* ---- Metadata, names, builtins ---- */

static mf_status tell(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    char key[16];
    mf_check_int(mf_reply_metadata(reply, "server_queue_us", mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(reply, "", mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(reply, "list", mf_array(NULL, 0)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(reply, "text", mf_str("one")), MF_OK);
    mf_check_int(mf_reply_metadata(reply, "text", mf_str("two")), MF_OK);
    for (int i = 0; i < 15; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        mf_check_int(mf_reply_metadata(reply, key, mf_int(i)), MF_OK);
    }
    mf_check_int(mf_reply_metadata(reply, "k15", mf_int(15)), MF_ERR_LIMIT);
    mf_check_str(mf_request_client_name(request), "test");
    int64_t fails = 0;
    if (mf_request_unpack(request, &fails) != MF_OK || fails != 0) {
        return mf_reply_error(reply, "ValueError", "as asked");
    }
    return MF_OK;
}

static mf_status tell_too_much(mf_request *request, mf_reply *reply, void *user_data)
{
    char text[4096];
    (void)request;
    (void)user_data;
    memset(text, 'x', sizeof text);
    mf_check_int(mf_reply_metadata(reply, "large", mf_str_n(text, sizeof text)), MF_ERR_LIMIT);
    mf_check_int(mf_reply_metadata(reply, "fits", mf_str_n(text, 2000)), MF_OK);
    mf_check_int(mf_reply_metadata(reply, "more", mf_str_n(text, 2100)), MF_ERR_LIMIT);
    return MF_OK;
}

static void test_metadata_goes_with_results_and_errors(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "tell", tell, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "tell_too_much", tell_too_much, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    for (int fails = 0; fails < 2; fails++) {
        peer_call(&peer, "t", "tell", MF_ARGS(fails), mf_nil());
        peer_receive(&peer, &answer);
        mf_check_int(answer.type, fails ? MFI_MESSAGE_ERROR : MFI_MESSAGE_RESPONSE);
        const mf_value *map = mf_document_root(answer.metadata);
        const char *text = "";
        mf_check_int(mf_value_get_str(mf_value_find(map, "text"), &text), MF_OK);
        mf_check_str(text, "two");
        mf_check(mf_value_find(map, "k14") != NULL && mf_value_find(map, "k15") == NULL);
        mf_check(mf_value_find(map, "server_queue_us") != NULL);
        mf_check_int(map->length, 16 + 3);
        answer_free(&answer);
    }
    peer_call(&peer, "m", "tell_too_much", MF_NO_ARGS, mf_nil());
    peer_receive(&peer, &answer);
    mf_check_int(mf_document_root(answer.metadata)->length, 1 + 3);
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

static const mf_value *ask(test_peer *peer, const char *function, test_answer *ret_answer)
{
    static const mf_value nothing = {.type = MF_TYPE_NIL};
    peer_call(peer, "q", function, MF_NO_ARGS, mf_nil());
    peer_receive(peer, ret_answer);
    mf_check_str(ret_answer->error, "");
    return ret_answer->result != NULL ? mf_document_root(ret_answer->result) : &nothing;
}

static bool text_is(const mf_value *value, const char *wanted)
{
    const char *text = NULL;
    return value != NULL && mf_value_get_str(value, &text) == MF_OK && strcmp(text, wanted) == 0;
}

static void test_builtins_tell_about_the_worker(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    for (int i = 0; i < 2; i++) {
        const mf_value *names = ask(&peer, i == 0 ? "list_functions" : "listFunctions", &answer);
        mf_check_int(names->length, 4);
        mf_check(text_is(mf_value_at(names, 0), "gate"));
        mf_check(text_is(mf_value_at(names, 1), "list_functions"));
        mf_check(text_is(mf_value_at(names, 2), "ping"));
        mf_check(text_is(mf_value_at(names, 3), "twice"));
        answer_free(&answer);
    }
    const mf_value *info = ask(&peer, "multifrost.info", &answer);
    mf_check(text_is(mf_value_find(info, "service"), "worker"));
    mf_check(text_is(mf_value_find(info, "protocol"), "comlink_ipc_v3"));
    mf_check(text_is(mf_value_find(info, "language"), "c"));
    int64_t pid = 0;
    mf_check_int(mf_value_get_int64(mf_value_find(info, "pid"), &pid), MF_OK);
    mf_check_int(pid, getpid());
    answer_free(&answer);
    peer_call(&peer, "a", "twice", MF_ARGS(1), mf_nil());
    peer_expect_int(&peer, "a", 2);
    peer_call(&peer, "b", "twice", MF_ARGS("x"), mf_nil());
    peer_receive(&peer, &answer);
    answer_free(&answer);
    const mf_value *stats = ask(&peer, "multifrost.stats", &answer);
    const mf_value *runs = mf_value_find(mf_value_find(stats, "functions"), "twice");
    int64_t calls = 0;
    int64_t errors = 0;
    double p99 = 0;
    mf_check_int(mf_value_get_int64(mf_value_find(runs, "calls"), &calls), MF_OK);
    mf_check_int(mf_value_get_int64(mf_value_find(runs, "errors"), &errors), MF_OK);
    mf_check_int(mf_value_get_double(mf_value_find(runs, "p99"), &p99), MF_OK);
    mf_check_int(calls, 2);
    mf_check_int(errors, 1);
    mf_check(p99 > 0 && p99 < 10);
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_names_that_are_prefixes_or_hold_a_nul(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "a", "twi", MF_ARGS(1), mf_nil());
    peer_expect_error(&peer, "a", "AttributeError: Function 'twi' not found");
    peer_call(&peer, "b", "twicetwice", MF_ARGS(1), mf_nil());
    peer_expect_error(&peer, "b", "AttributeError: Function 'twicetwice' not found");
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mfi_call_fields call = {.id = "c", .function = {"twice\0x", 7}, .timestamp = 1};
    mf_check_int(mfi_encode_call(&buf, &call, NULL), MF_OK);
    peer_send(&peer, buf.data, buf.size);
    mfi_buf_fini(&buf);
    peer_receive(&peer, &answer);
    mf_check_int(answer.type, MFI_MESSAGE_ERROR);
    mf_check_contains(answer.error, "not found");
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

static const mf_test tests[] = {
    {"service__registers_what_is_bound_and_unregisters",
     test_service_registers_what_is_bound_and_unregisters},
    {"service__refuses_a_name_that_is_taken", test_service_refuses_a_name_that_is_taken},
    {"options__are_named_when_they_are_wrong", test_options_are_named_when_they_are_wrong},
    {"service__answers_go_to_who_asked", test_answers_go_to_who_asked},
    {"deadline__is_seen_and_expired_calls_are_refused",
     test_deadline_is_seen_and_expired_calls_are_refused},
    {"deadline__expired_calls_are_counted", test_expired_calls_are_counted},
    {"pool__runs_as_many_as_it_has_threads", test_pool_runs_as_many_as_it_has_threads},
    {"pool__answers_many_calls", test_pool_answers_many_calls},
    {"queue__is_bounded", test_queue_is_bounded},
    {"queue__of_a_pool_is_bounded", test_queue_of_a_pool_is_bounded},
    {"stop__finishes_what_runs_and_cancels_the_rest",
     test_stop_finishes_what_runs_and_cancels_the_rest},
    {"stop__of_a_pool_does_the_same", test_stop_of_a_pool_does_the_same},
    {"deferred__answer_from_another_thread", test_deferred_answer_from_another_thread},
    {"deferred__answer_times_out", test_deferred_answer_times_out},
    {"deferred__answer_outlives_the_worker", test_deferred_answer_outlives_the_worker},
    {"deferred__handler_that_defers_and_fails", test_handler_that_defers_and_fails},
    {"deferred__answers_race_with_everything", test_deferred_answers_race_with_everything},
    {"metadata__goes_with_results_and_errors", test_metadata_goes_with_results_and_errors},
    {"builtins__tell_about_the_worker", test_builtins_tell_about_the_worker},
    {"names__that_are_prefixes_or_hold_a_nul", test_names_that_are_prefixes_or_hold_a_nul},
};

MF_TEST_MAIN(tests)
