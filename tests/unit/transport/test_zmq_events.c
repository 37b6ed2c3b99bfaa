/* What libzmq's monitor reports, and what is made of it: every connection that came up ends once,
 * and no other one does. */
#include "core/transport/zmq_events.h"

#include <zmq.h>

#include "mf_test.h"

typedef struct step {
    uint16_t number;
    int fd;
    mfi_peer_event wanted;
} step;

static void check_steps(const step *steps, size_t count)
{
    mfi_zmq_events events = {0};
    for (size_t i = 0; i < count; i++) {
        mf_check_int(mfi_zmq_events_read(&events, steps[i].number, steps[i].fd), steps[i].wanted);
    }
    mf_check_int(events.count, 0);
    mf_check_int(events.shaken, 0);
}

static void test_connection(void)
{
    static const step steps[] = {{ZMQ_EVENT_ACCEPTED, 7, MFI_PEER_NONE},
                                 {ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, MFI_PEER_CONNECTED},
                                 {ZMQ_EVENT_DISCONNECTED, 7, MFI_PEER_DISCONNECTED},
                                 {ZMQ_EVENT_CONNECTED, 7, MFI_PEER_NONE},
                                 {ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, MFI_PEER_CONNECTED},
                                 {ZMQ_EVENT_DISCONNECTED, 7, MFI_PEER_DISCONNECTED}};
    check_steps(steps, sizeof steps / sizeof steps[0]);
}

static void test_failed_handshake(void)
{
    /* One end, though libzmq reports two events; and one that stands alone. */
    static const step steps[] = {
        {ZMQ_EVENT_ACCEPTED, 7, MFI_PEER_NONE},
        {ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, MFI_PEER_CONNECTED},
        {ZMQ_EVENT_ACCEPTED, 8, MFI_PEER_NONE},
        {ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 104, MFI_PEER_NONE},
        {ZMQ_EVENT_DISCONNECTED, 8, MFI_PEER_HANDSHAKE_FAILED},
        {ZMQ_EVENT_ACCEPTED, 8, MFI_PEER_NONE},
        {ZMQ_EVENT_DISCONNECTED, 8, MFI_PEER_HANDSHAKE_FAILED},
        {ZMQ_EVENT_DISCONNECTED, 7, MFI_PEER_DISCONNECTED},
    };
    check_steps(steps, sizeof steps / sizeof steps[0]);
}

static void test_two_at_once(void)
{
    static const step steps[] = {{ZMQ_EVENT_ACCEPTED, 7, MFI_PEER_NONE},
                                 {ZMQ_EVENT_ACCEPTED, 8, MFI_PEER_NONE},
                                 {ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, MFI_PEER_CONNECTED},
                                 {ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, 1, MFI_PEER_NONE},
                                 {ZMQ_EVENT_DISCONNECTED, 8, MFI_PEER_HANDSHAKE_FAILED},
                                 {ZMQ_EVENT_DISCONNECTED, 7, MFI_PEER_DISCONNECTED},
                                 {ZMQ_EVENT_ACCEPTED, 7, MFI_PEER_NONE},
                                 {ZMQ_EVENT_ACCEPTED, 8, MFI_PEER_NONE},
                                 {ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, MFI_PEER_CONNECTED},
                                 {ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, MFI_PEER_CONNECTED},
                                 {ZMQ_EVENT_DISCONNECTED, 7, MFI_PEER_DISCONNECTED},
                                 {ZMQ_EVENT_DISCONNECTED, 8, MFI_PEER_DISCONNECTED}};
    check_steps(steps, sizeof steps / sizeof steps[0]);
}

static const mf_test tests[] = {
    {"zmq_events__connection_comes_up_and_ends", test_connection},
    {"zmq_events__failed_handshake_is_one_end", test_failed_handshake},
    {"zmq_events__two_at_once_are_told_apart", test_two_at_once},
};
MF_TEST_MAIN(tests)
