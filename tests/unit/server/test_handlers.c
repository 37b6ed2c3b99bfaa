/* Handlers on several threads, queues with a bound, and the stop of a worker. */
#include "child_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Several threads ---- */

static void test_pool_runs_as_many_as_it_has_threads(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    char id[16];
    bool seen[5] = {false};
    worker_start_plain(&worker, 4);
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
    worker_start_plain(&worker, 4);
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
    mf_check_int(mf_child_handle(worker.child, "gate", worker_gate, NULL), MF_OK);
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

/* By their size, and again once there is room. */
static void too_many_bytes_are_refused(int32_t threads)
{
    char bytes[1500] = "";
    test_worker worker;
    test_peer peer;
    mf_value large = mf_bin(bytes, sizeof bytes);
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.threads = threads;
    options.max_message_bytes = 2048;
    options.max_queued_bytes = 5000; /* of which one peer may have three quarters */
    gate_reset();
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "gate", worker_gate, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    for (int32_t i = 0; i < threads; i++) {
        peer_call(&peer, "runs", "gate", MF_ARGS(1), mf_nil());
        gate_wait_inside(i + 1);
    }
    peer_call(&peer, "waits", "none", MF_ARGS(large), mf_nil());
    peer_call(&peer, "waits", "none", MF_ARGS(large), mf_nil());
    peer_call(&peer, "beyond", "none", MF_ARGS(large), mf_nil());
    peer_expect_error(&peer, "beyond", "ServerOverloaded: too many calls are waiting");
    gate_open();
    for (int32_t i = 0; i < threads + 2; i++) {
        test_answer answer;
        peer_receive(&peer, &answer);
        answer_free(&answer);
    }
    peer_call(&peer, "again", "none", MF_ARGS(large), mf_nil());
    peer_expect_error(&peer, "again", "AttributeError: Function 'none' not found");
    peer_close(&peer);
    worker_end(&worker);
}

static void test_queue_is_bounded_in_bytes(void)
{
    too_many_bytes_are_refused(1);
    too_many_bytes_are_refused(2);
}

/* ---- The end ---- */

static void stop_with_calls(int32_t threads)
{
    test_worker worker;
    test_peer peer;
    worker_start_plain(&worker, threads);
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

static const mf_test tests[] = {
    {"pool__runs_as_many_as_it_has_threads", test_pool_runs_as_many_as_it_has_threads},
    {"pool__answers_many_calls", test_pool_answers_many_calls},
    {"queue__is_bounded", test_queue_is_bounded},
    {"queue__is_bounded_in_bytes", test_queue_is_bounded_in_bytes},
    {"queue__of_a_pool_is_bounded", test_queue_of_a_pool_is_bounded},
    {"stop__finishes_what_runs_and_cancels_the_rest",
     test_stop_finishes_what_runs_and_cancels_the_rest},
    {"stop__of_a_pool_does_the_same", test_stop_of_a_pool_does_the_same},
};

MF_TEST_MAIN(tests)
