/* Large zeroed memory that is used a bit at a time; pages that are not touched take no memory.
 *
 * calloc() does not promise that: it clears memory that it reuses, and the system may back the
 * first byte with a page of 2 MiB. */
#ifndef MFI_BASE_PAGES_H
#define MFI_BASE_PAGES_H

#include <stddef.h>

/* size: bytes. The memory begins at a page. NULL without memory. */
void *mfi_pages_allocate(size_t size);
/* size: as it was allocated. NULL is a no-op. */
void mfi_pages_free(void *memory, size_t size);

#endif
