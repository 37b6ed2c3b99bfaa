/* What a peer owes: calls that were given up, until the peer has answered what was sent later. */
#include "core/client/calls/signs.h"
#include "mf_test.h"

static uint32_t given_up(const mfi_signs *signs)
{
    return atomic_load_explicit(&signs->given_up, memory_order_relaxed);
}

static void test_a_later_answer_clears_earlier_calls(void)
{
    static mfi_signs signs;
    mfi_signs_give_up(&signs, 100);
    mfi_signs_give_up(&signs, 90);
    mf_check_int(given_up(&signs), 2);
    mfi_signs_answered(&signs, 95); /* the peer may still work on the call of 100 */
    mf_check_int(given_up(&signs), 2);
    mfi_signs_answered(&signs, 101);
    mf_check_int(given_up(&signs), 0);
}

/* Between the look at the count and its end, another call is given up. */
static void test_a_call_that_is_given_up_meanwhile_still_counts(void)
{
    static mfi_signs signs;
    mfi_signs_give_up(&signs, 100);
    uint32_t seen = given_up(&signs);
    mfi_signs_give_up(&signs, 110);
    mfi_signs_forgive_counted(&signs, seen);
    mf_check_int(given_up(&signs), 2);
    mfi_signs_forgive_counted(&signs, 2);
    mf_check_int(given_up(&signs), 0);
}

/* Another handler may still run an earlier call. */
static void test_a_later_answer_of_several_handlers_clears_nothing(void)
{
    static mfi_signs signs;
    static const mfi_metadata says = {.handlers = 2};
    mfi_signs_beat(&signs, &says, false);
    mfi_signs_give_up(&signs, 100);
    mfi_signs_answered(&signs, 101);
    mf_check_int(given_up(&signs), 1);
    mfi_signs_late(&signs);
    mf_check_int(given_up(&signs), 0);
}

static void test_late_answers_are_answers(void)
{
    static mfi_signs signs;
    mfi_signs_give_up(&signs, 100);
    mfi_signs_give_up(&signs, 110);
    mfi_signs_late(&signs);
    mf_check_int(given_up(&signs), 1);
    mfi_signs_late(&signs);
    mfi_signs_late(&signs); /* of nothing that is known */
    mf_check_int(given_up(&signs), 0);
    mfi_signs_give_up(&signs, 120);
    mf_check_int(given_up(&signs), 1);
}

static void test_busy_is_said_once_and_forgotten_with_the_peer(void)
{
    static mfi_signs signs;
    static const mfi_metadata says = {.says_busy = true, .busy_ms = 70, .queue_length = 3};
    static const mfi_metadata is_silent;
    mfi_signs_beat(&signs, &says, false);
    mfi_signs_beat(&signs, &is_silent, false);
    mf_check(atomic_load_explicit(&signs.says_busy, memory_order_relaxed));
    mf_check_int(atomic_load_explicit(&signs.busy_ms, memory_order_relaxed), 70);
    mf_check_int(atomic_load_explicit(&signs.queue_length, memory_order_relaxed), 3);
    mfi_signs_give_up(&signs, 100);
    mfi_signs_heard(&signs, 5);
    mfi_signs_begin(&signs);
    mf_check(!atomic_load_explicit(&signs.says_busy, memory_order_relaxed));
    mf_check_int(atomic_load_explicit(&signs.busy_ms, memory_order_relaxed), 0);
    mf_check_int(mfi_signs_heard_ns(&signs), 0);
    mf_check_int(given_up(&signs), 0);
}

static const mf_test tests[] = {
    {"signs__a_later_answer_clears_earlier_calls", test_a_later_answer_clears_earlier_calls},
    {"signs__a_call_that_is_given_up_meanwhile_still_counts",
     test_a_call_that_is_given_up_meanwhile_still_counts},
    {"signs__a_later_answer_of_several_handlers_clears_nothing",
     test_a_later_answer_of_several_handlers_clears_nothing},
    {"signs__late_answers_are_answers", test_late_answers_are_answers},
    {"signs__busy_is_said_once_and_forgotten_with_the_peer",
     test_busy_is_said_once_and_forgotten_with_the_peer},
};
MF_TEST_MAIN(tests)
