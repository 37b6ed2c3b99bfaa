/* The operations of a peer, for the link, in both modes: a spawned process (spawned.c) or a service
 * that was found (found.c). All on the engine thread. */
#ifndef MFI_CLIENT_LINK_PEER_OPS_H
#define MFI_CLIENT_LINK_PEER_OPS_H

#include <stdbool.h>

#include <multifrost/error.h>

#include "core/policy/life.h"

typedef struct mfi_peer_ops {
    bool owns_process; /* the link sees the process end, and can end it */
    /* Makes or finds a peer and opens the transport. On MF_OK *ret_event is the event that follows:
     * PEER, NOT_FOUND, or ABORT for a peer that must be ended at once. */
    mf_status (*begin)(void *self, mfi_life_event *ret_event, mf_error *error);
    /* The peer has answered for the first time, which is to be reported next. */
    void (*ready)(void *self); /* or NULL */
    /* A heartbeat of mfi_heartbeat_send_past() was answered. Only of a service. */
    void (*told)(void *self);
    /* Asks the peer to end; by_message: by a message first. Later the link gets ENDED or OVER_*. */
    void (*end)(void *self, bool by_message);
    void (*kill)(void *self); /* only if it owns a process */
    /* Only if it owns a process: a signal to that process alone, if it runs; or NULL. */
    void (*signal)(void *self, int number);
    /* Only if it owns a process: whether the system keeps the process from running. */
    bool (*is_stopped)(void *self);
    /* A connection was refused, or is there. Only if it owns a process. */
    void (*refused)(void *self);
    void (*connected)(void *self);
    /* The connection is given up: frees what belongs to the peer. */
    void (*close)(void *self);
    /* Checks whether the peer has changed. disconnected: its last connection has ended. */
    void (*check)(void *self, bool disconnected);
} mfi_peer_ops;

#endif
