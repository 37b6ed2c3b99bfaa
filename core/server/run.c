/* The run loop of a worker: its start, its end, and what makes it stop: SHUTDOWN, SIGTERM, SIGINT,
 * mf_child_stop(), or the end of the parent process. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "core/server/child.h"
#include "core/engine/parent.h"
#include "core/process/descriptors.h"

#define QUEUE_MESSAGES 10000
#define LINGER_MS 1000
/* So long at most short handlers run before their answers are sent. */
#define BATCH_NS (5 * MFI_NS_PER_US)
/* How often the end tries to hand over what is still queued, each time waiting at most as long. */
#define FLUSH_ROUNDS 20
#define FLUSH_WAIT_NS (50 * MFI_NS_PER_MS)
/* Original parents give a worker two seconds. */
#define REACH_NS (10 * MFI_NS_PER_S)

/* ---- Stopping ---- */

void mf_child_stop(mf_child *child)
{
    if (child != NULL) {
        atomic_store_explicit(&child->stopping, true, memory_order_release);
        mfi_driver_wake(&child->driver);
    }
}

/* The child that has the signals, NULL if none. */
static _Atomic(mf_child *) signal_child;

static void on_signal(int number)
{
    (void)number;
    int before = errno;
    mf_child_stop(atomic_load_explicit(&signal_child, memory_order_acquire));
    errno = before;
}

typedef struct signals {
    bool taken;
    struct sigaction term, interrupt;
} signals;

/* Only one child of a process can have them; a second one leaves them alone. */
static void take_signals(mf_child *child, signals *saved)
{
    mf_child *nobody = NULL;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    saved->taken = !child->no_signals &&
                   atomic_compare_exchange_strong_explicit(
                       &signal_child, &nobody, child, memory_order_acq_rel, memory_order_relaxed);
    if (saved->taken) {
        (void)sigaction(SIGTERM, &action, &saved->term);
        (void)sigaction(SIGINT, &action, &saved->interrupt);
    }
}

static void restore_signals(const signals *saved)
{
    if (saved->taken) {
        (void)sigaction(SIGTERM, &saved->term, NULL);
        (void)sigaction(SIGINT, &saved->interrupt, NULL);
        atomic_store_explicit(&signal_child, NULL, memory_order_release);
    }
}

/* ---- The parent process ---- */

static void on_parent_gone(mfi_source *source, uint32_t events)
{
    (void)events;
    mf_child *child = MFI_CONTAINER(source, mf_child, parent_source);
    mfi_source_remove(child->runtime->loop, source);
    mf_child_stop(child);
}

/* A parent that ended before we could watch it left no word of who it was: no language puts its pid
 * into the environment, and one with pid 1 may be real. But whoever adopts an orphan is of another
 * session as a rule, and nobody listens at its port any more. So a worker whose parent is of
 * another session has to get a connection in time. */
static void watch_for_orphan(mf_child *child, pid_t parent)
{
    mfi_loop *loop = child->runtime->loop;
    if (parent > 0 && getsid(parent) != getsid(0)) {
        /* Without memory it stays, as it did. */
        (void)mfi_timer_set(loop, &child->orphan_timer, mfi_loop_now(loop) + REACH_NS);
    }
}

void mfi_child_on_orphan_timer(mfi_timer *timer)
{
    mf_child *child = MFI_CONTAINER(timer, mf_child, orphan_timer);
    if (!child->was_connected) {
        mf_child_stop(child);
    }
}

/* Without pidfds (an old kernel) only signals and SHUTDOWN end the worker. */
static void watch_parent(mf_child *child)
{
    pid_t parent = getppid();
    mfi_source_init(&child->parent_source, on_parent_gone);
    child->parent_fd = (int)syscall(SYS_pidfd_open, parent, 0);
    if (child->parent_fd >= 0 && mfi_source_add(child->runtime->loop, &child->parent_source,
                                                child->parent_fd, EPOLLIN, NULL) != MF_OK) {
        (void)close(child->parent_fd);
        child->parent_fd = -1;
    }
    if (getppid() != parent) {
        mf_child_stop(child); /* it went away just now */
    }
    watch_for_orphan(child, parent);
}

/* ---- Start ---- */

typedef struct start {
    mf_child *child;
    mf_status status;
    mf_error *error;
} start;

static void on_monitor(mfi_source *source, uint32_t events)
{
    (void)events;
    mf_child *child = MFI_CONTAINER(source, mf_child, monitor_source);
    mfi_peer_event event = MFI_PEER_NONE;
    while ((event = child->transport->ops->next_event(child->transport)) != MFI_PEER_NONE) {
        mfi_transport_event seen = {.text = child->transport->endpoint};
        if (event == MFI_PEER_CONNECTED) {
            seen.what = child->was_connected ? MFI_TRANSPORT_RECONNECTED : MFI_TRANSPORT_CONNECTED;
            child->was_connected = true;
        } else {
            seen.what = MFI_TRANSPORT_DISCONNECTED;
            seen.reason = event == MFI_PEER_HANDSHAKE_FAILED ? "handshake_failed" : "closed";
        }
        mfi_observe_transport_event(child->runtime->observer, child->observed, &seen);
    }
}

/* Engine thread. Connects first: an original parent gives a worker two seconds. */
static void start_on_engine(void *argument)
{
    start *at = argument;
    mf_child *child = at->child;
    mfi_loop *loop = child->runtime->loop;
    mfi_transport_options options = {.is_child = true,
                                     .binds = child->service_id != NULL,
                                     .address = child->service_id != NULL ? child->bind_address
                                                                          : "127.0.0.1",
                                     .port = child->port,
                                     .max_message_bytes = child->max_message_bytes,
                                     .queue_messages = QUEUE_MESSAGES,
                                     .linger_ms = LINGER_MS};
    at->status = mfi_descriptors_check(MFI_START_DESCRIPTORS, at->error);
    if (at->status == MF_OK) {
        mfi_messaging *messaging = child->runtime->messaging;
        at->status = messaging->open(messaging, &child->transport, &options, at->error);
    }
    if (at->status != MF_OK) {
        return;
    }
    const mfi_transport_ops *ops = child->transport->ops;
    if (child->service_id != NULL) {
        mfi_service_bound(child);
    } else {
        watch_parent(child);
    }
    mfi_source_init(&child->monitor_source, on_monitor);
    at->status = mfi_source_add(loop, &child->monitor_source,
                                ops->events_readiness(child->transport), EPOLLIN, at->error);
    if (at->status == MF_OK) {
        at->status = mfi_driver_open(&child->driver, ops->readiness(child->transport), at->error);
    }
    if (at->status == MF_OK && !child->no_output_capture) {
        at->status = mfi_child_capture_start(child, at->error);
    }
}

/* ---- End ---- */

static void capture_stop_on_engine(void *argument)
{
    mfi_child_capture_stop(argument);
}

static void on_closed(void *self)
{
    mf_child *child = self;
    mfi_loop *loop = child->runtime->loop;
    mfi_source_remove(loop, &child->monitor_source);
    mfi_source_remove(loop, &child->parent_source);
    mfi_timer_cancel(loop, &child->stall_timer);
    mfi_timer_cancel(loop, &child->orphan_timer);
    if (child->parent_fd >= 0) {
        (void)close(child->parent_fd);
        child->parent_fd = -1;
    }
    if (child->transport != NULL) {
        child->transport->ops->close(child->transport);
        child->transport = NULL;
    }
    atomic_store_explicit(&child->closed, 1, memory_order_release);
    mfi_futex_wake(&child->closed, 1);
}

static void close_on_engine(void *argument)
{
    mf_child *child = argument;
    mfi_driver_close(&child->driver, on_closed);
}

static void finish(mf_child *child)
{
    mfi_pool_end(child);
    mfi_pool_join(child);
    mfi_deferrals_close(child->deferrals);
    mfi_loop_call(child->runtime->loop, close_on_engine, child);
    while (atomic_load_explicit(&child->closed, memory_order_acquire) == 0) {
        mfi_futex_wait(&child->closed, 0, MFI_NEVER);
    }
    /* Tasks that were posted before have run when this returns. */
    mfi_loop_call(child->runtime->loop, capture_stop_on_engine, child);
    mfi_child_drop_all(child);
}

/* A parent may not have spoken yet; a service's peers are those that have. */
static bool has_unsent(mf_child *child)
{
    return child->peers.stalled != 0 || !mfi_mpsc_empty(&child->driver.queue) ||
           (child->service_id == NULL && child->peers.early.first != NULL);
}

/* Role held: answers and the last lines of output get out, if the peers still take them. */
static void flush_messages(mf_child *child)
{
    uint64_t until = mfi_monotonic_ns() + FLUSH_ROUNDS * FLUSH_WAIT_NS;
    while (mfi_monotonic_ns() < until) {
        bool drained = mfi_child_burst(child);
        if (drained && !has_unsent(child)) {
            return;
        }
        if (drained) {
            mfi_driver_sleep(&child->driver, mfi_monotonic_ns() + FLUSH_WAIT_NS);
        }
    }
}

/* ---- The loop ---- */

/* Role held. What is queued is cancelled by the burst; what runs is waited for. */
static void drain(mf_child *child)
{
    mfi_pool_end(child);
    while (!mfi_pool_ended(child)) {
        if (mfi_child_burst(child)) {
            mfi_driver_sleep(&child->driver, MFI_NEVER);
        }
    }
    mfi_pool_join(child);
    mfi_deferrals_close(child->deferrals);
    /* Not all streams: one that somebody reads from is locked as long as he waits. */
    (void)fflush(stdout);
    (void)fflush(stderr);
    mfi_loop_call(child->runtime->loop, capture_stop_on_engine, child);
    flush_messages(child);
}

/* Several calls, if their handlers are short: their answers then leave together. One that ran long
 * the last time, or never yet, is always the first of its batch, so that no answer waits behind it;
 * if a short one turns out to be long, the engine sends what waits after a tick. */
static void serve_some(mf_child *child, mfi_call_list *calls)
{
    uint64_t began = 0;
    uint64_t now = 0;
    do {
        mfi_call_in *call = mfi_call_list_pop(calls);
        mfi_child_unqueue(child, call);
        atomic_store_explicit(&child->taken, calls->first, memory_order_release);
        now = mfi_child_serve(&child->servers[0], call);
        began = began == 0 ? now : began;
        if (atomic_exchange_explicit(&child->taken, NULL, memory_order_acq_rel) == NULL) {
            *calls = (mfi_call_list){0}; /* it was the last one, or the rest is cancelled */
        }
    } while (calls->first != NULL && now - began < BATCH_NS &&
             mfi_child_expected_ns(calls->first) < BATCH_NS &&
             !atomic_load_explicit(&child->stopping, memory_order_relaxed));
}

/* Role held. One thread does it all: nobody drives while its handlers run. */
static bool turn_alone(mf_child *child, bool drained)
{
    mfi_call_list calls = mfi_child_take_calls(child);
    if (calls.first != NULL) {
        mfi_driver_release(&child->driver, drained);
        serve_some(child, &calls);
        (void)mfi_driver_acquire(&child->driver);
        mfi_child_return_calls(child, &calls);
    }
    return mfi_child_burst(child); /* heartbeats do not wait behind calls */
}

/* Role held. Others run the handlers. */
static bool turn_with_pool(mf_child *child)
{
    bool drained = mfi_child_burst(child);
    mfi_pool_submit(child);
    return drained;
}

static void serve_until_stopped(mf_child *child)
{
    bool drained = false;
    if (!mfi_driver_acquire(&child->driver)) {
        return;
    }
    while (!atomic_load_explicit(&child->stopping, memory_order_acquire)) {
        drained = child->server_count > 1 ? turn_with_pool(child) : turn_alone(child, drained);
        if (drained && child->calls.first == NULL) {
            mfi_driver_sleep(&child->driver, MFI_NEVER);
        }
    }
    drain(child);
    /* The registry's locks may take their time: the engine drives meanwhile. */
    mfi_driver_release(&child->driver, false);
    mfi_service_unregister(child);
    if (mfi_driver_acquire(&child->driver)) {
        flush_messages(child);
        mfi_driver_release(&child->driver, false);
    }
}

mf_status mf_child_run(mf_child *child, mf_error *error)
{
    signals saved;
    if (child == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "child is NULL");
    }
    mf_status status = mfi_runtime_check(child->runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (child->first_failure != MF_OK) {
        mfi_error_copy(error, &child->failure);
        return child->first_failure;
    }
    if (child->ran || mfi_loop_on_thread(child->runtime->loop)) {
        return mfi_fail(error, MF_ERR_STATE, "a child runs once, and not from a callback");
    }
    child->ran = true;
    take_signals(child, &saved);
    start at = {.child = child, .error = error};
    mfi_loop_call(child->runtime->loop, start_on_engine, &at);
    if (at.status == MF_OK) {
        at.status = mfi_pool_start(child, error);
    }
    if (at.status == MF_OK) {
        at.status = mfi_service_register(child, error);
    }
    if (at.status == MF_OK) {
        serve_until_stopped(child);
    }
    finish(child);
    restore_signals(&saved);
    if (child->on_stop != NULL) {
        child->on_stop(child->user_data);
    }
    return at.status;
}
