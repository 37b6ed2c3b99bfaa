/* Objects of one kind, kept for reuse, so that a steady state allocates nothing.
 *
 * Each thread has a magazine of free objects of each kind. A full magazine moves half of its
 * objects to the kind's depot; an empty one takes as many from there, under one lock (after
 * J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001). So one thread may make an object and
 * another one put it back. A kept object keeps what it owns, such as its buffers; `empty` releases
 * that before the object is freed.
 *
 * Kinds are static objects. AddressSanitizer builds keep nothing, so that the sanitizer sees every
 * use of a freed object. */
#ifndef MFI_BASE_CACHE_H
#define MFI_BASE_CACHE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/mutex.h"

#define MFI_CACHE_DEPOT 1024 /* objects of a kind in its depot at most; further ones are freed */

typedef struct mfi_cache {
    size_t size;
    void (*empty)(void *object); /* NULL: objects own nothing */
    _Atomic(unsigned) number;    /* from 1; 0 until the kind is first used */
    mfi_mutex mutex;
    size_t count;                   /* guarded by mutex */
    void *objects[MFI_CACHE_DEPOT]; /* guarded by mutex */
} mfi_cache;

#define MFI_CACHE_INIT(type, empty_function)                                                       \
    {                                                                                              \
        .size = sizeof(type), .empty = (empty_function), .mutex = MFI_MUTEX_INIT                   \
    }

/* A new object is all zero; a kept one is as it was put back. NULL without memory. Any thread. */
void *mfi_cache_get(mfi_cache *cache);
/* NULL is a no-op. Any thread. */
void mfi_cache_put(mfi_cache *cache, void *object);

#endif
