/* The heap returns the entry that is due first, whatever was moved or removed before. */
#include <stdlib.h>

#include "base/heap.h"
#include "mf_alloc.h"
#include "mf_test.h"

#define ENTRIES 200

static uint32_t state = 1;
static uint32_t next_random(void) /* xorshift32: the same numbers in every run */
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void check_order(mfi_heap *heap, size_t count)
{
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        mfi_heap_entry *first = mfi_heap_first(heap);
        mf_check(first != NULL && first->due >= before);
        before = first != NULL ? first->due : before;
        if (first != NULL) {
            mfi_heap_remove(heap, first);
            mf_check_int(first->place, 0);
        }
    }
    mf_check(mfi_heap_first(heap) == NULL);
}

static void test_gives_the_earliest_first(void)
{
    mfi_heap heap = {0};
    static mfi_heap_entry entries[ENTRIES];
    for (size_t i = 0; i < ENTRIES; i++) {
        mf_check(mfi_heap_set(&heap, &entries[i], next_random() % 50));
    }
    check_order(&heap, ENTRIES);
    mfi_heap_fini(&heap);
}

static void test_moves_and_removes_any_entry(void)
{
    mfi_heap heap = {0};
    static mfi_heap_entry entries[ENTRIES];
    size_t left = ENTRIES;
    for (size_t i = 0; i < ENTRIES; i++) {
        mf_check(mfi_heap_set(&heap, &entries[i], next_random()));
    }
    for (size_t i = 0; i < ENTRIES; i += 2) { /* later, earlier, as it falls */
        mf_check(mfi_heap_set(&heap, &entries[i], next_random()));
    }
    for (size_t i = 0; i < ENTRIES; i += 3) {
        mfi_heap_remove(&heap, &entries[i]);
        mfi_heap_remove(&heap, &entries[i]); /* no member any more: nothing happens */
        left--;
    }
    check_order(&heap, left);
    mfi_heap_fini(&heap);
}

static void test_without_memory_the_entry_is_in_no_heap(void)
{
    mfi_heap heap = {0};
    mfi_heap_entry entry = {0};
    mf_alloc_fail_at(0);
    mf_check(!mfi_heap_set(&heap, &entry, 1));
    mf_check(mf_alloc_stop());
    mf_check_int(entry.place, 0);
    mf_check(mfi_heap_first(&heap) == NULL);
    mf_check(mfi_heap_set(&heap, &entry, 1));
    mf_check(mfi_heap_first(&heap) == &entry);
    mfi_heap_fini(&heap);
}

static const mf_test tests[] = {
    {"gives_the_earliest_first", test_gives_the_earliest_first},
    {"moves_and_removes_any_entry", test_moves_and_removes_any_entry},
    {"without_memory_the_entry_is_in_no_heap", test_without_memory_the_entry_is_in_no_heap},
};
MF_TEST_MAIN(tests)
