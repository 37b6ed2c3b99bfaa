/* Hexadecimal text, 8 digits at a time in one word. */
#ifndef MFI_BASE_HEX_H
#define MFI_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Writes 8 lower-case digits, the highest first. */
static inline void mfi_hex_write8(char *to, uint32_t number)
{
    uint64_t digits = number; /* then spread: one digit in each byte */
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & MFI_EACH_BYTE(0x0f);
    uint64_t letters = ((digits + MFI_EACH_BYTE(6)) >> 4) & MFI_EACH_BYTE(1);
    mfi_store_be64(to, digits + MFI_EACH_BYTE('0') + letters * ('a' - '0' - 10));
}

/* Sets the high bit of each byte that is at least `least`. All bytes of text are below 0x80. */
static inline uint64_t mfi_bytes_at_least(uint64_t text, uint8_t least)
{
    return (text | MFI_EACH_BYTE(0x80)) - MFI_EACH_BYTE(least);
}

/* Whether all 8 bytes are digits or lower-case letters of hexadecimal numbers. */
static inline bool mfi_hex_is_lower8(uint64_t text)
{
    uint64_t digit = mfi_bytes_at_least(text, '0') & ~mfi_bytes_at_least(text, '9' + 1);
    uint64_t letter = mfi_bytes_at_least(text, 'a') & ~mfi_bytes_at_least(text, 'f' + 1);
    return (((digit | letter) & ~text) & MFI_EACH_BYTE(0x80)) == MFI_EACH_BYTE(0x80);
}

/* Reads 8 digits of either case; false if one of them is no digit. */
static inline bool mfi_hex_read8(const char *from, uint32_t *ret_number)
{
    uint64_t text = mfi_load_be64(from);
    uint64_t lower = text | MFI_EACH_BYTE(0x20);
    uint64_t high = mfi_bytes_at_least(text, '0') & MFI_EACH_BYTE(0x80); /* 0x20 makes no digit */
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
