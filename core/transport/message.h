/* A received payload, and the route to its peer. */
#ifndef MFI_TRANSPORT_MESSAGE_H
#define MFI_TRANSPORT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* The peer that sent a message and receives the answer. Empty on the parent's side. */
typedef struct mfi_route {
    uint8_t size;
    uint8_t bytes[255];
} mfi_route;

#define MFI_MESSAGE_STORAGE 64

/* A received payload. Owns memory of the implementation until it is released. Must not be moved.
 * All zero: empty. */
typedef struct mfi_message {
    const uint8_t *data;
    size_t size;
    uint64_t cut; /* bytes behind data that were not kept, because the payload is too large */
    void (*release)(struct mfi_message *message);           /* NULL: empty */
    _Alignas(8) unsigned char storage[MFI_MESSAGE_STORAGE]; /* for the implementation */
} mfi_message;

void mfi_message_release(mfi_message *message); /* leaves it empty; an empty one is a no-op */

#endif
