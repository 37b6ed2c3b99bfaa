/* Calls that are held back, and restarts that wait for calls in flight.
 *
 * At a restart, new calls are held back, every driver passes a barrier, and the peer is replaced
 * when the last sent call has ended. While the entry of a service is gone, new calls are held back
 * for a moment, because the service may be about to stop; calls in flight go on. It exists so that
 * a restart that the program asks for fails no call, nor does the stop of a service. Engine thread,
 * as all of the link. */
#include "base/error.h"
#include "core/client/link/link.h"

void mfi_link_count_restart(mfi_link *link, mfi_life_phase before)
{
    mfi_state *state = link->state;
    mfi_mutex_lock(&state->mutex);
    state->restarts++;
    mfi_mutex_unlock(&state->mutex);
    mfi_observe_process_changed(
        state->observed,
        &(mfi_process_event){.what = MFI_PROCESS_RESTART,
                             .text = "a restart was asked for",
                             .reason = MFI_RESTART_MANUAL,
                             .restarts_allowed = state->settings.restart.max_attempts});
    if (!mfi_life_is_ending(before)) { /* if the peer is being ended, the text already says why */
        mfi_state_set_exit_text(state, "is being restarted");
    }
}

/* Every driver has read `holding`: no more calls are sent. */
static void on_barrier(void *self)
{
    mfi_link *link = self;
    const mfi_transport *transport = link->calls->transport;
    mf_status status =
        mfi_driver_open(&link->calls->driver, transport->ops->readiness(transport), NULL);
    /* If the driver cannot be opened, no more answers can be received. */
    mfi_link_step(link, status == MF_OK ? MFI_LIFE_ON_BARRIER : MFI_LIFE_ON_DRAINED);
}

static void on_too_late(mfi_timer *timer)
{
    mfi_link_step(MFI_CONTAINER(timer, mfi_link, drain_timer), MFI_LIFE_ON_DRAINED);
}

/* The public state stays READY, so that no call fails: the service may stay. A periodic heartbeat
 * would wait in the queue too, and its time would pass. */
void mfi_link_defer(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    mfi_heartbeat_stop(link->heartbeat);
    atomic_store_explicit(&link->calls->holding, true, memory_order_relaxed);
}

void mfi_link_resume(mfi_link *link, mfi_life_phase before)
{
    (void)before;
    atomic_store_explicit(&link->calls->holding, false, memory_order_relaxed);
    mfi_heartbeat_start(link->heartbeat);
    (void)mfi_driver_kick(&link->calls->driver); /* for the calls that wait in the queue */
}

void mfi_link_hold(mfi_link *link)
{
    mfi_state *state = link->state;
    link->wait_ns = 0;
    mfi_heartbeat_stop(link->heartbeat);
    atomic_store_explicit(&link->calls->holding, true, memory_order_relaxed);
    mfi_state_set(state, MF_PARENT_RESTARTING);
    (void)mfi_timer_set(
        state->loop, &link->drain_timer,
        mfi_deadline_after_ms(mfi_loop_now(state->loop), state->settings.stop_timeout_ms));
    mfi_driver_pause(&link->calls->driver, on_barrier, link);
}

/* Checks whether a sent call is still open. A thread that finishes a call posts this task. */
static void on_idle(mfi_task *task)
{
    mfi_link *link = MFI_CONTAINER(task, mfi_link, idle_task);
    if (link->phase == MFI_LIFE_DRAINING && mfi_calls_sent(link->calls) == 0) {
        mfi_link_step(link, MFI_LIFE_ON_DRAINED);
    }
}

void mfi_link_watch_calls(mfi_link *link)
{
    mfi_calls *calls = link->calls;
    /* acq_rel here and in the next line: see mfi_calls_count_finished(). */
    (void)atomic_exchange_explicit(&calls->watching, true, memory_order_acq_rel);
    atomic_fetch_add_explicit(&calls->open, 0, memory_order_acq_rel);
    (void)mfi_loop_post(link->state->loop, &link->idle_task);
}

/* The peer has gone; that it leaves was reported before. Answers that it sent in time are read
 * first. */
void mfi_link_settle(mfi_link *link)
{
    (void)mfi_driver_look(&link->calls->driver);
    if (mfi_calls_sent(link->calls) == 0) {
        mfi_link_step(link, MFI_LIFE_ON_DRAINED);
        return;
    }
    mfi_loss loss = mfi_link_lost_connection(link, "closed the connection");
    mfi_link_close_lost(link, &loss);
}

void mfi_link_init_drain(mfi_link *link)
{
    mfi_task_init(&link->idle_task, on_idle);
    mfi_timer_init(&link->drain_timer, on_too_late);
    link->calls->idle_task = &link->idle_task;
}
