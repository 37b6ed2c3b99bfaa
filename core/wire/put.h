/* Writes msgpack straight into memory with enough room. Each function returns the position behind
 * the bytes that it wrote; the forms are the shortest, as in msgpack-c. */
#ifndef MFI_WIRE_PUT_H
#define MFI_WIRE_PUT_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "core/wire/limits.h"

/* Bytes of the largest header: of a number, or of a text, array or map. */
#define MFI_PUT_NUMBER_MAX ((size_t)9)
#define MFI_PUT_HEADER_MAX ((size_t)5)

/* Write the first byte and a big-endian number. */
static inline uint8_t *mfi_put_16(uint8_t *to, uint8_t first, uint16_t number)
{
    to[0] = first;
    to[1] = (uint8_t)(number >> 8);
    to[2] = (uint8_t)number;
    return to + 3;
}

static inline uint8_t *mfi_put_32(uint8_t *to, uint8_t first, uint32_t number)
{
    to[0] = first;
    to[1] = (uint8_t)(number >> 24);
    to[2] = (uint8_t)(number >> 16);
    to[3] = (uint8_t)(number >> 8);
    to[4] = (uint8_t)number;
    return to + 5;
}

static inline uint8_t *mfi_put_64(uint8_t *to, uint8_t first, uint64_t number)
{
    to[0] = first;
    to[1] = (uint8_t)(number >> 56);
    to[2] = (uint8_t)(number >> 48);
    to[3] = (uint8_t)(number >> 40);
    to[4] = (uint8_t)(number >> 32);
    to[5] = (uint8_t)(number >> 24);
    to[6] = (uint8_t)(number >> 16);
    to[7] = (uint8_t)(number >> 8);
    to[8] = (uint8_t)number;
    return to + 9;
}

static inline uint8_t *mfi_put_byte(uint8_t *to, uint8_t byte)
{
    to[0] = byte;
    return to + 1;
}

static inline uint8_t *mfi_put_double(uint8_t *to, double number)
{
    uint64_t bits = 0;
    memcpy(&bits, &number, sizeof bits);
    return mfi_put_64(to, 0xcb, bits);
}

static inline uint8_t *mfi_put_uint(uint8_t *to, uint64_t number)
{
    if (number < 0x80) {
        return mfi_put_byte(to, (uint8_t)number);
    }
    if (number <= UINT8_MAX) {
        return mfi_put_byte(mfi_put_byte(to, 0xcc), (uint8_t)number);
    }
    if (number <= UINT16_MAX) {
        return mfi_put_16(to, 0xcd, (uint16_t)number);
    }
    return number <= UINT32_MAX ? mfi_put_32(to, 0xce, (uint32_t)number)
                                : mfi_put_64(to, 0xcf, number);
}

static inline uint8_t *mfi_put_int(uint8_t *to, int64_t number)
{
    if (number >= 0) {
        return mfi_put_uint(to, (uint64_t)number);
    }
    if (number >= -32) {
        return mfi_put_byte(to, (uint8_t)number);
    }
    if (number >= INT8_MIN) {
        return mfi_put_byte(mfi_put_byte(to, 0xd0), (uint8_t)number);
    }
    if (number >= INT16_MIN) {
        return mfi_put_16(to, 0xd1, (uint16_t)number);
    }
    return number >= INT32_MIN ? mfi_put_32(to, 0xd2, (uint32_t)number)
                               : mfi_put_64(to, 0xd3, (uint64_t)number);
}

static inline uint8_t *mfi_put_array(uint8_t *to, uint32_t count)
{
    if (count <= 15) {
        return mfi_put_byte(to, (uint8_t)(0x90u | count));
    }
    return count <= UINT16_MAX ? mfi_put_16(to, 0xdc, (uint16_t)count)
                               : mfi_put_32(to, 0xdd, count);
}

static inline uint8_t *mfi_put_map(uint8_t *to, uint32_t pairs)
{
    if (pairs <= 15) {
        return mfi_put_byte(to, (uint8_t)(0x80u | pairs));
    }
    return pairs <= UINT16_MAX ? mfi_put_16(to, 0xde, (uint16_t)pairs)
                               : mfi_put_32(to, 0xdf, pairs);
}

/* Copies short texts without a call: in words, the last two of which overlap. */
static inline uint8_t *mfi_put_bytes(uint8_t *to, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    if (size > 128) {
        memcpy(to, from, size);
    } else if (size >= 16) {
        for (size_t at = 0; at + 16 < size; at += 16) {
            memcpy(to + at, from + at, 16);
        }
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size > 0) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
    return to + size;
}

/* Writes a str; size is below 2^32. */
static inline uint8_t *mfi_put_text(uint8_t *to, const char *text, size_t size)
{
    if (size <= 31) {
        to = mfi_put_byte(to, (uint8_t)(0xa0u | size));
    } else if (size <= UINT8_MAX) {
        to = mfi_put_byte(mfi_put_byte(to, 0xd9), (uint8_t)size);
    } else {
        to = size <= UINT16_MAX ? mfi_put_16(to, 0xda, (uint16_t)size)
                                : mfi_put_32(to, 0xdb, (uint32_t)size);
    }
    return mfi_put_bytes(to, text, size);
}

/* Writes a literal of at most 31 bytes as a str: a few stores of constants. */
#define MFI_PUT_WORD(to, word) mfi_put_word((to), "" word, sizeof(word) - 1)
static inline uint8_t *mfi_put_word(uint8_t *to, const char *word, size_t size)
{
    to[0] = (uint8_t)(0xa0u | size);
    memcpy(to + 1, word, size);
    return to + 1 + size;
}

/* Appends a value if it is plain: a scalar, a short str, or a short array of these, within all
 * limits and fit to be sent. Otherwise returns false and appends nothing; the caller then uses
 * writer.h. True also if the buffer failed. */
bool mfi_put_plain(mfi_buf *to, const mf_value *value, const mfi_limits *limits);

#endif
