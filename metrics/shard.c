/* Gives shards to threads, and takes a shard back when its thread ends. */
#include "metrics/shard.h"

#include <pthread.h>

_Thread_local unsigned mfi_shard_of_thread;

static _Atomic(uint32_t) owned; /* a bit for each shard that has an owner */
static pthread_key_t end_of_thread;
static bool has_key; /* without a key no thread owns a shard, because none could give it back */

static uint32_t own_bit(void)
{
    unsigned own = mfi_shard_of_thread;
    return own != 0 && own - 1 != MFI_SHARED_SHARD ? UINT32_C(1) << (own - 1) : 0;
}

/* Values that the thread records in later destructors go to the shared shard. */
static void give_back(void *value)
{
    (void)value;
    uint32_t bit = own_bit();
    mfi_shard_of_thread = MFI_SHARED_SHARD + 1;
    atomic_fetch_and_explicit(&owned, ~bit, memory_order_release);
}

/* The other threads, and so their shards, exist only in the parent process. */
static void after_fork_in_child(void)
{
    atomic_store_explicit(&owned, own_bit(), memory_order_relaxed);
}

static void prepare(void)
{
    has_key = pthread_key_create(&end_of_thread, give_back) == 0;
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* An unloaded library must leave no destructor behind. */
static __attribute__((destructor)) void forget_key(void)
{
    if (has_key) {
        (void)pthread_key_delete(end_of_thread);
        has_key = false;
    }
}

unsigned mfi_shard_take(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const uint32_t all = (UINT32_C(1) << MFI_SHARED_SHARD) - 1;
    unsigned index = MFI_SHARED_SHARD;
    (void)pthread_once(&once, prepare);
    uint32_t before = atomic_load_explicit(&owned, memory_order_relaxed);
    while (has_key && before != all && index == MFI_SHARED_SHARD) {
        unsigned candidate = (unsigned)__builtin_ctz(~before);
        if (atomic_compare_exchange_weak_explicit(&owned, &before,
                                                  before | UINT32_C(1) << candidate,
                                                  memory_order_acquire, memory_order_relaxed)) {
            index = candidate;
        }
    }
    mfi_shard_of_thread = index + 1;
    if (index != MFI_SHARED_SHARD && pthread_setspecific(end_of_thread, &owned) != 0) {
        give_back(NULL);
        index = MFI_SHARED_SHARD;
    }
    return index;
}
