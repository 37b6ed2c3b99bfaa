/* Reads any bytes of a peer: in pieces of any size the reader finds the same as a plain parser,
 * also when the rest of a payload is read elsewhere; and no function reads behind the end of a
 * greeting, a READY or a PING. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/transport/direct/zmtp.h"

#define EVENT_BYTES 24 /* of a story, at most, for each two bytes of input, besides the bodies */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* In memory that is exactly as large, so that a sanitizer sees every byte read behind it. */
static uint8_t *exact(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    must(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

/* ---- What was told ---- */

typedef struct story {
    uint8_t *text;
    size_t size, room;
} story;

static void story_init(story *self, size_t input_size)
{
    self->size = 0;
    self->room = input_size + (input_size / 2 + 1) * EVENT_BYTES;
    self->text = malloc(self->room);
    must(self->text != NULL);
}

static void tell(story *self, const void *data, size_t size)
{
    must(size <= self->room - self->size);
    memcpy(self->text + self->size, data, size);
    self->size += size;
}

static void tell_begin(story *self, char kind, uint64_t body_size)
{
    tell(self, &kind, 1);
    tell(self, &body_size, sizeof body_size);
}

/* ---- Commands and greetings ---- */

static void check_pong(const uint8_t *body, size_t size)
{
    uint8_t *frame = malloc(MFI_ZMTP_PONG_BYTES);
    must(frame != NULL);
    size_t pong = mfi_zmtp_pong(frame, body, size);
    bool is_ping = size >= 7 && size <= 7 + 16 && memcmp(body, "\4PING", 5) == 0;
    must((pong != 0) == is_ping);
    if (is_ping) {
        must(pong == size && frame[0] == 4 && frame[1] == size - 2);
        must(memcmp(frame + 2, "\4PONG", 5) == 0);
        must(memcmp(frame + 7, body + 7, size - 7) == 0);
    }
    free(frame);
}

/* Who may talk to a socket says READY, with a socket type, and nothing that is cut. */
static void check_ready(const uint8_t *body, size_t size, bool is_router)
{
    bool fits = mfi_zmtp_ready_fits(body, size, is_router);
    uint8_t *more = malloc(size + 1);
    must(more != NULL);
    memcpy(more, body, size);
    more[size] = 0;
    must(!fits || (size >= 6 + 12 + 4 + 3 && memcmp(body, "\5READY", 6) == 0));
    must(!fits || !mfi_zmtp_ready_fits(more, size + 1, is_router));
    free(more);
}

static void check_command(const uint8_t *data, size_t size)
{
    uint8_t *body = exact(data, size);
    check_pong(body, size);
    check_ready(body, size, false);
    check_ready(body, size, true);
    free(body);
}

/* What is wrong stays wrong, and is no greeting without its four parts. */
static void check_greeting(const uint8_t *data, size_t size)
{
    bool fits = true;
    for (size_t i = 0; i <= size && i <= MFI_ZMTP_GREETING_BYTES; i++) {
        uint8_t *greeting = exact(data, i);
        bool fits_now = mfi_zmtp_greeting_fits(greeting, i);
        must(fits || !fits_now);
        fits = fits_now;
        free(greeting);
    }
    if (size >= MFI_ZMTP_GREETING_BYTES && fits) {
        must(data[0] == 0xFF && (data[9] & 1) != 0 && data[10] >= 3);
        must(memcmp(data + 12, "NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20) == 0);
    }
}

/* ---- A plain parser, of all bytes at once ---- */

typedef struct frame {
    uint8_t flags;
    uint64_t size;
    const uint8_t *body;
    size_t there; /* of the body */
} frame;

/* False at the end. */
static bool next_frame(frame *self, const uint8_t **at, const uint8_t *end)
{
    size_t head = *at != end && (**at & 2) != 0 ? 9 : 2;
    if ((size_t)(end - *at) < head) {
        return false;
    }
    self->flags = **at;
    self->size = 0;
    for (size_t i = 1; i < head; i++) {
        self->size = self->size << 8 | (*at)[i];
    }
    self->body = *at + head;
    self->there = (size_t)(end - self->body);
    self->there = self->size < self->there ? (size_t)self->size : self->there;
    *at = self->body + self->there;
    return true;
}

static bool is_broken(const frame *self, uint64_t most)
{
    bool is_command = (self->flags & 4) != 0;
    return self->flags > 7 || (is_command && (self->flags & 1) != 0) ||
           self->size > (is_command ? MFI_ZMTP_COMMAND_BYTES : most);
}

static void parse(story *told, const uint8_t *at, size_t size, uint64_t most)
{
    const uint8_t *end = at + size;
    uint64_t number = 0; /* of the frame in its message */
    frame each;
    while (next_frame(&each, &at, end)) {
        bool is_command = (each.flags & 4) != 0;
        bool is_whole = each.there == each.size;
        if (is_broken(&each, most)) {
            tell_begin(told, 'B', 0);
            return;
        }
        number += is_command ? 0 : 1;
        if ((is_command || number == 2) && (each.there > 0 || is_whole)) {
            tell_begin(told, is_command ? 'C' : 'P', each.size);
            tell(told, each.body, each.there);
            tell(told, ")", is_whole ? 1 : 0);
        }
        if (is_command && is_whole) {
            check_command(each.body, each.there);
        }
        if (!is_command && (each.flags & 1) == 0 && is_whole) {
            if (number == 1) {
                tell_begin(told, 'M', 0);
            }
            number = 0;
        }
    }
}

/* ---- The reader ---- */

typedef struct ear {
    mfi_zmtp_reader reader;
    story told;
    bool as_connection;      /* whole messages and rests of payloads the short way */
    bool is_broken, is_open; /* a body */
    uint64_t got;            /* of the open body */
} ear;

static void hear_part(ear *self, char kind, const mfi_zmtp_part *part)
{
    must(part->first == !self->is_open);
    if (part->first) {
        tell_begin(&self->told, kind, part->body_size);
        self->got = 0;
    }
    tell(&self->told, part->data, part->size);
    self->got += part->size;
    must(self->got <= part->body_size && part->last == (self->got == part->body_size));
    must(part->size > 0 || part->body_size == 0);
    must(mfi_zmtp_payload_left(&self->reader) == (kind == 'P' ? part->body_size - self->got : 0));
    tell(&self->told, ")", part->last ? 1 : 0);
    self->is_open = !part->last;
}

static bool hear_whole(ear *self, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;
    const uint8_t *payload = NULL;
    size_t payload_size = 0;
    if (!mfi_zmtp_read_whole(&self->reader, at, end, &payload, &payload_size)) {
        must(*at == from);
        return false;
    }
    must(!self->is_open && payload > from && payload + payload_size == *at && *at <= end);
    tell_begin(&self->told, 'P', payload_size);
    tell(&self->told, payload, payload_size);
    tell(&self->told, ")", 1);
    return true;
}

static void hear(ear *self, const uint8_t *data, size_t size)
{
    uint8_t *copy = exact(data, size);
    const uint8_t *at = copy;
    mfi_zmtp_kind kind = self->is_broken ? MFI_ZMTP_BROKEN : MFI_ZMTP_PAYLOAD;
    while (kind != MFI_ZMTP_NOTHING && kind != MFI_ZMTP_BROKEN) {
        mfi_zmtp_part part = {0};
        while (self->as_connection && hear_whole(self, &at, copy + size)) {
        }
        const uint8_t *from = at;
        kind = mfi_zmtp_read(&self->reader, &at, copy + size, &part);
        must(at >= from && at <= copy + size);
        if (kind == MFI_ZMTP_PAYLOAD || kind == MFI_ZMTP_COMMAND) {
            must(part.data >= from && part.data + part.size == at);
            hear_part(self, kind == MFI_ZMTP_PAYLOAD ? 'P' : 'C', &part);
        } else if (kind == MFI_ZMTP_NOTHING) {
            must(at == copy + size);
        } else {
            self->is_broken = kind == MFI_ZMTP_BROKEN;
            tell_begin(&self->told, self->is_broken ? 'B' : 'M', 0);
        }
    }
    free(copy);
}

/* The rest of a payload that has begun goes past the reader, as when it is received to where it
 * belongs. Gives how much that was. */
static size_t take(ear *self, const uint8_t *data, size_t size)
{
    uint64_t left = mfi_zmtp_payload_left(&self->reader);
    if (self->is_broken || !self->is_open || left == 0 || size == 0) {
        return 0;
    }
    size = left < size ? (size_t)left : size;
    tell(&self->told, data, size);
    self->got += size;
    mfi_zmtp_took(&self->reader, size);
    must(mfi_zmtp_payload_left(&self->reader) == left - size);
    if (size == left) {
        tell(&self->told, ")", 1);
        self->is_open = false;
    }
    return size;
}

/* xorshift, as in driver.c. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* In pieces of up to so many bytes. */
static void check_pieces(const story *wanted, const uint8_t *data, size_t size, uint64_t most,
                         uint32_t piece_most, bool as_connection, uint32_t seed)
{
    ear self = {.as_connection = as_connection};
    mfi_zmtp_reader_init(&self.reader, most);
    story_init(&self.told, size);
    for (size_t at = 0; at < size;) {
        size_t piece = 1 + next_random(&seed) % piece_most;
        piece = piece < size - at ? piece : size - at;
        size_t taken = as_connection ? take(&self, data + at, piece) : 0;
        hear(&self, data + at + taken, piece - taken);
        at += piece;
    }
    must(self.told.size == wanted->size);
    must(wanted->size == 0 || memcmp(self.told.text, wanted->text, wanted->size) == 0);
    free(self.told.text);
}

/* FNV-1a. */
static uint32_t hash(const uint8_t *data, size_t size)
{
    uint32_t state = 2166136261u;
    for (size_t i = 0; i < size; i++) {
        state = (state ^ data[i]) * 16777619u;
    }
    return state | 1;
}

static void check_frames(const uint8_t *data, size_t size)
{
    static const uint64_t limits[] = {0, 5, 100, 1000, 1000, UINT64_MAX};
    uint32_t seed = hash(data, size);
    uint64_t most = limits[seed / 2 % (sizeof limits / sizeof limits[0])];
    story wanted;
    story_init(&wanted, size);
    parse(&wanted, data, size, most);
    check_pieces(&wanted, data, size, most, 1, false, seed);
    check_pieces(&wanted, data, size, most, 1, true, seed);
    check_pieces(&wanted, data, size, most, 12, false, seed);
    check_pieces(&wanted, data, size, most, 12, true, seed);
    check_pieces(&wanted, data, size, most, 300, true, seed);
    check_pieces(&wanted, data, size, most, UINT32_MAX, false, seed);
    check_pieces(&wanted, data, size, most, UINT32_MAX, true, seed);
    free(wanted.text);
}

/* As a connection has them, a greeting and frames; and the same bytes as anything else. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_greeting(data, size);
    check_command(data, size);
    check_frames(data, size);
    if (size > MFI_ZMTP_GREETING_BYTES) {
        check_frames(data + MFI_ZMTP_GREETING_BYTES, size - MFI_ZMTP_GREETING_BYTES);
    }
    return 0;
}
