/* Pages: zeroed, and without room in memory until they are touched. */
#include "base/pages.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mf_test.h"

#define PAGES 64

static int resident(void *memory, size_t page)
{
    unsigned char in_memory[PAGES] = {0};
    int count = 0;
    mf_check_int(mincore(memory, PAGES * page, in_memory), 0);
    for (int i = 0; i < PAGES; i++) {
        count += in_memory[i] & 1;
    }
    return count;
}

static void test_untouched_pages_take_no_room(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = mfi_pages_allocate(PAGES * page);
    if (!mf_check(memory != NULL)) {
        return;
    }
    mf_check_int((uintptr_t)memory % page, 0);
    mf_check_int(resident(memory, page), 0);
    memory[5 * page] = 1;
    memory[60 * page + 7] = 1;
    mf_check_int(resident(memory, page), 2);
    mfi_pages_free(memory, PAGES * page);
    /* It is gone from the address space. */
    unsigned char in_memory[PAGES];
    mf_check_int(mincore(memory, PAGES * page, in_memory), -1);
}

static void test_memory_is_zeroed_each_time(void)
{
    const size_t size = 100001; /* no whole number of pages */
    for (int round = 0; round < 3; round++) {
        unsigned char *memory = mfi_pages_allocate(size);
        size_t set = 0;
        for (size_t i = 0; memory != NULL && i < size; i++) {
            set += memory[i] != 0;
        }
        mf_check(memory != NULL && set == 0);
        memset(memory, 0xff, size);
        mfi_pages_free(memory, size);
    }
}

static void test_too_much_is_refused(void)
{
    mf_check(mfi_pages_allocate(SIZE_MAX / 4) == NULL);
    mf_check(mfi_pages_allocate(0) == NULL);
    mfi_pages_free(NULL, 4096);
}

static const mf_test tests[] = {
    {"pages__untouched_ones_take_no_room", test_untouched_pages_take_no_room},
    {"pages__are_zeroed_each_time", test_memory_is_zeroed_each_time},
    {"pages__too_much_is_refused", test_too_much_is_refused},
};
MF_TEST_MAIN(tests)
