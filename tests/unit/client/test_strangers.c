/* Connections to a parent's port that are not its worker's. */
#include <string.h>

#include "client_rig.h"

static void init(client_rig *rig, int attempts)
{
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = true;
    options.max_restart_attempts = attempts;
    rig_init(rig, &options, true);
}

/* As libzmq's transport, or the direct one. A stranger of this uid has been refused. */
static void stranger_comes(client_rig *rig, bool is_closed, int64_t uid)
{
    int read = atomic_load(&rig->events_made);
    rig->parent->calls.transport->closes_refused = is_closed;
    atomic_store(&rig->parent->spawned.admission.refused_uid, uid);
    rig_peer_event(rig, MFI_PEER_REFUSED);
    mf_check(rig_until(&rig->events_read, read + 1));
}

static void check_last_exit(client_rig *rig, const char *wanted)
{
    char text[256];
    (void)mf_parent_last_exit(rig->parent, text, sizeof text);
    mf_check_str(text, wanted);
}

/* ---- STARTING ---- */

static void test_a_first_start_ends_by_name(void)
{
    client_rig rig;
    rig_outcome started;
    rig_message beat;
    init(&rig, 3);
    rig_start_async(&rig, &started);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    stranger_comes(&rig, false, 77);
    mf_check_int(rig_phase(&rig), MFI_LIFE_ABORTING);
    mf_check_int(atomic_load(&rig.kills), 1);
    stranger_comes(&rig, false, 78); /* one more changes nothing */
    mf_check_int(atomic_load(&rig.kills), 1);
    rig_exit(&rig, "was killed");
    mf_check_int(rig_await(&started), MF_ERR_START_FAILED);
    mf_check_contains(started.text, "worker 'math-0' met a stranger at its port and was ended by "
                                    "its parent: uid 77 is not in allow_users");
    rig_drop(&beat);
    rig_fini(&rig);
}

static void test_a_later_start_is_followed_by_another(void)
{
    client_rig rig;
    rig_message beat;
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    init(&rig, 3);
    rig_start(&rig);
    rig_exit(&rig, "exited with status 1");
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    mf_check_int(atomic_load(&rig.begins), 2);
    stranger_comes(&rig, false, 77);
    mf_check_int(rig_phase(&rig), MFI_LIFE_ABORTING);
    rig_drop(&beat);
    rig_exit(&rig, "was killed");
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &beat);
    mf_check(rig_until_state(&rig, MF_PARENT_READY));
    mf_check_int(atomic_load(&rig.begins), 3);
    mf_check_int(mf_parent_read_stats(rig.parent, &stats, NULL), MF_OK);
    mf_check_int(stats.restarts, 2);
    rig_fini(&rig);
}

static void test_a_permanent_stranger_is_given_up(void)
{
    client_rig rig;
    rig_message beat;
    rig_outcome call;
    init(&rig, 2);
    rig_start(&rig);
    rig_exit(&rig, "exited with status 1");
    for (int i = 0; i < 2; i++) {
        rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
        stranger_comes(&rig, false, 77);
        rig_drop(&beat);
        rig_exit(&rig, "was killed");
    }
    mf_check(rig_until_phase(&rig, MFI_LIFE_GONE));
    rig_call(&rig, "add", &call);
    mf_check_int(rig_await(&call), MF_ERR_NOT_RUNNING);
    mf_check_contains(call.text, "given up after 2 restarts");
    mf_check_contains(call.text, "met a stranger at its port");
    rig_fini(&rig);
}

/* ---- RUNNING ---- */

static void test_a_running_worker_is_replaced(void)
{
    client_rig rig;
    mf_error error = MF_ERROR_INIT;
    init(&rig, 3);
    rig_start(&rig);
    stranger_comes(&rig, false, MFI_REFUSED_NO_ROOM);
    mf_check_int(rig_phase(&rig), MFI_LIFE_KILLING);
    mf_check_int(atomic_load(&rig.kills), 1);
    mf_check_str(mf_parent_circuit_state(rig.parent), "open");
    mf_check_int(mf_call_with(rig.parent, "add", MF_NO_ARGS, NULL, NULL, &error),
                 MF_ERR_CIRCUIT_OPEN);
    mf_check_contains(error.message, "a stranger connected to the worker's port");
    rig_exit(&rig, "was killed by signal 9 (SIGKILL)");
    check_last_exit(&rig, "met a stranger at its port (no descriptor or memory is left to ask the "
                          "kernel whose it is) and was ended by its parent");
    mf_check(rig_until(&rig.begins, 2));
    rig_fini(&rig);
}

/* Calls must not go to the stranger, so the worker ends also where no other one follows. */
static void test_without_restarts_it_ends_too(void)
{
    client_rig rig;
    mf_parent_options options;
    rig_outcome call;
    rig_options(&options);
    rig_init(&rig, &options, true);
    rig_start(&rig);
    stranger_comes(&rig, false, 77);
    mf_check_int(rig_phase(&rig), MFI_LIFE_KILLING);
    rig_exit(&rig, "was killed by signal 9 (SIGKILL)");
    mf_check(rig_until_phase(&rig, MFI_LIFE_GONE));
    rig_call(&rig, "add", &call);
    mf_check_int(rig_await(&call), MF_ERR_NOT_RUNNING);
    mf_check_contains(call.text, "met a stranger at its port (uid 77 ");
    rig_fini(&rig);
}

/* ---- Where it changes nothing ---- */

static void test_a_closed_stranger_changes_nothing(void)
{
    client_rig rig;
    rig_outcome started;
    rig_message beat;
    rig_message call;
    rig_outcome outcome;
    init(&rig, 3);
    rig_start_async(&rig, &started);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    stranger_comes(&rig, true, 77);
    mf_check_int(rig_phase(&rig), MFI_LIFE_STARTING);
    rig_answer(&rig, &beat);
    mf_check_int(rig_await(&started), MF_OK);
    stranger_comes(&rig, true, 77);
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    rig_call(&rig, "add", &outcome);
    rig_take(&rig, &call, MFI_MESSAGE_CALL, "add");
    rig_answer(&rig, &call);
    mf_check_int(rig_await(&outcome), MF_OK);
    mf_check_int(atomic_load(&rig.kills), 0);
    rig_fini(&rig);
}

static void test_other_phases_go_on(void)
{
    client_rig rig;
    rig_message call;
    rig_outcome outcome;
    rig_request restart;
    init(&rig, 3);
    rig_start(&rig);
    rig_call(&rig, "add", &outcome);
    rig_take(&rig, &call, MFI_MESSAGE_CALL, "add");
    rig_restart_begin(&rig, &restart);
    mf_check(rig_until_phase(&rig, MFI_LIFE_DRAINING));
    stranger_comes(&rig, false, 77);
    mf_check_int(rig_phase(&rig), MFI_LIFE_DRAINING);
    rig_answer(&rig, &call);
    mf_check_int(rig_await(&outcome), MF_OK);
    mf_check(rig_until_phase(&rig, MFI_LIFE_REPLACING));
    stranger_comes(&rig, false, 77);
    mf_check_int(atomic_load(&rig.kills), 0);
    rig_exit(&rig, "exited with status 0");
    rig_message beat;
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &beat);
    mf_check_int(rig_request_end(&restart), MF_OK);
    rig_fini(&rig);
}

/* ---- Blind ---- */

static void test_blindness_is_told_once(void)
{
    client_rig rig;
    init(&rig, 3);
    rig_start(&rig);
    mfi_spawned *spawned = &rig.parent->spawned;
    for (int i = 0; i < 2; i++) {
        mf_check_int(spawned->told_blind, i > 0);
        atomic_store(&spawned->admission.is_blind, true);
        rig_peer_event(&rig, MFI_PEER_CONNECTED);
        mf_check(rig_until(&rig.events_read, i + 1));
        mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
        mf_check(spawned->told_blind);
    }
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"strangers__a_first_start_ends_by_name", test_a_first_start_ends_by_name},
    {"strangers__a_later_start_is_followed_by_another", test_a_later_start_is_followed_by_another},
    {"strangers__a_permanent_stranger_is_given_up", test_a_permanent_stranger_is_given_up},
    {"strangers__a_running_worker_is_replaced", test_a_running_worker_is_replaced},
    {"strangers__without_restarts_it_ends_too", test_without_restarts_it_ends_too},
    {"strangers__a_closed_stranger_changes_nothing", test_a_closed_stranger_changes_nothing},
    {"strangers__other_phases_go_on", test_other_phases_go_on},
    {"strangers__blindness_is_told_once", test_blindness_is_told_once},
};
MF_TEST_MAIN(tests)
