/* The bound, in bytes, of all that peers make one parent or one worker hold.
 *
 * One budget is shared by everything that waits, over every connection of a parent or a worker:
 *
 *   - unsent bytes of each connection (direct/connection.c), or those that libzmq holds (zmq.c);
 *   - received parts of payloads that are not complete (direct/peers.c);
 *   - a worker's messages that their peers do not accept (server/peers.c);
 *   - calls that wait for a handler, and arguments while they are decoded (server/io.c, serve.c);
 *   - a parent's encoded calls that are not sent yet (client/call/call.c).
 *
 * Bytes are charged when they begin to wait, and given back where they leave. What passes through
 * without waiting is never charged, so a lone small call touches no budget. What is left out is
 * bounded otherwise: MFI_BUDGET_STEP bytes for each connection and for each call in flight, and one
 * message that is being received or encoded for each thread.
 *
 * What gives way when the budget is full:
 *
 *   - A connection may queue in its transport up to a fraction of what is free, so that the
 *     transport never fills the budget with the bytes of few peers.
 *   - A worker that has no room for a message or a call ends the peer that holds the most unsent
 *     bytes and received parts, if these are more than the peer of the new message would hold.
 *     Peers that read hold nothing for long, so the peer that makes the least progress goes.
 *   - In the place of an answer that finds no room even so, a short error answer is sent. A
 *     bounded number of short messages for each peer needs no room.
 *   - A worker's output from before its first peer has at most half; more of it is dropped.
 *   - The waiting calls of one peer have at most three quarters of what others leave.
 *   - Arguments that take more decoded than is free are refused, except where nothing else is held:
 *     a message that the limits of the protocol allow is served if it is alone. Arguments that
 *     take more than the budget are charged with three quarters of it, so that the calls of others
 *     still find room.
 *   - A parent refuses a call for which there is no room: its user learns that at once.
 *
 * Counts with the library's threads, and with libzmq's, which gives bytes back after the transport
 * was closed: so the budget counts its holders. */
#ifndef MFI_TRANSPORT_BUDGET_H
#define MFI_TRANSPORT_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Holders that hold less than this need not charge. */
#define MFI_BUDGET_STEP ((size_t)16 * 1024)

typedef struct mfi_budget {
    size_t most;
    _Atomic(size_t) held;
    _Atomic(uint32_t) holders;
} mfi_budget;

/* To be released by mfi_budget_unref(). NULL without memory. */
static inline mfi_budget *mfi_budget_create(size_t most)
{
    mfi_budget *budget = malloc(sizeof *budget);
    if (budget != NULL) {
        budget->most = most;
        atomic_init(&budget->held, 0);
        atomic_init(&budget->holders, 1);
    }
    return budget;
}

/* Everywhere else NULL is a budget without a bound. */
static inline mfi_budget *mfi_budget_ref(mfi_budget *budget)
{
    if (budget != NULL) {
        atomic_fetch_add_explicit(&budget->holders, 1, memory_order_relaxed);
    }
    return budget;
}

static inline void mfi_budget_unref(mfi_budget *budget)
{
    if (budget != NULL &&
        atomic_fetch_sub_explicit(&budget->holders, 1, memory_order_acq_rel) == 1) {
        free(budget);
    }
}

static inline size_t mfi_budget_held(mfi_budget *budget)
{
    return budget != NULL ? atomic_load_explicit(&budget->held, memory_order_relaxed) : 0;
}

static inline size_t mfi_budget_free(mfi_budget *budget)
{
    size_t held = mfi_budget_held(budget);
    return budget == NULL ? SIZE_MAX / 2 : held < budget->most ? budget->most - held : 0;
}

/* Charges bytes whether there is room or not. */
static inline void mfi_budget_add(mfi_budget *budget, size_t bytes)
{
    if (budget != NULL) {
        atomic_fetch_add_explicit(&budget->held, bytes, memory_order_relaxed);
    }
}

static inline void mfi_budget_sub(mfi_budget *budget, size_t bytes)
{
    if (budget != NULL) {
        atomic_fetch_sub_explicit(&budget->held, bytes, memory_order_relaxed);
    }
}

/* Charges bytes if there is room for them. */
static inline bool mfi_budget_take(mfi_budget *budget, size_t bytes)
{
    if (budget == NULL) {
        return true;
    }
    size_t held = atomic_load_explicit(&budget->held, memory_order_relaxed);
    while (held <= budget->most && bytes <= budget->most - held) {
        if (atomic_compare_exchange_weak_explicit(&budget->held, &held, held + bytes,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* Charges bytes if there is room for them. Where nothing is held but the caller's own, more bytes
 * are let through too, with a charge of three quarters of the budget. */
static inline bool mfi_budget_take_or_alone(mfi_budget *budget, size_t own, size_t bytes,
                                            size_t *ret_charged)
{
    *ret_charged = bytes;
    if (mfi_budget_take(budget, bytes)) {
        return true;
    }
    size_t most = budget->most / 4 * 3;
    size_t held = own;
    *ret_charged = most > own ? most - own : 0;
    return atomic_compare_exchange_strong_explicit(&budget->held, &held, own + *ret_charged,
                                                   memory_order_relaxed, memory_order_relaxed);
}

/* Brings a holder's charge up to date with what it holds. Small changes are left out, except that
 * an empty holder has no charge. */
static inline void mfi_budget_settle(mfi_budget *budget, size_t *charged, size_t holds)
{
    size_t difference = holds > *charged ? holds - *charged : *charged - holds;
    if (difference < MFI_BUDGET_STEP && (holds != 0 || *charged == 0)) {
        return;
    }
    if (holds > *charged) {
        mfi_budget_add(budget, difference);
    } else {
        mfi_budget_sub(budget, difference);
    }
    *charged = holds;
}

/* How much one connection may queue in its transport: a part of what is free, and no more than
 * `most`. A single message is judged by the caller. */
static inline size_t mfi_budget_share(mfi_budget *budget, size_t most)
{
    size_t share = mfi_budget_free(budget) / 8;
    return share < most ? share : most;
}

#endif
