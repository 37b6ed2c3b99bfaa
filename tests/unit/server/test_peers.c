/* Answers wait for peers that read nothing: which peers are dropped, and which answers. The
 * transport belongs to the test, so that a peer takes a message exactly when the test says so. */
#include "core/server/peers.h"

#include <stdio.h>
#include <string.h>

#include "core/wire/reject.h"
#include "test_channel.h"

#define NAMES_MAX 1024

typedef struct wire {
    mfi_transport base; /* first member */
    bool open;
    uint32_t taken[NAMES_MAX]; /* messages, by the number in the route */
    uint32_t ended[NAMES_MAX];
    char error[256]; /* of the last error answer that was taken */
} wire;

typedef struct table {
    test_channel base;
    mfi_budget *budget;
    mfi_peers peers;
    wire wire;
} table;

static mfi_io take(mfi_transport *transport, const mfi_route *route, mfi_buf *payload)
{
    wire *at = (wire *)(void *)transport;
    uint32_t number = 0;
    mfi_envelope envelope;
    mfi_reject why = MFI_REJECT_NONE;
    if (!at->open) {
        return MFI_IO_AGAIN;
    }
    if (mfi_envelope_decode(payload->data, payload->size, NULL, &envelope, &why, NULL) == MF_OK &&
        envelope.type == MFI_MESSAGE_ERROR) {
        (void)snprintf(at->error, sizeof at->error, "%.*s: %.*s", (int)envelope.id.size,
                       envelope.id.data, (int)envelope.error.size, envelope.error.data);
    }
    memcpy(&number, route->bytes, sizeof number);
    at->taken[number]++;
    return MFI_IO_DONE;
}

static void end(mfi_transport *transport, const mfi_route *route)
{
    uint32_t number = 0;
    memcpy(&number, route->bytes, sizeof number);
    ((wire *)(void *)transport)->ended[number]++;
}

static const mfi_transport_ops ops = {.send = take};
static const mfi_transport_ops ending_ops = {.send = take, .end = end};

static void table_open(table *at, size_t max_waiting_bytes)
{
    channel_open(&at->base);
    at->wire = (wire){.base = {.ops = &ops}};
    at->base.channel.transport = &at->wire.base;
    at->budget = mfi_budget_create(max_waiting_bytes);
    mfi_peers_init(&at->peers, &at->base.channel, at->budget);
}

static void table_close(table *at)
{
    mfi_peers_clear(&at->peers);
    mf_check_int(at->peers.count, 0);
    mf_check_int(mfi_budget_held(at->budget), 0);
    mfi_budget_unref(at->budget);
    channel_close(&at->base);
}

static void hear(table *at, uint32_t number)
{
    mfi_route route = route_of(number);
    mfi_peers_heard(&at->peers, &route);
}

static void send(table *at, uint32_t number, size_t size)
{
    static const char bytes[4096];
    mfi_route route = route_of(number);
    mfi_out *out = mfi_out_make(&at->base.channel, MFI_TRAFFIC_RESPONSE, &route);
    for (size_t left = size; left > 0; left -= left < sizeof bytes ? left : sizeof bytes) {
        mfi_buf_append(&out->buf, bytes, left < sizeof bytes ? left : sizeof bytes);
    }
    mf_check(!out->buf.failed);
    mfi_peers_send(&at->peers, out);
}

static void open_wire(table *at)
{
    at->wire.open = true;
    mfi_peers_retry(&at->peers);
    mf_check_int(at->peers.stalled, 0);
}

static void test_many_identities_do_not_push_out_one_that_waits(void)
{
    table at;
    table_open(&at, 1 << 20);
    hear(&at, 0);
    send(&at, 0, 10);
    send(&at, 0, 10);
    for (uint32_t i = 1; i <= 3 * MFI_CHILD_PEERS_MAX; i++) {
        hear(&at, i);
    }
    mf_check_int(at.peers.count, MFI_CHILD_PEERS_MAX);
    open_wire(&at);
    mf_check_int(at.wire.taken[0], 2);
    channel_check_metrics(&at.base, "transport_dropped_messages_total{reason=\"hwm\"} 0");
    table_close(&at);
}

static void test_where_all_wait_the_least_is_lost(void)
{
    table at;
    table_open(&at, 1 << 20);
    for (uint32_t i = 0; i < MFI_CHILD_PEERS_MAX; i++) {
        hear(&at, i);
        for (uint32_t n = 0; n < (i == 7 ? 1 : 2); n++) {
            send(&at, i, 10);
        }
    }
    hear(&at, MFI_CHILD_PEERS_MAX);
    send(&at, MFI_CHILD_PEERS_MAX, 10);
    channel_check_metrics(&at.base, "transport_dropped_messages_total{reason=\"hwm\"} 1");
    open_wire(&at);
    for (uint32_t i = 0; i <= MFI_CHILD_PEERS_MAX; i++) {
        mf_check_int(at.wire.taken[i], i == 7 ? 0 : i == MFI_CHILD_PEERS_MAX ? 1 : 2);
    }
    table_close(&at);
}

/* Messages that nobody takes are bounded in bytes, whoever they are for. */
static void test_what_waits_is_bounded_in_bytes(void)
{
    /* FIT buffers of 131,072 bytes, and what goes with them. */
    enum { SIZE = 100000, FIT = 9, BOUND = 1200000 };
    table at;
    table_open(&at, BOUND);
    for (uint32_t round = 0; round < 2; round++) {
        at.wire.open = false;
        at.wire.taken[0] = 0;
        at.wire.taken[1] = 0;
        for (uint32_t i = 0; i < FIT + 2; i++) {
            hear(&at, i % 2);
            send(&at, i % 2, SIZE);
        }
        channel_check_metrics(&at.base, round == 0
                                            ? "transport_dropped_messages_total{reason=\"hwm\"} 2"
                                            : "transport_dropped_messages_total{reason=\"hwm\"} 4");
        mf_check(at.peers.waiting_bytes <= BOUND);
        mfi_peers_retry(&at.peers); /* what is put back counts once */
        open_wire(&at);
        mf_check_int(at.wire.taken[0] + at.wire.taken[1], FIT);
        mf_check_int(at.peers.waiting_bytes, 0);
    }
    table_close(&at);
}

/* Output from before the first peer is bounded in bytes, and charged no longer than it waits. */
static void test_early_output_is_charged_until_it_leaves(void)
{
    enum { SIZE = 100000, BOUND = 600000, FIT = 2 };
    static const char line[SIZE];
    table at;
    table_open(&at, BOUND);
    at.wire.open = true;
    for (int i = 0; i < 2 * FIT; i++) {
        mfi_out *out = mfi_out_make(&at.base.channel, MFI_TRAFFIC_OUTPUT, NULL);
        mfi_buf_append(&out->buf, line, sizeof line);
        mf_check(!out->buf.failed);
        mfi_peers_send(&at.peers, out);
    }
    mf_check(mfi_budget_held(at.budget) >= (size_t)FIT * SIZE);
    mf_check(mfi_budget_held(at.budget) <= BOUND / 2);
    channel_check_metrics(&at.base, "transport_dropped_messages_total{reason=\"hwm\"} 2");
    hear(&at, 0);
    mfi_peers_retry(&at.peers);
    mf_check_int(at.wire.taken[0], FIT);
    mf_check_int(mfi_budget_held(at.budget), 0);
    table_close(&at);
}

static void send_answer(table *at, uint32_t number, size_t size)
{
    static char bytes[1 << 20];
    mf_value result = mf_bin(bytes, size);
    mfi_route route = route_of(number);
    mfi_out *out = mfi_out_make(&at->base.channel, MFI_TRAFFIC_RESPONSE, &route);
    mfi_reply_times times = {.timestamp_received = 1};
    mf_check_int(
        mfi_encode_response(&out->buf, (mfi_text){"id", 2}, &result, 1, NULL, &times, NULL), MF_OK);
    mfi_peers_send(&at->peers, out);
}

#define REFUSED "id: ServerOverloaded: the answer finds no room in max_queued_bytes"

/* The answers of calls that were served are replaced, and none is missing. */
static void test_an_answer_without_room_becomes_a_short_one(void)
{
    enum { SIZE = 100000, ANSWERS = 12 };
    table at;
    table_open(&at, (size_t)3 * SIZE);
    hear(&at, 0);
    for (int i = 0; i < ANSWERS; i++) {
        send_answer(&at, 0, SIZE);
    }
    mf_check_str(at.wire.error, "");
    open_wire(&at);
    mf_check_int(at.wire.taken[0], ANSWERS);
    mf_check_str(at.wire.error, REFUSED);
    table_close(&at);
}

/* What is held elsewhere leaves no room at all. */
static void test_a_short_message_needs_no_room(void)
{
    table at;
    table_open(&at, 1000);
    mfi_budget_add(at.budget, 1000);
    at.wire.open = true;
    hear(&at, 0);
    send_answer(&at, 0, 10);
    mf_check_int(at.wire.taken[0], 1);
    mf_check_str(at.wire.error, "");
    at.wire.open = false;
    send_answer(&at, 0, 10);
    send_answer(&at, 0, 5000);
    open_wire(&at);
    mf_check_int(at.wire.taken[0], 3);
    mf_check_str(at.wire.error, REFUSED);
    mfi_budget_sub(at.budget, 1000);
    table_close(&at);
}

static void test_short_messages_are_bounded(void)
{
    for (int ends = 0; ends <= 1; ends++) {
        table at;
        table_open(&at, 1000);
        at.wire.base.ops = ends != 0 ? &ending_ops : &ops;
        mfi_budget_add(at.budget, 1000);
        hear(&at, 0);
        for (int i = 0; i < MFI_CHILD_SHORT_MAX; i++) {
            send_answer(&at, 0, 5000);
        }
        mf_check_int(at.wire.ended[0], 0);
        send_answer(&at, 0, 5000);
        mf_check_int(at.wire.ended[0], ends);
        open_wire(&at);
        mf_check_int(at.wire.taken[0], ends != 0 ? 0 : MFI_CHILD_SHORT_MAX);
        mfi_budget_sub(at.budget, 1000);
        table_close(&at);
    }
}

/* Where no connection can be ended, the answers of a peer that reads nothing give way, and its
 * callers learn it. */
static void test_answers_of_a_peer_that_reads_nothing_give_way(void)
{
    enum { SIZE = 100000, FIT = 9 };
    table at;
    table_open(&at, 1200000);
    hear(&at, 0);
    hear(&at, 1);
    for (int i = 0; i < FIT; i++) {
        send_answer(&at, 0, SIZE);
    }
    send_answer(&at, 1, SIZE);
    channel_check_metrics(&at.base, "transport_dropped_messages_total{reason=\"hwm\"} 9");
    open_wire(&at);
    mf_check_int(at.wire.taken[0], FIT);
    mf_check_int(at.wire.taken[1], 1);
    mf_check_str(at.wire.error, REFUSED);
    table_close(&at);
}

static const mf_test tests[] = {
    {"peers__early_output_is_charged_until_it_leaves",
     test_early_output_is_charged_until_it_leaves},
    {"peers__many_identities_do_not_push_out_one_that_waits",
     test_many_identities_do_not_push_out_one_that_waits},
    {"peers__what_waits_is_bounded_in_bytes", test_what_waits_is_bounded_in_bytes},
    {"peers__an_answer_without_room_becomes_a_short_one",
     test_an_answer_without_room_becomes_a_short_one},
    {"peers__a_short_message_needs_no_room", test_a_short_message_needs_no_room},
    {"peers__short_messages_are_bounded", test_short_messages_are_bounded},
    {"peers__answers_of_a_peer_that_reads_nothing_give_way",
     test_answers_of_a_peer_that_reads_nothing_give_way},
    {"peers__where_all_wait_the_least_is_lost", test_where_all_wait_the_least_is_lost},
};

MF_TEST_MAIN(tests)
