/* Alive, busy and frozen, told apart by what came and what did not. No peer, no clock: the times
 * are passed in. */
#include "core/policy/liveness.h"
#include "mf_test.h"

#define LIMIT 3

/* Nothing is known but the silence. */
static const mfi_silence nothing;

/* The time of one heartbeat, which was sent three units before `now`, is over. */
static mfi_verdict miss(mfi_liveness *peer, uint64_t now, uint64_t heard, mfi_silence signs)
{
    signs.sent_ns = now - 3;
    signs.now_ns = now;
    signs.heard_ns = heard;
    return mfi_liveness_missed(peer, &signs);
}

/* Three heartbeats in a row meet silence. Gives the last verdict. */
static mfi_verdict be_silent(mfi_liveness *peer, mfi_silence signs)
{
    mf_check_int(miss(peer, 103, 99, signs), MFI_VERDICT_MISSED);
    mf_check_int(miss(peer, 108, 99, signs), MFI_VERDICT_MISSED);
    return miss(peer, 113, 99, signs);
}

static void test_silence_of_an_idle_peer_is_frozen(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(be_silent(&peer, nothing), MFI_VERDICT_FROZEN);
    mf_check(mfi_liveness_is_frozen(&peer, 99));
    mf_check_int(mfi_liveness_misses(&peer, 99), 3);
    mf_check_int(miss(&peer, 118, 99, nothing), MFI_VERDICT_FROZEN);
    mf_check_int(mfi_liveness_misses(&peer, 99), 4);
}

static void test_a_peer_that_owes_an_answer_may_be_busy(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(be_silent(&peer, (mfi_silence){.owes = true}), MFI_VERDICT_BUSY);
    mf_check(!mfi_liveness_is_frozen(&peer, 99));
    mf_check_int(miss(&peer, 118, 99, nothing), MFI_VERDICT_FROZEN); /* owes nothing now */
}

static void test_a_peer_that_says_busy_has_no_excuse(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(be_silent(&peer, (mfi_silence){.owes = true, .says_busy = true}),
                 MFI_VERDICT_FROZEN);
}

static void test_a_stopped_process_has_no_excuse(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(be_silent(&peer, (mfi_silence){.owes = true, .stopped = true}),
                 MFI_VERDICT_FROZEN);
}

static void test_any_message_proves_life(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(miss(&peer, 103, 99, nothing), MFI_VERDICT_MISSED);
    mf_check_int(miss(&peer, 108, 99, nothing), MFI_VERDICT_MISSED);
    mf_check_int(miss(&peer, 113, 111, nothing), MFI_VERDICT_ALIVE);
    mf_check_int(mfi_liveness_misses(&peer, 111), 0);
    mf_check_int(miss(&peer, 118, 111, nothing), MFI_VERDICT_MISSED);
}

/* A late answer comes after its heartbeat was a miss, and before the next one is sent. */
static void test_a_late_answer_ends_the_row(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(miss(&peer, 103, 99, nothing), MFI_VERDICT_MISSED);
    mf_check_int(miss(&peer, 108, 99, nothing), MFI_VERDICT_MISSED);
    mf_check_int(mfi_liveness_misses(&peer, 109), 0);
    mf_check_int(miss(&peer, 113, 109, nothing), MFI_VERDICT_MISSED);
    mf_check_int(mfi_liveness_misses(&peer, 109), 1);
}

static void test_a_frozen_peer_that_speaks_is_alive(void)
{
    mfi_liveness peer;
    mfi_liveness_init(&peer, LIMIT);
    mf_check_int(be_silent(&peer, nothing), MFI_VERDICT_FROZEN);
    mf_check(!mfi_liveness_is_frozen(&peer, 114));
    mf_check_int(miss(&peer, 118, 114, nothing), MFI_VERDICT_MISSED);
    mf_check(!mfi_liveness_is_frozen(&peer, 114));
}

static const mf_test tests[] = {
    {"liveness__silence_of_an_idle_peer_is_frozen", test_silence_of_an_idle_peer_is_frozen},
    {"liveness__a_peer_that_owes_an_answer_may_be_busy",
     test_a_peer_that_owes_an_answer_may_be_busy},
    {"liveness__a_peer_that_says_busy_has_no_excuse", test_a_peer_that_says_busy_has_no_excuse},
    {"liveness__a_stopped_process_has_no_excuse", test_a_stopped_process_has_no_excuse},
    {"liveness__any_message_proves_life", test_any_message_proves_life},
    {"liveness__a_late_answer_ends_the_row", test_a_late_answer_ends_the_row},
    {"liveness__a_frozen_peer_that_speaks_is_alive", test_a_frozen_peer_that_speaks_is_alive},
};
MF_TEST_MAIN(tests)
