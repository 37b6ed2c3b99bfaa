/* A growable byte buffer with a hard cap, and bounded formatting into it. */
#ifndef MFI_BASE_BUF_H
#define MFI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/export.h>

typedef struct mfi_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t max;     /* hard cap; growing beyond it sets failed */
    bool failed;    /* sticky: an append found the cap or no memory; later appends do nothing */
    bool no_memory; /* failed because memory was missing, not because of the cap */
} mfi_buf;

/* max: bytes; 0 means SIZE_MAX / 2. Allocates nothing. */
void mfi_buf_init(mfi_buf *buf, size_t max);
void mfi_buf_fini(mfi_buf *buf);
/* Keeps the memory; drops content and failure. */
void mfi_buf_clear(mfi_buf *buf);
/* Clears the buffer and sets a new cap. Keeps its memory if that has at most `most` bytes. */
void mfi_buf_reuse(mfi_buf *buf, size_t most, size_t max);
/* Room for `more` bytes behind size, or NULL (failed is then set). Does not change size. */
uint8_t *mfi_buf_reserve(mfi_buf *buf, size_t more);
/* Room for `most` bytes behind size, also beyond the cap, or NULL (failed is then set). For a
 * caller that knows an upper bound and writes less: mfi_buf_advance() checks the cap. */
uint8_t *mfi_buf_grow(mfi_buf *buf, size_t most);
static inline uint8_t *mfi_buf_room(mfi_buf *buf, size_t most)
{
    bool fits = most < buf->capacity - buf->size && !buf->failed;
    return fits ? buf->data + buf->size : mfi_buf_grow(buf, most);
}
/* The caller has written everything up to `end` into the room. */
static inline void mfi_buf_advance(mfi_buf *buf, const uint8_t *end)
{
    size_t size = (size_t)(end - buf->data);
    if (buf->max != 0 && size > buf->max) {
        buf->failed = true;
    } else {
        buf->size = size;
    }
}
void mfi_buf_append(mfi_buf *buf, const void *data, size_t size);
void mfi_buf_append_byte(mfi_buf *buf, uint8_t byte);
void mfi_buf_append_str(mfi_buf *buf, const char *text);
void mfi_buf_printf(mfi_buf *buf, const char *format, ...) MF_PRINTF(2, 3);
/* Transfers the memory to the caller, to be released with free(). NULL if nothing was written. */
uint8_t *mfi_buf_take(mfi_buf *buf, size_t *ret_size);

#endif
