/* Releasing a received payload, wherever its memory came from. A file of its own, so that the
 * implementations of the transport need nothing of the file that picks one of them. */
#include "core/transport/message.h"

void mfi_message_release(mfi_message *message)
{
    if (message->release != NULL) {
        message->release(message);
        message->release = NULL;
        message->data = NULL;
        message->size = 0;
    }
}
