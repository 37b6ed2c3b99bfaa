/* The engine thread: one epoll set, one heap of timers, one queue of tasks. It exists so that
 * timers, processes and idle sockets of a whole runtime need one thread.
 *
 * Wake-up. A thread that posts a task writes the wake-up eventfd only if the engine thread sleeps
 * or is about to. The engine thread exchanges `sleeping` to true, then checks the queue once more
 * before it blocks. The posting thread pushes, then exchanges `sleeping` to false. The two
 * exchanges are ordered. If the poster's is second, the poster reads true and wakes. If the engine
 * thread's is second, it has read the poster's value and so sees the pushed task.
 *
 * Removal. An event of a removed source must not be delivered, also if the event is already in the
 * current batch. So mfi_source_remove searches the rest of the batch and clears the entries of the
 * source. */
#include "core/engine/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mutex.h"

#define BATCH 64 /* events that one epoll_wait returns at most */
/* Time and number of tasks in one turn. Chosen, not measured: a timer may be late by so much. */
#define TASKS_NS (2 * MFI_NS_PER_MS)
#define TASKS_MOST 1024
/* How long one task may run that works off a queue, and how many steps it may take. */
#define TURN_NS (1 * MFI_NS_PER_MS)
#define TURN_STEPS 256

/* The loop whose engine thread is the current thread; NULL on all other threads. */
static _Thread_local const mfi_loop *current_loop;

struct mfi_loop {
    const mfi_clock *clock;
    void (*late)(void *user_data, uint64_t lag_ns);
    void *user_data;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    _Atomic(bool) stopping; /* release by destroy, acquire by the thread */
    _Atomic(bool) sleeping; /* exchanged with acq_rel by both sides: see above */
    _Atomic(uint64_t) last_turn_ns;
    mfi_mpsc tasks;
    mfi_heap timers;
    uint64_t lag_counted_ns; /* lag up to here was reported */
    bool whole_ms;           /* the system can wait only for whole milliseconds */
    struct epoll_event batch[BATCH];
    int batch_next; /* next entry of the current batch to be delivered */
    int batch_count;
};

/* ---- Timers ---- */

void mfi_timer_init(mfi_timer *timer, void (*fire)(mfi_timer *timer))
{
    *timer = (mfi_timer){.fire = fire};
}

void mfi_timer_cancel(mfi_loop *loop, mfi_timer *timer)
{
    mfi_heap_remove(&loop->timers, &timer->entry);
}

bool mfi_timer_set(mfi_loop *loop, mfi_timer *timer, uint64_t deadline_ns)
{
    if (deadline_ns == MFI_NEVER) {
        mfi_heap_remove(&loop->timers, &timer->entry);
        return true;
    }
    return mfi_heap_set(&loop->timers, &timer->entry, deadline_ns);
}

/* A stall makes everything late that was due meanwhile. Each moment of it is reported once. */
static void report_lag(mfi_loop *loop, uint64_t due_ns, uint64_t now_ns)
{
    uint64_t from = due_ns > loop->lag_counted_ns ? due_ns : loop->lag_counted_ns;
    loop->lag_counted_ns = now_ns;
    if (loop->late != NULL) {
        loop->late(loop->user_data, mfi_remaining_ns(now_ns, from));
    }
}

void mfi_loop_was_due(mfi_loop *loop, uint64_t due_ns)
{
    report_lag(loop, due_ns, mfi_clock_monotonic(loop->clock));
}

static void run_timers(mfi_loop *loop)
{
    for (mfi_heap_entry *first; (first = mfi_heap_first(&loop->timers)) != NULL;) {
        mfi_timer *timer = MFI_CONTAINER(first, mfi_timer, entry);
        uint64_t now = mfi_clock_monotonic(loop->clock);
        if (first->due > now) {
            break;
        }
        report_lag(loop, first->due, now);
        mfi_timer_cancel(loop, timer);
        timer->fire(timer);
    }
}

/* ---- Descriptors ---- */

void mfi_source_init(mfi_source *source, void (*ready)(mfi_source *source, uint32_t events))
{
    source->ready = ready;
    source->fd = -1;
}

mf_status mfi_source_add(mfi_loop *loop, mfi_source *source, int fd, uint32_t events,
                         mf_error *error)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot watch a descriptor");
    }
    source->fd = fd;
    return MF_OK;
}

void mfi_source_arm(mfi_loop *loop, mfi_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = source};
    /* Cannot fail for a descriptor that is in the set; all callers keep the descriptor there. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void mfi_source_remove(mfi_loop *loop, mfi_source *source)
{
    if (source->fd < 0) {
        return;
    }
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
    for (int i = loop->batch_next; i < loop->batch_count; i++) {
        if (loop->batch[i].data.ptr == source) {
            loop->batch[i].data.ptr = NULL;
        }
    }
}

/* ---- Tasks ---- */

void mfi_task_init(mfi_task *task, void (*run)(mfi_task *task))
{
    atomic_init(&task->node.next, NULL);
    task->run = run;
    atomic_init(&task->posted, false);
}

static void wake(mfi_loop *loop)
{
    uint64_t one = 1;
    /* Fails only when the counter is full: then the thread is awake. */
    ssize_t written = write(loop->wake_fd, &one, sizeof one);
    (void)written;
}

bool mfi_loop_post(mfi_loop *loop, mfi_task *task)
{
    /* acq_rel: the runner's release of `posted` must be seen before the node is linked again. */
    if (atomic_exchange_explicit(&task->posted, true, memory_order_acq_rel)) {
        return false;
    }
    mfi_mpsc_push(&loop->tasks, &task->node);
    if (atomic_exchange_explicit(&loop->sleeping, false, memory_order_acq_rel)) {
        wake(loop);
    }
    return true;
}

/* Bounded in time and number, so that descriptors and timers do not wait for tasks that post each
 * other, or for hundreds of starts that each spawn a process. */
static void run_tasks(mfi_loop *loop)
{
    mfi_mpsc_node *node = NULL;
    uint64_t until = mfi_clock_monotonic(loop->clock) + TASKS_NS;
    for (int i = 0; i < TASKS_MOST && (node = mfi_mpsc_pop(&loop->tasks)) != NULL; i++) {
        mfi_task *task = (mfi_task *)node;
        /* An exchange, so that it is ordered with the poster's exchange. A poster that finds the
         * task still posted wrote its data before this exchange, so the task sees the data. */
        (void)atomic_exchange_explicit(&task->posted, false, memory_order_acq_rel);
        task->run(task);
        if (mfi_clock_monotonic(loop->clock) >= until) {
            break;
        }
    }
}

mfi_turn mfi_turn_begin(const mfi_loop *loop)
{
    return (mfi_turn){.loop = loop, .until_ns = mfi_loop_now(loop) + TURN_NS};
}

bool mfi_turn_is_over(mfi_turn *turn)
{
    turn->steps++;
    return turn->steps == TURN_STEPS || mfi_loop_now(turn->loop) >= turn->until_ns;
}

typedef struct sync_call {
    mfi_task task;
    void (*run)(void *argument);
    void *argument;
    _Atomic(uint32_t) done;
} sync_call;

static void run_sync_call(mfi_task *task)
{
    sync_call *call = (sync_call *)task;
    call->run(call->argument);
    atomic_store_explicit(&call->done, 1, memory_order_release);
    mfi_futex_wake(&call->done, 1);
}

void mfi_loop_call(mfi_loop *loop, void (*run)(void *argument), void *argument)
{
    if (mfi_loop_on_thread(loop)) {
        run(argument);
        return;
    }
    sync_call call = {.run = run, .argument = argument};
    mfi_task_init(&call.task, run_sync_call);
    atomic_init(&call.done, 0);
    (void)mfi_loop_post(loop, &call.task);
    while (atomic_load_explicit(&call.done, memory_order_acquire) == 0) {
        mfi_futex_wait(&call.done, 0, MFI_NEVER);
    }
}

/* ---- The thread ---- */

static int wait_for_events(mfi_loop *loop)
{
    const mfi_heap_entry *first = mfi_heap_first(&loop->timers);
    uint64_t deadline = first != NULL ? first->due : MFI_NEVER;
    (void)atomic_exchange_explicit(&loop->sleeping, true, memory_order_acq_rel);
    if (!mfi_mpsc_empty(&loop->tasks) ||
        atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
        deadline = 0;
    }
    uint64_t left = mfi_remaining_ns(deadline, mfi_clock_monotonic(loop->clock));
    struct timespec timeout = {.tv_sec = (time_t)(left / MFI_NS_PER_S),
                               .tv_nsec = (long)(left % MFI_NS_PER_S)};
    int count = -1;
    if (!loop->whole_ms) {
        count = epoll_pwait2(loop->epoll_fd, loop->batch, BATCH,
                             left == MFI_NEVER ? NULL : &timeout, NULL);
        /* Before Linux 5.11; and where a filter of system calls does not know it. */
        loop->whole_ms = count < 0 && (errno == ENOSYS || errno == EPERM);
    }
    if (loop->whole_ms) {
        count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, mfi_poll_timeout_ms(left, 0));
    }
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
    return count;
}

static void deliver(mfi_loop *loop)
{
    while (loop->batch_next < loop->batch_count) {
        struct epoll_event *event = &loop->batch[loop->batch_next++];
        mfi_source *source = event->data.ptr;
        if (source == (void *)loop) { /* the wake-up eventfd */
            uint64_t counter = 0;
            ssize_t got = read(loop->wake_fd, &counter, sizeof counter);
            (void)got;
        } else if (source != NULL) {
            source->ready(source, event->events);
        }
    }
    loop->batch_count = 0;
}

static void *loop_thread(void *argument)
{
    mfi_loop *loop = argument;
    current_loop = loop;
    for (;;) {
        /* From here on the events wait in the batch: a task too may remove a source that is in it.
         */
        loop->batch_count = wait_for_events(loop);
        loop->batch_next = 0;
        atomic_store_explicit(&loop->last_turn_ns, mfi_clock_monotonic(loop->clock),
                              memory_order_relaxed);
        run_tasks(loop);
        deliver(loop);
        run_timers(loop);
        if (atomic_load_explicit(&loop->stopping, memory_order_acquire) &&
            mfi_mpsc_empty(&loop->tasks)) {
            return NULL;
        }
    }
}

bool mfi_loop_on_thread(const mfi_loop *loop)
{
    return current_loop == loop;
}

uint64_t mfi_loop_now(const mfi_loop *loop)
{
    return mfi_clock_monotonic(loop->clock);
}

uint64_t mfi_loop_last_turn_ns(const mfi_loop *loop)
{
    return atomic_load_explicit(&loop->last_turn_ns, memory_order_relaxed);
}

static void loop_free(mfi_loop *loop)
{
    if (loop->epoll_fd >= 0) {
        (void)close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        (void)close(loop->wake_fd);
    }
    mfi_heap_fini(&loop->timers);
    free(loop);
}

mf_status mfi_loop_create(mfi_loop **ret_loop, const mfi_clock *clock,
                          void (*late)(void *user_data, uint64_t lag_ns), void *user_data,
                          mf_error *error)
{
    mf_status status = MF_OK;
    mfi_loop *loop = aligned_alloc(_Alignof(mfi_loop), sizeof *loop);
    if (loop == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the engine loop");
    }
    memset(loop, 0, sizeof *loop);
    loop->clock = clock;
    loop->late = late;
    loop->user_data = user_data;
    mfi_mpsc_init(&loop->tasks);
    atomic_init(&loop->last_turn_ns, mfi_clock_monotonic(clock));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop};
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        status = mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make the engine's poll set");
        goto out;
    }
    int started = mfi_thread_start(&loop->thread, "mf-engine", loop_thread, loop);
    if (started != 0) {
        status = mfi_fail_errno(error, MF_ERR_SYSTEM, started, "cannot start the engine thread");
        goto out;
    }
    *ret_loop = loop;
    loop = NULL;
out:
    if (loop != NULL) {
        loop_free(loop);
    }
    return status;
}

void mfi_loop_destroy(mfi_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    wake(loop);
    (void)pthread_join(loop->thread, NULL);
    loop_free(loop);
}
