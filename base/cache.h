/* Objects of one kind, kept for reuse, so that a steady state allocates nothing.
 *
 * Each thread has a magazine of free objects for each kind; what is too much in one goes to the
 * kind's depot, what is missing comes from there, half a magazine under one lock (after J. Bonwick
 * and J. Adams, "Magazines and Vmem", USENIX 2001). So an object may be made on one thread and
 * given back on another. It keeps what it owns (its buffers) while it waits; `empty` lets go of
 * that before the object is freed.
 *
 * Kinds are static objects. Under AddressSanitizer nothing is kept, so that it sees every use after
 * the end. */
#ifndef MFI_BASE_CACHE_H
#define MFI_BASE_CACHE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/mutex.h"

#define MFI_CACHE_DEPOT 1024 /* free objects of a kind beside the threads' own; more are freed */

typedef struct mfi_cache {
    size_t size;
    void (*empty)(void *object); /* NULL: objects own nothing */
    _Atomic(unsigned) number;    /* from 1; 0 until it is first used */
    mfi_mutex mutex;
    size_t count; /* guarded by mutex, as is the next one */
    void *objects[MFI_CACHE_DEPOT];
} mfi_cache;

#define MFI_CACHE_INIT(type, empty_function)                                                       \
    {                                                                                              \
        .size = sizeof(type), .empty = (empty_function), .mutex = MFI_MUTEX_INIT                   \
    }

/* All zero when it is new, else as it was given back. NULL without memory. Any thread. */
void *mfi_cache_get(mfi_cache *cache);
/* NULL is a no-op. Any thread. */
void mfi_cache_put(mfi_cache *cache, void *object);

#endif
