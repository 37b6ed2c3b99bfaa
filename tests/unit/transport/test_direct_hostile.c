/* The direct transport drops peers that speak another protocol, or send too much, and no other peer
 * notices. */
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "direct_peer.h"
#include "raw_peer.h"

/* ---- Peers that speak something else ---- */

static void check_unharmed(few *at)
{
    exchange(&at->parent, &at->child, 77, 300);
    mf_check_int(at->child.events[MFI_PEER_CONNECTED], 1);
    mf_check_int(at->child.events[MFI_PEER_DISCONNECTED], 0);
}

typedef struct script {
    const char *bytes;
    size_t size;
} script;

/* Each one alone is dropped within the handshake. */
static const script hostile[] = {
    {RAW_BYTES("junk")},
    {RAW_BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
    {RAW_BYTES("\x16\3\1\2\0\1\0\1\xFC\3\3")}, /* TLS */
    {RAW_BYTES("\xFF\0\0\0\0\0\0\0\1\x7E")},   /* no signature */
    {RAW_BYTES(GREETING "\1\0")},              /* ZMTP 2 */
    {RAW_BYTES(GREETING "\3\1PLAIN")},
    {RAW_BYTES(GREETING "\3\1NULLS")},
    {RAW_BYTES(NULL_MECHANISM "\4\x19\5READY\13Socket-Type\0\0\0\3PUB")},
    {RAW_BYTES(NULL_MECHANISM "\4\x1A\5READY\13Socket-Type\0\0\0\4DEAL")},
    {RAW_BYTES(NULL_MECHANISM "\4\6\5READY")},                               /* no type */
    {RAW_BYTES(NULL_MECHANISM "\4\x1C\5READY\13Socket-Type\0\0\0\7DEALER")}, /* past the end */
    {RAW_BYTES(NULL_MECHANISM "\4\x16\5READY\13Socket-Type\xFF\xFF\xFF\xFF")
     /* further past it */},
    {RAW_BYTES(NULL_MECHANISM "\4\7\5READY\13")},
    {RAW_BYTES(NULL_MECHANISM "\4\0")},
    {RAW_BYTES(NULL_MECHANISM "\4\7\4PING\0\0")},
    {RAW_BYTES(NULL_MECHANISM "\4\6\5ERROR")},
    {RAW_BYTES(NULL_MECHANISM "\6\0\0\0\0\0\0\2\1")},                 /* a command too long */
    {RAW_BYTES(NULL_MECHANISM "\6\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")}, /* far too long */
    {RAW_BYTES(NULL_MECHANISM "\5\1x")},                              /* a command with more */
    {RAW_BYTES(NULL_MECHANISM "\x08\1x")},                            /* no flag */
    {RAW_BYTES(NULL_MECHANISM "\0\4"
                              "ping")},
    {RAW_BYTES(NULL_MECHANISM "\1\0\0\4"
                              "ping")},
};

static void test_junk_is_dropped_within_the_handshake(void)
{
    few at;
    few_open(&at);
    for (unsigned i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        int fd = raw_connect(end_port(&at.child));
        raw_send(fd, hostile[i].bytes, hostile[i].size);
        mf_check(raw_is_dropped(fd));
        (void)close(fd);
        expect_events(&at.child, MFI_PEER_HANDSHAKE_FAILED, i + 1);
    }
    check_unharmed(&at);
    mf_check_int(at.child.malformed, 0);
    few_close(&at);
}

static void test_who_closes_within_the_handshake_is_forgotten(void)
{
    static const size_t sent[] = {0, 1, 10, 64, 65, 93};
    few at;
    few_open(&at);
    for (unsigned i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        int fd = raw_connect(end_port(&at.child));
        raw_send(fd, NULL_MECHANISM READY_DEALER, sent[i]);
        (void)close(fd);
        expect_events(&at.child, MFI_PEER_HANDSHAKE_FAILED, i + 1);
    }
    check_unharmed(&at);
    few_close(&at);
}

/* A thread that waits for events alone gets them. */
static void test_events_have_a_descriptor(void)
{
    few at;
    few_open(&at);
    const mfi_transport_ops *ops = at.child.transport->ops;
    struct pollfd fds[2] = {{ops->events_readiness(at.child.transport), POLLIN, 0},
                            {ops->readiness(at.child.transport), POLLIN, 0}};
    mf_check_int(poll(fds, 1, 0), 0);
    at.child.is_deaf = true;
    int fd = raw_connect(end_port(&at.child));
    raw_send(fd, RAW_BYTES("junk"));
    while (poll(fds, 2, PATIENCE_MS) > 0 && fds[0].revents == 0) {
        mfi_route route = {0};
        mfi_message message = {0};
        mf_check_int(ops->receive(at.child.transport, &route, &message), MFI_IO_AGAIN);
    }
    mf_check_int(fds[0].revents, POLLIN);
    mf_check_int(ops->next_event(at.child.transport), MFI_PEER_HANDSHAKE_FAILED);
    mf_check_int(ops->next_event(at.child.transport), MFI_PEER_NONE);
    mf_check_int(poll(fds, 1, 0), 0);
    (void)close(fd);
    few_close(&at);
}

/* After the handshake it is a peer that is gone. */
static void test_a_frame_that_is_too_large_ends_the_connection(void)
{
    static const script beyond[] = {
        {RAW_BYTES("\3\x80\0\0\0\0\0\0\0")}, /* the delimiter */
        {RAW_BYTES("\1\0\x10\1x")},          /* no flag */
    };
    few at;
    few_open(&at);
    for (unsigned i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        int fd = raw_connect(end_port(&at.child));
        raw_handshake(fd, "DEALER");
        raw_send(fd, beyond[i].bytes, beyond[i].size);
        mf_check(raw_is_dropped(fd));
        (void)close(fd);
        expect_events(&at.child, MFI_PEER_DISCONNECTED, i + 1);
        mf_check_int(at.child.events[MFI_PEER_CONNECTED], i + 2);
    }
    exchange(&at.parent, &at.child, 3, 300);
    few_close(&at);
}

/* A payload that is too large comes with its first bytes, which name its call. The rest is passed
 * over without being kept, and the next message is sound. */
static void test_a_payload_that_is_too_large_is_cut(void)
{
    static const char front[] = "\1\0\2\0\0\0\0\0\x80\0\1"; /* one byte more than 8 MiB */
    static char zeros[65536];
    few at;
    few_open(&at);
    int fd = raw_connect(end_port(&at.child));
    raw_handshake(fd, "DEALER");
    expect_events(&at.child, MFI_PEER_CONNECTED, 2);
    size_t before = heap_bytes();
    raw_send(fd, front, sizeof front - 1);
    raw_send(fd, "named", 5);
    size_t left = (size_t)8 * 1024 * 1024 + 1 - 5;
    while (left > 0) {
        size_t size = left < sizeof zeros ? left : sizeof zeros;
        raw_send(fd, zeros, size);
        left -= size;
    }
    raw_send(fd, RAW_BYTES("\1\0\0\5after"));
    mf_check(wait_for_count(&at.child, 2));
    got *first = at.child.first;
    mf_check(first != NULL && first->size == 4096 && memcmp(first->bytes, "named", 5) == 0);
    mf_check(first != NULL && first->next != NULL && first->next->size == 5 &&
             memcmp(first->next->bytes, "after", 5) == 0);
    drop_messages(&at.child);
    mf_check(heap_bytes() < before + (size_t)1024 * 1024);
    (void)close(fd);
    expect_events(&at.child, MFI_PEER_DISCONNECTED, 1);
    exchange(&at.parent, &at.child, 3, 300);
    few_close(&at);
}

static void test_a_parent_tells_a_wrong_peer(void)
{
    uint16_t port = 0;
    end parent;
    mfi_messaging *messaging = messaging_of(false);
    int listener = raw_listen(&port);
    mfi_transport_options options = end_options(false, false, port);
    end_open(&parent, messaging, &options);
    int fd = raw_accept(listener);
    raw_greet(fd);
    raw_ready(fd, "PUB");
    mf_check(raw_is_dropped(fd));
    expect_events(&parent, MFI_PEER_HANDSHAKE_FAILED, 1);
    (void)close(fd);
    fd = raw_accept(listener); /* it tries again */
    raw_handshake(fd, "ROUTER");
    expect_events(&parent, MFI_PEER_CONNECTED, 1);
    send_numbered(&parent, &nowhere, 1, 0);
    raw_expect(fd, RAW_BYTES("\1\0\0\0"));
    (void)close(fd);
    (void)close(listener);
    expect_events(&parent, MFI_PEER_DISCONNECTED, 1);
    end_close(&parent);
    messaging->destroy(messaging);
}

/* A socket that may not talk to ours is turned away by either side. */
static void test_a_libzmq_socket_of_another_type(void)
{
    few at;
    int none = 0;
    few_open(&at);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PUSH);
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    mf_check_int(zmq_connect(socket, at.child.transport->endpoint), 0);
    while (at.child.events[MFI_PEER_HANDSHAKE_FAILED] == 0) {
        turn(-1, 0, PATIENCE_MS);
    }
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    check_unharmed(&at);
    few_close(&at);
}

/* ---- Peers that flood ---- */

#define FLOODERS 20
#define FLOOD_BYTES ((size_t)9 * 100000)
#define FLOODS 5
#define PONG_BYTES 7
#define ASKED_MOST ((size_t)64 * 1024) /* bytes that wait, behind which no PONG is queued */

static char pings[FLOOD_BYTES];

static void make_pings(void)
{
    for (size_t i = 0; i < sizeof pings; i++) {
        pings[i] = "\4\7\4PING\0\1"[i % 9];
    }
}

static mfi_io receive_nothing(end *at)
{
    mfi_route route = {0};
    mfi_message message = {0};
    mfi_io io = at->transport->ops->receive(at->transport, &route, &message);
    mfi_message_release(&message);
    return io;
}

/* However much there is to read, receive comes back before it has read from all, so that who
 * drives it gets to do something else; and it has not forgotten the others. */
static void test_a_flood_of_pings_holds_nobody(void)
{
    few at;
    int fds[FLOODERS];
    unsigned receives = 0;
    few_open(&at);
    make_pings();
    for (int i = 0; i < FLOODERS; i++) {
        fds[i] = few_connect_raw(&at);
    }
    expect_events(&at.child, MFI_PEER_CONNECTED, FLOODERS + 1);
    mf_check_int(receive_nothing(&at.child), MFI_IO_AGAIN);
    mf_check(is_quiet(&at.child));
    at.child.is_deaf = true;
    for (int i = 0; i < FLOODERS; i++) {
        /* More than where messages come one by one, and less than one read takes. */
        struct pollfd arrival = {raw_other_end(fds[i]), POLLIN, 0};
        raw_send(fds[i], pings, (size_t)9 * 1000);
        mf_check_int(poll(&arrival, 1, PATIENCE_MS), 1);
    }
    while (receives < FLOODERS && !is_quiet(&at.child)) {
        mf_check_int(receive_nothing(&at.child), MFI_IO_AGAIN);
        receives++;
    }
    mf_check(receives > 1 && receives < FLOODERS);
    at.child.is_deaf = false;
    for (int i = 0; i < FLOODERS; i++) {
        raw_expect(fds[i], RAW_BYTES("\4\5\4PONG\4\5\4PONG"));
        (void)close(fds[i]);
    }
    exchange(&at.parent, &at.child, 3, 300);
    few_close(&at);
}

/* Reads PONGs, no more than so many, up to a message of four bytes. */
static size_t count_pongs(int fd, size_t most)
{
    uint8_t frame[PONG_BYTES] = {0};
    size_t count = 0;
    raw_read(fd, frame, sizeof frame);
    while (memcmp(frame, "\4\5\4PONG", sizeof frame) == 0 && count <= most) {
        count++;
        raw_read(fd, frame, sizeof frame);
    }
    if (count <= most) {
        mf_check(memcmp(frame, "\1\0\0\4ABC", sizeof frame) == 0);
        raw_expect(fd, RAW_BYTES("D"));
    }
    return count;
}

/* A peer that asks without reading does not get all answers, and takes no memory. */
static void test_pongs_that_nobody_reads_take_no_memory(void)
{
    static const size_t most = (ASKED_MOST + NARROW_BYTES) / PONG_BYTES;
    few at;
    make_pings();
    few_open(&at);
    int fd = few_connect_raw(&at);
    expect_events(&at.child, MFI_PEER_CONNECTED, 2);
    narrow_sockets(); /* else the kernel would take the answers to all of it */
    size_t before = heap_bytes();
    for (int i = 0; i < FLOODS; i++) {
        raw_send(fd, pings, sizeof pings);
    }
    raw_send(fd, RAW_BYTES("\1\0\0\4last"));
    mf_check(wait_for_count(&at.child, 1)); /* all before it was looked at */
    mf_check(heap_bytes() < before + (size_t)1024 * 1024);
    drop_messages(&at.child);
    send_numbered(&at.child, &at.child.last_peer, 0x41424344, 4);
    size_t count = count_pongs(fd, most);
    mf_check(count > 0 && count <= most);
    exchange(&at.parent, &at.child, 1, 10);
    (void)close(fd);
    few_close(&at);
}

/* ---- Without descriptors ---- */

/* Who cannot be accepted is later, and wakes nobody all the time until then. */
static void test_no_descriptor_left_for_a_peer(void)
{
    few at;
    struct rlimit before;
    few_open(&at);
    int fd = raw_connect(end_port(&at.child));
    struct pollfd arrival = {at.child.transport->ops->readiness(at.child.transport), POLLIN, 0};
    mf_check_int(poll(&arrival, 1, PATIENCE_MS), 1); /* it waits to be accepted */
    mf_check_int(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = 8, .rlim_max = before.rlim_max};
    mf_check_int(setrlimit(RLIMIT_NOFILE, &low), 0);
    turn(-1, 0, 0);
    mf_check(gets_quiet(&at.child));
    exchange(&at.parent, &at.child, 1, 10);
    mf_check_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    raw_handshake(fd, "DEALER");
    expect_events(&at.child, MFI_PEER_CONNECTED, 2);
    (void)close(fd);
    few_close(&at);
}

/* ---- Forks ---- */

/* A process with copies of all descriptors, which ends when the pipe's end is closed. */
static pid_t fork_copy(int *ret_pipe, int closed)
{
    int ends[2] = {-1, -1};
    char byte = 0;
    mf_check_int(pipe(ends), 0);
    pid_t process = fork();
    if (process == 0) {
        (void)close(ends[1]);
        (void)close(closed);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    mf_check(process > 0);
    (void)close(ends[0]);
    *ret_pipe = ends[1];
    return process;
}

static void end_copy(pid_t process, int pipe)
{
    (void)close(pipe);
    mf_check_int(waitpid(process, NULL, 0), process);
}

/* A forked process has copies of the descriptors: a connection that ended here has not ended for
 * the kernel, and must not wake anybody for ever. */
static void test_a_forked_process_does_not_keep_connections(void)
{
    int pipe = -1;
    few at;
    few_open(&at);
    int fd = few_connect_raw(&at);
    expect_events(&at.child, MFI_PEER_CONNECTED, 2);
    pid_t process = fork_copy(&pipe, fd);
    (void)shutdown(fd, SHUT_WR);
    expect_events(&at.child, MFI_PEER_DISCONNECTED, 1);
    turn(-1, 0, 0);
    mf_check(gets_quiet(&at.child));
    mf_check(raw_is_dropped(fd)); /* and the peer hears of the end */
    (void)close(fd);
    end_copy(process, pipe);
    few_close(&at);
}

/* Nor the port: neither one that the kernel chose, nor one that was asked for. */
static void test_a_forked_process_does_not_keep_the_port(void)
{
    mfi_messaging *messaging = messaging_of(false);
    mfi_transport_options options = end_options(true, true, 0);
    for (int i = 0; i < 2; i++) {
        int pipe = -1;
        end child;
        mf_error error = MF_ERROR_INIT;
        mfi_transport *next = NULL;
        end_open(&child, messaging, &options);
        options.port = end_port(&child);
        pid_t process = fork_copy(&pipe, -1);
        end_close(&child);
        mf_check_int(messaging->open(messaging, &next, &options, &error), MF_OK);
        if (next != NULL) {
            next->ops->close(next);
        }
        end_copy(process, pipe);
    }
    messaging->destroy(messaging);
}

static const mf_test tests[] = {
    {"direct_hostile__junk_is_dropped_within_the_handshake",
     test_junk_is_dropped_within_the_handshake},
    {"direct_hostile__who_closes_within_the_handshake_is_forgotten",
     test_who_closes_within_the_handshake_is_forgotten},
    {"direct_hostile__events_have_a_descriptor", test_events_have_a_descriptor},
    {"direct_hostile__a_payload_that_is_too_large_is_cut", test_a_payload_that_is_too_large_is_cut},
    {"direct_hostile__a_frame_that_is_too_large_ends_the_connection",
     test_a_frame_that_is_too_large_ends_the_connection},
    {"direct_hostile__a_parent_tells_a_wrong_peer", test_a_parent_tells_a_wrong_peer},
    {"direct_hostile__a_flood_of_pings_holds_nobody", test_a_flood_of_pings_holds_nobody},
    {"direct_hostile__pongs_that_nobody_reads_take_no_memory",
     test_pongs_that_nobody_reads_take_no_memory},
    {"direct_hostile__a_libzmq_socket_of_another_type", test_a_libzmq_socket_of_another_type},
    {"direct_hostile__no_descriptor_left_for_a_peer", test_no_descriptor_left_for_a_peer},
    {"direct_hostile__a_forked_process_does_not_keep_connections",
     test_a_forked_process_does_not_keep_connections},
    {"direct_hostile__a_forked_process_does_not_keep_the_port",
     test_a_forked_process_does_not_keep_the_port},
};
MF_TEST_MAIN(tests)
