/* The connections of a link, as the transport reports them. It exists so that they are counted and
 * told in one place, and the table of a connection's life knows only what they mean. */
#include <sys/epoll.h>

#include "base/str.h"
#include "core/client/link/link.h"

uint64_t mfi_link_start_deadline(const mfi_link *link)
{
    const mfi_parent_settings *settings = &link->state->settings;
    uint64_t end = mfi_deadline_after_ms(link->began_ns, settings->start_timeout_ms);
    bool is_bounded = settings->endpoint != NULL && !link->was_ready;
    return is_bounded && link->look_until_ns < end ? link->look_until_ns : end;
}

/* Connect mode: a service that has shaken hands is there. One that works for long answers no
 * heartbeat in time, so it is ready without, when it has had the time of one. */
static void accept_soon(mfi_link *link)
{
    const mfi_parent_settings *settings = &link->state->settings;
    uint64_t now = mfi_loop_now(link->state->loop);
    uint64_t at = mfi_deadline_after_ms(now, settings->heartbeat_timeout_ms);
    uint64_t end = mfi_link_start_deadline(link);
    (void)mfi_timer_set(link->state->loop, &link->start_timer, at < end ? at : end);
}

static void note_connected(mfi_link *link)
{
    link->connections++;
    mfi_transport_event seen = {.text = link->calls->transport->endpoint,
                                .what = link->connections > 1 ? MFI_TRANSPORT_EXTRA_CONNECTION
                                        : link->was_connected ? MFI_TRANSPORT_RECONNECTED
                                                              : MFI_TRANSPORT_CONNECTED};
    link->was_connected = true;
    mfi_observe_transport_event(link->state->observed, &seen);
    if (link->ops->owns_process) {
        link->ops->connected(link->peer);
    } else if (link->phase == MFI_LIFE_STARTING) {
        accept_soon(link);
    }
}

/* True if this was the last connection. */
static bool note_disconnected(mfi_link *link, mfi_peer_event event)
{
    bool was_up = event == MFI_PEER_DISCONNECTED && link->connections > 0;
    mfi_transport_event seen = {.text = link->calls->transport->endpoint,
                                .what = MFI_TRANSPORT_DISCONNECTED,
                                .disconnect = !was_up ? MFI_DISCONNECT_HANDSHAKE_FAILED
                                              : mfi_life_is_stopped(link->phase)
                                                  ? MFI_DISCONNECT_SHUTDOWN
                                                  : MFI_DISCONNECT_CLOSED};
    link->connections -= was_up ? 1 : 0;
    mfi_observe_transport_event(link->state->observed, &seen);
    return was_up && link->connections == 0;
}

/* Takes what the transport reports. True if the last connection has ended. */
static bool take_events(mfi_link *link)
{
    mfi_transport *transport = link->calls->transport;
    mfi_peer_event event = MFI_PEER_NONE;
    bool lost = false;
    while ((event = transport->ops->next_event(transport)) != MFI_PEER_NONE) {
        if (event == MFI_PEER_REFUSED) {
            link->ops->refused(link->peer);
        } else if (event == MFI_PEER_CONNECTED) {
            note_connected(link);
        } else {
            lost = note_disconnected(link, event) || lost;
        }
    }
    return lost;
}

void mfi_link_end_connections(mfi_link *link)
{
    (void)take_events(link);
    while (link->connections > 0) {
        (void)note_disconnected(link, MFI_PEER_DISCONNECTED);
    }
}

static void on_monitor(mfi_source *source, uint32_t events)
{
    (void)events;
    mfi_link *link = MFI_CONTAINER(source, mfi_link, monitor_source);
    if (take_events(link)) {
        link->ops->check(link->peer, true);
    }
}

mf_status mfi_link_watch(mfi_link *link, mf_error *error)
{
    mfi_state *state = link->state;
    const mfi_transport *transport = link->calls->transport;
    mfi_mutex_lock(&state->mutex);
    (void)mfi_str_copy(state->endpoint, sizeof state->endpoint, transport->endpoint);
    mfi_mutex_unlock(&state->mutex);
    link->connections = 0;
    mf_status status = mfi_source_add(state->loop, &link->monitor_source,
                                      transport->ops->events_readiness(transport), EPOLLIN, error);
    if (status == MF_OK) {
        atomic_store_explicit(&link->calls->holding, false, memory_order_relaxed);
        status = mfi_driver_open(&link->calls->driver, transport->ops->readiness(transport), error);
    }
    return status;
}

void mfi_link_init_monitor(mfi_link *link)
{
    mfi_source_init(&link->monitor_source, on_monitor);
}
