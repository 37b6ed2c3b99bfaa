/* The circuit breaker's states and counts. It exists so that callers stop sending to a worker that
 * fails, and find out soon when the worker is well again. circuit.h says which outcomes count.
 *
 * The fast paths read one atomic word and take no lock. Every change of state takes `order`, then
 * `mutex`; the observer is called after `mutex` is released and before `order` is, so that changes
 * are reported in the order in which they happened. */
#include "core/policy/circuit.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/policy/circuit_step.h"
#include "core/policy/circuit_word.h"
#include "core/policy/verdict.h"

static uint64_t system_random(void *user_data)
{
    (void)user_data;
    return mfi_random_fast();
}

/* ---- Time ---- */

static void pass_time_locked(mfi_circuit *circuit, mfi_circuit_step *step)
{
    uint64_t now = mfi_clock_monotonic(circuit->clock);
    mfi_circuit_state state = mfi_circuit_state_of(mfi_circuit_word(circuit));
    if (state == MFI_CIRCUIT_OPEN && now >= circuit->probe_at_ns) {
        mfi_circuit_change_locked(circuit, MFI_CIRCUIT_HALF_OPEN, MFI_CAUSE_COOL_DOWN, step);
        return;
    }
    for (uint32_t i = 0; state == MFI_CIRCUIT_HALF_OPEN && i < circuit->config.probes; i++) {
        step->probes[MFI_PROBE_EXPIRED] +=
            circuit->probe_until_ns[i] != 0 && now >= circuit->probe_until_ns[i];
    }
    if (step->probes[MFI_PROBE_EXPIRED] > 0) {
        mfi_circuit_open_locked(circuit, MFI_CAUSE_PROBE_EXPIRED, step);
    }
}

void mfi_circuit_tick(mfi_circuit *circuit)
{
    mfi_circuit_step step;
    mfi_circuit_begin_step(circuit, &step);
    pass_time_locked(circuit, &step);
    mfi_circuit_end_step(circuit, &step);
}

/* ---- Calls ---- */

/* What the refusal of a call says. */
static void read_refusal_locked(const mfi_circuit *circuit, mfi_circuit_refusal *to)
{
    uint64_t now = mfi_clock_monotonic(circuit->clock);
    to->state = mfi_circuit_state_of(mfi_circuit_word(circuit));
    to->reason = circuit->reason;
    to->permitted = circuit->config.probes;
    to->probes = circuit->probes_ok;
    to->wait_ns = 0;
    for (uint32_t i = 0; i < circuit->config.probes; i++) {
        uint64_t left = mfi_remaining_ns(circuit->probe_until_ns[i], now);
        to->probes += circuit->probe_until_ns[i] != 0;
        to->wait_ns = left > to->wait_ns ? left : to->wait_ns;
    }
}

/* Index of a free probe slot, or -1. A probe that has succeeded still counts, so that at most
 * `probes` calls pass in all. */
static int8_t take_probe_locked(mfi_circuit *circuit)
{
    uint32_t taken = circuit->probes_ok;
    int8_t free_slot = -1;
    for (uint32_t i = 0; i < circuit->config.probes; i++) {
        if (circuit->probe_until_ns[i] != 0) {
            taken++;
        } else if (free_slot < 0) {
            free_slot = (int8_t)i;
        }
    }
    if (taken >= circuit->config.probes) {
        return -1;
    }
    circuit->probe_until_ns[free_slot] =
        mfi_deadline_after_ms(mfi_clock_monotonic(circuit->clock), circuit->config.probe_slot_ms);
    return free_slot;
}

/* Admits the calls that meet a closed circuit, or one without rules. */
static bool admit_at_once(const mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket)
{
    uint64_t word = mfi_circuit_word(circuit);
    *ret_ticket =
        (mfi_circuit_ticket){.generation = (uint32_t)mfi_circuit_generation_of(word), .probe = -1};
    if (circuit->config.rules.slow_call_ms != 0) {
        ret_ticket->at_ns = mfi_clock_monotonic(circuit->clock);
    }
    return mfi_circuit_state_of(word) == MFI_CIRCUIT_CLOSED ||
           mfi_circuit_state_of(word) == MFI_CIRCUIT_DISABLED;
}

static bool admit_or_refuse(mfi_circuit *circuit, mfi_circuit_ticket *ticket,
                            mfi_circuit_refusal *ret_why)
{
    mfi_circuit_step step;
    bool admitted = false;
    mfi_circuit_begin_step(circuit, &step);
    pass_time_locked(circuit, &step);
    uint64_t word = mfi_circuit_word(circuit);
    ticket->generation = (uint32_t)mfi_circuit_generation_of(word);
    if (mfi_circuit_state_of(word) == MFI_CIRCUIT_CLOSED) {
        admitted = true;
    } else if (mfi_circuit_state_of(word) == MFI_CIRCUIT_HALF_OPEN) {
        ticket->probe = take_probe_locked(circuit);
        admitted = ticket->probe >= 0;
    }
    read_refusal_locked(circuit, ret_why);
    circuit->refused_total += !admitted;
    mfi_circuit_end_step(circuit, &step);
    if (!admitted) {
        atomic_fetch_add_explicit(&circuit->refused, 1, memory_order_relaxed);
    }
    return admitted;
}

static __attribute__((noinline)) mf_status admit_slowly(mfi_circuit *circuit,
                                                        mfi_circuit_ticket *ticket, mf_error *error)
{
    mfi_circuit_refusal why;
    return admit_or_refuse(circuit, ticket, &why) ? MF_OK : mfi_circuit_refuse(&why, error);
}

mf_status mfi_circuit_admit(mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket, mf_error *error)
{
    return admit_at_once(circuit, ret_ticket) ? MF_OK : admit_slowly(circuit, ret_ticket, error);
}

bool mfi_circuit_would_admit(mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket,
                             mfi_circuit_cause *ret_rule)
{
    mfi_circuit_refusal why;
    if (admit_at_once(circuit, ret_ticket) || admit_or_refuse(circuit, ret_ticket, &why)) {
        return true;
    }
    *ret_rule = why.reason.rule;
    return false;
}

static void count_locked(mfi_circuit *circuit, mfi_call_verdict verdict, mf_status status,
                         unsigned marks)
{
    if (verdict == MFI_VERDICT_EXCLUDED) {
        mfi_outcomes_exclude(&circuit->outcomes);
    } else {
        mfi_outcomes_add(&circuit->outcomes,
                         verdict == MFI_VERDICT_OK ? MFI_STATUS_OK : mfi_verdict_status(status),
                         marks);
    }
}

static bool is_slow(const mfi_circuit *circuit, mfi_circuit_ticket ticket)
{
    int64_t most_ms = circuit->config.rules.slow_call_ms;
    return most_ms != 0 &&
           mfi_clock_monotonic(circuit->clock) >= mfi_deadline_after_ms(ticket.at_ns, most_ms);
}

/* Whether a call that did not fail can bring a ratio to its threshold: a slow one, or one that may
 * make up the minimum volume. */
static bool is_decisive(const mfi_circuit *circuit, uint64_t calls, bool slow)
{
    uint64_t begun = atomic_load_explicit(&circuit->outcomes.begun, memory_order_relaxed);
    return slow || (!atomic_load_explicit(&circuit->had_volume, memory_order_relaxed) &&
                    calls - begun >= circuit->config.rules.min_calls);
}

static bool is_old(uint64_t word, mfi_circuit_ticket ticket)
{
    return (uint32_t)mfi_circuit_generation_of(word) != ticket.generation;
}

static void fail_locked(mfi_circuit *circuit)
{
    mfi_circuit_reason *reason = &circuit->reason;
    *reason = (mfi_circuit_reason){.rule = MFI_RULE_FAILURES,
                                   .observed = (double)circuit->failures,
                                   .threshold = (double)circuit->config.consecutive_failures};
    (void)mfi_str_format(reason->text, sizeof reason->text, "%u consecutive failures",
                         (unsigned)circuit->failures);
}

/* Whether a rule is reached; then the circuit has the reason. */
static bool judge_locked(mfi_circuit *circuit)
{
    uint32_t most = circuit->config.consecutive_failures;
    if (most != 0 && circuit->failures >= most) {
        fail_locked(circuit);
        return true;
    }
    if (!circuit->has_ratios) {
        return false;
    }
    mfi_circuit_counts counts;
    mfi_outcomes_read_begun(&circuit->outcomes, &counts);
    atomic_store_explicit(&circuit->had_volume, counts.calls >= circuit->config.rules.min_calls,
                          memory_order_relaxed);
    return mfi_window_judge(&circuit->config.rules, &counts, &circuit->reason);
}

static void probe_ended_locked(mfi_circuit *circuit, int8_t probe, mfi_call_verdict verdict,
                               mfi_circuit_step *step)
{
    if (probe < 0 || circuit->probe_until_ns[probe] == 0) {
        return;
    }
    circuit->probe_until_ns[probe] = 0; /* an excluded outcome only frees the slot */
    if (verdict == MFI_VERDICT_FAILED) {
        circuit->probes_failed++;
        step->probes[MFI_PROBE_FAILED]++;
        mfi_circuit_open_locked(circuit, MFI_CAUSE_PROBE_FAILED, step);
    } else if (verdict == MFI_VERDICT_OK) {
        circuit->probes_ok++;
        step->probes[MFI_PROBE_OK]++;
        if (circuit->probes_ok >= circuit->config.probes) {
            mfi_circuit_change_locked(circuit, MFI_CIRCUIT_CLOSED, MFI_CAUSE_PROBES_PASSED, step);
        }
    }
}

/* The outcome of one call. */
typedef struct report {
    mfi_call_verdict verdict;
    mf_status status;
    bool slow, counted; /* counted: the window has it */
    const char *correlation_id, *trace_id;
} report;

/* Apart, so that the fast path has no large frame. */
static __attribute__((noinline)) void report_slowly(mfi_circuit *circuit, mfi_circuit_ticket ticket,
                                                    const report *call)
{
    mfi_circuit_step step;
    mfi_circuit_begin_step(circuit, &step);
    uint64_t word = mfi_circuit_word(circuit);
    bool current = !is_old(word, ticket);
    if (!call->counted) {
        count_locked(circuit, call->verdict, call->status,
                     (call->slow ? MFI_OUTCOME_SLOW : 0) | (current ? 0 : MFI_OUTCOME_OLD));
    }
    if (current && mfi_circuit_state_of(word) == MFI_CIRCUIT_HALF_OPEN) {
        if (call->verdict == MFI_VERDICT_FAILED) {
            /* The rule is kept, because the same fault persists. */
            mfi_circuit_set_call_locked(circuit, call->status, call->correlation_id,
                                        call->trace_id);
        }
        probe_ended_locked(circuit, ticket.probe, call->verdict, &step);
    } else if (current && mfi_circuit_state_of(word) == MFI_CIRCUIT_CLOSED &&
               call->verdict != MFI_VERDICT_EXCLUDED) {
        circuit->failures = call->verdict == MFI_VERDICT_FAILED ? circuit->failures + 1 : 0;
        mfi_circuit_store_word_locked(circuit, mfi_circuit_generation_of(word), MFI_CIRCUIT_CLOSED);
        if (judge_locked(circuit)) {
            mfi_circuit_set_call_locked(circuit, call->status, call->correlation_id,
                                        call->trace_id);
            mfi_circuit_open_locked(circuit, circuit->reason.rule, &step);
        }
    }
    mfi_circuit_end_step(circuit, &step);
}

void mfi_circuit_report(mfi_circuit *circuit, mfi_circuit_ticket ticket, mf_status status,
                        const char *correlation_id, const char *trace_id)
{
    uint64_t word = mfi_circuit_word(circuit);
    mfi_call_verdict verdict = mfi_verdict_of(status, circuit->config.count_remote_errors);
    if (mfi_circuit_state_of(word) == MFI_CIRCUIT_DISABLED) {
        return;
    }
    bool has_ratios = circuit->has_ratios;
    bool slow = verdict == MFI_VERDICT_OK && is_slow(circuit, ticket);
    bool counted = verdict == MFI_VERDICT_OK && mfi_circuit_state_of(word) == MFI_CIRCUIT_CLOSED &&
                   (word & 1) == 0 && !(has_ratios && is_old(word, ticket));
    if (counted) {
        uint64_t calls =
            mfi_outcomes_add(&circuit->outcomes, MFI_STATUS_OK, slow ? MFI_OUTCOME_SLOW : 0) + 1;
        if (!has_ratios || !is_decisive(circuit, calls, slow)) {
            return;
        }
    }
    report_slowly(circuit, ticket,
                  &(report){.verdict = verdict,
                            .status = status,
                            .slow = slow,
                            .counted = counted,
                            .correlation_id = correlation_id,
                            .trace_id = trace_id});
}

/* ---- Other rules ---- */

void mfi_circuit_trip(mfi_circuit *circuit, const mfi_circuit_reason *reason)
{
    mfi_circuit_step step;
    mfi_circuit_begin_step(circuit, &step);
    mfi_circuit_state state = mfi_circuit_state_of(mfi_circuit_word(circuit));
    if (state != MFI_CIRCUIT_DISABLED && state != MFI_CIRCUIT_FORCED_OPEN) {
        circuit->reason = *reason;
        circuit->by_calls = false;
        circuit->heartbeats_ok = 0;
        circuit->tripped_ns = mfi_clock_monotonic(circuit->clock);
        if (state != MFI_CIRCUIT_OPEN) {
            mfi_circuit_open_locked(circuit, reason->rule, &step);
        }
    }
    mfi_circuit_end_step(circuit, &step);
}

static bool is_between(const mfi_circuit *circuit)
{
    mfi_circuit_state state = mfi_circuit_state_of(mfi_circuit_word(circuit));
    return state == MFI_CIRCUIT_OPEN || state == MFI_CIRCUIT_HALF_OPEN;
}

void mfi_circuit_heartbeat_answered(mfi_circuit *circuit, uint64_t sent_ns)
{
    if (!is_between(circuit)) {
        return;
    }
    mfi_circuit_step step;
    mfi_circuit_begin_step(circuit, &step);
    /* A heartbeat proves that the peer lives. It proves nothing about calls that fail. */
    if (is_between(circuit) && !circuit->by_calls) {
        circuit->heartbeats_ok += sent_ns >= circuit->tripped_ns ? 1 : 0;
        if (mfi_circuit_state_of(mfi_circuit_word(circuit)) == MFI_CIRCUIT_OPEN) {
            mfi_circuit_change_locked(circuit, MFI_CIRCUIT_HALF_OPEN, MFI_CAUSE_HEARTBEAT_ANSWERED,
                                      &step);
        }
        if (circuit->heartbeats_ok >= circuit->config.probes) {
            mfi_circuit_change_locked(circuit, MFI_CIRCUIT_CLOSED, MFI_CAUSE_HEARTBEAT_ANSWERED,
                                      &step);
        }
    }
    mfi_circuit_end_step(circuit, &step);
}

void mfi_circuit_heartbeat_missed(mfi_circuit *circuit)
{
    mfi_mutex_lock(&circuit->mutex);
    circuit->heartbeats_ok = 0;
    mfi_mutex_unlock(&circuit->mutex);
}

/* ---- Life ---- */

void mfi_circuit_init(mfi_circuit *circuit, const mfi_circuit_config *config,
                      const mfi_clock *clock, uint64_t (*random)(void *user_data),
                      const mfi_circuit_listener *listener)
{
    memset(circuit, 0, sizeof *circuit);
    circuit->config = *config;
    if (circuit->config.probes == 0 || circuit->config.probes > MFI_CIRCUIT_PROBES_MAX) {
        circuit->config.probes = 3;
    }
    circuit->clock = clock;
    circuit->random = random != NULL ? random : system_random;
    circuit->listener = listener != NULL ? *listener : (mfi_circuit_listener){.changed = NULL};
    circuit->has_ratios = mfi_window_rules_on(&config->rules);
    circuit->outcomes.window = config->rules.window_calls;
    mfi_mutex_init(&circuit->mutex);
    mfi_mutex_init(&circuit->order);
    circuit->since_ns = mfi_clock_monotonic(clock);
    circuit->since_wall_ns = mfi_clock_wall(clock);
    mfi_circuit_store_word_locked(circuit, 1,
                                  config->disabled ? MFI_CIRCUIT_DISABLED : MFI_CIRCUIT_CLOSED);
}

void mfi_circuit_fini(mfi_circuit *circuit)
{
    mfi_mutex_fini(&circuit->mutex);
    mfi_mutex_fini(&circuit->order);
}
