/* A snapshot of a circuit says what happened, at one moment. */
#include <string.h>

#include "core/policy/circuit.h"
#include "mf_test.h"

static mf_status report(mfi_circuit *circuit, mf_status outcome)
{
    mfi_circuit_ticket ticket;
    mf_status status = mfi_circuit_admit(circuit, &ticket, NULL);
    if (status == MF_OK) {
        mfi_circuit_report(circuit, ticket, outcome, "corr", "trace");
    }
    return status;
}

static void test_snapshot(void)
{
    const mfi_circuit_config config = {
        .consecutive_failures = 2,
        .open_ms = 1000,
        .open_max_ms = 1000,
        .probes = 2,
        .probe_slot_ms = 5000,
        .rules = {.failure_ratio = 1, .min_calls = 3, .window_calls = 4}};
    mfi_fake_clock clock;
    mfi_circuit circuit;
    mfi_circuit_snapshot at;
    mfi_fake_clock_init(&clock, MFI_NS_PER_S);
    mfi_circuit_init(&circuit, &config, &clock.clock, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        mf_check_int(report(&circuit, MF_OK), MF_OK);
    }
    mf_check_int(report(&circuit, MF_ERR_TIMEOUT), MF_OK);
    mfi_circuit_read(&circuit, &at);
    mf_check_int(at.state, MFI_CIRCUIT_CLOSED);
    mf_check_int(at.failures, 1);
    mf_check_int(at.counts.calls, 4);
    mf_check_int(at.judged_calls, 4);
    mf_check_int(at.ratios.failure * 100, 25);
    mf_check_int(at.probe_at_ns, 0);
    mf_check_int(report(&circuit, MF_ERR_TIMEOUT), MF_OK);
    mf_check_int(report(&circuit, MF_OK), MF_ERR_CIRCUIT_OPEN);
    mfi_circuit_read(&circuit, &at);
    mf_check_int(at.state, MFI_CIRCUIT_OPEN);
    mf_check(at.probe_at_ns > clock.now_ns);
    mf_check_int(at.trips, 1);
    mf_check_int(at.refused, 1);
    mf_check_int(at.refused_total, 1);
    mf_check_int(at.counts_at_trip.timeout, 2);
    mf_check_int(at.history_count, 1);
    mfi_fake_clock_advance(&clock, 2000 * MFI_NS_PER_MS);
    mf_check_int(report(&circuit, MF_ERR_TIMEOUT), MF_OK); /* a probe: it opens again */
    mfi_circuit_read(&circuit, &at);
    mf_check_int(at.refused, 0);
    mf_check_int(at.refused_total, 1);
    mf_check_int(at.open_in_row, 2);
    mfi_circuit_fini(&circuit);
}

static const mf_test tests[] = {
    {"circuit_read__a_snapshot_says_what_happened", test_snapshot},
};
MF_TEST_MAIN(tests)
