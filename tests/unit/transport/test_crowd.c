/* Which connection gives way where there are too many: of a child by descriptors, of a parent by
 * number. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/transport/direct/direct.h"
#include "direct_peer.h"
#include "raw_peer.h"

static mfi_direct *direct_of(few *at)
{
    return (mfi_direct *)at->child.transport;
}

static void no_descriptor_is_left(few *at)
{
    struct rlimit files;
    mf_check_int(getrlimit(RLIMIT_NOFILE, &files), 0);
    int high = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)files.rlim_cur - 1);
    mf_check(high >= 0);
    int placed = mfi_direct_make_place(direct_of(at), high);
    mf_check(placed >= 0 && placed < high); /* so that the next one is seen to be too many */
    mf_check_int(fcntl(high, F_GETFD), -1);
    (void)close(placed);
}

static void test_a_place_ends_nothing_where_there_is_room(void)
{
    few at;
    few_open(&at);
    int fd = few_connect_raw(&at);
    expect_events(&at.child, MFI_PEER_CONNECTED, 2);
    mf_check_int(mfi_direct_make_place(direct_of(&at), fd), fd);
    mf_check_int(direct_of(&at)->count, 2);
    mf_check_int(at.child.events[MFI_PEER_DISCONNECTED], 0);
    (void)close(fd);
    few_close(&at);
}

/* Those who never sent a message go first, in the order of their last words; then the others. */
static void test_who_gives_way(void)
{
    enum { COUNT = 4 };
    static const unsigned order[COUNT] = {2, 3, 0, 1};
    few at;
    int fds[COUNT];
    few_open(&at);
    for (unsigned i = 0; i < COUNT; i++) {
        fds[i] = few_connect_raw(&at);
        expect_events(&at.child, MFI_PEER_CONNECTED, 2 + i);
    }
    for (unsigned i = 0; i < 2; i++) {
        raw_send(fds[i], RAW_BYTES("\1\0"
                                   "\0\3abc"));
        mf_check(wait_for_count(&at.child, 1));
        drop_messages(&at.child);
    }
    exchange(&at.parent, &at.child, 1, 300); /* it spoke last, so it stays */
    for (unsigned i = 0; i < COUNT; i++) {
        no_descriptor_is_left(&at);
        mf_check_int(direct_of(&at)->count, COUNT - i);
        mf_check(raw_is_dropped(fds[order[i]]));
        expect_events(&at.child, MFI_PEER_DISCONNECTED, i + 1);
        (void)close(fds[order[i]]);
    }
    exchange(&at.parent, &at.child, 2, 300);
    few_close(&at);
}

/* Silent connections give way to new ones before the descriptors run out; a peer that has spoken
 * stays, and a new one is served. */
static void test_silent_connections_leave_descriptors_free(void)
{
    enum { LEFT = 180, STRANGERS = 90 };
    few at;
    end another;
    struct rlimit before;
    struct rlimit few_files;
    int fds[STRANGERS];
    few_open(&at);
    exchange(&at.parent, &at.child, 1, 300);
    int next = dup(0);
    (void)close(next);
    mf_check_int(getrlimit(RLIMIT_NOFILE, &before), 0);
    few_files = (struct rlimit){.rlim_cur = (rlim_t)next + LEFT, .rlim_max = before.rlim_max};
    mf_check_int(setrlimit(RLIMIT_NOFILE, &few_files), 0);
    /* Both ends are this process's: it cannot hold all. */
    for (unsigned i = 0; i < STRANGERS; i++) {
        fds[i] = few_connect_raw(&at);
    }
    int lowest = dup(0);
    mf_check(lowest >= 0 && (rlim_t)lowest < few_files.rlim_cur);
    (void)close(lowest);
    mf_check(raw_is_dropped(fds[0])); /* silent for longest */
    exchange(&at.parent, &at.child, 2, 300);
    few_another_parent(&at, &another);
    exchange(&another, &at.child, 3, 300);
    for (unsigned i = 0; i < STRANGERS; i++) {
        (void)close(fds[i]);
    }
    mf_check_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    end_close(&another);
    few_close(&at);
}

/* A parent has its peer, and a few connections beside it. */
static void test_a_parent_has_few_connections(void)
{
    enum { STRANGERS = 12, EXTRA = 8 };
    uint16_t port = 0;
    end parent;
    int fds[1 + STRANGERS];
    mfi_messaging *messaging = messaging_of(false);
    mfi_transport_options options = end_options(false, true, 0);
    end_open(&parent, messaging, &options);
    port = end_port(&parent);
    for (unsigned i = 0; i <= STRANGERS; i++) {
        fds[i] = raw_connect(port);
        raw_handshake(fds[i], "ROUTER");
        expect_events(&parent, MFI_PEER_CONNECTED, i + 1);
    }
    expect_events(&parent, MFI_PEER_DISCONNECTED, STRANGERS - EXTRA);
    for (unsigned i = 1; i <= STRANGERS - EXTRA; i++) {
        mf_check(raw_is_dropped(fds[i]));
    }
    send_numbered(&parent, &nowhere, 1, 0); /* the first one is the peer, silent as it is */
    raw_expect(fds[0], RAW_BYTES("\1\0\0\0"));
    mf_check_int(parent.events[MFI_PEER_DISCONNECTED], STRANGERS - EXTRA);
    for (unsigned i = 0; i <= STRANGERS; i++) {
        (void)close(fds[i]);
    }
    end_close(&parent);
    messaging->destroy(messaging);
}

/* The program took the last descriptor itself: silent connections go, and only these. */
static void test_without_a_descriptor_only_silent_ones_go(void)
{
    few at;
    few_open(&at);
    int fd = few_connect_raw(&at);
    expect_events(&at.child, MFI_PEER_CONNECTED, 2);
    mfi_direct_free_descriptor(direct_of(&at));
    mf_check(raw_is_dropped(fd));
    mf_check_int(direct_of(&at)->count, 1);
    mfi_direct_free_descriptor(direct_of(&at));
    mf_check_int(direct_of(&at)->count, 1);
    exchange(&at.parent, &at.child, 2, 300);
    (void)close(fd);
    few_close(&at);
}

static const mf_test tests[] = {
    {"crowd__a_place_ends_nothing_where_there_is_room",
     test_a_place_ends_nothing_where_there_is_room},
    {"crowd__who_gives_way", test_who_gives_way},
    {"crowd__without_a_descriptor_only_silent_ones_go",
     test_without_a_descriptor_only_silent_ones_go},
    {"crowd__silent_connections_leave_descriptors_free",
     test_silent_connections_leave_descriptors_free},
    {"crowd__a_parent_has_few_connections", test_a_parent_has_few_connections},
};
MF_TEST_MAIN(tests)
