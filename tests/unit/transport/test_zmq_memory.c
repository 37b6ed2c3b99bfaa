/* Without memory for one message libzmq's transport sends the next one as it is. */
#include "direct_peer.h"
#include "mf_alloc.h"

#define SIZE 4096  /* libzmq gets the buffer itself */
#define ATTEMPTS 4 /* the first allocation of all may be one that can be done without */

static void test_a_message_without_memory_spoils_no_other(void)
{
    few at;
    at.messaging = messaging_of(true);
    mfi_transport_options options = end_options(true, true, 0);
    end_open(&at.child, at.messaging, &options);
    options = end_options(false, false, end_port(&at.child));
    end_open(&at.parent, at.messaging, &options);
    exchange(&at.parent, &at.child, 1, 10);
    unsigned failed = 0;
    for (uint32_t number = 2; number < 2 + ATTEMPTS; number++) {
        static const char zeros[SIZE];
        mfi_buf payload;
        mfi_buf_init(&payload, 0);
        mfi_buf_append(&payload, zeros, sizeof zeros);
        mf_alloc_fail_at(0);
        mfi_io io = at.parent.transport->ops->send(at.parent.transport, &nowhere, &payload);
        (void)mf_alloc_stop();
        failed += io == MFI_IO_FAILED ? 1 : 0;
        mfi_buf_fini(&payload);
        mf_check(wait_for_count(&at.child, 1)); /* empty where it failed */
        drop_messages(&at.child);
        exchange(&at.parent, &at.child, number, SIZE);
    }
    mf_check(failed > 0);
    few_close(&at);
}

static const mf_test tests[] = {
    {"zmq__a_message_without_memory_spoils_no_other",
     test_a_message_without_memory_spoils_no_other},
};

MF_TEST_MAIN(tests)
