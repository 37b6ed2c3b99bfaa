/* The direct transport with peers that are absent, do not read, or come back; unsent bytes at the
 * end; and addresses that it refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "direct_peer.h"
#include "raw_peer.h"

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)
#define WAITING_MOST (32 * MIB) /* memory of what waits at one connection */

static void open_child(end *to, mfi_messaging *messaging, uint16_t port)
{
    mfi_transport_options options = end_options(true, true, port);
    end_open(to, messaging, &options);
}

static void open_parent(end *to, mfi_messaging *messaging, uint16_t port)
{
    mfi_transport_options options = end_options(false, false, port);
    end_open(to, messaging, &options);
}

/* ---- Nobody there ---- */

static void test_a_bound_parent_waits_for_a_child(void)
{
    end parent;
    end child;
    mfi_messaging *messaging = messaging_of(false);
    mfi_transport_options options = end_options(false, true, 0);
    end_open(&parent, messaging, &options);
    turn(-1, 0, 0);
    mf_check_int(try_send(&parent, &nowhere, 1, 10), MFI_IO_AGAIN);
    mf_check(!parent.transport->ops->can_go_on(parent.transport));
    mf_check(gets_quiet(&parent));
    options = end_options(true, false, end_port(&parent));
    end_open(&child, messaging, &options);
    exchange(&parent, &child, 1, 10);
    end_close(&child);
    expect_events(&parent, MFI_PEER_DISCONNECTED, 1);
    mf_check_int(try_send(&parent, &nowhere, 1, 10), MFI_IO_AGAIN);
    end_close(&parent);
    messaging->destroy(messaging);
}

static void test_a_parent_waits_for_the_handshake(void)
{
    uint16_t port = 0;
    end parent;
    mfi_messaging *messaging = messaging_of(false);
    int listener = raw_listen(&port);
    open_parent(&parent, messaging, port);
    mf_check_int(try_send(&parent, &nowhere, 1, 10), MFI_IO_AGAIN);
    int fd = raw_accept(listener);
    mf_check_int(try_send(&parent, &nowhere, 1, 10), MFI_IO_AGAIN);
    raw_greet(fd);
    uint8_t said[94];
    raw_read(fd, said, sizeof said);
    mf_check_int(try_send(&parent, &nowhere, 1, 10), MFI_IO_AGAIN);
    mf_check(!parent.transport->ops->can_go_on(parent.transport));
    raw_ready(fd, "ROUTER");
    expect_events(&parent, MFI_PEER_CONNECTED, 1);
    mf_check(parent.transport->ops->can_go_on(parent.transport));
    mf_check_int(try_send(&parent, &nowhere, 0x41424344, 4), MFI_IO_DONE);
    raw_expect(fd, RAW_BYTES("\1\0\0\4"
                             "ABCD"));
    (void)close(fd);
    (void)close(listener);
    end_close(&parent);
    messaging->destroy(messaging);
}

static void test_a_parent_connects_again(void)
{
    end parent;
    end child;
    mfi_messaging *messaging = messaging_of(false);
    uint16_t port = 0;
    int holder = raw_hold_port(&port);
    open_parent(&parent, messaging, port);
    for (int i = 0; i < 3; i++) { /* each is woken by an attempt, or by the time of the next one */
        turn(-1, 0, PATIENCE_MS);
    }
    mf_check_int(try_send(&parent, &nowhere, 1, 10), MFI_IO_AGAIN);
    for (unsigned i = 1; i <= 3; i++) {
        open_child(&child, messaging, port);
        expect_events(&parent, MFI_PEER_CONNECTED, i);
        exchange(&parent, &child, i, 10);
        end_close(&child);
        expect_events(&parent, MFI_PEER_DISCONNECTED, i);
    }
    mf_check_int(parent.events[MFI_PEER_HANDSHAKE_FAILED], 0);
    (void)close(holder);
    end_close(&parent);
    messaging->destroy(messaging);
}

/* ---- Peers that do not read ---- */

typedef struct trio {
    end child, deaf, other; /* two parents */
    mfi_route to_deaf, to_other;
} trio;

static void trio_open(trio *to, mfi_messaging *messaging, int queue_messages)
{
    mfi_transport_options options = end_options(true, true, 0);
    options.queue_messages = queue_messages;
    end_open(&to->child, messaging, &options);
    open_parent(&to->deaf, messaging, end_port(&to->child));
    open_parent(&to->other, messaging, end_port(&to->child));
    exchange(&to->deaf, &to->child, 1, 10);
    to->to_deaf = to->child.last_peer;
    exchange(&to->other, &to->child, 1, 10);
    to->to_other = to->child.last_peer;
    to->deaf.is_deaf = true;
}

static void trio_close(trio *from)
{
    end_close(&from->child);
    end_close(&from->deaf);
    end_close(&from->other);
}

/* Sends what is numbered from `count` on, until no more is taken and nothing wakes the sender's
 * driver: it does not spin. Gives the number after the last. The kernel may have room later. */
static uint32_t fill_up(end *from, const mfi_route *to, uint32_t count, size_t size)
{
    int64_t until = mf_test_now_ms() + PATIENCE_MS;
    bool is_full = false;
    while (!is_full && mf_test_now_ms() < until) {
        mfi_io io = try_send(from, to, count, size);
        if (io == MFI_IO_DONE) {
            count++;
            continue;
        }
        mf_check_int(io, MFI_IO_AGAIN);
        is_full = is_quiet(from);
        if (!is_full) {
            turn(-1, 0, 0);
        }
    }
    mf_check(is_full);
    return count;
}

/* The peer reads again: what waits arrives, and then, woken by the readiness, one more. */
static void check_all_arrive(trio *at, uint32_t count, size_t size)
{
    at->deaf.is_deaf = false;
    send_numbered(&at->child, &at->to_deaf, count, size);
    for (uint32_t i = 0; i <= count; i++) {
        expect_numbered(&at->deaf, i, size);
    }
}

/* At no time more is held than the queue and the kernel's buffers may have; others get on. */
static void fill_and_empty(int queue_messages, size_t size, size_t most_bytes)
{
    trio at;
    mfi_messaging *messaging = messaging_of(false);
    trio_open(&at, messaging, queue_messages);
    narrow_sockets();
    uint32_t count = fill_up(&at.child, &at.to_deaf, 0, size);
    mf_check(count >= (uint32_t)queue_messages || count * size >= WAITING_MOST);
    for (uint32_t i = 0; i < 20; i++) {
        exchange(&at.other, &at.child, i, 9000);
        count = fill_up(&at.child, &at.to_deaf, count, size);
    }
    mf_check(count * size <= most_bytes + NARROW_BYTES);
    check_all_arrive(&at, count, size);
    trio_close(&at);
    messaging->destroy(messaging);
}

static void test_the_queue_is_bounded_by_messages(void)
{
    fill_and_empty(50, 64 * KIB, (size_t)50 * 64 * KIB);
    fill_and_empty(200, KIB, 200 * KIB); /* many in one buffer */
}

static void test_the_queue_is_bounded_by_bytes(void)
{
    fill_and_empty(100000, MIB, WAITING_MOST + MIB);
}

static void test_a_parent_waits_for_a_child_that_does_not_read(void)
{
    end parent;
    end child;
    mfi_messaging *messaging = messaging_of(false);
    open_child(&child, messaging, 0);
    mfi_transport_options options = end_options(false, false, end_port(&child));
    options.queue_messages = 10;
    end_open(&parent, messaging, &options);
    exchange(&parent, &child, 1, 10);
    child.is_deaf = true;
    narrow_sockets();
    uint32_t count = fill_up(&parent, &nowhere, 0, 64 * KIB);
    mf_check(!parent.transport->ops->can_go_on(parent.transport));
    mf_check(count >= 10 && count * 64 * KIB <= 10 * 64 * KIB + NARROW_BYTES);
    child.is_deaf = false;
    send_numbered(&parent, &nowhere, count, 64 * KIB);
    for (uint32_t i = 0; i <= count; i++) {
        expect_numbered(&child, i, 64 * KIB);
    }
    end_close(&parent);
    end_close(&child);
    messaging->destroy(messaging);
}

/* Small and large ones in turns take no more memory than all small, or all large. */
static void test_what_waits_takes_no_more_memory_than_it_may(void)
{
    trio at;
    mfi_messaging *messaging = messaging_of(false);
    trio_open(&at, messaging, 100000);
    size_t before = heap_bytes();
    mfi_io io = MFI_IO_DONE;
    uint32_t count = 0;
    while (io == MFI_IO_DONE) {
        io = try_send(&at.child, &at.to_deaf, count, count % 2 == 0 ? 10 : 8 * KIB);
        count += io == MFI_IO_DONE ? 1 : 0;
    }
    mf_check_int(io, MFI_IO_AGAIN);
    /* Buffers may have twice the room they need. */
    mf_check(heap_bytes() < before + 2 * WAITING_MOST);
    at.deaf.is_deaf = false;
    for (uint32_t i = 0; i < count; i++) {
        expect_numbered(&at.deaf, i, i % 2 == 0 ? 10 : 8 * KIB);
    }
    trio_close(&at);
    messaging->destroy(messaging);
}

/* What waits for a peer goes with it. */
static void test_a_peer_that_does_not_read_goes_away(void)
{
    trio at;
    mfi_messaging *messaging = messaging_of(false);
    trio_open(&at, messaging, 50);
    (void)fill_up(&at.child, &at.to_deaf, 0, 64 * KIB);
    end_close(&at.deaf);
    expect_events(&at.child, MFI_PEER_DISCONNECTED, 1);
    mf_check_int(try_send(&at.child, &at.to_deaf, 1, 10), MFI_IO_UNROUTABLE);
    mf_check(gets_quiet(&at.child));
    exchange(&at.other, &at.child, 1, 10);
    trio_close(&at);
    messaging->destroy(messaging);
}

/* ---- The end ---- */

#define LARGE_ONES 20

static void send_large_ones(trio *at)
{
    for (uint32_t i = 0; i < LARGE_ONES; i++) {
        send_numbered(&at->child, &at->to_deaf, i, MIB);
    }
}

static void expect_large_ones(trio *at)
{
    at->deaf.is_deaf = false;
    for (uint32_t i = 0; i < LARGE_ONES; i++) {
        expect_numbered(&at->deaf, i, MIB);
    }
    expect_events(&at->deaf, MFI_PEER_DISCONNECTED, 1);
}

static void test_what_was_sent_before_the_close_arrives(void)
{
    trio at;
    mfi_messaging *messaging = messaging_of(false);
    trio_open(&at, messaging, 1000);
    send_large_ones(&at);
    end_close(&at.child);
    expect_large_ones(&at);
    trio_close(&at);
    messaging->destroy(messaging);
}

/* What a peer said and nobody read must not make the kernel throw away what it has yet to send: be
 * it with more behind it that was not taken yet, or without. */
static void linger_with_something_unread(uint32_t count)
{
    uint8_t front[11];
    end child;
    mfi_messaging *messaging = messaging_of(false);
    uint8_t *bytes = malloc(MIB);
    open_child(&child, messaging, 0);
    int fd = raw_connect(end_port(&child));
    raw_handshake(fd, "DEALER");
    raw_send(fd, RAW_BYTES("\1\0\0\1x"));
    mf_check(wait_for_count(&child, 1));
    for (uint32_t i = 0; i < count; i++) {
        send_numbered(&child, &child.last_peer, i, MIB);
    }
    turn(-1, 0, 0);
    raw_send(fd, RAW_BYTES("\1\0\0\1y"));
    end_close(&child);
    raw_send(fd, RAW_BYTES("\1\0\0\1z"));
    for (uint32_t i = 0; i < count; i++) {
        raw_read(fd, front, sizeof front);
        mf_check(memcmp(front, "\1\0\2\0\0\0\0\0\x10\0\0", sizeof front) == 0);
        raw_read(fd, bytes, MIB);
        mf_check_int(bytes[3], i);
    }
    mf_check(raw_is_dropped(fd));
    (void)close(fd);
    free(bytes);
    messaging->destroy(messaging);
}

static void test_it_arrives_although_something_was_not_read(void)
{
    linger_with_something_unread(LARGE_ONES);
}

static void test_it_arrives_although_the_kernel_had_all_of_it(void)
{
    linger_with_something_unread(1);
}

#define LEFT 4 /* messages, of a MiB */

/* A child that was closed with more left for a parent that does not read yet, than the kernel
 * takes. */
static void leave_some(end *parent, mfi_messaging *of_parent, mfi_messaging *of_child,
                       int64_t linger_ms)
{
    end child;
    mfi_transport_options options = end_options(true, true, 0);
    options.linger_ms = linger_ms;
    end_open(&child, of_child, &options);
    open_parent(parent, of_parent, end_port(&child));
    exchange(parent, &child, 1, 10);
    parent->is_deaf = true;
    narrow_sockets();
    for (uint32_t i = 0; i < LEFT; i++) {
        send_numbered(&child, &child.last_peer, i, MIB);
    }
    end_close(&child); /* waits for nobody: the parent reads later */
}

/* The one that began to wait earlier has no end to its time, and is waited for still. */
static void test_who_never_reads_holds_the_end_for_linger_ms(void)
{
    end patient;
    end brief;
    mfi_messaging *of_parents = messaging_of(false);
    mfi_messaging *of_patient = messaging_of(false);
    mfi_messaging *of_brief = messaging_of(false);
    leave_some(&patient, of_parents, of_patient, MF_TIMEOUT_INFINITE);
    int64_t begin = mf_test_now_ms();
    leave_some(&brief, of_parents, of_brief, 300);
    of_brief->destroy(of_brief);
    mf_check(mf_test_now_ms() - begin >= 300);
    brief.is_deaf = false;
    expect_events(&brief, MFI_PEER_DISCONNECTED, 1);
    mf_check(brief.count < LEFT); /* the others were given up */
    patient.is_deaf = false;
    for (uint32_t i = 0; i < LEFT; i++) {
        expect_numbered(&patient, i, MIB);
    }
    of_patient->destroy(of_patient);
    end_close(&patient);
    end_close(&brief);
    of_parents->destroy(of_parents);
}

/* While one that never reads is waited for, for ever, others get what is theirs. */
static void test_who_never_reads_does_not_hold_others_back(void)
{
    trio first;
    trio second;
    mfi_messaging *messaging = messaging_of(false);
    trio_open(&first, messaging, 1000);
    trio_open(&second, messaging, 1000);
    send_large_ones(&first);
    send_large_ones(&second);
    end_close(&first.child);
    for (uint32_t i = 0; i < 200; i++) { /* the thread that lingers waits by now, as a rule */
        exchange(&second.other, &second.child, i, 10);
    }
    end_close(&second.child);
    expect_large_ones(&second);
    trio_close(&first);
    trio_close(&second);
    messaging->destroy(messaging);
}

/* ---- What is refused ---- */

static void check_refused(bool is_child, bool binds, const char *address, uint16_t port,
                          mf_status status, const char *words)
{
    mf_error error = MF_ERROR_INIT;
    mfi_transport *transport = NULL;
    mfi_messaging *messaging = messaging_of(false);
    mfi_transport_options options = end_options(is_child, binds, port);
    options.address = address;
    mf_check_int(messaging->open(messaging, &transport, &options, &error), status);
    mf_check(transport == NULL);
    mf_check_contains(error.message, words);
    messaging->destroy(messaging);
}

static void test_a_port_in_use(void)
{
    char where[64];
    uint16_t port = 0;
    end child;
    mfi_messaging *messaging = messaging_of(false);
    int listener = raw_listen(&port);
    (void)snprintf(where, sizeof where, "127.0.0.1:%u", (unsigned)port);
    check_refused(true, true, "127.0.0.1", port, MF_ERR_ADDRESS_IN_USE, where);
    (void)close(listener);
    int holder = raw_hold_port(&port); /* for nobody but us */
    (void)snprintf(where, sizeof where, "127.0.0.1:%u", (unsigned)port);
    open_child(&child, messaging, port);
    check_refused(false, true, "127.0.0.1", port, MF_ERR_ADDRESS_IN_USE, where);
    end_close(&child);
    open_child(&child, messaging, port); /* and at once free again */
    end_close(&child);
    (void)close(holder);
    messaging->destroy(messaging);
}

static void test_a_bad_address(void)
{
    static const char *const bad[] = {"", "localhost", "127.0.0.1.1", "256.0.0.1", "::x", "*"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char where[64];
        (void)snprintf(where, sizeof where, "%s:5", bad[i]);
        check_refused(true, true, bad[i], 5, MF_ERR_INVALID_ARGUMENT, where);
        check_refused(false, false, bad[i], 5, MF_ERR_INVALID_ARGUMENT, where);
    }
    /* Of a network that is not here. */
    check_refused(true, true, "192.0.2.1", 0, MF_ERR_INVALID_ARGUMENT, "192.0.2.1:0");
}

static const mf_test tests[] = {
    {"direct_flow__a_bound_parent_waits_for_a_child", test_a_bound_parent_waits_for_a_child},
    {"direct_flow__a_parent_waits_for_the_handshake", test_a_parent_waits_for_the_handshake},
    {"direct_flow__a_parent_connects_again", test_a_parent_connects_again},
    {"direct_flow__the_queue_is_bounded_by_messages", test_the_queue_is_bounded_by_messages},
    {"direct_flow__the_queue_is_bounded_by_bytes", test_the_queue_is_bounded_by_bytes},
    {"direct_flow__a_parent_waits_for_a_child_that_does_not_read",
     test_a_parent_waits_for_a_child_that_does_not_read},
    {"direct_flow__what_waits_takes_no_more_memory_than_it_may",
     test_what_waits_takes_no_more_memory_than_it_may},
    {"direct_flow__a_peer_that_does_not_read_goes_away", test_a_peer_that_does_not_read_goes_away},
    {"direct_flow__what_was_sent_before_the_close_arrives",
     test_what_was_sent_before_the_close_arrives},
    {"direct_flow__it_arrives_although_something_was_not_read",
     test_it_arrives_although_something_was_not_read},
    {"direct_flow__it_arrives_although_the_kernel_had_all_of_it",
     test_it_arrives_although_the_kernel_had_all_of_it},
    {"direct_flow__who_never_reads_holds_the_end_for_linger_ms",
     test_who_never_reads_holds_the_end_for_linger_ms},
    {"direct_flow__who_never_reads_does_not_hold_others_back",
     test_who_never_reads_does_not_hold_others_back},
    {"direct_flow__a_port_in_use", test_a_port_in_use},
    {"direct_flow__a_bad_address", test_a_bad_address},
};
MF_TEST_MAIN(tests)
