/* Heartbeats: periodic ones that are answered or missed, and those that a program asks for. */
#include <string.h>

#include "client_rig.h"

static mfi_heartbeat *beat_of(client_rig *rig)
{
    return &rig->parent->heartbeat;
}

static uint64_t missed(client_rig *rig)
{
    return atomic_load(&beat_of(rig)->misses);
}

static void init_ready(client_rig *rig, bool owns, bool restarts, int64_t interval_ms,
                       int32_t misses)
{
    mf_parent_options options;
    rig_options(&options);
    options.auto_restart = restarts;
    options.heartbeat_interval_ms = interval_ms;
    options.heartbeat_timeout_ms = interval_ms > 5 ? 4 * interval_ms : 20;
    options.heartbeat_misses = misses;
    rig_init(rig, &options, owns);
    rig_start(rig);
}

/* ---- On demand ---- */

static void *ask(void *data)
{
    rig_request *request = data;
    uint64_t rtt_ns = 0;
    request->status =
        mf_parent_heartbeat(request->rig->parent, MF_TEST_PATIENCE_MS, &rtt_ns, &request->error);
    return rtt_ns > 0 ? data : NULL;
}

static void test_asked_and_answered(void)
{
    client_rig rig;
    rig_message beat;
    void *had_time = NULL;
    rig_request request = {.rig = &rig};
    init_ready(&rig, true, false, MF_DISABLED, 3);
    uint64_t before = atomic_load(&beat_of(&rig)->last_ns);
    mf_check(before > 0); /* of the start */
    mf_check_int(pthread_create(&request.thread, NULL, ask, &request), 0);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &beat);
    pthread_join(request.thread, &had_time);
    mf_check_int(request.status, MF_OK);
    mf_check(had_time == &request);
    mf_check(atomic_load(&beat_of(&rig)->rtt_ns) > 0);
    mf_check(atomic_load(&beat_of(&rig)->last_ns) >= before);
    mf_check_int(missed(&rig), 0);
    rig_fini(&rig);
}

/* That nobody answered a program's own heartbeat says nothing to the link. */
static void test_asked_and_not_answered(void)
{
    client_rig rig;
    rig_message beat;
    uint64_t rtt_ns = 17;
    mf_error error = MF_ERROR_INIT;
    init_ready(&rig, true, true, MF_DISABLED, 1);
    mf_check_int(mf_parent_heartbeat(rig.parent, 5, &rtt_ns, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "'math' did not answer a heartbeat in time");
    mf_check_int(rtt_ns, 17);
    mf_check_int(missed(&rig), 0);
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_answer(&rig, &beat); /* late, and for nobody */
    mf_check_int(mf_parent_heartbeat(rig.parent, 0, &rtt_ns, &error), MF_ERR_TIMEOUT);
    rig_fini(&rig);
}

static void test_asked_of_nobody(void)
{
    client_rig rig;
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options;
    rig_options(&options);
    rig_init(&rig, &options, true);
    mf_check_int(mf_parent_heartbeat(rig.parent, 0, &rtt_ns, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "it was not started");
    mf_check_int(mf_parent_heartbeat(rig.parent, -1, &rtt_ns, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_parent_heartbeat(rig.parent, 0, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    rig_fini(&rig);
}

static void test_peer_ends_meanwhile(void)
{
    client_rig rig;
    rig_message beat;
    rig_request request = {.rig = &rig};
    init_ready(&rig, true, false, MF_DISABLED, 3);
    mf_check_int(pthread_create(&request.thread, NULL, ask, &request), 0);
    rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    rig_exit(&rig, "exited with status 1");
    pthread_join(request.thread, NULL);
    mf_check_int(request.status, MF_ERR_WORKER_EXITED);
    rig_drop(&beat);
    rig_fini(&rig);
}

static void test_no_slot(void)
{
    client_rig rig;
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    mfi_slot *taken[64];
    size_t count = 0;
    mf_parent_options options;
    rig_options(&options);
    options.max_in_flight = 2;
    rig_init(&rig, &options, true);
    rig_start(&rig);
    mfi_slots *slots = &rig.parent->calls.slots;
    while (count < 64 && (taken[count] = mfi_slots_acquire(slots)) != NULL) {
        count++;
    }
    mf_check(count >= 2 && count < 64);
    mf_check_int(mf_parent_heartbeat(rig.parent, 0, &rtt_ns, &error), MF_ERR_TOO_MANY_CALLS);
    mf_check_contains(error.message, "no room for one more heartbeat");
    for (size_t i = 0; i < count; i++) {
        mfi_slot_abandon(slots, taken[i]);
    }
    rig_fini(&rig);
}

/* ---- Periodic ---- */

static bool has_answers(void *data)
{
    const client_rig *rig = data;
    return mfi_heartbeat_misses(&rig->parent->heartbeat) == 0 &&
           atomic_load(&rig->parent->heartbeat.misses) > 0;
}

static bool has_missed(void *data)
{
    return missed(data) >= 2;
}

/* One comes after the other without a word of the program; an answer ends a row of misses. */
static void test_answer_ends_a_row(void)
{
    client_rig rig;
    rig_message beat;
    init_ready(&rig, true, true, 20, 1000);
    mf_check(mf_test_until(has_missed, &rig, MF_TEST_PATIENCE_MS));
    mf_check_int(atomic_load(&rig.kills), 0);
    while (!has_answers(&rig)) { /* the oldest ones are too late */
        rig_take(&rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
        rig_answer(&rig, &beat);
    }
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    mf_check_str(mf_parent_circuit_state(rig.parent), "closed");
    rig_fini(&rig);
}

/* A row that was over does not come back while the next peer is looked for. */
static void test_a_row_ends_with_its_peer(void)
{
    client_rig rig;
    init_ready(&rig, false, false, 20, 1000);
    mf_check(mf_test_until(has_missed, &rig, MF_TEST_PATIENCE_MS));
    mf_check(mfi_heartbeat_misses(beat_of(&rig)) > 0);
    atomic_store(&rig.begin_event, MFI_LIFE_ON_NOT_FOUND);
    rig_step(&rig, MFI_LIFE_ON_OVER_AGAIN);
    mf_check(rig_until(&rig.begins, 2));
    mf_check(rig_until_phase(&rig, MFI_LIFE_LOOKING));
    mf_check_int(mfi_heartbeat_misses(beat_of(&rig)), 0);
    mf_check(!mfi_heartbeat_is_frozen(beat_of(&rig)));
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"heartbeat__asked_and_answered", test_asked_and_answered},
    {"heartbeat__asked_and_not_answered", test_asked_and_not_answered},
    {"heartbeat__asked_of_nobody", test_asked_of_nobody},
    {"heartbeat__peer_ends_meanwhile", test_peer_ends_meanwhile},
    {"heartbeat__no_slot_is_left", test_no_slot},
    {"heartbeat__answer_ends_a_row_of_misses", test_answer_ends_a_row},
    {"heartbeat__a_row_ends_with_its_peer", test_a_row_ends_with_its_peer},
};
MF_TEST_MAIN(tests)
