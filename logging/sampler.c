/* A kind of record has a cell in a hash table, at most a few steps from the place of its key. In a
 * full table kinds share a cell, and then fewer records of each are kept. A second and the count in
 * it share one word, so that a record costs one addition, and a second one if it is left out. */
#include "logging/sampler.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

#define CELLS 512u /* kinds with a cell of their own; a power of two */
#define STEPS 8u   /* cells that a search reads */
#define COUNT_BITS 32

typedef struct cell {
    _Atomic(uint64_t) key;  /* 0: free */
    _Atomic(uint64_t) word; /* second << COUNT_BITS | count */
    _Atomic(uint64_t) left_out;
} cell;

struct mfi_sampler {
    uint32_t first, thereafter;
    cell cells[CELLS];
};

mfi_sampler *mfi_sampler_create(uint32_t first, uint32_t thereafter)
{
    mfi_sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler != NULL) {
        sampler->first = first;
        sampler->thereafter = thereafter;
    }
    return sampler;
}

void mfi_sampler_destroy(mfi_sampler *sampler)
{
    free(sampler);
}

/* FNV-1a. */
uint64_t mfi_sampler_key(const char *text, size_t length)
{
    uint64_t key = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) {
        key = (key ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    }
    return key;
}

static cell *find(mfi_sampler *sampler, uint64_t key)
{
    uint32_t at = (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
    for (uint32_t i = 0; i < STEPS; i++) {
        cell *here = &sampler->cells[(at + i) % CELLS];
        uint64_t owner = atomic_load_explicit(&here->key, memory_order_relaxed);
        if (owner == key || (owner == 0 && (atomic_compare_exchange_strong_explicit(
                                                &here->key, &owner, key, memory_order_relaxed,
                                                memory_order_relaxed) ||
                                            owner == key))) {
            return here;
        }
    }
    return &sampler->cells[at % CELLS];
}

/* Counts a record and returns its number within the second. */
static uint32_t count(cell *here, uint64_t second)
{
    uint64_t word = atomic_fetch_add_explicit(&here->word, 1, memory_order_relaxed) + 1;
    while (word >> COUNT_BITS < second) { /* the first record of a new second */
        uint64_t next = second << COUNT_BITS | 1;
        if (atomic_compare_exchange_weak_explicit(&here->word, &word, next, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            word = next;
        } else if (word >> COUNT_BITS >= second) {
            word = atomic_fetch_add_explicit(&here->word, 1, memory_order_relaxed) + 1;
        }
    }
    return (uint32_t)word;
}

bool mfi_sampler_takes(mfi_sampler *sampler, uint64_t key, uint64_t now_ns)
{
    cell *here = find(sampler, key | 1);
    uint32_t number = count(here, now_ns / MFI_NS_PER_S);
    if (number <= sampler->first ||
        (sampler->thereafter != 0 && (number - sampler->first) % sampler->thereafter == 0)) {
        return true;
    }
    atomic_fetch_add_explicit(&here->left_out, 1, memory_order_relaxed);
    return false;
}

uint64_t mfi_sampler_left_out(const mfi_sampler *sampler)
{
    uint64_t sum = 0;
    for (size_t i = 0; sampler != NULL && i < CELLS; i++) {
        sum += atomic_load_explicit(&sampler->cells[i].left_out, memory_order_relaxed);
    }
    return sum;
}
