/* The shard of cells that a thread writes.
 *
 * Each of the first 15 threads that record anything owns a shard of every instrument. No other
 * thread writes there, so a plain load and store is enough to add. Later threads share the last
 * shard and pay for an atomic addition. A thread that ends gives its shard back with release; the
 * next owner takes it with acquire, so that it adds to the numbers that it finds. A reader adds up
 * all shards. */
#ifndef MFI_METRICS_SHARD_H
#define MFI_METRICS_SHARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MFI_SHARDS 16
#define MFI_SHARED_SHARD (MFI_SHARDS - 1u)

/* The calling thread's shard plus 1; 0: it has none yet. */
extern _Thread_local unsigned mfi_shard_of_thread;
unsigned mfi_shard_take(void);

static inline unsigned mfi_shard_index(void)
{
    unsigned own = mfi_shard_of_thread;
    return __builtin_expect(own != 0, 1) ? own - 1 : mfi_shard_take();
}

/* Relaxed, because cells order no other memory. */
static inline void mfi_cell_add(unsigned shard, _Atomic(uint64_t) *cell, uint64_t n)
{
    if (__builtin_expect(shard != MFI_SHARED_SHARD, 1)) {
        atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                              memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
    }
}

#endif
