/* The ZeroMQ Message Transport Protocol, ZMTP 3.1 with the NULL mechanism (RFC 37 of the ZeroMQ
 * project): bytes in, bytes out, no sockets, no memory.
 *
 * Either side sends a greeting, then the command READY with its socket type, then frames. A message
 * is a row of frames; those of this protocol are an empty delimiter and the payload. */
#ifndef MFI_TRANSPORT_DIRECT_ZMTP_H
#define MFI_TRANSPORT_DIRECT_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFI_ZMTP_GREETING_BYTES 64
#define MFI_ZMTP_READY_BYTES 64    /* at most, of ours */
#define MFI_ZMTP_COMMAND_BYTES 512 /* at most, of a peer's; longer ones are an error */
#define MFI_ZMTP_FRONT_BYTES 11    /* at most: delimiter frame and the head of the payload's */
#define MFI_ZMTP_PONG_BYTES 24     /* at most */

void mfi_zmtp_greeting(uint8_t greeting[MFI_ZMTP_GREETING_BYTES]);
/* What has come of the peer's greeting so far: false as soon as it cannot become one of ZMTP 3 with
 * the mechanism NULL. */
bool mfi_zmtp_greeting_fits(const uint8_t *greeting, size_t size);

/* The frame of our READY; gives its size. */
size_t mfi_zmtp_ready(uint8_t frame[MFI_ZMTP_READY_BYTES], bool is_router);
/* The body of the peer's READY: whether its socket type may talk to ours. */
bool mfi_zmtp_ready_fits(const uint8_t *body, size_t size, bool is_router);

/* The body of a command: the frame that answers it, if it is a PING. Gives its size, 0: none. */
size_t mfi_zmtp_pong(uint8_t frame[MFI_ZMTP_PONG_BYTES], const uint8_t *body, size_t size);

/* What goes in front of a payload of that size; gives its own size. */
size_t mfi_zmtp_front(uint8_t front[MFI_ZMTP_FRONT_BYTES], uint64_t payload_size);

/* ---- Reading frames ---- */

typedef struct mfi_zmtp_reader {
    uint64_t most; /* of a frame's body */
    uint64_t body; /* the size of the body that is being read */
    uint64_t left; /* of it */
    uint8_t head[9];
    uint8_t head_size; /* of what has come of it */
    uint8_t flags;
    bool in_body;
    unsigned frames; /* of the message, up to 3: later ones are all the same */
} mfi_zmtp_reader;

typedef enum mfi_zmtp_kind {
    MFI_ZMTP_NOTHING,   /* all bytes are read */
    MFI_ZMTP_PAYLOAD,   /* a part of the second frame of a message */
    MFI_ZMTP_COMMAND,   /* a part of a command's body */
    MFI_ZMTP_MALFORMED, /* a message of one frame: there is no payload. It is over. */
    MFI_ZMTP_BROKEN     /* no ZMTP, or a body larger than it may be. No more can be read. */
} mfi_zmtp_kind;

typedef struct mfi_zmtp_part {
    const uint8_t *data;
    size_t size;
    uint64_t body_size; /* of the whole body */
    bool first, last;   /* of the body's parts; an empty body has one */
} mfi_zmtp_part;

void mfi_zmtp_reader_init(mfi_zmtp_reader *reader, uint64_t most_bytes);
/* Reads on from *at, which it moves, up to the next part or the end. */
mfi_zmtp_kind mfi_zmtp_read(mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end,
                            mfi_zmtp_part *ret_part);
/* The short way for what comes nearly always: an empty delimiter and a payload that lie whole
 * between *at and the end. False if that is not what is there; then nothing was taken. */
bool mfi_zmtp_read_whole(const mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end,
                         const uint8_t **ret_payload, size_t *ret_size);
/* How many bytes of a payload are still to come after a first part, 0 outside of one: who reads
 * some of them elsewhere says so with mfi_zmtp_took(). */
uint64_t mfi_zmtp_payload_left(const mfi_zmtp_reader *reader);
void mfi_zmtp_took(mfi_zmtp_reader *reader, uint64_t bytes);

#endif
