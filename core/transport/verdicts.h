/* Which sources of messages are admitted, for a transport that cannot refuse a connection: libzmq
 * accepts by itself, and names the descriptor from which a message came. */
#ifndef MFI_TRANSPORT_VERDICTS_H
#define MFI_TRANSPORT_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/transport/message.h"

#define MFI_VERDICTS 256 /* places; a source that finds its place taken is judged again */

typedef struct mfi_verdicts {
    struct {
        mfi_route route;
        uint64_t socket; /* the inode of the descriptor's socket, when it was judged */
        int fd;
        bool is_set, is_admitted;
    } places[MFI_VERDICTS];
} mfi_verdicts;

/* Whether messages of this route are taken. Judges a source once, as long as it keeps its place. A
 * descriptor that is closed by now keeps its verdict. */
bool mfi_verdicts_admit(mfi_verdicts *verdicts, const mfi_route *route, int fd,
                        bool (*admits)(void *data, int fd), void *data);

/* Whether the other end of a connection is closed. Such a peer is no stranger when it is refused,
 * because nobody can tell any more who it was. */
bool mfi_has_gone(int fd);

#endif
