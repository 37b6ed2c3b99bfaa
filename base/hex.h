/* Hexadecimal text, eight digits at a time in one register, and big-endian numbers. */
#ifndef MFI_BASE_HEX_H
#define MFI_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MFI_EACH_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

static inline uint64_t mfi_big64(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return word;
#else
    return __builtin_bswap64(word);
#endif
}

static inline uint64_t mfi_load_be64(const void *from)
{
    uint64_t word = 0;
    memcpy(&word, from, sizeof word);
    return mfi_big64(word);
}

static inline void mfi_store_be64(void *to, uint64_t word)
{
    word = mfi_big64(word);
    memcpy(to, &word, sizeof word);
}

static inline uint32_t mfi_load_be32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static inline void mfi_store_be32(uint8_t *to, uint32_t word)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(word >> (24 - 8 * i));
    }
}

/* Writes eight lower-case digits, the highest first. */
static inline void mfi_hex_write8(char *to, uint32_t number)
{
    uint64_t digits = number; /* spread to one in each byte */
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & MFI_EACH_BYTE(0x0f);
    uint64_t letters = ((digits + MFI_EACH_BYTE(6)) >> 4) & MFI_EACH_BYTE(1);
    mfi_store_be64(to, digits + MFI_EACH_BYTE('0') + letters * ('a' - '0' - 10));
}

/* The high bit of each byte of text that is at least `least`; all bytes are below 0x80. */
static inline uint64_t mfi_bytes_at_least(uint64_t text, uint8_t least)
{
    return (text | MFI_EACH_BYTE(0x80)) - MFI_EACH_BYTE(least);
}

/* Whether these eight bytes are all digits or lower-case letters of hexadecimal numbers. */
static inline bool mfi_hex_is_lower8(uint64_t text)
{
    uint64_t digit = mfi_bytes_at_least(text, '0') & ~mfi_bytes_at_least(text, '9' + 1);
    uint64_t letter = mfi_bytes_at_least(text, 'a') & ~mfi_bytes_at_least(text, 'f' + 1);
    return (((digit | letter) & ~text) & MFI_EACH_BYTE(0x80)) == MFI_EACH_BYTE(0x80);
}

/* Reads eight digits, of either case; false if one is none. */
static inline bool mfi_hex_read8(const char *from, uint32_t *ret_number)
{
    uint64_t text = mfi_load_be64(from);
    uint64_t lower = text | MFI_EACH_BYTE(0x20);
    uint64_t high = mfi_bytes_at_least(text, '0') & MFI_EACH_BYTE(0x80); /* 0x20 made none of it */
    if (high != MFI_EACH_BYTE(0x80) || !mfi_hex_is_lower8(lower)) {
        return false;
    }
    uint64_t digits = (lower & MFI_EACH_BYTE(0x0f)) + ((lower >> 6) & MFI_EACH_BYTE(1)) * 9;
    digits = (digits | digits >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits >> 8) & UINT64_C(0x0000ffff0000ffff);
    *ret_number = (uint32_t)(digits | digits >> 16);
    return true;
}

#endif
