/* Connect mode: the peer is a service, which is found by its name, and found again when it has
 * moved; or which is at a fixed address, and found again when it has restarted there. Engine
 * thread, unless stated otherwise. */
#ifndef MFI_CLIENT_LINK_FOUND_H
#define MFI_CLIENT_LINK_FOUND_H

#include <multifrost/registry.h>

#include "core/client/link/link.h"
#include "core/client/link/vanished.h"
#include "core/discovery/view.h"

typedef struct mfi_found {
    mfi_link *link;
    mfi_state *state;
    mfi_view *view; /* of the registry; NULL in spawn mode, and for a fixed address */
    mfi_view_subscriber subscriber;
    mf_service service;     /* the connected service */
    mfi_timer look_timer;   /* the next look at the registry */
    mfi_timer stay_timer;   /* the end of the phase UNLISTED */
    uint64_t hold_until_ns; /* calls are held back for no longer */
    bool stayed;      /* the service has answered for that long without an entry: it is kept */
    bool is_missing;  /* the entry is gone, and this connection was begun when it was there */
    uint64_t lost_ns; /* when it was lost; 0: it is not lost */
    mfi_vanished vanished;
    bool is_told; /* that it was found is reported, and not yet that it was lost */
} mfi_found;

extern const mfi_peer_ops mfi_found_ops; /* of an mfi_found */
/* Any thread. In spawn mode this only makes _fini possible. Errors of mf_registry_create(). */
mf_status mfi_found_init(mfi_found *found, mfi_link *link, mfi_state *state, mf_error *error);
void mfi_found_fini(mfi_found *found); /* any thread */

#endif
