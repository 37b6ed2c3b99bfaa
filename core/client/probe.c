/* Shows a parent in mf_probe: its health rows and its circuit. It exists so that an endpoint can
 * show a parent without knowing one. */
#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "base/str.h"
#include "core/client/parent.h"

/* ---- Health ---- */

static void explain_frozen(mf_parent *parent, char *to, size_t size)
{
    (void)mfi_str_format(
        to, size, "worker %s is frozen: it answered none of %u heartbeats in a row",
        parent->state.settings.worker, (unsigned)mfi_heartbeat_misses(&parent->heartbeat));
}

/* Writes why the parent is not ready, and what happens next: "worker math-0 was killed by signal 9
 * (SIGKILL), restart in 0.8 s (2 of 5 in 60 s)". */
void mfi_parent_explain(mf_parent *parent, char *to, size_t size)
{
    static const char *const words[] = {
        [MF_PARENT_CREATED] = "was not started", [MF_PARENT_STARTING] = "is starting",
        [MF_PARENT_READY] = "is ready",          [MF_PARENT_STOPPING] = "is stopping",
        [MF_PARENT_STOPPED] = "was stopped",     [MF_PARENT_FAILED] = "ended",
        [MF_PARENT_RESTARTING] = "is restarting"};
    mf_parent_state state = mfi_state_get(&parent->state);
    uint64_t now = mfi_monotonic_ns();
    if (mfi_parent_is_frozen(parent)) {
        explain_frozen(parent, to, size);
        return;
    }
    bool explained = state == MF_PARENT_FAILED || state == MF_PARENT_RESTARTING;
    mfi_mutex_lock(&parent->state.mutex);
    const char *why =
        explained && parent->state.exit_text[0] != '\0' ? parent->state.exit_text : words[state];
    size_t length = mfi_str_format(to, size, "worker %s %s", parent->state.settings.worker, why);
    if (state == MF_PARENT_RESTARTING && parent->state.restart_at_ns > now) {
        length += mfi_str_format(
            to + length, size - length, ", restart in %s s",
            mfi_fixed_text((double)(parent->state.restart_at_ns - now) / (double)MFI_NS_PER_S, 1)
                .text);
        if (parent->state.settings.restart.max_attempts != 0) {
            (void)mfi_str_format(to + length, size - length, " (%u of %u in %lld s)",
                                 (unsigned)mfi_restart_in_period(&parent->state.restart, now),
                                 (unsigned)parent->state.settings.restart.max_attempts,
                                 (long long)(parent->state.settings.restart.period_ms / 1000));
        }
    }
    mfi_mutex_unlock(&parent->state.mutex);
}

static void add_workers(void *self, mfi_workers_row *row)
{
    mf_parent *parent = self;
    char output[MFI_WORKERS_TEXT_MAX] = "";
    bool ready = mfi_state_get(&parent->state) == MF_PARENT_READY;
    if (!ready || mfi_parent_is_frozen(parent)) {
        mfi_parent_explain(parent, output, sizeof output);
    }
    row->ready += ready;
    row->needed = row->needed > 0 ? row->needed : 1;
    row->starts =
        row->starts || !atomic_load_explicit(&parent->state.was_ready, memory_order_relaxed);
    row->warns = row->warns || output[0] != '\0';
    if (row->output[0] == '\0') {
        (void)mfi_str_copy(row->output, sizeof row->output, output);
    }
}

/* The rule, what was observed, and what comes next. */
static void explain_circuit(const char *name, const mfi_circuit_snapshot *circuit, char *to,
                            size_t size)
{
    uint64_t now = mfi_monotonic_ns();
    size_t length = mfi_str_format(
        to, size, "circuit %s is %s by rule %s (%s)", name, mfi_circuit_state_word(circuit->state),
        circuit->reason.rule != MFI_CAUSE_NONE ? mfi_circuit_cause_word(circuit->reason.rule)
                                               : "none",
        circuit->reason.text);
    if (circuit->state == MFI_CIRCUIT_HALF_OPEN) {
        (void)mfi_str_format(to + length, size - length, "; probe calls decide whether it closes");
    } else if (circuit->state == MFI_CIRCUIT_FORCED_OPEN) {
        (void)mfi_str_format(to + length, size - length,
                             "; calls are refused until an operator orders reset or auto");
    } else if (circuit->probe_at_ns > now) {
        double left = (double)(circuit->probe_at_ns - now) / (double)MFI_NS_PER_S;
        (void)mfi_str_format(to + length, size - length,
                             "; calls are refused, the next probe is due in %s s",
                             mfi_fixed_text(left, 1).text);
    } else {
        (void)mfi_str_format(to + length, size - length,
                             "; calls are refused, the next probe is due");
    }
}

static void visit_circuit_health(mf_parent *parent, bool alone, mf_health_visit_fn visit,
                                 void *user_data)
{
    char output[MFI_CIRCUIT_TEXT_MAX + 260];
    mfi_circuit_snapshot circuit;
    mfi_function_names names = {.count = 0};
    mfi_circuit_read(&parent->state.circuit, &circuit);
    const mfi_parent_settings *settings = &parent->state.settings;
    const char *name = alone && !settings->is_member ? settings->target : settings->worker;
    mf_health_row row = {.struct_size = sizeof row,
                         .component = name,
                         .measurement = "circuit",
                         .component_type = "component",
                         .status = MF_HEALTH_PASS,
                         .gates = MF_GATE_NONE,
                         .observed_text = mfi_circuit_state_word(circuit.state)};
    bool refuses = circuit.state == MFI_CIRCUIT_OPEN || circuit.state == MFI_CIRCUIT_FORCED_OPEN;
    if (refuses || circuit.state == MFI_CIRCUIT_HALF_OPEN) {
        bool fails = settings->critical && refuses;
        row.status = fails ? MF_HEALTH_FAIL : MF_HEALTH_WARN;
        row.gates = fails ? MF_GATE_READY : MF_GATE_NONE;
        row.output = output;
        explain_circuit(name, &circuit, output, sizeof output);
        mfi_target_add_names(parent->state.observed, &names);
        row.affected = names.names;
        row.affected_count = names.count;
    }
    visit(&row, user_data);
}

/* Of all parents of the target together. */
static void visit_target(void *self, mf_health_visit_fn visit, void *user_data)
{
    const mf_parent *parent = self;
    mfi_target_recent recent;
    mfi_target_read_recent(parent->state.observed, mfi_monotonic_ns(), &recent);
    mfi_health_show_target(&parent->state.runtime->limits, parent->state.settings.target, &recent,
                           visit, user_data);
}

static void add_names(void *self, mfi_function_names *names)
{
    const mf_parent *parent = self;
    mfi_target_add_names(parent->state.observed, names);
}

static void visit_health(void *self, bool alone, mf_health_visit_fn visit, void *user_data)
{
    visit_circuit_health(self, alone, visit, user_data);
}

/* ---- Circuit ---- */

static mf_circuit_window window_of(const mfi_circuit_counts *counts)
{
    return (mf_circuit_window){.calls = counts->calls,
                               .ok = counts->ok,
                               .failed = counts->failed,
                               .excluded = counts->excluded,
                               .timeout = counts->timeout,
                               .unavailable = counts->unavailable,
                               .worker_crashed = counts->worker_crashed,
                               .protocol_error = counts->protocol_error};
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)MFI_NS_PER_S;
}

static void fill_reason(mf_circuit_row *row, const mfi_circuit_reason *reason)
{
    row->rule = mfi_circuit_cause_word(reason->rule);
    row->observed = reason->observed;
    row->threshold = reason->threshold;
    row->first_error = reason->status != MF_OK ? mf_err_status(reason->status) : NULL;
    row->correlation_id = mfi_str_or_null(reason->correlation_id);
    row->trace_id = mfi_str_or_null(reason->trace_id);
    row->reason_text = mfi_str_or_null(reason->text);
    row->reason_window_calls = reason->window_calls;
}

static void fill_config(mf_circuit_row *row, const mfi_circuit_config *config)
{
    row->probes_permitted = config->probes;
    row->probe_slot_seconds = (double)config->probe_slot_ms / 1000;
    row->config_consecutive_failures = config->disabled ? 0 : config->consecutive_failures;
    row->config_heartbeat_misses = config->heartbeat_misses;
    row->config_open_seconds = (double)config->open_ms / 1000;
    row->config_open_max_seconds = (double)config->open_max_ms / 1000;
    row->config_jitter = config->jitter;
    row->config_window_calls = config->rules.window_calls;
    row->config_failure_ratio = config->rules.failure_ratio;
    row->config_slow_ratio = config->rules.slow_ratio;
    row->config_slow_call_seconds = (double)config->rules.slow_call_ms / 1000;
    row->config_min_calls = config->rules.min_calls;
}

/* The snapshot keeps the texts. */
static void fill_trial(mf_circuit_row *row, mf_parent *parent, mfi_circuit_snapshot *trial)
{
    if (!parent->state.settings.has_trial) {
        return;
    }
    mfi_circuit_tick(&parent->state.trial); /* it has no timer */
    mfi_circuit_read(&parent->state.trial, trial);
    const mfi_window_rules *rules = &parent->state.trial.config.rules;
    const mfi_circuit_reason *reason = &trial->reason;
    row->trial = (mf_circuit_trial){.state = mfi_circuit_state_word(trial->state),
                                    .refused = trial->refused_total,
                                    .rule = mfi_circuit_cause_word(reason->rule),
                                    .observed = reason->observed,
                                    .threshold = reason->threshold,
                                    .reason_text = mfi_str_or_null(reason->text),
                                    .failure_ratio = rules->failure_ratio,
                                    .slow_ratio = rules->slow_ratio,
                                    .slow_call_seconds = (double)rules->slow_call_ms / 1000,
                                    .min_calls = rules->min_calls,
                                    .window_calls = rules->window_calls};
}

const char *mfi_parent_state_word(mf_parent_state state)
{
    static const char *const states[] = {
        [MF_PARENT_CREATED] = "created",      [MF_PARENT_STARTING] = "starting",
        [MF_PARENT_READY] = "ready",          [MF_PARENT_STOPPING] = "stopping",
        [MF_PARENT_STOPPED] = "stopped",      [MF_PARENT_FAILED] = "failed",
        [MF_PARENT_RESTARTING] = "restarting"};
    return states[state];
}

static void fill_worker(mf_circuit_row *row, mf_parent *parent, char *last_exit, size_t size)
{
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    (void)!mf_parent_read_stats(parent, &stats, NULL);
    (void)mf_parent_last_exit(parent, last_exit, size);
    row->worker = (mf_circuit_worker){
        .name = parent->state.settings.worker,
        .state = stats.frozen ? "frozen" : mfi_parent_state_word(mfi_state_get(&parent->state)),
        .pid = mf_parent_pid(parent),
        .restarts = stats.restarts,
        .restarts_in_period = stats.restarts_in_period,
        .restarts_permitted =
            parent->state.settings.auto_restart ? parent->state.settings.restart.max_attempts : 0,
        .restart_in_seconds = (double)stats.restart_in_ms / 1000,
        .last_exit = mfi_str_or_null(last_exit),
        .last_exit_code = stats.last_exit_code,
        .last_exit_signal = stats.last_exit_signal,
        .heartbeat_rtt_seconds = seconds(stats.heartbeat_rtt_ns),
        .heartbeat_misses = stats.heartbeat_misses,
        .says_busy = stats.says_busy,
        .handler_seconds = (double)stats.handler_ms / 1000,
        .handler_queue = stats.handler_queue};
    row->worker_says_load = stats.says_load;
    row->worker_load = stats.load;
}

static void visit_circuit(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    mf_parent *parent = self;
    mfi_circuit_snapshot circuit;
    mfi_circuit_read(&parent->state.circuit, &circuit);
    uint64_t now = mfi_monotonic_ns();
    uint64_t left = circuit.probe_at_ns > now ? circuit.probe_at_ns - now : 0;
    mf_circuit_row row = {.struct_size = sizeof row,
                          .target = parent->state.settings.target,
                          .state = mfi_circuit_state_word(circuit.state),
                          .since_wall_ns = circuit.since_wall_ns,
                          .since_seconds = seconds(now - circuit.since_ns),
                          .generation = circuit.generation,
                          .next_probe_wall_ns = circuit.probe_at_ns != 0 ? mfi_wall_ns() + left : 0,
                          .next_probe_in_seconds = seconds(left),
                          .open_count_in_row = circuit.open_in_row,
                          .window = window_of(&circuit.counts),
                          .window_at_trip = window_of(&circuit.counts_at_trip),
                          .probes_in_flight = circuit.probes_in_flight,
                          .probes_ok = circuit.probes_ok,
                          .probes_failed = circuit.probes_failed,
                          .consecutive_failures = circuit.failures,
                          .refused_since_open = circuit.refused,
                          .window_slow = circuit.counts.slow,
                          .window_at_trip_slow = circuit.counts_at_trip.slow,
                          .window_judged = circuit.judged_calls,
                          .transition_count = circuit.history_count};
    fill_reason(&row, &circuit.reason);
    fill_config(&row, &parent->state.circuit.config);
    mfi_circuit_snapshot trial;
    fill_trial(&row, parent, &trial);
    char last_exit[MFI_EXIT_TEXT_MAX] = "";
    fill_worker(&row, parent, last_exit, sizeof last_exit);
    for (uint32_t i = 0; i < circuit.history_count; i++) {
        const mfi_circuit_history *past = &circuit.history[i];
        row.transitions[i] = (mf_circuit_transition){.from = mfi_circuit_state_word(past->from),
                                                     .to = mfi_circuit_state_word(past->to),
                                                     .reason = mfi_circuit_cause_word(past->why),
                                                     .at_wall_ns = past->wall_ns};
    }
    visit(&row, user_data);
}

void mfi_parent_component_init(mf_parent *parent)
{
    bool is_member = parent->state.settings.is_member;
    parent->component =
        (mfi_component){.target = parent->state.settings.target,
                        .self = parent,
                        .visit_health = visit_health,
                        .add_workers = is_member ? NULL : add_workers,
                        .visit_target = visit_target,
                        .visit_circuit = visit_circuit,
                        .add_names = add_names,
                        .config = mfi_parent_settings_fingerprint(&parent->state.settings)};
}
