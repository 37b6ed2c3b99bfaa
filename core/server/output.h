/* What the process prints, caught and forwarded. Engine thread. */
#ifndef MFI_SERVER_OUTPUT_H
#define MFI_SERVER_OUTPUT_H

#include "base/lines.h"
#include "core/engine/loop.h"
#include "core/server/message.h"

/* One of the process's own streams while it is caught. All zero: never caught. */
typedef struct mfi_capture {
    mfi_source source;
    mfi_lines lines;
    mfi_channel *channel; /* NULL: never caught */
    int fd;               /* 1 or 2 */
    int saved;            /* what fd was before; -1: not caught */
    int read_fd;
} mfi_capture;

typedef struct mfi_captures {
    mfi_capture streams[2]; /* stdout, stderr */
} mfi_captures;

mf_status mfi_captures_start(mfi_captures *captures, mfi_channel *channel, mf_error *error);
/* Gives the streams back, and queues what was still in the pipes. */
void mfi_captures_stop(mfi_captures *captures);

#endif
