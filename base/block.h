/* Memory for large buffers, kept for reuse up to 8 MiB in the whole process. A reused block needs
 * no new pages from the system. Any thread may get a block, and another one may put it back. */
#ifndef MFI_BASE_BLOCK_H
#define MFI_BASE_BLOCK_H

#include <stddef.h>

/* capacity: bytes, a power of two. free() may release the block too. NULL without memory. */
void *mfi_block_get(size_t capacity);
/* Keeps the block for reuse or frees it. NULL is a no-op. */
void mfi_block_put(void *block, size_t capacity);

#endif
