/* The circuit breaker: a state machine over what calls and heartbeats report. Pure but for its
 * mutex: the clock and the random numbers are passed in, nothing is logged or timed here.
 *
 *   closed     all calls pass. Opens on `consecutive_failures` failures in a row, missed
 *              heartbeats, or the worker's exit (the two latter by mfi_circuit_trip).
 *   open       no call passes until the cool-down is over (exponential, jittered, capped) or a
 *              heartbeat was answered.
 *   half_open  a few probes pass; all must succeed to close, one failure opens again. A probe that
 *              does not report in time gives its slot back and counts as failed.
 *
 * Thread-safe. Calls on a closed circuit without failures take no lock. */
#ifndef MFI_POLICY_CIRCUIT_H
#define MFI_POLICY_CIRCUIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/context.h>
#include <multifrost/error.h>

#include "base/clock.h"
#include "base/mutex.h"

typedef enum mfi_circuit_state {
    MFI_CIRCUIT_CLOSED,
    MFI_CIRCUIT_OPEN,
    MFI_CIRCUIT_HALF_OPEN,
    MFI_CIRCUIT_DISABLED
} mfi_circuit_state;
/* "closed", "open", "half_open", "disabled". */
const char *mfi_circuit_state_name(mfi_circuit_state state);

#define MFI_RULE_FAILURES "consecutive_failures"
#define MFI_RULE_HEARTBEAT "heartbeat"
#define MFI_RULE_EXIT "process_exit"

typedef struct mfi_circuit_config {
    uint32_t consecutive_failures;
    uint32_t heartbeat_misses; /* shown only: the heartbeat itself counts */
    int64_t open_ms, open_max_ms;
    double jitter; /* 0.2: the cool-down varies by up to 20 % either way */
    uint32_t probes;
    int64_t probe_slot_ms;
    bool count_remote_errors;
    bool disabled;
} mfi_circuit_config;

#define MFI_CIRCUIT_PROBES_MAX 8
#define MFI_CIRCUIT_HISTORY 8

/* What an admitted call hands back with its outcome. */
typedef struct mfi_circuit_ticket {
    uint64_t generation;
    int8_t probe; /* slot of a probe, or -1 */
} mfi_circuit_ticket;

typedef struct mfi_circuit_counts {
    uint64_t calls, ok, failed, excluded;
    uint64_t timeout, unavailable, worker_crashed, protocol_error; /* parts of failed */
} mfi_circuit_counts;

/* Why it opened last. */
typedef struct mfi_circuit_reason {
    const char *rule; /* static; NULL if it never opened */
    double observed, threshold;
    mf_status status; /* of the call that tipped it; MF_OK if none did */
    char correlation_id[MF_CORRELATION_ID_MAX];
    char trace_id[MF_TRACE_ID_MAX];
} mfi_circuit_reason;

typedef struct mfi_circuit_change {
    mfi_circuit_state from, to;
    const char *why; /* a rule, "cool_down", "heartbeat_answered", "probes_passed",
                        "probe_failed" or "probe_expired"; static */
    uint64_t wall_ns;
    uint64_t cool_down_ms;     /* to open: until probing */
    mfi_circuit_reason reason; /* to open */
} mfi_circuit_change;

typedef struct mfi_circuit_history {
    mfi_circuit_state from, to;
    const char *why;
    uint64_t wall_ns;
} mfi_circuit_history;

typedef struct mfi_circuit {
    mfi_circuit_config config;
    const mfi_clock *clock;
    uint64_t (*random)(void *user_data);
    /* Runs outside the lock, in order. */
    void (*changed)(void *user_data, const mfi_circuit_change *change);
    void *user_data;
    /* generation << 3 | state << 1 | failing: what the fast paths read. Written under the mutex. */
    _Atomic(uint64_t) word;
    _Atomic(uint64_t) fast_ok; /* successes that took no lock, in this generation */
    _Atomic(uint64_t) refused; /* since it opened */
    mfi_mutex mutex;           /* guards what follows */
    mfi_mutex order;           /* held while `changed` runs; taken before mutex */
    uint64_t since_ns, since_wall_ns;
    uint64_t probe_at_ns;
    uint32_t failures; /* in a row */
    uint32_t open_in_row;
    uint64_t trips;
    mfi_circuit_counts counts, counts_at_trip;
    mfi_circuit_reason reason;
    uint64_t probe_until_ns[MFI_CIRCUIT_PROBES_MAX]; /* 0: slot free */
    uint32_t probes_ok, probes_failed;
    mfi_circuit_history history[MFI_CIRCUIT_HISTORY]; /* oldest first */
    uint32_t history_count;
} mfi_circuit;

/* In the caller's storage. random NULL: the system's. */
void mfi_circuit_init(mfi_circuit *circuit, const mfi_circuit_config *config,
                      const mfi_clock *clock, uint64_t (*random)(void *user_data),
                      void (*changed)(void *user_data, const mfi_circuit_change *change),
                      void *user_data);
void mfi_circuit_fini(mfi_circuit *circuit);

/* MF_OK and a ticket that is to be reported, or MF_ERR_CIRCUIT_OPEN naming the rule. */
mf_status mfi_circuit_admit(mfi_circuit *circuit, mfi_circuit_ticket *ret_ticket, mf_error *error);
/* The call ended. Timeouts, unavailability, crashes and protocol errors are failures; what the
 * remote function itself raised is a success unless count_remote_errors; refusals and the caller's
 * own mistakes say nothing. An outcome of an older generation is only counted. The ids (NULL: none)
 * are kept if this call tips it. */
void mfi_circuit_report(mfi_circuit *circuit, mfi_circuit_ticket ticket, mf_status status,
                        const char *correlation_id, const char *trace_id);
/* Opens it by another rule. While it is open the reason is replaced and the cool-down goes on. */
void mfi_circuit_trip(mfi_circuit *circuit, const char *rule, double observed, double threshold,
                      mf_status status, const char *correlation_id, const char *trace_id);
/* The peer lives: a circuit that missed heartbeats or an exit opened becomes half-open at once. */
void mfi_circuit_heartbeat_answered(mfi_circuit *circuit);
/* Lets time pass: ends a cool-down, expires probes. */
void mfi_circuit_tick(mfi_circuit *circuit);
/* When mfi_circuit_tick has something to do next; MFI_NEVER if nothing. */
uint64_t mfi_circuit_next_event_ns(mfi_circuit *circuit);

mfi_circuit_state mfi_circuit_get_state(const mfi_circuit *circuit);

typedef struct mfi_circuit_snapshot {
    mfi_circuit_state state;
    uint64_t generation;
    uint64_t since_ns, since_wall_ns;
    uint64_t probe_at_ns; /* 0 unless open */
    uint32_t failures, open_in_row;
    uint64_t trips, refused;
    mfi_circuit_counts counts, counts_at_trip;
    mfi_circuit_reason reason;
    uint32_t probes_in_flight, probes_ok, probes_failed;
    mfi_circuit_history history[MFI_CIRCUIT_HISTORY];
    uint32_t history_count;
} mfi_circuit_snapshot;
void mfi_circuit_read(mfi_circuit *circuit, mfi_circuit_snapshot *ret_snapshot);

#endif
