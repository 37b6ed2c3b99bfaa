/* Counts the bytes that libzmq holds, by peer. It exists because libzmq has no bound in bytes. */
#include "core/transport/zmq_ledger.h"

#include <stdlib.h>

#include "base/block.h"
#include "base/bytes.h"
#include "base/cache.h"

#define PLACES 4096       /* of peers with routes that libzmq made, one after another */
#define NAMED_PLACES 1024 /* of peers that name themselves; some may share one */
#define COPY_COST 80      /* bytes that libzmq needs for a copied message */
#define WAITING_MEMORY ((size_t)32 * 1024 * 1024) /* of one peer, as in the direct transport */

struct mfi_charge {
    mfi_ledger *in;
    mfi_ledger_place *at;
    size_t bytes, capacity;
};

static mfi_cache charges = MFI_CACHE_INIT(mfi_charge, NULL);

mfi_ledger *mfi_ledger_make(mfi_budget *budget, bool is_router)
{
    uint32_t count = is_router ? PLACES + NAMED_PLACES : 1;
    mfi_ledger *made = calloc(1, sizeof *made + count * sizeof made->places[0]);
    if (made != NULL) {
        atomic_init(&made->holders, 1);
        made->budget = mfi_budget_ref(budget);
        made->count = count;
    }
    return made;
}

void mfi_ledger_unref(mfi_ledger *ledger)
{
    if (ledger != NULL &&
        atomic_fetch_sub_explicit(&ledger->holders, 1, memory_order_acq_rel) == 1) {
        mfi_budget_unref(ledger->budget);
        free(ledger);
    }
}

mfi_ledger_place *mfi_ledger_at(mfi_ledger *in, const mfi_route *route)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    if (in->count == 1) {
        return &in->places[0];
    }
    if (route->size == 5 && route->bytes[0] == 0) {
        return &in->places[mfi_load_be32(route->bytes + 1) % PLACES];
    }
    for (size_t i = 0; i < route->size; i++) {
        hash = (hash ^ route->bytes[i]) * 16777619u;
    }
    return &in->places[PLACES + hash % NAMED_PLACES];
}

bool mfi_ledger_has_room(const mfi_ledger *in, const mfi_ledger_place *at)
{
    size_t held = atomic_load_explicit(&at->held, memory_order_relaxed);
    return in->count == 1 || held < MFI_BUDGET_STEP ||
           held < mfi_budget_share(in->budget, WAITING_MEMORY);
}

bool mfi_ledger_copies(mfi_ledger_place *at, size_t size)
{
    bool copies = at->copied < MFI_LEDGER_COPIED_BYTES;
    at->copied += copies ? size + COPY_COST : 0;
    return copies;
}

void mfi_charge_sent(void *data, void *hint)
{
    mfi_charge *of = hint;
    mfi_block_put(data, of->capacity);
    atomic_fetch_sub_explicit(&of->at->held, of->bytes, memory_order_relaxed);
    mfi_budget_sub(of->in->budget, of->bytes);
    mfi_ledger_unref(of->in);
    mfi_cache_put(&charges, of);
}

mfi_charge *mfi_charge_make(mfi_ledger *in, mfi_ledger_place *at, const mfi_buf *payload)
{
    mfi_charge *made = mfi_cache_get(&charges);
    if (made != NULL) {
        *made = (mfi_charge){in, at, payload->capacity + at->copied, payload->capacity};
        at->copied = 0;
        atomic_fetch_add_explicit(&in->holders, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&at->held, made->bytes, memory_order_relaxed);
        mfi_budget_add(in->budget, made->bytes);
    }
    return made;
}
