/* The peers of a worker, and the messages that wait for them. Role held. */
#ifndef MFI_SERVER_PEERS_H
#define MFI_SERVER_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/server/message.h"

#define MFI_CHILD_PEERS_MAX 256
#define MFI_CHILD_PEER_WAITING_MAX 10000 /* messages that one peer does not take */

/* Messages in their order, counted. All zero: empty. */
typedef struct mfi_out_list {
    mfi_chain outs;
    uint32_t count;
    size_t bytes; /* that the messages take in memory */
} mfi_out_list;

/* A peer that has spoken, until a message for it turns out not to be routable. */
typedef struct mfi_peer {
    mfi_route route;
    uint64_t heard;       /* greater: spoke later */
    mfi_out_list waiting; /* what the peer does not take at present */
} mfi_peer;

typedef struct mfi_peers {
    mfi_channel *channel;
    size_t max_waiting_bytes;
    mfi_peer *all;
    uint32_t count, capacity;
    uint32_t latest;      /* index of the peer that spoke last */
    uint32_t stalled;     /* peers for which something waits */
    size_t waiting_bytes; /* memory of what waits for all of them; at most max_waiting_bytes */
    uint64_t heard;       /* messages so far */
    mfi_out_list early;   /* output from before the first peer */
} mfi_peers;

void mfi_peers_init(mfi_peers *peers, mfi_channel *channel, size_t max_waiting_bytes);
/* Frees what waits; the peers are then empty, and can be used again. */
void mfi_peers_clear(mfi_peers *peers);
/* A message came from this route. */
void mfi_peers_heard(mfi_peers *peers, const mfi_route *route);
/* Sends the message, or keeps it until its peer takes it, or drops it and counts that. Owns it. */
void mfi_peers_send(mfi_peers *peers, mfi_out *out);
/* Tries again to send what waits. */
void mfi_peers_retry(mfi_peers *peers);

#endif
