/* The peers of a worker, and the messages that wait for them. Role held. */
#ifndef MFI_SERVER_PEERS_H
#define MFI_SERVER_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/server/message.h"

#define MFI_CHILD_PEERS_MAX 256
/* Messages that wait for one peer at most. Most often the bound in bytes is met before. */
#define MFI_CHILD_PEER_WAITING_MAX 20000
/* Short messages that wait for one peer at most, beyond the budget. */
#define MFI_CHILD_SHORT_MAX 128

/* Messages in their order, counted. All zero: empty. */
typedef struct mfi_out_list {
    mfi_chain outs;
    uint32_t count;
    uint32_t short_ones; /* of count */
    size_t bytes;        /* memory of the messages */
} mfi_out_list;

/* A peer that has sent a message. It is removed when a message to it cannot be routed. */
typedef struct mfi_peer {
    mfi_route route;
    uint64_t heard;       /* the greater, the later it was heard */
    mfi_out_list waiting; /* messages that the peer does not accept now */
} mfi_peer;

typedef struct mfi_peers {
    mfi_channel *channel;
    mfi_budget *budget; /* of the child, or NULL */
    size_t charged;     /* bytes of it */
    mfi_peer *all;
    uint32_t count, capacity;
    uint32_t latest;      /* index of the peer that sent last */
    uint32_t stalled;     /* number of peers with waiting messages */
    size_t waiting_bytes; /* memory of all waiting messages */
    uint64_t heard;       /* messages received so far */
    mfi_out_list early;   /* output from before the first peer */
} mfi_peers;

void mfi_peers_init(mfi_peers *peers, mfi_channel *channel, mfi_budget *budget);
/* Frees the waiting messages and forgets all peers. The peers can be used again. */
void mfi_peers_clear(mfi_peers *peers);
/* A message was received from this route. */
void mfi_peers_heard(mfi_peers *peers, const mfi_route *route);
/* Sends the message, keeps it until its peer accepts it, or drops and counts it. In the place of an
 * answer that finds no room in the budget, a short error answer is sent. Owns the message. */
void mfi_peers_send(mfi_peers *peers, mfi_out *out);
/* Sends the waiting messages again. */
void mfi_peers_retry(mfi_peers *peers);
/* Makes room in the budget for bytes of the route's peer: ends other peers, those with the most
 * unsent bytes first, as long as they hold more than this one would. Where the transport ends no
 * connection, short answers take the place of what waits. False if that is not enough. */
bool mfi_peers_make_room(mfi_peers *peers, const mfi_route *route, size_t bytes);

#endif
