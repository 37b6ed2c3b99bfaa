/* One TCP connection that speaks ZMTP: its handshake, received payloads and unsent bytes. No
 * function blocks. Used by one thread at a time. */
#ifndef MFI_TRANSPORT_DIRECT_CONNECTION_H
#define MFI_TRANSPORT_DIRECT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/transport/direct/body.h"
#include "core/transport/direct/zmtp.h"
#include "core/transport/transport.h"

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
    uint8_t early[MFI_ZMTP_COMMAND_BYTES]; /* the part of the greeting, later of a command */
    size_t early_size;
    mfi_message partial;       /* the payload that is being received */
    size_t partial_size;       /* bytes of it that are received */
    bool is_cut;               /* the current payload is too large: only its first bytes are kept */
    uint64_t partials;         /* number of payloads received in parts since the start */
    mfi_segment *first, *last; /* unsent segments */
    uint8_t *spare;            /* the memory of a small segment, kept for the next one */
    size_t waiting_bytes;
    size_t waiting_memory; /* bytes of memory that unsent segments take */
    mfi_budget *budget;    /* of the transport, or NULL */
    size_t charged;        /* bytes of it */
    uint32_t waiting;      /* unsent messages */
    uint32_t waiting_most; /* unsent messages at most */
} mfi_connection;

/* Owns the descriptor, which is non-blocking. */
void mfi_connection_init(mfi_connection *connection, int fd, const mfi_transport_options *options);
void mfi_connection_fini(mfi_connection *connection);
/* Queues the greeting, once the connection is established. False without memory. */
bool mfi_connection_greet(mfi_connection *connection);

/* ---- Out ---- */

/* As mfi_transport_ops.send, without MFI_IO_UNROUTABLE. mfi_connection_flush() sends the queue. */
mfi_io mfi_connection_send(mfi_connection *connection, mfi_buf *payload);
bool mfi_connection_has_room(const mfi_connection *connection); /* for one message more */
static inline bool mfi_connection_has_unsent(const mfi_connection *connection)
{
    return connection->first != NULL;
}
static inline bool mfi_connection_is_within_payload(const mfi_connection *connection)
{
    return connection->partial.data != NULL;
}
/* Sends queued bytes. MFI_IO_DONE: all are sent; MFI_IO_AGAIN: the rest stays queued;
 * MFI_IO_FAILED: the peer reads no more, and the queue is dropped. Bytes that the peer sent before
 * can still be read; the end of the connection is reported by mfi_connection_fill(). */
mfi_io mfi_connection_flush(mfi_connection *connection);

/* From here on the connection's bytes are charged to no budget. */
void mfi_connection_leave_budget(mfi_connection *connection);

/* ---- In ---- */

/* Reads into the inbox, which is open and empty. MFI_IO_DONE, MFI_IO_AGAIN, MFI_IO_FAILED. */
mfi_io mfi_connection_fill(mfi_connection *connection, mfi_inbox *inbox);

typedef enum mfi_connection_news {
    MFI_NEWS_NONE, /* the inbox is empty */
    MFI_NEWS_UP,   /* the handshake is complete */
    MFI_NEWS_MESSAGE,
    MFI_NEWS_MALFORMED, /* as MFI_IO_MALFORMED */
    MFI_NEWS_BROKEN     /* the bytes are no ZMTP or break a limit, or there is no memory */
} mfi_connection_news;

/* Parses the inbox after a fill; to be called until MFI_NEWS_NONE. *ret_message is empty before. */
mfi_connection_news mfi_connection_next(mfi_connection *connection, mfi_inbox *inbox,
                                        mfi_message *ret_message);

#endif
