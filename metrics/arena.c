/* The default memory of cells: chunks from the heap, handed out in whole cache lines, so that the
 * instruments of different threads share no line. */
#include "metrics/arena.h"

#include <stdlib.h>

#include "base/mutex.h"
#include "base/pages.h"

#define LINE ((size_t)64)
#define CHUNK_BYTES ((size_t)256 * 1024)

typedef struct chunk {
    struct chunk *next;
    size_t used; /* bytes, this header included */
    size_t size; /* bytes */
} chunk;

struct mfi_heap_arena {
    mfi_mutex mutex;
    chunk *chunks; /* guarded by mutex; the first chunk is in use */
    size_t used;   /* guarded by mutex; bytes */
};

mfi_heap_arena *mfi_arena_heap_create(void)
{
    mfi_heap_arena *heap = calloc(1, sizeof *heap);
    if (heap != NULL) {
        mfi_mutex_init(&heap->mutex);
    }
    return heap;
}

void mfi_arena_heap_destroy(mfi_heap_arena *heap)
{
    if (heap == NULL) {
        return;
    }
    while (heap->chunks != NULL) {
        chunk *first = heap->chunks;
        heap->chunks = first->next;
        mfi_pages_free(first, first->size);
    }
    mfi_mutex_fini(&heap->mutex);
    free(heap);
}

static chunk *new_chunk(size_t needed)
{
    size_t size = needed + LINE > CHUNK_BYTES ? needed + LINE : CHUNK_BYTES;
    chunk *added = mfi_pages_allocate(size);
    if (added != NULL) {
        added->used = LINE;
        added->size = size;
    }
    return added;
}

static void *heap_allocate(void *self, size_t size)
{
    mfi_heap_arena *heap = self;
    size_t needed = (size + LINE - 1) & ~(LINE - 1);
    void *memory = NULL;
    mfi_mutex_lock(&heap->mutex);
    chunk *top = heap->chunks;
    if (top == NULL || top->size - top->used < needed) {
        top = new_chunk(needed);
        if (top != NULL) {
            top->next = heap->chunks;
            heap->chunks = top;
        }
    }
    if (top != NULL) {
        memory = (char *)top + top->used;
        top->used += needed;
        heap->used += needed;
    }
    mfi_mutex_unlock(&heap->mutex);
    return memory;
}

mfi_arena mfi_arena_heap_as(mfi_heap_arena *heap)
{
    return (mfi_arena){.allocate = heap_allocate, .self = heap};
}

size_t mfi_arena_heap_used(mfi_heap_arena *heap)
{
    mfi_mutex_lock(&heap->mutex);
    size_t used = heap->used;
    mfi_mutex_unlock(&heap->mutex);
    return used;
}
