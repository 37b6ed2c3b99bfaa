/* The options of a parent's circuit, and of the policy on trial beside it. They stand apart because
 * both have the same rules, with other numbers. */
#include "base/error.h"
#include "base/number.h"
#include "core/client/options.h"

#define SLOW_CALL_MS 1000 /* the documented default */
#define PROBES 3
#define PROBE_SLOT_MS 5000
#define JITTER 0.2
#define FAILURES_MAX 1000000

/* The figures of one set of rules, and their names. */
typedef struct rule_options {
    const char *failure_ratio_name, *slow_ratio_name, *slow_call_ms_name, *min_calls_name,
        *window_calls_name;
    double failure_ratio, slow_ratio;
    int64_t slow_call_ms;
    int32_t min_calls, window_calls;
} rule_options;

static mf_status pick_ratio(const char *name, double given, double *ret_ratio, mf_error *error)
{
    if (!(given >= 0 && given <= 1)) { /* NaN is neither */
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be 0 to 1, not %s", name,
                        mfi_fixed_text(given, 3).text);
    }
    *ret_ratio = given;
    return MF_OK;
}

/* min_calls must fit the window, or a rule could never be reached. */
static mf_status pick_volume(mfi_window_rules *to, const rule_options *from, uint32_t window_preset,
                             mf_error *error)
{
    mf_status status =
        mfi_option_pick_count(from->window_calls_name, from->window_calls, window_preset,
                              MFI_OUTCOMES_WINDOW_MAX, &to->window_calls, error);
    if (status == MF_OK) {
        uint32_t preset =
            to->window_calls < MFI_CIRCUIT_MIN_CALLS ? to->window_calls : MFI_CIRCUIT_MIN_CALLS;
        status = mfi_option_pick_count(from->min_calls_name, from->min_calls, preset,
                                       (int32_t)to->window_calls, &to->min_calls, error);
    }
    return status;
}

static mf_status pick_rules(mfi_window_rules *to, const rule_options *from, uint32_t window_preset,
                            mf_error *error)
{
    mf_status status =
        pick_ratio(from->failure_ratio_name, from->failure_ratio, &to->failure_ratio, error);
    if (status == MF_OK) {
        status = pick_ratio(from->slow_ratio_name, from->slow_ratio, &to->slow_ratio, error);
    }
    if (status == MF_OK && from->slow_call_ms < 0) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be 1 or more, not %lld",
                          from->slow_call_ms_name, (long long)from->slow_call_ms);
    }
    to->slow_call_ms =
        from->slow_call_ms != 0 || to->slow_ratio == 0 ? from->slow_call_ms : SLOW_CALL_MS;
    return status == MF_OK ? pick_volume(to, from, window_preset, error) : status;
}

static mf_status pick_trial(mfi_parent_settings *to, const mf_parent_options *from, mf_error *error)
{
    const rule_options trial = {"circuit_trial_failure_ratio",  "circuit_trial_slow_ratio",
                                "circuit_trial_slow_call_ms",   "circuit_trial_min_calls",
                                "circuit_trial_window_calls",   from->circuit_trial_failure_ratio,
                                from->circuit_trial_slow_ratio, from->circuit_trial_slow_call_ms,
                                from->circuit_trial_min_calls,  from->circuit_trial_window_calls};
    to->trial = to->circuit;
    to->trial.consecutive_failures = 0;
    mf_status status = pick_rules(&to->trial.rules, &trial, to->circuit.rules.window_calls, error);
    to->has_trial = mfi_window_rules_on(&to->trial.rules);
    to->trial.disabled = !to->has_trial;
    return status;
}

mf_status mfi_circuit_options_pick(mfi_parent_settings *to, const mf_parent_options *from,
                                   mf_error *error)
{
    const rule_options rules = {"circuit_failure_ratio",  "circuit_slow_ratio",
                                "circuit_slow_call_ms",   "circuit_min_calls",
                                "circuit_window_calls",   from->circuit_failure_ratio,
                                from->circuit_slow_ratio, from->circuit_slow_call_ms,
                                from->circuit_min_calls,  from->circuit_window_calls};
    mfi_circuit_config *circuit = &to->circuit;
    circuit->disabled = from->circuit_failures == MF_DISABLED;
    circuit->heartbeat_misses = to->heartbeat_misses;
    circuit->jitter = JITTER;
    circuit->probes = PROBES;
    circuit->probe_slot_ms = PROBE_SLOT_MS;
    circuit->count_remote_errors = from->circuit_counts_remote_errors;
    mf_status status = mfi_option_pick_count(
        "circuit_failures", circuit->disabled ? 0 : from->circuit_failures,
        to->restart.max_attempts, FAILURES_MAX, &circuit->consecutive_failures, error);
    if (status == MF_OK) {
        status = pick_rules(&circuit->rules, &rules, MFI_OUTCOMES_WINDOW, error);
    }
    if (status == MF_OK && circuit->disabled && mfi_window_rules_on(&circuit->rules)) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                          "%s needs a circuit breaker, and circuit_failures is MF_DISABLED",
                          circuit->rules.failure_ratio > 0 ? "circuit_failure_ratio"
                                                           : "circuit_slow_ratio");
    }
    return status == MF_OK ? pick_trial(to, from, error) : status;
}
