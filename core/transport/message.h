/* What travels: the route to a peer, and a payload that was received. */
#ifndef MFI_TRANSPORT_MESSAGE_H
#define MFI_TRANSPORT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* Which peer a message came from, and an answer goes to. Empty on the parent's side. */
typedef struct mfi_route {
    uint8_t size;
    uint8_t bytes[255];
} mfi_route;

#define MFI_MESSAGE_STORAGE 64

/* A received payload. Owns the implementation's memory until it is released; stays where it was
 * received. All zero: empty. */
typedef struct mfi_message {
    const uint8_t *data;
    size_t size;
    void (*release)(struct mfi_message *message);           /* NULL: empty */
    _Alignas(8) unsigned char storage[MFI_MESSAGE_STORAGE]; /* the implementation's own */
} mfi_message;

void mfi_message_release(mfi_message *message); /* also of an empty one; leaves it empty */

#endif
