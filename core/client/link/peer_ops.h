/* What the link needs of its peer, whichever mode made it: a process that was spawned (spawned.c),
 * or a service that was found (found.c). All on the engine thread. */
#ifndef MFI_CLIENT_LINK_PEER_OPS_H
#define MFI_CLIENT_LINK_PEER_OPS_H

#include <stdbool.h>

#include <multifrost/error.h>

#include "core/policy/life.h"

typedef struct mfi_peer_ops {
    bool owns_process; /* its end is seen, and can be brought about */
    /* Makes or looks for a peer and opens the transport. On MF_OK ret_event says what there is now:
     * PEER, NOT_FOUND, or ABORT for one that has to be ended at once. */
    mf_status (*begin)(void *self, mfi_life_event *ret_event, mf_error *error);
    /* Asks it to end; by_message: by a message first. The link gets ENDED or OVER_* when it has. */
    void (*end)(void *self, bool by_message);
    void (*kill)(void *self); /* only of one that owns a process */
    /* The connection is given up: gives back what belongs to the peer. */
    void (*close)(void *self);
    /* It may no longer be the peer that it was; disconnected: its last connection has ended. */
    void (*check)(void *self, bool disconnected);
} mfi_peer_ops;

#endif
