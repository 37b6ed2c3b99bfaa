/* The narrow interface to the wire: whole payloads to and from a peer, never frames.
 *
 * Used by one thread at a time (the driver), with a full barrier at each hand-over; the functions
 * marked "engine thread" apart. A runtime has one mfi_messaging, which opens them: libzmq's, and
 * whatever else speaks the same bytes can stand in its place. */
#ifndef MFI_TRANSPORT_TRANSPORT_H
#define MFI_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/transport.h>

#include "base/buf.h"
#include "core/transport/message.h"

#define MFI_ENDPOINT_MAX 64

typedef enum mfi_io {
    MFI_IO_DONE,
    MFI_IO_AGAIN,      /* send: no peer or its queue is full; receive: nothing there */
    MFI_IO_UNROUTABLE, /* send: the peer of the route is gone; the payload is dropped */
    MFI_IO_MALFORMED,  /* receive: something that is no message was there, and is gone */
    MFI_IO_FAILED      /* broken for good, or out of memory */
} mfi_io;

typedef enum mfi_peer_event {
    MFI_PEER_NONE, /* no more events */
    MFI_PEER_CONNECTED,
    MFI_PEER_DISCONNECTED,
    MFI_PEER_HANDSHAKE_FAILED
} mfi_peer_event;

typedef struct mfi_transport mfi_transport;
typedef struct mfi_transport_ops {
    /* On MFI_IO_DONE the payload leaves at once or with the next receive, and may have been taken
     * over: the buffer is then empty. On anything else it is untouched. */
    mfi_io (*send)(mfi_transport *transport, const mfi_route *route, mfi_buf *payload);
    /* ret_message is empty before. */
    mfi_io (*receive)(mfi_transport *transport, mfi_route *ret_route, mfi_message *ret_message);
    /* Descriptor that becomes readable when send or receive may get on. It is edge-like: after a
     * wake-up, and before the next wait, receive has to be called until MFI_IO_AGAIN. */
    int (*readiness)(const mfi_transport *transport);
    /* DEALER, for who has a message that could not be sent: whether send or receive would get on.
     * Each of them may consume the wake-up that is meant for the other, this one cannot: after
     * false the descriptor tells of whatever happens. */
    bool (*can_go_on)(mfi_transport *transport);
    /* Engine thread: descriptor that is readable when peer events wait, and the next of them. */
    int (*events_readiness)(const mfi_transport *transport);
    mfi_peer_event (*next_event)(mfi_transport *transport);
    /* Gives queued payloads up to linger_ms, then frees. */
    void (*close)(mfi_transport *transport);
} mfi_transport_ops;

struct mfi_transport {
    const mfi_transport_ops *ops;
    char endpoint[MFI_ENDPOINT_MAX]; /* where it is bound, or connects to */
};

typedef struct mfi_transport_options {
    bool is_child;       /* ROUTER, else DEALER */
    bool binds;          /* else it connects */
    const char *address; /* numeric IPv4 */
    uint16_t port;       /* 0 (only where it binds): a free one */
    size_t max_message_bytes;
    int queue_messages; /* high-water mark, each way */
    int64_t linger_ms;
    int64_t handshake_ms; /* 0: 30 s. libzmq's: always 30 s */
} mfi_transport_options;

/* What the transports of a runtime share. Thread-safe. */
typedef struct mfi_messaging mfi_messaging;
struct mfi_messaging {
    /* MF_ERR_ADDRESS_IN_USE and MF_ERR_INVALID_ARGUMENT name address and port. */
    mf_status (*open)(mfi_messaging *messaging, mfi_transport **ret_transport,
                      const mfi_transport_options *options, mf_error *error);
    /* All transports are closed; waits until what they left has been sent. */
    void (*destroy)(mfi_messaging *messaging);
};

mf_status mfi_messaging_zmq_create(mfi_messaging **ret_messaging, mf_error *error);
mf_status mfi_messaging_direct_create(mfi_messaging **ret_messaging, mf_error *error);
/* The one that is asked for, by the environment if need be. */
mf_status mfi_messaging_create(mfi_messaging **ret_messaging, mf_transport transport,
                               mf_error *error);

#endif
