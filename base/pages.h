/* Large zeroed memory that is used a bit at a time: what is not touched takes no room.
 *
 * calloc() does not promise that: it clears what it has given before, and the system may back the
 * first byte with two megabytes at once. */
#ifndef MFI_BASE_PAGES_H
#define MFI_BASE_PAGES_H

#include <stddef.h>

/* Begins at a page; NULL without memory. */
void *mfi_pages_allocate(size_t size);
/* With the size that it was allocated with. NULL is a no-op. */
void mfi_pages_free(void *memory, size_t size);

#endif
