/* Random ids from getrandom(), buffered for each thread, never shared over a fork. */
#ifndef MFI_BASE_ID_H
#define MFI_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFI_UUID_TEXT 37 /* 36 characters and the NUL */

typedef struct mfi_uuid {
    uint8_t bytes[16];
} mfi_uuid;

/* Fills size bytes. Never fails; blocks only at boot, before the kernel's pool is ready. */
void mfi_random(void *to, size_t size);
uint64_t mfi_random_u64(void);
/* 64 bits that are unique but no secret: for trace ids, jitter and choices. */
uint64_t mfi_random_fast(void);

/* A version 4, variant 1 UUID (RFC 9562). */
mfi_uuid mfi_uuid_make(void);
/* A UUID whose last 6 bytes are zero; the caller fills them. */
mfi_uuid mfi_uuid_begin(void);
void mfi_uuid_format(const mfi_uuid *uuid, char to[MFI_UUID_TEXT]);
/* Reads the canonical text of 36 characters, either case, any version. */
bool mfi_uuid_parse(const char *text, size_t length, mfi_uuid *ret_uuid);

/* Counts forks. A value made in another generation belongs to another process. Never 0. */
uint64_t mfi_fork_generation(void);

/* Memory that is shared with another process, and that a forked child must not touch: before fork()
 * returns in the child, private zeroed memory takes its place there. address and size: whole pages.
 * False if MFI_FORK_COVERS_MAX ranges are known already. */
#define MFI_FORK_COVERS_MAX 8
bool mfi_fork_cover(void *address, size_t size);
/* Before the range is unmapped. */
void mfi_fork_uncover(void *address);

#endif
