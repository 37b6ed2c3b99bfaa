/* The transport that speaks ZMTP itself. The thread that drives it writes and reads the sockets, so
 * that no other thread is in between and many messages share one system call.
 *
 * The readiness descriptor is an epoll with the listener, the timer and all connections. Each is
 * level-triggered, so that unfinished work wakes the driver again. Messages that send has queued
 * leave with the next receive, which every driver calls before it waits.
 *
 * A route is a connection's place in the table and its serial number, so that no answer reaches a
 * later connection in the same place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/transport/direct/direct.h"

#define ROUTE_BYTES 8                     /* of a place and a serial number */
#define GUESSES_PER_LOOK 64               /* reads of a lone connection before the epoll is read */
#define AT_ONCE_BYTES ((size_t)64 * 1024) /* a larger payload does not wait for others */
#define BUSY_BYTES 1024                   /* of one read: that are several messages */
#define READS_PER_RECEIVE 8               /* without a message: a peer may flood with commands */

typedef struct direct_messaging {
    mfi_messaging base; /* first member */
    mfi_lingering *lingering;
} direct_messaging;

/* ---- Sending ---- */

/* A connecting parent has one peer, and its route stays valid when it reconnects. */
static bool has_routes(const mfi_direct *self)
{
    return self->options.is_child && self->options.binds;
}

static mfi_direct_peer *peer_at(const mfi_direct *self, const mfi_route *route)
{
    uint32_t index = route->size == ROUTE_BYTES ? mfi_load_be32(route->bytes) : UINT32_MAX;
    mfi_direct_peer *peer = index < self->capacity ? self->peers[index] : NULL;
    return peer != NULL && peer->serial == mfi_load_be32(route->bytes + 4) ? peer : NULL;
}

static void set_route(const mfi_direct *self, const mfi_direct_peer *peer, mfi_route *ret_route)
{
    ret_route->size = ROUTE_BYTES;
    mfi_store_be32(ret_route->bytes, has_routes(self) ? peer->index : 0);
    mfi_store_be32(ret_route->bytes + 4, has_routes(self) ? peer->serial : 0);
}

static mfi_io direct_send(mfi_transport *base, const mfi_route *route, mfi_buf *payload)
{
    mfi_direct *self = (mfi_direct *)base;
    mfi_direct_peer *peer = has_routes(self) ? peer_at(self, route) : self->target;
    if (peer == NULL) {
        return has_routes(self) ? MFI_IO_UNROUTABLE : MFI_IO_AGAIN;
    }
    mfi_io io = mfi_connection_send(&peer->connection, payload);
    if (io == MFI_IO_AGAIN && (peer->watched & EPOLLOUT) == 0) { /* the kernel may have room now */
        mfi_direct_flush(self, peer);
        io = mfi_connection_send(&peer->connection, payload);
    }
    if (io == MFI_IO_DONE) {
        mfi_direct_touch(self, peer);
        if ((peer->watched & EPOLLOUT) != 0 && peer == self->target) { /* no flush follows soon */
            mfi_direct_show_unsent(self, peer->connection.waiting);
        }
        if (peer->connection.waiting_bytes >= AT_ONCE_BYTES && (peer->watched & EPOLLOUT) == 0) {
            mfi_direct_flush(self, peer); /* so that the peer can begin to read */
        }
    }
    return io;
}

static bool direct_can_go_on(mfi_transport *base)
{
    const mfi_direct *self = (const mfi_direct *)base;
    return self->target != NULL && mfi_connection_has_room(&self->target->connection);
}

/* ---- Receiving ---- */

/* The next message of the connection whose bytes are in the inbox; MFI_IO_AGAIN without one. */
static mfi_io read_current(mfi_direct *self, mfi_route *ret_route, mfi_message *ret_message)
{
    for (;;) {
        mfi_direct_peer *peer = self->current;
        switch (mfi_connection_next(&peer->connection, &self->inbox, ret_message)) {
        case MFI_NEWS_MESSAGE:
            peer->has_spoken = true;
            if (self->options.is_child) {
                set_route(self, peer, ret_route);
            } else if (peer != self->target) {
                mfi_message_release(ret_message);
                return MFI_IO_WRONG_PEER;
            }
            return MFI_IO_DONE;
        case MFI_NEWS_MALFORMED:
            return self->options.is_child || peer == self->target ? MFI_IO_MALFORMED
                                                                  : MFI_IO_WRONG_PEER;
        case MFI_NEWS_UP:
            mfi_direct_up(self, peer);
            break;
        case MFI_NEWS_BROKEN:
            mfi_direct_drop(self, peer);
            return MFI_IO_AGAIN;
        case MFI_NEWS_NONE:
            /* The handshake's next step, or an answer to a PING. */
            if (mfi_connection_has_unsent(&peer->connection)) {
                mfi_direct_touch(self, peer);
            }
            self->current = NULL;
            mfi_direct_note_partial(self, peer);
            return MFI_IO_AGAIN;
        }
    }
}

/* The next connection to read from; NULL without one. */
static mfi_direct_peer *next_readable(mfi_direct *self)
{
    mfi_direct_peer *peer = NULL;
    while (peer == NULL && self->ready_at < self->ready_end) {
        peer = self->ready[self->ready_at++];
    }
    return peer;
}

/* A lone connection is read without reading the epoll first. Every GUESSES_PER_LOOK reads the epoll
 * is read anyway, because the listener or the timer may be ready. */
static mfi_direct_peer *guess_readable(mfi_direct *self)
{
    bool guesses = self->count == 1 && self->guesses < GUESSES_PER_LOOK;
    self->guesses += guesses ? 1 : 0;
    return guesses ? self->target : NULL;
}

/* Reads from one connection. False if no bytes were there. */
static bool read_from(mfi_direct *self, mfi_direct_peer *peer)
{
    mfi_io io = mfi_connection_fill(&peer->connection, &self->inbox);
    if (io == MFI_IO_FAILED) {
        mfi_direct_drop(self, peer);
    }
    if (io != MFI_IO_DONE) {
        return false;
    }
    self->current = peer;
    peer->read_number = ++self->reads;
    self->is_busy = self->inbox.end - self->inbox.at >= BUSY_BYTES ||
                    mfi_connection_is_within_payload(&peer->connection);
    self->was_busy = self->was_busy || self->is_busy;
    self->has_acted = true;
    return true;
}

/* Reads from one connection. False if no bytes were there, or if the caller had better wait: where
 * messages arrive one by one, the next is not there yet just after one was sent or received. */
static bool fill(mfi_direct *self)
{
    bool guessed = false;
    bool looked = false;
    if (!mfi_inbox_open(&self->inbox)) {
        return false;
    }
    for (;;) {
        mfi_direct_peer *peer = next_readable(self);
        if (peer == NULL && self->has_acted && !self->is_busy) {
            return false;
        }
        if (peer == NULL && !guessed) {
            guessed = true;
            peer = guess_readable(self);
        }
        if (peer != NULL) {
            if (read_from(self, peer)) {
                return true;
            }
        } else if (looked) {
            return false;
        } else {
            mfi_direct_look(self);
            looked = true;
        }
    }
}

static mfi_io direct_receive(mfi_transport *base, mfi_route *ret_route, mfi_message *ret_message)
{
    mfi_direct *self = (mfi_direct *)base;
    unsigned reads = 0;
    for (;;) {
        if (self->dirty != NULL) {
            mfi_direct_flush_all(self);
            self->has_acted = true;
        }
        if (self->current != NULL) {
            mfi_io io = read_current(self, ret_route, ret_message);
            if (io != MFI_IO_AGAIN) {
                return io;
            }
        } else if ((reads++ >= READS_PER_RECEIVE || !fill(self)) && self->dirty == NULL) {
            if (self->was_busy) { /* otherwise only few bytes of the inbox are in use */
                mfi_inbox_close(&self->inbox);
            }
            self->was_busy = false;
            self->has_acted = false;
            return MFI_IO_AGAIN;
        }
    }
}

static int direct_readiness(const mfi_transport *base)
{
    return ((const mfi_direct *)base)->epoll_fd;
}

static int direct_events_readiness(const mfi_transport *base)
{
    return ((const mfi_direct *)base)->events_fd;
}

/* ---- Peers that hold too much ---- */

static void direct_end(mfi_transport *base, const mfi_route *route)
{
    mfi_direct *self = (mfi_direct *)base;
    mfi_direct_peer *peer = has_routes(self) ? peer_at(self, route) : NULL;
    if (peer != NULL) {
        mfi_direct_drop(self, peer);
    }
}

static bool direct_end_largest(mfi_transport *base, const mfi_route *spared, size_t most)
{
    mfi_direct *self = (mfi_direct *)base;
    const mfi_direct_peer *kept = peer_at(self, spared);
    mfi_direct_peer *largest = NULL;
    for (uint32_t i = 0; has_routes(self) && i < self->capacity; i++) {
        mfi_direct_peer *peer = self->peers[i];
        size_t holds =
            peer != NULL ? peer->connection.waiting_memory + peer->connection.partial_size : 0;
        if (peer != kept && holds > most) {
            most = holds;
            largest = peer;
        }
    }
    if (largest != NULL) {
        mfi_direct_drop(self, largest);
    }
    return largest != NULL;
}

/* ---- Opening and closing ---- */

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void direct_close(mfi_transport *base)
{
    mfi_direct *self = (mfi_direct *)base;
    mfi_direct_show_unsent(self, 0);
    if (self->listen_fd >= 0) {
        (void)shutdown(self->listen_fd, SHUT_RDWR); /* a forked process may have a copy of it */
    }
    close_fd(self->listen_fd);
    for (uint32_t i = 0; i < self->capacity; i++) {
        if (self->peers[i] != NULL) {
            mfi_connection_leave_budget(&self->peers[i]->connection);
            mfi_linger(self->lingering, self->peers[i], self->options.linger_ms);
        }
    }
    close_fd(self->epoll_fd);
    close_fd(self->timer_fd);
    close_fd(self->events_fd);
    mfi_inbox_close(&self->inbox);
    mfi_mutex_fini(&self->events_mutex);
    mfi_budget_unref(self->options.budget);
    free(self->events);
    free(self->peers);
    free(self);
}

static const mfi_transport_ops direct_ops = {
    .send = direct_send,
    .receive = direct_receive,
    .readiness = direct_readiness,
    .can_go_on = direct_can_go_on,
    .events_readiness = direct_events_readiness,
    .next_event = mfi_direct_next_event,
    .end = direct_end,
    .end_largest = direct_end_largest,
    .close = direct_close,
};

static mf_status direct_open(mfi_messaging *messaging, mfi_transport **ret_transport,
                             const mfi_transport_options *options, mf_error *error)
{
    mf_status status = MF_OK;
    mfi_direct *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a socket");
    }
    mfi_mutex_init(&self->events_mutex);
    self->base.ops = &direct_ops;
    self->base.closes_refused = true;
    self->options = *options;
    (void)mfi_budget_ref(options->budget);
    self->lingering = ((direct_messaging *)messaging)->lingering;
    self->listen_fd = -1;
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    self->events_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->epoll_fd < 0 || self->timer_fd < 0 || self->events_fd < 0) {
        status = mfi_fail_errno(error, errno == EMFILE ? MF_ERR_LIMIT : MF_ERR_SYSTEM, errno,
                                "cannot open a socket");
    } else {
        status = mfi_direct_attach(self, error);
    }
    if (status == MF_OK) {
        *ret_transport = &self->base;
    } else {
        direct_close(&self->base);
    }
    return status;
}

static void direct_destroy(mfi_messaging *messaging)
{
    mfi_lingering_destroy(((direct_messaging *)messaging)->lingering);
    free(messaging);
}

mf_status mfi_messaging_direct_create(mfi_messaging **ret_messaging, mf_error *error)
{
    direct_messaging *messaging = calloc(1, sizeof *messaging);
    if (messaging != NULL) {
        messaging->base = (mfi_messaging){.open = direct_open, .destroy = direct_destroy};
        messaging->lingering = mfi_lingering_create();
    }
    if (messaging == NULL || messaging->lingering == NULL) {
        free(messaging);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the messaging");
    }
    *ret_messaging = &messaging->base;
    return MF_OK;
}
