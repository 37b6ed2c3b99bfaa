/* Messages come from caches, and the queue of a channel keeps their order. */
#include <string.h>

#include "test_channel.h"

static int released;

static void release(mfi_message *message)
{
    released++;
    message->release = NULL;
}

static void test_call_gives_its_message_back_once(void)
{
    mfi_incoming *call = mfi_incoming_make();
    released = 0;
    call->message.release = release;
    mfi_incoming_free(call);
    mf_check_int(released, 1);
    call = mfi_incoming_make(); /* from the cache, as a rule the same one */
    mf_check(call->message.release == NULL);
    mfi_incoming_free(call);
    mfi_incoming_free(NULL);
    mf_check_int(released, 1);
}

static void test_calls_leave_a_chain_in_their_order(void)
{
    mfi_chain chain = {0};
    mfi_incoming *calls[3];
    for (int i = 0; i < 3; i++) {
        calls[i] = mfi_incoming_make();
        mfi_chain_push_back(&chain, &calls[i]->node);
    }
    mf_check(mfi_incoming_of(chain.first) == calls[0]);
    for (int i = 0; i < 3; i++) {
        mf_check(mfi_incoming_pop(&chain) == calls[i]);
        mfi_incoming_free(calls[i]);
    }
    mf_check(mfi_incoming_pop(&chain) == NULL);
    mf_check(mfi_incoming_of(NULL) == NULL);
}

static void test_out_has_its_route_and_nothing_of_the_one_before(void)
{
    test_channel at;
    channel_open(&at);
    mfi_route route = route_of(7);
    mfi_out *out = mfi_out_make(&at.channel, MFI_TRAFFIC_RESPONSE, &route);
    mf_check_int(out->route.size, route.size);
    mf_check(memcmp(out->route.bytes, route.bytes, route.size) == 0);
    mfi_buf_append_str(&out->buf, "some text");
    mfi_out_free(out);
    out = mfi_out_make(&at.channel, MFI_TRAFFIC_OUTPUT, NULL);
    mf_check_int(out->route.size, 0);
    mf_check_int(out->traffic, MFI_TRAFFIC_OUTPUT);
    mf_check_int(out->buf.size, 0);
    mfi_out_free(out);
    mfi_out_free(NULL);
    channel_close(&at);
}

static void test_out_is_bounded_by_the_message_size(void)
{
    test_channel at;
    char bytes[101] = {0};
    channel_open(&at);
    at.channel.max_message_bytes = 100;
    mfi_out *out = mfi_out_make(&at.channel, MFI_TRAFFIC_RESPONSE, NULL);
    mfi_buf_append(&out->buf, bytes, 101);
    mf_check(out->buf.failed);
    mfi_out_free(out);
    out = mfi_out_make(&at.channel, MFI_TRAFFIC_RESPONSE, NULL);
    mfi_buf_append(&out->buf, bytes, 100);
    mf_check(!out->buf.failed);
    mfi_out_free(out);
    channel_close(&at);
}

static void test_channel_keeps_the_order_and_counts_output(void)
{
    static const mfi_traffic traffics[] = {MFI_TRAFFIC_OUTPUT, MFI_TRAFFIC_RESPONSE,
                                           MFI_TRAFFIC_OUTPUT};
    static const uint32_t left[] = {1, 1, 0};
    test_channel at;
    mfi_out *outs[3];
    channel_open(&at);
    for (int i = 0; i < 3; i++) {
        outs[i] = mfi_out_make(&at.channel, traffics[i], NULL);
        mfi_channel_push(&at.channel, outs[i]);
    }
    mf_check_int(atomic_load(&at.channel.outputs_waiting), 2);
    for (int i = 0; i < 3; i++) {
        mf_check(mfi_channel_pop(&at.channel) == outs[i]);
        mf_check_int(atomic_load(&at.channel.outputs_waiting), left[i]);
        mfi_out_free(outs[i]);
    }
    mf_check(mfi_channel_pop(&at.channel) == NULL);
    channel_close(&at);
}

static void test_lost_messages_are_counted_by_reason(void)
{
    test_channel at;
    channel_open(&at);
    mfi_channel_dropped(&at.channel, MFI_DROP_HWM, "too much", 10);
    mfi_channel_dropped(&at.channel, MFI_DROP_HWM, "too much", 10);
    mfi_channel_dropped(&at.channel, MFI_DROP_OVERSIZE, "too large", 10);
    channel_check_metrics(&at, "transport_dropped_messages_total{reason=\"hwm\"} 2");
    channel_check_metrics(&at, "transport_dropped_messages_total{reason=\"oversize\"} 1");
    channel_close(&at);
}

static const mf_test tests[] = {
    {"calls__give_their_message_back_once", test_call_gives_its_message_back_once},
    {"calls__leave_a_chain_in_their_order", test_calls_leave_a_chain_in_their_order},
    {"outs__have_their_route_and_nothing_of_the_one_before",
     test_out_has_its_route_and_nothing_of_the_one_before},
    {"outs__are_bounded_by_the_message_size", test_out_is_bounded_by_the_message_size},
    {"channel__keeps_the_order_and_counts_output", test_channel_keeps_the_order_and_counts_output},
    {"channel__lost_messages_are_counted_by_reason", test_lost_messages_are_counted_by_reason},
};

MF_TEST_MAIN(tests)
