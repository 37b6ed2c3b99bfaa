/* The events and actions of a connection's life: starts, losses, and the next starts, with a peer
 * that is the test. */
#include <string.h>

#include "client_rig.h"

static void check_asked(const client_rig *rig, int begins, int ends, int kills, int closes)
{
    mf_check_int(atomic_load(&rig->begins), begins);
    mf_check_int(atomic_load(&rig->ends), ends);
    mf_check_int(atomic_load(&rig->kills), kills);
    mf_check_int(atomic_load(&rig->closes), closes);
}

static void init(client_rig *rig)
{
    mf_parent_options options;
    rig_options(&options);
    rig_init(rig, &options, true);
}

static void init_restarting(client_rig *rig, int attempts)
{
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = true;
    options.max_restart_attempts = attempts;
    rig_init(rig, &options, true);
}

/* ---- Starts ---- */

static void test_first_heartbeat_makes_it_ready(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome outcome;
    char endpoint[64];
    init(&rig);
    rig_start(&rig);
    check_asked(&rig, 1, 0, 0, 0);
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    (void)mf_parent_endpoint(rig.parent, endpoint, sizeof endpoint);
    mf_check_str(endpoint, "tcp://127.0.0.1:40900");
    mf_check_int(mf_parent_pid(rig.parent), 1234);
    rig_call(&rig, "add", &outcome);
    rig_take(&rig, &call, MFI_MESSAGE_CALL, "add");
    rig_answer(&rig, &call);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

/* Calls that were made meanwhile end, and the peer is given back. */
static void test_start_that_fails(void)
{
    client_rig rig;
    rig_outcome started;
    rig_outcome later;
    init(&rig);
    atomic_store(&rig.begin_status, MF_ERR_START_FAILED);
    rig_start_async(&rig, &started);
    mf_check_int(rig_await(&started), MF_ERR_START_FAILED);
    mf_check_str(started.text, "the rig refuses");
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_FAILED);
    mf_check_int(rig_phase(&rig), MFI_LIFE_GONE);
    check_asked(&rig, 1, 0, 0, 1);
    rig_call(&rig, "add", &later);
    mf_check_int(rig_await(&later), MF_ERR_NOT_RUNNING);
    mf_check_contains(later.text, "the rig refuses");
    rig_fini(&rig);
}

static void test_peer_ends_before_it_is_ready(void)
{
    client_rig rig;
    rig_outcome started;
    rig_outcome waiting;
    rig_message beat;
    rig_message call;
    init(&rig);
    rig_start_async(&rig, &started);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_call(&rig, "add", &waiting);
    rig_take(&rig, &call, MFI_MESSAGE_CALL, "add");
    rig_exit(&rig, "exited with status 3");
    mf_check_int(rig_await(&waiting), MF_ERR_WORKER_EXITED); /* it may have run */
    mf_check_int(rig_await(&started), MF_ERR_START_FAILED);
    mf_check_str(started.text, "it exited with status 3");
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_FAILED);
    mf_check_int(mf_parent_pid(rig.parent), 0);
    check_asked(&rig, 1, 0, 0, 1);
    rig_drop(&beat);
    rig_drop(&call);
    rig_fini(&rig);
}

static void fire_start_timer(void *data)
{
    mfi_link *link = data;
    mf_check(mfi_timer_is_set(&link->start_timer));
    mfi_timer_cancel(link->state->loop, &link->start_timer);
    link->start_timer.fire(&link->start_timer);
}

/* Nobody answers: the peer is killed, and only its end ends the start. */
static void check_start_timeout(bool connects, const char *text)
{
    client_rig rig;
    rig_outcome started;
    rig_message beat;
    init(&rig);
    rig_start_async(&rig, &started);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    if (connects) {
        rig_peer_event(&rig, MFI_PEER_CONNECTED);
        mf_check(rig_until(&rig.events_read, 1));
    }
    mfi_loop_call(rig.runtime->loop, fire_start_timer, rig.link);
    mf_check_int(rig_phase(&rig), MFI_LIFE_ABORTING);
    check_asked(&rig, 1, 0, 1, 0);
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_STARTING);
    rig_exit(&rig, "was killed");
    mf_check_int(rig_await(&started), MF_ERR_START_TIMEOUT);
    mf_check_contains(started.text, text);
    check_asked(&rig, 1, 0, 1, 1);
    rig_drop(&beat);
    rig_fini(&rig);
}

static void test_start_timeout(void)
{
    check_start_timeout(false, "worker 'math-0' did not connect within");
}

static void test_start_timeout_after_connect(void)
{
    check_start_timeout(true, "connected but answered no heartbeat within");
}

static void test_peer_that_cannot_be_watched(void)
{
    client_rig rig;
    rig_outcome started;
    init(&rig);
    atomic_store(&rig.begin_event, MFI_LIFE_ON_ABORT);
    rig_start_async(&rig, &started);
    mf_check(rig_until_phase(&rig, MFI_LIFE_ABORTING));
    check_asked(&rig, 1, 0, 1, 0);
    rig_exit(&rig, "was killed");
    mf_check_int(rig_await(&started), MF_ERR_SYSTEM);
    mf_check_str(started.text, "the rig aborts");
    rig_fini(&rig);
}

/* ---- Losses ---- */

static void test_loss_without_restart(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome sent;
    char text[128];
    init(&rig);
    rig_start(&rig);
    rig_call(&rig, "add", &sent);
    rig_take(&rig, &call, MFI_MESSAGE_CALL, "add");
    rig_exit(&rig, "was killed by signal 9 (SIGKILL)");
    mf_check_int(rig_await(&sent), MF_ERR_WORKER_EXITED);
    mf_check_contains(sent.text, "was killed by signal 9 (SIGKILL)");
    mf_check(rig_until_phase(&rig, MFI_LIFE_GONE));
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_FAILED);
    (void)mf_parent_last_exit(rig.parent, text, sizeof text);
    mf_check_str(text, "was killed by signal 9 (SIGKILL)");
    mf_check_str(mf_parent_circuit_state(rig.parent), "open");
    check_asked(&rig, 1, 0, 0, 1);
    rig_drop(&call);
    rig_fini(&rig);
}

/* An answer that is there when the peer goes counts. */
static void test_loss_reads_what_was_answered(void)
{
    client_rig rig;
    rig_message first;
    rig_message second;
    rig_outcome answered;
    rig_outcome lost;
    init(&rig);
    rig_start(&rig);
    rig_call(&rig, "add", &answered);
    rig_call(&rig, "add", &lost);
    rig_take(&rig, &first, MFI_MESSAGE_CALL, "add");
    rig_take(&rig, &second, MFI_MESSAGE_CALL, "add");
    rig_answer_and_exit(&rig, &first, "exited with status 0");
    mf_check_int(rig_await(&answered), MF_OK);
    mf_check_int(rig_await(&lost), MF_ERR_WORKER_EXITED);
    rig_drop(&second);
    rig_fini(&rig);
}

/* Calls wait while the peer is replaced, and are sent to the next one. */
static void test_loss_with_restart(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome waiting;
    init_restarting(&rig, 5);
    rig_start(&rig);
    atomic_store(&rig.begin_status, MF_ERR_ADDRESS_IN_USE); /* not yet */
    rig_exit(&rig, "exited with status 1");
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_RESTARTING);
    rig_call(&rig, "later", &waiting);
    atomic_store(&rig.begin_status, MF_OK);
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "later");
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&waiting), MF_OK);
    rig_take(&rig, &message, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &message);
    mf_check(rig_until_state(&rig, MF_PARENT_READY));
    mf_check_int(mf_parent_pid(rig.parent), 1234);
    rig_fini(&rig);
}

/* What was not sent when the peer went is for the next one. */
static void test_loss_keeps_what_is_queued(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome queued;
    init_restarting(&rig, 5);
    rig_start(&rig);
    rig_call_and_exit(&rig, "queued", &queued, "exited with status 1");
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "queued");
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&queued), MF_OK);
    mf_check(rig_until(&rig.begins, 2));
    rig_fini(&rig);
}

static void test_given_up(void)
{
    client_rig rig;
    rig_outcome later;
    init_restarting(&rig, 1);
    rig_start(&rig);
    atomic_store(&rig.begin_status, MF_ERR_START_FAILED);
    rig_exit(&rig, "exited with status 1");
    mf_check(rig_until_state(&rig, MF_PARENT_FAILED));
    mf_check(rig_until_phase(&rig, MFI_LIFE_GONE));
    check_asked(&rig, 2, 0, 0, 2);
    rig_call(&rig, "add", &later);
    mf_check_int(rig_await(&later), MF_ERR_NOT_RUNNING);
    mf_check_contains(later.text, "was given up after");
    mf_check_contains(later.text, "the rig refuses");
    rig_fini(&rig);
}

static void test_fail_fast(void)
{
    client_rig rig;
    rig_outcome later;
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = true;
    options.fail_fast = true;
    options.restart_backoff_ms = MF_TEST_PATIENCE_MS;
    options.restart_backoff_max_ms = MF_TEST_PATIENCE_MS;
    rig_init(&rig, &options, true);
    rig_start(&rig);
    rig_exit(&rig, "exited with status 1");
    rig_call(&rig, "add", &later);
    mf_check_int(rig_await(&later), MF_ERR_NOT_RUNNING);
    mf_check_contains(later.text, "restarting");
    rig_fini(&rig);
}

/* The port of the peer before is given back late: the start is tried until it is free. */
static void test_port_that_is_still_in_use(void)
{
    client_rig rig;
    rig_message beat;
    init_restarting(&rig, 1);
    rig_start(&rig);
    atomic_store(&rig.begin_status, MF_ERR_ADDRESS_IN_USE);
    rig_exit(&rig, "exited with status 1");
    mf_check(rig_until(&rig.begins, 4)); /* more often than restarts are allowed */
    mf_check_int(mf_parent_get_state(rig.parent), MF_PARENT_RESTARTING);
    atomic_store(&rig.begin_status, MF_OK);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &beat);
    mf_check(rig_until_state(&rig, MF_PARENT_READY));
    rig_fini(&rig);
}

/* At the first start there was no peer before: the port is somebody else's. */
static void test_port_of_somebody_else(void)
{
    client_rig rig;
    rig_outcome started;
    init(&rig);
    atomic_store(&rig.begin_status, MF_ERR_ADDRESS_IN_USE);
    rig_start_async(&rig, &started);
    mf_check_int(rig_await(&started), MF_ERR_ADDRESS_IN_USE);
    check_asked(&rig, 1, 0, 0, 1);
    rig_fini(&rig);
}

/* ---- Connections ---- */

static void test_last_connection(void)
{
    client_rig rig;
    init(&rig);
    rig_start(&rig);
    rig_peer_event(&rig, MFI_PEER_CONNECTED);
    rig_peer_event(&rig, MFI_PEER_CONNECTED);
    rig_peer_event(&rig, MFI_PEER_HANDSHAKE_FAILED); /* was none yet */
    rig_peer_event(&rig, MFI_PEER_DISCONNECTED);
    mf_check(rig_until(&rig.events_read, 4));
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING); /* and all of them were handled */
    mf_check_int(atomic_load(&rig.checks), 0);
    rig_peer_event(&rig, MFI_PEER_DISCONNECTED);
    mf_check(rig_until(&rig.checks, 1));
    mf_check_int(atomic_load(&rig.disconnects), 1);
    rig_fini(&rig);
}

/* ---- A service that is looked for ---- */

static void test_service_that_is_found_later(void)
{
    client_rig rig;
    rig_outcome started;
    rig_message beat;
    mf_parent_options options;
    rig_options(&options);
    rig_init(&rig, &options, false);
    atomic_store(&rig.begin_event, MFI_LIFE_ON_NOT_FOUND);
    rig_start_async(&rig, &started);
    mf_check(rig_until_phase(&rig, MFI_LIFE_LOOKING));
    atomic_store(&rig.begin_event, MFI_LIFE_ON_PEER);
    rig_step(&rig, MFI_LIFE_ON_DUE);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &beat);
    mf_check_int(rig_await(&started), MF_OK);
    check_asked(&rig, 2, 0, 0, 0);
    rig_fini(&rig);
}

/* A service is not ended because it does not answer: it is left. */
static void test_service_that_does_not_answer(void)
{
    client_rig rig;
    rig_outcome started;
    mf_parent_options options;
    rig_options(&options);
    options.start_timeout_ms = 20;
    rig_init(&rig, &options, false);
    rig_start_async(&rig, &started);
    mf_check_int(rig_await(&started), MF_ERR_START_TIMEOUT);
    check_asked(&rig, 1, 0, 0, 1);
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"link__first_heartbeat_makes_it_ready", test_first_heartbeat_makes_it_ready},
    {"link__start_that_fails", test_start_that_fails},
    {"link__peer_ends_before_it_is_ready", test_peer_ends_before_it_is_ready},
    {"link__start_timeout_kills", test_start_timeout},
    {"link__start_timeout_after_a_connection", test_start_timeout_after_connect},
    {"link__peer_that_cannot_be_watched_is_killed", test_peer_that_cannot_be_watched},
    {"lost__without_restart", test_loss_without_restart},
    {"lost__reads_what_was_answered", test_loss_reads_what_was_answered},
    {"lost__with_restart_calls_wait", test_loss_with_restart},
    {"lost__keeps_what_is_queued", test_loss_keeps_what_is_queued},
    {"lost__too_often_is_given_up", test_given_up},
    {"lost__fail_fast_refuses", test_fail_fast},
    {"link__port_that_is_still_in_use", test_port_that_is_still_in_use},
    {"link__port_of_somebody_else", test_port_of_somebody_else},
    {"link__last_connection_is_looked_after", test_last_connection},
    {"link__service_that_is_found_later", test_service_that_is_found_later},
    {"link__service_that_does_not_answer_is_left", test_service_that_does_not_answer},
};
MF_TEST_MAIN(tests)
