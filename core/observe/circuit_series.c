/* The series of a circuit beyond its state: the shares that its rules look at, the calls in its
 * window, its probe calls, and what a policy on trial would have refused. They stand apart from
 * series.c because only circuits have them. */
#include "core/observe/holding.h"
#include "core/observe/parts.h"
#include "metrics/metric_set.h"

void mfi_circuit_series_make(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *states[] = {target->name, target->worker, NULL};
    const char *counts[] = {target->label, target->worker_label, NULL};
    target->failure_ratio = mfi_hold(target, families->circuit_failure_ratio, states);
    target->slow_ratio = mfi_hold(target, families->circuit_slow_ratio, states);
    for (size_t i = 0; i < MFI_WINDOW_KIND_COUNT; i++) {
        states[2] = mfi_window_kind_word((mfi_window_kind)i);
        target->window_calls[i] = mfi_hold(target, families->circuit_window, states);
    }
    for (size_t i = 0; i < MFI_PROBE_RESULT_COUNT; i++) {
        counts[2] = mfi_probe_result_word((mfi_probe_result)i);
        target->probes[i] = mf_family_counter(families->circuit_probes, counts);
    }
    for (size_t i = 0; i < MFI_TRIAL_POLICY_COUNT; i++) {
        counts[2] = mfi_trial_policy_word((mfi_trial_policy)i);
        target->trials[i] = mf_family_counter(families->circuit_trials, counts);
    }
}

void mfi_circuit_series_show(const mfi_target *target, const mfi_client_gauges *gauges)
{
    mfi_show(target->failure_ratio, gauges->failure_ratio);
    mfi_show(target->slow_ratio, gauges->slow_ratio);
    for (size_t i = 0; i < MFI_WINDOW_KIND_COUNT; i++) {
        mfi_show(target->window_calls[i], (double)gauges->window[i]);
    }
}

void mfi_circuit_series_end(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    mfi_drop(families->circuit_failure_ratio, &target->failure_ratio);
    mfi_drop(families->circuit_slow_ratio, &target->slow_ratio);
    for (size_t i = 0; i < MFI_WINDOW_KIND_COUNT; i++) {
        mfi_drop(families->circuit_window, &target->window_calls[i]);
    }
}

void mfi_measure_probe(const mfi_target *target, mfi_probe_result result)
{
    if (target->measured && !target->is_server) {
        mf_counter_add(target->probes[result], 1);
    }
}

void mfi_measure_trial(const mfi_target *target, mfi_trial_policy policy)
{
    if (target->measured && !target->is_server) {
        mf_counter_add(target->trials[policy], 1);
    }
}
