/* What the parts of the direct transport share: direct.c (the operations), peers.c (the table of
 * connections), crowd.c (too many connections), events.c (what the engine thread is told), linger.c
 * (unsent bytes of closed connections). */
#ifndef MFI_TRANSPORT_DIRECT_DIRECT_H
#define MFI_TRANSPORT_DIRECT_DIRECT_H

#include "base/clock.h"
#include "base/mutex.h"
#include "core/transport/direct/address.h"
#include "core/transport/direct/connection.h"
#include "core/transport/transport.h"

#define MFI_DIRECT_READY_MAX 64
#define MFI_DIRECT_CONNECTIONS_MAX 8192 /* of one transport */

typedef struct mfi_direct_peer {
    mfi_connection connection;
    uint32_t index, serial; /* place in the table; number among all connections since the start */
    uint64_t deadline_ns;   /* of the handshake; MFI_NEVER after it */
    uint32_t watched;       /* events that the epoll waits for */
    bool is_dirty;          /* bytes were queued since the last flush */
    bool has_spoken;        /* it has sent a message */
    uint64_t read_number;   /* number of the last read from it; a greater one is later */
    /* The partly received payload as of the last note: its number in the connection, and the bytes
     * of it that had come. */
    uint64_t partials;
    size_t partial_bytes;
    uint64_t partial_ns;          /* when the payload began, or last had PROGRESS_BYTES more */
    size_t partial_noted;         /* bytes of it at that time */
    struct mfi_direct_peer *next; /* dirty, or lingering */
} mfi_direct_peer;

/* Connections that were closed with unsent bytes. A thread of its own sends them. */
typedef struct mfi_lingering mfi_lingering;
mfi_lingering *mfi_lingering_create(void); /* NULL without memory */
/* Takes the peer. Its connection ends when all bytes are sent; usually that is at once. */
void mfi_linger(mfi_lingering *lingering, mfi_direct_peer *peer, int64_t linger_ms);
void mfi_lingering_destroy(mfi_lingering *lingering); /* waits for all connections */

typedef struct mfi_direct {
    mfi_transport base; /* first member */
    mfi_transport_options options;
    mfi_lingering *lingering; /* owned by the messaging */
    mfi_direct_address address;
    int epoll_fd, timer_fd, listen_fd, events_fd;

    mfi_direct_peer **peers; /* a table with holes */
    uint32_t capacity, count, serial;
    uint64_t reads;          /* from all connections */
    mfi_direct_peer *target; /* DEALER: receives all payloads; the oldest connection that is up */
    mfi_direct_peer *dirty;
    uint64_t reconnect_at_ns, reconnect_wait_ns, accept_at_ns;
    uint64_t timer_at_ns; /* when the timer fires */
    size_t partial_bytes; /* that have come of the payloads that are being received */

    mfi_inbox inbox;
    mfi_direct_peer *current;                     /* the connection whose bytes are in the inbox */
    mfi_direct_peer *ready[MFI_DIRECT_READY_MAX]; /* NULL: the connection has ended since */
    unsigned ready_at, ready_end;
    uint32_t shown_unsent; /* as options.unsent says; DEALER */
    unsigned guesses;      /* reads since the epoll was read */
    bool is_busy;          /* the last read gave several messages */
    bool was_busy;  /* a read gave several messages since receive last returned without one */
    bool has_acted; /* bytes were sent or read since receive last returned without a message */

    mfi_mutex events_mutex;
    uint8_t *events;                               /* guarded by events_mutex */
    size_t events_at, events_end, events_capacity; /* guarded by events_mutex */
} mfi_direct;

/* Binds, or begins to connect. */
mf_status mfi_direct_attach(mfi_direct *self, mf_error *error);
/* Reads the epoll and acts on its events. `ready` then lists the connections to read from. */
void mfi_direct_look(mfi_direct *self);
/* To be called when the peer's handshake is complete. */
void mfi_direct_up(mfi_direct *self, mfi_direct_peer *peer);
/* To be called when the peer's bytes are parsed. What has come of unfinished payloads takes at most
 * half of the budget, or is of one peer; without a budget it takes four largest payloads. Beyond
 * that the peer is dropped whose payload made no progress for longest, because it may never end.
 * Announced bytes that have not come count for nothing. */
void mfi_direct_note_partial(mfi_direct *self, mfi_direct_peer *peer);
/* Before a connection that was accepted with this descriptor is added: ends another one if there
 * are too many, or if few descriptors are free. Returns the connection's descriptor, which may have
 * become another number. */
int mfi_direct_make_place(mfi_direct *self, int fd);
/* No descriptor is left to accept a connection with: ends one that never sent a message. */
void mfi_direct_free_descriptor(mfi_direct *self);
/* Ends the connection. */
void mfi_direct_drop(mfi_direct *self, mfi_direct_peer *peer);
/* Shows how many payloads of the target wait for the kernel. */
void mfi_direct_show_unsent(mfi_direct *self, uint32_t count);
/* Send queued bytes of one peer, or of all dirty ones, as far as the kernel has room. */
void mfi_direct_flush(mfi_direct *self, mfi_direct_peer *peer);
void mfi_direct_flush_all(mfi_direct *self);
/* Marks the peer as dirty, because bytes were queued for it. */
void mfi_direct_touch(mfi_direct *self, mfi_direct_peer *peer);
/* events.c */
void mfi_direct_report(mfi_direct *self, mfi_peer_event event);
mfi_peer_event mfi_direct_next_event(mfi_transport *base);

#endif
