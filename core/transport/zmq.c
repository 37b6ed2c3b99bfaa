/* The transport over libzmq: DEALER (parent) or ROUTER (child). A spawning parent binds and its
 * child connects; a child that is a service binds and its parents connect. Frames are ["", payload]
 * for the DEALER and [identity, "", payload] for the ROUTER.
 *
 * Small payloads are copied into libzmq's message, which is cheaper than a reference that another
 * thread releases. From ZERO_COPY_BYTES on libzmq gets the buffer itself. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <zmq.h>

#include "base/error.h"
#include "base/str.h"
#include "core/transport/transport.h"
#include "core/transport/verdicts.h"
#include "core/transport/zmq_events.h"
#include "core/transport/zmq_ledger.h"

#define ZERO_COPY_BYTES 2048                     /* bytes of a payload; smaller ones are copied */
#define DEALER_BYTES ((int64_t)64 * 1024 * 1024) /* the largest message of the protocol */
#define SOCKETS_MOST 8192                        /* of all parents and children of a runtime */
#define MONITORED                                                                                  \
    (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |                    \
     ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |                               \
     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

typedef struct zmq_messaging {
    mfi_messaging base; /* first member */
    void *context;
} zmq_messaging;

typedef struct zmq_transport {
    mfi_transport base; /* first member */
    void *socket;
    void *monitor;
    mfi_ledger *in; /* what libzmq holds */
    int socket_fd;
    int monitor_fd;
    bool is_router;
    bool binds;
    mfi_zmq_events events;
    bool (*admits)(void *data, int fd); /* or NULL */
    void *admits_data;
    mfi_verdicts *verdicts; /* NULL: all are admitted */
} zmq_transport;

/* libzmq allows 1,023 sockets by default, and a parent has three, two of which are its monitor's.
 * libzmq fills a table of them at its first socket, so this allows only as many as there can be
 * descriptors. */
static int most_sockets(void)
{
    struct rlimit files = {.rlim_cur = 0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur / 3 < ZMQ_MAX_SOCKETS_DFLT ? ZMQ_MAX_SOCKETS_DFLT
           : files.rlim_cur / 3 < SOCKETS_MOST       ? (int)(files.rlim_cur / 3)
                                                     : SOCKETS_MOST;
}

/* ---- Sending ---- */

static mfi_io io_of_errno(int error_number)
{
    switch (error_number) {
    case EAGAIN:
        return MFI_IO_AGAIN;
    case EHOSTUNREACH:
        return MFI_IO_UNROUTABLE;
    default:
        return MFI_IO_FAILED;
    }
}

/* Sends one frame without waiting; again if a signal interrupts. */
static int send_frame(void *socket, const void *data, size_t size, int flags)
{
    int result = 0;
    do {
        result = zmq_send(socket, data, size, ZMQ_DONTWAIT | flags);
    } while (result < 0 && zmq_errno() == EINTR);
    return result;
}

static int send_payload(zmq_transport *transport, mfi_ledger_place *at, mfi_buf *payload)
{
    if (payload->size < ZERO_COPY_BYTES && mfi_ledger_copies(at, payload->size)) {
        return send_frame(transport->socket, payload->data, payload->size, 0);
    }
    zmq_msg_t message;
    size_t size = payload->size;
    mfi_charge *of = mfi_charge_make(transport->in, at, payload);
    if (of == NULL) {
        return -1;
    }
    if (zmq_msg_init_data(&message, payload->data, size, mfi_charge_sent, of) != 0) {
        return -1; /* without memory: the charge stays, which is the lesser evil */
    }
    payload->data = NULL; /* libzmq owns the memory, also if the send fails */
    payload->size = 0;
    payload->capacity = 0;
    int result = 0;
    do {
        result = zmq_msg_send(&message, transport->socket, ZMQ_DONTWAIT);
    } while (result < 0 && zmq_errno() == EINTR);
    if (result < 0) {
        (void)zmq_msg_close(&message);
    }
    return result;
}

static mfi_io transport_send(mfi_transport *base, const mfi_route *route, mfi_buf *payload)
{
    zmq_transport *transport = (zmq_transport *)base;
    mfi_ledger_place *at = mfi_ledger_at(transport->in, route);
    if (!mfi_ledger_has_room(transport->in, at)) {
        return MFI_IO_AGAIN;
    }
    /* Only the first frame can find a full queue or no peer, because libzmq counts whole
     * messages. */
    if (transport->is_router &&
        send_frame(transport->socket, route->bytes, route->size, ZMQ_SNDMORE) < 0) {
        return io_of_errno(zmq_errno());
    }
    if (send_frame(transport->socket, "", 0, ZMQ_SNDMORE) < 0) {
        return io_of_errno(zmq_errno());
    }
    if (send_payload(transport, at, payload) < 0) {
        /* Without memory the message ends empty, so that the next one does not go on with it. */
        (void)send_frame(transport->socket, "", 0, 0);
        return MFI_IO_FAILED;
    }
    return MFI_IO_DONE;
}

/* ---- Receiving ---- */

_Static_assert(sizeof(zmq_msg_t) <= MFI_MESSAGE_STORAGE, "a message of libzmq lies in ours");

static zmq_msg_t *frame_of(mfi_message *message)
{
    return (zmq_msg_t *)(void *)message->storage;
}

static void release_message(mfi_message *message)
{
    (void)zmq_msg_close(frame_of(message));
}

/* Makes a message of the frame's bytes. */
static void show_message(mfi_message *message)
{
    message->data = zmq_msg_data(frame_of(message));
    message->size = zmq_msg_size(frame_of(message));
    message->release = release_message;
}

static int receive_frame(zmq_msg_t *frame, void *socket)
{
    int result = 0;
    do {
        result = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    } while (result < 0 && zmq_errno() == EINTR);
    return result;
}

/* Reads and drops the remaining frames of a message. */
static void discard_rest(zmq_msg_t *frame, void *socket)
{
    while (zmq_msg_more(frame) != 0) {
        (void)zmq_msg_close(frame);
        (void)zmq_msg_init(frame);
        if (receive_frame(frame, socket) < 0) {
            break;
        }
    }
}

/* Reads the frames in front of the payload: identity (ROUTER) and delimiter. All frames of a
 * message arrive together, so only the first read can find none. */
static mfi_io receive_envelope(zmq_transport *transport, mfi_route *ret_route, zmq_msg_t *frame)
{
    if (receive_frame(frame, transport->socket) < 0) {
        return zmq_errno() == EAGAIN ? MFI_IO_AGAIN : MFI_IO_FAILED;
    }
    if (transport->is_router) {
        size_t size = zmq_msg_size(frame);
        ret_route->size = size > sizeof ret_route->bytes ? 0 : (uint8_t)size;
        memcpy(ret_route->bytes, zmq_msg_data(frame), ret_route->size);
        if (zmq_msg_more(frame) == 0 || receive_frame(frame, transport->socket) < 0) {
            return MFI_IO_MALFORMED;
        }
    }
    if (zmq_msg_more(frame) == 0) {
        return MFI_IO_MALFORMED; /* every peer drops a payload without a delimiter */
    }
    return MFI_IO_DONE;
}

/* Whether the source of a message is admitted. Its frames name the connection's descriptor. A
 * DEALER has no routes. */
static bool is_admitted(const zmq_transport *transport, const mfi_route *route, zmq_msg_t *frame)
{
    static const mfi_route none;
    return transport->verdicts == NULL ||
           mfi_verdicts_admit(transport->verdicts, transport->is_router ? route : &none,
                              zmq_msg_get(frame, ZMQ_SRCFD), transport->admits,
                              transport->admits_data);
}

static mfi_io receive_payload(zmq_transport *transport, mfi_message *ret_message)
{
    zmq_msg_t *payload = frame_of(ret_message);
    (void)zmq_msg_init(payload);
    if (receive_frame(payload, transport->socket) < 0) {
        (void)zmq_msg_close(payload);
        return MFI_IO_MALFORMED;
    }
    if (zmq_msg_more(payload) != 0) { /* further frames are ignored, as all peers do */
        zmq_msg_t rest;
        (void)zmq_msg_init(&rest);
        if (receive_frame(&rest, transport->socket) >= 0) {
            discard_rest(&rest, transport->socket);
        }
        (void)zmq_msg_close(&rest);
    }
    show_message(ret_message);
    return MFI_IO_DONE;
}

static mfi_io transport_receive(mfi_transport *base, mfi_route *ret_route, mfi_message *ret_message)
{
    zmq_transport *transport = (zmq_transport *)base;
    zmq_msg_t front;
    (void)zmq_msg_init(&front);
    mfi_io io = receive_envelope(transport, ret_route, &front);
    bool came = io == MFI_IO_DONE || io == MFI_IO_MALFORMED;
    bool admitted = !came || is_admitted(transport, ret_route, &front);
    (void)zmq_msg_close(&front);
    if (io == MFI_IO_DONE) {
        io = receive_payload(transport, ret_message);
    }
    if (io == MFI_IO_DONE && !admitted) {
        mfi_message_release(ret_message);
    }
    return admitted ? io : MFI_IO_WRONG_PEER;
}

/* ---- Peer events, from the socket monitor ---- */

static int transport_events_readiness(const mfi_transport *base)
{
    return ((const zmq_transport *)base)->monitor_fd;
}

/* Whether an accepted connection is a stranger's. One that has ended already is nobody's. */
static bool is_stranger(const zmq_transport *transport, uint16_t number, int32_t fd)
{
    return number == ZMQ_EVENT_ACCEPTED && transport->admits != NULL &&
           !transport->admits(transport->admits_data, fd) && !mfi_has_gone(fd);
}

/* False if there is none. */
static bool take_event(zmq_transport *transport, mfi_peer_event *ret_event)
{
    zmq_msg_t frame;
    (void)zmq_msg_init(&frame);
    bool is_there = receive_frame(&frame, transport->monitor) >= 0;
    if (is_there) {
        uint16_t number = 0; /* the first frame: event number, then a value */
        int32_t value = 0;
        if (zmq_msg_size(&frame) >= sizeof number + sizeof value) {
            memcpy(&number, zmq_msg_data(&frame), sizeof number);
            memcpy(&value, (const char *)zmq_msg_data(&frame) + sizeof number, sizeof value);
        }
        *ret_event = mfi_zmq_events_read(&transport->events, number, value);
        if (is_stranger(transport, number, value)) {
            *ret_event = MFI_PEER_REFUSED;
        }
        discard_rest(&frame, transport->monitor);
    }
    (void)zmq_msg_close(&frame);
    return is_there;
}

static mfi_peer_event transport_next_event(mfi_transport *base)
{
    mfi_peer_event event = MFI_PEER_NONE;
    while (event == MFI_PEER_NONE && take_event((zmq_transport *)base, &event)) {
    }
    return event;
}

static int transport_readiness(const mfi_transport *base)
{
    return ((const zmq_transport *)base)->socket_fd;
}

static bool transport_can_go_on(mfi_transport *base)
{
    const zmq_transport *transport = (const zmq_transport *)base;
    int events = 0;
    size_t size = sizeof events;
    int result = 0;
    do {
        result = zmq_getsockopt(transport->socket, ZMQ_EVENTS, &events, &size);
    } while (result != 0 && zmq_errno() == EINTR);
    return result == 0 && (events & (ZMQ_POLLIN | ZMQ_POLLOUT)) != 0;
}

/* ---- Opening and closing ---- */

static void transport_close(mfi_transport *base)
{
    zmq_transport *transport = (zmq_transport *)base;
    if (transport->socket != NULL) {
        (void)zmq_socket_monitor(transport->socket, NULL, 0);
    }
    if (transport->monitor != NULL) {
        (void)zmq_close(transport->monitor);
    }
    if (transport->socket != NULL) {
        /* libzmq's thread closes the socket later; the unbind frees the address now. */
        if (transport->binds && base->endpoint[0] != '\0') {
            (void)zmq_unbind(transport->socket, base->endpoint);
        }
        (void)zmq_close(transport->socket);
    }
    mfi_ledger_unref(transport->in);
    free(transport->verdicts);
    free(transport);
}

static const mfi_transport_ops zmq_ops = {
    .send = transport_send,
    .receive = transport_receive,
    .readiness = transport_readiness,
    .can_go_on = transport_can_go_on,
    .events_readiness = transport_events_readiness,
    .next_event = transport_next_event,
    .close = transport_close,
};

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int set_options(zmq_transport *transport, const mfi_transport_options *options)
{
    void *socket = transport->socket;
    int64_t max_bytes = (int64_t)options->max_message_bytes;
    /* libzmq ends the connection for a larger message. A parent would lose all its calls that way,
     * so it refuses an answer itself where it can, and loses only the answer's call. */
    max_bytes = transport->is_router || max_bytes > DEALER_BYTES ? max_bytes : DEALER_BYTES;
    int failed = set_int(socket, ZMQ_LINGER, (int)options->linger_ms);
    failed |= set_int(socket, ZMQ_SNDHWM, options->queue_messages);
    failed |= set_int(socket, ZMQ_RCVHWM, options->queue_messages);
    failed |= zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes);
    /* The first attempts to reconnect come soon, because the peer is on this machine; unit ms. */
    failed |= set_int(socket, ZMQ_RECONNECT_IVL, 20);
    failed |= set_int(socket, ZMQ_RECONNECT_IVL_MAX, 1000);
    failed |= set_int(socket, ZMQ_IPV6, strchr(options->address, ':') != NULL);
    /* A machine that vanishes does not close its connections; unit s. */
    failed |= set_int(socket, ZMQ_TCP_KEEPALIVE, 1);
    failed |= set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, 30);
    failed |= set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, 30);
    if (transport->is_router) {
        failed |= set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    } else if (!options->binds) {
        /* Without a connection send returns "again", so that calls stay in the parent's queue. */
        failed |= set_int(socket, ZMQ_IMMEDIATE, 1);
    }
    return failed;
}

/* The monitor writes to an inproc pair. Each name is used once, because libzmq frees a name some
 * time after the close, when another transport may have the same address. */
static int open_monitor(zmq_transport *transport, void *context)
{
    static _Atomic(uint64_t) count = 0;
    char name[64];
    (void)mfi_str_format(
        name, sizeof name, "inproc://monitor-%llu",
        (unsigned long long)atomic_fetch_add_explicit(&count, 1, memory_order_relaxed));
    if (zmq_socket_monitor(transport->socket, name, MONITORED) != 0) {
        return -1;
    }
    transport->monitor = zmq_socket(context, ZMQ_PAIR);
    if (transport->monitor == NULL || set_int(transport->monitor, ZMQ_LINGER, 0) != 0 ||
        zmq_connect(transport->monitor, name) != 0) {
        return -1;
    }
    /* The descriptor reports events only after a read that found none. */
    (void)transport_next_event(&transport->base);
    size_t size = sizeof transport->monitor_fd;
    return zmq_getsockopt(transport->monitor, ZMQ_FD, &transport->monitor_fd, &size);
}

static mf_status attach(zmq_transport *transport, const mfi_transport_options *options,
                        mf_error *error)
{
    char endpoint[MFI_ENDPOINT_MAX];
    mfi_endpoint_write(endpoint, options->address, options->port); /* port 0: a free one */
    int result = options->binds ? zmq_bind(transport->socket, endpoint)
                                : zmq_connect(transport->socket, endpoint);
    if (result != 0) {
        int reason = zmq_errno();
        mf_status code = reason == EADDRINUSE ? MF_ERR_ADDRESS_IN_USE
                         : reason == EINVAL || reason == ENODEV || reason == EADDRNOTAVAIL
                             ? MF_ERR_INVALID_ARGUMENT
                             : MF_ERR_SYSTEM;
        return mfi_fail(error, code, "cannot %s %s: %s", options->binds ? "bind" : "connect to",
                        endpoint, zmq_strerror(reason));
    }
    size_t size = sizeof transport->base.endpoint;
    if (zmq_getsockopt(transport->socket, ZMQ_LAST_ENDPOINT, transport->base.endpoint, &size) !=
        0) {
        return mfi_fail(error, MF_ERR_SYSTEM, "cannot read the endpoint of %s", endpoint);
    }
    return MF_OK;
}

static mf_status zmq_open(mfi_messaging *messaging, mfi_transport **ret_transport,
                          const mfi_transport_options *options, mf_error *error)
{
    mf_status status = MF_OK;
    void *context = ((zmq_messaging *)messaging)->context;
    zmq_transport *transport = calloc(1, sizeof *transport);
    if (transport == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a socket");
    }
    transport->base.ops = &zmq_ops;
    transport->is_router = options->is_child;
    transport->binds = options->binds;
    transport->admits = options->binds ? options->admits : NULL;
    transport->admits_data = options->admits_data;
    transport->socket = zmq_socket(context, options->is_child ? ZMQ_ROUTER : ZMQ_DEALER);
    transport->in = mfi_ledger_make(options->budget, options->is_child);
    bool judges = transport->admits != NULL;
    transport->verdicts = judges ? calloc(1, sizeof *transport->verdicts) : NULL;
    size_t size = sizeof transport->socket_fd;
    if (transport->in == NULL || (judges && transport->verdicts == NULL)) {
        status = mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a socket");
        goto out;
    }
    if (transport->socket == NULL || set_options(transport, options) != 0 ||
        zmq_getsockopt(transport->socket, ZMQ_FD, &transport->socket_fd, &size) != 0 ||
        open_monitor(transport, context) != 0) {
        int reason = zmq_errno();
        status =
            reason == EMFILE
                ? mfi_fail(error, MF_ERR_LIMIT,
                           "cannot open a socket: this runtime may have %d, and no more file "
                           "descriptors than RLIMIT_NOFILE allows",
                           zmq_ctx_get(context, ZMQ_MAX_SOCKETS))
                : mfi_fail(error, MF_ERR_SYSTEM, "cannot open a socket: %s", zmq_strerror(reason));
        goto out;
    }
    status = attach(transport, options, error);
    if (status == MF_OK) {
        *ret_transport = &transport->base;
        transport = NULL;
    }
out:
    if (transport != NULL) {
        transport_close(&transport->base);
    }
    return status;
}

/* ---- What all sockets share ---- */

static void zmq_destroy(mfi_messaging *messaging)
{
    void *context = ((zmq_messaging *)messaging)->context;
    while (zmq_ctx_term(context) != 0 && zmq_errno() == EINTR) {
    }
    free(messaging);
}

mf_status mfi_messaging_zmq_create(mfi_messaging **ret_messaging, mf_error *error)
{
    zmq_messaging *messaging = calloc(1, sizeof *messaging);
    void *context = messaging != NULL ? zmq_ctx_new() : NULL;
    if (context == NULL) {
        free(messaging);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the messaging context");
    }
    /* A socket that was not closed must not block the exit of the program. */
    (void)zmq_ctx_set(context, ZMQ_BLOCKY, 0);
    (void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, most_sockets());
    messaging->base = (mfi_messaging){.open = zmq_open, .destroy = zmq_destroy};
    messaging->context = context;
    *ret_messaging = &messaging->base;
    return MF_OK;
}
