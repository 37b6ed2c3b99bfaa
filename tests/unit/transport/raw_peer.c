/* Sends a peer's bytes by hand over plain TCP: see raw_peer.h. */
#include "raw_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "direct_peer.h"
#include "mf_test.h"

static int raw_socket(void)
{
    /* Little is kept for a peer that does not read. */
    int bytes = 65536;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

int raw_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = raw_socket();
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    mf_check_int(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

int raw_hold_port(uint16_t *ret_port)
{
    static const int yes = 1;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int fd = raw_socket();
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    mf_check_int(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    mf_check_int(bind(fd, (struct sockaddr *)&at, size), 0);
    mf_check_int(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

int raw_listen(uint16_t *ret_port)
{
    int fd = raw_hold_port(ret_port);
    mf_check_int(listen(fd, 8), 0);
    return fd;
}

static bool wait_for_fd(int fd, short events)
{
    int64_t until = mf_test_now_ms() + PATIENCE_MS;
    struct pollfd at = {fd, events, 0};
    while (poll(&at, 1, 0) == 0) {
        int64_t left = until - mf_test_now_ms();
        if (left <= 0) {
            return false;
        }
        turn(fd, events, (int)left);
    }
    return true;
}

int raw_accept(int listener)
{
    mf_check(wait_for_fd(listener, POLLIN));
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    mf_check(fd >= 0);
    return fd;
}

void raw_send(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    const uint8_t *until = at + size;
    while (at != until && wait_for_fd(fd, POLLOUT)) {
        ssize_t done = send(fd, at, (size_t)(until - at), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN) {
            return; /* dropped meanwhile */
        }
        at += done > 0 ? done : 0;
    }
    mf_check(at == until);
}

void raw_greet(int fd)
{
    raw_send(fd, RAW_BYTES(NULL_MECHANISM));
}

void raw_ready(int fd, const char *socket_type)
{
    char frame[64];
    int size = snprintf(frame, sizeof frame, "%c%c%cREADY%cSocket-Type%c%c%c%c%s", 4,
                        (int)(22 + strlen(socket_type)), 5, 11, 0, 0, 0, (int)strlen(socket_type),
                        socket_type);
    raw_send(fd, frame, (size_t)size);
}

void raw_read(int fd, uint8_t *bytes, size_t size)
{
    size_t read = 0;
    while (read != size && wait_for_fd(fd, POLLIN)) {
        ssize_t done = recv(fd, bytes + read, size - read, MSG_DONTWAIT);
        if (done == 0 || (done < 0 && errno != EAGAIN)) {
            break;
        }
        read += done > 0 ? (size_t)done : 0;
    }
    mf_check_int(read, size);
}

void raw_expect(int fd, const void *bytes, size_t size)
{
    uint8_t came[512] = {0};
    raw_read(fd, came, size);
    mf_check(memcmp(came, bytes, size) == 0);
}

void raw_handshake(int fd, const char *socket_type)
{
    uint8_t bytes[64 + 30];
    raw_greet(fd);
    raw_ready(fd, socket_type);
    raw_read(fd, bytes, sizeof bytes);
    mf_check_int(bytes[0], 0xFF);
    mf_check_int(bytes[64], 4);
}

bool raw_is_dropped(int fd)
{
    uint8_t bytes[4096];
    while (wait_for_fd(fd, POLLIN)) {
        ssize_t done = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (done == 0 || (done < 0 && errno != EAGAIN)) {
            return true;
        }
    }
    return false;
}

int raw_other_end(int fd)
{
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    mf_check_int(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    for (int other = 0; other < DESCRIPTORS_MAX; other++) {
        struct sockaddr_in peer = {0};
        size = sizeof peer;
        if (getpeername(other, (struct sockaddr *)&peer, &size) == 0 &&
            peer.sin_family == AF_INET && peer.sin_port == own.sin_port) {
            return other;
        }
    }
    mf_check(false);
    return -1;
}
