/* A circuit that an operator forces stays so, whatever calls, rules and heartbeats say; and goes
 * back to the rules when it is told to. */
#include <string.h>

#include "base/error.h"
#include "core/policy/circuit.h"
#include "mf_test.h"

typedef struct rig {
    mfi_fake_clock clock;
    mfi_circuit circuit;
    int changes;
    mfi_circuit_change last;
} rig;

static void on_changed(void *user_data, const mfi_circuit_change *change)
{
    rig *at = user_data;
    at->changes++;
    at->last = *change;
}

static void setup(rig *at, bool disabled)
{
    const mfi_circuit_config config = {.consecutive_failures = 2,
                                       .open_ms = 1000,
                                       .open_max_ms = 1000,
                                       .probes = 1,
                                       .probe_slot_ms = 5000,
                                       .disabled = disabled};
    const mfi_circuit_listener listener = {.changed = on_changed, .user_data = at};
    memset(at, 0, sizeof *at);
    mfi_fake_clock_init(&at->clock, MFI_NS_PER_S);
    mfi_circuit_init(&at->circuit, &config, &at->clock.clock, NULL, &listener);
}

static mf_status call(rig *at, mf_status outcome, mf_error *error)
{
    mfi_circuit_ticket ticket;
    mf_status status = mfi_circuit_admit(&at->circuit, &ticket, error);
    if (status == MF_OK) {
        mfi_circuit_report(&at->circuit, ticket, outcome, NULL, NULL);
    }
    return status;
}

static void order(rig *at, mfi_circuit_order given, mfi_circuit_state wanted_from,
                  mfi_circuit_state wanted_to)
{
    mfi_circuit_state from;
    mfi_circuit_state to;
    mfi_circuit_obey(&at->circuit, given, &from, &to);
    mf_check_int(from, wanted_from);
    mf_check_int(to, wanted_to);
    mf_check_int(mfi_circuit_get_state(&at->circuit), wanted_to);
}

static void test_forced_open(void)
{
    rig at;
    mf_error error = MF_ERROR_INIT;
    mfi_circuit_ticket early;
    const mfi_circuit_reason exit_reason = {.rule = MFI_RULE_EXIT};
    setup(&at, false);
    mf_check_int(mfi_circuit_admit(&at.circuit, &early, NULL), MF_OK);
    order(&at, MFI_ORDER_FORCE_OPEN, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_FORCED_OPEN);
    mf_check_int(at.last.why, MFI_CAUSE_ADMIN);
    mf_check_int(call(&at, MF_OK, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message, "Circuit breaker open by rule admin: an operator forced it open");
    mfi_circuit_report(&at.circuit, early, MF_OK, NULL, NULL);
    mfi_circuit_trip(&at.circuit, &exit_reason);
    mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    mfi_fake_clock_advance(&at.clock, 3600 * MFI_NS_PER_S);
    mfi_circuit_tick(&at.circuit);
    mf_check(mfi_circuit_next_event_ns(&at.circuit) == MFI_NEVER);
    mf_check_int(call(&at, MF_OK, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message, "Circuit breaker open by rule admin: an operator forced it open");
    order(&at, MFI_ORDER_FORCE_OPEN, MFI_CIRCUIT_FORCED_OPEN, MFI_CIRCUIT_FORCED_OPEN);
    mf_check_int(at.changes, 1);
    mfi_circuit_fini(&at.circuit);
}

/* It begins half-open: one call decides, or a heartbeat. */
static void test_back_to_the_rules(void)
{
    rig at;
    setup(&at, false);
    order(&at, MFI_ORDER_FORCE_OPEN, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_FORCED_OPEN);
    order(&at, MFI_ORDER_AUTO, MFI_CIRCUIT_FORCED_OPEN, MFI_CIRCUIT_HALF_OPEN);
    mf_check_int(call(&at, MF_OK, NULL), MF_OK);
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_CLOSED);
    order(&at, MFI_ORDER_FORCE_OPEN, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_FORCED_OPEN);
    order(&at, MFI_ORDER_AUTO, MFI_CIRCUIT_FORCED_OPEN, MFI_CIRCUIT_HALF_OPEN);
    mf_check_int(call(&at, MF_ERR_TIMEOUT, NULL), MF_OK);
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_OPEN);
    order(&at, MFI_ORDER_AUTO, MFI_CIRCUIT_OPEN, MFI_CIRCUIT_OPEN); /* the rules have it */
    order(&at, MFI_ORDER_RESET, MFI_CIRCUIT_OPEN, MFI_CIRCUIT_CLOSED);
    order(&at, MFI_ORDER_FORCE_OPEN, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_FORCED_OPEN);
    order(&at, MFI_ORDER_AUTO, MFI_CIRCUIT_FORCED_OPEN, MFI_CIRCUIT_HALF_OPEN);
    mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_CLOSED);
    mfi_circuit_fini(&at.circuit);
}

static void test_forced_closed(void)
{
    rig at;
    const mfi_circuit_reason exit_reason = {.rule = MFI_RULE_EXIT};
    setup(&at, false);
    mf_check_int(call(&at, MF_ERR_TIMEOUT, NULL), MF_OK);
    order(&at, MFI_ORDER_FORCE_CLOSED, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_DISABLED);
    for (int i = 0; i < 5; i++) {
        mf_check_int(call(&at, MF_ERR_TIMEOUT, NULL), MF_OK);
    }
    mfi_circuit_trip(&at.circuit, &exit_reason);
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_DISABLED);
    order(&at, MFI_ORDER_AUTO, MFI_CIRCUIT_DISABLED, MFI_CIRCUIT_CLOSED);
    mf_check_int(call(&at, MF_ERR_TIMEOUT, NULL), MF_OK); /* the row begins anew */
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_CLOSED);
    order(&at, MFI_ORDER_RESET, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_CLOSED);
    mf_check_int(call(&at, MF_ERR_TIMEOUT, NULL), MF_OK); /* and once more */
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_CLOSED);
    mf_check_int(call(&at, MF_ERR_TIMEOUT, NULL), MF_OK);
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_OPEN);
    mfi_circuit_fini(&at.circuit);
}

/* A call that was let pass before a reset says nothing of the time behind it. */
static void test_reset_of_a_closed_one(void)
{
    rig at;
    mfi_circuit_ticket early[2];
    setup(&at, false);
    for (int i = 0; i < 2; i++) {
        mf_check_int(mfi_circuit_admit(&at.circuit, &early[i], NULL), MF_OK);
    }
    order(&at, MFI_ORDER_RESET, MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_CLOSED);
    for (int i = 0; i < 2; i++) {
        mfi_circuit_report(&at.circuit, early[i], MF_ERR_TIMEOUT, NULL, NULL);
    }
    mf_check_int(mfi_circuit_get_state(&at.circuit), MFI_CIRCUIT_CLOSED);
    mf_check_int(at.changes, 0);
    mfi_circuit_fini(&at.circuit);
}

/* One without rules can be forced open, and goes back to what its options say. */
static void test_disabled_by_options(void)
{
    rig at;
    setup(&at, true);
    order(&at, MFI_ORDER_FORCE_OPEN, MFI_CIRCUIT_DISABLED, MFI_CIRCUIT_FORCED_OPEN);
    mf_check_int(call(&at, MF_OK, NULL), MF_ERR_CIRCUIT_OPEN);
    order(&at, MFI_ORDER_AUTO, MFI_CIRCUIT_FORCED_OPEN, MFI_CIRCUIT_DISABLED);
    mf_check_int(call(&at, MF_OK, NULL), MF_OK);
    order(&at, MFI_ORDER_RESET, MFI_CIRCUIT_DISABLED, MFI_CIRCUIT_DISABLED);
    mfi_circuit_fini(&at.circuit);
}

static const mf_test tests[] = {
    {"circuit_force__open_stays_open", test_forced_open},
    {"circuit_force__auto_gives_it_back_to_the_rules", test_back_to_the_rules},
    {"circuit_force__closed_stays_closed", test_forced_closed},
    {"circuit_force__reset_of_a_closed_one", test_reset_of_a_closed_one},
    {"circuit_force__of_one_without_rules", test_disabled_by_options},
};
MF_TEST_MAIN(tests)
