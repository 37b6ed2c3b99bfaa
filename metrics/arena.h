/* The memory of the instruments' cells. The caller supplies the memory, and no part is freed before
 * the whole. Plain memory is the default; memory shared between processes works too. */
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
mfi_heap_arena *mfi_arena_heap_create(void);
void mfi_arena_heap_destroy(mfi_heap_arena *heap);
mfi_arena mfi_arena_heap_as(mfi_heap_arena *heap);
/* Bytes handed out since the start. */
size_t mfi_arena_heap_used(mfi_heap_arena *heap);

#endif
