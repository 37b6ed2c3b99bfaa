/* Restarts that a program asks for: calls are held back, those that were sent are waited for, and
 * the peer is replaced. */
#include <string.h>

#include "client_rig.h"

/* A parent that is ready, with one call that its peer has and does not answer yet. */
static void init_called(client_rig *rig, int64_t stop_timeout_ms, rig_message *call,
                        rig_outcome *outcome)
{
    mf_parent_options options;
    rig_options(&options);
    options.stop_timeout_ms = stop_timeout_ms;
    rig_init(rig, &options, true);
    rig_start(rig);
    rig_call(rig, "first", outcome);
    rig_take(rig, call, MFI_MESSAGE_CALL, "first");
}

static void check_ready_again(client_rig *rig, rig_request *restart)
{
    rig_message beat;
    rig_take(rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(rig, &beat);
    mf_check_int(rig_request_end(restart), MF_OK);
    mf_check_int(mf_parent_get_state(rig->parent), MF_PARENT_READY);
    mf_check_int(rig_phase(rig), MFI_LIFE_RUNNING);
}

/* The peer gets nothing new until it was replaced. */
static void test_calls_are_held_and_waited_for(void)
{
    client_rig rig;
    rig_message call;
    rig_message held;
    rig_outcome first;
    rig_outcome second;
    rig_request restart;
    init_called(&rig, MF_TEST_PATIENCE_MS, &call, &first);
    rig_restart_begin(&rig, &restart);
    mf_check(rig_until_phase(&rig, MFI_LIFE_DRAINING));
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_RESTARTING);
    rig_call(&rig, "second", &second);
    mf_check_int(atomic_load(&rig.ends), 0);
    mfi_route route;
    mfi_message none = {.data = NULL};
    mf_check_int(rig_phase(&rig), MFI_LIFE_DRAINING); /* tasks of before have run */
    mf_check_int(rig.peer->ops->receive(rig.peer, &route, &none), MFI_IO_AGAIN);
    rig_answer(&rig, &call);
    mf_check_int(rig_await(&first), MF_OK);
    mf_check(rig_until(&rig.ends, 1));
    mf_check_int(atomic_load(&rig.messages), 0);
    mf_check_int(rig_phase(&rig), MFI_LIFE_REPLACING);
    mf_check_int(atomic_load(&rig.begins), 1);
    rig_exit(&rig, "exited with status 0");
    rig_take(&rig, &held, MFI_MESSAGE_CALL, "second");
    rig_answer(&rig, &held);
    mf_check_int(rig_await(&second), MF_OK);
    check_ready_again(&rig, &restart);
    mf_check_int(atomic_load(&rig.begins), 2);
    mf_check_int(atomic_load(&rig.closes), 1);
    rig_fini(&rig);
}

static void test_nothing_to_wait_for(void)
{
    client_rig rig;
    rig_request restart;
    mf_parent_options options;
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    rig_options(&options);
    rig_init(&rig, &options, true);
    rig_start(&rig);
    rig_restart_begin(&rig, &restart);
    mf_check(rig_until(&rig.ends, 1));
    rig_exit(&rig, "exited with status 0");
    check_ready_again(&rig, &restart);
    mf_check_int(mf_parent_read_stats(rig.parent, &stats, NULL), MF_OK);
    mf_check_int(stats.restarts, 1);
    mf_check_str(mf_parent_circuit_state(rig.parent), "closed"); /* it was no failure */
    rig_fini(&rig);
}

/* Calls that take too long are given up together with the peer. */
static void test_too_late(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome first;
    rig_request restart;
    init_called(&rig, 20, &call, &first);
    rig_restart_begin(&rig, &restart);
    mf_check(rig_until(&rig.ends, 1));
    mf_check_int(rig_phase(&rig), MFI_LIFE_REPLACING);
    rig_exit(&rig, "was killed by signal 15 (SIGTERM)");
    mf_check_int(rig_await(&first), MF_ERR_WORKER_EXITED);
    check_ready_again(&rig, &restart);
    rig_drop(&call);
    rig_fini(&rig);
}

/* A thread that waits for its call drives, and gives the role up at the barrier. */
static void *call_and_wait(void *data)
{
    client_rig *rig = data;
    mf_status status = mf_call(rig->parent, "waits", MF_NO_ARGS, NULL, NULL);
    return status == MF_OK ? data : NULL;
}

static void test_barrier_for_who_drives(void)
{
    client_rig rig;
    rig_message call;
    rig_request restart;
    pthread_t thread;
    void *done = NULL;
    mf_parent_options options;
    rig_options(&options);
    rig_init(&rig, &options, true);
    rig_start(&rig);
    mf_check_int(pthread_create(&thread, NULL, call_and_wait, &rig), 0);
    rig_take(&rig, &call, MFI_MESSAGE_CALL, "waits");
    rig_restart_begin(&rig, &restart);
    mf_check(rig_until_phase(&rig, MFI_LIFE_DRAINING));
    rig_answer(&rig, &call);
    pthread_join(thread, &done);
    mf_check(done == &rig);
    mf_check(rig_until(&rig.ends, 1));
    rig_exit(&rig, "exited with status 0");
    check_ready_again(&rig, &restart);
    rig_fini(&rig);
}

/* The peer ends by itself while it is drained: the restart goes on. */
static void test_peer_ends_while_it_is_drained(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome first;
    rig_request restart;
    init_called(&rig, MF_TEST_PATIENCE_MS, &call, &first);
    rig_restart_begin(&rig, &restart);
    mf_check(rig_until_phase(&rig, MFI_LIFE_DRAINING));
    rig_exit(&rig, "exited with status 1");
    mf_check_int(rig_await(&first), MF_ERR_WORKER_EXITED);
    check_ready_again(&rig, &restart);
    mf_check_int(atomic_load(&rig.ends), 0);
    rig_drop(&call);
    rig_fini(&rig);
}

/* ---- A service that leaves ---- */

static void init_leaving(client_rig *rig, rig_message *call, rig_outcome *outcome)
{
    mf_parent_options options;
    rig_options(&options);
    rig_init(rig, &options, false);
    rig_start(rig);
    rig_call(rig, "first", outcome);
    rig_take(rig, call, MFI_MESSAGE_CALL, "first");
    atomic_store(&rig->begin_event, MFI_LIFE_ON_NOT_FOUND);
    rig_step(rig, MFI_LIFE_ON_LEAVES);
    mf_check(rig_until_phase(rig, MFI_LIFE_DRAINING));
    mf_check_int(mf_parent_get_state(rig->parent), MF_PARENT_RESTARTING);
}

static void test_service_that_leaves(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome first;
    init_leaving(&rig, &call, &first);
    rig_answer(&rig, &call);
    mf_check_int(rig_await(&first), MF_OK);
    mf_check(rig_until_phase(&rig, MFI_LIFE_LOOKING));
    mf_check_int(atomic_load(&rig.begins), 2);
    rig_fini(&rig);
}

/* What it answered before it closed the connection counts, the rest is lost. */
static void test_service_that_has_left(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome first;
    init_leaving(&rig, &call, &first);
    rig_answer(&rig, &call);
    rig_peer_gone(&rig);
    mf_check_int(rig_await(&first), MF_OK);
    mf_check(rig_until_phase(&rig, MFI_LIFE_LOOKING));
    rig_fini(&rig);
    init_leaving(&rig, &call, &first);
    rig_peer_gone(&rig);
    mf_check_int(rig_await(&first), MF_ERR_WORKER_EXITED);
    mf_check_contains(first.text, "closed the connection");
    mf_check(rig_until_phase(&rig, MFI_LIFE_LOOKING));
    rig_drop(&call);
    rig_fini(&rig);
}

/* ---- When it may be asked ---- */

static void test_not_started(void)
{
    client_rig rig;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options;
    rig_options(&options);
    rig_init(&rig, &options, true);
    mf_check_int(mf_parent_restart(rig.parent, &error), MF_ERR_STATE);
    mf_check_contains(error.message, "was not started");
    rig_fini(&rig);
}

static void test_given_up_comes_back(void)
{
    client_rig rig;
    rig_outcome started;
    rig_request restart;
    mf_parent_options options;
    rig_options(&options);
    rig_init(&rig, &options, true);
    atomic_store(&rig.begin_status, MF_ERR_START_FAILED);
    rig_start_async(&rig, &started);
    mf_check_int(rig_await(&started), MF_ERR_START_FAILED);
    rig_restart_begin(&rig, &restart); /* fails once more */
    mf_check_int(rig_request_end(&restart), MF_ERR_START_FAILED);
    mf_check_str(restart.error.message, "the rig refuses");
    atomic_store(&rig.begin_status, MF_OK);
    rig_restart_begin(&rig, &restart);
    check_ready_again(&rig, &restart);
    mf_check_int(atomic_load(&rig.begins), 3);
    rig_fini(&rig);
}

/* No start has ever succeeded, and the peer of the present one is being ended. */
static void test_restart_of_a_start_that_is_ended(void)
{
    client_rig rig;
    rig_outcome started;
    rig_request first;
    rig_request second;
    mf_parent_options options;
    rig_options(&options);
    rig_init(&rig, &options, true);
    atomic_store(&rig.begin_status, MF_ERR_START_FAILED);
    rig_start_async(&rig, &started);
    mf_check_int(rig_await(&started), MF_ERR_START_FAILED);
    atomic_store(&rig.begin_status, MF_OK);
    atomic_store(&rig.begin_event, MFI_LIFE_ON_ABORT);
    rig_restart_begin(&rig, &first);
    mf_check(rig_until_phase(&rig, MFI_LIFE_ABORTING));
    rig_restart_begin(&rig, &second);
    mf_check(rig_until_phase(&rig, MFI_LIFE_ABORTING_AGAIN));
    atomic_store(&rig.begin_event, MFI_LIFE_ON_PEER);
    rig_exit(&rig, "was killed");
    check_ready_again(&rig, &second);
    mf_check_int(rig_request_end(&first), MF_OK);
    mf_check_int(atomic_load(&rig.begins), 3);
    rig_fini(&rig);
}

/* A restart ends the wait for the next start. */
static void test_wait_is_cut_short(void)
{
    client_rig rig;
    rig_request restart;
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = true;
    options.restart_backoff_ms = 10 * (int64_t)MF_TEST_PATIENCE_MS;
    options.restart_backoff_max_ms = 10 * (int64_t)MF_TEST_PATIENCE_MS;
    rig_init(&rig, &options, true);
    rig_start(&rig);
    rig_exit(&rig, "exited with status 1");
    mf_check(rig_until_phase(&rig, MFI_LIFE_WAITING));
    rig_restart_begin(&rig, &restart);
    check_ready_again(&rig, &restart);
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"drain__restart_of_a_start_that_is_ended", test_restart_of_a_start_that_is_ended},
    {"drain__calls_are_held_and_waited_for", test_calls_are_held_and_waited_for},
    {"drain__nothing_to_wait_for", test_nothing_to_wait_for},
    {"drain__too_late_calls_are_given_up", test_too_late},
    {"drain__barrier_for_who_drives", test_barrier_for_who_drives},
    {"drain__peer_ends_while_it_is_drained", test_peer_ends_while_it_is_drained},
    {"drain__service_that_leaves_is_waited_for", test_service_that_leaves},
    {"drain__service_that_has_left", test_service_that_has_left},
    {"drain__restart_before_the_start_is_refused", test_not_started},
    {"drain__restart_brings_back_what_was_given_up", test_given_up_comes_back},
    {"drain__restart_cuts_the_wait_short", test_wait_is_cut_short},
};
MF_TEST_MAIN(tests)
