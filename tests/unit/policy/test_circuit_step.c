/* A step reports its changes in their order, behind the lock, and the history keeps the last. */
#include <string.h>

#include "core/policy/circuit.h"
#include "core/policy/circuit_step.h"
#include "mf_test.h"

#define MOST 16

typedef struct seen {
    mfi_circuit *circuit;
    int count;
    mfi_circuit_state to[MOST];
    int probes[MFI_PROBE_RESULT_COUNT];
} seen;

static void on_changed(void *user_data, const mfi_circuit_change *change)
{
    seen *at = user_data;
    mfi_circuit_snapshot now;
    mfi_circuit_read(at->circuit, &now); /* takes the lock: the step has released it */
    at->to[at->count++ % MOST] = change->to;
}

static void on_probed(void *user_data, mfi_probe_result result)
{
    ((seen *)user_data)->probes[result]++;
}

static void test_step(void)
{
    const mfi_circuit_config config = {.open_ms = 500, .open_max_ms = 500, .probes = 2};
    mfi_fake_clock clock;
    mfi_circuit circuit;
    mfi_circuit_step step;
    mfi_circuit_snapshot now;
    seen at = {.circuit = &circuit};
    const mfi_circuit_listener listener = {on_changed, on_probed, &at};
    mfi_fake_clock_init(&clock, MFI_NS_PER_S);
    mfi_circuit_init(&circuit, &config, &clock.clock, NULL, &listener);
    mfi_circuit_begin_step(&circuit, &step);
    mfi_circuit_set_call_locked(&circuit, MF_ERR_TIMEOUT, "corr", NULL);
    mfi_circuit_open_locked(&circuit, MFI_RULE_FAILURES, &step);
    mfi_circuit_change_locked(&circuit, MFI_CIRCUIT_HALF_OPEN, MFI_CAUSE_COOL_DOWN, &step);
    step.probes[MFI_PROBE_FAILED] = 2;
    mf_check_int(at.count, 0);
    mfi_circuit_end_step(&circuit, &step);
    mf_check_int(at.count, 2);
    mf_check_int(at.to[0], MFI_CIRCUIT_OPEN);
    mf_check_int(at.to[1], MFI_CIRCUIT_HALF_OPEN);
    mf_check_int(at.probes[MFI_PROBE_FAILED], 2);
    mf_check_int(step.changes[0].cool_down_ms, 500);
    mfi_circuit_read(&circuit, &now);
    mf_check_int(now.history_count, 2);
    mf_check_str(now.reason.correlation_id, "corr");
    mf_check_str(now.reason.trace_id, "");
    for (int i = 0; i < MFI_CIRCUIT_HISTORY; i++) {
        mfi_circuit_begin_step(&circuit, &step);
        mfi_circuit_change_locked(&circuit, MFI_CIRCUIT_CLOSED, MFI_CAUSE_PROBES_PASSED, &step);
        mfi_circuit_end_step(&circuit, &step);
    }
    mfi_circuit_read(&circuit, &now);
    mf_check_int(now.history_count, MFI_CIRCUIT_HISTORY);
    mf_check_int(now.history[0].from, MFI_CIRCUIT_HALF_OPEN); /* the two before are gone */
    mf_check_int(now.generation, 1 + 2 + MFI_CIRCUIT_HISTORY);
    mfi_circuit_fini(&circuit);
}

static const mf_test tests[] = {
    {"circuit_step__reports_in_order_behind_the_lock", test_step},
};
MF_TEST_MAIN(tests)
