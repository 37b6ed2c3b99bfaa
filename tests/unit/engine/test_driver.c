/* Every arrow of the role diagram in docs/threads.md: a role is put in place, one thing happens,
 * and the role and the thread that drove are looked at. A tick comes only where the test lets it.
 */
#include <string.h>

#include "driver_rig.h"

#define PAST UINT64_C(1)

/* What was sent and received, and by whom. */
static void check_counts(const rig *at, int sent, int received)
{
    mf_check_int(atomic_load(&at->sent), sent);
    mf_check_int(atomic_load(&at->received), received);
}

static void open_parked(rig *at)
{
    rig_init(at, RIG_NO_TICK);
    rig_open(at);
    rig_settle(at);
    mf_check_int(rig_role(at), MFI_ROLE_PARKED);
}

/* A caller has come and gone, and nothing is open. */
static void open_idle(rig *at)
{
    mfi_waiter waiter;
    open_parked(at);
    mf_check_int(rig_wait(at, &waiter, PAST), MFI_WAIT_DEADLINE);
    rig_settle(at);
    mf_check_int(rig_role(at), MFI_ROLE_IDLE);
}

/* A caller drives, and sleeps on the socket until the first arrival. */
static void open_driven(rig *at, rig_caller *caller)
{
    open_parked(at);
    atomic_store(&at->expected[0], &caller->waiter);
    rig_call(caller, at);
    mf_check(rig_until_sleeping(at));
    mf_check_int(rig_role(at), MFI_ROLE_CALLER);
}

typedef struct wanted {
    rig *at;
    int count;
} wanted;

static bool has_received(void *data)
{
    const wanted *want = data;
    return atomic_load(&want->at->received) >= want->count;
}

static bool until_received(rig *at, int count)
{
    wanted want = {.at = at, .count = count};
    return mf_test_until(has_received, &want, MF_TEST_PATIENCE_MS);
}

static bool has_sent(void *data)
{
    return atomic_load(&((rig *)data)->sent) > 0;
}

static bool until_sent(rig *at)
{
    return mf_test_until(has_sent, at, MF_TEST_PATIENCE_MS);
}

/* ---- CLOSED ---- */

static void test_open_sends_what_was_queued(void)
{
    rig at;
    mfi_mpsc_node node;
    rig_init(&at, RIG_NO_TICK);
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    rig_settle(&at);
    mf_check_int(rig_role(&at), MFI_ROLE_CLOSED);
    mf_check(mfi_driver_is_closed(&at.driver));
    check_counts(&at, 0, 0);
    rig_open(&at);
    rig_settle(&at);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    mf_check(!mfi_driver_is_closed(&at.driver));
    check_counts(&at, 1, 0);
    rig_fini(&at);
}

static void test_caller_waits_for_the_open(void)
{
    rig at;
    rig_caller caller;
    rig_init(&at, RIG_NO_TICK);
    atomic_store(&at.expected[0], &caller.waiter);
    rig_call(&caller, &at);
    mf_check(rig_until_waiting(&at, 1));
    mf_check_int(rig_role(&at), MFI_ROLE_CLOSED);
    rig_open(&at);
    mf_check(rig_until_role(&at, MFI_ROLE_CALLER)); /* after one turn of the engine */
    mf_check_int(atomic_load(&at.engine_bursts), 1);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_fini(&at);
}

/* ---- PARKED ---- */

static void test_arrivals_are_taken_by_the_engine(void)
{
    rig at;
    open_parked(&at);
    rig_arrive(&at);
    mf_check(until_received(&at, 1));
    mf_check(rig_until_role(&at, MFI_ROLE_PARKED));
    rig_arrive(&at); /* the source is armed again */
    mf_check(until_received(&at, 2));
    mf_check_int(atomic_load(&at.caller_bursts), 0);
    rig_fini(&at);
}

static void test_kick_lets_the_engine_send(void)
{
    rig at;
    mfi_mpsc_node node;
    open_parked(&at);
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    rig_settle(&at);
    check_counts(&at, 1, 0);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    rig_fini(&at);
}

/* The caller that takes the role from PARKED disarms the source: the engine does not look. */
static void test_caller_takes_a_parked_socket(void)
{
    rig at;
    rig_caller caller;
    open_driven(&at, &caller);
    int before = atomic_load(&at.engine_bursts);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_settle(&at);
    mf_check_int(atomic_load(&at.engine_bursts), before);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    check_counts(&at, 0, 1);
    rig_fini(&at);
}

/* ---- ENGINE ---- */

static void test_engine_goes_on_while_there_is_more(void)
{
    rig at;
    open_parked(&at);
    int before = atomic_load(&at.engine_bursts);
    atomic_store(&at.busy, 3);
    rig_arrive(&at);
    mf_check(until_received(&at, 1));
    mf_check(rig_until_role(&at, MFI_ROLE_PARKED));
    mf_check_int(atomic_load(&at.engine_bursts) - before, 4);
    rig_fini(&at);
}

/* What is pushed during the engine's burst is seen before it parks: a kick has nothing to do. */
static void test_engine_looks_at_the_queue_before_it_parks(void)
{
    rig at;
    mfi_mpsc_node node;
    open_parked(&at);
    atomic_store(&at.stops, true);
    rig_arrive(&at);
    sem_wait(&at.in_burst);
    mf_check_int(rig_role(&at), MFI_ROLE_ENGINE);
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    sem_post(&at.leave_burst);
    mf_check(until_sent(&at));
    mf_check(rig_until_role(&at, MFI_ROLE_PARKED));
    rig_fini(&at);
}

static void test_engine_hands_over_after_its_burst(void)
{
    rig at;
    rig_caller caller;
    open_parked(&at);
    atomic_store(&at.expected[1], &caller.waiter);
    atomic_store(&at.stops, true);
    rig_arrive(&at);
    sem_wait(&at.in_burst);
    rig_call(&caller, &at);
    mf_check(rig_until_waiting(&at, 1));
    mf_check_int(rig_role(&at), MFI_ROLE_ENGINE);
    sem_post(&at.leave_burst);
    mf_check(rig_until_role(&at, MFI_ROLE_CALLER));
    mf_check_int(rig_waiting(&at), 0);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    mf_check(atomic_load(&at.caller_bursts) > 0);
    rig_fini(&at);
}

/* ---- IDLE ---- */

static void test_lone_caller_needs_no_engine(void)
{
    rig at;
    mfi_waiter waiter;
    open_idle(&at);
    int before = atomic_load(&at.engine_bursts);
    atomic_store(&at.expected[0], &waiter);
    rig_arrive(&at);
    mf_check_int(rig_wait(&at, &waiter, MFI_NEVER), MFI_WAIT_DONE);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    rig_settle(&at);
    mf_check_int(atomic_load(&at.engine_bursts), before);
    rig_fini(&at);
}

static void test_kick_of_an_idle_socket(void)
{
    rig at;
    mfi_mpsc_node node;
    open_idle(&at);
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    rig_settle(&at);
    check_counts(&at, 1, 0);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    rig_fini(&at);
}

/* ---- Ticks ---- */

/* A socket that is used goes on to be the callers'; one that stayed idle is taken over. */
static void test_tick_takes_over_what_stayed_idle(void)
{
    rig at;
    mfi_waiter waiter;
    open_idle(&at);
    mf_check(at.driver.ticking);
    mf_check(mfi_timer_is_set(&at.driver.tick));
    mf_check_int(rig_wait(&at, &waiter, PAST), MFI_WAIT_DEADLINE);
    rig_arrive(&at); /* nobody watches */
    rig_tick(&at);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    mf_check(at.driver.ticking);
    check_counts(&at, 0, 0);
    rig_tick(&at);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    mf_check(!at.driver.ticking);
    check_counts(&at, 0, 1);
    rig_fini(&at);
}

static void test_tick_comes_by_itself(void)
{
    rig at;
    mfi_waiter waiter;
    rig_init(&at, MFI_NS_PER_MS);
    rig_open(&at);
    rig_settle(&at);
    mf_check_int(rig_wait(&at, &waiter, PAST), MFI_WAIT_DEADLINE);
    rig_arrive(&at);
    mf_check(until_received(&at, 1));
    mf_check(rig_until_role(&at, MFI_ROLE_PARKED));
    mf_check_int(atomic_load(&at.caller_bursts), 1);
    rig_fini(&at);
}

/* A caller that drives long lets the tick end; when it leaves, the tick begins anew. */
static void test_tick_ends_while_nothing_changes(void)
{
    rig at;
    rig_caller caller;
    mfi_waiter waiter;
    open_idle(&at);
    mf_check_int(rig_wait(&at, &waiter, PAST), MFI_WAIT_DEADLINE);
    atomic_store(&at.expected[0], &caller.waiter);
    rig_call(&caller, &at);
    mf_check(rig_until_sleeping(&at));
    int ticks = 0;
    while (at.driver.ticking && ticks < 1000) {
        rig_tick(&at);
        ticks++;
        mf_check_int(rig_role(&at), MFI_ROLE_CALLER);
    }
    mf_check(ticks > 1);
    mf_check(!at.driver.ticking);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_settle(&at);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    mf_check(at.driver.ticking);
    rig_fini(&at);
}

/* ---- CALLER ---- */

static void test_leaving_parks_what_has_to_be_watched(void)
{
    rig at;
    rig_caller caller;
    open_driven(&at, &caller);
    atomic_store(&at.watch, true);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    mf_check(!at.driver.ticking);
    rig_arrive(&at);
    mf_check(until_received(&at, 2)); /* the source was armed */
    rig_fini(&at);
}

/* A caller that leaves early leaves the rest of the wire to the engine, if answers may be there
 * that somebody waits for. */
static void check_rest_of_the_wire(bool watch, mfi_role after, int engine_bursts)
{
    rig at;
    mfi_waiter waiter;
    open_parked(&at);
    int before = atomic_load(&at.engine_bursts);
    atomic_store(&at.watch, watch);
    atomic_store(&at.busy, 1);
    mf_check_int(rig_wait(&at, &waiter, PAST), MFI_WAIT_DEADLINE);
    rig_settle(&at);
    mf_check_int(rig_role(&at), after);
    mf_check_int(atomic_load(&at.engine_bursts) - before, engine_bursts);
    rig_fini(&at);
}

static void test_leaving_early_with_open_calls(void)
{
    check_rest_of_the_wire(true, MFI_ROLE_PARKED, 1);
}

static void test_leaving_early_with_nothing_open(void)
{
    check_rest_of_the_wire(false, MFI_ROLE_IDLE, 0);
}

/* What comes into the queue while a caller is about to leave is sent by the engine. */
static void test_leaving_looks_at_the_queue(void)
{
    rig at;
    rig_caller caller;
    mfi_mpsc_node node;
    open_parked(&at);
    atomic_store(&at.stops, true);
    rig_call(&caller, &at);
    sem_wait(&at.in_burst);
    rig_push(&at, &node);
    mfi_waiter_done(&caller.waiter);
    sem_post(&at.leave_burst);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    mf_check(until_sent(&at));
    mf_check_int(atomic_load(&at.caller_bursts), 1);
    rig_fini(&at);
}

static void test_kick_wakes_who_drives(void)
{
    rig at;
    rig_caller caller;
    mfi_mpsc_node node;
    open_driven(&at, &caller);
    int before = atomic_load(&at.engine_bursts);
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    mf_check(until_sent(&at));
    mf_check_int(atomic_load(&at.engine_bursts), before);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_fini(&at);
}

/* The thread that drives sends the message of a second thread. */
static void test_second_caller_wakes_who_drives(void)
{
    rig at;
    rig_caller first;
    rig_caller second;
    mfi_mpsc_node node;
    open_driven(&at, &first);
    atomic_store(&at.expected[1], &second.waiter);
    rig_push(&at, &node);
    rig_call(&second, &at);
    mf_check(until_sent(&at));
    mf_check(rig_until_waiting(&at, 1));
    rig_arrive(&at);
    mf_check_int(rig_outcome(&first), MFI_WAIT_DONE);
    mf_check(rig_until_waiting(&at, 0));
    mf_check_int(rig_role(&at), MFI_ROLE_CALLER); /* and no other role in between */
    rig_arrive(&at);
    mf_check_int(rig_outcome(&second), MFI_WAIT_DONE);
    rig_fini(&at);
}

/* The role goes to the first that still needs it. */
static void test_hand_over_passes_by_who_is_done(void)
{
    rig at;
    rig_caller first;
    mfi_waiter done;
    rig_caller last;
    open_driven(&at, &first);
    atomic_store(&at.expected[1], &last.waiter);
    mfi_waiter_init(&done);
    mfi_mutex_lock(&at.driver.mutex);
    mfi_list_push_back(&at.driver.waiters, &done.node);
    mfi_mutex_unlock(&at.driver.mutex);
    mfi_waiter_done(&done);
    rig_call(&last, &at);
    mf_check(rig_until_waiting(&at, 2));
    rig_arrive(&at);
    mf_check_int(rig_outcome(&first), MFI_WAIT_DONE);
    mf_check(rig_until_waiting(&at, 1));
    rig_arrive(&at);
    mf_check_int(rig_outcome(&last), MFI_WAIT_DONE);
    mf_check_int(atomic_load(&done.signal), MFI_WAITER_DONE);
    mfi_list_remove(&at.driver.waiters, &done.node);
    rig_fini(&at);
}

/* A caller whose time is over leaves the list, and does not get the role afterwards. */
static void test_deadline_of_who_waits_in_the_list(void)
{
    rig at;
    rig_caller first;
    mfi_waiter late;
    open_driven(&at, &first);
    mf_check_int(rig_wait(&at, &late, PAST), MFI_WAIT_DEADLINE);
    mf_check_int(rig_waiting(&at), 0);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&first), MFI_WAIT_DONE);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    rig_fini(&at);
}

/* Answers reach those that wait in the list too, while another thread drives. */
static void test_who_waits_in_the_list_is_done(void)
{
    rig at;
    rig_caller driving;
    rig_caller listed;
    open_driven(&at, &driving);
    atomic_store(&at.expected[0], &listed.waiter);
    atomic_store(&at.expected[1], &driving.waiter);
    rig_call(&listed, &at);
    mf_check(rig_until_waiting(&at, 1));
    rig_arrive(&at);
    mf_check_int(rig_outcome(&listed), MFI_WAIT_DONE);
    mf_check_int(rig_waiting(&at), 0);
    mf_check_int(rig_role(&at), MFI_ROLE_CALLER);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&driving), MFI_WAIT_DONE);
    rig_fini(&at);
}

static const mf_test tests[] = {
    {"driver__open_sends_what_was_queued", test_open_sends_what_was_queued},
    {"driver__caller_waits_for_the_open", test_caller_waits_for_the_open},
    {"driver__parked_arrivals_are_taken_by_the_engine", test_arrivals_are_taken_by_the_engine},
    {"driver__parked_kick_lets_the_engine_send", test_kick_lets_the_engine_send},
    {"driver__parked_socket_is_taken_by_a_caller", test_caller_takes_a_parked_socket},
    {"driver__engine_goes_on_while_there_is_more", test_engine_goes_on_while_there_is_more},
    {"driver__engine_looks_at_the_queue_before_it_parks",
     test_engine_looks_at_the_queue_before_it_parks},
    {"driver__engine_hands_over_after_its_burst", test_engine_hands_over_after_its_burst},
    {"driver__lone_caller_needs_no_engine", test_lone_caller_needs_no_engine},
    {"driver__idle_kick_lets_the_engine_send", test_kick_of_an_idle_socket},
    {"driver__tick_takes_over_what_stayed_idle", test_tick_takes_over_what_stayed_idle},
    {"driver__tick_comes_by_itself", test_tick_comes_by_itself},
    {"driver__tick_ends_while_nothing_changes", test_tick_ends_while_nothing_changes},
    {"driver__leaving_parks_what_has_to_be_watched", test_leaving_parks_what_has_to_be_watched},
    {"driver__leaving_early_with_open_calls_posts_a_turn", test_leaving_early_with_open_calls},
    {"driver__leaving_early_with_nothing_open_does_not", test_leaving_early_with_nothing_open},
    {"driver__leaving_looks_at_the_queue", test_leaving_looks_at_the_queue},
    {"driver__kick_wakes_who_drives", test_kick_wakes_who_drives},
    {"driver__second_caller_wakes_who_drives", test_second_caller_wakes_who_drives},
    {"driver__hand_over_passes_by_who_is_done", test_hand_over_passes_by_who_is_done},
    {"driver__deadline_of_who_waits_in_the_list", test_deadline_of_who_waits_in_the_list},
    {"driver__who_waits_in_the_list_is_done", test_who_waits_in_the_list_is_done},
};
MF_TEST_MAIN(tests)
