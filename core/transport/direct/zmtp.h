/* The ZeroMQ Message Transport Protocol, ZMTP 3.1 with the NULL mechanism (RFC 37 of the ZeroMQ
 * project): bytes in, bytes out, no sockets, no memory.
 *
 * Each side sends a greeting, then the command READY with its socket type, then messages. A message
 * is a sequence of frames; here an empty delimiter and the payload. */
#ifndef MFI_TRANSPORT_DIRECT_ZMTP_H
#define MFI_TRANSPORT_DIRECT_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFI_ZMTP_GREETING_BYTES 64
#define MFI_ZMTP_READY_BYTES 64    /* of our READY, at most */
#define MFI_ZMTP_COMMAND_BYTES 512 /* of a peer's command; longer ones are an error */
#define MFI_ZMTP_FRONT_BYTES 11    /* of the delimiter frame and the payload's head, at most */
#define MFI_ZMTP_PONG_BYTES 24     /* of our PONG, at most */

void mfi_zmtp_greeting(uint8_t greeting[MFI_ZMTP_GREETING_BYTES]);
/* Whether the bytes received so far can begin a greeting of ZMTP 3 with the mechanism NULL. */
bool mfi_zmtp_greeting_fits(const uint8_t *greeting, size_t size);

/* Writes our READY as a frame; returns its bytes. */
size_t mfi_zmtp_ready(uint8_t frame[MFI_ZMTP_READY_BYTES], bool is_router);
/* Whether the socket type in the body of the peer's READY may talk to ours. */
bool mfi_zmtp_ready_fits(const uint8_t *body, size_t size, bool is_router);

/* Writes the answer if a command's body is a PING. Returns its bytes, 0 without an answer. */
size_t mfi_zmtp_pong(uint8_t frame[MFI_ZMTP_PONG_BYTES], const uint8_t *body, size_t size);

/* Writes the bytes in front of a payload of that size; returns their number. */
size_t mfi_zmtp_front(uint8_t front[MFI_ZMTP_FRONT_BYTES], uint64_t payload_size);

/* ---- Reading frames ---- */

typedef struct mfi_zmtp_reader {
    uint64_t most; /* bytes of a body at most */
    uint64_t body; /* bytes of the current body */
    uint64_t left; /* bytes of the current body that are not read yet */
    uint8_t head[9];
    uint8_t head_size; /* bytes of the head that are read */
    uint8_t flags;
    bool in_body;
    unsigned frames; /* of the current message, counted up to 3 */
} mfi_zmtp_reader;

typedef enum mfi_zmtp_kind {
    MFI_ZMTP_NOTHING,   /* all bytes are read */
    MFI_ZMTP_PAYLOAD,   /* a part of a message's second frame */
    MFI_ZMTP_COMMAND,   /* a part of a command's body */
    MFI_ZMTP_MALFORMED, /* the end of a message with one frame, and so without a payload */
    MFI_ZMTP_BROKEN     /* no ZMTP, or a body that is too large; nothing more can be read */
} mfi_zmtp_kind;

typedef struct mfi_zmtp_part {
    const uint8_t *data;
    size_t size;
    uint64_t body_size; /* of the whole body */
    bool first, last;   /* whether the part begins or ends the body; an empty body has one part */
} mfi_zmtp_part;

void mfi_zmtp_reader_init(mfi_zmtp_reader *reader, uint64_t most_bytes);
/* Reads from *at up to the next part or the end, and moves *at. */
mfi_zmtp_kind mfi_zmtp_read(mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end,
                            mfi_zmtp_part *ret_part);
/* After MFI_ZMTP_BROKEN: true if nothing is wrong but the size of a payload. The reader then goes
 * on with that payload, whatever its size; its parts have a body_size beyond most_bytes. */
bool mfi_zmtp_admit_oversize(mfi_zmtp_reader *reader);
/* The fast path: reads an empty delimiter and a payload that are complete between *at and end, as
 * nearly all messages are. False for anything else; *at is then unchanged. */
bool mfi_zmtp_read_whole(const mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end,
                         const uint8_t **ret_payload, size_t *ret_size);
/* Bytes of a payload that are left after its first part; 0 outside of a payload. A caller that
 * reads some of them elsewhere reports that with mfi_zmtp_took(). */
uint64_t mfi_zmtp_payload_left(const mfi_zmtp_reader *reader);
void mfi_zmtp_took(mfi_zmtp_reader *reader, uint64_t bytes);

#endif
