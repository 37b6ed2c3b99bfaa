/* Design note: the state machine that docs/threads.md draws.
 *
 *  Roles      CLOSED  IDLE  PARKED  ENGINE  CALLER
 *
 * One thread at a time holds CALLER or ENGINE. That thread alone touches the transport and takes
 * from the queue. All transitions happen under the mutex. CALLER -> IDLE is the transition of a
 * lone synchronous caller, and makes no system call.
 *
 * Nothing is lost, because
 *  - a thread that pushes to the queue checks the role afterwards, and a thread that gives the
 *    role up checks the queue afterwards. Both check under the mutex, so one sees the other;
 *  - a driver blocks only after a burst that ended with "nothing there", and then waits for both
 *    descriptors. A thread that wants the driver to check again sets `attention` before it
 *    exchanges `sleeping`; the driver reads `attention` after its own exchange (loop.c says why
 *    one of them sees the other);
 *  - arming the one-shot source checks the descriptor's level, so an edge between the last
 *    receive and the arming still fires;
 *  - a driver that leaves early because its own call has ended gives the rest to a waiter, or
 *    posts a turn to the engine. Only when no call is open at all, the driver leaves the rest
 *    (unsolicited messages) to the tick. */
#include "core/engine/driver.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define TICKS_UNTIL_QUIET 25 /* ticks without any use of the socket, after which the tick ends */
#define LONG_TICK_NS (4 * MFI_NS_PER_MS) /* ticks become twice as long until they reach this */
#define LOOKS_MAX                                                                                  \
    1000 /* bursts of one mfi_driver_look, so that a busy peer cannot hold the engine */

/* ---- Waiters ---- */

/* Gives the role to the first thread that still waits; false if no thread waits. */
static bool hand_over_locked(mfi_driver *driver)
{
    for (mfi_list_node *node = driver->waiters.first; node != NULL; node = node->next) {
        mfi_waiter *waiter = MFI_CONTAINER(node, mfi_waiter, node);
        if (!mfi_waiter_is_done(waiter)) {
            mfi_list_remove(&driver->waiters, &waiter->node);
            driver->role = MFI_ROLE_CALLER;
            mfi_waiter_signal(waiter, MFI_WAITER_ROLE);
            return true;
        }
    }
    return false;
}

/* ---- Leaving ---- */

static void start_tick_locked(mfi_driver *driver)
{
    if (!driver->ticking) {
        driver->ticking = true;
        (void)mfi_loop_post(driver->loop, &driver->tick_start);
    }
}

void mfi_driver_release(mfi_driver *driver, bool drained)
{
    mfi_mutex_lock(&driver->mutex);
    bool closing = atomic_load_explicit(&driver->closing, memory_order_relaxed);
    if (closing || !hand_over_locked(driver)) {
        bool watch = driver->ops->needs_watch(driver->self);
        driver->role = MFI_ROLE_IDLE;
        if (closing || driver->ops->has_more(driver->self) || (watch && !drained)) {
            (void)mfi_loop_post(driver->loop, &driver->turn);
        } else if (watch) {
            driver->role = MFI_ROLE_PARKED;
            mfi_source_arm(driver->loop, &driver->source, EPOLLIN);
        } else {
            start_tick_locked(driver);
        }
    }
    mfi_mutex_unlock(&driver->mutex);
}

/* ---- The engine's side ---- */

static void finish_closing(mfi_driver *driver)
{
    mfi_source_remove(driver->loop, &driver->source);
    mfi_timer_cancel(driver->loop, &driver->tick);
    driver->closed(driver->closed_data);
}

/* True once: from then on the driver is closed or paused, even if it was never open. */
static bool closes_now_locked(mfi_driver *driver)
{
    if (atomic_load_explicit(&driver->closing, memory_order_relaxed) && !driver->finished) {
        bool pauses = atomic_load_explicit(&driver->pausing, memory_order_relaxed);
        driver->role = MFI_ROLE_CLOSED;
        driver->ticking = false;
        driver->finished = !pauses;
        if (pauses) { /* a paused driver is in the state before the first open */
            atomic_store_explicit(&driver->pausing, false, memory_order_relaxed);
            atomic_store_explicit(&driver->closing, false, memory_order_relaxed);
        }
        return true;
    }
    return false;
}

/* One turn of the engine: burst, then hand over or park. True if another turn was posted, for what
 * this one has left. */
static bool engine_turn(mfi_driver *driver)
{
    bool left = false;
    mfi_mutex_lock(&driver->mutex);
    bool held = driver->role == MFI_ROLE_CALLER || driver->role == MFI_ROLE_ENGINE;
    bool closes = !held && closes_now_locked(driver);
    bool mine = driver->role == MFI_ROLE_IDLE || driver->role == MFI_ROLE_PARKED;
    if (mine) {
        driver->role = MFI_ROLE_ENGINE;
    }
    if (driver->role == MFI_ROLE_CALLER) {
        mfi_driver_wake(driver); /* a kick may have left the wake-up to this turn */
    }
    mfi_mutex_unlock(&driver->mutex);
    if (mine) {
        /* One burst only, so that callbacks and other sources of the loop get their turn. */
        bool drained = driver->ops->burst(driver->self, NULL);
        mfi_mutex_lock(&driver->mutex);
        bool more = driver->ops->has_more(driver->self);
        closes = closes_now_locked(driver);
        if (!closes && !hand_over_locked(driver)) {
            if (drained && !more) {
                driver->role = MFI_ROLE_PARKED;
                mfi_source_arm(driver->loop, &driver->source, EPOLLIN);
            } else {
                left = true;
                driver->role = MFI_ROLE_IDLE;
                (void)mfi_loop_post(driver->loop, &driver->turn);
            }
        }
        mfi_mutex_unlock(&driver->mutex);
    }
    if (closes) {
        finish_closing(driver);
    }
    return left;
}

bool mfi_driver_look(mfi_driver *driver)
{
    bool open = !atomic_load_explicit(&driver->closing, memory_order_relaxed);
    bool more = open;
    for (int i = 0; more && i < LOOKS_MAX; i++) {
        more = engine_turn(driver);
    }
    return open;
}

static void on_turn(mfi_task *task)
{
    (void)engine_turn(MFI_CONTAINER(task, mfi_driver, turn));
}

static void on_readiness(mfi_source *source, uint32_t events)
{
    (void)events;
    (void)engine_turn(MFI_CONTAINER(source, mfi_driver, source));
}

/* The first ticks come soon, so that a socket that is used once is parked soon. Later ticks are
 * rarer, because a tick can delay a call. */
static void arm_tick(mfi_driver *driver)
{
    uint64_t after_ns = driver->next_tick_ns;
    driver->next_tick_ns = after_ns < LONG_TICK_NS ? after_ns * 2 : after_ns;
    (void)mfi_timer_set(driver->loop, &driver->tick, mfi_loop_now(driver->loop) + after_ns);
}

static void on_tick_start(mfi_task *task)
{
    mfi_driver *driver = MFI_CONTAINER(task, mfi_driver, tick_start);
    mfi_mutex_lock(&driver->mutex);
    driver->takes_at_tick = driver->takes;
    driver->quiet_ticks = 0;
    bool closed = driver->role == MFI_ROLE_CLOSED;
    driver->ticking = !closed;
    mfi_mutex_unlock(&driver->mutex);
    if (!closed) {
        driver->next_tick_ns = driver->tick_ns;
        arm_tick(driver);
    }
}

/* The engine takes a socket that was idle for a whole tick, and parks it. The tick ends when the
 * socket is parked, or when the socket was not used for a while. */
static void on_tick(mfi_timer *timer)
{
    mfi_driver *driver = MFI_CONTAINER(timer, mfi_driver, tick);
    mfi_mutex_lock(&driver->mutex);
    bool unchanged = driver->takes == driver->takes_at_tick;
    driver->takes_at_tick = driver->takes;
    driver->quiet_ticks = unchanged ? driver->quiet_ticks + 1 : 0;
    bool take = unchanged && driver->role == MFI_ROLE_IDLE;
    driver->ticking =
        !take && driver->role != MFI_ROLE_PARKED && driver->quiet_ticks < TICKS_UNTIL_QUIET;
    bool again = driver->ticking;
    mfi_mutex_unlock(&driver->mutex);
    if (take) {
        (void)engine_turn(driver);
    }
    if (again) {
        arm_tick(driver);
    }
}

/* Mutex held. True if the driver is closed for good; false if it is only not open yet. */
static bool is_closed_locked(const mfi_driver *driver)
{
    return driver->role == MFI_ROLE_CLOSED &&
           atomic_load_explicit(&driver->closing, memory_order_relaxed);
}

bool mfi_driver_is_closed(mfi_driver *driver)
{
    mfi_mutex_lock(&driver->mutex);
    bool closed = driver->role == MFI_ROLE_CLOSED;
    mfi_mutex_unlock(&driver->mutex);
    return closed;
}

bool mfi_driver_kick(mfi_driver *driver)
{
    /* A turn that is posted already will run on this very thread and see the message. */
    if (mfi_loop_on_thread(driver->loop) && mfi_task_is_posted(&driver->turn) &&
        !atomic_load_explicit(&driver->closing, memory_order_relaxed)) {
        return true;
    }
    mfi_mutex_lock(&driver->mutex);
    mfi_role role = driver->role;
    bool closed = is_closed_locked(driver);
    mfi_mutex_unlock(&driver->mutex);
    if (role == MFI_ROLE_IDLE || role == MFI_ROLE_PARKED) {
        (void)mfi_loop_post(driver->loop, &driver->turn);
    } else if (role == MFI_ROLE_CALLER) {
        mfi_driver_wake(driver);
    }
    /* The ENGINE role checks the queue again, under the mutex, before it parks. A driver that is
     * not open yet begins with a turn of the engine. */
    return !closed;
}

/* ---- The callers' side ---- */

void mfi_driver_wake(mfi_driver *driver)
{
    atomic_store_explicit(&driver->attention, true, memory_order_relaxed);
    if (atomic_exchange_explicit(&driver->sleeping, false, memory_order_acq_rel)) {
        uint64_t one = 1;
        ssize_t written = write(driver->wake_fd, &one, sizeof one); /* full: it is awake */
        (void)written;
    }
}

void mfi_driver_sleep(mfi_driver *driver, uint64_t deadline_ns)
{
    (void)atomic_exchange_explicit(&driver->sleeping, true, memory_order_acq_rel);
    struct pollfd fds[2] = {{.fd = driver->socket_fd, .events = POLLIN},
                            {.fd = driver->wake_fd, .events = POLLIN}};
    if (!atomic_exchange_explicit(&driver->attention, false, memory_order_relaxed)) {
        uint64_t left = mfi_remaining_ns(deadline_ns, mfi_monotonic_ns());
        struct timespec timeout = {.tv_sec = (time_t)(left / MFI_NS_PER_S),
                                   .tv_nsec = (long)(left % MFI_NS_PER_S)};
        (void)ppoll(fds, 2, left == MFI_NEVER ? NULL : &timeout, NULL);
    }
    atomic_store_explicit(&driver->sleeping, false, memory_order_relaxed);
    uint64_t counter = 0;
    if (fds[1].revents != 0 && read(driver->wake_fd, &counter, sizeof counter) < 0) {
        return; /* another thread took the wake-up: the driver is awake */
    }
}

typedef enum take { TAKE_MINE, TAKE_LISTED, TAKE_CLOSED } take;

static take take_or_join(mfi_driver *driver, mfi_waiter *waiter)
{
    take outcome = TAKE_MINE;
    mfi_mutex_lock(&driver->mutex);
    mfi_role before = driver->role;
    driver->takes++;
    if (is_closed_locked(driver)) {
        outcome = TAKE_CLOSED;
    } else if ((before == MFI_ROLE_IDLE || before == MFI_ROLE_PARKED) &&
               !atomic_load_explicit(&driver->pausing, memory_order_relaxed)) {
        driver->role = MFI_ROLE_CALLER;
        if (before == MFI_ROLE_PARKED) {
            mfi_source_arm(driver->loop, &driver->source, 0);
        }
    } else {
        mfi_list_push_back(&driver->waiters, &waiter->node);
        outcome = TAKE_LISTED;
    }
    mfi_mutex_unlock(&driver->mutex);
    if (outcome == TAKE_LISTED && before == MFI_ROLE_CALLER) {
        mfi_driver_wake(driver); /* the driver may sleep while our message is in the queue */
    }
    return outcome;
}

/* Waits in the list of waiters; true if the role was given to this thread. */
static bool wait_for_role(mfi_driver *driver, mfi_waiter *waiter, uint64_t deadline_ns)
{
    (void)mfi_waiter_block(waiter, MFI_WAITER_DONE | MFI_WAITER_ROLE, deadline_ns);
    mfi_mutex_lock(&driver->mutex);
    mfi_list_remove(&driver->waiters, &waiter->node);
    mfi_mutex_unlock(&driver->mutex);
    /* The role is given only under the mutex, so the signal cannot change from here on. */
    uint32_t word = atomic_fetch_and_explicit(
        &waiter->signal, ~(MFI_WAITER_ROLE | MFI_WAITER_WAITING), memory_order_acq_rel);
    return (word & MFI_WAITER_ROLE) != 0;
}

/* Role held. Drives until the waiter is done or the deadline has passed, and gives the role up.
 * True if the role had to be given up for a pause before that. */
static bool drive(mfi_driver *driver, mfi_waiter *waiter, uint64_t deadline_ns, mfi_wait *ret_wait)
{
    for (;;) {
        bool drained = driver->ops->burst(driver->self, waiter);
        bool done = mfi_waiter_is_done(waiter);
        bool late = !done && deadline_ns != MFI_NEVER && mfi_monotonic_ns() >= deadline_ns;
        bool closing = atomic_load_explicit(&driver->closing, memory_order_acquire);
        if (done || late || closing) {
            /* While the role is held, a pause cannot end; a close can only replace it. */
            bool pausing = atomic_load_explicit(&driver->pausing, memory_order_acquire);
            mfi_driver_release(driver, drained);
            *ret_wait = done                  ? MFI_WAIT_DONE
                        : closing && !pausing ? MFI_WAIT_CLOSED
                                              : MFI_WAIT_DEADLINE;
            return !done && !late && pausing;
        }
        if (drained) {
            mfi_driver_sleep(driver, deadline_ns);
        }
    }
}

mfi_wait mfi_driver_wait(mfi_driver *driver, mfi_waiter *waiter, uint64_t deadline_ns)
{
    mfi_wait outcome = MFI_WAIT_DONE;
    do {
        take taken = take_or_join(driver, waiter);
        if (taken == TAKE_CLOSED) {
            return mfi_waiter_is_done(waiter) ? MFI_WAIT_DONE : MFI_WAIT_CLOSED;
        }
        if (taken == TAKE_LISTED && !wait_for_role(driver, waiter, deadline_ns)) {
            return mfi_waiter_is_done(waiter) ? MFI_WAIT_DONE : MFI_WAIT_DEADLINE;
        }
    } while (drive(driver, waiter, deadline_ns, &outcome));
    return outcome;
}

bool mfi_driver_acquire(mfi_driver *driver)
{
    mfi_waiter waiter;
    mfi_waiter_init(&waiter);
    take taken = take_or_join(driver, &waiter);
    return taken == TAKE_MINE ||
           (taken == TAKE_LISTED && wait_for_role(driver, &waiter, MFI_NEVER));
}

/* ---- Life ---- */

mf_status mfi_driver_init(mfi_driver *driver, mfi_loop *loop, const mfi_driver_ops *ops, void *self,
                          uint64_t tick_ns, mf_error *error)
{
    *driver = (mfi_driver){.loop = loop,
                           .ops = ops,
                           .self = self,
                           .tick_ns = tick_ns,
                           .socket_fd = -1,
                           .role = MFI_ROLE_CLOSED};
    mfi_mutex_init(&driver->mutex);
    mfi_mpsc_init(&driver->queue);
    mfi_source_init(&driver->source, on_readiness);
    mfi_task_init(&driver->turn, on_turn);
    mfi_task_init(&driver->tick_start, on_tick_start);
    mfi_timer_init(&driver->tick, on_tick);
    driver->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (driver->wake_fd < 0) {
        mfi_mutex_fini(&driver->mutex);
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make an eventfd");
    }
    return MF_OK;
}

void mfi_driver_fini(mfi_driver *driver)
{
    (void)close(driver->wake_fd);
    mfi_mutex_fini(&driver->mutex);
}

mf_status mfi_driver_open(mfi_driver *driver, int socket_fd, mf_error *error)
{
    mf_status status =
        mfi_source_add(driver->loop, &driver->source, socket_fd, EPOLLIN | EPOLLONESHOT, error);
    if (status != MF_OK) {
        return status;
    }
    driver->socket_fd = socket_fd;
    atomic_store_explicit(&driver->closing, false, memory_order_relaxed);
    mfi_mutex_lock(&driver->mutex);
    driver->role = MFI_ROLE_PARKED;
    mfi_mutex_unlock(&driver->mutex);
    (void)mfi_loop_post(driver->loop, &driver->turn); /* the turn sends what was queued before the
                                                       * open */
    return MF_OK;
}

static void close_soon(mfi_driver *driver, bool pausing, void (*closed)(void *data), void *data)
{
    driver->closed = closed;
    driver->closed_data = data;
    atomic_store_explicit(&driver->pausing, pausing, memory_order_release);
    /* release: pairs with the acquire of a driver that checks before it sleeps */
    atomic_store_explicit(&driver->closing, true, memory_order_release);
    (void)mfi_loop_post(driver->loop, &driver->turn);
    mfi_driver_wake(driver);
}

void mfi_driver_close(mfi_driver *driver, void (*closed)(void *data), void *data)
{
    close_soon(driver, false, closed, data);
}

void mfi_driver_pause(mfi_driver *driver, void (*paused)(void *data), void *data)
{
    close_soon(driver, true, paused, data);
}

void mfi_driver_reopen(mfi_driver *driver)
{
    mfi_mutex_lock(&driver->mutex);
    driver->finished = false;
    atomic_store_explicit(&driver->closing, false, memory_order_relaxed);
    mfi_mutex_unlock(&driver->mutex);
}
