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

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>

#include "core/policy/circuit_parts.h"

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

#endif
