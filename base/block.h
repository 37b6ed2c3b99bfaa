/* Memory for large buffers, kept for reuse up to a bound for the whole process: what was used
 * before needs no new pages from the system. Any thread; a block may be given back on another one.
 */
#ifndef MFI_BASE_BLOCK_H
#define MFI_BASE_BLOCK_H

#include <stddef.h>

/* capacity is a power of two. free() may be used on it as well. NULL without memory. */
void *mfi_block_get(size_t capacity);
/* NULL is a no-op. */
void mfi_block_put(void *block, size_t capacity);

#endif
