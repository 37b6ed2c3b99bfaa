/* The table of attempts. Free slots are on a stack whose head carries a tag. The tag changes with
 * every push, so that a slot that was taken and put back meanwhile is noticed (R. K. Treiber's
 * stack with a counter against the ABA problem). It exists so that a call needs no lock and no
 * allocation. */
#include "core/client/calls/slots.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/hex.h"
#include "base/pages.h"
#include "core/client/calls/result.h"

#define SLOT_BITS 48 /* index and generation in the id */
#define INDEX_BITS 16

/* ---- Ids ---- */

/* A bijective mix (the finaliser of splitmix64, S. Vigna), so that ids show neither index nor
 * generation. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t slot_mask(const mfi_slots *slots, uint64_t high)
{
    return mix(high ^ slots->key) & ((UINT64_C(1) << SLOT_BITS) - 1);
}

/* The last 48 bits of a UUIDv4 hold neither version nor variant. */
static void issue_id(mfi_slots *slots, mfi_slot *slot)
{
    mfi_uuid uuid = mfi_uuid_begin();
    uint64_t high = mfi_load_be64(uuid.bytes);
    uint64_t low = mfi_load_be64(uuid.bytes + 8);
    uint64_t generation = (atomic_load_explicit(&slot->state, memory_order_relaxed) >> 2);
    uint64_t name = (generation & UINT32_MAX) << INDEX_BITS | slot->index;
    low |= name ^ slot_mask(slots, high);
    mfi_store_be64(uuid.bytes + 8, low);
    mfi_uuid_format(&uuid, slot->id);
    atomic_store_explicit(&slot->id_words[0], high, memory_order_relaxed);
    atomic_store_explicit(&slot->id_words[1], low, memory_order_relaxed);
}

mfi_slot *mfi_slots_find(mfi_slots *slots, const char *id, size_t length, uint64_t *ret_state)
{
    mfi_uuid uuid;
    if (!mfi_uuid_parse(id, length, &uuid)) {
        return NULL;
    }
    uint64_t high = mfi_load_be64(uuid.bytes);
    uint64_t low = mfi_load_be64(uuid.bytes + 8);
    uint64_t name = (low & ((UINT64_C(1) << SLOT_BITS) - 1)) ^ slot_mask(slots, high);
    uint32_t index = (uint32_t)(name & ((1u << INDEX_BITS) - 1));
    if (index >= slots->capacity) {
        return NULL;
    }
    mfi_slot *slot = &slots->all[index];
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (!mfi_slot_is_active(state) || ((state >> 2) & UINT32_MAX) != name >> INDEX_BITS ||
        atomic_load_explicit(&slot->id_words[0], memory_order_relaxed) != high ||
        atomic_load_explicit(&slot->id_words[1], memory_order_relaxed) != low) {
        return NULL;
    }
    *ret_state = state;
    return slot;
}

/* ---- The free stack ---- */

static void push_free(mfi_slots *slots, mfi_slot *slot)
{
    uint64_t head = atomic_load_explicit(&slots->free_head, memory_order_relaxed);
    uint64_t next = 0;
    do {
        atomic_store_explicit(&slot->next_free, (uint32_t)head, memory_order_relaxed);
        next = ((head >> 32) + 1) << 32 | (slot->index + 1u);
        /* release: the thread that takes the slot sees what was written to it before */
    } while (!atomic_compare_exchange_weak_explicit(&slots->free_head, &head, next,
                                                    memory_order_acq_rel, memory_order_relaxed));
}

static mfi_slot *pop_free(mfi_slots *slots)
{
    uint64_t head = atomic_load_explicit(&slots->free_head, memory_order_acquire);
    for (;;) {
        uint32_t top = (uint32_t)head;
        if (top == 0) {
            return NULL;
        }
        mfi_slot *slot = &slots->all[top - 1];
        uint64_t below = atomic_load_explicit(&slot->next_free, memory_order_relaxed);
        uint64_t next = ((head >> 32) + 1) << 32 | below;
        if (atomic_compare_exchange_weak_explicit(&slots->free_head, &head, next,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return slot;
        }
    }
}

/* A slot that was never used, so that only as much of the table's memory is touched as is needed.
 */
static mfi_slot *fresh_slot(mfi_slots *slots)
{
    uint32_t used = atomic_load_explicit(&slots->used, memory_order_relaxed);
    while (used < slots->capacity) {
        if (atomic_compare_exchange_weak_explicit(&slots->used, &used, used + 1,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            slots->all[used].index = used;
            return &slots->all[used];
        }
    }
    return NULL;
}

mfi_slot *mfi_slots_acquire(mfi_slots *slots)
{
    mfi_slot *slot = pop_free(slots);
    if (slot == NULL) {
        slot = fresh_slot(slots);
    }
    if (slot != NULL) {
        issue_id(slots, slot);
        mfi_waiter_init(&slot->waiter);
        slot->span = &slot->own_span;
        slot->on_delivered = NULL;
        slot->callback = NULL;
        slot->admitted = false;
        slot->tried = false;
        slot->is_judged = false;
        slot->is_faulted = false;
        slot->status = MF_OK;
    }
    return slot;
}

/* ---- Life of a slot ---- */

void mfi_slot_activate(mfi_slot *slot, mfi_slot_phase phase)
{
    atomic_store_explicit(&slot->holders, 2, memory_order_relaxed);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    atomic_store_explicit(&slot->state, (state & ~UINT64_C(3)) | phase, memory_order_release);
}

bool mfi_slot_claim(mfi_slot *slot, uint64_t state)
{
    /* seq_cst here and in pin: either the pinning thread sees the claim, or this one the pin. */
    if (!mfi_slot_is_active(state) ||
        !atomic_compare_exchange_strong_explicit(&slot->state, &state, state | MFI_SLOT_CLAIMED,
                                                 memory_order_seq_cst, memory_order_relaxed)) {
        return false;
    }
    while (atomic_load_explicit(&slot->pins, memory_order_seq_cst) != 0) {
        (void)sched_yield();
    }
    return true;
}

bool mfi_slot_pin(mfi_slot *slot, uint64_t state)
{
    atomic_fetch_add_explicit(&slot->pins, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&slot->state, memory_order_seq_cst) == state) {
        return true;
    }
    mfi_slot_unpin(slot);
    return false;
}

void mfi_slot_unpin(mfi_slot *slot)
{
    atomic_fetch_sub_explicit(&slot->pins, 1, memory_order_release);
}

void mfi_slot_abandon(mfi_slots *slots, mfi_slot *slot)
{
    if (slot == NULL) {
        return;
    }
    mf_result_destroy(slot->answer);
    slot->answer = NULL;
    mfi_slot_uncharge(slots, slot);
    if (slot->out.capacity > MFI_SLOT_KEPT_BYTES) {
        mfi_buf_fini(&slot->out);
        mfi_buf_init(&slot->out, slot->out.max);
    }
    mfi_buf_clear(&slot->out);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    atomic_store_explicit(&slot->state, ((state >> 2) + 1) << 2 | MFI_SLOT_FREE,
                          memory_order_release);
    push_free(slots, slot);
}

void mfi_slot_release(mfi_slots *slots, mfi_slot *slot)
{
    /* acq_rel: the last holder sees all that the others wrote */
    if (atomic_fetch_sub_explicit(&slot->holders, 1, memory_order_acq_rel) == 1) {
        mfi_slot_abandon(slots, slot);
    }
}

void mfi_slots_visit(mfi_slots *slots,
                     void (*visit)(mfi_slot *slot, uint64_t state, void *user_data),
                     void *user_data)
{
    uint32_t used = atomic_load_explicit(&slots->used, memory_order_acquire);
    for (uint32_t i = 0; i < used; i++) {
        mfi_slot *slot = &slots->all[i];
        uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (mfi_slot_is_active(state)) {
            visit(slot, state, user_data);
        }
    }
}

mf_status mfi_slots_init(mfi_slots *slots, uint32_t capacity, mf_error *error)
{
    *slots = (mfi_slots){.capacity = capacity, .key = mfi_random_u64()};
    slots->all = mfi_pages_allocate(capacity * sizeof *slots->all);
    if (slots->all == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for %u calls in flight",
                        (unsigned)capacity);
    }
    return MF_OK;
}

void mfi_slots_fini(mfi_slots *slots)
{
    uint32_t used = atomic_load_explicit(&slots->used, memory_order_acquire);
    for (uint32_t i = 0; slots->all != NULL && i < used; i++) {
        mfi_buf_fini(&slots->all[i].out);
        mf_result_destroy(slots->all[i].answer);
    }
    mfi_pages_free(slots->all, slots->capacity * sizeof *slots->all);
    slots->all = NULL;
}
