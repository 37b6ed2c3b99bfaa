/* The circuit breaker: a state machine fed by the outcomes of calls and heartbeats. Pure but for
 * its mutexes: clock and random numbers are passed in; it logs nothing and sets no timer.
 *
 *   closed     all calls pass. Opens on `consecutive_failures` failures in a row, on a share of
 *              failed or slow calls in the window (circuit_window.h), or because of the peer
 *              (frozen, ended, overdue, disconnected), through mfi_circuit_trip.
 *   open       no call passes until the cool-down is over (exponential, jittered, capped) or a
 *              heartbeat is answered.
 *   half_open  a few probes pass. All must succeed to close; one failure opens again. A probe that
 *              does not report in time frees its slot and counts as failed.
 *
 * A circuit that the peer opened heals without calls: an answered heartbeat makes it half-open, and
 * as many answered in a row as there are probes close it. A circuit that calls opened, failed
 * probes among them, is closed by probes alone.
 *
 * Thread-safe. Calls on a closed circuit without failures take no lock. */
#ifndef MFI_POLICY_CIRCUIT_H
#define MFI_POLICY_CIRCUIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "core/policy/circuit_window.h"
#include "core/policy/outcomes.h"
#include "core/policy/refusal.h"
#include "core/words/admin.h"
#include "core/words/circuits.h"
#include "core/words/windows.h"

typedef struct mfi_circuit_config {
    uint32_t consecutive_failures; /* 0: any number */
    uint32_t heartbeat_misses;     /* for display only: the heartbeat itself counts */
    int64_t open_ms, open_max_ms;
    double jitter; /* 0.2: the cool-down varies by up to 20 % either way */
    uint32_t probes;
    int64_t probe_slot_ms;
    bool count_remote_errors;
    bool disabled;
    mfi_window_rules rules;
} mfi_circuit_config;

#define MFI_CIRCUIT_PROBES_MAX 8
#define MFI_CIRCUIT_HISTORY 8

/* An admitted call returns its ticket with its outcome. */
typedef struct mfi_circuit_ticket {
    uint32_t generation; /* its low bits: the ticket fits two registers */
    int8_t probe;        /* index of the probe's slot, or -1 */
    uint64_t at_ns;      /* when it was admitted; set if calls can be slow */
} mfi_circuit_ticket;

typedef struct mfi_circuit_change {
    mfi_circuit_state from, to;
    mfi_circuit_cause why;
    uint64_t wall_ns;
    uint64_t cool_down_ms;     /* on opening: time until probes may pass */
    mfi_circuit_reason reason; /* on opening */
} mfi_circuit_change;

typedef struct mfi_circuit_history {
    mfi_circuit_state from, to;
    mfi_circuit_cause why;
    uint64_t wall_ns;
} mfi_circuit_history;

/* Called without the mutex, in the order of the events. */
typedef struct mfi_circuit_listener {
    void (*changed)(void *user_data, const mfi_circuit_change *change); /* or NULL */
    void (*probed)(void *user_data, mfi_probe_result result);           /* or NULL */
    void *user_data;
} mfi_circuit_listener;

typedef struct mfi_circuit {
    mfi_circuit_config config;
    const mfi_clock *clock;
    uint64_t (*random)(void *user_data);
    mfi_circuit_listener listener;
    bool has_ratios; /* config.rules are on */
    /* generation << 4 | state << 1 | failing: the fast paths read this word. Written under the
     * mutex. */
    _Atomic(uint64_t) word;
    mfi_outcomes outcomes;     /* of the last calls; excluding takes the mutex */
    _Atomic(bool) had_volume;  /* the last judgement found enough calls; written under the mutex */
    _Atomic(uint64_t) refused; /* calls refused since the circuit opened */
    mfi_mutex mutex;           /* guards what follows */
    mfi_mutex order;           /* held while the listener runs; taken before mutex */
    uint64_t since_ns, since_wall_ns;
    uint64_t probe_at_ns;
    uint32_t failures; /* in a row */
    uint32_t open_in_row;
    uint64_t trips;
    uint64_t refused_total;
    mfi_circuit_counts counts_at_trip;
    mfi_circuit_reason reason;
    uint64_t probe_until_ns[MFI_CIRCUIT_PROBES_MAX]; /* 0: slot free */
    uint32_t probes_ok, probes_failed;
    bool by_calls;          /* calls opened the circuit, or opened it again */
    uint32_t heartbeats_ok; /* sent since tripped_ns, and answered in a row */
    uint64_t tripped_ns;    /* when the circuit opened, or had a reason to */
    mfi_circuit_history history[MFI_CIRCUIT_HISTORY]; /* oldest first */
    uint32_t history_count;
} mfi_circuit;

/* Uses the caller's storage. random NULL: the system's random numbers. listener NULL: none; copied.
 * random gets the listener's user_data. */
void mfi_circuit_init(mfi_circuit *circuit, const mfi_circuit_config *config,
                      const mfi_clock *clock, uint64_t (*random)(void *user_data),
                      const mfi_circuit_listener *listener);
void mfi_circuit_fini(mfi_circuit *circuit);

/* MF_OK with a ticket that the caller must report; or MF_ERR_CIRCUIT_OPEN naming the rule. */
mf_status mfi_circuit_admit(mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket, mf_error *error);
/* The same for a trial policy, which hinders no call: false if it would refuse this one, with the
 * rule. Only an admitted call is reported, so the trial goes on as if it had refused the others. */
bool mfi_circuit_would_admit(mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket,
                             mfi_circuit_cause *ret_rule);
/* The call ended. Timeouts, unavailability, crashes and protocol errors count as failures. An error
 * that the remote function raised counts as success unless count_remote_errors. Refusals and the
 * caller's own mistakes do not count. A call that succeeds is slow if it took slow_call_ms. An
 * outcome of an older generation changes no state and is not judged; it only counts. The ids (NULL:
 * none) are kept if this call opens the circuit. */
void mfi_circuit_report(mfi_circuit *circuit, mfi_circuit_ticket ticket, mf_status status,
                        const char *correlation_id, const char *trace_id);
/* Opens the circuit for another reason. While it is open, the reason is replaced and the cool-down
 * continues. */
void mfi_circuit_trip(mfi_circuit *circuit, const mfi_circuit_reason *reason);
/* The peer answered a heartbeat that was sent at that time; 0: it came too late to count. A circuit
 * that the peer opened becomes half-open. Those that were sent since it opened are its probes. */
void mfi_circuit_heartbeat_answered(mfi_circuit *circuit, uint64_t sent_ns);
/* The time of a heartbeat was over: the row of answered ones ends. */
void mfi_circuit_heartbeat_missed(mfi_circuit *circuit);
/* Ends a cool-down and expires probes whose time has passed. */
void mfi_circuit_tick(mfi_circuit *circuit);
/* When mfi_circuit_tick must run next, in monotonic nanoseconds; MFI_NEVER if never. */
uint64_t mfi_circuit_next_event_ns(mfi_circuit *circuit);

/* circuit_force.c: an operator decides. A circuit that is forced open (FORCED_OPEN) refuses all
 * calls; one that is forced closed (DISABLED) lets all pass; no rule and no heartbeat changes
 * either. RESET closes the circuit, and nothing that was before counts any more. AUTO gives a
 * forced circuit back to the rules: one that was forced open begins half-open. */
void mfi_circuit_obey(mfi_circuit *circuit, mfi_circuit_order order, mfi_circuit_state *ret_from,
                      mfi_circuit_state *ret_to);

mfi_circuit_state mfi_circuit_get_state(const mfi_circuit *circuit);

typedef struct mfi_circuit_snapshot {
    mfi_circuit_state state;
    uint64_t generation;
    uint64_t since_ns, since_wall_ns;
    uint64_t probe_at_ns; /* 0 unless open */
    uint32_t failures, open_in_row;
    uint64_t trips, refused, refused_total;    /* refused: since the circuit opened */
    mfi_circuit_counts counts, counts_at_trip; /* the last calls, now and at the last trip */
    uint64_t judged_calls;                     /* of counts: made since the circuit closed */
    mfi_window_ratios ratios;                  /* of these; 0 below the minimum volume */
    mfi_circuit_reason reason;
    uint32_t probes_in_flight, probes_ok, probes_failed;
    mfi_circuit_history history[MFI_CIRCUIT_HISTORY];
    uint32_t history_count;
} mfi_circuit_snapshot;
void mfi_circuit_read(mfi_circuit *circuit, mfi_circuit_snapshot *ret_snapshot);

static inline uint64_t mfi_circuit_word(const mfi_circuit *circuit)
{
    return atomic_load_explicit(&circuit->word, memory_order_acquire);
}

#endif
