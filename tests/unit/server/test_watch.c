/* Workers whose parent process ends before they start to watch it. */
#include "child_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

/* In the process that becomes the worker: waits until it is an orphan, in a session of its own. */
static void become_orphan(pid_t parent, const char *program, uint16_t port)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", (unsigned)port);
    (void)setenv("COMLINK_ZMQ_PORT", text, 1);
    (void)setsid();
    while (getppid() == parent) {
        (void)sched_yield();
    }
    (void)execl(program, program, "--worker", (char *)NULL);
    _exit(127);
}

/* Gives a descriptor that is at its end when the worker has ended. */
static int start_orphan(uint16_t port)
{
    int ends[2] = {-1, -1};
    const char *program = mf_test_build_path("tests/conformance/conformance_child");
    mf_check_int(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        (void)close(ends[0]);
        pid_t self = getpid();
        if (fork() == 0) {
            become_orphan(self, program, port);
        }
        _exit(0);
    }
    mf_check_int(waitpid(parent, NULL, 0), parent);
    (void)close(ends[1]);
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    return ends[0];
}

static bool ends_within(int fd, int ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&at, 1, ms) > 0 && read(fd, &byte, 1) == 0;
}

/* A port that is taken, and at which nobody listens. */
static int take_port(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    mf_check_int(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static uint16_t listen_as_parent(test_peer *peer)
{
    char endpoint[64] = "";
    size_t size = sizeof endpoint;
    int none = 0;
    peer->context = zmq_ctx_new();
    peer->socket = zmq_socket(peer->context, ZMQ_DEALER);
    (void)zmq_setsockopt(peer->socket, ZMQ_LINGER, &none, sizeof none);
    mf_check_int(zmq_bind(peer->socket, "tcp://127.0.0.1:*"), 0);
    mf_check_int(zmq_getsockopt(peer->socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    return (uint16_t)strtol(strrchr(endpoint, ':') + 1, NULL, 10);
}

static void test_ends_unless_somebody_is_there(void)
{
    uint16_t port = 0;
    test_peer parent;
    /* One whose parent is in another session, but is there, began earlier and lives longer. */
    int served = start_orphan(listen_as_parent(&parent));
    peer_call(&parent, "a", "add", MF_ARGS(1, 2), mf_nil());
    peer_expect_int(&parent, "a", 3);
    int socket_fd = take_port(&port);
    int orphan = start_orphan(port);
    mf_check(!ends_within(orphan, 3000)); /* a parent may be slow */
    mf_check(ends_within(orphan, MF_TEST_PATIENCE_MS));
    peer_call(&parent, "b", "add", MF_ARGS(3, 4), mf_nil());
    peer_expect_int(&parent, "b", 7);
    peer_shutdown(&parent);
    mf_check(ends_within(served, MF_TEST_PATIENCE_MS));
    peer_close(&parent);
    (void)close(orphan);
    (void)close(served);
    (void)close(socket_fd);
}

static const mf_test tests[] = {
    {"orphan__ends_unless_somebody_is_there", test_ends_unless_somebody_is_there},
};

MF_TEST_MAIN(tests)
