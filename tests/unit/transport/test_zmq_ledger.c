/* What libzmq holds is charged to the budget, by peer, until libzmq releases it. */
#include "core/transport/zmq_ledger.h"

#include <string.h>

#include "base/block.h"
#include "mf_test.h"

#define BLOCK_BYTES ((size_t)65536)
#define BUDGET_BYTES (16 * BLOCK_BYTES)

static mfi_route route_of(const char *bytes, uint8_t size)
{
    mfi_route route = {.size = size};
    memcpy(route.bytes, bytes, size);
    return route;
}

/* As a payload that libzmq gets without a copy. */
static mfi_charge *give(mfi_ledger *in, mfi_ledger_place *at, void **ret_data)
{
    mfi_buf payload = {.data = mfi_block_get(BLOCK_BYTES), .capacity = BLOCK_BYTES};
    payload.size = 5000;
    *ret_data = payload.data;
    mf_check(payload.data != NULL);
    return mfi_charge_make(in, at, &payload);
}

static void test_peers_have_places(void)
{
    mfi_ledger *ledger = mfi_ledger_make(NULL, true);
    mfi_route first = route_of("\0\1\2\3\4", 5);
    mfi_route second = route_of("\0\1\2\3\5", 5);
    mfi_route named = route_of("a name", 6);
    mf_check(mfi_ledger_at(ledger, &first) == mfi_ledger_at(ledger, &first));
    mf_check(mfi_ledger_at(ledger, &first) != mfi_ledger_at(ledger, &second));
    mf_check(mfi_ledger_at(ledger, &named) == mfi_ledger_at(ledger, &named));
    for (int i = 0; i < 1000; i++) { /* no name finds a place beyond the end, or a route's */
        char name[4] = {(char)(i + 1), (char)(i >> 4), 'x', 'y'};
        named = route_of(name, sizeof name);
        mfi_ledger_place *at = mfi_ledger_at(ledger, &named);
        mf_check(at >= ledger->places && at < ledger->places + ledger->count);
        mf_check(at != mfi_ledger_at(ledger, &first));
    }
    mfi_ledger_unref(ledger);
    ledger = mfi_ledger_make(NULL, false);
    mf_check(mfi_ledger_at(ledger, &first) == mfi_ledger_at(ledger, &named));
    mfi_ledger_unref(ledger);
}

static void test_a_charge_ends_when_the_payload_is_sent(void)
{
    void *data = NULL;
    mfi_budget *budget = mfi_budget_create(BUDGET_BYTES);
    mfi_ledger *ledger = mfi_ledger_make(budget, true);
    mfi_ledger_place *at = &ledger->places[0];
    mfi_charge *charge = give(ledger, at, &data);
    mf_check(charge != NULL);
    mf_check_int(mfi_budget_held(budget), BLOCK_BYTES);
    mf_check_int(atomic_load(&at->held), BLOCK_BYTES);
    mfi_charge_sent(data, charge);
    mf_check_int(mfi_budget_held(budget), 0);
    mf_check_int(atomic_load(&at->held), 0);
    mfi_ledger_unref(ledger);
    mfi_budget_unref(budget);
}

/* libzmq may release payloads after the transport and its opener are gone. */
static void test_a_charge_outlives_its_transport(void)
{
    void *data = NULL;
    mfi_budget *budget = mfi_budget_create(BUDGET_BYTES);
    mfi_ledger *ledger = mfi_ledger_make(budget, false);
    mfi_charge *charge = give(ledger, &ledger->places[0], &data);
    mfi_ledger_unref(ledger);
    mf_check_int(mfi_budget_held(budget), BLOCK_BYTES);
    mfi_budget_unref(budget);
    mfi_charge_sent(data, charge); /* frees both */
}

/* Copied payloads carry no charge of their own: the next one that is not copied carries it. */
static void test_copied_bytes_are_charged_later(void)
{
    void *data = NULL;
    unsigned copies = 0;
    mfi_budget *budget = mfi_budget_create(BUDGET_BYTES);
    mfi_ledger *ledger = mfi_ledger_make(budget, true);
    mfi_ledger_place *at = &ledger->places[3];
    while (copies < 100000 && mfi_ledger_copies(at, 100)) {
        copies++;
    }
    mf_check(copies * 100 <= MFI_LEDGER_COPIED_BYTES && copies > 10);
    mf_check_int(mfi_budget_held(budget), 0);
    size_t copied = at->copied;
    mfi_charge *charge = give(ledger, at, &data);
    mf_check_int(mfi_budget_held(budget), BLOCK_BYTES + copied);
    mf_check(mfi_ledger_copies(at, 100));
    mfi_charge_sent(data, charge);
    mf_check_int(mfi_budget_held(budget), 0);
    mfi_ledger_unref(ledger);
    mfi_budget_unref(budget);
}

/* A peer has a part of what is free, and always one message; others keep theirs. */
static void test_one_peer_leaves_room(void)
{
    enum { MOST = 16 };
    void *data[MOST];
    mfi_charge *made[MOST];
    unsigned count = 0;
    mfi_budget *budget = mfi_budget_create(BUDGET_BYTES);
    mfi_ledger *ledger = mfi_ledger_make(budget, true);
    mfi_ledger_place *at = &ledger->places[0];
    while (count < MOST && mfi_ledger_has_room(ledger, at)) {
        made[count] = give(ledger, at, &data[count]);
        count++;
    }
    mf_check(count >= 1 && count < MOST / 2);
    mf_check(mfi_ledger_has_room(ledger, &ledger->places[1]));
    mf_check(!mfi_ledger_has_room(ledger, at));
    for (unsigned i = 0; i < count; i++) {
        mfi_charge_sent(data[i], made[i]);
    }
    mf_check(mfi_ledger_has_room(ledger, at));
    mfi_ledger_unref(ledger);
    mfi_budget_unref(budget);
}

/* Its calls are charged by the parent itself. */
static void test_a_dealer_always_has_room(void)
{
    void *data = NULL;
    mfi_budget *budget = mfi_budget_create(1);
    mfi_ledger *ledger = mfi_ledger_make(budget, false);
    mfi_ledger_place *at = &ledger->places[0];
    mfi_charge *charge = give(ledger, at, &data);
    mf_check(mfi_ledger_has_room(ledger, at));
    mfi_charge_sent(data, charge);
    mfi_ledger_unref(ledger);
    mfi_ledger_unref(NULL);
    mfi_budget_unref(budget);
}

static const mf_test tests[] = {
    {"zmq_ledger__peers_have_places", test_peers_have_places},
    {"zmq_ledger__a_charge_ends_when_the_payload_is_sent",
     test_a_charge_ends_when_the_payload_is_sent},
    {"zmq_ledger__a_charge_outlives_its_transport", test_a_charge_outlives_its_transport},
    {"zmq_ledger__copied_bytes_are_charged_later", test_copied_bytes_are_charged_later},
    {"zmq_ledger__one_peer_leaves_room", test_one_peer_leaves_room},
    {"zmq_ledger__a_dealer_always_has_room", test_a_dealer_always_has_room},
};
MF_TEST_MAIN(tests)
