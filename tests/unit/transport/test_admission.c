/* Connections that are not admitted, and connections that are, but that calls do not go to. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct_peer.h"
#include "raw_peer.h"

#define NUMBER_7 "\1\0\0\4\0\0\0\7" /* the frames of number 7 with four bytes */
#define MALFORMED                                                                                  \
    "\0\4"                                                                                         \
    "ping" /* no delimiter */

/* Says yes or no to all, and counts how often. */
typedef struct gate {
    bool admits;
    int asked;
} gate;

static bool admits(void *data, int fd)
{
    gate *at = data;
    (void)fd;
    at->asked++;
    return at->admits;
}

typedef struct guarded {
    mfi_messaging *messaging;
    gate gate;
    end own;
} guarded;

static void open_guarded(guarded *to, bool is_zmq, bool is_child, bool admits_all)
{
    mfi_transport_options options = end_options(is_child, true, 0);
    to->messaging = messaging_of(is_zmq);
    to->gate = (gate){.admits = admits_all};
    options.admits = admits;
    options.admits_data = &to->gate;
    end_open(&to->own, to->messaging, &options);
}

static void close_guarded(guarded *from)
{
    end_close(&from->own);
    from->messaging->destroy(from->messaging);
}

/* ---- direct ---- */

/* The stranger has sent all that a peer sends. Nothing of it is read, and no byte is sent to it: a
 * socket that is closed with unread bytes is reset. */
static void check_closed_before_a_byte(bool is_child)
{
    guarded at;
    char byte = 0;
    open_guarded(&at, false, is_child, false);
    int fd = raw_connect(end_port(&at.own));
    raw_send(fd, RAW_BYTES(NULL_MECHANISM READY_DEALER NUMBER_7));
    expect_events(&at.own, MFI_PEER_REFUSED, 1);
    struct pollfd closed = {.fd = fd, .events = POLLIN};
    mf_check_int(poll(&closed, 1, PATIENCE_MS), 1);
    mf_check_int(recv(fd, &byte, 1, 0), -1);
    mf_check_int(at.gate.asked, 1);
    mf_check_int(at.own.events[MFI_PEER_CONNECTED], 0);
    mf_check_int(at.own.events[MFI_PEER_HANDSHAKE_FAILED], 0);
    mf_check_int(at.own.count, 0);
    (void)close(fd);
    close_guarded(&at);
}

static void test_a_stranger_is_closed_before_a_byte_is_read(void)
{
    check_closed_before_a_byte(false);
    check_closed_before_a_byte(true);
}

/* Nobody can tell any more who that was. */
static void test_who_has_gone_is_no_stranger(void)
{
    guarded at;
    open_guarded(&at, false, false, false);
    (void)close(raw_connect(end_port(&at.own)));
    expect_events(&at.own, MFI_PEER_HANDSHAKE_FAILED, 1);
    mf_check_int(at.own.events[MFI_PEER_REFUSED], 0);
    close_guarded(&at);
}

/* One judgement for each look: the driver looks for its own answer in between. */
static void test_strangers_are_judged_one_by_one(void)
{
    enum { STRANGERS = 8 };
    guarded at;
    int fds[STRANGERS];
    open_guarded(&at, false, true, false);
    at.own.is_deaf = true;
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = raw_connect(end_port(&at.own));
    }
    const mfi_transport_ops *ops = at.own.transport->ops;
    for (int i = 0; i < STRANGERS; i++) {
        mfi_route route = {0};
        mfi_message message = {0};
        mf_check_int(at.gate.asked, i);
        mf_check_int(ops->receive(at.own.transport, &route, &message), MFI_IO_AGAIN);
    }
    at.own.is_deaf = false;
    expect_events(&at.own, MFI_PEER_REFUSED, STRANGERS);
    for (int i = 0; i < STRANGERS; i++) {
        (void)close(fds[i]);
    }
    close_guarded(&at);
}

/* A parent whose worker is there serves it between two strangers, and judges all in the end. */
static void test_a_parent_with_a_peer_judges_at_leisure(void)
{
    guarded at;
    open_guarded(&at, false, false, true);
    int worker = raw_connect(end_port(&at.own));
    raw_handshake(worker, "ROUTER");
    expect_events(&at.own, MFI_PEER_CONNECTED, 1);
    at.gate.admits = false;
    int first = raw_connect(end_port(&at.own));
    expect_events(&at.own, MFI_PEER_REFUSED, 1);
    int second = raw_connect(end_port(&at.own));
    send_numbered(&at.own, &nowhere, 1, 0);
    raw_expect(worker, RAW_BYTES("\1\0\0\0"));
    expect_events(&at.own, MFI_PEER_REFUSED, 2);
    mf_check_int(at.gate.asked, 3);
    (void)close(first);
    (void)close(second);
    (void)close(worker);
    expect_events(&at.own, MFI_PEER_DISCONNECTED, 1);
    close_guarded(&at);
}

/* Where there is no place left, a stranger ends nobody's connection. */
static void test_a_stranger_takes_nobodys_place(void)
{
    enum { ADMITTED = 1 + 8 };
    guarded at;
    int fds[ADMITTED];
    open_guarded(&at, false, false, true);
    for (unsigned i = 0; i < ADMITTED; i++) {
        fds[i] = raw_connect(end_port(&at.own));
        raw_handshake(fds[i], "ROUTER");
        expect_events(&at.own, MFI_PEER_CONNECTED, i + 1);
    }
    at.gate.admits = false;
    int stranger = raw_connect(end_port(&at.own));
    expect_events(&at.own, MFI_PEER_REFUSED, 1);
    mf_check_int(at.own.events[MFI_PEER_DISCONNECTED], 0);
    (void)close(stranger);
    for (unsigned i = 0; i < ADMITTED; i++) {
        (void)close(fds[i]);
    }
    close_guarded(&at);
}

/* ---- A second connection that is admitted ---- */

/* Messages are read from the peer that calls go to, until it goes; then from the next one. */
static void test_a_second_peer_is_not_listened_to(void)
{
    guarded at;
    open_guarded(&at, false, false, true);
    int first = raw_connect(end_port(&at.own));
    raw_handshake(first, "ROUTER");
    expect_events(&at.own, MFI_PEER_CONNECTED, 1);
    int second = raw_connect(end_port(&at.own));
    raw_handshake(second, "ROUTER");
    expect_events(&at.own, MFI_PEER_CONNECTED, 2);
    raw_send(second, RAW_BYTES(NUMBER_7 MALFORMED));
    while (at.own.wrong + at.own.count + at.own.malformed < 2) {
        turn(-1, 0, PATIENCE_MS);
    }
    mf_check_int(at.own.wrong, 2);
    raw_send(first, RAW_BYTES(NUMBER_7));
    expect_numbered(&at.own, 7, 4);
    (void)close(first);
    expect_events(&at.own, MFI_PEER_DISCONNECTED, 1);
    raw_send(second, RAW_BYTES(NUMBER_7));
    expect_numbered(&at.own, 7, 4);
    mf_check_int(at.own.wrong, 2);
    (void)close(second);
    expect_events(&at.own, MFI_PEER_DISCONNECTED, 2);
    close_guarded(&at);
}

static void test_a_service_listens_to_all(void)
{
    few at;
    end another;
    few_open(&at);
    few_another_parent(&at, &another);
    exchange(&at.parent, &at.child, 1, 10);
    exchange(&another, &at.child, 2, 10);
    mf_check_int(at.child.wrong, 0);
    end_close(&another);
    few_close(&at);
}

/* ---- libzmq ---- */

static void check_zmq(bool is_child, bool admits_all, const char *peer_type)
{
    guarded at;
    open_guarded(&at, true, is_child, admits_all);
    int fd = raw_connect(end_port(&at.own));
    raw_handshake(fd, peer_type);
    raw_send(fd, RAW_BYTES(NUMBER_7));
    if (admits_all) {
        expect_numbered(&at.own, 7, 4);
    } else {
        raw_send(fd, RAW_BYTES(MALFORMED)); /* which is dropped for the same reason */
        while (at.own.wrong + at.own.count + at.own.malformed < 2) {
            turn(-1, 0, PATIENCE_MS);
        }
        expect_events(&at.own, MFI_PEER_REFUSED, 1);
    }
    expect_events(&at.own, MFI_PEER_CONNECTED, 1);
    mf_check_int(at.own.events[MFI_PEER_REFUSED], admits_all ? 0 : 1);
    mf_check_int(at.own.wrong, admits_all ? 0 : 2);
    mf_check(!at.own.transport->closes_refused);
    (void)close(fd);
    expect_events(&at.own, MFI_PEER_DISCONNECTED, 1);
    close_guarded(&at);
}

static void test_libzmq_drops_what_strangers_send(void)
{
    check_zmq(true, true, "DEALER");
    check_zmq(true, false, "DEALER");
    check_zmq(false, true, "ROUTER");
    check_zmq(false, false, "ROUTER");
}

static const mf_test tests[] = {
    {"direct__a_stranger_is_closed_before_a_byte_is_read",
     test_a_stranger_is_closed_before_a_byte_is_read},
    {"direct__who_has_gone_is_no_stranger", test_who_has_gone_is_no_stranger},
    {"direct__strangers_are_judged_one_by_one", test_strangers_are_judged_one_by_one},
    {"direct__a_stranger_takes_nobodys_place", test_a_stranger_takes_nobodys_place},
    {"direct__a_parent_with_a_peer_judges_at_leisure", test_a_parent_with_a_peer_judges_at_leisure},
    {"direct__a_second_peer_is_not_listened_to", test_a_second_peer_is_not_listened_to},
    {"direct__a_service_listens_to_all", test_a_service_listens_to_all},
    {"zmq__drops_what_strangers_send", test_libzmq_drops_what_strangers_send},
};
MF_TEST_MAIN(tests)
