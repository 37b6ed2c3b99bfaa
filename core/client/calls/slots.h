/* Attempts in flight: a fixed table of slots. The id of a message gives its slot without a search.
 *
 * A slot's index and generation are masked into the UUIDv4 that is the message's id. An answer
 * carries that id. The answer is accepted only if the whole id is the one that was issued.
 *
 * Exactly one thread *claims* an attempt (because of an answer, a deadline, the worker's end or a
 * stop), with a compare-and-swap of the slot's state. That thread writes the outcome and delivers
 * the attempt. */
#ifndef MFI_CLIENT_CALLS_SLOTS_H
#define MFI_CLIENT_CALLS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/call.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/list.h"
#include "core/engine/driver.h"
#include "core/observe/span.h"
#include "core/policy/circuit.h"
#include "core/transport/transport.h"
#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "core/words/attempts.h"

/* Of its buffer, that a free slot keeps; a larger one is freed. */
#define MFI_SLOT_KEPT_BYTES ((size_t)8 * 1024)

typedef enum mfi_slot_phase {
    MFI_SLOT_FREE = 0,
    MFI_SLOT_SYNC = 1,   /* active; a thread waits, and times a near deadline itself */
    MFI_SLOT_ASYNC = 2,  /* active; the engine thread times the deadline */
    MFI_SLOT_CLAIMED = 3 /* one thread writes the outcome, or has written it */
} mfi_slot_phase;

typedef struct mfi_slot mfi_slot;

struct mfi_slot {
    mfi_mpsc_node out_node;       /* in the driver's queue */
    mfi_mpsc_node delivered_node; /* in a batch, and in mfi_calls.delivered */
    _Atomic(uint64_t) state; /* generation << 2 | phase; release by the thread that changes it */
    _Atomic(uint64_t) id_words[2]; /* the issued id, big end first; relaxed, behind state */
    _Atomic(uint64_t) deadline_ns; /* relaxed, behind state */
    _Atomic(uint32_t) holders;     /* the queue, and the thread that reads the outcome */
    _Atomic(uint32_t) next_free;
    _Atomic(uint32_t) pins;     /* threads that read the span of the active attempt */
    mfi_chain_node front_node;  /* in mfi_calls.front */
    struct mfi_slot *list_next; /* engine thread: while many calls end */
    uint32_t index;
    _Atomic(uint32_t) traffic;    /* mfi_traffic; relaxed, behind state */
    _Atomic(uint64_t) started_ns; /* relaxed, behind state */
    _Atomic(uint64_t) sent_ns;    /* 0 until the driver sends the message: see below */
    char id[MFI_UUID_TEXT];
    mfi_buf out;       /* the encoded message, until it is sent */
    size_t charged;    /* bytes of out in the budget; 0 for a small message */
    mfi_waiter waiter; /* for synchronous calls */
    void (*on_delivered)(void *calls, mfi_slot *slot); /* for asynchronous calls; engine thread */
    mf_call_fn callback;                               /* the user's */
    void *user_data;                                   /* for callback */
    mfi_client_span *span;    /* of the call; valid until the attempt is delivered */
    mfi_client_span own_span; /* for an attempt that has no call's span */
    mfi_attempt_kind kind;    /* of a call's attempt */
    mfi_recorded recorded;    /* of a call's attempt: the driver reports when it was sent */
    mfi_circuit_ticket ticket;
    mfi_circuit_ticket trial_ticket;
    bool admitted;              /* the circuit gets a report with the ticket */
    bool tried;                 /* the circuit on trial gets one with its ticket */
    bool is_judged;             /* faults.c: whether a fault hits it is decided; role held */
    bool is_faulted;            /* a fault ended it; by the claiming thread */
    uint64_t due_ns;            /* faults.c: when the late message leaves */
    int64_t attempt_timeout_ms; /* of the deadline; 0: the deadline is the call's */
    char function_copy[MFI_NAME_MAX_BYTES + 1];
    char namespace_copy[MFI_NAME_MAX_BYTES + 1];
    mf_status status;    /* the outcome, written by the claiming thread */
    mf_result *answer;   /* NULL: no answer came */
    mfi_text error_text; /* a view into the answer */
    char refusal[256];   /* why the answer could not be taken */
};

typedef struct mfi_slots {
    mfi_slot *all;
    uint32_t capacity;
    uint64_t key;                /* the secret key of the mask */
    mfi_budget *budget;          /* of messages that wait to be sent; NULL: none */
    _Atomic(uint64_t) free_head; /* tag << 32 | index + 1; acq_rel */
    _Atomic(uint32_t) used;      /* slots below this were used at least once */
} mfi_slots;

mf_status mfi_slots_init(mfi_slots *slots, uint32_t capacity, mf_error *error);
void mfi_slots_fini(mfi_slots *slots);

/* A slot with a fresh id, not active yet; NULL if all are in use. */
mfi_slot *mfi_slots_acquire(mfi_slots *slots);
/* The state of the slot once it is active. The attempt is claimed with it. */
static inline uint64_t mfi_slot_active_state(const mfi_slot *slot, mfi_slot_phase phase)
{
    return (atomic_load_explicit(&slot->state, memory_order_relaxed) & ~UINT64_C(3)) | phase;
}
/* Everything is written; from here on answers may come. The slot then has two holders: the queue,
 * and the thread that reads the outcome. */
void mfi_slot_activate(mfi_slot *slot, mfi_slot_phase phase);
/* One holder releases the slot; the last holder frees it. */
void mfi_slot_release(mfi_slots *slots, mfi_slot *slot);
/* Charges the encoded message to the budget if it is large. False if there is no room. */
static inline bool mfi_slot_charge(mfi_slots *slots, mfi_slot *slot)
{
    size_t bytes = slot->out.capacity > MFI_SLOT_KEPT_BYTES ? slot->out.size : 0;
    if (bytes != 0 && !mfi_budget_take(slots->budget, bytes)) {
        return false;
    }
    slot->charged = bytes;
    return true;
}
/* The message leaves the slot, or its buffer is given back. */
static inline void mfi_slot_uncharge(mfi_slots *slots, mfi_slot *slot)
{
    if (slot->charged != 0) {
        mfi_budget_sub(slots->budget, slot->charged);
        slot->charged = 0;
    }
}
/* Frees a slot that was never active. NULL is a no-op. */
void mfi_slot_abandon(mfi_slots *slots, mfi_slot *slot);

static inline bool mfi_slot_is_active(uint64_t state)
{
    return (state & 3u) == MFI_SLOT_SYNC || (state & 3u) == MFI_SLOT_ASYNC;
}

/* The active slot that this id was issued for, and its state for the claim; NULL if there is none.
 */
mfi_slot *mfi_slots_find(mfi_slots *slots, const char *id, size_t length, uint64_t *ret_state);
/* True for exactly one thread: that thread writes the outcome. It waits until no thread reads the
 * span any more. */
bool mfi_slot_claim(mfi_slot *slot, uint64_t state);
/* Any thread: keeps the attempt's span until unpin, which must follow within a copy of some bytes.
 * False if the attempt was claimed meanwhile. */
bool mfi_slot_pin(mfi_slot *slot, uint64_t state);
void mfi_slot_unpin(mfi_slot *slot);

/* ---- Sent or not ----
 *
 * A call that ended without an answer may be sent again only if it is certain that it was not sent.
 * One word decides: the driver sets it before it sends the message; the thread that reads the
 * outcome sets it if the driver has not. So one of the two sees the other's value. */

/* Driver: false if the attempt was claimed as unsent before. */
static inline bool mfi_slot_begin_send(mfi_slot *slot, uint64_t now_ns)
{
    uint64_t unsent = 0;
    return atomic_compare_exchange_strong_explicit(&slot->sent_ns, &unsent, now_ns,
                                                   memory_order_acq_rel, memory_order_relaxed);
}
/* Driver: the transport did not accept the message. */
static inline void mfi_slot_undo_send(mfi_slot *slot)
{
    atomic_store_explicit(&slot->sent_ns, 0, memory_order_release);
}
/* Reader of the outcome: when the message was sent, or may have been; 0: it never will be. */
static inline uint64_t mfi_slot_end_send(mfi_slot *slot)
{
    uint64_t sent_ns = 0;
    (void)atomic_compare_exchange_strong_explicit(&slot->sent_ns, &sent_ns, MFI_NEVER,
                                                  memory_order_acq_rel, memory_order_acquire);
    return sent_ns;
}

/* Calls visit for every active slot. A slot may end or begin meanwhile, so a claim may fail. */
void mfi_slots_visit(mfi_slots *slots,
                     void (*visit)(mfi_slot *slot, uint64_t state, void *user_data),
                     void *user_data);

#endif
