/* Makes peer events of libzmq's monitor events. It exists because libzmq reports the end of a
 * connection and the end of one that never shook hands as the same event, which made a count of
 * live connections drift. */
#include "core/transport/zmq_events.h"

#include <zmq.h>

static void begin_pending(mfi_zmq_events *events, int fd)
{
    if (events->count < MFI_ZMQ_PENDING_MAX) {
        events->pending[events->count++] = fd;
    }
}

static void note_shaken(mfi_zmq_events *events)
{
    events->shaken++;
    if (events->shaken >= events->count) { /* now all of them have */
        events->shaken = 0;
        events->count = 0;
    }
}

/* True if the connection of that descriptor ended without a handshake. */
static bool end_pending(mfi_zmq_events *events, int fd, bool just_failed)
{
    int at = 0;
    while (at < events->count && events->pending[at] != fd) {
        at++;
    }
    if (at == events->count) {
        return just_failed;
    }
    events->pending[at] = events->pending[--events->count];
    bool was_up = !just_failed && events->shaken > 0;
    events->shaken -= was_up ? 1 : 0;
    if (events->shaken >= events->count) {
        events->shaken = 0;
        events->count = 0;
    }
    return !was_up;
}

mfi_peer_event mfi_zmq_events_read(mfi_zmq_events *events, uint16_t number, int fd)
{
    bool just_failed = events->just_failed;
    events->just_failed = false;
    switch (number) {
    case ZMQ_EVENT_ACCEPTED:
    case ZMQ_EVENT_CONNECTED:
        begin_pending(events, fd);
        return MFI_PEER_NONE;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        note_shaken(events);
        return MFI_PEER_CONNECTED;
    case ZMQ_EVENT_DISCONNECTED:
        return end_pending(events, fd, just_failed) ? MFI_PEER_HANDSHAKE_FAILED
                                                    : MFI_PEER_DISCONNECTED;
    default:
        events->just_failed = true; /* reported with the end that follows */
        return MFI_PEER_NONE;
    }
}
