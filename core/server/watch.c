/* The engine thread's watch over the parent process and the connection.
 *
 * It exists because a spawned worker must end with its parent, however the parent ends. Connections
 * are watched so that metrics and logs show them, and because a connection proves that a parent is
 * there. */
#include "core/server/watch.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Time that an orphan has to get a connection: five times the two seconds that original parents
 * give a worker. */
#define REACH_NS (10 * MFI_NS_PER_S)

/* ---- The parent process ---- */

static void on_parent_gone(mfi_source *source, uint32_t events)
{
    (void)events;
    mfi_watch *watch = MFI_CONTAINER(source, mfi_watch, parent_source);
    mfi_source_remove(watch->channel->loop, source);
    mfi_child_state_stop(watch->state);
}

/* Ends an orphan. If the parent process ended before the worker could watch it, its pid is unknown:
 * no language puts it into the environment, and a parent with pid 1 may be real. But the process
 * that adopts an orphan mostly is of another session, and the parent's port is closed. So a worker
 * whose parent process is of another session must get a connection in time. */
static void watch_for_orphan(mfi_watch *watch, pid_t parent)
{
    mfi_loop *loop = watch->channel->loop;
    if (parent > 0 && getsid(parent) != getsid(0)) {
        /* Without memory for the timer, the worker continues to run. */
        (void)mfi_timer_set(loop, &watch->orphan_timer, mfi_loop_now(loop) + REACH_NS);
    }
}

static void on_orphan_timer(mfi_timer *timer)
{
    mfi_watch *watch = MFI_CONTAINER(timer, mfi_watch, orphan_timer);
    if (!watch->was_connected) {
        mfi_child_state_stop(watch->state);
    }
}

/* Without pidfds (an old kernel) only signals and SHUTDOWN end the worker. */
void mfi_watch_parent(mfi_watch *watch)
{
    pid_t parent = getppid();
    watch->parent_fd = (int)syscall(SYS_pidfd_open, parent, 0);
    if (watch->parent_fd >= 0 && mfi_source_add(watch->channel->loop, &watch->parent_source,
                                                watch->parent_fd, EPOLLIN, NULL) != MF_OK) {
        (void)close(watch->parent_fd);
        watch->parent_fd = -1;
    }
    if (getppid() != parent) {
        mfi_child_state_stop(watch->state); /* the parent has just ended */
    }
    watch_for_orphan(watch, parent);
}

/* ---- The connection ---- */

static void observe(const mfi_watch *watch, const mfi_transport_event *seen)
{
    mfi_observe_transport_event(watch->channel->observed, seen);
}

static void note_refused(const mfi_watch *watch)
{
    char who[MFI_ADMISSION_TEXT_MAX];
    mfi_admission_tell(&watch->admission, who);
    observe(watch, &(mfi_transport_event){.what = MFI_TRANSPORT_REFUSED, .text = who});
}

static void note_connected(mfi_watch *watch)
{
    const char *endpoint = watch->channel->transport->endpoint;
    mfi_transport_what what =
        watch->was_connected ? MFI_TRANSPORT_RECONNECTED : MFI_TRANSPORT_CONNECTED;
    watch->was_connected = true;
    watch->connections++;
    observe(watch, &(mfi_transport_event){.what = what, .text = endpoint});
    if (mfi_admission_was_blind(&watch->admission) && !watch->told_blind) {
        watch->told_blind = true;
        observe(watch, &(mfi_transport_event){.what = MFI_TRANSPORT_BLIND, .text = endpoint});
    }
}

static void note_disconnected(mfi_watch *watch, mfi_disconnect_reason reason)
{
    bool was_up = reason != MFI_DISCONNECT_HANDSHAKE_FAILED && watch->connections > 0;
    watch->connections -= was_up ? 1 : 0;
    observe(watch, &(mfi_transport_event){.what = MFI_TRANSPORT_DISCONNECTED,
                                          .text = watch->channel->transport->endpoint,
                                          .disconnect =
                                              was_up ? reason : MFI_DISCONNECT_HANDSHAKE_FAILED});
}

static void take_events(mfi_watch *watch)
{
    mfi_transport *transport = watch->channel->transport;
    mfi_peer_event event = MFI_PEER_NONE;
    while ((event = transport->ops->next_event(transport)) != MFI_PEER_NONE) {
        if (event == MFI_PEER_CONNECTED) {
            note_connected(watch);
        } else if (event == MFI_PEER_REFUSED) {
            note_refused(watch);
        } else {
            note_disconnected(watch, event == MFI_PEER_HANDSHAKE_FAILED
                                         ? MFI_DISCONNECT_HANDSHAKE_FAILED
                                         : MFI_DISCONNECT_CLOSED);
        }
    }
}

static void on_monitor(mfi_source *source, uint32_t events)
{
    (void)events;
    take_events(MFI_CONTAINER(source, mfi_watch, monitor_source));
}

/* The transport is about to be closed, and its connections with it. */
static void end_connections(mfi_watch *watch)
{
    take_events(watch);
    while (watch->connections > 0) {
        note_disconnected(watch, MFI_DISCONNECT_SHUTDOWN);
    }
}

mf_status mfi_watch_connection(mfi_watch *watch, mf_error *error)
{
    mfi_transport *transport = watch->channel->transport;
    return mfi_source_add(watch->channel->loop, &watch->monitor_source,
                          transport->ops->events_readiness(transport), EPOLLIN, error);
}

/* ---- Life ---- */

void mfi_watch_init(mfi_watch *watch, const mfi_channel *channel, mfi_child_state *state)
{
    watch->channel = channel;
    watch->state = state;
    watch->parent_fd = -1;
    mfi_source_init(&watch->parent_source, on_parent_gone);
    mfi_source_init(&watch->monitor_source, on_monitor);
    mfi_timer_init(&watch->orphan_timer, on_orphan_timer);
}

void mfi_watch_end(mfi_watch *watch)
{
    mfi_loop *loop = watch->channel->loop;
    if (watch->monitor_source.fd >= 0) {
        end_connections(watch);
    }
    mfi_source_remove(loop, &watch->monitor_source);
    mfi_source_remove(loop, &watch->parent_source);
    mfi_timer_cancel(loop, &watch->orphan_timer);
    if (watch->parent_fd >= 0) {
        (void)close(watch->parent_fd);
        watch->parent_fd = -1;
    }
}
