/* A stop in each phase of a connection's life: what the peer is asked for, and how calls end. */
#include <string.h>

#include "client_rig.h"

typedef struct stop_case {
    client_rig rig;
    rig_message call;    /* that the peer has, where there is one */
    rig_outcome started; /* where the start has not ended */
    rig_outcome open;    /* a call that has not ended */
} stop_case;

/* ---- What all stops have in common ---- */

static void check_counts(const client_rig *rig, int begins, int ends, int messages, int kills)
{
    mf_check_int(atomic_load(&rig->begins), begins);
    mf_check_int(atomic_load(&rig->ends), ends);
    mf_check_int(atomic_load(&rig->messages), messages);
    mf_check_int(atomic_load(&rig->kills), kills);
}

static void check_stopped(client_rig *rig)
{
    mf_error error = MF_ERROR_INIT;
    rig_outcome later;
    mf_check_int(mf_parent_get_state(rig->parent), MF_PARENT_STOPPED);
    mf_check_int(mf_parent_restart(rig->parent, &error), MF_ERR_STATE);
    mf_check_contains(error.message, "was stopped");
    mf_check_int(mf_parent_start(rig->parent, &error), MF_ERR_STATE);
    rig_call(rig, "add", &later);
    mf_check_int(rig_await(&later), MF_ERR_NOT_RUNNING);
    mf_check_contains(later.text, "it was stopped");
    mf_check_int(mf_parent_pid(rig->parent), 0);
    mf_check_int(mf_parent_stop(rig->parent, NULL), MF_OK); /* once more is no error */
}

/* Stops it; the peer, where there is one, ends only when it was asked to. */
static void stop(client_rig *rig, bool has_peer, int closes)
{
    rig_request request;
    rig_stop_begin(rig, &request);
    if (has_peer) {
        mf_check(rig_until_phase(rig, MFI_LIFE_STOPPING));
        mf_check_int(mf_parent_get_state(rig->parent), MF_PARENT_STOPPING);
        rig_exit(rig, "exited with status 0");
    }
    mf_check_int(rig_request_end(&request), MF_OK);
    mf_check_int(atomic_load(&rig->closes), closes);
    check_stopped(rig);
}

static void init(stop_case *at, bool owns)
{
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = true;
    options.restart_backoff_ms = 10 * (int64_t)MF_TEST_PATIENCE_MS;
    options.restart_backoff_max_ms = 10 * (int64_t)MF_TEST_PATIENCE_MS;
    rig_init(&at->rig, &options, owns);
}

/* Ready, with a call that its peer has. */
static void init_called(stop_case *at)
{
    init(at, true);
    rig_start(&at->rig);
    rig_call(&at->rig, "add", &at->open);
    rig_take(&at->rig, &at->call, MFI_MESSAGE_CALL, "add");
}

static void check_cancelled(stop_case *at)
{
    mf_check_int(rig_await(&at->open), MF_ERR_CANCELLED);
    mf_check_contains(at->open.text, "was stopped during the call of 'add'");
    rig_drop(&at->call);
}

/* ---- One phase each ---- */

static void test_not_started(void)
{
    stop_case at;
    init(&at, true);
    mf_check_int(mf_parent_stop(at.rig.parent, NULL), MF_OK);
    check_counts(&at.rig, 0, 0, 0, 0);
    check_stopped(&at.rig);
    rig_fini(&at.rig);
}

static void test_looking(void)
{
    stop_case at;
    init(&at, false);
    atomic_store(&at.rig.begin_event, MFI_LIFE_ON_NOT_FOUND);
    rig_start_async(&at.rig, &at.started);
    rig_call(&at.rig, "add", &at.open);
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_LOOKING));
    stop(&at.rig, false, 1);
    mf_check_int(rig_await(&at.started), MF_ERR_CANCELLED);
    mf_check_str(at.started.text, "it was stopped before it was ready");
    mf_check_int(rig_await(&at.open), MF_ERR_CANCELLED);
    rig_fini(&at.rig);
}

static void test_starting(void)
{
    stop_case at;
    rig_message beat;
    init(&at, true);
    rig_start_async(&at.rig, &at.started);
    rig_take(&at.rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    stop(&at.rig, true, 1);
    mf_check_int(rig_await(&at.started), MF_ERR_CANCELLED);
    check_counts(&at.rig, 1, 1, 0, 0);
    rig_drop(&beat);
    rig_fini(&at.rig);
}

/* Only a peer that is ready is asked by a message. */
static void test_running(void)
{
    stop_case at;
    init_called(&at);
    stop(&at.rig, true, 1);
    check_cancelled(&at);
    check_counts(&at.rig, 1, 1, 1, 0);
    rig_fini(&at.rig);
}

static void hold_and_stop(void *data)
{
    client_rig *rig = data;
    mf_check_int(mfi_link_restart(rig->link, NULL), MF_OK);
    mf_check_int(rig->link->phase, MFI_LIFE_HOLDING);
    mfi_link_step(rig->link, MFI_LIFE_ON_STOP);
}

/* The barrier comes later, and finds the stop. */
static void test_holding(void)
{
    stop_case at;
    init_called(&at);
    mfi_loop_call(at.rig.runtime->loop, hold_and_stop, &at.rig);
    stop(&at.rig, true, 1);
    check_cancelled(&at);
    check_counts(&at.rig, 1, 1, 0, 0);
    rig_fini(&at.rig);
}

static void test_draining(void)
{
    stop_case at;
    rig_request restart;
    init_called(&at);
    rig_restart_begin(&at.rig, &restart);
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_DRAINING));
    stop(&at.rig, true, 1);
    mf_check_int(rig_request_end(&restart), MF_ERR_CANCELLED);
    mf_check_contains(restart.error.message, "was stopped during the restart");
    check_cancelled(&at);
    check_counts(&at.rig, 1, 1, 0, 0);
    rig_fini(&at.rig);
}

static void test_replacing(void)
{
    stop_case at;
    rig_request restart;
    init(&at, true);
    rig_start(&at.rig);
    rig_restart_begin(&at.rig, &restart);
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_REPLACING));
    stop(&at.rig, true, 1);
    mf_check_int(rig_request_end(&restart), MF_ERR_CANCELLED);
    check_counts(&at.rig, 1, 2, 0, 0);
    rig_fini(&at.rig);
}

static void test_aborting(void)
{
    stop_case at;
    init(&at, true);
    atomic_store(&at.rig.begin_event, MFI_LIFE_ON_ABORT);
    rig_start_async(&at.rig, &at.started);
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_ABORTING));
    stop(&at.rig, true, 1);
    mf_check_int(rig_await(&at.started), MF_ERR_CANCELLED);
    check_counts(&at.rig, 1, 1, 0, 1);
    rig_fini(&at.rig);
}

static void check_killing(bool asked_again)
{
    stop_case at;
    rig_request restart;
    init_called(&at);
    rig_step(&at.rig, MFI_LIFE_ON_FROZEN);
    if (asked_again) {
        rig_restart_begin(&at.rig, &restart);
        mf_check(rig_until_phase(&at.rig, MFI_LIFE_KILLING_AGAIN));
    }
    stop(&at.rig, true, 1);
    if (asked_again) {
        mf_check_int(rig_request_end(&restart), MF_ERR_CANCELLED);
    }
    check_cancelled(&at);
    check_counts(&at.rig, 1, 1, 0, 1);
    rig_fini(&at.rig);
}

static void test_killing(void)
{
    check_killing(false);
}

static void test_killing_again(void)
{
    check_killing(true);
}

static void close_and_stop(void *data)
{
    client_rig *rig = data;
    mfi_unfit cause = {.restart = MFI_RESTART_EXIT_ERROR, .reason = {.rule = MFI_RULE_EXIT}};
    mfi_loss loss = mfi_link_lost(rig->link, "exited with status 1", &cause);
    mfi_link_close_lost(rig->link, &loss);
    mf_check_int(rig->link->phase, MFI_LIFE_CLOSING_AGAIN);
    mfi_link_step(rig->link, MFI_LIFE_ON_STOP);
}

/* The transport is being closed already: nothing more to end. */
static void test_closing(void)
{
    stop_case at;
    init_called(&at);
    mfi_loop_call(at.rig.runtime->loop, close_and_stop, &at.rig);
    mf_check_int(rig_await(&at.open), MF_ERR_WORKER_EXITED);
    stop(&at.rig, false, 1);
    check_counts(&at.rig, 1, 0, 0, 0);
    rig_drop(&at.call);
    rig_fini(&at.rig);
}

static void test_waiting(void)
{
    stop_case at;
    init(&at, true);
    rig_start(&at.rig);
    rig_exit(&at.rig, "exited with status 1");
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_WAITING));
    rig_call(&at.rig, "add", &at.open);
    stop(&at.rig, false, 2);
    mf_check_int(rig_await(&at.open), MF_ERR_CANCELLED);
    check_counts(&at.rig, 1, 0, 0, 0);
    rig_fini(&at.rig);
}

static void test_gone(void)
{
    stop_case at;
    init(&at, true);
    atomic_store(&at.rig.begin_status, MF_ERR_START_FAILED);
    rig_start_async(&at.rig, &at.started);
    mf_check_int(rig_await(&at.started), MF_ERR_START_FAILED);
    stop(&at.rig, false, 1);
    check_counts(&at.rig, 1, 0, 0, 0);
    rig_fini(&at.rig);
}

/* A call that waits for its next attempt ends with the others, before the peer does. */
static void test_retry_that_waits(void)
{
    stop_case at;
    rig_message beat;
    rig_request request;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options with = MF_CALL_OPTIONS_INIT;
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = true;
    rig_init(&at.rig, &options, true);
    rig_start(&at.rig);
    retry.backoff_ms = MF_TEST_PATIENCE_MS / 4;
    retry.backoff_max_ms = MF_TEST_PATIENCE_MS / 4;
    retry.jitter = 0;
    with.retry = &retry;
    with.idempotent = true;
    rig_call_with(&at.rig, "add", &with, &at.open);
    rig_take(&at.rig, &at.call, MFI_MESSAGE_CALL, "add");
    rig_exit(&at.rig, "exited with status 1");
    rig_take(&at.rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&at.rig, &beat);
    mf_check(rig_until_state(&at.rig, MF_PARENT_READY));
    rig_stop_begin(&at.rig, &request);
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_STOPPING));
    mf_check(sem_trywait(&at.open.ended) == 0);
    mf_check_int(at.open.status, MF_ERR_NOT_RUNNING);
    mf_check_contains(at.open.text, "it was stopped");
    rig_exit(&at.rig, "exited with status 0");
    mf_check_int(rig_request_end(&request), MF_OK);
    rig_drop(&at.call);
    rig_fini(&at.rig);
}

/* Several threads stop it at the same time: the peer is asked once. */
static void test_stopping(void)
{
    stop_case at;
    rig_request requests[3];
    init_called(&at);
    for (int i = 0; i < 3; i++) {
        rig_stop_begin(&at.rig, &requests[i]);
    }
    mf_check(rig_until_phase(&at.rig, MFI_LIFE_STOPPING));
    rig_step(&at.rig, MFI_LIFE_ON_STOP);
    rig_exit(&at.rig, "exited with status 0");
    for (int i = 0; i < 3; i++) {
        mf_check_int(rig_request_end(&requests[i]), MF_OK);
    }
    check_cancelled(&at);
    check_counts(&at.rig, 1, 1, 1, 0);
    check_stopped(&at.rig);
    rig_fini(&at.rig);
}

static const mf_test tests[] = {
    {"stop__not_started", test_not_started},
    {"stop__looking", test_looking},
    {"stop__starting", test_starting},
    {"stop__running_asks_by_a_message", test_running},
    {"stop__holding", test_holding},
    {"stop__draining", test_draining},
    {"stop__replacing", test_replacing},
    {"stop__aborting", test_aborting},
    {"stop__killing", test_killing},
    {"stop__killing_again", test_killing_again},
    {"stop__closing", test_closing},
    {"stop__waiting", test_waiting},
    {"stop__gone", test_gone},
    {"stop__stopping", test_stopping},
    {"stop__retry_that_waits_ends", test_retry_that_waits},
};
MF_TEST_MAIN(tests)
