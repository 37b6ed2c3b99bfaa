/* Pause, close, open anew, the engine's own look, and the regular driver of a child: what ends or
 * interrupts the roles of docs/threads.md, and what each thread that waits gets told. */
#include <string.h>

#include "driver_rig.h"

#define PAST UINT64_C(1)

static void open_parked(rig *at)
{
    rig_init(at, RIG_NO_TICK);
    rig_open(at);
    rig_settle(at);
    mf_check_int(rig_role(at), MFI_ROLE_PARKED);
}

static void open_driven(rig *at, rig_caller *caller)
{
    open_parked(at);
    atomic_store(&at->expected[0], &caller->waiter);
    rig_call(caller, at);
    mf_check(rig_until_sleeping(at));
}

/* ---- Pause ---- */

static void check_paused(rig *at)
{
    mf_check_int(rig_role(at), MFI_ROLE_CLOSED);
    mf_check(mfi_driver_is_closed(&at->driver));
    mf_check(!mfi_timer_is_set(&at->driver.tick));
    mf_check_int(at->driver.source.fd, -1);
}

/* The queue stays, the kick counts, and the next open begins with a turn. */
static void check_pause(bool idle)
{
    rig at;
    mfi_waiter waiter;
    mfi_mpsc_node node;
    open_parked(&at);
    if (idle) {
        mf_check_int(rig_wait(&at, &waiter, PAST), MFI_WAIT_DEADLINE);
        rig_settle(&at);
        mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
        mf_check(mfi_timer_is_set(&at.driver.tick));
    }
    rig_pause(&at);
    rig_wait_closed(&at);
    check_paused(&at);
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    rig_settle(&at);
    mf_check_int(atomic_load(&at.sent), 0);
    rig_open(&at);
    rig_settle(&at);
    mf_check_int(atomic_load(&at.sent), 1);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    rig_fini(&at);
}

static void test_pause_of_a_parked_socket(void)
{
    check_pause(false);
}

static void test_pause_of_an_idle_socket(void)
{
    check_pause(true);
}

/* A caller that drives gives the role up, and waits like all others. */
static void test_pause_takes_the_role_from_a_caller(void)
{
    rig at;
    rig_caller caller;
    open_driven(&at, &caller);
    rig_pause(&at);
    rig_wait_closed(&at);
    check_paused(&at);
    mf_check(rig_until_waiting(&at, 1));
    int before = atomic_load(&at.engine_bursts);
    rig_open(&at);
    mf_check(rig_until_role(&at, MFI_ROLE_CALLER));
    mf_check_int(atomic_load(&at.engine_bursts) - before, 1);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_fini(&at);
}

static void test_pause_waits_for_the_burst_of_the_caller(void)
{
    rig at;
    rig_caller caller;
    open_parked(&at);
    atomic_store(&at.expected[0], &caller.waiter);
    atomic_store(&at.stops, true);
    rig_call(&caller, &at);
    sem_wait(&at.in_burst);
    rig_pause(&at);
    rig_settle(&at);
    mf_check_int(rig_role(&at), MFI_ROLE_CALLER);
    mf_check(sem_trywait(&at.closed) != 0);
    sem_post(&at.leave_burst);
    rig_wait_closed(&at);
    check_paused(&at);
    rig_open(&at);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_fini(&at);
}

/* A thread that comes during a pause does not take the role in front of it. */
static void pause_and_wait(void *data)
{
    rig *at = data;
    mfi_waiter waiter;
    mfi_driver_pause(&at->driver, rig_on_closed, at);
    mf_check_int(rig_wait(at, &waiter, PAST), MFI_WAIT_DEADLINE);
    mf_check_int(rig_role(at), MFI_ROLE_PARKED);
}

static void test_pause_is_not_overtaken(void)
{
    rig at;
    open_parked(&at);
    mfi_loop_call(at.loop, pause_and_wait, &at);
    mf_check_int(atomic_load(&at.caller_bursts), 0);
    rig_wait_closed(&at);
    check_paused(&at);
    rig_fini(&at);
}

/* ---- Close ---- */

static void check_closed(rig *at)
{
    mfi_waiter waiter;
    mf_check(mfi_driver_is_closed(&at->driver));
    mf_check(!mfi_driver_kick(&at->driver));
    mf_check(!mfi_driver_acquire(&at->driver));
    mf_check_int(rig_wait(at, &waiter, MFI_NEVER), MFI_WAIT_CLOSED);
    mfi_waiter_init(&waiter);
    mfi_waiter_done(&waiter);
    mf_check_int(mfi_driver_wait(&at->driver, &waiter, MFI_NEVER), MFI_WAIT_DONE);
    mf_check_int(atomic_load(&at->sent), 0);
}

static void test_close_of_a_parked_socket(void)
{
    rig at;
    open_parked(&at);
    rig_close(&at);
    rig_wait_closed(&at);
    mf_check_int(at.driver.source.fd, -1);
    check_closed(&at);
    rig_fini(&at);
}

static void test_close_before_the_first_open(void)
{
    rig at;
    rig_init(&at, RIG_NO_TICK);
    rig_close(&at);
    rig_wait_closed(&at);
    check_closed(&at);
    rig_fini(&at);
}

static void test_close_tells_who_drives(void)
{
    rig at;
    rig_caller caller;
    open_driven(&at, &caller);
    rig_close(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_CLOSED);
    rig_wait_closed(&at);
    check_closed(&at);
    rig_fini(&at);
}

/* An answer that is there when the driver closes counts. */
static void test_close_after_the_answer(void)
{
    rig at;
    rig_caller caller;
    open_driven(&at, &caller);
    atomic_store(&at.stops, true);
    rig_arrive(&at);
    sem_wait(&at.in_burst);
    rig_close(&at);
    sem_post(&at.leave_burst);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_wait_closed(&at);
    rig_fini(&at);
}

static void test_pause_that_becomes_a_close(void)
{
    rig at;
    rig_caller caller;
    open_parked(&at);
    atomic_store(&at.stops, true);
    rig_call(&caller, &at);
    sem_wait(&at.in_burst);
    rig_pause(&at);
    rig_close(&at);
    sem_post(&at.leave_burst);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_CLOSED);
    rig_wait_closed(&at);
    mf_check(sem_trywait(&at.closed) != 0); /* told once */
    check_closed(&at);
    rig_fini(&at);
}

static void test_reopen(void)
{
    rig at;
    rig_caller caller;
    mfi_mpsc_node node;
    open_parked(&at);
    rig_close(&at);
    rig_wait_closed(&at);
    rig_reopen(&at);
    mf_check(mfi_driver_is_closed(&at.driver));
    rig_push(&at, &node);
    mf_check(mfi_driver_kick(&at.driver));
    atomic_store(&at.expected[0], &caller.waiter);
    rig_call(&caller, &at);
    mf_check(rig_until_waiting(&at, 1));
    rig_open(&at);
    mf_check(rig_until_role(&at, MFI_ROLE_CALLER));
    mf_check_int(atomic_load(&at.sent), 1);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_fini(&at);
}

/* ---- The engine's look ---- */

static void test_look_at_a_parked_socket(void)
{
    rig at;
    open_parked(&at);
    int bursts = 0;
    atomic_store(&at.busy, 2);
    mf_check(rig_look(&at, &bursts));
    mf_check_int(bursts, 3); /* all of it, at once */
    rig_settle(&at);         /* and the turn that was posted finds nothing */
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    rig_fini(&at);
}

static void test_look_takes_over_an_idle_socket(void)
{
    rig at;
    mfi_waiter waiter;
    open_parked(&at);
    mf_check_int(rig_wait(&at, &waiter, PAST), MFI_WAIT_DEADLINE);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    int bursts = 0;
    rig_arrive(&at);
    mf_check(rig_look(&at, &bursts));
    mf_check_int(bursts, 1);
    mf_check_int(atomic_load(&at.received), 1);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    rig_fini(&at);
}

static void test_look_leaves_the_caller_alone(void)
{
    rig at;
    rig_caller caller;
    open_driven(&at, &caller);
    int bursts = 0;
    mf_check(rig_look(&at, &bursts));
    mf_check_int(bursts, 0);
    mf_check_int(rig_role(&at), MFI_ROLE_CALLER);
    rig_arrive(&at);
    mf_check_int(rig_outcome(&caller), MFI_WAIT_DONE);
    rig_fini(&at);
}

static void close_and_look(void *data)
{
    rig *at = data;
    mfi_driver_close(&at->driver, rig_on_closed, at);
    mf_check(!mfi_driver_look(&at->driver));
    mf_check_int(rig_role(at), MFI_ROLE_PARKED); /* not closed within the look */
}

static void test_look_while_it_closes(void)
{
    rig at;
    open_parked(&at);
    mfi_loop_call(at.loop, close_and_look, &at);
    rig_wait_closed(&at);
    check_closed(&at);
    rig_fini(&at);
}

/* ---- The regular driver of a child ---- */

static void test_acquire_and_release(void)
{
    rig at;
    open_parked(&at);
    atomic_store(&at.watch, true);
    mf_check(mfi_driver_acquire(&at.driver));
    mf_check_int(rig_role(&at), MFI_ROLE_CALLER);
    mfi_driver_release(&at.driver, true);
    mf_check_int(rig_role(&at), MFI_ROLE_PARKED);
    mf_check(mfi_driver_acquire(&at.driver));
    int before = atomic_load(&at.engine_bursts);
    mfi_driver_release(&at.driver, false); /* the rest is the engine's */
    rig_settle(&at);
    mf_check_int(atomic_load(&at.engine_bursts) - before, 1);
    rig_fini(&at);
}

static void *acquire_and_release(void *data)
{
    rig *at = data;
    bool mine = mfi_driver_acquire(&at->driver);
    if (mine) {
        mfi_driver_release(&at->driver, true);
    }
    return mine ? data : NULL;
}

static void test_acquire_waits_for_the_role(void)
{
    rig at;
    pthread_t thread;
    void *taken = NULL;
    open_parked(&at);
    mf_check(mfi_driver_acquire(&at.driver));
    mf_check_int(pthread_create(&thread, NULL, acquire_and_release, &at), 0);
    mf_check(rig_until_waiting(&at, 1));
    mfi_driver_release(&at.driver, true);
    pthread_join(thread, &taken);
    mf_check(taken == &at);
    rig_fini(&at);
}

static void test_sleep_ends(void)
{
    rig at;
    open_parked(&at);
    mf_check(mfi_driver_acquire(&at.driver));
    mfi_driver_sleep(&at.driver, PAST);
    mfi_driver_wake(&at.driver); /* before it sleeps: not lost */
    mfi_driver_sleep(&at.driver, MFI_NEVER);
    rig_arrive(&at);
    mfi_driver_sleep(&at.driver, MFI_NEVER);
    mfi_driver_sleep(&at.driver, MFI_NEVER); /* what is there stays until it is read */
    mf_check(!atomic_load(&at.driver.sleeping));
    mfi_driver_release(&at.driver, true);
    rig_fini(&at);
}

static void *sleep_long(void *data)
{
    rig *at = data;
    if (mfi_driver_acquire(&at->driver)) {
        mfi_driver_sleep(&at->driver, MFI_NEVER);
        mfi_driver_release(&at->driver, true);
    }
    return NULL;
}

static void test_wake_ends_a_sleep(void)
{
    rig at;
    pthread_t thread;
    open_parked(&at);
    mf_check_int(pthread_create(&thread, NULL, sleep_long, &at), 0);
    mf_check(rig_until_sleeping(&at));
    mfi_driver_wake(&at.driver);
    pthread_join(thread, NULL);
    mf_check_int(rig_role(&at), MFI_ROLE_IDLE);
    rig_fini(&at);
}

/* ---- All together ---- */

#define CALLERS 4
#define ROUNDS 500

typedef struct round_trips {
    rig *at;
    pthread_t thread;
    int done;
} round_trips;

/* An arrival ends nobody's wait here: the thread's own message does, when it is sent. */
typedef struct message {
    mfi_mpsc_node node; /* first member */
    mfi_waiter waiter;
} message;

static bool echo_burst(void *self, const mfi_waiter *until)
{
    rig *at = self;
    (void)until;
    int inside = atomic_fetch_add(&at->inside, 1) + 1;
    if (inside > 1) {
        atomic_store(&at->most_inside, inside);
    }
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&at->driver.queue)) != NULL;) {
        mfi_waiter_done(&((message *)(void *)node)->waiter);
    }
    atomic_fetch_sub(&at->inside, 1);
    return mfi_mpsc_empty(&at->driver.queue);
}

static void *make_round_trips(void *data)
{
    round_trips *trips = data;
    for (int i = 0; i < ROUNDS; i++) {
        message sent;
        mfi_waiter_init(&sent.waiter);
        rig_push(trips->at, &sent.node);
        mfi_wait outcome = mfi_driver_wait(&trips->at->driver, &sent.waiter, MFI_NEVER);
        trips->done += outcome == MFI_WAIT_DONE;
    }
    return NULL;
}

/* Callers, kicks and pauses at the same time: one thread in a burst, and nobody is forgotten. */
static void test_nobody_is_forgotten(void)
{
    rig at;
    mfi_driver_ops echo;
    round_trips trips[CALLERS];
    rig_init(&at, MFI_NS_PER_MS);
    echo = *at.driver.ops;
    echo.burst = echo_burst;
    at.driver.ops = &echo;
    rig_open(&at);
    for (int i = 0; i < CALLERS; i++) {
        trips[i] = (round_trips){.at = &at};
        mf_check_int(pthread_create(&trips[i].thread, NULL, make_round_trips, &trips[i]), 0);
    }
    for (int i = 0; i < 50; i++) {
        mf_check(mfi_driver_kick(&at.driver));
        rig_pause(&at);
        rig_wait_closed(&at);
        rig_open(&at);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(trips[i].thread, NULL);
        mf_check_int(trips[i].done, ROUNDS);
    }
    rig_fini(&at);
}

static const mf_test tests[] = {
    {"driver__pause_of_a_parked_socket_keeps_the_queue", test_pause_of_a_parked_socket},
    {"driver__pause_of_an_idle_socket_keeps_the_queue", test_pause_of_an_idle_socket},
    {"driver__pause_takes_the_role_from_a_caller", test_pause_takes_the_role_from_a_caller},
    {"driver__pause_waits_for_the_burst_of_the_caller",
     test_pause_waits_for_the_burst_of_the_caller},
    {"driver__pause_is_not_overtaken", test_pause_is_not_overtaken},
    {"driver__close_of_a_parked_socket", test_close_of_a_parked_socket},
    {"driver__close_before_the_first_open", test_close_before_the_first_open},
    {"driver__close_tells_who_drives", test_close_tells_who_drives},
    {"driver__close_after_the_answer", test_close_after_the_answer},
    {"driver__pause_that_becomes_a_close", test_pause_that_becomes_a_close},
    {"driver__reopen_is_as_before_the_first_open", test_reopen},
    {"driver__look_at_a_parked_socket_takes_all", test_look_at_a_parked_socket},
    {"driver__look_takes_over_an_idle_socket", test_look_takes_over_an_idle_socket},
    {"driver__look_leaves_the_caller_alone", test_look_leaves_the_caller_alone},
    {"driver__look_while_it_closes_says_no", test_look_while_it_closes},
    {"driver__acquire_and_release", test_acquire_and_release},
    {"driver__acquire_waits_for_the_role", test_acquire_waits_for_the_role},
    {"driver__sleep_ends", test_sleep_ends},
    {"driver__wake_ends_a_sleep", test_wake_ends_a_sleep},
    {"driver__nobody_is_forgotten", test_nobody_is_forgotten},
};
MF_TEST_MAIN(tests)
