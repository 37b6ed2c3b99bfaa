/* One TCP connection of the direct transport: its ZMTP handshake, its unsent bytes, and the memory
 * of received payloads. It exists so that the table of connections (peers.c) and the operations
 * (direct.c) deal in whole payloads only. No function blocks. */
#include "core/transport/direct/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/block.h"
#include "base/cache.h"

#define SEGMENT_BYTES ((size_t)64 * 1024)         /* capacity for many small messages */
#define WAITING_MEMORY ((size_t)32 * 1024 * 1024) /* unsent bytes beyond which none are queued */
#define ASKED_BYTES ((size_t)64 * 1024)           /* unsent bytes beyond which PINGs get no PONG */
#define PARTS_PER_CALL 64                         /* segments in one system call */
#define OWN_SEGMENT_BYTES ((size_t)8 * 1024)      /* from this size on a payload is not copied */
#define KEPT_OF_CUT_BYTES ((size_t)4096) /* of a payload that is too large: names its call */
#define SMALLEST_BLOCK ((size_t)4096)    /* of base/block.h */

/* ---- Beginning and end ---- */

void mfi_connection_init(mfi_connection *connection, int fd, const mfi_transport_options *options)
{
    *connection = (mfi_connection){.fd = fd,
                                   .is_router = options->is_child,
                                   .budget = options->budget,
                                   .waiting_most = (uint32_t)options->queue_messages};
    mfi_zmtp_reader_init(&connection->reader, options->max_message_bytes);
}

/* Unsent bytes: many small messages together, or a large payload in its own buffer. */
struct mfi_segment {
    mfi_segment *next;
    uint8_t *data;
    size_t size, sent, capacity;
    uint32_t messages; /* number of messages that end in the segment */
    bool is_open;      /* more messages may be appended */
};

static mfi_cache segments = MFI_CACHE_INIT(mfi_segment, NULL);

static void drop_first(mfi_connection *connection)
{
    mfi_segment *segment = connection->first;
    connection->first = segment->next;
    connection->last = segment->next != NULL ? connection->last : NULL;
    connection->waiting -= segment->messages;
    connection->waiting_bytes -= segment->size;
    connection->waiting_memory -= segment->is_open ? segment->capacity : segment->size;
    if (connection->spare == NULL && segment->capacity == SMALLEST_BLOCK) {
        connection->spare = segment->data;
    } else {
        mfi_block_put(segment->data, segment->capacity);
    }
    mfi_cache_put(&segments, segment);
}

static void settle(mfi_connection *connection)
{
    mfi_budget_settle(connection->budget, &connection->charged,
                      connection->waiting_memory + connection->partial_size);
}

static void drop_segments(mfi_connection *connection)
{
    while (connection->first != NULL) {
        drop_first(connection);
    }
    settle(connection);
}

void mfi_connection_leave_budget(mfi_connection *connection)
{
    mfi_budget_sub(connection->budget, connection->charged);
    connection->charged = 0;
    connection->budget = NULL;
}

void mfi_connection_fini(mfi_connection *connection)
{
    drop_segments(connection);
    mfi_connection_leave_budget(connection);
    mfi_block_put(connection->spare, SMALLEST_BLOCK);
    mfi_message_release(&connection->partial);
    (void)shutdown(connection->fd, SHUT_RDWR); /* a forked process may have a copy of it */
    (void)close(connection->fd);
    connection->fd = -1;
}

/* ---- Out ---- */

/* Owns the data if it succeeds; without memory the caller still does. */
static mfi_segment *add_segment(mfi_connection *connection, uint8_t *data, size_t capacity)
{
    mfi_segment *segment = mfi_cache_get(&segments);
    if (segment != NULL) {
        *segment = (mfi_segment){.data = data, .capacity = capacity};
        if (connection->last != NULL) {
            connection->last->next = segment;
        } else {
            connection->first = segment;
        }
        connection->last = segment;
    }
    return segment;
}

/* A segment with room for `size` more bytes; NULL without memory. */
static mfi_segment *segment_for(mfi_connection *connection, size_t size)
{
    mfi_segment *segment = connection->last;
    if (segment != NULL && segment->is_open && size <= segment->capacity - segment->size) {
        return segment;
    }
    /* Often a single message is unsent, or small ones stand between large payloads. */
    bool is_small = (segment == NULL || !segment->is_open) && size <= SMALLEST_BLOCK;
    size_t capacity = is_small ? SMALLEST_BLOCK : SEGMENT_BYTES;
    bool has_spare = is_small && connection->spare != NULL;
    uint8_t *data = has_spare ? connection->spare : mfi_block_get(capacity);
    connection->spare = has_spare ? NULL : connection->spare;
    segment = data != NULL ? add_segment(connection, data, capacity) : NULL;
    if (segment != NULL) {
        segment->is_open = true;
        connection->waiting_memory += capacity;
    } else {
        mfi_block_put(data, capacity);
    }
    return segment;
}

static void append(mfi_connection *connection, mfi_segment *segment, const void *data, size_t size)
{
    memcpy(segment->data + segment->size, data, size);
    segment->size += size;
    connection->waiting_bytes += size;
}

static void count_message(mfi_connection *connection, mfi_segment *segment)
{
    segment->messages++;
    connection->waiting++;
}

/* Queues bytes that are no message of the user. False if there is no memory, or if the peer sends
 * commands without reading the answers; such a peer can miss them. */
static bool put(mfi_connection *connection, const uint8_t *data, size_t size)
{
    mfi_segment *segment =
        connection->waiting_bytes < ASKED_BYTES ? segment_for(connection, size) : NULL;
    if (segment != NULL) {
        append(connection, segment, data, size);
    }
    return segment != NULL;
}

bool mfi_connection_greet(mfi_connection *connection)
{
    uint8_t greeting[MFI_ZMTP_GREETING_BYTES];
    connection->phase = MFI_CONNECTION_GREETING;
    mfi_zmtp_greeting(greeting);
    return put(connection, greeting, sizeof greeting);
}

/* Whether one more message may wait here. A single message always may, so that messages which are
 * charged already get on; the connection of a worker's peer has a share of the budget for more. */
static bool has_memory(const mfi_connection *connection)
{
    size_t waiting = connection->waiting_memory;
    return waiting < MFI_BUDGET_STEP ||
           (waiting < WAITING_MEMORY &&
            (!connection->is_router ||
             waiting < mfi_budget_share(connection->budget, WAITING_MEMORY)));
}

bool mfi_connection_has_room(const mfi_connection *connection)
{
    return connection->phase == MFI_CONNECTION_UP &&
           connection->waiting < connection->waiting_most && has_memory(connection);
}

mfi_io mfi_connection_send(mfi_connection *connection, mfi_buf *payload)
{
    uint8_t front[MFI_ZMTP_FRONT_BYTES];
    size_t front_size = mfi_zmtp_front(front, payload->size);
    bool is_own = payload->size >= OWN_SEGMENT_BYTES;
    if (!mfi_connection_has_room(connection)) {
        return MFI_IO_AGAIN;
    }
    mfi_segment *segment = segment_for(connection, front_size + (is_own ? 0 : payload->size));
    mfi_segment *own = segment != NULL && is_own
                           ? add_segment(connection, payload->data, payload->capacity)
                           : NULL;
    if (segment == NULL || (is_own && own == NULL)) {
        return MFI_IO_FAILED; /* without memory no part of the message is queued */
    }
    append(connection, segment, front, front_size);
    if (!is_own) {
        append(connection, segment, payload->data, payload->size);
        count_message(connection, segment);
        settle(connection);
        return MFI_IO_DONE;
    }
    own->size = payload->size;
    connection->waiting_bytes += payload->size;
    connection->waiting_memory += payload->size;
    count_message(connection, own);
    settle(connection);
    payload->data = NULL;
    payload->size = 0;
    payload->capacity = 0;
    return MFI_IO_DONE;
}

static void sent(mfi_connection *connection, size_t bytes)
{
    while (connection->first != NULL) {
        mfi_segment *segment = connection->first;
        size_t left = segment->size - segment->sent;
        if (bytes < left) {
            segment->sent += bytes;
            return;
        }
        bytes -= left;
        drop_first(connection);
    }
}

mfi_io mfi_connection_flush(mfi_connection *connection)
{
    struct iovec parts[PARTS_PER_CALL];
    while (connection->first != NULL) {
        struct msghdr message = {.msg_iov = parts};
        size_t wanted = 0;
        for (mfi_segment *segment = connection->first;
             segment != NULL && message.msg_iovlen < PARTS_PER_CALL; segment = segment->next) {
            size_t left = segment->size - segment->sent;
            parts[message.msg_iovlen++] = (struct iovec){segment->data + segment->sent, left};
            wanted += left;
        }
        ssize_t done = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) {
            drop_segments(connection);
            return MFI_IO_FAILED;
        }
        sent(connection, done > 0 ? (size_t)done : 0);
        settle(connection);
        if (done < 0 || (size_t)done < wanted) {
            return MFI_IO_AGAIN;
        }
    }
    return MFI_IO_DONE;
}

/* ---- In ---- */

/* Reads the rest of a payload into its own memory, and the bytes behind it into the inbox. */
mfi_io mfi_connection_fill(mfi_connection *connection, mfi_inbox *inbox)
{
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 0};
    size_t left = 0;
    if (connection->partial.data != NULL && !connection->is_cut) {
        left = (size_t)mfi_zmtp_payload_left(&connection->reader);
        parts[message.msg_iovlen++] =
            (struct iovec){mfi_body_memory(&connection->partial) + connection->partial_size, left};
    }
    parts[message.msg_iovlen++] = (struct iovec){inbox->bytes, MFI_INBOX_BYTES};
    ssize_t got = 0;
    do {
        got = recvmsg(connection->fd, &message, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN ? MFI_IO_AGAIN : MFI_IO_FAILED;
    }
    size_t took = (size_t)got < left ? (size_t)got : left;
    if (took != 0) {
        connection->partial_size += took;
        mfi_zmtp_took(&connection->reader, took);
    }
    inbox->at = inbox->bytes;
    inbox->end = inbox->bytes + ((size_t)got - took);
    return MFI_IO_DONE;
}

/* Reads from the peer's greeting. False if the greeting is wrong or there is no memory. */
static bool take_greeting(mfi_connection *connection, mfi_inbox *inbox)
{
    size_t there = (size_t)(inbox->end - inbox->at);
    size_t wanted = MFI_ZMTP_GREETING_BYTES - connection->early_size;
    size_t size = there < wanted ? there : wanted;
    memcpy(connection->early + connection->early_size, inbox->at, size);
    inbox->at += size;
    connection->early_size += size;
    bool fits = mfi_zmtp_greeting_fits(connection->early, connection->early_size);
    if (fits && connection->early_size == MFI_ZMTP_GREETING_BYTES) {
        uint8_t ready[MFI_ZMTP_READY_BYTES];
        fits = put(connection, ready, mfi_zmtp_ready(ready, connection->is_router));
        connection->phase = MFI_CONNECTION_HANDSHAKE;
    }
    return fits;
}

/* Reads a part of a command; acts on the command when it is complete. */
static mfi_connection_news take_command(mfi_connection *connection, const mfi_zmtp_part *part)
{
    uint8_t pong[MFI_ZMTP_PONG_BYTES];
    connection->early_size = part->first ? 0 : connection->early_size;
    memcpy(connection->early + connection->early_size, part->data, part->size);
    connection->early_size += part->size;
    if (!part->last) {
        return MFI_NEWS_NONE;
    }
    if (connection->phase == MFI_CONNECTION_HANDSHAKE) {
        bool fits =
            mfi_zmtp_ready_fits(connection->early, connection->early_size, connection->is_router);
        connection->phase = fits ? MFI_CONNECTION_UP : connection->phase;
        return fits ? MFI_NEWS_UP : MFI_NEWS_BROKEN;
    }
    size_t size = mfi_zmtp_pong(pong, connection->early, connection->early_size);
    if (size != 0) {
        (void)put(connection, pong, size);
    }
    return MFI_NEWS_NONE;
}

/* Begins a payload. Of one that is too large only the first bytes are kept. */
static bool begin_payload(mfi_connection *connection, uint64_t size)
{
    uint64_t most = connection->reader.most;
    connection->is_cut = size > most;
    most = most < KEPT_OF_CUT_BYTES ? most : KEPT_OF_CUT_BYTES;
    connection->partial_size = 0;
    connection->partials++;
    if (!mfi_body_make(&connection->partial, (size_t)(connection->is_cut ? most : size))) {
        return false;
    }
    connection->partial.cut = size - connection->partial.size;
    return true;
}

static bool take_payload(mfi_connection *connection, const mfi_zmtp_part *part)
{
    size_t size = part->size;
    if (connection->phase != MFI_CONNECTION_UP ||
        (part->first && !begin_payload(connection, part->body_size))) {
        return false;
    }
    if (connection->is_cut) {
        size_t room = connection->partial.data != NULL
                          ? connection->partial.size - connection->partial_size
                          : 0; /* the first bytes were handed out: the rest is passed over */
        size = size < room ? size : room;
    }
    if (size != 0) {
        memcpy(mfi_body_memory(&connection->partial) + connection->partial_size, part->data, size);
        connection->partial_size += size;
    }
    return true;
}

/* The fast path for a whole message in the inbox. False if the message is not whole or there is no
 * memory; the slow path then reports why. */
static bool take_whole(const mfi_connection *connection, mfi_inbox *inbox, mfi_message *ret_message)
{
    const uint8_t *at = inbox->at;
    const uint8_t *payload = NULL;
    size_t size = 0;
    if (connection->phase != MFI_CONNECTION_UP || connection->partial.data != NULL ||
        !mfi_zmtp_read_whole(&connection->reader, &at, inbox->end, &payload, &size) ||
        !mfi_body_make(ret_message, size)) {
        return false;
    }
    memcpy(mfi_body_memory(ret_message), payload, size);
    inbox->at = at;
    return true;
}

mfi_connection_news mfi_connection_next(mfi_connection *connection, mfi_inbox *inbox,
                                        mfi_message *ret_message)
{
    if (take_whole(connection, inbox, ret_message)) {
        return MFI_NEWS_MESSAGE;
    }
    for (;;) {
        if (connection->partial.data != NULL &&
            connection->partial_size == connection->partial.size) {
            *ret_message = connection->partial;
            connection->partial = (mfi_message){0};
            connection->partial_size = 0;
            settle(connection);
            return MFI_NEWS_MESSAGE;
        }
        if (inbox->at == inbox->end) {
            settle(connection);
            return MFI_NEWS_NONE;
        }
        if (connection->phase == MFI_CONNECTION_GREETING) {
            if (!take_greeting(connection, inbox)) {
                return MFI_NEWS_BROKEN;
            }
            continue;
        }
        mfi_zmtp_part part;
        mfi_connection_news news = MFI_NEWS_NONE;
        switch (mfi_zmtp_read(&connection->reader, &inbox->at, inbox->end, &part)) {
        case MFI_ZMTP_PAYLOAD:
            news = take_payload(connection, &part) ? MFI_NEWS_NONE : MFI_NEWS_BROKEN;
            break;
        case MFI_ZMTP_COMMAND:
            news = take_command(connection, &part);
            break;
        case MFI_ZMTP_MALFORMED:
            news = connection->phase == MFI_CONNECTION_UP ? MFI_NEWS_MALFORMED : MFI_NEWS_BROKEN;
            break;
        case MFI_ZMTP_BROKEN:
            news = connection->phase == MFI_CONNECTION_UP &&
                           mfi_zmtp_admit_oversize(&connection->reader)
                       ? MFI_NEWS_NONE
                       : MFI_NEWS_BROKEN;
            break;
        case MFI_ZMTP_NOTHING:
            break;
        }
        if (news != MFI_NEWS_NONE) {
            return news;
        }
    }
}
