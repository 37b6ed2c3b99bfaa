/* Two lock-free queues that hand objects to one thread. Both are D. Vyukov's (1024cores.net): the
 * "Non-intrusive MPSC node-based queue" in its intrusive form, and the "Bounded MPMC queue" with a
 * single consumer. */
#include "base/mpsc.h"

#include <stdlib.h>

#include "base/pages.h"

void mfi_mpsc_init(mfi_mpsc *queue)
{
    atomic_init(&queue->stub.next, NULL);
    atomic_init(&queue->head, &queue->stub);
    queue->tail = &queue->stub;
}

void mfi_mpsc_push_all(mfi_mpsc *queue, mfi_mpsc_node *first, mfi_mpsc_node *last)
{
    atomic_store_explicit(&last->next, NULL, memory_order_relaxed);
    mfi_mpsc_node *before = atomic_exchange_explicit(&queue->head, last, memory_order_acq_rel);
    /* release: pairs with the consumer's acquire of next */
    atomic_store_explicit(&before->next, first, memory_order_release);
}

void mfi_mpsc_push(mfi_mpsc *queue, mfi_mpsc_node *node)
{
    mfi_mpsc_push_all(queue, node, node);
}

mfi_mpsc_node *mfi_mpsc_pop(mfi_mpsc *queue)
{
    mfi_mpsc_node *tail = queue->tail;
    mfi_mpsc_node *next = atomic_load_explicit(&tail->next, memory_order_acquire);
    if (tail == &queue->stub) {
        if (next == NULL) {
            return NULL;
        }
        queue->tail = next;
        tail = next;
        next = atomic_load_explicit(&tail->next, memory_order_acquire);
    }
    if (next != NULL) {
        queue->tail = next;
        return tail;
    }
    if (tail != atomic_load_explicit(&queue->head, memory_order_acquire)) {
        return NULL; /* a producer is between its two steps */
    }
    /* tail is the last node: the stub goes behind it, so that tail can be removed. */
    mfi_mpsc_push(queue, &queue->stub);
    next = atomic_load_explicit(&tail->next, memory_order_acquire);
    if (next != NULL) {
        queue->tail = next;
        return tail;
    }
    return NULL;
}

bool mfi_mpsc_empty(const mfi_mpsc *queue)
{
    return queue->tail == &queue->stub &&
           atomic_load_explicit(&queue->head, memory_order_acquire) == &queue->stub;
}

/* ---- The bounded ring ---- */

/* A cell stores its sequence minus its index, so that a fresh cell is all zero. The system has
 * cleared that memory already, and backs it only when it is used. */
typedef struct cell {
    _Atomic(uint64_t) turn; /* sequence - index; sequence is position: free, + 1: committed */
    _Alignas(16) unsigned char bytes[];
} cell;

struct mfi_ring {
    _Alignas(64) _Atomic(uint64_t) claimed; /* producers */
    _Alignas(64) _Atomic(uint64_t) popped;  /* the consumer writes, producers read the fill */
    _Alignas(64) size_t mask;
    size_t stride;
    unsigned char *cells;
};

static cell *cell_at(const mfi_ring *ring, uint64_t position)
{
    return (cell *)(void *)(ring->cells + (position & ring->mask) * ring->stride);
}

static uint64_t sequence_at(const mfi_ring *ring, uint64_t position)
{
    return atomic_load_explicit(&cell_at(ring, position)->turn, memory_order_acquire) +
           (position & ring->mask);
}

static void set_sequence(mfi_ring *ring, uint64_t position, uint64_t sequence)
{
    atomic_store_explicit(&cell_at(ring, position)->turn, sequence - (position & ring->mask),
                          memory_order_release);
}

mfi_ring *mfi_ring_create(size_t cell_count, size_t cell_size)
{
    size_t count = 2;
    while (count < cell_count) {
        count *= 2;
    }
    mfi_ring *ring = aligned_alloc(_Alignof(mfi_ring), sizeof *ring);
    if (ring == NULL) {
        return NULL;
    }
    atomic_init(&ring->claimed, 0);
    atomic_init(&ring->popped, 0);
    ring->mask = count - 1;
    ring->stride = (sizeof(cell) + cell_size + 63) & ~(size_t)63;
    ring->cells = mfi_pages_allocate(count * ring->stride);
    if (ring->cells == NULL) {
        free(ring);
        return NULL;
    }
    return ring;
}

void mfi_ring_destroy(mfi_ring *ring)
{
    if (ring != NULL) {
        mfi_pages_free(ring->cells, (ring->mask + 1) * ring->stride);
        free(ring);
    }
}

void *mfi_ring_claim(mfi_ring *ring, size_t most_used, uint64_t *ret_ticket)
{
    uint64_t position = atomic_load_explicit(&ring->claimed, memory_order_relaxed);
    for (;;) {
        uint64_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);
        if (position >= popped && position - popped >= most_used) {
            return NULL;
        }
        /* acquire: pairs with the consumer's release in mfi_ring_pop */
        uint64_t sequence = sequence_at(ring, position);
        if (sequence == position) {
            if (atomic_compare_exchange_weak_explicit(&ring->claimed, &position, position + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                *ret_ticket = position;
                return cell_at(ring, position)->bytes;
            }
        } else if (sequence < position) {
            return NULL; /* full: the cell still holds the value of the previous round */
        } else {
            position = atomic_load_explicit(&ring->claimed, memory_order_relaxed);
        }
    }
}

void mfi_ring_commit(mfi_ring *ring, uint64_t ticket)
{
    set_sequence(ring, ticket, ticket + 1);
}

void *mfi_ring_peek(mfi_ring *ring)
{
    return mfi_ring_peek_at(ring, 0);
}

void *mfi_ring_peek_at(mfi_ring *ring, size_t behind)
{
    uint64_t position = atomic_load_explicit(&ring->popped, memory_order_relaxed) + behind;
    return sequence_at(ring, position) == position + 1 ? cell_at(ring, position)->bytes : NULL;
}

void mfi_ring_pop(mfi_ring *ring)
{
    uint64_t position = atomic_load_explicit(&ring->popped, memory_order_relaxed);
    set_sequence(ring, position, position + ring->mask + 1);
    atomic_store_explicit(&ring->popped, position + 1, memory_order_relaxed);
}

size_t mfi_ring_capacity(const mfi_ring *ring)
{
    return ring->mask + 1;
}

uint64_t mfi_ring_claimed(const mfi_ring *ring)
{
    return atomic_load_explicit(&ring->claimed, memory_order_relaxed);
}

size_t mfi_ring_used(const mfi_ring *ring)
{
    uint64_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);
    uint64_t claimed = atomic_load_explicit(&ring->claimed, memory_order_relaxed);
    return claimed > popped ? (size_t)(claimed - popped) : 0;
}
