/* What a service tells of connections that were refused, or admitted without the kernel's word. The
 * transport is the test's own. */
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/server/watch.h"
#include "test_channel.h"

#define EVENTS_MAX 8

static struct {
    int fd;
    _Atomic(int) made, read;
    mfi_peer_event events[EVENTS_MAX];
} fake;

static int events_readiness(const mfi_transport *transport)
{
    (void)transport;
    return fake.fd;
}

static mfi_peer_event next_event(mfi_transport *transport)
{
    uint64_t counter = 0;
    int number = atomic_load(&fake.read);
    (void)transport;
    (void)!read(fake.fd, &counter, sizeof counter);
    if (number == atomic_load(&fake.made)) {
        return MFI_PEER_NONE;
    }
    atomic_store(&fake.read, number + 1);
    return fake.events[number];
}

static const mfi_transport_ops ops = {.events_readiness = events_readiness,
                                      .next_event = next_event};

typedef struct fixture {
    test_channel at;
    mfi_transport transport;
    mfi_watch watch;
    bool told_blind;
} fixture;

static void begin_watch(void *data)
{
    mf_check_int(mfi_watch_connection(data, NULL), MF_OK);
}

static void setup(fixture *to)
{
    memset(to, 0, sizeof *to);
    memset(&fake, 0, sizeof fake);
    fake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    channel_open(&to->at);
    to->transport.ops = &ops;
    to->at.channel.transport = &to->transport;
    mfi_watch_init(&to->watch, &to->at.channel, NULL);
    mfi_loop_call(to->at.runtime->loop, begin_watch, &to->watch);
}

static void end_watch(void *data)
{
    mfi_watch_end(data);
}

static void teardown(fixture *from)
{
    mfi_loop_call(from->at.runtime->loop, end_watch, &from->watch);
    channel_close(&from->at);
    (void)close(fake.fd);
}

static bool all_are_read(void *data)
{
    (void)data;
    return atomic_load(&fake.read) == atomic_load(&fake.made);
}

static void read_told(void *data)
{
    fixture *at = data;
    at->told_blind = at->watch.told_blind;
}

/* The engine thread has dealt with it when this returns. */
static void happen(fixture *at, mfi_peer_event event)
{
    uint64_t one = 1;
    int number = atomic_load(&fake.made);
    fake.events[number] = event;
    atomic_store(&fake.made, number + 1);
    mf_check_int(write(fake.fd, &one, sizeof one), sizeof one);
    mf_check(mf_test_until(all_are_read, NULL, MF_TEST_PATIENCE_MS));
    mfi_loop_call(at->at.runtime->loop, read_told, at);
}

#define ENDED(reason) "transport_disconnects_total{target=\"worker\",reason=\"" reason "\"} "

static void test_each_refusal_is_counted(void)
{
    fixture at;
    setup(&at);
    happen(&at, MFI_PEER_REFUSED);
    happen(&at, MFI_PEER_REFUSED);
    happen(&at, MFI_PEER_HANDSHAKE_FAILED);
    channel_check_metrics(&at.at, ENDED("refused") "2\n");
    channel_check_metrics(&at.at, ENDED("handshake_failed") "1\n");
    channel_check_metrics(&at.at, ENDED("closed") "0\n");
    channel_check_metrics(&at.at, "transport_connections{target=\"worker\"} 0\n");
    mf_check(!at.watch.was_connected); /* a stranger is no parent */
    teardown(&at);
}

static void test_blindness_is_told_once(void)
{
    fixture at;
    setup(&at);
    happen(&at, MFI_PEER_CONNECTED);
    mf_check(!at.told_blind);
    for (int i = 0; i < 2; i++) {
        atomic_store(&at.watch.admission.is_blind, true);
        happen(&at, MFI_PEER_CONNECTED);
        mf_check(at.told_blind);
        mf_check(!atomic_load(&at.watch.admission.is_blind));
    }
    channel_check_metrics(&at.at, "transport_connections{target=\"worker\"} 3\n");
    teardown(&at);
}

static const mf_test tests[] = {
    {"watch__each_refusal_is_counted", test_each_refusal_is_counted},
    {"watch__blindness_is_told_once", test_blindness_is_told_once},
};
MF_TEST_MAIN(tests)
