/* The run loop of a worker: its start, its end, and the reasons to stop: SHUTDOWN, SIGTERM, SIGINT,
 * mf_child_stop(), or the end of the parent process.
 *
 * It exists so that one file knows in which order the parts of a worker begin and end, and no part
 * needs to know another one for that. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/error.h"
#include "core/process/descriptors.h"
#include "core/server/child_inside.h"

#define LINGER_MS 1000 /* as the protocol's Python child */
/* The longest time for which short handlers run before their answers are sent together. */
#define BATCH_NS (5 * MFI_NS_PER_US)
/* At the end, queued messages are sent for one second at most, in rounds of 50 ms. Chosen, not
 * measured. */
#define FLUSH_ROUNDS 20
#define FLUSH_WAIT_NS (50 * MFI_NS_PER_MS)
/* A service that was told to stop goes on until no call has come for so long: its parents have seen
 * by then that its entry is gone. Chosen, not measured. */
#define LEAVE_QUIET_NS (200 * MFI_NS_PER_MS)

/* ---- Stopping ---- */

/* The state of the child that handles the signals; NULL if no child does. */
static _Atomic(mfi_child_state *) signal_state;

static void on_signal(int number)
{
    (void)number;
    int before = errno;
    mfi_child_state *state = atomic_load_explicit(&signal_state, memory_order_acquire);
    if (state != NULL) {
        atomic_store_explicit(&state->by_signal, true, memory_order_relaxed);
        mfi_child_state_stop(state);
    }
    errno = before;
}

typedef struct signals {
    bool taken;
    struct sigaction term, interrupt;
} signals;

/* Only one child of a process can handle the signals. A second child leaves them unchanged. */
static void take_signals(mf_child *child, signals *saved)
{
    mfi_child_state *nobody = NULL;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    saved->taken = !child->settings.no_signals && atomic_compare_exchange_strong_explicit(
                                                      &signal_state, &nobody, &child->state,
                                                      memory_order_acq_rel, memory_order_relaxed);
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
        atomic_store_explicit(&signal_state, NULL, memory_order_release);
    }
}

/* ---- Start ---- */

typedef struct start {
    mf_child *child;
    mf_status status;
    mf_error *error;
} start;

static mf_status open_transport(mf_child *child, mf_error *error)
{
    const mfi_child_settings *settings = &child->settings;
    bool binds = settings->binds;
    mfi_transport_options options = {.is_child = true,
                                     .binds = binds,
                                     .address = binds ? settings->bind_address : "127.0.0.1",
                                     .port = settings->port,
                                     .max_message_bytes = settings->max_message_bytes,
                                     .queue_messages = MFI_QUEUE_MESSAGES,
                                     .linger_ms = LINGER_MS,
                                     .budget = child->state.budget,
                                     .admits = mfi_admission_admits,
                                     .admits_data = &child->watch.admission};
    mfi_messaging *messaging = child->runtime->messaging;
    mf_status status = mfi_descriptors_check(MFI_START_DESCRIPTORS, error);
    return status == MF_OK
               ? messaging->open(messaging, &child->io.channel.transport, &options, error)
               : status;
}

/* Engine thread. Connects before all else, because an original parent gives a worker two seconds.
 */
static void start_on_engine(void *argument)
{
    start *at = argument;
    mf_child *child = at->child;
    mfi_channel *channel = &child->io.channel;
    at->status = open_transport(child, at->error);
    if (at->status != MF_OK) {
        return;
    }
    const mfi_transport *transport = channel->transport;
    if (child->settings.binds) {
        mfi_announce_bound(&child->announcement, child->settings.bind_address);
    } else {
        mfi_watch_parent(&child->watch);
    }
    at->status = mfi_watch_connection(&child->watch, at->error);
    if (at->status == MF_OK) {
        at->status =
            mfi_driver_open(&channel->driver, transport->ops->readiness(transport), at->error);
    }
}

/* ---- End ---- */

static void on_closed(void *data)
{
    mf_child *child = data;
    mfi_channel *channel = &child->io.channel;
    mfi_watch_end(&child->watch);
    mfi_server_io_cancel_timers(&child->io);
    if (channel->transport != NULL) {
        channel->transport->ops->close(channel->transport);
        channel->transport = NULL;
    }
    atomic_store_explicit(&child->closed, 1, memory_order_release);
    mfi_futex_wake(&child->closed, 1);
}

static void close_on_engine(void *argument)
{
    mf_child *child = argument;
    mfi_driver_close(&child->io.channel.driver, on_closed, child);
}

static void let_tasks_run(void *argument)
{
    (void)argument;
}

static void finish(mf_child *child)
{
    mfi_handlers_end(&child->handlers);
    mfi_handlers_join(&child->handlers);
    mfi_deferrals_close(child->deferrals);
    mfi_loop_call(child->runtime->loop, close_on_engine, child);
    while (atomic_load_explicit(&child->closed, memory_order_acquire) == 0) {
        mfi_futex_wait(&child->closed, 0, MFI_NEVER);
    }
    mfi_forwarding_stop(&child->forwarding);
    /* When this returns, the tasks that were posted before have run. */
    mfi_loop_call(child->runtime->loop, let_tasks_run, NULL);
    mfi_server_io_drop_all(&child->io);
}

/* Role held: sends answers and the last lines of output, if the peers still accept them. */
static void flush_messages(mf_child *child)
{
    /* A spawned worker's parent may not have sent a message yet. A service's peers all have. */
    bool with_early = !child->settings.binds;
    uint64_t until = mfi_monotonic_ns() + FLUSH_ROUNDS * FLUSH_WAIT_NS;
    while (mfi_monotonic_ns() < until) {
        bool drained = mfi_server_io_burst(&child->io);
        if (drained && !mfi_server_io_has_unsent(&child->io, with_early)) {
            return;
        }
        if (drained) {
            mfi_driver_sleep(&child->io.channel.driver, mfi_monotonic_ns() + FLUSH_WAIT_NS);
        }
    }
}

/* ---- The loop ---- */

/* Role held. The burst cancels queued calls. Running handlers are waited for. */
static void drain(mf_child *child)
{
    mfi_child_state_cancel(&child->state);
    mfi_handlers_end(&child->handlers);
    while (!mfi_handlers_ended(&child->handlers)) {
        if (mfi_server_io_burst(&child->io)) {
            mfi_driver_sleep(&child->io.channel.driver, MFI_NEVER);
        }
    }
    mfi_handlers_join(&child->handlers);
    mfi_deferrals_close(child->deferrals);
    /* Not all streams, because a stream is locked while a thread waits to read from it. */
    (void)fflush(stdout);
    (void)fflush(stderr);
    mfi_forwarding_stop(&child->forwarding);
    flush_messages(child);
}

/* Runs several calls if their handlers are short, so that their answers are sent together. A
 * handler that ran long the last time, or never ran, is always the first of its batch, so that no
 * answer waits behind it. If a short handler runs long after all, the engine thread sends the
 * waiting answers after a tick. */
static void serve_some(mf_child *child, mfi_chain *calls)
{
    uint64_t began = 0;
    uint64_t now = 0;
    mfi_server_io *io = &child->io;
    mfi_child_state *state = &child->state;
    do {
        mfi_incoming *call = mfi_incoming_pop(calls);
        mfi_child_state_unqueue(state, call->share, call->message.size);
        atomic_store_explicit(&io->taken, calls->first, memory_order_release);
        now = mfi_serve_call(&child->handlers.threads[0], call);
        began = began == 0 ? now : began;
        if (atomic_exchange_explicit(&io->taken, NULL, memory_order_acq_rel) == NULL) {
            calls->first = NULL; /* that was the last call, or the rest is cancelled */
        }
    } while (calls->first != NULL && now - began < BATCH_NS &&
             mfi_serve_expected_ns(mfi_incoming_of(calls->first)) < BATCH_NS &&
             !atomic_load_explicit(&state->cancelling, memory_order_relaxed));
}

/* Role held. One thread does everything: no thread drives while a handler runs. */
static bool turn_alone(mf_child *child, bool drained)
{
    mfi_server_io *io = &child->io;
    mfi_chain calls = mfi_server_io_take_calls(io);
    if (calls.first != NULL) {
        mfi_driver_release(&io->channel.driver, drained);
        serve_some(child, &calls);
        (void)mfi_driver_acquire(&io->channel.driver);
        mfi_server_io_return_calls(io, &calls);
    }
    return mfi_server_io_burst(io); /* so that heartbeats do not wait behind calls */
}

/* Role held. Other threads run the handlers. */
static bool turn_with_threads(mf_child *child)
{
    bool drained = mfi_server_io_burst(&child->io);
    mfi_handlers_submit(&child->handlers, &child->io.calls);
    return drained;
}

/* Role held. Serves what waits, then waits for more until the deadline. Returns what the last burst
 * returned. */
static bool turn(mf_child *child, bool drained, uint64_t deadline_ns)
{
    drained = child->settings.threads > 1 ? turn_with_threads(child) : turn_alone(child, drained);
    if (drained && child->io.calls.first == NULL) {
        mfi_driver_sleep(&child->io.channel.driver, deadline_ns);
    }
    return drained;
}

/* ---- Leaving ---- */

static bool owes_answers(const mfi_child_state *state)
{
    uint64_t since = 0;
    return atomic_load_explicit(&state->queued, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&state->deferred, memory_order_relaxed) != 0 ||
           mfi_child_state_busy(state, &since) != 0;
}

/* Role held. The time of the next look; 0: the service may end. The keeper wakes the driver when
 * the entry is gone, when calls are refused, and when they are cancelled. */
static uint64_t next_look(const mf_child *child)
{
    const mfi_child_state *state = &child->state;
    uint64_t gone_ns = atomic_load_explicit(&state->gone_ns, memory_order_acquire);
    bool refuses = atomic_load_explicit(&state->refusing, memory_order_relaxed);
    uint64_t last_ns = child->io.call_ns > gone_ns ? child->io.call_ns : gone_ns;
    bool is_quiet = mfi_monotonic_ns() >= last_ns + LEAVE_QUIET_NS || child->io.peers.count == 0;
    if (gone_ns == 0) {
        return MFI_NEVER;
    }
    if (atomic_load_explicit(&state->cancelling, memory_order_relaxed) ||
        ((is_quiet || refuses) && !owes_answers(state))) {
        return 0;
    }
    return is_quiet || refuses ? MFI_NEVER : last_ns + LEAVE_QUIET_NS;
}

/* Role held. A service gives its name up first. It answers calls until its parents have seen that,
 * so that none of their calls is lost. */
static void leave(mf_child *child)
{
    mfi_child_state_leave(&child->state);
    /* Looked at before the sleep: a handler may have run for longer than the keeper. What came
     * during the last sleep is read first, so that calls which wait unread are no silence. */
    while (true) {
        bool drained = mfi_server_io_burst(&child->io);
        uint64_t look_ns = next_look(child);
        if (look_ns == 0) {
            break;
        }
        (void)turn(child, drained, look_ns);
    }
    mfi_announce_unregister(&child->announcement);
}

static void serve_until_stopped(mf_child *child)
{
    bool drained = false;
    if (!mfi_driver_acquire(&child->io.channel.driver)) {
        return;
    }
    while (!atomic_load_explicit(&child->state.stopping, memory_order_acquire)) {
        drained = turn(child, drained, MFI_NEVER);
    }
    if (atomic_load_explicit(&child->state.by_signal, memory_order_relaxed)) {
        mf_runtime_begin_drain(child->runtime);
    }
    if (child->settings.registers) {
        leave(child);
    }
    drain(child);
    mfi_driver_release(&child->io.channel.driver, false);
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
    if (child->functions.first_failure != MF_OK) {
        mfi_error_copy(error, &child->functions.failure);
        return child->functions.first_failure;
    }
    if (child->ran || mfi_loop_on_thread(child->runtime->loop)) {
        return mfi_fail(error, MF_ERR_STATE, "a child runs once, and not from a callback");
    }
    child->ran = true;
    take_signals(child, &saved);
    start at = {.child = child, .error = error};
    mfi_loop_call(child->runtime->loop, start_on_engine, &at);
    if (at.status == MF_OK && child->settings.forwards_output) {
        at.status = mfi_forwarding_start(&child->forwarding, &child->io.channel, error);
    }
    if (at.status == MF_OK) {
        at.status = mfi_handlers_start(&child->handlers, error);
    }
    if (at.status == MF_OK) {
        at.status = mfi_announce_register(&child->announcement, error);
    }
    if (at.status == MF_OK) {
        atomic_store_explicit(&child->state.serves, true, memory_order_relaxed);
        mfi_runtime_tell_change(child->runtime);
        serve_until_stopped(child);
    }
    finish(child);
    restore_signals(&saved);
    if (child->settings.on_stop != NULL) {
        child->settings.on_stop(child->settings.user_data);
    }
    return at.status;
}
