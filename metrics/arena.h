/* The memory of the instruments' cells. The caller supplies the memory, and no part is freed before
 * the whole. Plain memory is the default; memory shared between processes works too. */
#ifndef MFI_METRICS_ARENA_H
#define MFI_METRICS_ARENA_H

#include <stddef.h>

/* What cells are for, so that memory which outlives its process describes itself. */
typedef enum mfi_cells_kind {
    MFI_CELLS_COUNTERS = 1, /* mfi_counter_page */
    MFI_CELLS_EDGES = 2,    /* mfi_edges */
    MFI_CELLS_OCTAVE = 3    /* mfi_octave */
} mfi_cells_kind;

typedef struct mfi_cells_tag {
    mfi_cells_kind kind;
    unsigned shard, octave;
} mfi_cells_tag;

typedef struct mfi_arena {
    /* Zeroed memory, aligned to 64 bytes, or NULL. Thread-safe. */
    void *(*allocate)(void *self, size_t size);
    void *self;
    /* Memory for the cells of a histogram alone, aligned to 8 bytes. NULL: there is no such memory,
     * allocate serves all. Pointers always come from allocate. */
    void *(*cells)(void *self, size_t size, unsigned series, mfi_cells_tag tag);
    unsigned series; /* for cells: number of the histogram's series there */
} mfi_arena;

typedef struct mfi_heap_arena mfi_heap_arena;

/* The default: chunks from the heap. NULL without memory. */
mfi_heap_arena *mfi_arena_heap_create(void);
void mfi_arena_heap_destroy(mfi_heap_arena *heap);
mfi_arena mfi_arena_heap_as(mfi_heap_arena *heap);
/* Bytes handed out since the start. */
size_t mfi_arena_heap_used(mfi_heap_arena *heap);

#endif
