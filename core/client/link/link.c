/* The life of a parent's connection, in both modes. Everything here runs on the engine thread.
 *
 *   LOOKING -> STARTING -> RUNNING -> DRAINING   LOOKING: connect mode alone
 *   STARTING, RUNNING, DRAINING -> ENDING        spawn mode: the process is to end, has not yet
 *   all of these -> CLOSING                      as soon as nobody drives, the transport is closed
 *   CLOSING -> WAITING -> LOOKING or STARTING    if it is to start again
 *   CLOSING -> GONE                              else
 *
 * `again` says where CLOSING leads to. Calls that were handed to the transport end when the peer is
 * lost; those that still wait in the queue stay there for the next peer, unless fail_fast is set or
 * there will be none. Only in GONE, when nobody can reach the transport any more, the state that
 * users see becomes FAILED or STOPPED. */
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/client/parent.h"
#include "core/process/descriptors.h"

#define PORT_WAIT_NS (5 * MFI_NS_PER_MS)

static mfi_loop *loop_of(const mf_parent *parent)
{
    return parent->runtime->loop;
}

static void observe(mf_parent *parent, const mfi_process_event *event)
{
    mfi_observe_process_changed(parent->observed, event);
}

void mfi_link_set_exit_text(mf_parent *parent, const char *text)
{
    mfi_mutex_lock(&parent->mutex);
    (void)mfi_str_copy(parent->exit_text, sizeof parent->exit_text, text);
    mfi_mutex_unlock(&parent->mutex);
}

static void set_restart_at(mf_parent *parent, uint64_t at_ns)
{
    mfi_mutex_lock(&parent->mutex);
    parent->restart_at_ns = at_ns;
    mfi_mutex_unlock(&parent->mutex);
}

static void cancel_timers(mf_parent *parent)
{
    mfi_timer_cancel(loop_of(parent), &parent->start_timer);
    mfi_timer_cancel(loop_of(parent), &parent->stop_timer);
    mfi_timer_cancel(loop_of(parent), &parent->heartbeat_timer);
    mfi_timer_cancel(loop_of(parent), &parent->again_timer);
}

/* ---- Peer events ---- */

static void on_monitor(mfi_source *source, uint32_t events)
{
    (void)events;
    mf_parent *parent = MFI_CONTAINER(source, mf_parent, monitor_source);
    mfi_peer_event event = MFI_PEER_NONE;
    bool lost = false;
    while ((event = parent->transport->ops->next_event(parent->transport)) != MFI_PEER_NONE) {
        mfi_transport_event seen = {.text = parent->transport->endpoint};
        if (event == MFI_PEER_CONNECTED) {
            parent->connections++;
            seen.what = parent->connections > 1 ? MFI_TRANSPORT_EXTRA_CONNECTION
                        : parent->was_connected ? MFI_TRANSPORT_RECONNECTED
                                                : MFI_TRANSPORT_CONNECTED;
            parent->was_connected = true;
        } else {
            seen.what = MFI_TRANSPORT_DISCONNECTED;
            seen.disconnect = event == MFI_PEER_HANDSHAKE_FAILED ? MFI_DISCONNECT_HANDSHAKE_FAILED
                              : parent->stop_asked               ? MFI_DISCONNECT_SHUTDOWN
                                                                 : MFI_DISCONNECT_CLOSED;
            if (event == MFI_PEER_DISCONNECTED && parent->connections > 0) {
                parent->connections--;
                lost = parent->connections == 0;
            }
        }
        mfi_observe_transport_event(parent->observed, &seen);
    }
    if (lost && mfi_parent_connects(parent)) {
        mfi_service_check(parent, true);
    }
}

mf_status mfi_link_watch(mf_parent *parent, mf_error *error)
{
    const mfi_transport *transport = parent->transport;
    mfi_mutex_lock(&parent->mutex);
    (void)mfi_str_copy(parent->endpoint, sizeof parent->endpoint, transport->endpoint);
    mfi_mutex_unlock(&parent->mutex);
    parent->connections = 0;
    mf_status status = mfi_source_add(loop_of(parent), &parent->monitor_source,
                                      transport->ops->events_readiness(transport), EPOLLIN, error);
    if (status == MF_OK) {
        atomic_store_explicit(&parent->holding, false, memory_order_relaxed);
        status = mfi_driver_open(&parent->driver, transport->ops->readiness(transport), error);
    }
    return status;
}

/* ---- Start ---- */

/* The new state, and the outcome of the start for who waits for it. The callback comes last, so
 * that it sees what has become of the parent. */
static void finish_start(mf_parent *parent, mf_status status, mf_parent_state state)
{
    mf_error error;
    mfi_error_clear(&error);
    mfi_mutex_lock(&parent->mutex);
    mf_start_fn done = parent->start_done;
    void *user_data = parent->start_data;
    parent->start_done = NULL;
    parent->start_status = status;
    if (status != MF_OK) {
        (void)mfi_fail(&error, status, "%s", parent->exit_text);
    }
    mfi_mutex_unlock(&parent->mutex);
    mfi_parent_set_state(parent, state);
    if (done != NULL) {
        done(status, status != MF_OK ? &error : NULL, user_data);
    }
}

static void on_sweep_task(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, sweep_task);
    if (parent->phase == MFI_LINK_WAITING || parent->phase == MFI_LINK_LOOKING) {
        mfi_parent_sweep_queue(parent);
    }
}

static void wait_for_next(mf_parent *parent)
{
    uint64_t at = mfi_loop_now(loop_of(parent)) + parent->again_wait_ns;
    parent->phase = MFI_LINK_WAITING;
    set_restart_at(parent, at);
    (void)mfi_timer_set(loop_of(parent), &parent->again_timer, at);
}

/* The port of the worker before: libzmq gives it back some time after the socket was closed. Only
 * this thread writes the endpoint, which is that of the last start. */
static bool waits_for_port(mf_parent *parent, mf_status status)
{
    uint64_t now = mfi_loop_now(loop_of(parent));
    if (status != MF_ERR_ADDRESS_IN_USE || parent->endpoint[0] == '\0') {
        parent->port_until_ns = 0;
        return false;
    }
    if (parent->port_until_ns == 0) {
        parent->port_until_ns = mfi_deadline_after_ms(now, parent->settings.start_timeout_ms);
    } else if (now >= parent->port_until_ns) {
        parent->port_until_ns = 0;
        return false;
    }
    parent->again_wait_ns = PORT_WAIT_NS;
    wait_for_next(parent);
    return true;
}

void mfi_link_begin(mf_parent *parent)
{
    mf_error error;
    mfi_error_clear(&error);
    parent->began_ns = mfi_loop_now(loop_of(parent));
    parent->ready_ns = 0;
    parent->again = false;
    parent->ending = MFI_ENDING_NOT;
    parent->failure = MF_OK;
    set_restart_at(parent, 0);
    mfi_parent_sweep_queue(parent);
    mf_status status = mfi_descriptors_check(MFI_START_DESCRIPTORS, &error);
    if (status == MF_OK) {
        status = mfi_parent_connects(parent) ? mfi_service_begin(parent, &error)
                                             : mfi_worker_begin(parent, &error);
    }
    if (waits_for_port(parent, status)) {
        return;
    }
    if (status != MF_OK) {
        mfi_link_start_failed(parent, &error, MFI_RESTART_START_TIMEOUT);
    } else if (parent->phase == MFI_LINK_STARTING) {
        (void)mfi_timer_set(
            loop_of(parent), &parent->start_timer,
            mfi_deadline_after_ms(parent->began_ns, parent->settings.start_timeout_ms));
        /* It leaves as soon as the connection can take it; the answer makes it ready. */
        mfi_heartbeat_send(parent, parent->settings.start_timeout_ms);
    }
}

static void on_start(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, start_task);
    if (parent->phase != MFI_LINK_NONE || parent->stop_asked) {
        return; /* a stop came first, and ends it all */
    }
    parent->look_until_ns =
        mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)), parent->settings.discovery_timeout_ms);
    mfi_link_begin(parent);
}

void mfi_link_ready(mf_parent *parent)
{
    if (parent->phase != MFI_LINK_STARTING) {
        return;
    }
    uint64_t now = mfi_loop_now(loop_of(parent));
    parent->phase = MFI_LINK_RUNNING;
    parent->ready_ns = now;
    parent->was_ready = true;
    mfi_link_set_exit_text(parent, "");
    mfi_timer_cancel(loop_of(parent), &parent->start_timer);
    if (parent->settings.heartbeat_interval_ms != MF_DISABLED) {
        (void)mfi_timer_set(loop_of(parent), &parent->heartbeat_timer,
                            mfi_deadline_after_ms(now, parent->settings.heartbeat_interval_ms));
    }
    observe(parent,
            &(mfi_process_event){.what = MFI_PROCESS_READY,
                                 .pid = atomic_load_explicit(&parent->pid, memory_order_relaxed),
                                 .duration_ns = now - parent->began_ns});
    finish_start(parent, MF_OK, MF_PARENT_READY);
}

/* All calls end. Those that went out may have run, so they are not told that nothing runs. */
static void fail_rest(mf_parent *parent, mf_status status)
{
    if (status == MF_ERR_NOT_RUNNING) {
        (void)mfi_calls_fail_sent(parent, MF_ERR_WORKER_EXITED, NULL);
    }
    (void)mfi_calls_fail_all(parent, status, NULL);
}

static void on_start_timeout(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, start_timer);
    mf_error error;
    mfi_error_clear(&error);
    (void)mfi_fail(
        &error, MF_ERR_START_TIMEOUT, "worker '%s' %s within %lld ms", parent->settings.worker,
        parent->connections > 0 ? "connected but answered no heartbeat" : "did not connect",
        (long long)parent->settings.start_timeout_ms);
    if (mfi_parent_connects(parent)) {
        mfi_link_start_failed(parent, &error, MFI_RESTART_START_TIMEOUT);
        return;
    }
    mfi_link_set_exit_text(parent, error.message);
    parent->failure = MF_ERR_START_TIMEOUT;
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_FAILED, .text = error.message});
    if (!parent->was_ready) {
        fail_rest(parent, MF_ERR_NOT_RUNNING);
    }
    mfi_worker_kill(parent, MFI_ENDING_START);
}

/* ---- The end, and whether another start follows ---- */

/* Connect mode goes on looking for ever; a process is started again as the policy says. What it
 * says is kept in `decision`, to be told after the reason for it. */
static void decide(mf_parent *parent, const char *why, mfi_restart_reason reason)
{
    uint64_t now = mfi_loop_now(loop_of(parent));
    char text[MFI_EXIT_TEXT_MAX];
    if (mfi_parent_connects(parent)) {
        parent->again = true;
        parent->again_wait_ns = parent->ready_ns != 0
                                    ? 0
                                    : mfi_deadline_after_ms(0, parent->settings.discovery_poll_ms);
        return;
    }
    if (parent->again) { /* a restart was asked for, and told of */
        parent->again_wait_ns = 0;
        return;
    }
    if (!parent->settings.auto_restart) {
        return;
    }
    mfi_mutex_lock(&parent->mutex);
    mfi_restart_decision decision =
        mfi_restart_decide(&parent->restart, parent->ready_ns != 0 ? now - parent->ready_ns : 0,
                           now, mfi_random_fast());
    parent->restarts += decision.again ? 1 : 0;
    mfi_mutex_unlock(&parent->mutex);
    parent->decision =
        (mfi_process_event){.what = decision.again ? MFI_PROCESS_RESTART : MFI_PROCESS_GAVE_UP,
                            .text = parent->exit_text, /* only this thread writes it */
                            .reason = decision.again ? reason : MFI_RESTART_NONE,
                            .restart_in_ms = decision.wait_ns / MFI_NS_PER_MS,
                            .restart_attempt = decision.row,
                            .restarts_in_period = decision.in_period,
                            .restarts_allowed = parent->settings.restart.max_attempts};
    parent->again = decision.again;
    parent->again_wait_ns = decision.wait_ns;
    if (!decision.again) {
        long long seconds = parent->settings.restart.period_ms / 1000;
        (void)mfi_str_format(text, sizeof text, "was given up after %u restarts in %lld s: it %s",
                             (unsigned)decision.in_period, seconds, why);
        mfi_link_set_exit_text(parent, text);
        parent->failure = parent->failure != MF_OK ? parent->failure : MF_ERR_WORKER_EXITED;
    }
}

static void tell_decision(mf_parent *parent)
{
    if (parent->decision.text != NULL) {
        observe(parent, &parent->decision);
        parent->decision = (mfi_process_event){0};
    }
}

/* What was decided, for the calls in flight. */
static uint32_t end_calls(mf_parent *parent, mf_status status, mf_context *ret_oldest)
{
    /* From here on new calls wait, or are refused; those in flight fail at once. */
    mfi_parent_set_state(parent, parent->again ? MF_PARENT_RESTARTING : MF_PARENT_FAILED);
    return parent->again && !parent->settings.fail_fast
               ? mfi_calls_fail_sent(parent, status, ret_oldest)
               : mfi_calls_fail_all(parent, status, ret_oldest);
}

uint32_t mfi_link_lost(mf_parent *parent, const char *why, mfi_restart_reason reason,
                       mf_context *ret_oldest)
{
    mfi_link_set_exit_text(parent, why);
    mfi_mutex_lock(&parent->mutex);
    (void)mfi_str_copy(parent->last_exit_text, sizeof parent->last_exit_text, why);
    mfi_mutex_unlock(&parent->mutex);
    decide(parent, why, reason);
    /* It may have answered before it went; what is queued is for its successor. */
    atomic_store_explicit(&parent->holding, true, memory_order_relaxed);
    (void)mfi_driver_look(&parent->driver);
    return end_calls(parent, MF_ERR_WORKER_EXITED, ret_oldest);
}

void mfi_link_close_lost(mf_parent *parent, const mf_context *oldest)
{
    const mfi_exit *ended = &parent->last_exit;
    mfi_circuit_trip(&parent->circuit, MFI_RULE_EXIT,
                     (double)(ended->signal != 0 ? ended->signal : ended->code), 0,
                     MF_ERR_WORKER_EXITED, oldest->correlation_id, oldest->trace_id);
    tell_decision(parent);
    mfi_link_close(parent);
}

void mfi_link_start_failed(mf_parent *parent, const mf_error *error, mfi_restart_reason reason)
{
    parent->failure = error->code;
    mfi_link_set_exit_text(parent, error->message);
    if (parent->was_ready) {
        decide(parent, error->message, reason);
        tell_decision(parent);
    } else {
        observe(parent, &(mfi_process_event){.what = MFI_PROCESS_FAILED, .text = error->message});
    }
    if (parent->again) {
        (void)mfi_calls_fail_sent(parent, MF_ERR_WORKER_EXITED, NULL);
        (void)end_calls(parent, MF_ERR_NOT_RUNNING, NULL);
    } else {
        fail_rest(parent, MF_ERR_NOT_RUNNING);
    }
    mfi_link_close(parent);
}

void mfi_link_silent(mf_parent *parent, uint32_t misses)
{
    if (mfi_parent_connects(parent)) {
        mfi_service_check(parent, false);
    } else if (parent->settings.auto_restart && parent->phase == MFI_LINK_RUNNING) {
        char why[MFI_EXIT_TEXT_MAX];
        (void)mfi_str_format(why, sizeof why, "answered none of %u heartbeats in a row",
                             (unsigned)misses);
        mfi_link_set_exit_text(parent, why);
        mfi_worker_kill(parent, MFI_ENDING_HEARTBEAT);
    }
}

/* Nobody can reach the driver any more: stragglers end, and users see the final state. */
static void on_driver_closed(void *self)
{
    mf_parent *parent = self;
    if (parent->again && !parent->stop_asked) { /* somebody wants it back */
        mfi_driver_reopen(&parent->driver);
        wait_for_next(parent);
        return;
    }
    mfi_parent_drop_queue(parent);
    fail_rest(parent, parent->stop_asked ? MF_ERR_CANCELLED : MF_ERR_NOT_RUNNING);
    mfi_retries_end(parent);
    parent->phase = MFI_LINK_GONE;
    if (parent->stop_asked) {
        observe(parent, &(mfi_process_event){.what = MFI_PROCESS_STOPPED});
    }
    mf_parent_state state = parent->stop_asked ? MF_PARENT_STOPPED : MF_PARENT_FAILED;
    if (parent->failure != MF_OK) {
        finish_start(parent, parent->failure, state);
    } else {
        mfi_parent_set_state(parent, state);
    }
}

/* Nobody drives: the socket goes. What the peer will never answer ends, also what was handed over
 * between its end and now. */
static void on_driver_paused(void *self)
{
    mf_parent *parent = self;
    mfi_source_remove(loop_of(parent), &parent->monitor_source);
    if (parent->transport != NULL) {
        parent->transport->ops->close(parent->transport);
        parent->transport = NULL;
    }
    (void)mfi_calls_fail_sent(parent, MF_ERR_WORKER_EXITED, NULL);
    if (parent->stop_asked || !parent->again) {
        mfi_driver_close(&parent->driver, on_driver_closed);
        return;
    }
    if (parent->settings.fail_fast) { /* what slipped in before the state was seen */
        (void)mfi_calls_fail_all(parent, MF_ERR_NOT_RUNNING, NULL);
    }
    wait_for_next(parent);
}

void mfi_link_close(mf_parent *parent)
{
    parent->phase = MFI_LINK_CLOSING;
    atomic_store_explicit(&parent->watching, false, memory_order_relaxed);
    cancel_timers(parent);
    if (!mfi_parent_connects(parent)) {
        mfi_worker_close(parent);
    }
    atomic_store_explicit(&parent->pid, 0, memory_order_relaxed);
    mfi_driver_pause(&parent->driver, on_driver_paused);
}

/* ---- Waiting for the next start ---- */

static void on_again(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, again_timer);
    if (parent->phase == MFI_LINK_DRAINING) {
        mfi_link_drained(parent); /* they took too long */
    } else if (parent->phase == MFI_LINK_WAITING || parent->phase == MFI_LINK_LOOKING) {
        mfi_link_begin(parent);
    } else if (parent->phase == MFI_LINK_RUNNING || parent->phase == MFI_LINK_STARTING) {
        mfi_service_check(parent, false);
    }
}

/* ---- Stop ---- */

/* SHUTDOWN at once, SIGTERM at half of the time, SIGKILL at its end. A service is left alone. */
static void on_stop(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, stop_task);
    if (parent->stop_asked) {
        return;
    }
    mfi_link_phase before = parent->phase;
    parent->stop_asked = true;
    cancel_timers(parent);
    atomic_store_explicit(&parent->watching, false, memory_order_relaxed);
    if (before == MFI_LINK_GONE) {
        mfi_parent_set_state(parent, MF_PARENT_STOPPED);
        return;
    }
    if (!parent->was_ready) {
        parent->failure = MF_ERR_CANCELLED;
        mfi_link_set_exit_text(parent, "it was stopped before it was ready");
    }
    mfi_parent_set_state(parent, MF_PARENT_STOPPING);
    (void)mfi_calls_fail_all(parent, MF_ERR_CANCELLED, NULL);
    mfi_retries_end(parent);
    if (before == MFI_LINK_CLOSING) {
        return; /* it goes on from there */
    }
    bool has_process = !mfi_parent_connects(parent) &&
                       (before == MFI_LINK_STARTING || before == MFI_LINK_RUNNING ||
                        before == MFI_LINK_DRAINING || before == MFI_LINK_ENDING);
    if (has_process) {
        mfi_worker_end(parent, MFI_ENDING_STOP, before == MFI_LINK_RUNNING);
    } else {
        mfi_link_close(parent);
    }
}

void mfi_link_init(mf_parent *parent)
{
    mfi_task_init(&parent->start_task, on_start);
    mfi_task_init(&parent->stop_task, on_stop);
    mfi_task_init(&parent->sweep_task, on_sweep_task);
    mfi_task_init(&parent->drain_task, mfi_link_on_drain_task);
    mfi_timer_init(&parent->start_timer, on_start_timeout);
    mfi_timer_init(&parent->again_timer, on_again);
    mfi_source_init(&parent->monitor_source, on_monitor);
    mfi_restart_init(&parent->restart, &parent->settings.restart);
    mfi_retry_budget_init(&parent->retry_budget);
    parent->last_exit = (mfi_exit){.code = -1};
}
