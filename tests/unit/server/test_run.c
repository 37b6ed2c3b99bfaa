/* The run of a worker in this process: how it begins, what ends it, and what it leaves. */
#include "child_peer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/runtime.h"

/* ---- What refuses to run ---- */

static void test_a_child_runs_once(void)
{
    test_worker worker;
    mf_error error = MF_ERROR_INIT;
    worker_start_plain(&worker, 1);
    mf_child_stop(worker.child);
    worker_join(&worker);
    mf_check_int(mf_child_run(worker.child, &error), MF_ERR_STATE);
    mf_check_str(error.message, "a child runs once, and not from a callback");
    worker_end(&worker);
}

static void run_on_engine(void *argument)
{
    test_worker *worker = argument;
    worker->status = mf_child_run(worker->child, &worker->error);
}

static void test_the_engine_thread_runs_no_child(void)
{
    test_worker worker;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mfi_loop_call(worker.runtime->loop, run_on_engine, &worker);
    mf_check_int(worker.status, MF_ERR_STATE);
    mf_check_contains(worker.error.message, "not from a callback");
    memset(&worker.error, 0, sizeof worker.error);
    worker_start(&worker); /* that was no run */
    worker_end(&worker);
}

/* ---- What ends it ---- */

static void count_stop(void *user_data)
{
    ++*(int *)user_data;
}

/* A worker that was told to stop before takes no call, and ends at once. */
static void test_a_stop_before_the_run_counts(void)
{
    test_worker worker;
    int stops = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.on_stop = count_stop;
    options.user_data = &stops;
    worker_create(&worker, &options);
    mf_child_stop(worker.child);
    mf_check_int(mf_child_run(worker.child, &worker.error), MF_OK);
    mf_check_int(stops, 1);
    worker_end(&worker);
    mf_check_int(stops, 1);
}

static void test_shutdown_ends_the_run(void)
{
    test_worker worker;
    test_peer peer;
    int stops = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.on_stop = count_stop;
    options.user_data = &stops;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "a", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peer, "a", 8);
    peer_shutdown(&peer);
    worker_join(&worker);
    mf_check_int(stops, 1);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_a_failed_start_leaves_nothing_open(void)
{
    test_worker first;
    test_worker second;
    int stops = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_start_plain(&first, 1);
    options.port = mf_child_port(first.child);
    options.on_stop = count_stop;
    options.user_data = &stops;
    worker_create(&second, &options);
    mf_check(mf_child_run(second.child, &second.error) != MF_OK);
    mf_check(second.error.message[0] != '\0');
    mf_check_int(stops, 1);
    memset(&second.error, 0, sizeof second.error);
    worker_end(&second);
    worker_end(&first);
}

/* ---- Standard streams ---- */

/* A program that was started without a stdout gets another descriptor under its number. If that
 * were the engine's, catching the output would replace it. */
static void test_a_program_without_stdout_serves(void)
{
    test_worker worker;
    test_peer peer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    (void)fflush(stdout);
    (void)close(STDOUT_FILENO);
    worker_create(&worker, &options);
    mf_child_destroy(worker.child);
    options.no_output_capture = false;
    mf_check_int(mf_child_create(&worker.child, &options, &worker.error), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "a", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peer, "a", 8);
    peer_close(&peer);
    worker_end(&worker);
    (void)dup2(kept, STDOUT_FILENO);
    (void)close(kept);
}

/* ---- Signals ---- */

static void ignore_signal(int number)
{
    (void)number;
}

static void (*handler_of(int number))(int)
{
    struct sigaction action;
    (void)sigaction(number, NULL, &action);
    return action.sa_handler;
}

static void create_with_signals(test_worker *worker)
{
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(worker, &options); /* whose children have none */
    mf_child_destroy(worker->child);
    options.no_signals = false;
    mf_check_int(mf_child_create(&worker->child, &options, &worker->error), MF_OK);
}

static void check_signal_ends_the_run(int number)
{
    test_worker worker;
    (void)signal(number, ignore_signal);
    create_with_signals(&worker);
    worker_start(&worker);
    mf_check(handler_of(number) != ignore_signal);
    (void)raise(number);
    worker_join(&worker);
    mf_check(handler_of(number) == ignore_signal); /* as before */
    (void)signal(number, SIG_DFL);
    worker_end(&worker);
}

static void test_signals_end_the_run(void)
{
    check_signal_ends_the_run(SIGTERM);
    check_signal_ends_the_run(SIGINT);
}

static void test_without_signals_they_stay_the_programs(void)
{
    test_worker worker;
    (void)signal(SIGTERM, ignore_signal);
    worker_start_plain(&worker, 1);
    mf_check(handler_of(SIGTERM) == ignore_signal);
    worker_end(&worker);
    (void)signal(SIGTERM, SIG_DFL);
}

/* The first child has the signals. The second one leaves them alone, and runs on when one comes. */
static void test_one_child_of_a_process_has_the_signals(void)
{
    test_worker first;
    test_worker second;
    test_peer peer;
    create_with_signals(&first);
    worker_start(&first);
    void (*taken)(int) = handler_of(SIGTERM);
    create_with_signals(&second);
    mf_check_int(mf_child_handle(second.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&second);
    (void)raise(SIGTERM);
    worker_join(&first);
    mf_check(handler_of(SIGTERM) == SIG_DFL && taken != SIG_DFL);
    peer_open(&peer, mf_child_port(second.child));
    peer_call(&peer, "a", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peer, "a", 8);
    peer_close(&peer);
    worker_end(&second);
    worker_end(&first);
}

static const mf_test tests[] = {
    {"run__comes_once", test_a_child_runs_once},
    {"run__is_not_for_the_engine_thread", test_the_engine_thread_runs_no_child},
    {"run__a_stop_before_it_counts", test_a_stop_before_the_run_counts},
    {"run__shutdown_ends_it", test_shutdown_ends_the_run},
    {"run__a_failed_start_leaves_nothing_open", test_a_failed_start_leaves_nothing_open},
    {"run__of_a_program_without_stdout", test_a_program_without_stdout_serves},
    {"run__signals_end_it", test_signals_end_the_run},
    {"run__without_signals_they_stay_the_programs", test_without_signals_they_stay_the_programs},
    {"run__one_child_of_a_process_has_the_signals", test_one_child_of_a_process_has_the_signals},
};

MF_TEST_MAIN(tests)
