/* One TCP connection that speaks ZMTP: its handshake, the payloads that come, the bytes that wait
 * to leave. Never blocks. Used by one thread at a time. */
#ifndef MFI_TRANSPORT_DIRECT_CONNECTION_H
#define MFI_TRANSPORT_DIRECT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/transport/direct/zmtp.h"
#include "core/transport/transport.h"

#define MFI_INBOX_BYTES ((size_t)64 * 1024)

/* What was read from one connection and not looked at yet. A transport has one for all of them. */
typedef struct mfi_inbox {
    uint8_t *bytes;
    const uint8_t *at, *end;
} mfi_inbox;

bool mfi_inbox_open(mfi_inbox *inbox); /* false without memory */
void mfi_inbox_close(mfi_inbox *inbox);

typedef enum mfi_connection_phase {
    MFI_CONNECTION_CONNECTING,
    MFI_CONNECTION_GREETING,
    MFI_CONNECTION_HANDSHAKE,
    MFI_CONNECTION_UP
} mfi_connection_phase;

typedef struct mfi_segment mfi_segment;

typedef struct mfi_connection {
    int fd;
    mfi_connection_phase phase;
    bool is_router;
    mfi_zmtp_reader reader;
    uint8_t early[MFI_ZMTP_COMMAND_BYTES]; /* of the greeting; then of a command */
    size_t early_size;
    mfi_message partial;       /* the payload that is being read */
    size_t partial_size;       /* what has come of it */
    uint64_t partials;         /* payloads that were read so, ever */
    mfi_segment *first, *last; /* what waits to leave */
    uint8_t *spare;            /* the memory of a small segment, for the next one */
    size_t waiting_bytes;
    size_t waiting_memory; /* what they take: of small ones more than there are */
    uint32_t waiting;      /* messages */
    uint32_t waiting_most;
} mfi_connection;

/* Takes over the descriptor, which does not block. */
void mfi_connection_init(mfi_connection *connection, int fd, const mfi_transport_options *options);
void mfi_connection_fini(mfi_connection *connection);
/* It is connected: the greeting is to leave. False without memory. */
bool mfi_connection_greet(mfi_connection *connection);

/* ---- Out ---- */

/* As mfi_transport_ops.send, but for MFI_IO_UNROUTABLE. What is queued leaves with a flush. */
mfi_io mfi_connection_send(mfi_connection *connection, mfi_buf *payload);
bool mfi_connection_has_room(const mfi_connection *connection); /* for one more message */
static inline bool mfi_connection_has_unsent(const mfi_connection *connection)
{
    return connection->first != NULL;
}
static inline bool mfi_connection_is_within_payload(const mfi_connection *connection)
{
    return connection->partial.data != NULL;
}
/* MFI_IO_DONE: all is sent; MFI_IO_AGAIN: the rest has to wait; MFI_IO_FAILED: the peer takes no
 * more, and what waited is dropped. It may have sent before, which is read as ever: the end comes
 * with a fill. */
mfi_io mfi_connection_flush(mfi_connection *connection);

/* ---- In ---- */

/* Reads what is there. The inbox is open, and empty. MFI_IO_DONE, MFI_IO_AGAIN, MFI_IO_FAILED. */
mfi_io mfi_connection_fill(mfi_connection *connection, mfi_inbox *inbox);

typedef enum mfi_connection_news {
    MFI_NEWS_NONE, /* the inbox is empty */
    MFI_NEWS_UP,   /* the handshake is over */
    MFI_NEWS_MESSAGE,
    MFI_NEWS_MALFORMED, /* as MFI_IO_MALFORMED */
    MFI_NEWS_BROKEN     /* what comes is no ZMTP, breaks a limit, or there is no memory */
} mfi_connection_news;

/* Next, after a fill, until it says MFI_NEWS_NONE. *ret_message is empty before. */
mfi_connection_news mfi_connection_next(mfi_connection *connection, mfi_inbox *inbox,
                                        mfi_message *ret_message);

#endif
