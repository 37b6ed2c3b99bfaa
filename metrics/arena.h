/* Where the cells of instruments live: memory that the caller supplies and that is never given back
 * piece by piece. Plain memory by default; memory shared between processes can stand in for it. */
#ifndef MFI_METRICS_ARENA_H
#define MFI_METRICS_ARENA_H

#include <stddef.h>

typedef struct mfi_arena {
    /* Zeroed memory, aligned to 64 bytes, or NULL. Thread-safe. */
    void *(*allocate)(void *self, size_t size);
    void *self;
} mfi_arena;

typedef struct mfi_heap_arena mfi_heap_arena;

/* The default: chunks from the heap. NULL without memory. */
mfi_heap_arena *mfi_heap_arena_create(void);
void mfi_heap_arena_destroy(mfi_heap_arena *heap);
mfi_arena mfi_heap_arena_as(mfi_heap_arena *heap);
/* Bytes handed out so far. */
size_t mfi_heap_arena_used(mfi_heap_arena *heap);

#endif
