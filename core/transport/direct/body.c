/* The memory of received payloads, and of bytes that are not parsed yet. It exists so that a
 * payload of any size is received into memory that is reused. */
#include "core/transport/direct/body.h"

#include "base/block.h"
#include "base/cache.h"

#define SMALL_BYTES 512               /* payloads up to this come from a cache */
#define SMALLEST_BLOCK ((size_t)4096) /* of base/block.h */

typedef struct small {
    uint8_t bytes[SMALL_BYTES];
} small;

static mfi_cache smalls = MFI_CACHE_INIT(small, NULL);

typedef struct body {
    void *memory;
    size_t capacity; /* SMALL_BYTES, or of a block */
} body;

_Static_assert(sizeof(body) <= MFI_MESSAGE_STORAGE, "what a message owns lies in it");

static void release_body(mfi_message *message)
{
    body *own = (body *)(void *)message->storage;
    if (own->capacity == SMALL_BYTES) {
        mfi_cache_put(&smalls, own->memory);
    } else {
        mfi_block_put(own->memory, own->capacity);
    }
}

bool mfi_body_make(mfi_message *message, size_t size)
{
    body *own = (body *)(void *)message->storage;
    if (size <= SMALL_BYTES) {
        own->capacity = SMALL_BYTES;
        own->memory = mfi_cache_get(&smalls);
    } else {
        own->capacity = SMALLEST_BLOCK;
        while (own->capacity < size) {
            own->capacity *= 2;
        }
        own->memory = mfi_block_get(own->capacity);
    }
    if (own->memory == NULL) {
        return false;
    }
    message->data = own->memory;
    message->size = size;
    message->release = release_body;
    return true;
}

uint8_t *mfi_body_memory(mfi_message *message)
{
    return ((body *)(void *)message->storage)->memory;
}

bool mfi_inbox_open(mfi_inbox *inbox)
{
    if (inbox->bytes == NULL) {
        inbox->bytes = mfi_block_get(MFI_INBOX_BYTES);
        inbox->at = inbox->bytes;
        inbox->end = inbox->bytes;
    }
    return inbox->bytes != NULL;
}

void mfi_inbox_close(mfi_inbox *inbox)
{
    mfi_block_put(inbox->bytes, MFI_INBOX_BYTES);
    *inbox = (mfi_inbox){0};
}
