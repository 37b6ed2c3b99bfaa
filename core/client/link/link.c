/* The events and actions of a connection's life. Everything that happens to a connection becomes an
 * event, here or in the other parts of the link. The table of core/policy/life.h gives the next
 * phase and the actions. The actions are performed here or in drain.c. It exists so that every
 * decision is one line of that table.
 *
 * When a peer is lost, calls that were sent to it end. Calls that wait in the queue stay there for
 * the next peer, unless fail_fast is set or no peer follows. The public state becomes FAILED or
 * STOPPED last, when no thread can reach the transport any more. */
#include "core/client/link/link.h"

#include <assert.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/call/async.h"
#include "core/process/descriptors.h"

#define PORT_WAIT_NS (5 * MFI_NS_PER_MS) /* between attempts to bind a port in use */

static void observe(const mfi_link *link, const mfi_process_event *event)
{
    mfi_observe_process_changed(link->state->observed, event);
}

static void set_restart_at(mfi_state *state, uint64_t at_ns)
{
    mfi_mutex_lock(&state->mutex);
    state->restart_at_ns = at_ns;
    mfi_mutex_unlock(&state->mutex);
}

static void stop_watching(mfi_link *link)
{
    atomic_store_explicit(&link->calls->watching, false, memory_order_relaxed);
    mfi_timer_cancel(link->state->loop, &link->drain_timer);
}

void mfi_link_cancel_timers(mfi_link *link)
{
    mfi_timer_cancel(link->state->loop, &link->start_timer);
    mfi_timer_cancel(link->state->loop, &link->wait_timer);
    mfi_heartbeat_stop(link->heartbeat);
    stop_watching(link);
}

/* ---- Actions: a start ---- */

/* The previous worker's port may still be in use, because libzmq frees it some time after the
 * socket was closed. The endpoint is that of the last start; only this thread writes it. */
static bool waits_for_port(mfi_link *link, mf_status status)
{
    uint64_t now = mfi_loop_now(link->state->loop);
    if (status != MF_ERR_ADDRESS_IN_USE || link->state->endpoint[0] == '\0') {
        link->port_until_ns = 0;
        return false;
    }
    if (link->port_until_ns == 0) {
        link->port_until_ns = mfi_deadline_after_ms(now, link->state->settings.start_timeout_ms);
    } else if (now >= link->port_until_ns) {
        link->port_until_ns = 0;
        return false;
    }
    link->wait_ns = PORT_WAIT_NS;
    return true;
}

static void begin(mfi_link *link, mfi_life_phase before)
{
    mf_error error;
    mfi_life_event event = MFI_LIFE_ON_PEER;
    (void)before;
    mfi_error_clear(&error);
    link->began_ns = mfi_loop_now(link->state->loop);
    link->ready_ns = 0;
    link->failure = MF_OK;
    mfi_start_span_begin(link);
    set_restart_at(link->state, 0);
    mfi_heartbeat_forget(link->heartbeat);
    mfi_signs_begin(&link->calls->signs);
    mfi_calls_sweep_queue(link->calls);
    mf_status status = mfi_descriptors_check(MFI_START_DESCRIPTORS, &error);
    if (status == MF_OK) {
        status = link->ops->begin(link->peer, &event, &error);
    }
    if (waits_for_port(link, status)) {
        mfi_link_step(link, MFI_LIFE_ON_PORT_BUSY);
    } else if (status != MF_OK) {
        mfi_link_start_failed(link, &error, MFI_RESTART_START_TIMEOUT);
    } else {
        mfi_link_step(link, event);
    }
}

/* The heartbeat is sent when the connection is established. Its answer makes the peer ready. */
static void await_ready(mfi_link *link, mfi_life_phase before)
{
    const mfi_state *state = link->state;
    (void)before;
    (void)mfi_timer_set(state->loop, &link->start_timer, mfi_link_start_deadline(link));
    mfi_heartbeat_send(link->heartbeat, state->settings.start_timeout_ms);
}

static void serve(mfi_link *link, mfi_life_phase before)
{
    mfi_state *state = link->state;
    uint64_t now = mfi_loop_now(state->loop);
    (void)before;
    link->ready_ns = now;
    link->was_ready = true;
    mfi_state_forget_exit(state);
    mfi_timer_cancel(state->loop, &link->start_timer);
    mfi_heartbeat_start(link->heartbeat);
    if (link->ops->ready != NULL) {
        link->ops->ready(link->peer);
    }
    observe(link,
            &(mfi_process_event){.what = MFI_PROCESS_READY,
                                 .context = link->ops->owns_process ? &link->start_span : NULL,
                                 .pid = atomic_load_explicit(&state->pid, memory_order_relaxed),
                                 .duration_ns = now - link->began_ns});
    mfi_start_span_end(link, MF_OK, NULL);
    mfi_state_finish_start(state, MF_OK, MF_PARENT_READY);
}

static void wait_for_next(mfi_link *link, mfi_life_phase before)
{
    uint64_t at = mfi_loop_now(link->state->loop) + link->wait_ns;
    (void)before;
    if (link->state->settings.fail_fast) { /* calls that were made before this state was visible */
        mfi_calls_fail_all(link->calls, MF_ERR_NOT_RUNNING);
    }
    set_restart_at(link->state, at);
    (void)mfi_timer_set(link->state->loop, &link->wait_timer, at);
}

static void hurry(mfi_link *link, mfi_life_phase before)
{
    link->wait_ns = 0;
    mfi_state_set(link->state, MF_PARENT_RESTARTING);
    if (before == MFI_LIFE_WAITING) {
        (void)mfi_timer_set(link->state->loop, &link->wait_timer, link->began_ns);
    }
}

static void reopen(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_driver_reopen(&link->calls->driver);
    mfi_state_set(link->state, MF_PARENT_RESTARTING);
}

/* ---- Actions: an end ---- */

static void cancel(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_link_cancel_timers(link);
    if (!link->was_ready) {
        link->failure = MF_ERR_CANCELLED;
        mfi_state_set_exit_text(link->state, "it was stopped before it was ready");
    }
    mfi_start_span_end(link, MF_ERR_CANCELLED, "the parent was stopped");
    mfi_state_set(link->state, MF_PARENT_STOPPING);
    mfi_calls_fail_all(link->calls, MF_ERR_CANCELLED);
    mfi_retries_end(link->calls);
}

static void ask_to_end(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    stop_watching(link);
    link->ops->end(link->peer, true);
}

static void end_peer(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    stop_watching(link);
    link->ops->end(link->peer, false);
}

static void kill_peer(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_heartbeat_stop(link->heartbeat);
    link->ops->kill(link->peer);
}

/* No thread drives: the socket is closed. Attempts that were sent to the ended peer end, also those
 * that were sent between its end and now. */
static void on_paused(void *self)
{
    mfi_link *link = self;
    mfi_calls *calls = link->calls;
    mfi_source_remove(link->state->loop, &link->monitor_source);
    if (calls->transport != NULL) {
        mfi_link_end_connections(link);
        calls->transport->ops->close(calls->transport);
        calls->transport = NULL;
    }
    mfi_calls_fail_sent(calls, MF_ERR_WORKER_EXITED);
    mfi_signs_end(&calls->signs);
    mfi_link_step(link, MFI_LIFE_ON_PAUSED);
}

static void close_peer(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_link_cancel_timers(link);
    link->ops->close(link->peer);
    atomic_store_explicit(&link->state->pid, 0, memory_order_relaxed);
    mfi_driver_pause(&link->calls->driver, on_paused, link);
}

static void on_closed(void *self)
{
    mfi_link_step(self, MFI_LIFE_ON_CLOSED);
}

static void shut_driver(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_driver_close(&link->calls->driver, on_closed, link);
}

/* No thread can reach the driver any more: the last attempts end, and the public state becomes the
 * last one. */
static void finish(mfi_link *link, mfi_life_phase before)
{
    bool stopped = mfi_life_is_stopped(link->phase);
    mf_parent_state last = stopped ? MF_PARENT_STOPPED : MF_PARENT_FAILED;
    if (before == MFI_LIFE_GONE) { /* all this was done when the parent gave up */
        mfi_state_set(link->state, last);
        return;
    }
    mfi_calls_drop_queue(link->calls);
    mfi_link_fail_calls(link, stopped ? MF_ERR_CANCELLED : MF_ERR_NOT_RUNNING);
    mfi_retries_end(link->calls);
    if (stopped) {
        observe(link, &(mfi_process_event){.what = MFI_PROCESS_STOPPED});
    }
    if (link->failure != MF_OK) {
        mfi_state_finish_start(link->state, link->failure, last);
    } else {
        mfi_state_set(link->state, last);
    }
}

/* ---- Following the table ---- */

static void hold(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_link_hold(link);
}

static void watch_calls(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_link_watch_calls(link);
}

static void settle(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_link_settle(link);
}

static void (*const actions[MFI_LIFE_ACTION_COUNT])(mfi_link *link, mfi_life_phase before) = {
    [MFI_LIFE_BIT_COUNT] = mfi_link_count_restart,
    [MFI_LIFE_BIT_CANCEL] = cancel,
    [MFI_LIFE_BIT_HURRY] = hurry,
    [MFI_LIFE_BIT_REOPEN] = reopen,
    [MFI_LIFE_BIT_AWAIT] = await_ready,
    [MFI_LIFE_BIT_SERVE] = serve,
    [MFI_LIFE_BIT_DEFER] = mfi_link_defer,
    [MFI_LIFE_BIT_RESUME] = mfi_link_resume,
    [MFI_LIFE_BIT_HOLD] = hold,
    [MFI_LIFE_BIT_WATCH] = watch_calls,
    [MFI_LIFE_BIT_SETTLE] = settle,
    [MFI_LIFE_BIT_ASK] = ask_to_end,
    [MFI_LIFE_BIT_END] = end_peer,
    [MFI_LIFE_BIT_KILL] = kill_peer,
    [MFI_LIFE_BIT_CLOSE] = close_peer,
    [MFI_LIFE_BIT_SHUT] = shut_driver,
    [MFI_LIFE_BIT_WAIT] = wait_for_next,
    [MFI_LIFE_BIT_FINISH] = finish,
    [MFI_LIFE_BIT_BEGIN] = begin,
};

void mfi_link_step(mfi_link *link, mfi_life_event event)
{
    mfi_life_transition step;
    bool may_come = mfi_life_next(link->phase, event, &step);
    assert(may_come);
    (void)may_come;
    link->phase = step.next;
    for (unsigned i = 0; i < MFI_LIFE_ACTION_COUNT; i++) {
        if ((step.actions >> i & 1u) != 0) {
            actions[i](link, step.phase);
        }
    }
}

/* ---- Events of the program, and of time ---- */

static void on_start(mfi_task *task)
{
    mfi_link *link = MFI_CONTAINER(task, mfi_link, start_task);
    const mfi_state *state = link->state;
    link->look_until_ns =
        mfi_deadline_after_ms(mfi_loop_now(state->loop), state->settings.discovery_timeout_ms);
    mfi_link_step(link, MFI_LIFE_ON_START);
}

static void on_stop(mfi_task *task)
{
    mfi_link_step(MFI_CONTAINER(task, mfi_link, stop_task), MFI_LIFE_ON_STOP);
}

static void on_due(mfi_timer *timer)
{
    mfi_link_step(MFI_CONTAINER(timer, mfi_link, wait_timer), MFI_LIFE_ON_DUE);
}

void mfi_link_abort(mfi_link *link, const mf_error *error)
{
    mfi_state_set_exit_text(link->state, error->message);
    link->failure = error->code;
    if (!link->was_ready) {
        mfi_link_fail_calls(link, MF_ERR_NOT_RUNNING);
    }
    mfi_link_step(link, MFI_LIFE_ON_ABORT);
}

static void on_start_timeout(mfi_timer *timer)
{
    mfi_link *link = MFI_CONTAINER(timer, mfi_link, start_timer);
    const mfi_parent_settings *settings = &link->state->settings;
    mf_error error;
    if (!link->ops->owns_process && link->connections > 0) {
        mfi_link_step(link, MFI_LIFE_ON_READY);
        return;
    }
    mfi_error_clear(&error);
    if (settings->endpoint != NULL) {
        (void)mfi_fail(&error, MF_ERR_START_TIMEOUT, "no service answered at %s within %lld ms",
                       settings->endpoint, (long long)settings->start_timeout_ms);
    } else {
        (void)mfi_fail(
            &error, MF_ERR_START_TIMEOUT, "worker '%s' %s within %lld ms", settings->worker,
            link->connections > 0 ? "connected but answered no heartbeat" : "did not connect",
            (long long)settings->start_timeout_ms);
    }
    if (!link->ops->owns_process) {
        mfi_link_start_failed(link, &error, MFI_RESTART_START_TIMEOUT);
        return;
    }
    mfi_link_abort(link, &error);
}

static void on_answered(mfi_heartbeat *heartbeat)
{
    mfi_link *link = heartbeat->owner;
    mfi_link_step(link, MFI_LIFE_ON_READY);
}

static void on_told(mfi_heartbeat *heartbeat)
{
    mfi_link *link = heartbeat->owner;
    link->ops->told(link->peer);
}

mf_status mfi_link_restart(mfi_link *link, mf_error *error)
{
    mfi_state *state = link->state;
    mf_parent_state value = mfi_state_get(state);
    bool stopped = value == MF_PARENT_STOPPED || mfi_life_is_stopped(link->phase);
    if (value == MF_PARENT_CREATED || value == MF_PARENT_STARTING || stopped) {
        return mfi_fail(error, MF_ERR_STATE, "'%s' %s: it cannot be restarted",
                        state->settings.target, stopped ? "was stopped" : "was not started");
    }
    mfi_mutex_lock(&state->mutex);
    mfi_restart_forget(&state->restart);
    mfi_mutex_unlock(&state->mutex);
    link->look_until_ns =
        mfi_deadline_after_ms(mfi_loop_now(state->loop), state->settings.discovery_timeout_ms);
    mfi_link_step(link, MFI_LIFE_ON_RESTART);
    return MF_OK;
}

void mfi_link_init(mfi_link *link, mfi_calls *calls, mfi_heartbeat *heartbeat,
                   const mfi_peer_ops *ops, void *peer)
{
    link->state = calls->state;
    link->calls = calls;
    link->heartbeat = heartbeat;
    link->ops = ops;
    link->peer = peer;
    heartbeat->owner = link;
    heartbeat->answered = on_answered;
    heartbeat->told = on_told;
    mfi_task_init(&link->start_task, on_start);
    mfi_task_init(&link->stop_task, on_stop);
    mfi_timer_init(&link->start_timer, on_start_timeout);
    mfi_timer_init(&link->wait_timer, on_due);
    mfi_link_init_monitor(link);
    mfi_link_init_drain(link);
    calls->faults.signal = ops->signal;
    calls->faults.peer = peer;
}
