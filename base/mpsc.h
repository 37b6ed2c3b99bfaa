/* Queues between threads.
 *
 * mfi_mpsc: intrusive, unbounded, many producers, one consumer (D. Vyukov's node-based queue).
 * Push is wait-free. Pop may return NULL while a producer is between its two steps. Another thread
 * may become the consumer if the hand-over is a memory barrier.
 *
 * mfi_ring: bounded, many producers, one consumer, cells of a fixed size (D. Vyukov's bounded queue
 * with one consumer). A producer claims a cell, fills it in place and commits it. */
#ifndef MFI_BASE_MPSC_H
#define MFI_BASE_MPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mfi_mpsc_node {
    _Atomic(struct mfi_mpsc_node *) next;
} mfi_mpsc_node;

typedef struct mfi_mpsc {
    _Alignas(64) _Atomic(mfi_mpsc_node *) head; /* producers */
    _Alignas(64) mfi_mpsc_node *tail;           /* consumer */
    mfi_mpsc_node stub;
} mfi_mpsc;

void mfi_mpsc_init(mfi_mpsc *queue);
void mfi_mpsc_push(mfi_mpsc *queue, mfi_mpsc_node *node);
/* Pushes a chain of nodes, already linked by next, in one step and in that order. */
void mfi_mpsc_push_all(mfi_mpsc *queue, mfi_mpsc_node *first, mfi_mpsc_node *last);
/* NULL if the queue is empty or a producer is still linking the next node (mfi_mpsc_empty() is
 * false then). Consumer only. */
mfi_mpsc_node *mfi_mpsc_pop(mfi_mpsc *queue);
/* Consumer only. */
bool mfi_mpsc_empty(const mfi_mpsc *queue);

typedef struct mfi_ring mfi_ring;

/* cell_count is rounded up to a power of two. NULL without memory. */
mfi_ring *mfi_ring_create(size_t cell_count, size_t cell_size);
void mfi_ring_destroy(mfi_ring *ring);
/* A free cell of cell_size bytes, or NULL if more than `most_used` cells would be in use; pass
 * mfi_ring_capacity() for no extra bound. mfi_ring_commit() takes ret_ticket. */
void *mfi_ring_claim(mfi_ring *ring, size_t most_used, uint64_t *ret_ticket);
void mfi_ring_commit(mfi_ring *ring, uint64_t ticket);
/* The oldest committed cell, or NULL; valid until mfi_ring_pop(). Consumer only. */
void *mfi_ring_peek(mfi_ring *ring);
void mfi_ring_pop(mfi_ring *ring);
/* The committed cell `behind` cells behind the oldest one, or NULL. Consumer only. */
void *mfi_ring_peek_at(mfi_ring *ring, size_t behind);
size_t mfi_ring_capacity(const mfi_ring *ring);
/* Number of cells claimed since the start. */
uint64_t mfi_ring_claimed(const mfi_ring *ring);
/* Number of cells in use; may be outdated at once. */
size_t mfi_ring_used(const mfi_ring *ring);

#endif
