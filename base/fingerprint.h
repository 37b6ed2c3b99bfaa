/* A fingerprint of named values: FNV-1a of 64 bits (G. Fowler, L. C. Noll, K.-P. Vo). Equal values
 * give equal fingerprints in every process. It tells apart what differs by accident: an attacker
 * can find two inputs with one fingerprint. */
#ifndef MFI_BASE_FINGERPRINT_H
#define MFI_BASE_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MFI_FINGERPRINT_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t mfi_fingerprint_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* The terminating NUL is hashed too, so that "ab", "c" differs from "a", "bc". NULL is another text
 * than "". */
static inline uint64_t mfi_fingerprint_text(uint64_t hash, const char *name, const char *text)
{
    hash = mfi_fingerprint_bytes(hash, name, strlen(name) + 1);
    hash = mfi_fingerprint_bytes(hash, text != NULL ? "=" : "-", 1);
    return mfi_fingerprint_bytes(hash, text != NULL ? text : "",
                                 text != NULL ? strlen(text) + 1 : 1);
}

static inline uint64_t mfi_fingerprint_number(uint64_t hash, const char *name, int64_t number)
{
    unsigned char bytes[8]; /* the same on every machine */
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)((uint64_t)number >> 8 * i);
    }
    hash = mfi_fingerprint_bytes(hash, name, strlen(name) + 1);
    return mfi_fingerprint_bytes(hash, bytes, sizeof bytes);
}

#endif
