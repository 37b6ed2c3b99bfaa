/* Answers that a program gives after its handler has returned. */
#include "child_peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    mf_check(mf_test_until(is_kept, NULL, MF_TEST_PATIENCE_MS));
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
    mf_check_int(mf_child_handle(worker->child, "twice", worker_twice, NULL), MF_OK);
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

/* They count as waiting until they are given. */
static void test_deferred_answers_are_bounded(void)
{
    test_worker worker;
    test_peer peer;
    mf_deferred *open[2];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_queued = 2;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "defer", defer, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    for (int i = 0; i < 2; i++) {
        peer_call(&peer, i == 0 ? "a" : "b", "defer", MF_NO_ARGS, mf_nil());
        open[i] = take_kept();
    }
    peer_call(&peer, "beyond", "twice", MF_ARGS(4), mf_nil());
    peer_expect_error(&peer, "beyond", "ServerOverloaded: too many calls are waiting");
    mf_check_int(mf_deferred_set(open[0], mf_int(5)), MF_OK);
    peer_expect_int(&peer, "a", 5);
    peer_call(&peer, "t", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peer, "t", 8);
    mf_check_int(mf_deferred_set(open[1], mf_int(6)), MF_OK);
    peer_expect_int(&peer, "b", 6);
    peer_close(&peer);
    worker_end(&worker);
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
    peer_call(&peer, "t", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peer, "t", 8); /* nothing was sent before */
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
    void *watch = peer_watch_end(&peer);
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
    mf_check(peer_ends_without_a_message(&peer, watch));
    peer_close(&peer);
    worker_end(&worker);
}

static const mf_test tests[] = {
    {"deferred__answer_from_another_thread", test_deferred_answer_from_another_thread},
    {"deferred__answers_are_bounded", test_deferred_answers_are_bounded},
    {"deferred__answer_times_out", test_deferred_answer_times_out},
    {"deferred__answer_outlives_the_worker", test_deferred_answer_outlives_the_worker},
    {"deferred__handler_that_defers_and_fails", test_handler_that_defers_and_fails},
    {"deferred__answers_race_with_everything", test_deferred_answers_race_with_everything},
};

MF_TEST_MAIN(tests)
