/* A binary heap of entries that are due at some time, the earliest first. An entry is a member of
 * its owner's struct and records its place, so that it is moved or removed in O(log n).
 * Not thread-safe. */
#ifndef MFI_BASE_HEAP_H
#define MFI_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mfi_heap_entry {
    uint64_t due; /* any unit; the smallest is first */
    size_t place; /* 0: in no heap; else position + 1 */
} mfi_heap_entry;

/* All zero: empty. */
typedef struct mfi_heap {
    mfi_heap_entry **entries;
    size_t count, capacity;
} mfi_heap;

void mfi_heap_fini(mfi_heap *heap); /* frees the table; the owners keep their entries */
/* Adds an entry, or moves it. False without memory: the entry is then in no heap. */
bool mfi_heap_set(mfi_heap *heap, mfi_heap_entry *entry, uint64_t due);
/* An entry that is in no heap stays as it is. */
void mfi_heap_remove(mfi_heap *heap, mfi_heap_entry *entry);
static inline mfi_heap_entry *mfi_heap_first(const mfi_heap *heap)
{
    return heap->count > 0 ? heap->entries[0] : NULL;
}

#endif
