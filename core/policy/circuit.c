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
#include "core/policy/backoff.h"
#include "core/words/statuses.h"

/* Changes that happened under the lock and are reported outside it. One step makes two at most: the
 * end of the cool-down, and the change that follows. */
typedef struct change_step {
    mfi_circuit_change changes[2];
    size_t count;
} change_step;

static uint64_t system_random(void *user_data)
{
    (void)user_data;
    return mfi_random_fast();
}

/* ---- The word ---- */

#define STATE_SHIFT 1
#define STATE_MASK 7u
#define GENERATION_SHIFT 4
_Static_assert(MFI_CIRCUIT_STATE_COUNT <= STATE_MASK + 1, "a state must fit the word");

static mfi_circuit_state state_of(uint64_t word)
{
    return (mfi_circuit_state)((word >> STATE_SHIFT) & STATE_MASK);
}

static uint64_t generation_of(uint64_t word)
{
    return word >> GENERATION_SHIFT;
}

static uint64_t load_word(const mfi_circuit *circuit)
{
    return atomic_load_explicit(&circuit->word, memory_order_acquire);
}

static void store_word_locked(mfi_circuit *circuit, uint64_t generation, mfi_circuit_state state)
{
    uint64_t failing = circuit->failures > 0 ? 1 : 0;
    atomic_store_explicit(&circuit->word,
                          generation << GENERATION_SHIFT | (uint64_t)state << STATE_SHIFT | failing,
                          memory_order_release);
}

mfi_circuit_state mfi_circuit_get_state(const mfi_circuit *circuit)
{
    return state_of(load_word(circuit));
}

/* ---- Changing state ---- */

static void remember_locked(mfi_circuit *circuit, const mfi_circuit_change *change)
{
    if (circuit->history_count == MFI_CIRCUIT_HISTORY) {
        memmove(circuit->history, circuit->history + 1,
                sizeof circuit->history - sizeof circuit->history[0]);
        circuit->history_count--;
    }
    circuit->history[circuit->history_count++] =
        (mfi_circuit_history){change->from, change->to, change->why, change->wall_ns};
}

static void change_locked(mfi_circuit *circuit, mfi_circuit_state to, mfi_circuit_cause why,
                          change_step *step)
{
    uint64_t word = load_word(circuit);
    mfi_circuit_change *change = &step->changes[step->count++];
    *change = (mfi_circuit_change){.from = state_of(word),
                                   .to = to,
                                   .why = why,
                                   .wall_ns = mfi_clock_wall(circuit->clock),
                                   .reason = circuit->reason};
    circuit->since_ns = mfi_clock_monotonic(circuit->clock);
    circuit->since_wall_ns = change->wall_ns;
    memset(circuit->probe_until_ns, 0, sizeof circuit->probe_until_ns);
    circuit->probes_ok = 0;
    circuit->probes_failed = 0;
    if (to == MFI_CIRCUIT_CLOSED) {
        circuit->failures = 0;
        circuit->open_in_row = 0;
        circuit->probe_at_ns = 0;
        circuit->reason = (mfi_circuit_reason){.rule = MFI_CAUSE_NONE}; /* kept in the history */
    }
    remember_locked(circuit, change);
    store_word_locked(circuit, generation_of(word) + 1, to);
}

static uint64_t cool_down_locked(const mfi_circuit *circuit)
{
    const mfi_backoff backoff = {.first_ms = circuit->config.open_ms,
                                 .most_ms = circuit->config.open_max_ms,
                                 .multiplier = 2,
                                 .jitter = circuit->config.jitter};
    return mfi_backoff_ns(&backoff, circuit->open_in_row, circuit->random(circuit->user_data));
}

static void open_locked(mfi_circuit *circuit, mfi_circuit_cause why, change_step *step)
{
    uint64_t cool_down_ns = cool_down_locked(circuit);
    mfi_outcomes_read(&circuit->outcomes, &circuit->counts_at_trip);
    circuit->probe_at_ns = mfi_clock_monotonic(circuit->clock) + cool_down_ns;
    circuit->open_in_row++;
    circuit->trips++;
    circuit->heartbeats_ok = 0;
    circuit->by_calls =
        why == MFI_RULE_FAILURES || why == MFI_CAUSE_PROBE_FAILED || why == MFI_CAUSE_PROBE_EXPIRED;
    atomic_store_explicit(&circuit->refused, 0, memory_order_relaxed);
    change_locked(circuit, MFI_CIRCUIT_OPEN, why, step);
    step->changes[step->count - 1].cool_down_ms = cool_down_ns / MFI_NS_PER_MS;
}

/* The call that opens the circuit, or opens it again. */
static void set_call_locked(mfi_circuit *circuit, mf_status status, const char *correlation_id,
                            const char *trace_id)
{
    mfi_circuit_reason *reason = &circuit->reason;
    reason->status = status;
    (void)mfi_str_copy(reason->correlation_id, sizeof reason->correlation_id,
                       correlation_id != NULL ? correlation_id : "");
    (void)mfi_str_copy(reason->trace_id, sizeof reason->trace_id, trace_id != NULL ? trace_id : "");
}

/* Takes `order` before the state is touched, so that changes are reported in order. */
static void begin_step(mfi_circuit *circuit, change_step *step)
{
    step->count = 0;
    mfi_mutex_lock(&circuit->order);
    mfi_mutex_lock(&circuit->mutex);
}

static void end_step(mfi_circuit *circuit, const change_step *step)
{
    mfi_mutex_unlock(&circuit->mutex);
    for (size_t i = 0; i < step->count && circuit->changed != NULL; i++) {
        circuit->changed(circuit->user_data, &step->changes[i]);
    }
    mfi_mutex_unlock(&circuit->order);
}

/* ---- Time ---- */

static void pass_time_locked(mfi_circuit *circuit, change_step *step)
{
    uint64_t now = mfi_clock_monotonic(circuit->clock);
    mfi_circuit_state state = state_of(load_word(circuit));
    if (state == MFI_CIRCUIT_OPEN && now >= circuit->probe_at_ns) {
        change_locked(circuit, MFI_CIRCUIT_HALF_OPEN, MFI_CAUSE_COOL_DOWN, step);
        return;
    }
    for (uint32_t i = 0; state == MFI_CIRCUIT_HALF_OPEN && i < circuit->config.probes; i++) {
        if (circuit->probe_until_ns[i] != 0 && now >= circuit->probe_until_ns[i]) {
            open_locked(circuit, MFI_CAUSE_PROBE_EXPIRED, step);
            return;
        }
    }
}

void mfi_circuit_tick(mfi_circuit *circuit)
{
    change_step step;
    begin_step(circuit, &step);
    pass_time_locked(circuit, &step);
    end_step(circuit, &step);
}

uint64_t mfi_circuit_next_event_ns(mfi_circuit *circuit)
{
    uint64_t next = MFI_NEVER;
    mfi_mutex_lock(&circuit->mutex);
    mfi_circuit_state state = state_of(load_word(circuit));
    if (state == MFI_CIRCUIT_OPEN) {
        next = circuit->probe_at_ns;
    }
    for (uint32_t i = 0; state == MFI_CIRCUIT_HALF_OPEN && i < circuit->config.probes; i++) {
        uint64_t until = circuit->probe_until_ns[i];
        next = until != 0 && until < next ? until : next;
    }
    mfi_mutex_unlock(&circuit->mutex);
    return next;
}

/* ---- Calls ---- */

/* What the refusal of a call says. */
static void read_refusal_locked(const mfi_circuit *circuit, mfi_circuit_refusal *to)
{
    uint64_t now = mfi_clock_monotonic(circuit->clock);
    to->state = state_of(load_word(circuit));
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

mf_status mfi_circuit_admit(mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket, mf_error *error)
{
    uint64_t word = load_word(circuit);
    *ret_ticket = (mfi_circuit_ticket){.generation = generation_of(word), .probe = -1};
    if (state_of(word) == MFI_CIRCUIT_CLOSED || state_of(word) == MFI_CIRCUIT_DISABLED) {
        return MF_OK;
    }
    change_step step;
    bool admitted = false;
    begin_step(circuit, &step);
    pass_time_locked(circuit, &step);
    word = load_word(circuit);
    ret_ticket->generation = generation_of(word);
    if (state_of(word) == MFI_CIRCUIT_CLOSED) {
        admitted = true;
    } else if (state_of(word) == MFI_CIRCUIT_HALF_OPEN) {
        ret_ticket->probe = take_probe_locked(circuit);
        admitted = ret_ticket->probe >= 0;
    }
    mfi_circuit_refusal why;
    read_refusal_locked(circuit, &why);
    end_step(circuit, &step);
    if (admitted) {
        return MF_OK;
    }
    atomic_fetch_add_explicit(&circuit->refused, 1, memory_order_relaxed);
    return mfi_circuit_refuse(&why, error);
}

typedef enum call_verdict { VERDICT_OK, VERDICT_FAILED, VERDICT_EXCLUDED } call_verdict;

/* Uses the one table of codes, so that metrics and circuit agree. */
static mfi_call_status status_of(mf_status code)
{
    switch (code) {
        /* NOLINTNEXTLINE(bugprone-branch-clone): a table, in which several codes have one status */
        MFI_CALL_STATUS_CODES(MFI_CALL_STATUS_CASE)
    }
    return MFI_STATUS_INTERNAL; /* a number that is no code */
}

static call_verdict judge(const mfi_circuit *circuit, mf_status status)
{
    switch (status_of(status)) {
    case MFI_STATUS_OK:
        return VERDICT_OK;
    case MFI_STATUS_APP_ERROR:
    case MFI_STATUS_FUNCTION_NOT_FOUND:
        return circuit->config.count_remote_errors ? VERDICT_FAILED : VERDICT_OK;
    case MFI_STATUS_TIMEOUT:
    case MFI_STATUS_UNAVAILABLE:
    case MFI_STATUS_WORKER_CRASHED:
    case MFI_STATUS_PROTOCOL_ERROR:
        return VERDICT_FAILED;
    case MFI_STATUS_INVALID_ARGUMENT:
    case MFI_STATUS_CANCELLED:
    case MFI_STATUS_CIRCUIT_OPEN:
    case MFI_STATUS_REJECTED:
    case MFI_STATUS_INTERNAL:
    case MFI_STATUS_COUNT:
        break;
    }
    return VERDICT_EXCLUDED;
}

static void count_locked(mfi_circuit *circuit, call_verdict verdict, mf_status status)
{
    if (verdict == VERDICT_EXCLUDED) {
        mfi_outcomes_exclude(&circuit->outcomes);
    } else {
        mfi_outcomes_add(&circuit->outcomes,
                         verdict == VERDICT_OK ? MFI_STATUS_OK : status_of(status));
    }
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

static void probe_ended_locked(mfi_circuit *circuit, int8_t probe, call_verdict verdict,
                               change_step *step)
{
    if (probe < 0 || circuit->probe_until_ns[probe] == 0) {
        return;
    }
    circuit->probe_until_ns[probe] = 0; /* an excluded outcome only frees the slot */
    if (verdict == VERDICT_FAILED) {
        circuit->probes_failed++;
        open_locked(circuit, MFI_CAUSE_PROBE_FAILED, step);
    } else if (verdict == VERDICT_OK) {
        circuit->probes_ok++;
        if (circuit->probes_ok >= circuit->config.probes) {
            change_locked(circuit, MFI_CIRCUIT_CLOSED, MFI_CAUSE_PROBES_PASSED, step);
        }
    }
}

void mfi_circuit_report(mfi_circuit *circuit, mfi_circuit_ticket ticket, mf_status status,
                        const char *correlation_id, const char *trace_id)
{
    uint64_t word = load_word(circuit);
    call_verdict verdict = judge(circuit, status);
    if (state_of(word) == MFI_CIRCUIT_DISABLED) {
        return;
    }
    if (verdict == VERDICT_OK && state_of(word) == MFI_CIRCUIT_CLOSED && (word & 1) == 0) {
        mfi_outcomes_add(&circuit->outcomes, MFI_STATUS_OK);
        return;
    }
    change_step step;
    begin_step(circuit, &step);
    word = load_word(circuit);
    count_locked(circuit, verdict, status);
    bool current = generation_of(word) == ticket.generation;
    if (current && state_of(word) == MFI_CIRCUIT_HALF_OPEN) {
        if (verdict == VERDICT_FAILED) {
            /* The rule is kept, because the same fault persists. */
            set_call_locked(circuit, status, correlation_id, trace_id);
        }
        probe_ended_locked(circuit, ticket.probe, verdict, &step);
    } else if (current && state_of(word) == MFI_CIRCUIT_CLOSED && verdict != VERDICT_EXCLUDED) {
        circuit->failures = verdict == VERDICT_FAILED ? circuit->failures + 1 : 0;
        store_word_locked(circuit, ticket.generation, MFI_CIRCUIT_CLOSED);
        if (circuit->failures >= circuit->config.consecutive_failures) {
            fail_locked(circuit);
            set_call_locked(circuit, status, correlation_id, trace_id);
            open_locked(circuit, MFI_RULE_FAILURES, &step);
        }
    }
    end_step(circuit, &step);
}

/* ---- Other rules ---- */

void mfi_circuit_trip(mfi_circuit *circuit, const mfi_circuit_reason *reason)
{
    change_step step;
    begin_step(circuit, &step);
    mfi_circuit_state state = state_of(load_word(circuit));
    if (state != MFI_CIRCUIT_DISABLED) {
        circuit->reason = *reason;
        circuit->by_calls = false;
        circuit->heartbeats_ok = 0;
        circuit->tripped_ns = mfi_clock_monotonic(circuit->clock);
        if (state != MFI_CIRCUIT_OPEN) {
            open_locked(circuit, reason->rule, &step);
        }
    }
    end_step(circuit, &step);
}

static bool is_between(const mfi_circuit *circuit)
{
    mfi_circuit_state state = state_of(load_word(circuit));
    return state == MFI_CIRCUIT_OPEN || state == MFI_CIRCUIT_HALF_OPEN;
}

void mfi_circuit_heartbeat_answered(mfi_circuit *circuit, uint64_t sent_ns)
{
    if (!is_between(circuit)) {
        return;
    }
    change_step step;
    begin_step(circuit, &step);
    /* A heartbeat proves that the peer lives. It proves nothing about calls that fail. */
    if (is_between(circuit) && !circuit->by_calls) {
        circuit->heartbeats_ok += sent_ns >= circuit->tripped_ns ? 1 : 0;
        if (state_of(load_word(circuit)) == MFI_CIRCUIT_OPEN) {
            change_locked(circuit, MFI_CIRCUIT_HALF_OPEN, MFI_CAUSE_HEARTBEAT_ANSWERED, &step);
        }
        if (circuit->heartbeats_ok >= circuit->config.probes) {
            change_locked(circuit, MFI_CIRCUIT_CLOSED, MFI_CAUSE_HEARTBEAT_ANSWERED, &step);
        }
    }
    end_step(circuit, &step);
}

void mfi_circuit_heartbeat_missed(mfi_circuit *circuit)
{
    mfi_mutex_lock(&circuit->mutex);
    circuit->heartbeats_ok = 0;
    mfi_mutex_unlock(&circuit->mutex);
}

/* ---- Reading ---- */

void mfi_circuit_read(mfi_circuit *circuit, mfi_circuit_snapshot *ret_snapshot)
{
    mfi_mutex_lock(&circuit->mutex);
    uint64_t word = load_word(circuit);
    *ret_snapshot = (mfi_circuit_snapshot){
        .state = state_of(word),
        .generation = generation_of(word),
        .since_ns = circuit->since_ns,
        .since_wall_ns = circuit->since_wall_ns,
        .probe_at_ns = state_of(word) == MFI_CIRCUIT_OPEN ? circuit->probe_at_ns : 0,
        .failures = circuit->failures,
        .open_in_row = circuit->open_in_row,
        .trips = circuit->trips,
        .refused = atomic_load_explicit(&circuit->refused, memory_order_relaxed),
        .counts_at_trip = circuit->counts_at_trip,
        .reason = circuit->reason,
        .probes_ok = circuit->probes_ok,
        .probes_failed = circuit->probes_failed,
        .history_count = circuit->history_count,
    };
    mfi_outcomes_read(&circuit->outcomes, &ret_snapshot->counts);
    for (uint32_t i = 0; i < circuit->config.probes; i++) {
        ret_snapshot->probes_in_flight += circuit->probe_until_ns[i] != 0;
    }
    memcpy(ret_snapshot->history, circuit->history, sizeof circuit->history);
    mfi_mutex_unlock(&circuit->mutex);
}

void mfi_circuit_init(mfi_circuit *circuit, const mfi_circuit_config *config,
                      const mfi_clock *clock, uint64_t (*random)(void *user_data),
                      void (*changed)(void *user_data, const mfi_circuit_change *change),
                      void *user_data)
{
    memset(circuit, 0, sizeof *circuit);
    circuit->config = *config;
    if (circuit->config.probes == 0 || circuit->config.probes > MFI_CIRCUIT_PROBES_MAX) {
        circuit->config.probes = 3;
    }
    circuit->clock = clock;
    circuit->random = random != NULL ? random : system_random;
    circuit->changed = changed;
    circuit->user_data = user_data;
    mfi_mutex_init(&circuit->mutex);
    mfi_mutex_init(&circuit->order);
    circuit->since_ns = mfi_clock_monotonic(clock);
    circuit->since_wall_ns = mfi_clock_wall(clock);
    store_word_locked(circuit, 1, config->disabled ? MFI_CIRCUIT_DISABLED : MFI_CIRCUIT_CLOSED);
}

void mfi_circuit_fini(mfi_circuit *circuit)
{
    mfi_mutex_fini(&circuit->mutex);
    mfi_mutex_fini(&circuit->order);
}
