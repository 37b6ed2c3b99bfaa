/* The narrow interface to the wire: whole payloads to and from a peer, never frames.
 *
 * One thread at a time (the driver) uses a transport, and each hand-over is a full barrier; only
 * the functions marked "engine thread" are exempt. A runtime has one mfi_messaging, which opens
 * transports. Each implementation is one mfi_messaging. */
#ifndef MFI_TRANSPORT_TRANSPORT_H
#define MFI_TRANSPORT_TRANSPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/transport.h>

#include "base/buf.h"
#include "core/transport/budget.h"
#include "core/transport/message.h"

#define MFI_ENDPOINT_MAX 64
/* What parents and children allow in each queue: ten times ZeroMQ's default. */
#define MFI_QUEUE_MESSAGES 10000

typedef enum mfi_io {
    MFI_IO_DONE,
    MFI_IO_AGAIN,      /* send: no peer, or its queue is full; receive: no message is there */
    MFI_IO_UNROUTABLE, /* send: the route's peer is gone; the payload is dropped */
    MFI_IO_MALFORMED,  /* receive: a message without a payload was read and dropped */
    MFI_IO_WRONG_PEER, /* receive: a message of a connection that is not admitted, or that calls do
                          not go to, was read and dropped */
    MFI_IO_FAILED      /* broken for good, or out of memory */
} mfi_io;

typedef enum mfi_peer_event {
    MFI_PEER_NONE, /* no more events */
    MFI_PEER_CONNECTED,
    MFI_PEER_DISCONNECTED,
    MFI_PEER_HANDSHAKE_FAILED,
    MFI_PEER_REFUSED, /* a connection that was not admitted, and is open at its other end */
    MFI_PEER_EVENTS
} mfi_peer_event;

typedef struct mfi_transport mfi_transport;
typedef struct mfi_transport_ops {
    /* On MFI_IO_DONE the payload leaves at once or with the next receive. The transport may have
     * taken the buffer's memory; the buffer is then empty. Otherwise the buffer is unchanged. */
    mfi_io (*send)(mfi_transport *transport, const mfi_route *route, mfi_buf *payload);
    /* ret_message is empty before. A payload beyond max_message_bytes comes with its first bytes
     * alone (mfi_message.cut), or whole; libzmq ends the connection instead. */
    mfi_io (*receive)(mfi_transport *transport, mfi_route *ret_route, mfi_message *ret_message);
    /* A descriptor that becomes readable when send or receive may succeed. It is edge-like: after a
     * wake-up, and before the next wait, receive must be called until MFI_IO_AGAIN. */
    int (*readiness)(const mfi_transport *transport);
    /* DEALER, for a driver with a message that could not be sent: whether send or receive would
     * succeed. Send may consume the wake-up meant for receive, and the other way round; this
     * function consumes none, so that after false the descriptor reports every change. */
    bool (*can_go_on)(mfi_transport *transport);
    /* Engine thread: a descriptor that is readable when there are peer events, and the next one. */
    int (*events_readiness)(const mfi_transport *transport);
    mfi_peer_event (*next_event)(mfi_transport *transport);
    /* ROUTER; both may be NULL. Ends the connection of a route, and drops its unsent bytes. */
    void (*end)(mfi_transport *transport, const mfi_route *route);
    /* Ends the connection with the most unsent and unfinished bytes, if these are more than `most`
     * and it is not that of `spared`; false if there is none. */
    bool (*end_largest)(mfi_transport *transport, const mfi_route *spared, size_t most);
    /* Goes on sending queued payloads for up to linger_ms, then frees the transport. */
    void (*close)(mfi_transport *transport);
} mfi_transport_ops;

struct mfi_transport {
    const mfi_transport_ops *ops;
    /* A refused connection was closed before a byte of it was read or sent. Otherwise it stays, and
     * its messages are dropped; but a DEALER may already have sent something to it. */
    bool closes_refused;
    char endpoint[MFI_ENDPOINT_MAX]; /* the address that it is bound to or connects to */
};

/* Writes "tcp://127.0.0.1:5555" or "tcp://[::1]:5555". */
void mfi_endpoint_write(char to[MFI_ENDPOINT_MAX], const char *address, uint16_t port);

typedef struct mfi_transport_options {
    bool is_child;       /* true: ROUTER; false: DEALER */
    bool binds;          /* false: it connects */
    const char *address; /* numeric, IPv4 or IPv6 without brackets */
    uint16_t port;       /* 0: a free port, only with binds */
    size_t max_message_bytes;
    int queue_messages; /* most messages in a queue, in each direction */
    int64_t linger_ms;
    mfi_budget *budget;   /* of the opener, which the transport refs; NULL: none */
    int64_t handshake_ms; /* 0: 30 s. libzmq always takes 30 s */
    /* NULL, or where a DEALER that knows shows how many payloads it holds that the kernel did not
     * take; relaxed. libzmq's does not know. Valid as long as the transport. */
    _Atomic(uint32_t) *unsent;
    /* With binds: judges each connection once, by its descriptor, on the thread that drives or on
     * the engine thread. NULL admits all. */
    bool (*admits)(void *data, int fd);
    void *admits_data;
} mfi_transport_options;

/* The state that the transports of a runtime share. Thread-safe. */
typedef struct mfi_messaging mfi_messaging;
struct mfi_messaging {
    /* MF_ERR_ADDRESS_IN_USE and MF_ERR_INVALID_ARGUMENT name address and port. */
    mf_status (*open)(mfi_messaging *messaging, mfi_transport **ret_transport,
                      const mfi_transport_options *options, mf_error *error);
    /* All transports must be closed. Waits until their unsent payloads are sent. */
    void (*destroy)(mfi_messaging *messaging);
};

mf_status mfi_messaging_zmq_create(mfi_messaging **ret_messaging, mf_error *error);
mf_status mfi_messaging_direct_create(mfi_messaging **ret_messaging, mf_error *error);
/* What COMLINK_TRANSPORT says, or the default. */
mf_status mfi_transport_from_environment(mf_transport *ret_transport, mf_error *error);
/* Makes the messaging that the option names, or else the environment. */
mf_status mfi_messaging_create(mfi_messaging **ret_messaging, mf_transport transport,
                               mf_error *error);

#endif
