/* What the parts of the direct transport share: transport_direct.c (the operations),
 * direct_peers.c (connections that come and go), direct_linger.c (what is left to send after a
 * close). */
#ifndef MFI_TRANSPORT_DIRECT_DIRECT_H
#define MFI_TRANSPORT_DIRECT_DIRECT_H

#include <netinet/in.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "core/transport/direct/connection.h"
#include "core/transport/transport.h"

#define MFI_DIRECT_READY_MAX 64

typedef struct mfi_direct_peer {
    mfi_connection connection;
    uint32_t index, serial; /* in the table; of all connections ever */
    uint64_t deadline_ns;   /* of the handshake; MFI_NEVER after it */
    uint32_t watched;       /* what the epoll waits for */
    bool is_dirty;          /* something was queued since the last flush */
    /* The payload that has come in part, as it was last noted: its number of the connection's, its
     * size, its number of the transport's. */
    uint64_t partials;
    size_t partial_bytes;
    uint64_t partial_number;
    struct mfi_direct_peer *next; /* dirty, or lingering */
} mfi_direct_peer;

/* Connections that were closed with something left to send; a thread of their own sends it. */
typedef struct mfi_lingering mfi_lingering;
mfi_lingering *mfi_lingering_create(void); /* NULL without memory */
/* Takes the peer over: its connection ends when all is sent, at once as a rule. */
void mfi_linger(mfi_lingering *lingering, mfi_direct_peer *peer, int64_t linger_ms);
void mfi_lingering_destroy(mfi_lingering *lingering); /* waits for all */

typedef struct mfi_direct {
    mfi_transport base; /* first member */
    mfi_transport_options options;
    mfi_lingering *lingering; /* of the messaging */
    struct sockaddr_in address;
    int epoll_fd, timer_fd, listen_fd, events_fd;

    mfi_direct_peer **peers; /* a table with holes */
    uint32_t capacity, count, serial;
    mfi_direct_peer *target; /* DEALER: where payloads go, the oldest one that is up */
    mfi_direct_peer *dirty;
    uint64_t reconnect_at_ns, reconnect_wait_ns, accept_at_ns;
    uint64_t timer_at_ns; /* what the timer is set to */
    uint64_t partials;    /* so many payloads have come in part */
    size_t partial_bytes; /* of those that still are */

    mfi_inbox inbox;
    mfi_direct_peer *current;                     /* whose bytes are in the inbox */
    mfi_direct_peer *ready[MFI_DIRECT_READY_MAX]; /* NULL: gone meanwhile */
    unsigned ready_at, ready_end;
    unsigned guesses; /* reads since the last look at the epoll */
    bool is_busy;     /* the last read got several messages */
    bool was_busy;    /* or one before it, since receive last had nothing */
    bool has_acted;   /* something was sent or read since receive last had nothing */

    mfi_mutex events_mutex;
    uint8_t *events; /* guarded by it, as are the next ones */
    size_t events_at, events_end, events_capacity;
} mfi_direct;

/* Binds, or begins to connect. */
mf_status mfi_direct_attach(mfi_direct *self, mf_error *error);
/* Takes notice of what happened to the descriptors; `ready` then has who can be read from. */
void mfi_direct_look(mfi_direct *self);
/* The handshake is over. */
void mfi_direct_up(mfi_direct *self, mfi_direct_peer *peer);
/* What it sent is read, up to here. Together, payloads that have come in part may have four times
 * max_message_bytes: beyond that, whose began first is dropped, as it may never come to its end. */
void mfi_direct_note_partial(mfi_direct *self, mfi_direct_peer *peer);
/* It has ended, or must. */
void mfi_direct_drop(mfi_direct *self, mfi_direct_peer *peer);
/* Sends what it can of what is queued for that one, or for all that have something new. */
void mfi_direct_flush(mfi_direct *self, mfi_direct_peer *peer);
void mfi_direct_flush_all(mfi_direct *self);
/* Something was queued for it. */
void mfi_direct_touch(mfi_direct *self, mfi_direct_peer *peer);
mfi_peer_event mfi_direct_next_event(mfi_transport *base);

#endif
