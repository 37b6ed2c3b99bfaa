/* Draining a connection, and restarts that were asked for. Engine thread, as all of link.c. */
#include <string.h>

#include "base/error.h"
#include "core/client/parent.h"

static mfi_loop *loop_of(const mf_parent *parent)
{
    return parent->runtime->loop;
}

void mfi_link_drained(mf_parent *parent)
{
    atomic_store_explicit(&parent->watching, false, memory_order_relaxed);
    mfi_timer_cancel(loop_of(parent), &parent->again_timer);
    if (mfi_parent_connects(parent)) {
        mfi_link_close(parent);
    } else {
        mfi_worker_end(parent, MFI_ENDING_RESTART, false);
    }
}

void mfi_link_on_drain_task(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, drain_task);
    if (parent->phase == MFI_LINK_DRAINING && mfi_calls_sent(parent) == 0) {
        mfi_link_drained(parent);
    }
}

/* That it leaves was told before. What it answered in time is in the socket still. */
static void end_drain(mf_parent *parent)
{
    mf_context oldest = {0};
    if (mfi_calls_sent(parent) == 0) {
        mfi_link_drained(parent);
        return;
    }
    atomic_store_explicit(&parent->watching, false, memory_order_relaxed);
    mfi_timer_cancel(loop_of(parent), &parent->again_timer);
    (void)mfi_link_lost(parent, "closed the connection", MFI_RESTART_NONE, &oldest);
    mfi_link_close_lost(parent, &oldest);
}

void mfi_link_drain_lost(mf_parent *parent)
{
    parent->peer_gone = true;
    if (mfi_driver_look(&parent->driver)) {
        end_drain(parent);
    } /* else the barrier comes first */
}

/* Every driver has seen `holding` by now: no more calls go out. */
static void on_barrier(void *self)
{
    mf_parent *parent = self;
    mf_error error;
    mfi_error_clear(&error);
    if (mfi_driver_open(&parent->driver, parent->transport->ops->readiness(parent->transport),
                        &error) != MF_OK) {
        mfi_link_drained(parent); /* answers cannot come any more */
        return;
    }
    if (parent->phase != MFI_LINK_DRAINING) {
        return; /* a stop came in between */
    }
    /* acq_rel, and so is the next line: see mfi_call_closed(). */
    (void)atomic_exchange_explicit(&parent->watching, true, memory_order_acq_rel);
    atomic_fetch_add_explicit(&parent->calls_open, 0, memory_order_acq_rel);
    if (parent->peer_gone) {
        mfi_link_drain_lost(parent);
        return;
    }
    mfi_link_on_drain_task(&parent->drain_task);
}

void mfi_link_drain(mf_parent *parent)
{
    parent->phase = MFI_LINK_DRAINING;
    parent->again = true;
    parent->again_wait_ns = 0;
    mfi_timer_cancel(loop_of(parent), &parent->heartbeat_timer);
    atomic_store_explicit(&parent->holding, true, memory_order_relaxed);
    mfi_parent_set_state(parent, MF_PARENT_RESTARTING);
    (void)mfi_timer_set(
        loop_of(parent), &parent->again_timer,
        mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)), parent->settings.stop_timeout_ms));
    mfi_driver_pause(&parent->driver, on_barrier);
}

/* A restart that is not under way yet: there will be one more. */
static void begin_restart(mf_parent *parent)
{
    mfi_mutex_lock(&parent->mutex);
    parent->restarts++;
    mfi_mutex_unlock(&parent->mutex);
    mfi_observe_process_changed(
        parent->observed,
        &(mfi_process_event){.what = MFI_PROCESS_RESTART,
                             .text = "a restart was asked for",
                             .reason = MFI_RESTART_MANUAL,
                             .restarts_allowed = parent->settings.restart.max_attempts});
    if (parent->phase != MFI_LINK_ENDING) { /* there it says why it ends */
        mfi_link_set_exit_text(parent, "is being restarted");
    }
}

mf_status mfi_link_restart(mf_parent *parent, mf_error *error)
{
    mf_parent_state state = mfi_parent_state(parent);
    if (state == MF_PARENT_CREATED || state == MF_PARENT_STARTING || state == MF_PARENT_STOPPED ||
        parent->stop_asked) {
        return mfi_fail(
            error, MF_ERR_STATE, "'%s' %s: it cannot be restarted", parent->settings.target,
            state == MF_PARENT_STOPPED || parent->stop_asked ? "was stopped" : "was not started");
    }
    mfi_mutex_lock(&parent->mutex);
    mfi_restart_forget(&parent->restart);
    mfi_mutex_unlock(&parent->mutex);
    bool ends = parent->phase == MFI_LINK_CLOSING || parent->phase == MFI_LINK_ENDING;
    if (parent->phase == MFI_LINK_GONE || parent->phase == MFI_LINK_RUNNING ||
        (ends && !parent->again)) {
        begin_restart(parent);
    }
    parent->look_until_ns =
        mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)), parent->settings.discovery_timeout_ms);
    if (parent->phase == MFI_LINK_GONE) {
        mfi_driver_reopen(&parent->driver);
        mfi_parent_set_state(parent, MF_PARENT_RESTARTING);
        mfi_link_begin(parent);
    } else if (parent->phase == MFI_LINK_RUNNING) {
        mfi_link_drain(parent);
    } else if (parent->phase == MFI_LINK_WAITING) {
        (void)mfi_timer_set(loop_of(parent), &parent->again_timer, parent->began_ns);
    } else if (ends) { /* perhaps about to be gone: it comes back from there */
        parent->again = true;
        parent->again_wait_ns = 0;
        mfi_parent_set_state(parent, MF_PARENT_RESTARTING);
    } /* else it is on its way already */
    return MF_OK;
}
