/* The direct transport exchanges messages with itself, with libzmq, and with peers scripted byte by
 * byte. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "direct_peer.h"
#include "raw_peer.h"

/* ---- Payloads of all sizes ---- */

#define MIB ((size_t)1024 * 1024)
#define SMALL_ONES 2000

static void exchange_all(end *parent, end *child)
{
    static const size_t sizes[] = {0, 1, 255, 256, 8191, 8192, 65536, MIB, 5 * MIB};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        exchange(parent, child, 10 * i, sizes[i]);
    }
    for (uint32_t i = 0; i < SMALL_ONES; i++) {
        send_numbered(parent, &nowhere, i, 4 + i % 60);
        send_numbered(child, &child->last_peer, i, 4 + i % 300);
    }
    for (uint32_t i = 0; i < SMALL_ONES; i++) {
        expect_numbered(child, i, 4 + i % 60);
        expect_numbered(parent, i, 4 + i % 300);
    }
    expect_events(parent, MFI_PEER_CONNECTED, 1);
    expect_events(child, MFI_PEER_CONNECTED, 1);
}

static void pair(bool parent_is_zmq, bool child_is_zmq, bool child_binds)
{
    end parent;
    end child;
    mfi_messaging *of_parent = messaging_of(parent_is_zmq);
    mfi_messaging *of_child = messaging_of(child_is_zmq);
    mfi_transport_options as_parent = end_options(false, !child_binds, 0);
    mfi_transport_options as_child = end_options(true, child_binds, 0);
    if (child_binds) {
        end_open(&child, of_child, &as_child);
        as_parent.port = end_port(&child);
        end_open(&parent, of_parent, &as_parent);
    } else {
        end_open(&parent, of_parent, &as_parent);
        as_child.port = end_port(&parent);
        end_open(&child, of_child, &as_child);
    }
    exchange_all(&parent, &child);
    end_close(&parent);
    expect_events(&child, MFI_PEER_DISCONNECTED, 1);
    end_close(&child);
    of_parent->destroy(of_parent);
    of_child->destroy(of_child);
}

static void test_parent_connects(void)
{
    pair(false, false, true);
}

static void test_parent_binds(void)
{
    pair(false, false, false);
}

static void test_parent_connects_to_libzmq(void)
{
    pair(false, true, true);
}

static void test_libzmq_connects_to_parent(void)
{
    pair(false, true, false);
}

static void test_libzmq_connects_to_child(void)
{
    pair(true, false, true);
}

static void test_child_connects_to_libzmq(void)
{
    pair(true, false, false);
}

/* ---- Both ways at once ---- */

#define ROUNDS 300

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Of any size, at any time; either side does not listen now and then. */
static void mix(bool parent_is_zmq, bool child_is_zmq)
{
    static const size_t most[] = {10, 300, 9000, 70000};
    size_t sizes[2][ROUNDS];
    uint32_t state = 7;
    end parent;
    end child;
    mfi_messaging *of_parent = messaging_of(parent_is_zmq);
    mfi_messaging *of_child = messaging_of(child_is_zmq);
    mfi_transport_options options = end_options(true, true, 0);
    end_open(&child, of_child, &options);
    options = end_options(false, false, end_port(&child));
    end_open(&parent, of_parent, &options);
    exchange(&parent, &child, 1, 1);
    mfi_route to_parent = child.last_peer;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        sizes[0][i] = next_random(&state) % most[next_random(&state) % 4];
        sizes[1][i] = next_random(&state) % most[next_random(&state) % 4];
        parent.is_deaf = next_random(&state) % 3 == 0;
        child.is_deaf = next_random(&state) % 3 == 0;
        send_numbered(&parent, &nowhere, i, sizes[0][i]);
        send_numbered(&child, &to_parent, i, sizes[1][i]);
        if (next_random(&state) % 4 == 0) {
            turn(-1, 0, 0);
        }
    }
    parent.is_deaf = false;
    child.is_deaf = false;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        expect_numbered(&child, i, sizes[0][i]);
        expect_numbered(&parent, i, sizes[1][i]);
    }
    end_close(&parent);
    end_close(&child);
    of_parent->destroy(of_parent);
    of_child->destroy(of_child);
}

static void test_both_ways_at_once(void)
{
    mix(false, false);
}

static void test_both_ways_at_once_with_libzmq(void)
{
    mix(true, false);
    mix(false, true);
}

/* ---- A child, and parents ---- */

static void test_two_peers_get_their_own_answers(void)
{
    few at;
    end second;
    few_open(&at);
    few_another_parent(&at, &second);
    for (uint32_t i = 0; i < 50; i++) {
        send_numbered(&at.parent, &nowhere, 100 + i, 20);
        expect_numbered(&at.child, 100 + i, 20);
        mfi_route first = at.child.last_peer;
        send_numbered(&second, &nowhere, 200 + i, 9000);
        expect_numbered(&at.child, 200 + i, 9000);
        send_numbered(&at.child, &at.child.last_peer, 300 + i, 30);
        send_numbered(&at.child, &first, 400 + i, 9000);
        expect_numbered(&second, 300 + i, 30);
        expect_numbered(&at.parent, 400 + i, 9000);
    }
    end_close(&second);
    exchange(&at.parent, &at.child, 1, 1);
    few_close(&at);
}

static void test_a_route_ends_with_its_connection(void)
{
    few at;
    end second;
    end third;
    few_open(&at);
    few_another_parent(&at, &second);
    exchange(&second, &at.child, 5, 10);
    mfi_route old = at.child.last_peer;
    end_close(&second);
    expect_events(&at.child, MFI_PEER_DISCONNECTED, 1);
    mf_check_int(try_send(&at.child, &old, 1, 10), MFI_IO_UNROUTABLE);
    few_another_parent(&at, &third);
    exchange(&third, &at.child, 5, 10);
    mfi_route new = at.child.last_peer;
    mf_check_int(new.size, old.size);
    mf_check(memcmp(new.bytes, old.bytes, 4) == 0); /* the same place in the table */
    mf_check_int(try_send(&at.child, &old, 1, 10), MFI_IO_UNROUTABLE);
    mf_check_int(try_send(&at.child, &nowhere, 1, 10), MFI_IO_UNROUTABLE);
    exchange(&third, &at.child, 6, 10);
    mf_check_int(third.count + at.parent.count, 0);
    end_close(&third);
    few_close(&at);
}

/* A child that connects has one parent: what it was asked over one connection it answers over the
 * next. */
static void test_a_child_that_connects_keeps_its_route(void)
{
    few at;
    at.messaging = messaging_of(false);
    mfi_transport_options of_parent = end_options(false, true, 0);
    end_open(&at.parent, at.messaging, &of_parent);
    of_parent.port = end_port(&at.parent);
    mfi_transport_options of_child = end_options(true, false, of_parent.port);
    end_open(&at.child, at.messaging, &of_child);
    for (uint32_t i = 1; i <= 3; i++) {
        exchange(&at.parent, &at.child, 10 * i, 300);
        send_numbered(&at.parent, &nowhere, 10 * i + 5, 300);
        expect_numbered(&at.child, 10 * i + 5, 300);
        mfi_route asked = at.child.last_peer;
        end_close(&at.parent);
        expect_events(&at.child, MFI_PEER_DISCONNECTED, i);
        mf_check_int(try_send(&at.child, &asked, 1, 300), MFI_IO_AGAIN);
        end_open(&at.parent, at.messaging, &of_parent);
        mf_check_int(try_send(&at.child, &asked, 1, 300), MFI_IO_AGAIN);
        send_numbered(&at.child, &asked, 10 * i + 6, 300);
        expect_numbered(&at.parent, 10 * i + 6, 300);
        expect_events(&at.child, MFI_PEER_CONNECTED, i + 1);
    }
    few_close(&at);
}

/* ---- Frames ---- */

static void check_text(end *at, const char *text)
{
    mf_check(wait_for_count(at, 1));
    if (at->first != NULL) {
        mf_check_int(at->first->size, strlen(text));
        mf_check(memcmp(at->first->bytes, text, strlen(text)) == 0);
    }
    drop_messages(at);
}

static void test_bytes_may_come_one_by_one(void)
{
    static const char bytes[] = NULL_MECHANISM READY_DEALER
        "\1\0\0\5hello\4\7\4PING\0\0\3\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\2"
        "hi\1\0\0\0";
    few at;
    few_open(&at);
    int fd = raw_connect(end_port(&at.child));
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        raw_send(fd, bytes + i, 1);
        turn(-1, 0, 0);
    }
    mf_check(wait_for_count(&at.child, 3));
    mf_check(at.child.first != NULL && at.child.first->size == 5);
    mf_check(memcmp(at.child.first->bytes, "hello", 5) == 0);
    mf_check_int(at.child.first->next->size, 2);
    mf_check_int(at.child.first->next->next->size, 0);
    drop_messages(&at.child);
    (void)close(fd);
    few_close(&at);
}

/* What we say, byte by byte. */
static void test_what_leaves_is_zmtp(void)
{
    few at;
    uint8_t large[11 + 256];
    few_open(&at);
    int fd = raw_connect(end_port(&at.child));
    raw_expect(fd, RAW_BYTES("\xFF\0\0\0\0\0\0\0\0\x7F\3\1NULL" ZEROS_16 ZEROS_16 ZEROS_16));
    raw_send(fd, RAW_BYTES(NULL_MECHANISM));
    raw_expect(fd, RAW_BYTES("\4\x1C\5READY\13Socket-Type\0\0\0\6ROUTER"));
    raw_send(fd, RAW_BYTES(READY_DEALER "\1\0\0\1x"));
    check_text(&at.child, "x");
    send_numbered(&at.child, &at.child.last_peer, 0x41424344, 4);
    send_numbered(&at.child, &at.child.last_peer, 0x41424344, 256);
    raw_expect(fd, RAW_BYTES("\1\0\0\4"
                             "ABCD"));
    raw_read(fd, large, sizeof large);
    mf_check(memcmp(large,
                    "\1\0\2\0\0\0\0\0\0\1\0"
                    "ABCD",
                    15) == 0);
    (void)close(fd);
    few_close(&at);
}

static void test_a_message_of_one_frame_is_malformed(void)
{
    few at;
    few_open(&at);
    int fd = few_connect_raw(&at);
    raw_send(fd, RAW_BYTES("\0\4"
                           "lost\0\0\1\0\0\2ok"));
    check_text(&at.child, "ok");
    mf_check_int(at.child.malformed, 2);
    mf_check_int(at.child.events[MFI_PEER_DISCONNECTED], 0);
    (void)close(fd);
    few_close(&at);
}

static void test_further_frames_are_ignored(void)
{
    few at;
    uint8_t large[9 + 70000] = {3, 0, 0, 0, 0, 0, 1, 0x11, 0x70};
    few_open(&at);
    int fd = few_connect_raw(&at);
    raw_send(fd, RAW_BYTES("\1\0\1\5first\1\3two\1\0\0\5three"));
    check_text(&at.child, "first");
    raw_send(fd, RAW_BYTES("\1\0\1\6second"));
    check_text(&at.child, "second");
    raw_send(fd, large, sizeof large);
    raw_send(fd, RAW_BYTES("\0\0\1\4"
                           "mark\0\5third")); /* what is before the payload is as good */
    check_text(&at.child, "third");
    mf_check_int(at.child.malformed, 0);
    (void)close(fd);
    few_close(&at);
}

static void test_ping_is_answered(void)
{
    few at;
    few_open(&at);
    int fd = few_connect_raw(&at);
    raw_send(fd, RAW_BYTES("\4\7\4PING\0\1"));
    raw_expect(fd, RAW_BYTES("\4\5\4PONG"));
    raw_send(fd, RAW_BYTES("\4\x17\4PING\0\1"
                           "0123456789abcdef"));
    raw_expect(fd, RAW_BYTES("\4\x15\4PONG"
                             "0123456789abcdef"));
    /* One that is too long, too short ones and other commands get none, and hurt nobody. */
    raw_send(fd, RAW_BYTES("\4\x18\4PING\0\1"
                           "0123456789abcdefg\4\6\4PING\0\4\0\4\5\4PONG"));
    raw_send(fd, RAW_BYTES("\4\7\4PING\0\1\1\0\0\2ok"));
    raw_expect(fd, RAW_BYTES("\4\5\4PONG"));
    check_text(&at.child, "ok");
    (void)close(fd);
    few_close(&at);
}

/* ---- libzmq's own sockets ---- */

/* Drives our ends until the socket is ready for `wanted`. */
static void wait_for_socket(void *socket, int wanted)
{
    int64_t until = mf_test_now_ms() + PATIENCE_MS;
    int fd = -1;
    int events = 0;
    size_t size = sizeof fd;
    (void)zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    (void)zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
    while ((events & wanted) == 0 && mf_test_now_ms() < until) {
        turn(fd, POLLIN, PATIENCE_MS);
        (void)zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
    }
}

static void send_frame(void *socket, const char *text, int flags)
{
    wait_for_socket(socket, ZMQ_POLLOUT);
    mf_check_int(zmq_send(socket, text, strlen(text), ZMQ_DONTWAIT | flags), strlen(text));
}

static void expect_frame(void *socket, const char *text)
{
    char bytes[16] = {0};
    wait_for_socket(socket, ZMQ_POLLIN);
    mf_check_int(zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT), strlen(text));
    mf_check_str(bytes, text);
}

/* With an identity of its own, properties beside the type, heartbeats, more frames. */
static void test_a_libzmq_dealer_with_options(void)
{
    few at;
    int none = 0;
    int beat_ms = 5;
    int patience_ms = 3600000; /* else 5: a thread that does not run for so long would be gone */
    few_open(&at);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    (void)zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &beat_ms, sizeof beat_ms);
    (void)zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &patience_ms, sizeof patience_ms);
    mf_check_int(zmq_setsockopt(socket, ZMQ_ROUTING_ID, "me", 2), 0);
    mf_check_int(zmq_connect(socket, at.child.transport->endpoint), 0);
    send_frame(socket, "", ZMQ_SNDMORE);
    send_frame(socket, "hello", ZMQ_SNDMORE);
    send_frame(socket, "rest", 0);
    check_text(&at.child, "hello");
    send_numbered(&at.child, &at.child.last_peer, 0x41424344, 4);
    expect_frame(socket, "");
    expect_frame(socket, "ABCD");
    send_frame(socket, "one frame", 0);
    send_frame(socket, "", ZMQ_SNDMORE);
    send_frame(socket, "next", 0);
    check_text(&at.child, "next");
    mf_check_int(at.child.malformed, 1);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
    expect_events(&at.child, MFI_PEER_DISCONNECTED, 1);
    few_close(&at);
}

/* ---- Which transport ---- */

static const mf_test tests[] = {
    {"direct__a_parent_connects_to_a_child", test_parent_connects},
    {"direct__a_child_connects_to_a_parent", test_parent_binds},
    {"direct__a_parent_connects_to_libzmq", test_parent_connects_to_libzmq},
    {"direct__libzmq_connects_to_a_parent", test_libzmq_connects_to_parent},
    {"direct__libzmq_connects_to_a_child", test_libzmq_connects_to_child},
    {"direct__a_child_connects_to_libzmq", test_child_connects_to_libzmq},
    {"direct__both_ways_at_once", test_both_ways_at_once},
    {"direct__both_ways_at_once_with_libzmq", test_both_ways_at_once_with_libzmq},
    {"direct__two_peers_get_their_own_answers", test_two_peers_get_their_own_answers},
    {"direct__a_route_ends_with_its_connection", test_a_route_ends_with_its_connection},
    {"direct__a_child_that_connects_keeps_its_route", test_a_child_that_connects_keeps_its_route},
    {"direct__bytes_may_come_one_by_one", test_bytes_may_come_one_by_one},
    {"direct__what_leaves_is_zmtp", test_what_leaves_is_zmtp},
    {"direct__a_message_of_one_frame_is_malformed", test_a_message_of_one_frame_is_malformed},
    {"direct__further_frames_are_ignored", test_further_frames_are_ignored},
    {"direct__ping_is_answered", test_ping_is_answered},
    {"direct__a_libzmq_dealer_with_options", test_a_libzmq_dealer_with_options},
};
MF_TEST_MAIN(tests)
