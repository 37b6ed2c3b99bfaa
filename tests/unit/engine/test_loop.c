/* The engine's loop delivers no event to a source that was removed after the event was fetched. */
#include "core/engine/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mf_refuse.h"
#include "mf_test.h"

/* Two descriptors. When the first is readable, the second becomes so, and is then removed: by a
 * task, which runs after events were fetched and before they are delivered. */
typedef struct fixture {
    mfi_source first, second;
    mfi_task remover;
    mfi_loop *loop;
    int fds[2];
    int fired_first, fired_second;
    _Atomic(int) removed;
    bool at_once; /* the first removes the second itself; both are in one batch */
} fixture;

#define FIXTURE(pointer, member) ((fixture *)(void *)((char *)(pointer)-offsetof(fixture, member)))

static void make_readable(int fd)
{
    uint64_t one = 1;
    mf_check_int(write(fd, &one, sizeof one), sizeof one);
}

static void on_first(mfi_source *source, uint32_t events)
{
    uint64_t counter = 0;
    fixture *at = FIXTURE(source, first);
    (void)events;
    mf_check_int(read(source->fd, &counter, sizeof counter), sizeof counter);
    at->fired_first++;
    if (at->at_once) {
        mfi_source_remove(at->loop, &at->second);
        at->removed++;
    } else {
        make_readable(at->second.fd);
        (void)mfi_loop_post(at->loop, &at->remover);
    }
}

static void on_second(mfi_source *source, uint32_t events)
{
    (void)events;
    FIXTURE(source, second)->fired_second++;
}

static void run_remover(mfi_task *task)
{
    fixture *at = FIXTURE(task, remover);
    mfi_source_remove(at->loop, &at->second);
    at->removed++;
}

static void add_both(void *argument)
{
    fixture *at = argument;
    mf_error error = MF_ERROR_INIT;
    at->fds[0] = eventfd(0, EFD_CLOEXEC);
    at->fds[1] = eventfd(0, EFD_CLOEXEC);
    mf_check_int(mfi_source_add(at->loop, &at->first, at->fds[0], EPOLLIN, &error), MF_OK);
    mf_check_int(mfi_source_add(at->loop, &at->second, at->fds[1], EPOLLIN, &error), MF_OK);
    make_readable(at->fds[0]);
    if (at->at_once) {
        make_readable(at->fds[1]);
    }
}

static void remove_first(void *argument)
{
    fixture *at = argument;
    mfi_source_remove(at->loop, &at->first);
}

static bool has_removed(void *data)
{
    return ((fixture *)data)->removed > 0;
}

static void check_removed_does_not_fire(bool at_once)
{
    mf_error error = MF_ERROR_INIT;
    fixture at = {.at_once = at_once};
    mfi_source_init(&at.first, on_first);
    mfi_source_init(&at.second, on_second);
    mfi_task_init(&at.remover, run_remover);
    mf_check_int(mfi_loop_create(&at.loop, mfi_clock_system(), NULL, NULL, &error), MF_OK);
    mfi_loop_call(at.loop, add_both, &at);
    mf_check(mf_test_until(has_removed, &at, MF_TEST_PATIENCE_MS));
    mfi_loop_call(at.loop, remove_first, &at);
    mfi_loop_destroy(at.loop); /* the turn that had the event has ended */
    mf_check_int(at.fired_first, 1);
    mf_check_int(at.removed, 1);
    mf_check_int(at.fired_second, 0);
    (void)close(at.fds[0]);
    (void)close(at.fds[1]);
}

static void test_removed_by_a_task(void)
{
    check_removed_does_not_fire(false);
}

static void test_removed_by_another_source(void)
{
    check_removed_does_not_fire(true);
}

/* ---- What the system refuses ---- */

static void deliver_events(void *unused)
{
    (void)unused;
    check_removed_does_not_fire(false);
}

static void test_events_without_the_newest_wait(void)
{
    static const long calls[] = {SYS_epoll_pwait2};
    const int reasons[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        (void)mf_test_refusing(calls, 1, reasons[i], deliver_events, NULL);
    }
}

/* ---- Tasks that take long ---- */

#define SLOW_TASKS 50

typedef struct slow {
    mfi_task tasks[SLOW_TASKS];
    mfi_timer timer;
    mfi_loop *loop;
    int ran, ran_before_timer; /* the engine's */
    _Atomic(int) done;
} slow;

static slow *slow_tasks; /* of the test that runs */

static void on_slow_task(mfi_task *task)
{
    uint64_t until = mfi_monotonic_ns() + MFI_NS_PER_MS;
    (void)task;
    while (mfi_monotonic_ns() < until) {
    }
    slow_tasks->ran++;
    if (slow_tasks->ran == SLOW_TASKS) {
        atomic_store(&slow_tasks->done, 1);
    }
}

static void on_slow_timer(mfi_timer *timer)
{
    (void)timer;
    slow_tasks->ran_before_timer = slow_tasks->ran;
}

/* On the engine thread: all of them wait before the first one runs. */
static void post_slow_tasks(void *argument)
{
    slow *at = argument;
    (void)mfi_timer_set(at->loop, &at->timer, mfi_loop_now(at->loop));
    for (int i = 0; i < SLOW_TASKS; i++) {
        (void)mfi_loop_post(at->loop, &at->tasks[i]);
    }
}

static bool slow_tasks_done(void *data)
{
    return atomic_load(&((slow *)data)->done) == 1;
}

static void test_slow_tasks_do_not_hold_timers_up(void)
{
    static slow at;
    slow_tasks = &at;
    mf_check_int(mfi_loop_create(&at.loop, mfi_clock_system(), NULL, NULL, NULL), MF_OK);
    mfi_timer_init(&at.timer, on_slow_timer);
    for (int i = 0; i < SLOW_TASKS; i++) {
        mfi_task_init(&at.tasks[i], on_slow_task);
    }
    mfi_loop_call(at.loop, post_slow_tasks, &at);
    mf_check(mf_test_until(slow_tasks_done, &at, MF_TEST_PATIENCE_MS));
    mfi_loop_destroy(at.loop);
    mf_check_int(at.ran, SLOW_TASKS);
    mf_check(at.ran_before_timer < SLOW_TASKS / 2);
}

/* ---- Lag ---- */

/* One stall, in which two timers and a posted task become due. */
typedef struct stall {
    mfi_loop *loop;
    mfi_timer first, second;
    mfi_task ping;
    uint64_t posted_ns;
    uint64_t now_ns; /* of the loop's clock */
    int reports, long_ones;
    _Atomic(bool) done;
} stall;

static stall *the_stall;

static uint64_t stalled_clock(void *self)
{
    return ((const stall *)self)->now_ns;
}

static void count_lag(void *user_data, uint64_t lag_ns)
{
    stall *at = user_data;
    at->reports++;
    at->long_ones += lag_ns >= 50 * MFI_NS_PER_MS ? 1 : 0;
}

static void on_first_timer(mfi_timer *timer)
{
    (void)timer;
}

static void on_second_timer(mfi_timer *timer)
{
    (void)timer;
    atomic_store(&the_stall->done, true);
}

static void on_late_ping(mfi_task *task)
{
    (void)task;
    mfi_loop_was_due(the_stall->loop, the_stall->posted_ns);
}

static void stall_once(void *user_data)
{
    stall *at = user_data;
    (void)mfi_timer_set(at->loop, &at->first, at->now_ns + 10 * MFI_NS_PER_MS);
    (void)mfi_timer_set(at->loop, &at->second, at->now_ns + 20 * MFI_NS_PER_MS);
    at->posted_ns = at->now_ns + 5 * MFI_NS_PER_MS;
    (void)mfi_loop_post(at->loop, &at->ping);
    at->now_ns += 300 * MFI_NS_PER_MS;
}

static bool stall_is_over(void *data)
{
    return atomic_load(&((stall *)data)->done);
}

static void test_a_stall_is_one_lag(void)
{
    static stall at;
    the_stall = &at;
    at.now_ns = MFI_NS_PER_S;
    const mfi_clock clock = {.monotonic_ns = stalled_clock, .self = &at};
    mf_check_int(mfi_loop_create(&at.loop, &clock, count_lag, &at, NULL), MF_OK);
    mfi_timer_init(&at.first, on_first_timer);
    mfi_timer_init(&at.second, on_second_timer);
    mfi_task_init(&at.ping, on_late_ping);
    mfi_loop_call(at.loop, stall_once, &at);
    mf_check(mf_test_until(stall_is_over, &at, MF_TEST_PATIENCE_MS));
    mfi_loop_destroy(at.loop);
    mf_check_int(at.reports, 3);
    mf_check_int(at.long_ones, 1);
}

static const mf_test tests[] = {
    {"loop__a_stall_is_one_lag", test_a_stall_is_one_lag},
    {"loop__delivers_events_without_epoll_pwait2", test_events_without_the_newest_wait},
    {"loop__slow_tasks_do_not_hold_timers_up", test_slow_tasks_do_not_hold_timers_up},
    {"loop__source_removed_by_a_task_does_not_fire", test_removed_by_a_task},
    {"loop__source_removed_by_another_one_does_not_fire", test_removed_by_another_source},
};
MF_TEST_MAIN(tests)
