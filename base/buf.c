/* Buffers in which messages, log lines and pages are built. A failure stays set, so that a caller
 * appends all parts and checks once at the end. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"

#define FIRST_CAPACITY 256

void mfi_buf_init(mfi_buf *buf, size_t max)
{
    *buf = (mfi_buf){.max = max};
}

void mfi_buf_fini(mfi_buf *buf)
{
    mfi_block_put(buf->data, buf->capacity);
    *buf = (mfi_buf){.max = buf->max};
}

void mfi_buf_clear(mfi_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    buf->no_memory = false;
}

static size_t buf_max(const mfi_buf *buf)
{
    return buf->max == 0 ? SIZE_MAX / 2 : buf->max;
}

void mfi_buf_reuse(mfi_buf *buf, size_t most, size_t max)
{
    if (buf->capacity > most) {
        mfi_buf_fini(buf);
    }
    mfi_buf_clear(buf);
    buf->max = max;
}

uint8_t *mfi_buf_grow(mfi_buf *buf, size_t most)
{
    if (buf->failed || most > SIZE_MAX / 2 - buf->size) {
        buf->failed = true;
        return NULL;
    }
    size_t needed = buf->size + most;
    if (needed > buf->capacity || buf->data == NULL) {
        size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        uint8_t *data = mfi_block_get(capacity);
        if (data == NULL) {
            buf->failed = true;
            buf->no_memory = true;
            return NULL;
        }
        if (buf->data != NULL) {
            memcpy(data, buf->data, buf->size);
        }
        mfi_block_put(buf->data, buf->capacity);
        buf->data = data;
        buf->capacity = capacity;
    }
    return buf->data + buf->size;
}

uint8_t *mfi_buf_reserve(mfi_buf *buf, size_t more)
{
    if (more > buf_max(buf) - buf->size) {
        buf->failed = true;
        return NULL;
    }
    return mfi_buf_grow(buf, more);
}

void mfi_buf_append(mfi_buf *buf, const void *data, size_t size)
{
    uint8_t *to = mfi_buf_reserve(buf, size);
    if (to != NULL && size > 0) {
        memcpy(to, data, size);
        buf->size += size;
    }
}

void mfi_buf_append_byte(mfi_buf *buf, uint8_t byte)
{
    mfi_buf_append(buf, &byte, 1);
}

void mfi_buf_append_str(mfi_buf *buf, const char *text)
{
    mfi_buf_append(buf, text, strlen(text));
}

void mfi_buf_printf(mfi_buf *buf, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length < 0) {
        buf->failed = true;
    } else if ((size_t)length < sizeof small) {
        mfi_buf_append(buf, small, (size_t)length);
    } else {
        char *to = (char *)mfi_buf_reserve(buf, (size_t)length + 1); /* vsnprintf adds a NUL */
        if (to != NULL) {
            (void)vsnprintf(to, (size_t)length + 1, format, again);
            buf->size += (size_t)length;
        }
    }
    va_end(again);
}

uint8_t *mfi_buf_take(mfi_buf *buf, size_t *ret_size)
{
    uint8_t *data = buf->data;
    *ret_size = buf->size;
    *buf = (mfi_buf){.max = buf->max};
    return data;
}
