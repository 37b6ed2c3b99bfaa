/* Captures what the process prints, and sends it to the parents. Engine thread. */
#ifndef MFI_SERVER_OUTPUT_H
#define MFI_SERVER_OUTPUT_H

#include "base/lines.h"
#include "core/engine/loop.h"
#include "core/server/message.h"

/* One stream of the process while it is captured. All zero: never captured. */
typedef struct mfi_capture {
    mfi_source source;
    mfi_lines lines;
    mfi_channel *channel; /* NULL: never captured */
    int fd;               /* 1 or 2 */
    int saved;            /* what fd was before; -1: not captured */
    int read_fd;
} mfi_capture;

typedef struct mfi_captures {
    mfi_capture streams[2]; /* stdout, stderr */
} mfi_captures;

mf_status mfi_captures_start(mfi_captures *captures, mfi_channel *channel, mf_error *error);
/* Restores the streams, and queues what is still in the pipes. */
void mfi_captures_stop(mfi_captures *captures);

#endif
