/* The memory that received bytes take: those of one read, and those of one payload. */
#ifndef MFI_TRANSPORT_DIRECT_BODY_H
#define MFI_TRANSPORT_DIRECT_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/transport/message.h"

#define MFI_INBOX_BYTES ((size_t)64 * 1024)

/* Bytes that were read from one connection and not parsed yet. A transport has one inbox. */
typedef struct mfi_inbox {
    uint8_t *bytes;
    const uint8_t *at, *end;
} mfi_inbox;

bool mfi_inbox_open(mfi_inbox *inbox); /* false without memory */
void mfi_inbox_close(mfi_inbox *inbox);

/* Gives an empty message memory for that many bytes. False without memory. */
bool mfi_body_make(mfi_message *message, size_t size);
/* The same memory, to be written. */
uint8_t *mfi_body_memory(mfi_message *message);

#endif
