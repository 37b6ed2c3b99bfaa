/* Queues between threads.
 *
 * mfi_mpsc: intrusive, unbounded, many producers, one consumer (D. Vyukov's node-based queue).
 * Push is wait-free; pop may see "not yet" while a producer stands between its two steps. The
 * consumer role may move between threads if each hand-over is itself a barrier.
 *
 * mfi_ring: bounded, many producers, one consumer, fixed-size cells (D. Vyukov's bounded queue
 * restricted to one consumer). A producer claims a cell, fills it in place and commits it. */
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
/* first to last are linked by next already; in that order, as one. */
void mfi_mpsc_push_all(mfi_mpsc *queue, mfi_mpsc_node *first, mfi_mpsc_node *last);
/* NULL if empty or if the next node is still being linked (mfi_mpsc_empty then says false). */
mfi_mpsc_node *mfi_mpsc_pop(mfi_mpsc *queue);
/* Consumer only. */
bool mfi_mpsc_empty(const mfi_mpsc *queue);

typedef struct mfi_ring mfi_ring;

/* cell_count is rounded up to a power of two. NULL without memory. */
mfi_ring *mfi_ring_create(size_t cell_count, size_t cell_size);
void mfi_ring_destroy(mfi_ring *ring);
/* A free cell of cell_size bytes, or NULL when `used` would exceed `most_used` cells (pass
 * mfi_ring_capacity for no extra bound). ret_ticket is to be given to commit. */
void *mfi_ring_claim(mfi_ring *ring, size_t most_used, uint64_t *ret_ticket);
void mfi_ring_commit(mfi_ring *ring, uint64_t ticket);
/* Oldest committed cell or NULL; it stays valid until mfi_ring_pop. Consumer only. */
void *mfi_ring_peek(mfi_ring *ring);
void mfi_ring_pop(mfi_ring *ring);
size_t mfi_ring_capacity(const mfi_ring *ring);
/* How many cells were ever claimed. */
uint64_t mfi_ring_claimed(const mfi_ring *ring);
/* A moment's reading. */
size_t mfi_ring_used(const mfi_ring *ring);

#endif
