/* Maps memory for tables that are made as large as they may become. Unused pages cost nothing. */
#include "base/pages.h"

#include <sys/mman.h>

void *mfi_pages_allocate(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(memory, size, MADV_NOHUGEPAGE); /* fails on kernels without huge pages */
    return memory;
}

void mfi_pages_free(void *memory, size_t size)
{
    if (memory != NULL) {
        (void)munmap(memory, size);
    }
}
