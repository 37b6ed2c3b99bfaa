/* What happens to connections, told to the engine thread. It exists because a thread that drives
 * the transport sees an event, and another thread acts on it. */
#include <stdlib.h>
#include <unistd.h>

#include "core/transport/direct/direct.h"

#define EVENTS_MAX 65536 /* unread peer events; more are dropped */

void mfi_direct_report(mfi_direct *self, mfi_peer_event event)
{
    mfi_mutex_lock(&self->events_mutex);
    if (self->events_at == self->events_end) {
        self->events_at = 0;
        self->events_end = 0;
    }
    /* Strangers bring failed handshakes and refusals. These use half of the room, so that they do
     * not displace other events. */
    bool may_be_dropped = event == MFI_PEER_HANDSHAKE_FAILED || event == MFI_PEER_REFUSED;
    size_t most = may_be_dropped ? EVENTS_MAX / 2 : EVENTS_MAX;
    if (self->events_end == self->events_capacity && self->events_capacity < most) {
        size_t capacity = self->events_capacity != 0 ? self->events_capacity * 2 : 8;
        uint8_t *grown = realloc(self->events, capacity);
        if (grown != NULL) {
            self->events = grown;
            self->events_capacity = capacity;
        }
    }
    if (self->events_end < self->events_capacity && self->events_end < most) {
        uint64_t one = 1;
        self->events[self->events_end++] = (uint8_t)event;
        ssize_t written = write(self->events_fd, &one, sizeof one);
        (void)written; /* fails if the counter is full: the descriptor is readable then too */
    }
    mfi_mutex_unlock(&self->events_mutex);
}

mfi_peer_event mfi_direct_next_event(mfi_transport *base)
{
    mfi_direct *self = (mfi_direct *)base;
    mfi_peer_event event = MFI_PEER_NONE;
    mfi_mutex_lock(&self->events_mutex);
    if (self->events_at < self->events_end) {
        event = (mfi_peer_event)self->events[self->events_at++];
    } else {
        uint64_t count = 0;
        ssize_t got = read(self->events_fd, &count, sizeof count);
        (void)got; /* fails if the counter is 0 */
    }
    mfi_mutex_unlock(&self->events_mutex);
    return event;
}
