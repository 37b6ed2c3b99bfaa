/* The engine thread of a runtime: descriptors, timers, and tasks posted from other threads.
 *
 * Sources and timers belong to the engine thread: only it adds, changes and removes them. Any
 * thread may post a task. */
#ifndef MFI_ENGINE_LOOP_H
#define MFI_ENGINE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/mpsc.h"

typedef struct mfi_loop mfi_loop;

/* Starts the thread. `late`, if not NULL, is called with the lateness of each timer in nanoseconds.
 */
mf_status mfi_loop_create(mfi_loop **ret_loop, const mfi_clock *clock,
                          void (*late)(void *user_data, uint64_t lag_ns), void *user_data,
                          mf_error *error);
/* Runs the posted tasks, ends the thread and frees the loop. All sources and timers must be
 * removed. */
void mfi_loop_destroy(mfi_loop *loop);
bool mfi_loop_on_thread(const mfi_loop *loop);
uint64_t mfi_loop_now(const mfi_loop *loop);
/* Engine thread: reports how late something runs that was due then, beside the timers. */
void mfi_loop_was_due(mfi_loop *loop, uint64_t due_ns);
/* When the thread last began a turn, in monotonic nanoseconds; for liveness checks. Any thread. */
uint64_t mfi_loop_last_turn_ns(const mfi_loop *loop);

/* ---- Tasks ---- */

typedef struct mfi_task {
    mfi_mpsc_node node; /* first member */
    void (*run)(struct mfi_task *task);
    _Atomic(bool) posted;
} mfi_task;

static inline bool mfi_task_is_posted(const mfi_task *task)
{
    return atomic_load_explicit(&task->posted, memory_order_relaxed);
}
void mfi_task_init(mfi_task *task, void (*run)(mfi_task *task));
/* Runs the task soon on the engine thread. False if the task is posted already: then nothing
 * changes. The task may be posted again once it has started to run. Its run function may free it.
 */
bool mfi_loop_post(mfi_loop *loop, mfi_task *task);
/* Runs a function on the engine thread and waits for its end. On the engine thread itself: runs it
 * directly. */
void mfi_loop_call(mfi_loop *loop, void (*run)(void *argument), void *argument);

/* A task's share of the engine thread. A task that works off a queue which others refill ends when
 * its turn is over, and posts itself again, so that timers and other tasks come in between. */
typedef struct mfi_turn {
    const mfi_loop *loop;
    uint64_t until_ns;
    uint32_t steps;
} mfi_turn;
mfi_turn mfi_turn_begin(const mfi_loop *loop);
/* After each step of the work. */
bool mfi_turn_is_over(mfi_turn *turn);

/* ---- Timers ---- */

typedef struct mfi_timer {
    void (*fire)(struct mfi_timer *timer);
    mfi_heap_entry entry; /* due: the deadline, monotonic nanoseconds */
} mfi_timer;

void mfi_timer_init(mfi_timer *timer, void (*fire)(mfi_timer *timer));
/* Arms or moves the timer; MFI_NEVER disarms. False without memory: then the timer is not armed. */
bool mfi_timer_set(mfi_loop *loop, mfi_timer *timer, uint64_t deadline_ns);
void mfi_timer_cancel(mfi_loop *loop, mfi_timer *timer);
static inline bool mfi_timer_is_set(const mfi_timer *timer)
{
    return timer->entry.place != 0;
}

/* ---- Descriptors ---- */

typedef struct mfi_source {
    void (*ready)(struct mfi_source *source, uint32_t events); /* EPOLL* bits */
    int fd;                                                    /* -1: not added */
} mfi_source;

void mfi_source_init(mfi_source *source, void (*ready)(mfi_source *source, uint32_t events));
mf_status mfi_source_add(mfi_loop *loop, mfi_source *source, int fd, uint32_t events,
                         mf_error *error);
/* Any thread, for EPOLLONESHOT sources: arms the source again; 0 disarms it. */
void mfi_source_arm(mfi_loop *loop, mfi_source *source, uint32_t events);
/* Removes the source from the loop, without closing its descriptor. No event of the source is
 * delivered afterwards. */
void mfi_source_remove(mfi_loop *loop, mfi_source *source);

#endif
