/* The table of connections of the direct transport: connects, accepts and reconnects, times
 * handshakes, reads the epoll, and reports peer events to the engine thread. It exists so that
 * direct.c only sends to and receives from connections that are up. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"
#include "core/transport/direct/direct.h"
#include "core/transport/verdicts.h"

#define HANDSHAKE_MS 30000                      /* as long as libzmq's */
#define RECONNECT_NS (20 * MFI_NS_PER_MS)       /* at first; short, because the peer is local */
#define RECONNECT_MAX_NS (1000 * MFI_NS_PER_MS) /* each attempt doubles the wait up to this */
#define ACCEPT_AGAIN_NS (100 * MFI_NS_PER_MS)   /* pause when the process has no descriptors */
#define ACCEPTS_PER_LOOK 16                     /* so that a flood leaves time for the others */
#define PROGRESS_BYTES ((size_t)4 * 1024)       /* fewer bytes of a payload are no progress */
#define REFUSED_PAUSE_NS (10 * MFI_NS_PER_MS)   /* of a parent that has a peer, after a stranger */
#define PARTIALS_MOST 4                         /* largest payloads that are received at once */

/* Data of epoll events that are not about a place in the table. */
#define LISTENER UINT64_MAX
#define TIMER (UINT64_MAX - 1)

/* ---- The table ---- */

static void set_timer(mfi_direct *self, uint64_t at_ns)
{
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(at_ns / MFI_NS_PER_S),
                                         .tv_nsec = (long)(at_ns % MFI_NS_PER_S)}};
    if (at_ns < self->timer_at_ns) {
        self->timer_at_ns = at_ns;
        (void)timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    }
}

static bool watch(mfi_direct *self, mfi_direct_peer *peer, uint32_t events)
{
    struct epoll_event wanted = {.events = events, .data.u64 = peer->index};
    int operation = peer->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    bool watches = peer->watched == events ||
                   epoll_ctl(self->epoll_fd, operation, peer->connection.fd, &wanted) == 0;
    peer->watched = watches ? events : peer->watched;
    return watches;
}

static bool place(mfi_direct *self, mfi_direct_peer *peer)
{
    uint32_t index = 0;
    while (index < self->capacity && self->peers[index] != NULL) {
        index++;
    }
    if (index == self->capacity) {
        uint32_t capacity = self->capacity != 0 ? self->capacity * 2 : 1;
        mfi_direct_peer **grown = realloc(self->peers, capacity * sizeof(mfi_direct_peer *));
        if (grown == NULL) {
            return false;
        }
        memset(grown + self->capacity, 0, (capacity - self->capacity) * sizeof(mfi_direct_peer *));
        self->peers = grown;
        self->capacity = capacity;
    }
    self->peers[index] = peer;
    self->count++;
    peer->index = index;
    peer->serial = self->serial++;
    return true;
}

/* Owns the descriptor. NULL if there are too many connections or no memory. */
static mfi_direct_peer *add(mfi_direct *self, int fd)
{
    static const int yes = 1;
    static const int keepalive_s = 30;
    mfi_direct_peer *peer =
        self->count < MFI_DIRECT_CONNECTIONS_MAX ? calloc(1, sizeof *peer) : NULL;
    if (peer == NULL || !place(self, peer)) {
        free(peer);
        (void)close(fd);
        return NULL;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* A machine that vanishes does not close its connections. */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof keepalive_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_s, sizeof keepalive_s);
    mfi_connection_init(&peer->connection, fd, &self->options);
    peer->deadline_ns = mfi_deadline_after_ms(mfi_monotonic_ns(), self->options.handshake_ms != 0
                                                                      ? self->options.handshake_ms
                                                                      : HANDSHAKE_MS);
    peer->read_number = ++self->reads;
    set_timer(self, peer->deadline_ns);
    return peer;
}

static void choose_target(mfi_direct *self)
{
    self->target = NULL;
    for (uint32_t i = 0; i < self->capacity; i++) {
        mfi_direct_peer *peer = self->peers[i];
        if (peer != NULL && peer->connection.phase == MFI_CONNECTION_UP &&
            (self->target == NULL || (int32_t)(peer->serial - self->target->serial) < 0)) {
            self->target = peer;
        }
    }
}

static void forget(mfi_direct *self, mfi_direct_peer *peer)
{
    self->peers[peer->index] = NULL;
    self->count--;
    self->partial_bytes -= peer->partial_bytes;
    if (self->current == peer) {
        self->current = NULL;
        self->inbox.at = self->inbox.end;
    }
    for (unsigned i = self->ready_at; i < self->ready_end; i++) {
        self->ready[i] = self->ready[i] == peer ? NULL : self->ready[i];
    }
    mfi_direct_peer **link = &self->dirty;
    while (*link != NULL && *link != peer) {
        link = &(*link)->next;
    }
    *link = *link != NULL ? peer->next : NULL;
    if (self->target == peer) {
        choose_target(self);
        mfi_direct_show_unsent(self, self->target != NULL ? self->target->connection.waiting : 0);
    }
}

/* ---- Connecting and accepting ---- */

static void reconnect_later(mfi_direct *self)
{
    uint64_t doubled = self->reconnect_wait_ns * 2;
    self->reconnect_at_ns = mfi_monotonic_ns() + self->reconnect_wait_ns;
    self->reconnect_wait_ns = doubled < RECONNECT_MAX_NS ? doubled : RECONNECT_MAX_NS;
    set_timer(self, self->reconnect_at_ns);
}

void mfi_direct_drop(mfi_direct *self, mfi_direct_peer *peer)
{
    mfi_connection_phase phase = peer->connection.phase;
    int fd = peer->connection.fd;
    forget(self, peer);
    /* A forked process may have a copy of the descriptor, so closing is not enough. */
    (void)epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    mfi_connection_fini(&peer->connection);
    free(peer);
    if (phase != MFI_CONNECTION_CONNECTING) {
        mfi_direct_report(self, phase == MFI_CONNECTION_UP ? MFI_PEER_DISCONNECTED
                                                           : MFI_PEER_HANDSHAKE_FAILED);
    }
    if (!self->options.binds) {
        reconnect_later(self);
    }
}

/* The peer whose partly received payload made no progress for longest. */
static mfi_direct_peer *slowest_partial(const mfi_direct *self)
{
    mfi_direct_peer *slowest = NULL;
    for (uint32_t i = 0; i < self->capacity; i++) {
        mfi_direct_peer *peer = self->peers[i];
        if (peer != NULL && peer->partial_bytes != 0 &&
            (slowest == NULL || peer->partial_ns < slowest->partial_ns)) {
            slowest = peer;
        }
    }
    return slowest;
}

static size_t most_partial_bytes(const mfi_direct *self)
{
    return self->options.budget != NULL ? self->options.budget->most / 2
                                        : PARTIALS_MOST * self->options.max_message_bytes;
}

void mfi_direct_note_partial(mfi_direct *self, mfi_direct_peer *peer)
{
    size_t bytes = peer->connection.partial_size;
    if (bytes == 0 && peer->partial_bytes == 0) {
        return;
    }
    bool is_new = peer->partials != peer->connection.partials;
    if (is_new || (bytes > peer->partial_noted && bytes - peer->partial_noted >= PROGRESS_BYTES)) {
        peer->partials = peer->connection.partials;
        peer->partial_ns = mfi_monotonic_ns();
        peer->partial_noted = bytes;
    }
    self->partial_bytes += bytes - peer->partial_bytes;
    peer->partial_bytes = bytes;
    if (self->partial_bytes <= most_partial_bytes(self)) {
        return;
    }
    mfi_direct_peer *slowest = slowest_partial(self);
    while (self->partial_bytes > most_partial_bytes(self) && slowest != NULL &&
           slowest->partial_bytes < self->partial_bytes) {
        mfi_direct_drop(self, slowest);
        slowest = slowest_partial(self);
    }
}

static void greet(mfi_direct *self, mfi_direct_peer *peer)
{
    if (watch(self, peer, EPOLLIN) && mfi_connection_greet(&peer->connection)) {
        mfi_direct_touch(self, peer);
    } else {
        mfi_direct_drop(self, peer);
    }
}

/* A socket that connects to a free port of its own range may connect to itself. */
static bool is_self_connection(const mfi_direct *self, int fd)
{
    mfi_direct_address own = {.six = {0}};
    socklen_t size = sizeof own;
    return getsockname(fd, &own.any, &size) == 0 && mfi_direct_address_equals(&own, &self->address);
}

static void finish_connect(mfi_direct *self, mfi_direct_peer *peer)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(peer->connection.fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0 ||
        failure != 0 || is_self_connection(self, peer->connection.fd)) {
        mfi_direct_drop(self, peer);
    } else {
        greet(self, peer);
    }
}

static void begin_connect(mfi_direct *self)
{
    int fd = mfi_direct_address_socket(&self->address);
    self->reconnect_at_ns = MFI_NEVER;
    mfi_direct_peer *peer = fd >= 0 ? add(self, fd) : NULL;
    if (peer == NULL) {
        reconnect_later(self);
        return;
    }
    if (connect(fd, &self->address.any, mfi_direct_address_size(&self->address)) == 0) {
        finish_connect(self, peer);
    } else if (errno != EINPROGRESS || !watch(self, peer, EPOLLOUT)) {
        mfi_direct_drop(self, peer);
    }
}

static void listen_again(mfi_direct *self, uint32_t events)
{
    struct epoll_event wanted = {.events = events, .data.u64 = LISTENER};
    (void)epoll_ctl(self->epoll_fd, EPOLL_CTL_MOD, self->listen_fd, &wanted);
}

static void pause_listener(mfi_direct *self, uint64_t wait_ns)
{
    listen_again(self, 0);
    self->accept_at_ns = mfi_monotonic_ns() + wait_ns;
    set_timer(self, self->accept_at_ns);
}

/* False: the connection of a stranger was closed. A parent that has its peer awaits no other one,
 * so that strangers cost it little; a service goes on, because others wait behind the stranger. */
static bool admit(mfi_direct *self, int fd)
{
    const mfi_transport_options *options = &self->options;
    if (options->admits == NULL || options->admits(options->admits_data, fd)) {
        return true;
    }
    bool has_gone = mfi_has_gone(fd);
    (void)close(fd);
    mfi_direct_report(self, has_gone ? MFI_PEER_HANDSHAKE_FAILED : MFI_PEER_REFUSED);
    if (!options->is_child && self->target != NULL) {
        pause_listener(self, REFUSED_PAUSE_NS);
    }
    return false;
}

static void accept_some(mfi_direct *self)
{
    for (int i = 0; i < ACCEPTS_PER_LOOK; i++) { /* the listener stays ready for the rest */
        int fd = accept4(self->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        bool is_full = fd < 0 && errno == EMFILE;
        if (fd < 0 && (is_full || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            /* The listener would be ready all the time, so it is not watched for a while. */
            pause_listener(self, ACCEPT_AGAIN_NS);
            if (is_full) {
                mfi_direct_free_descriptor(self);
            }
        }
        if (fd < 0) {
            return; /* also for a connection that has ended already: the listener stays ready */
        }
        if (!admit(self, fd)) {
            return; /* the judgement took its time, and the listener stays ready */
        }
        /* The place is made now, so that a stranger ends no connection. */
        mfi_direct_peer *peer = add(self, mfi_direct_make_place(self, fd));
        if (peer != NULL) {
            greet(self, peer);
        }
    }
}

void mfi_direct_up(mfi_direct *self, mfi_direct_peer *peer)
{
    peer->deadline_ns = MFI_NEVER;
    self->reconnect_wait_ns = RECONNECT_NS;
    if (self->target == NULL) {
        self->target = peer;
    }
    mfi_direct_report(self, MFI_PEER_CONNECTED);
}

static void on_timer(mfi_direct *self)
{
    uint64_t count = 0;
    ssize_t got = read(self->timer_fd, &count, sizeof count);
    (void)got; /* the clock decides, not the count */
    uint64_t now = mfi_monotonic_ns();
    uint64_t next = MFI_NEVER;
    self->timer_at_ns = MFI_NEVER;
    for (uint32_t i = 0; i < self->capacity; i++) {
        mfi_direct_peer *peer = self->peers[i];
        if (peer != NULL && peer->deadline_ns <= now) {
            mfi_direct_drop(self, peer);
        } else if (peer != NULL && peer->deadline_ns < next) {
            next = peer->deadline_ns;
        }
    }
    if (self->accept_at_ns <= now) {
        self->accept_at_ns = MFI_NEVER;
        listen_again(self, EPOLLIN);
    }
    if (self->reconnect_at_ns <= now) {
        begin_connect(self);
    }
    next = self->accept_at_ns < next ? self->accept_at_ns : next;
    next = self->reconnect_at_ns < next ? self->reconnect_at_ns : next;
    if (next != MFI_NEVER) {
        set_timer(self, next);
    }
}

void mfi_direct_look(mfi_direct *self)
{
    struct epoll_event seen[MFI_DIRECT_READY_MAX];
    int count = epoll_wait(self->epoll_fd, seen, MFI_DIRECT_READY_MAX, 0);
    bool accepts = false;
    bool is_late = false;
    self->guesses = 0;
    self->ready_at = 0;
    self->ready_end = 0;
    for (int i = 0; i < count; i++) {
        uint64_t about = seen[i].data.u64;
        accepts = accepts || about == LISTENER;
        is_late = is_late || about == TIMER;
        mfi_direct_peer *peer = about < self->capacity ? self->peers[about] : NULL;
        if (peer == NULL) {
            continue;
        }
        if (peer->connection.phase == MFI_CONNECTION_CONNECTING) {
            finish_connect(self, peer);
            continue;
        }
        if ((seen[i].events & EPOLLOUT) != 0) {
            mfi_direct_flush(self, peer);
        }
        if ((seen[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            self->ready[self->ready_end++] = peer;
        }
    }
    /* Last, because new connections take free places of the table. */
    if (accepts) {
        accept_some(self);
    }
    if (is_late) {
        on_timer(self);
    }
}

/* ---- Sending ---- */

void mfi_direct_show_unsent(mfi_direct *self, uint32_t count)
{
    if (count != self->shown_unsent && self->options.unsent != NULL) {
        self->shown_unsent = count;
        atomic_store_explicit(self->options.unsent, count, memory_order_relaxed);
    }
}

void mfi_direct_flush(mfi_direct *self, mfi_direct_peer *peer)
{
    mfi_io io = mfi_connection_flush(&peer->connection);
    if (peer == self->target) {
        mfi_direct_show_unsent(self, peer->connection.waiting);
    }
    if (!watch(self, peer, io == MFI_IO_AGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN) ||
        io == MFI_IO_FAILED) {
        (void)shutdown(peer->connection.fd, SHUT_RDWR); /* the next read reports the end */
    }
}

void mfi_direct_touch(mfi_direct *self, mfi_direct_peer *peer)
{
    if (!peer->is_dirty && (peer->watched & EPOLLOUT) == 0) { /* else a flush is due anyway */
        peer->is_dirty = true;
        peer->next = self->dirty;
        self->dirty = peer;
    }
}

void mfi_direct_flush_all(mfi_direct *self)
{
    while (self->dirty != NULL) {
        mfi_direct_peer *peer = self->dirty;
        self->dirty = peer->next;
        peer->is_dirty = false;
        mfi_direct_flush(self, peer);
    }
}

/* ---- Opening ---- */

static mf_status watch_own(mfi_direct *self, int fd, uint64_t about, mf_error *error)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = about};
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot watch a descriptor");
    }
    return MF_OK;
}

static mf_status bind_socket(mfi_direct *self, mf_error *error)
{
    static const int yes = 1;
    char endpoint[MFI_ENDPOINT_MAX];
    socklen_t size = sizeof self->address;
    self->listen_fd = mfi_direct_address_socket(&self->address);
    /* Lets the listener bind a port whose last connections the kernel still remembers. */
    if (self->listen_fd < 0 ||
        setsockopt(self->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(self->listen_fd, &self->address.any, mfi_direct_address_size(&self->address)) != 0 ||
        listen(self->listen_fd, SOMAXCONN) != 0 ||
        getsockname(self->listen_fd, &self->address.any, &size) != 0) {
        int reason = errno;
        mf_status code = reason == EADDRINUSE      ? MF_ERR_ADDRESS_IN_USE
                         : reason == EADDRNOTAVAIL ? MF_ERR_INVALID_ARGUMENT
                         : reason == EMFILE        ? MF_ERR_LIMIT
                                                   : MF_ERR_SYSTEM;
        mfi_endpoint_write(endpoint, self->options.address, self->options.port);
        return mfi_fail_errno(error, code, reason, "cannot bind %s", endpoint);
    }
    return watch_own(self, self->listen_fd, LISTENER, error);
}

mf_status mfi_direct_attach(mfi_direct *self, mf_error *error)
{
    self->reconnect_at_ns = MFI_NEVER;
    self->reconnect_wait_ns = RECONNECT_NS;
    self->accept_at_ns = MFI_NEVER;
    self->timer_at_ns = MFI_NEVER;
    if (!mfi_direct_address_read(&self->address, self->options.address, self->options.port)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "cannot %s tcp://%s:%u: no numeric IP address",
                        self->options.binds ? "bind" : "connect to", self->options.address,
                        (unsigned)self->options.port);
    }
    mf_status status = watch_own(self, self->timer_fd, TIMER, error);
    if (status == MF_OK && self->options.binds) {
        status = bind_socket(self, error);
    } else if (status == MF_OK) {
        begin_connect(self);
    }
    mfi_endpoint_write(self->base.endpoint, self->options.address,
                       mfi_direct_address_port(&self->address));
    return status;
}
