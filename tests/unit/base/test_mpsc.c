/* The queues between threads lose nothing and keep the order of each producer, and the ring refuses
 * what is beyond its bound. */
#include <pthread.h>
#include <stdlib.h>

#include "base/mpsc.h"
#include "mf_test.h"

#define PRODUCERS 4
#define ITEMS 100000

typedef struct item {
    mfi_mpsc_node node;
    uint32_t producer, number;
} item;

typedef struct producer {
    mfi_mpsc *queue;
    mfi_ring *ring;
    item *items;
    uint32_t index;
} producer;

static void *push_all(void *argument)
{
    producer *own = argument;
    for (uint32_t i = 0; i < ITEMS; i++) {
        own->items[i].producer = own->index;
        own->items[i].number = i;
        mfi_mpsc_push(own->queue, &own->items[i].node);
    }
    return NULL;
}

static void test_queue_loses_nothing_and_keeps_order(void)
{
    mfi_mpsc queue;
    pthread_t threads[PRODUCERS];
    producer producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0};
    int wrong = 0;
    mfi_mpsc_init(&queue);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] =
            (producer){.queue = &queue, .items = calloc(ITEMS, sizeof(item)), .index = i};
        pthread_create(&threads[i], NULL, push_all, &producers[i]);
    }
    for (int taken = 0; taken < PRODUCERS * ITEMS;) {
        item *got = (item *)mfi_mpsc_pop(&queue);
        if (got != NULL) {
            wrong += got->number != next[got->producer]++;
            taken++;
        }
    }
    mf_check_int(wrong, 0);
    mf_check(mfi_mpsc_empty(&queue));
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        free(producers[i].items);
    }
}

static void *fill_ring(void *argument)
{
    producer *own = argument;
    for (uint32_t i = 0; i < ITEMS;) {
        uint64_t ticket = 0;
        uint32_t *cell = mfi_ring_claim(own->ring, mfi_ring_capacity(own->ring), &ticket);
        if (cell != NULL) {
            cell[0] = own->index;
            cell[1] = i++;
            mfi_ring_commit(own->ring, ticket);
        }
    }
    return NULL;
}

static void test_ring_loses_nothing_and_keeps_order(void)
{
    pthread_t threads[PRODUCERS];
    producer producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0};
    int wrong = 0;
    mfi_ring *ring = mfi_ring_create(64, 2 * sizeof(uint32_t));
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (producer){.ring = ring, .index = i};
        pthread_create(&threads[i], NULL, fill_ring, &producers[i]);
    }
    for (int taken = 0; taken < PRODUCERS * ITEMS;) {
        const uint32_t *cell = mfi_ring_peek(ring);
        if (cell != NULL) {
            wrong += cell[1] != next[cell[0]]++;
            mfi_ring_pop(ring);
            taken++;
        }
    }
    mf_check_int(wrong, 0);
    mf_check_int(mfi_ring_used(ring), 0);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
    mfi_ring_destroy(ring);
}

static void test_ring_refuses_beyond_its_bound(void)
{
    uint64_t ticket = 0;
    mfi_ring *ring = mfi_ring_create(4, 8);
    mf_check(mfi_ring_claim(ring, 1, &ticket) != NULL);
    mfi_ring_commit(ring, ticket);
    mf_check(mfi_ring_claim(ring, 1, &ticket) == NULL);
    mf_check(mfi_ring_claim(ring, 4, &ticket) != NULL);
    mfi_ring_commit(ring, ticket);
    mf_check_int(mfi_ring_used(ring), 2);
    mfi_ring_destroy(ring);
}

static void test_cells_behind_the_oldest_are_seen(void)
{
    uint64_t tickets[3];
    int *cells[3];
    mfi_ring *ring = mfi_ring_create(4, sizeof(int));
    for (int i = 0; i < 3; i++) {
        cells[i] = mfi_ring_claim(ring, 4, &tickets[i]);
        *cells[i] = i;
    }
    mfi_ring_commit(ring, tickets[0]);
    mfi_ring_commit(ring, tickets[2]); /* the second cell is still being filled */
    mf_check(mfi_ring_peek(ring) == cells[0] && mfi_ring_peek_at(ring, 0) == cells[0]);
    mf_check(mfi_ring_peek_at(ring, 1) == NULL);
    mf_check(mfi_ring_peek_at(ring, 2) == cells[2]);
    mf_check(mfi_ring_peek_at(ring, 3) == NULL);
    mfi_ring_pop(ring);
    mf_check(mfi_ring_peek_at(ring, 0) == NULL);
    mf_check(mfi_ring_peek_at(ring, 1) == cells[2]);
    mfi_ring_commit(ring, tickets[1]);
    mf_check(mfi_ring_peek(ring) == cells[1]);
    mfi_ring_destroy(ring);
}

static const mf_test tests[] = {
    {"ring__cells_behind_the_oldest_are_seen", test_cells_behind_the_oldest_are_seen},
    {"queue__loses_nothing_and_keeps_order", test_queue_loses_nothing_and_keeps_order},
    {"ring__loses_nothing_and_keeps_order", test_ring_loses_nothing_and_keeps_order},
    {"ring__refuses_beyond_its_bound", test_ring_refuses_beyond_its_bound},
};
MF_TEST_MAIN(tests)
