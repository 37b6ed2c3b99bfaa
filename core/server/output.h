/* Captures what the process prints, and sends it to the parents of its children.
 *
 * There is one capture for the process, however many children it has: descriptors 1 and 2 lead into
 * pipes from the first child that forwards until the last one has stopped. */
#ifndef MFI_SERVER_OUTPUT_H
#define MFI_SERVER_OUTPUT_H

#include <stdbool.h>

#include <multifrost/context.h>

#include "base/list.h"
#include "core/server/message.h"

/* A child that forwards what the process prints. All zero: it does not. */
typedef struct mfi_forwarding {
    mfi_list_node node;
    mfi_channel *channel; /* NULL: not begun */
} mfi_forwarding;

/* Starts to forward all lines to the peers of the channel. A stream that leads into a pipe which
 * the parent reads is not captured; its lines get there without a message, and stdout is flushed
 * after each line. */
mf_status mfi_forwarding_start(mfi_forwarding *forwarding, mfi_channel *channel, mf_error *error);
/* Queues what is still in the pipes. The last child restores the streams. Also for one that was
 * never started. */
void mfi_forwarding_stop(mfi_forwarding *forwarding);

/* A handler that runs. On the stack of its thread. */
typedef struct mfi_printing {
    mfi_list_node node;
    const mf_context *context;
    bool is_listed;
} mfi_printing;

/* Around each handler, on its thread: the lines that are read between the two carry the context's
 * correlation id, unless several handlers run. Nothing happens where nothing is captured. */
void mfi_printing_enter(mfi_printing *printing, const mf_context *context);
void mfi_printing_leave(mfi_printing *printing);

#endif
