/* What libzmq holds for each peer of one transport, charged to the budget of its opener.
 *
 * libzmq bounds a peer's queue by messages and tells nothing about its bytes. But it releases a
 * payload that it got without a copy when that payload is sent, or its connection has ended. So
 * such a payload carries the charge of its own bytes, and of the copied bytes that the same peer
 * got since the last one: they leave in order. At most MFI_LEDGER_COPIED_BYTES of a peer are not
 * charged. */
#ifndef MFI_TRANSPORT_ZMQ_LEDGER_H
#define MFI_TRANSPORT_ZMQ_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/transport/budget.h"
#include "core/transport/message.h"

#define MFI_LEDGER_COPIED_BYTES ((size_t)16 * 1024)

typedef struct mfi_ledger_place {
    _Atomic(size_t) held;
    size_t copied; /* role held: bytes that are not charged yet */
} mfi_ledger_place;

/* Outlives the transport while libzmq has payloads of it. */
typedef struct mfi_ledger {
    _Atomic(uint32_t) holders;
    mfi_budget *budget;
    uint32_t count;
    mfi_ledger_place places[];
} mfi_ledger;

typedef struct mfi_charge mfi_charge;

/* NULL without memory. */
mfi_ledger *mfi_ledger_make(mfi_budget *budget, bool is_router);
void mfi_ledger_unref(mfi_ledger *ledger); /* NULL is a no-op */
/* The place of a peer. A DEALER has one, and its route is not read. */
mfi_ledger_place *mfi_ledger_at(mfi_ledger *in, const mfi_route *route);
/* Whether the peer may have one more message in libzmq's queue: a single one always, more
 * within its share of the budget. A parent charges its calls itself, so its DEALER always may. */
bool mfi_ledger_has_room(const mfi_ledger *ledger, const mfi_ledger_place *at);
/* Whether one more small payload may be copied and charged later; it is then counted as copied. */
bool mfi_ledger_copies(mfi_ledger_place *at, size_t size);
/* The charge of a payload that is about to be given to libzmq; NULL without memory. */
mfi_charge *mfi_charge_make(mfi_ledger *in, mfi_ledger_place *at, const mfi_buf *payload);
/* Frees the payload and gives its charge back. Runs on a thread of libzmq. */
void mfi_charge_sent(void *data, void *hint);

#endif
