/* The bytes of ZMTP: writes our frames, and reads the peer's in pieces of any size. Trusts no
 * length before it is compared with its limit. */
#include "core/transport/direct/zmtp.h"

#include <string.h>

#include "base/bytes.h"

enum { FLAG_MORE = 1, FLAG_LONG = 2, FLAG_COMMAND = 4 };

#define SHORT_MAX 255
#define MECHANISM_AT 12
#define MECHANISM_BYTES 20
#define PING_TTL_BYTES 2
#define PING_CONTEXT_MAX 16

/* ---- Greeting ---- */

static const uint8_t mechanism[MECHANISM_BYTES] = "NULL";

/* The signature, with which no older protocol begins, the version and the mechanism; as-server and
 * filler are zero. */
void mfi_zmtp_greeting(uint8_t greeting[MFI_ZMTP_GREETING_BYTES])
{
    memset(greeting, 0, MFI_ZMTP_GREETING_BYTES);
    greeting[0] = 0xFF;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    greeting[11] = 1;
    memcpy(greeting + MECHANISM_AT, mechanism, sizeof mechanism);
}

bool mfi_zmtp_greeting_fits(const uint8_t *greeting, size_t size)
{
    bool fits = size < 1 || greeting[0] == 0xFF;
    fits = fits && (size < 10 || (greeting[9] & 1) != 0);
    fits = fits && (size < 11 || greeting[10] >= 3);
    for (size_t i = MECHANISM_AT; i < size && i < MECHANISM_AT + MECHANISM_BYTES; i++) {
        fits = fits && greeting[i] == mechanism[i - MECHANISM_AT];
    }
    return fits;
}

/* ---- Commands ---- */

/* A command is one byte of length, a name, and data. The data, or NULL for another command. */
static const uint8_t *command_data(const uint8_t *body, size_t size, const char *name)
{
    size_t length = strlen(name);
    bool fits = size > length && body[0] == length && memcmp(body + 1, name, length) == 0;
    return fits ? body + 1 + length : NULL;
}

size_t mfi_zmtp_ready(uint8_t frame[MFI_ZMTP_READY_BYTES], bool is_router)
{
    static const uint8_t name_and_key[18] = "\5READY\13Socket-Type";
    static const uint8_t types[2][6] = {"DEALER", "ROUTER"};
    uint8_t *at = frame + 2;
    memcpy(at, name_and_key, sizeof name_and_key);
    at += sizeof name_and_key;
    mfi_store_be32(at, sizeof types[0]);
    at += 4;
    memcpy(at, types[is_router], sizeof types[0]);
    at += sizeof types[0];
    frame[0] = FLAG_COMMAND;
    frame[1] = (uint8_t)(at - frame - 2);
    return (size_t)(at - frame);
}

/* Names of properties ignore case. */
static bool is_named(const uint8_t *name, size_t size, const char *wanted)
{
    if (size != strlen(wanted)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        uint8_t lower = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + 32) : name[i];
        if (lower != (uint8_t)wanted[i]) {
            return false;
        }
    }
    return true;
}

static bool may_talk(const uint8_t *type, size_t size, bool is_router)
{
    static const char *const to_router[] = {"DEALER", "REQ", "ROUTER"};
    static const char *const to_dealer[] = {"ROUTER", "REP", "DEALER"};
    for (size_t i = 0; i < 3; i++) {
        const char *each = is_router ? to_router[i] : to_dealer[i];
        if (size == strlen(each) && memcmp(type, each, size) == 0) {
            return true;
        }
    }
    return false;
}

/* A property is one byte of length and a name, then 4 bytes of length and a value. */
bool mfi_zmtp_ready_fits(const uint8_t *body, size_t size, bool is_router)
{
    const uint8_t *end = body + size;
    const uint8_t *at = command_data(body, size, "READY");
    bool fits = false;
    while (at != NULL && at != end) {
        size_t name_size = *at++;
        if ((size_t)(end - at) < name_size + 4) {
            return false;
        }
        const uint8_t *name = at;
        size_t value_size = mfi_load_be32(at + name_size);
        at += name_size + 4;
        if ((size_t)(end - at) < value_size) {
            return false;
        }
        fits = fits ||
               (is_named(name, name_size, "socket-type") && may_talk(at, value_size, is_router));
        at += value_size;
    }
    return fits;
}

/* A PING is 2 bytes of time to live and a context, which the PONG repeats. */
size_t mfi_zmtp_pong(uint8_t frame[MFI_ZMTP_PONG_BYTES], const uint8_t *body, size_t size)
{
    static const uint8_t name[5] = "\4PONG";
    const uint8_t *data = command_data(body, size, "PING");
    size_t context = data != NULL ? (size_t)(body + size - data) : 0;
    if (context < PING_TTL_BYTES || context > PING_TTL_BYTES + PING_CONTEXT_MAX) {
        return 0;
    }
    context -= PING_TTL_BYTES;
    frame[0] = FLAG_COMMAND;
    frame[1] = (uint8_t)(sizeof name + context);
    memcpy(frame + 2, name, sizeof name);
    memcpy(frame + 2 + sizeof name, data + PING_TTL_BYTES, context);
    return 2 + sizeof name + context;
}

/* ---- Frames ---- */

size_t mfi_zmtp_front(uint8_t front[MFI_ZMTP_FRONT_BYTES], uint64_t payload_size)
{
    front[0] = FLAG_MORE;
    front[1] = 0;
    if (payload_size <= SHORT_MAX) {
        front[2] = 0;
        front[3] = (uint8_t)payload_size;
        return 4;
    }
    front[2] = FLAG_LONG;
    mfi_store_be64(front + 3, payload_size);
    return 11;
}

void mfi_zmtp_reader_init(mfi_zmtp_reader *reader, uint64_t most_bytes)
{
    *reader = (mfi_zmtp_reader){.most = most_bytes};
}

/* Reads a frame's head: flags, then a length of 1 or 8 bytes. False if the head is invalid. */
static bool take_head(mfi_zmtp_reader *reader, uint64_t most)
{
    const uint8_t *head = reader->head;
    bool is_command = (head[0] & FLAG_COMMAND) != 0;
    uint64_t size = (head[0] & FLAG_LONG) != 0 ? mfi_load_be64(head + 1) : head[1];
    if ((head[0] & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND)) != 0 ||
        (is_command && (head[0] & FLAG_MORE) != 0) ||
        size > (is_command ? MFI_ZMTP_COMMAND_BYTES : most)) {
        return false; /* the head stays, so that the next call fails too */
    }
    reader->flags = head[0];
    reader->body = size;
    reader->left = size;
    reader->head_size = 0;
    reader->in_body = true;
    reader->frames += !is_command && reader->frames < 3 ? 1 : 0;
    return true;
}

static uint8_t head_bytes(const mfi_zmtp_reader *reader)
{
    return reader->head_size != 0 && (reader->head[0] & FLAG_LONG) != 0 ? 9 : 2;
}

/* True when the head is complete. */
static bool gather_head(mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end)
{
    while (reader->head_size < head_bytes(reader) && *at != end) {
        reader->head[reader->head_size++] = *(*at)++;
    }
    return reader->head_size == head_bytes(reader);
}

static bool is_payload(const mfi_zmtp_reader *reader)
{
    return reader->in_body && (reader->flags & FLAG_COMMAND) == 0 && reader->frames == 2;
}

/* Ends a body; returns the kind of message that is complete with it. */
static mfi_zmtp_kind end_body(mfi_zmtp_reader *reader)
{
    bool is_command = (reader->flags & FLAG_COMMAND) != 0;
    bool ends = !is_command && (reader->flags & FLAG_MORE) == 0;
    unsigned frames = reader->frames;
    mfi_zmtp_kind kind = is_command            ? MFI_ZMTP_COMMAND
                         : frames == 2         ? MFI_ZMTP_PAYLOAD
                         : ends && frames == 1 ? MFI_ZMTP_MALFORMED
                                               : MFI_ZMTP_NOTHING;
    reader->in_body = false;
    reader->frames = ends ? 0 : frames;
    return kind;
}

mfi_zmtp_kind mfi_zmtp_read(mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end,
                            mfi_zmtp_part *ret_part)
{
    for (;;) {
        if (!reader->in_body) {
            if (!gather_head(reader, at, end)) {
                return MFI_ZMTP_NOTHING;
            }
            if (!take_head(reader, reader->most)) {
                return MFI_ZMTP_BROKEN;
            }
        }
        size_t there = (size_t)(end - *at);
        size_t size = reader->left < there ? (size_t)reader->left : there;
        bool ends = size == reader->left;
        mfi_zmtp_kind kind = (reader->flags & FLAG_COMMAND) != 0 ? MFI_ZMTP_COMMAND
                             : is_payload(reader)                ? MFI_ZMTP_PAYLOAD
                                                                 : MFI_ZMTP_NOTHING;
        *ret_part = (mfi_zmtp_part){.data = *at,
                                    .size = size,
                                    .body_size = reader->body,
                                    .first = reader->left == reader->body,
                                    .last = ends};
        *at += size;
        reader->left -= size;
        if (ends) {
            kind = end_body(reader);
        } else if (size == 0) {
            kind = MFI_ZMTP_NOTHING; /* only the head was read */
        }
        if (kind != MFI_ZMTP_NOTHING || !ends) {
            return kind;
        }
    }
}

bool mfi_zmtp_admit_oversize(mfi_zmtp_reader *reader)
{
    bool has_head = !reader->in_body && reader->head_size != 0;
    return has_head && (reader->head[0] & FLAG_COMMAND) == 0 && reader->frames == 1 &&
           take_head(reader, UINT64_MAX);
}

bool mfi_zmtp_read_whole(const mfi_zmtp_reader *reader, const uint8_t **at, const uint8_t *end,
                         const uint8_t **ret_payload, size_t *ret_size)
{
    const uint8_t *from = *at;
    size_t there = (size_t)(end - from);
    bool is_between = !reader->in_body && reader->head_size == 0 && reader->frames == 0;
    if (!is_between || there < 4 || from[0] != FLAG_MORE || from[1] != 0 ||
        (from[2] != 0 && (from[2] != FLAG_LONG || there < MFI_ZMTP_FRONT_BYTES))) {
        return false;
    }
    bool is_long = from[2] == FLAG_LONG;
    size_t front = is_long ? MFI_ZMTP_FRONT_BYTES : 4;
    uint64_t size = is_long ? mfi_load_be64(from + 3) : from[3];
    if (size > reader->most || size > there - front) {
        return false;
    }
    *ret_payload = from + front;
    *ret_size = (size_t)size;
    *at = from + front + size;
    return true;
}

uint64_t mfi_zmtp_payload_left(const mfi_zmtp_reader *reader)
{
    return is_payload(reader) ? reader->left : 0;
}

void mfi_zmtp_took(mfi_zmtp_reader *reader, uint64_t bytes)
{
    reader->left -= bytes;
    if (reader->left == 0) {
        (void)end_body(reader);
    }
}
