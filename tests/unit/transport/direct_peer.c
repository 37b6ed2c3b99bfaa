/* Drives transports on the test's own thread: see direct_peer.h. */
#include "direct_peer.h"

#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "raw_peer.h"

#define ENDS_MAX 8

static end *ends[ENDS_MAX];
const mfi_route nowhere;

/* ---- Opening and closing ---- */

mfi_messaging *messaging_of(bool is_zmq)
{
    mfi_messaging *messaging = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status = is_zmq ? mfi_messaging_zmq_create(&messaging, &error)
                              : mfi_messaging_direct_create(&messaging, &error);
    mf_check_int(status, MF_OK);
    return messaging;
}

mfi_transport_options end_options(bool is_child, bool binds, uint16_t port)
{
    return (mfi_transport_options){.is_child = is_child,
                                   .binds = binds,
                                   .address = "127.0.0.1",
                                   .port = port,
                                   .max_message_bytes = (size_t)8 * 1024 * 1024,
                                   .queue_messages = 1000,
                                   .linger_ms = MF_TIMEOUT_INFINITE};
}

void end_open(end *to, mfi_messaging *messaging, const mfi_transport_options *options)
{
    mf_error error = MF_ERROR_INIT;
    size_t at = 0;
    *to = (end){.is_child = options->is_child};
    to->last = &to->first;
    mf_check_int(messaging->open(messaging, &to->transport, options, &error), MF_OK);
    mf_check_str(error.message, "");
    while (at < ENDS_MAX && ends[at] != NULL) {
        at++;
    }
    if (at == ENDS_MAX || to->transport == NULL) {
        abort();
    }
    ends[at] = to;
}

void drop_messages(end *at)
{
    while (at->first != NULL) {
        got *message = at->first;
        at->first = message->next;
        free(message);
    }
    at->last = &at->first;
    at->count = 0;
}

void end_close(end *from)
{
    for (size_t i = 0; i < ENDS_MAX; i++) {
        if (ends[i] == from) {
            ends[i] = NULL;
            from->transport->ops->close(from->transport);
        }
    }
    drop_messages(from);
}

uint16_t end_port(const end *from)
{
    const char *colon = strrchr(from->transport->endpoint, ':');
    return colon != NULL ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

/* ---- Driving ---- */

static void keep(end *at, const mfi_route *route, const mfi_message *message)
{
    got *kept = malloc(sizeof *kept + message->size);
    if (kept == NULL) {
        abort();
    }
    kept->next = NULL;
    kept->route = *route;
    kept->size = message->size;
    memcpy(kept->bytes, message->data, message->size);
    *at->last = kept;
    at->last = &kept->next;
    at->last_peer = *route;
    at->count++;
}

/* True if something came. */
static bool read_all(end *at)
{
    const mfi_transport_ops *ops = at->transport->ops;
    bool came = false;
    for (;;) {
        mfi_route route = {0};
        mfi_message message = {0};
        mfi_io io = ops->receive(at->transport, &route, &message);
        came = came || io != MFI_IO_AGAIN;
        if (io == MFI_IO_DONE) {
            keep(at, &route, &message);
            mfi_message_release(&message);
        } else if (io == MFI_IO_MALFORMED) {
            at->malformed++;
        } else if (io == MFI_IO_WRONG_PEER) {
            at->wrong++;
        } else {
            mf_check_int(io, MFI_IO_AGAIN);
            break;
        }
    }
    for (;;) {
        mfi_peer_event event = ops->next_event(at->transport);
        if (event == MFI_PEER_NONE) {
            break;
        }
        came = true;
        at->events[event]++;
    }
    return came;
}

void turn(int fd, short events, int timeout_ms)
{
    struct pollfd fds[1 + 2 * ENDS_MAX];
    nfds_t count = 1;
    bool came = false;
    fds[0] = (struct pollfd){.fd = fd, .events = events};
    for (size_t i = 0; i < ENDS_MAX; i++) {
        if (ends[i] != NULL && !ends[i]->is_deaf) {
            const mfi_transport *transport = ends[i]->transport;
            came = read_all(ends[i]) || came;
            fds[count++] = (struct pollfd){transport->ops->readiness(transport), POLLIN, 0};
            fds[count++] = (struct pollfd){transport->ops->events_readiness(transport), POLLIN, 0};
        }
    }
    (void)poll(fds, count, came ? 0 : timeout_ms);
    for (size_t i = 0; i < ENDS_MAX; i++) {
        if (ends[i] != NULL && !ends[i]->is_deaf) {
            (void)read_all(ends[i]);
        }
    }
}

static bool wait_until(bool (*condition)(const void *data), const void *data)
{
    int64_t until = mf_test_now_ms() + PATIENCE_MS;
    turn(-1, 0, 0);
    while (!condition(data)) {
        int64_t left = until - mf_test_now_ms();
        if (left <= 0) {
            return false;
        }
        turn(-1, 0, (int)left);
    }
    return true;
}

bool is_quiet(const end *at)
{
    struct pollfd fd = {at->transport->ops->readiness(at->transport), POLLIN, 0};
    return poll(&fd, 1, 0) == 0;
}

static bool quiet_now(const void *data)
{
    return is_quiet(data);
}

bool gets_quiet(end *at)
{
    return wait_until(quiet_now, at);
}

void narrow_sockets(void)
{
    int bytes = 32768;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET) {
            mf_check_int(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
            mf_check_int(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
        }
    }
}

size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* ---- Messages ---- */

/* Hidden from the thread sanitizer, which would take most of the tests' time for these bytes. */
__attribute__((no_sanitize_thread)) static void fill_in(uint8_t *bytes, uint32_t number,
                                                        size_t size)
{
    uint32_t state = number * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
    if (size >= 4) {
        mfi_store_be32(bytes, number);
    }
}

mfi_io try_send(end *from, const mfi_route *to, uint32_t number, size_t size)
{
    mfi_buf payload;
    mfi_buf_init(&payload, 0);
    uint8_t *bytes = mfi_buf_reserve(&payload, size + 1);
    if (bytes == NULL) {
        abort();
    }
    fill_in(bytes, number, size);
    payload.size = size;
    mfi_io io = from->transport->ops->send(from->transport, to, &payload);
    mf_check(io == MFI_IO_DONE || payload.size == size);
    mfi_buf_fini(&payload);
    return io;
}

void send_numbered(end *from, const mfi_route *to, uint32_t number, size_t size)
{
    int64_t until = mf_test_now_ms() + PATIENCE_MS;
    mfi_io io = try_send(from, to, number, size);
    while (io == MFI_IO_AGAIN && mf_test_now_ms() < until) {
        turn(-1, 0, 0);
        io = try_send(from, to, number, size);
        if (io == MFI_IO_AGAIN) {
            bool goes_on = !from->is_child && from->transport->ops->can_go_on(from->transport);
            turn(-1, 0, goes_on ? 0 : PATIENCE_MS);
            io = try_send(from, to, number, size);
        }
    }
    mf_check_int(io, MFI_IO_DONE);
}

typedef struct wanted {
    const end *at;
    size_t count;
    mfi_peer_event event;
} wanted;

static bool has_count(const void *data)
{
    const wanted *want = data;
    return want->at->count >= want->count;
}

static bool has_events(const void *data)
{
    const wanted *want = data;
    return want->at->events[want->event] >= want->count;
}

bool wait_for_count(end *at, size_t count)
{
    wanted want = {.at = at, .count = count};
    return wait_until(has_count, &want);
}

void expect_numbered(end *at, uint32_t number, size_t size)
{
    mf_check(wait_for_count(at, 1));
    got *message = at->first;
    if (message == NULL) {
        return;
    }
    at->first = message->next;
    at->last = at->first != NULL ? at->last : &at->first;
    at->count--;
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL) {
        abort();
    }
    fill_in(bytes, number, size);
    mf_check_int(message->size, size);
    mf_check(message->size == size && memcmp(message->bytes, bytes, size) == 0);
    at->last_peer = message->route;
    free(bytes);
    free(message);
}

void exchange(end *parent, end *child, uint32_t number, size_t size)
{
    send_numbered(parent, &nowhere, number, size);
    expect_numbered(child, number, size);
    send_numbered(child, &child->last_peer, number + 1, size);
    expect_numbered(parent, number + 1, size);
}

void expect_events(end *at, mfi_peer_event event, unsigned count)
{
    wanted want = {.at = at, .count = count, .event = event};
    mf_check(wait_until(has_events, &want));
    mf_check_int(at->events[event], count);
}

/* ---- A child, and a parent that is connected to it ---- */

void few_open(few *to)
{
    mfi_transport_options options = end_options(true, true, 0);
    to->messaging = messaging_of(false);
    end_open(&to->child, to->messaging, &options);
    options = end_options(false, false, end_port(&to->child));
    end_open(&to->parent, to->messaging, &options);
    exchange(&to->parent, &to->child, 1, 10);
}

void few_close(few *from)
{
    end_close(&from->parent);
    end_close(&from->child);
    from->messaging->destroy(from->messaging);
}

void few_another_parent(few *at, end *ret_parent)
{
    mfi_transport_options options = end_options(false, false, end_port(&at->child));
    end_open(ret_parent, at->messaging, &options);
}

int few_connect_raw(few *at)
{
    int fd = raw_connect(end_port(&at->child));
    raw_handshake(fd, "DEALER");
    return fd;
}
