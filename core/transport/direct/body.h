/* The memory of one received payload. */
#ifndef MFI_TRANSPORT_DIRECT_BODY_H
#define MFI_TRANSPORT_DIRECT_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/transport/message.h"

/* Gives an empty message memory for that many bytes. False without memory. */
bool mfi_body_make(mfi_message *message, size_t size);
/* The same memory, to be written. */
uint8_t *mfi_body_memory(mfi_message *message);

#endif
