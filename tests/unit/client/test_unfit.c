/* Peers that run, but are of no use any more: frozen, or without a connection. */
#include <string.h>

#include "client_rig.h"

static uint64_t missed(client_rig *rig)
{
    return atomic_load(&rig->parent->heartbeat.misses);
}

static void frozen_options(mf_parent_options *options, bool restarts, int64_t interval_ms,
                           int32_t misses)
{
    rig_options(options);
    options->auto_restart = restarts;
    options->heartbeat_interval_ms = interval_ms;
    options->heartbeat_timeout_ms = 20;
    options->heartbeat_misses = misses;
}

static void init_ready(client_rig *rig, bool owns, bool restarts, int64_t interval_ms,
                       int32_t misses)
{
    mf_parent_options options;
    frozen_options(&options, restarts, interval_ms, misses);
    rig_init(rig, &options, owns);
    rig_start(rig);
}

/* ---- Frozen ---- */

/* Also those heartbeats have ended that were under way. */
static bool nothing_is_open(void *data)
{
    const client_rig *rig = data;
    return atomic_load(&rig->parent->calls.async_open) == 0;
}

/* A process that answers none is killed, and another one is started. */
static void test_frozen_process(void)
{
    client_rig rig;
    char text[128];
    init_ready(&rig, true, true, 5, 2);
    mf_check(rig_until(&rig.kills, 1));
    mf_check_int(rig_phase(&rig), MFI_LIFE_KILLING);
    mf_check(missed(&rig) >= 2);
    mf_check_int(atomic_load(&rig.ends), 0);
    mf_check_str(mf_parent_circuit_state(rig.parent), "open");
    uint64_t before = missed(&rig);
    mf_check(mf_test_until(nothing_is_open, &rig, MF_TEST_PATIENCE_MS));
    mf_check_int(missed(&rig), before); /* a peer that is being ended misses nothing */
    rig_exit(&rig, "was killed by signal 9 (SIGKILL)");
    (void)mf_parent_last_exit(rig.parent, text, sizeof text);
    mf_check_str(text, "was frozen (answered none of 2 heartbeats in a row) and was ended "
                       "by its parent");
    mf_check(rig_until(&rig.begins, 2));
    rig_fini(&rig);
}

static bool circuit_is_open(void *data)
{
    const client_rig *rig = data;
    return strcmp(mf_parent_circuit_state(rig->parent), "open") == 0;
}

static void test_frozen_without_restarts(void)
{
    client_rig rig;
    init_ready(&rig, true, false, 5, 2);
    mf_check(mf_test_until(circuit_is_open, &rig, MF_TEST_PATIENCE_MS));
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    mf_check_int(atomic_load(&rig.kills), 0);
    rig_fini(&rig);
}

/* A process that was continued right after the silence was judged: the text tells what was judged.
 */
static void test_stopped_process_is_asked_once(void)
{
    client_rig rig;
    char text[128];
    mf_parent_options options;
    frozen_options(&options, true, 5, 1);
    rig_init(&rig, &options, true);
    atomic_store(&rig.stopped, 1);
    rig_start(&rig);
    mf_check(rig_until(&rig.kills, 1));
    rig_exit(&rig, "was killed by signal 9 (SIGKILL)");
    (void)mf_parent_last_exit(rig.parent, text, sizeof text);
    mf_check_str(text,
                 "was frozen (answered none of 1 heartbeats in a row, its process is stopped) "
                 "and was ended by its parent");
    rig_fini(&rig);
}

/* A service is not killed: whether it is still there is looked up. */
static void test_silent_service(void)
{
    client_rig rig;
    init_ready(&rig, false, true, 5, 2);
    mf_check(rig_until(&rig.checks, 1));
    mf_check_int(atomic_load(&rig.disconnects), 0);
    mf_check_int(atomic_load(&rig.kills), 0);
    rig_fini(&rig);
}

/* ---- Without a connection ---- */

static void cut_off(void *data)
{
    mfi_link_cut_off(((client_rig *)data)->link);
}

static void test_cut_off(void)
{
    client_rig rig;
    char text[128];
    mf_error error = MF_ERROR_INIT;
    init_ready(&rig, true, true, MF_DISABLED, 3);
    mfi_loop_call(rig.runtime->loop, cut_off, &rig);
    mf_check_int(atomic_load(&rig.kills), 1);
    mf_check_int(rig_phase(&rig), MFI_LIFE_KILLING);
    mf_check_str(mf_parent_circuit_state(rig.parent), "open");
    mf_check_int(mf_call_with(rig.parent, "add", MF_NO_ARGS, NULL, NULL, &error),
                 MF_ERR_CIRCUIT_OPEN);
    mf_check_contains(error.message, "disconnected");
    rig_exit(&rig, "was killed by signal 9 (SIGKILL)");
    (void)mf_parent_last_exit(rig.parent, text, sizeof text);
    mf_check_str(text, "closed its connection, did not end and was ended by its parent");
    mf_check(rig_until(&rig.begins, 2));
    rig_fini(&rig);
}

/* A worker that exits closes its connection first. Its helper may take MFI_EXEC_CLEAR_MS more to
 * report the exit, and must have that time before the worker counts as cut off. */
static void lose_connection(void *data)
{
    client_rig *rig = data;
    mfi_spawned *spawned = &rig->parent->spawned;
    uint64_t now = mfi_loop_now(rig->runtime->loop);
    mfi_spawned_ops.check(spawned, true);
    mf_check(mfi_timer_is_set(&spawned->cut_timer));
    mf_check(spawned->cut_timer.entry.due > now + MFI_EXEC_CLEAR_MS * MFI_NS_PER_MS);
    mfi_timer_cancel(rig->runtime->loop, &spawned->cut_timer);
}

static void test_exit_is_awaited(void)
{
    client_rig rig;
    init_ready(&rig, true, true, MF_DISABLED, 3);
    mfi_loop_call(rig.runtime->loop, lose_connection, &rig);
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"unfit__frozen_process_is_killed", test_frozen_process},
    {"unfit__stopped_process_is_asked_once", test_stopped_process_is_asked_once},
    {"unfit__frozen_process_without_restarts", test_frozen_without_restarts},
    {"unfit__silent_service_is_looked_up", test_silent_service},
    {"unfit__lost_connection_waits_for_an_exit", test_exit_is_awaited},
    {"unfit__worker_without_a_connection_is_killed", test_cut_off},
};
MF_TEST_MAIN(tests)
