/* The state of a worker that every thread may read. */
#include "core/server/state.h"

#include <pthread.h>

#include "test_channel.h"

static void test_calls_that_wait_are_counted_with_their_bytes(void)
{
    mfi_child_state state = {.leave_fd = -1};
    mfi_child_state_queue(&state, 0, 100);
    mfi_child_state_queue(&state, 0, 20);
    mf_check_int(atomic_load(&state.queued), 2);
    mf_check_int(atomic_load(&state.queued_bytes), 120);
    mfi_child_state_unqueue(&state, 0, 100);
    mf_check_int(atomic_load(&state.queued), 1);
    mf_check_int(atomic_load(&state.queued_bytes), 20);
    mfi_child_state_unqueue(&state, 0, 20);
    mf_check_int(atomic_load(&state.queued), 0);
    mf_check_int(atomic_load(&state.queued_bytes), 0);
}

static void test_busy_is_the_number_and_the_oldest(void)
{
    mfi_handler_mark marks[3] = {0};
    mfi_child_state state = {.leave_fd = -1};
    uint64_t since = 1;
    mf_check_int(mfi_child_state_busy(&state, &since), 0); /* before the threads are made */
    mf_check_int(since, 0);
    for (int i = 0; i < 3; i++) {
        mfi_chain_push_back(&state.marks, &marks[i].node);
    }
    mf_check_int(mfi_child_state_busy(&state, &since), 0);
    mf_check_int(mfi_child_state_handlers(&state), 3);
    atomic_store(&marks[1].since_ns, 500);
    mf_check_int(mfi_child_state_busy(&state, &since), 1);
    mf_check_int(since, 500);
    atomic_store(&marks[2].since_ns, 300);
    atomic_store(&marks[0].since_ns, 400);
    mf_check_int(mfi_child_state_busy(&state, &since), 3);
    mf_check_int(since, 300);
    atomic_store(&marks[2].since_ns, 0);
    mf_check_int(mfi_child_state_busy(&state, &since), 2);
    mf_check_int(since, 400);
}

static bool burst(void *self, const mfi_waiter *until)
{
    (void)self;
    (void)until;
    return true;
}

static bool never(void *self)
{
    (void)self;
    return false;
}

static void *stop(void *argument)
{
    mfi_child_state_stop(argument);
    return NULL;
}

/* The driver of this test sleeps without a deadline: only the stop can wake it. */
static void test_stop_wakes_the_driver(void)
{
    static const mfi_driver_ops ops = {.burst = burst, .needs_watch = never, .has_more = never};
    test_channel at;
    pthread_t thread;
    mf_error error = MF_ERROR_INIT;
    channel_open(&at);
    mfi_driver *driver = &at.channel.driver;
    mf_check_int(mfi_driver_init(driver, at.runtime->loop, &ops, NULL, MFI_NS_PER_MS, &error),
                 MF_OK);
    mfi_child_state state = {.driver = driver, .leave_fd = -1};
    mf_check(!atomic_load(&state.stopping));
    mf_check_int(pthread_create(&thread, NULL, stop, &state), 0);
    while (!atomic_load(&state.stopping)) {
        mfi_driver_sleep(driver, MFI_NEVER);
    }
    (void)pthread_join(thread, NULL);
    mf_check(atomic_load(&state.stopping));
    mfi_driver_fini(driver);
    mfi_mpsc_init(&driver->queue);
    channel_close(&at);
}

static const mf_test tests[] = {
    {"state__calls_that_wait_are_counted_with_their_bytes",
     test_calls_that_wait_are_counted_with_their_bytes},
    {"state__busy_is_the_number_and_the_oldest", test_busy_is_the_number_and_the_oldest},
    {"state__stop_wakes_the_driver", test_stop_wakes_the_driver},
};

MF_TEST_MAIN(tests)
