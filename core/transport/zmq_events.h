/* What the monitor events of one socket of libzmq say about its connections. */
#ifndef MFI_TRANSPORT_ZMQ_EVENTS_H
#define MFI_TRANSPORT_ZMQ_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/transport/transport.h"

#define MFI_ZMQ_PENDING_MAX 16 /* handshakes at one time that are told apart */

/* Starts as zero. */
typedef struct mfi_zmq_events {
    /* Descriptors of the connections that have not shaken hands yet. The events of a handshake do
     * not name theirs. */
    int pending[MFI_ZMQ_PENDING_MAX];
    int count;
    int shaken;       /* how many of these have shaken hands after all */
    bool just_failed; /* the event before was a failed handshake, whose connection ends next */
} mfi_zmq_events;

/* The event that the connection's user gets; MFI_PEER_NONE: none. fd is the event's value. Each
 * MFI_PEER_CONNECTED has one MFI_PEER_DISCONNECTED at most. The end of any other connection is
 * MFI_PEER_HANDSHAKE_FAILED. */
mfi_peer_event mfi_zmq_events_read(mfi_zmq_events *events, uint16_t number, int fd);

#endif
