/* Big-endian numbers on every machine, and constants for working on 8 bytes in one word. */
#ifndef MFI_BASE_BYTES_H
#define MFI_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

/* A word whose 8 bytes are all x. */
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

static inline uint16_t mfi_load_be16(const uint8_t *from)
{
    return (uint16_t)(from[0] << 8 | from[1]);
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

#endif
