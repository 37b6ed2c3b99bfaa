/* What a circuit breaker consists of: its rules, its state, and what is told of its changes. It
 * stands apart from circuit.h, which has what a circuit does, for the files that make it up. */
#ifndef MFI_POLICY_CIRCUIT_PARTS_H
#define MFI_POLICY_CIRCUIT_PARTS_H

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

static inline uint64_t mfi_circuit_word(const mfi_circuit *circuit)
{
    return atomic_load_explicit(&circuit->word, memory_order_acquire);
}

#endif
