/* Random ids from a per-thread buffered CSPRNG (getrandom), refilled in blocks, never shared over
 * fork. */
#ifndef MFI_BASE_ID_H
#define MFI_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFI_UUID_TEXT 37 /* 36 characters and the NUL */

typedef struct mfi_uuid {
    uint8_t bytes[16];
} mfi_uuid;

/* Random bytes; never fails (blocks only before the kernel's pool is ready, at boot). */
void mfi_random(void *to, size_t size);
uint64_t mfi_random_u64(void);
/* 64 bits for what has to be unique but need not be a secret: trace ids, jitter, choices. */
uint64_t mfi_random_fast(void);

/* A version 4, variant 1 UUID (RFC 9562). */
mfi_uuid mfi_uuid_make(void);
/* The same, whose last six bytes are zero: the caller gives them. */
mfi_uuid mfi_uuid_begin(void);
void mfi_uuid_format(const mfi_uuid *uuid, char to[MFI_UUID_TEXT]);
/* Canonical text of 36 characters, either case, any version. */
bool mfi_uuid_parse(const char *text, size_t length, mfi_uuid *ret_uuid);

/* Counts up in a forked child: what was made in another generation belongs to another process. */
uint64_t mfi_fork_generation(void);

#endif
