/* Messages of a worker, and the channel through which they pass.
 *
 * Every part of a worker that sends something makes an mfi_out and pushes it to the channel. The
 * thread that holds the driver's role takes the mfi_out from there and sends it. */
#ifndef MFI_SERVER_MESSAGE_H
#define MFI_SERVER_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "core/engine/driver.h"
#include "core/observe/observe.h"
#include "core/transport/transport.h"
#include "core/wire/envelope.h"

#define MFI_CHILD_OUTPUTS_MAX 4096 /* lines that wait to be sent */

struct mfi_handler;

/* ---- Calls that were received ---- */

/* A received message. A call stays here until its handler has run. */
typedef struct mfi_incoming {
    mfi_chain_node node; /* first member; in the chain of waiting calls */
    mfi_route route;
    mfi_message message;
    mfi_envelope envelope;       /* views into message */
    struct mfi_handler *handler; /* NULL: no function has that name */
    uint64_t received_ns;
    uint32_t share; /* of its peer: index of mfi_child_state.shares */
} mfi_incoming;

/* NULL without memory. */
mfi_incoming *mfi_incoming_make(void);
/* Frees the message too. NULL is a no-op. */
void mfi_incoming_free(mfi_incoming *call);

/* The call that a node of a chain belongs to; NULL gives NULL. */
static inline mfi_incoming *mfi_incoming_of(mfi_chain_node *node)
{
    return MFI_CONTAINER_OR_NULL(node, mfi_incoming, node);
}

/* Takes the oldest call out of a chain; NULL if the chain is empty. */
static inline mfi_incoming *mfi_incoming_pop(mfi_chain *calls)
{
    return mfi_incoming_of(mfi_chain_pop_front(calls));
}

/* ---- The channel ---- */

/* The worker's end of the wire: the driver, the transport, the target that counts messages, and the
 * bounds of one message. */
typedef struct mfi_channel {
    mfi_driver driver;
    mfi_transport *transport; /* role held; NULL: not open */
    mfi_loop *loop;
    mfi_target *observed;
    mfi_limits limits;
    size_t max_message_bytes;
    _Atomic(uint32_t) outputs_waiting; /* lines of output in the driver's queue */
} mfi_channel;

/* A message to be sent. */
typedef struct mfi_out {
    mfi_mpsc_node queued; /* first member; in the driver's queue */
    mfi_chain_node node;  /* in the chain of a peer that does not accept the message now */
    mfi_traffic traffic;
    mfi_route route; /* empty for output, which goes to every peer */
    bool is_short;   /* there was no room in the budget: it needs none (peers.c) */
    mfi_buf buf;
} mfi_out;

/* Route NULL: an empty route. NULL without memory. */
mfi_out *mfi_out_make(const mfi_channel *channel, mfi_traffic traffic, const mfi_route *route);
/* NULL is a no-op. */
void mfi_out_free(mfi_out *out);

/* Any thread. From then on the channel owns the message. The caller then kicks the driver. */
void mfi_channel_push(mfi_channel *channel, mfi_out *out);
/* Role held: takes the oldest pushed message; NULL if there is none. */
mfi_out *mfi_channel_pop(mfi_channel *channel);
/* Any thread: counts a message that was lost. */
void mfi_channel_dropped(const mfi_channel *channel, mfi_drop_reason reason, const char *text,
                         size_t bytes);

/* The timestamp of a message: wall clock, seconds. */
static inline double mfi_wall_seconds(uint64_t monotonic_ns)
{
    return (double)mfi_wall_at_ns(monotonic_ns) / (double)MFI_NS_PER_S;
}

#endif
