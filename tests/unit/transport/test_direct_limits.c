/* The direct transport bounds the time of a handshake, and the memory of payloads that are received
 * in part. */
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/transport/direct/direct.h"
#include "direct_peer.h"
#include "raw_peer.h"

static void open_few(few *to, const mfi_transport_options *of_child)
{
    to->messaging = messaging_of(false);
    end_open(&to->child, to->messaging, of_child);
    mfi_transport_options options = end_options(false, false, end_port(&to->child));
    end_open(&to->parent, to->messaging, &options);
    exchange(&to->parent, &to->child, 1, 10);
}

/* ---- The time of a handshake ---- */

#define HANDSHAKE_MS 50

static void check_dropped(few *at, int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        mf_check(raw_is_dropped(fds[i]));
        (void)close(fds[i]);
    }
    mf_check_int(at->child.events[MFI_PEER_CONNECTED], 1);
    mf_check_int(at->child.events[MFI_PEER_DISCONNECTED], 0);
}

static void test_who_does_not_finish_the_handshake_is_dropped(void)
{
    /* Nothing, half a greeting, all of it, half a READY. */
    static const size_t said[] = {0, 32, 64, 80};
    enum { COUNT = sizeof said / sizeof said[0] };
    few at;
    few_open(&at);
    /* From here on: the good one may have been slow. */
    ((mfi_direct *)at.child.transport)->options.handshake_ms = HANDSHAKE_MS;
    for (unsigned round = 1; round <= 2; round++) {
        int fds[COUNT];
        for (unsigned i = 0; i < COUNT; i++) {
            fds[i] = raw_connect(end_port(&at.child));
            raw_send(fds[i], NULL_MECHANISM READY_DEALER, said[i]);
        }
        check_dropped(&at, fds, COUNT);
        expect_events(&at.child, MFI_PEER_HANDSHAKE_FAILED, round * COUNT);
        exchange(&at.parent, &at.child, round, 300);
    }
    few_close(&at);
}

/* As if the time for all handshakes were over, and the timer told so. */
static void let_handshakes_be_late(end *child)
{
    mfi_direct *direct = (mfi_direct *)child->transport;
    struct itimerspec past = {.it_value = {.tv_nsec = 1}};
    for (uint32_t i = 0; i < direct->capacity; i++) {
        if (direct->peers[i] != NULL && direct->peers[i]->deadline_ns != MFI_NEVER) {
            direct->peers[i]->deadline_ns = 1;
        }
    }
    mf_check_int(timerfd_settime(direct->timer_fd, TFD_TIMER_ABSTIME, &past, NULL), 0);
}

#define LATE 6

/* That there is something to read from them is seen together with the time. */
static void test_who_is_too_late_is_not_read_from(void)
{
    few at;
    int fds[LATE];
    uint8_t greeting[64];
    few_open(&at);
    for (unsigned i = 0; i < LATE; i++) {
        fds[i] = raw_connect(end_port(&at.child));
    }
    for (unsigned i = 0; i < LATE; i++) {
        raw_read(fds[i], greeting, sizeof greeting); /* accepted */
    }
    at.child.is_deaf = true;
    for (unsigned i = 0; i < LATE; i++) {
        struct pollfd arrival = {raw_other_end(fds[i]), POLLIN, 0};
        raw_send(fds[i], NULL_MECHANISM READY_DEALER, 10 + i);
        mf_check_int(poll(&arrival, 1, PATIENCE_MS), 1);
    }
    send_numbered(&at.parent, &nowhere, 5, 300);
    let_handshakes_be_late(&at.child);
    at.child.is_deaf = false;
    expect_numbered(&at.child, 5, 300);
    check_dropped(&at, fds, LATE);
    expect_events(&at.child, MFI_PEER_HANDSHAKE_FAILED, LATE);
    exchange(&at.parent, &at.child, 7, 300);
    few_close(&at);
}

/* ---- Payloads that come in part ---- */

#define PAYLOAD_BYTES ((size_t)1024 * 1024) /* the most that is allowed */
#define HALF (PAYLOAD_BYTES / 2)
#define HALVES 40
#define KEPT_MOST 9 /* of 4 * PAYLOAD_BYTES, counted by what came of them; and one more */
#define KEPT_LEAST 3
#define CHUNK 64
#define OTHERS 6 /* with a whole payload as much as is allowed */

static uint8_t bytes[PAYLOAD_BYTES];

/* The payload has begun when this is back: its first bytes come with a PING, which is answered. */
static void send_half(int fd)
{
    static const char front[] = "\4\7\4PING\0\1\1\0\2\0\0\0\0\0\x10\0\0";
    uint8_t first[sizeof front - 1 + CHUNK] = {0};
    memcpy(first, front, sizeof front - 1);
    raw_send(fd, first, sizeof first);
    raw_expect(fd, RAW_BYTES("\4\5\4PONG"));
    raw_send(fd, bytes, HALF - CHUNK);
}

static void open_with_halves(few *to, int *fds, unsigned count)
{
    mfi_transport_options options = end_options(true, true, 0);
    options.max_message_bytes = PAYLOAD_BYTES;
    open_few(to, &options);
    for (unsigned i = 0; i < count; i++) {
        fds[i] = few_connect_raw(to);
    }
    expect_events(&to->child, MFI_PEER_CONNECTED, 1 + count);
    /* The last ones that came are the first that begin. */
    for (unsigned i = count; i-- > 0;) {
        send_half(fds[i]);
        exchange(&to->parent, &to->child, i, 300);
    }
}

static void check_finished(few *at, int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        raw_send(fds[i], bytes, HALF);
        mf_check(wait_for_count(&at->child, 1));
        mf_check(at->child.first != NULL && at->child.first->size == PAYLOAD_BYTES);
        drop_messages(&at->child);
    }
}

static void test_few_halves_are_kept(void)
{
    few at;
    int fds[KEPT_LEAST];
    open_with_halves(&at, fds, KEPT_LEAST);
    check_finished(&at, fds, KEPT_LEAST);
    mf_check_int(at.child.events[MFI_PEER_DISCONNECTED], 0);
    for (unsigned i = 0; i < KEPT_LEAST; i++) {
        (void)close(fds[i]);
    }
    few_close(&at);
}

static void test_of_many_halves_the_oldest_go(void)
{
    few at;
    int fds[HALVES];
    size_t before = heap_bytes();
    open_with_halves(&at, fds, HALVES);
    bool are_dropped = true;
    for (unsigned i = HALVES; i-- > KEPT_MOST && are_dropped;) {
        are_dropped = raw_is_dropped(fds[i]);
    }
    mf_check(are_dropped);
    mf_check(heap_bytes() < before + (KEPT_MOST + 3) * PAYLOAD_BYTES);
    mf_check(at.child.events[MFI_PEER_DISCONNECTED] >= HALVES - KEPT_MOST);
    mf_check(at.child.events[MFI_PEER_DISCONNECTED] <= HALVES - KEPT_LEAST);
    memset(bytes, 'x', sizeof bytes);
    send_numbered(&at.parent, &nowhere, 3, PAYLOAD_BYTES); /* a good one is as large */
    expect_numbered(&at.child, 3, PAYLOAD_BYTES);
    check_finished(&at, fds, KEPT_LEAST - 1);
    exchange(&at.parent, &at.child, 4, 300);
    for (unsigned i = 0; i < HALVES; i++) {
        (void)close(fds[i]);
    }
    few_close(&at);
}

/* One that goes on with its next payload is as young as that one, even if the end of the last one
 * and the beginning of the next come together and the next gets the memory of the last. */
static void test_a_next_payload_is_a_new_one(void)
{
    static const char front[] = "\1\0\2\0\0\0\0\0\x10\0\0";
    uint8_t both[CHUNK + sizeof front - 1 + CHUNK] = {0};
    few at;
    int fds[1 + OTHERS];
    int last[2];
    memcpy(both + CHUNK, front, sizeof front - 1);
    mfi_transport_options options = end_options(true, true, 0);
    options.max_message_bytes = PAYLOAD_BYTES;
    open_few(&at, &options);
    for (unsigned i = 0; i <= OTHERS; i++) {
        fds[i] = few_connect_raw(&at);
        send_half(fds[i]);
    }
    raw_send(fds[0], bytes, HALF - CHUNK);
    exchange(&at.parent, &at.child, 1, 300);
    raw_send(fds[0], both, sizeof both); /* all at once, as small as it is */
    mf_check(wait_for_count(&at.child, 1));
    drop_messages(&at.child);
    for (unsigned i = 0; i < 2; i++) {
        last[i] = few_connect_raw(&at);
        send_half(last[i]); /* together a little too much */
    }
    mf_check(raw_is_dropped(fds[1]));
    raw_send(fds[0], bytes, PAYLOAD_BYTES - CHUNK);
    mf_check(wait_for_count(&at.child, 1));
    drop_messages(&at.child);
    for (unsigned i = 0; i <= OTHERS; i++) {
        (void)close(fds[i]);
    }
    (void)close(last[0]);
    (void)close(last[1]);
    few_close(&at);
}

static const mf_test tests[] = {
    {"direct_limits__who_does_not_finish_the_handshake_is_dropped",
     test_who_does_not_finish_the_handshake_is_dropped},
    {"direct_limits__who_is_too_late_is_not_read_from", test_who_is_too_late_is_not_read_from},
    {"direct_limits__few_halves_are_kept", test_few_halves_are_kept},
    {"direct_limits__a_next_payload_is_a_new_one", test_a_next_payload_is_a_new_one},
    {"direct_limits__of_many_halves_the_oldest_go", test_of_many_halves_the_oldest_go},
};
MF_TEST_MAIN(tests)
