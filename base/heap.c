/* The binary heap: entries sift up and down, and each entry records its place. The engine's timers
 * and deadlines share it, so that all are ordered in the same way. */
#include "base/heap.h"

#include <stdlib.h>

#define FIRST_CAPACITY 16

static void put(mfi_heap *heap, size_t at, mfi_heap_entry *entry)
{
    heap->entries[at] = entry;
    entry->place = at + 1;
}

static void sift_up(mfi_heap *heap, size_t at)
{
    mfi_heap_entry *entry = heap->entries[at];
    while (at > 0) {
        size_t above = (at - 1) / 2;
        if (heap->entries[above]->due <= entry->due) {
            break;
        }
        put(heap, at, heap->entries[above]);
        at = above;
    }
    put(heap, at, entry);
}

static void sift_down(mfi_heap *heap, size_t at)
{
    mfi_heap_entry *entry = heap->entries[at];
    for (;;) {
        size_t below = at * 2 + 1;
        if (below >= heap->count) {
            break;
        }
        if (below + 1 < heap->count && heap->entries[below + 1]->due < heap->entries[below]->due) {
            below++;
        }
        if (entry->due <= heap->entries[below]->due) {
            break;
        }
        put(heap, at, heap->entries[below]);
        at = below;
    }
    put(heap, at, entry);
}

void mfi_heap_remove(mfi_heap *heap, mfi_heap_entry *entry)
{
    if (entry->place == 0) {
        return;
    }
    size_t at = entry->place - 1;
    entry->place = 0;
    heap->count--;
    if (at < heap->count) { /* the last entry takes the place that became free */
        mfi_heap_entry *last = heap->entries[heap->count];
        put(heap, at, last);
        sift_up(heap, at);
        sift_down(heap, last->place - 1);
    }
}

bool mfi_heap_set(mfi_heap *heap, mfi_heap_entry *entry, uint64_t due)
{
    mfi_heap_remove(heap, entry);
    entry->due = due;
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : heap->capacity * 2;
        mfi_heap_entry **entries = realloc(heap->entries, capacity * sizeof(mfi_heap_entry *));
        if (entries == NULL) {
            return false;
        }
        heap->entries = entries;
        heap->capacity = capacity;
    }
    put(heap, heap->count, entry);
    heap->count++;
    sift_up(heap, heap->count - 1);
    return true;
}

void mfi_heap_fini(mfi_heap *heap)
{
    free(heap->entries);
    *heap = (mfi_heap){0};
}
