/* Connect mode: a service is found by its name, and found again when it has moved. Everything here
 * runs on the engine thread.
 *
 * While it is connected, two things can say that the service is no longer the one it was: the
 * registry's file changes, or the connection ends. Both lead to a look at the registry. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/parent.h"

#define QUEUE_MESSAGES 10000
#define LINGER_MS 500

static mfi_loop *loop_of(const mf_parent *parent)
{
    return parent->runtime->loop;
}

static void observe(mf_parent *parent, const mfi_service_event *event)
{
    mfi_observe_service_changed(parent->observed, event);
}

static void look_again_later(mf_parent *parent)
{
    (void)mfi_timer_set(
        loop_of(parent), &parent->again_timer,
        mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)), parent->settings.discovery_poll_ms));
}

/* ---- Finding it ---- */

static mf_status connect_to(mf_parent *parent, const mf_service *found, mf_error *error)
{
    mfi_transport_options options = {.address = parent->settings.bind_address,
                                     .port = found->port,
                                     .max_message_bytes = parent->settings.max_message_bytes,
                                     .queue_messages = QUEUE_MESSAGES,
                                     .linger_ms = LINGER_MS};
    mfi_messaging *messaging = parent->runtime->messaging;
    mf_status status = messaging->open(messaging, &parent->transport, &options, error);
    if (status != MF_OK) {
        return status;
    }
    uint64_t now = mfi_loop_now(loop_of(parent));
    parent->phase = MFI_LINK_STARTING;
    parent->peer_gone = false;
    parent->service = *found;
    atomic_store_explicit(&parent->pid, found->pid, memory_order_relaxed);
    observe(parent,
            &(mfi_service_event){.what = MFI_SERVICE_FOUND,
                                 .service_id = parent->settings.service_id,
                                 .text = parent->transport->endpoint,
                                 .pid = found->pid,
                                 .gap_ns = parent->lost_ns != 0 ? now - parent->lost_ns : 0});
    parent->lost_ns = 0;
    if (!mfi_view_is_watched(parent->view)) {
        look_again_later(parent); /* nothing tells of changes: they are looked for */
    }
    return mfi_link_watch(parent, error);
}

mf_status mfi_service_begin(mf_parent *parent, mf_error *error)
{
    /* Before the look, so that no change falls between the two. */
    mfi_view_join(parent->view, &parent->view_subscriber);
    mf_service found = MF_SERVICE_INIT;
    mf_status status =
        mf_registry_find(parent->view->registry, parent->settings.service_id, &found, error);
    if (status == MF_OK) {
        return connect_to(parent, &found, error);
    }
    bool late = mfi_loop_now(loop_of(parent)) >= parent->look_until_ns;
    if (parent->was_ready || (status == MF_ERR_NOT_FOUND && !late)) {
        parent->phase = MFI_LINK_LOOKING;
        look_again_later(parent);
        return MF_OK;
    }
    if (status == MF_ERR_NOT_FOUND) {
        status =
            mfi_fail(error, MF_ERR_NOT_FOUND, "Service '%s' not found within %lld ms",
                     parent->settings.service_id, (long long)parent->settings.discovery_timeout_ms);
    }
    return status;
}

/* ---- Losing it ---- */

/* still_there: its entry stands as it was. Its process may be about to end, so it gets a little
 * time before it is connected to again. */
static void lost(mf_parent *parent, const char *why, bool still_there)
{
    uint32_t failed = 0;
    mf_context oldest = {0};
    parent->lost_ns = mfi_loop_now(loop_of(parent));
    if (parent->was_ready) {
        failed = mfi_link_lost(parent, why, MFI_RESTART_NONE, &oldest);
    } else { /* the first start goes on looking */
        mfi_link_set_exit_text(parent, why);
        parent->again = true;
        parent->again_wait_ns = 0;
    }
    if (still_there) {
        parent->again_wait_ns = mfi_deadline_after_ms(0, parent->settings.discovery_poll_ms);
    }
    observe(parent, &(mfi_service_event){.what = MFI_SERVICE_LOST,
                                         .service_id = parent->settings.service_id,
                                         .text = why,
                                         .pid = parent->service.pid,
                                         .pending_failed = failed});
    if (parent->was_ready) {
        mfi_link_close_lost(parent, &oldest);
    } else {
        mfi_link_close(parent);
    }
}

/* It gave its name up, but still answers: what it was asked before is waited for. */
static void leaving(mf_parent *parent, const char *why)
{
    parent->lost_ns = mfi_loop_now(loop_of(parent));
    mfi_link_set_exit_text(parent, why);
    observe(parent, &(mfi_service_event){.what = MFI_SERVICE_LOST,
                                         .service_id = parent->settings.service_id,
                                         .text = why,
                                         .pid = parent->service.pid});
    mfi_link_drain(parent);
}

void mfi_service_check(mf_parent *parent, bool disconnected)
{
    char why[MFI_EXIT_TEXT_MAX];
    mf_error error;
    mf_service now = MF_SERVICE_INIT;
    mfi_error_clear(&error);
    if (parent->phase != MFI_LINK_STARTING && parent->phase != MFI_LINK_RUNNING &&
        parent->phase != MFI_LINK_DRAINING) {
        return;
    }
    mf_status status =
        mf_registry_find(parent->view->registry, parent->settings.service_id, &now, &error);
    bool same =
        status == MF_OK && now.pid == parent->service.pid && now.port == parent->service.port;
    if (status == MF_OK && !same) {
        (void)mfi_str_format(why, sizeof why, "moved to port %u (pid %lld)", (unsigned)now.port,
                             (long long)now.pid);
    } else if (status == MF_ERR_NOT_FOUND) {
        (void)mfi_str_format(why, sizeof why, "is no longer registered: %.160s", error.message);
    } else if (!same) {
        return; /* the file cannot be read now: the connection says enough */
    } else {
        (void)mfi_str_format(why, sizeof why, "closed the connection to %s",
                             parent->transport->endpoint);
    }
    if (same && !disconnected) {
        if (!mfi_view_is_watched(parent->view)) {
            look_again_later(parent);
        }
        return;
    }
    if (parent->phase == MFI_LINK_DRAINING) {
        if (disconnected) {
            mfi_link_drain_lost(parent);
        }
    } else if (disconnected || parent->phase == MFI_LINK_STARTING || parent->connections == 0) {
        lost(parent, why, same);
    } else if (parent->phase == MFI_LINK_RUNNING) {
        leaving(parent, why);
    }
}

static void on_view_changed(mfi_view_subscriber *subscriber)
{
    mf_parent *parent = MFI_CONTAINER(subscriber, mf_parent, view_subscriber);
    if (parent->phase == MFI_LINK_LOOKING) {
        (void)mfi_timer_set(loop_of(parent), &parent->again_timer, parent->began_ns); /* now */
    } else {
        mfi_service_check(parent, false);
    }
}

/* ---- Life ---- */

mf_status mfi_service_init(mf_parent *parent, mf_error *error)
{
    if (!mfi_parent_connects(parent)) {
        return MF_OK;
    }
    parent->view_subscriber.changed = on_view_changed;
    return mfi_view_take(&parent->view, parent->runtime, parent->settings.registry_directory,
                         error);
}

static void leave(void *argument)
{
    mf_parent *parent = argument;
    mfi_view_leave(parent->view, &parent->view_subscriber);
    parent->view = NULL;
}

void mfi_service_fini(mf_parent *parent)
{
    if (parent->view != NULL) {
        mfi_loop_call(loop_of(parent), leave, parent);
    }
}
