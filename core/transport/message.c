/* Releases a received payload, whatever memory it is in. A file of its own, so that implementations
 * do not need transport.c, which names them all. */
#include "core/transport/message.h"

void mfi_message_release(mfi_message *message)
{
    if (message->release != NULL) {
        message->release(message);
        message->release = NULL;
        message->data = NULL;
        message->size = 0;
        message->cut = 0;
    }
}
