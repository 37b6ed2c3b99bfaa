/* Heartbeats of one connection. Every heartbeat is an attempt like a call's. A `heartbeat` message
 * with its id is the answer. The round trip is measured with the monotonic clock. */
#ifndef MFI_CLIENT_LINK_HEARTBEAT_H
#define MFI_CLIENT_LINK_HEARTBEAT_H

#include "core/client/calls/calls.h"
#include "core/policy/liveness.h"

typedef struct mfi_heartbeat {
    void *owner; /* passed to the callbacks */
    mfi_calls *calls;
    /* All run on the engine thread. `answered`: a periodic heartbeat was answered, in time or late.
     * `froze`: the peer was silent for `misses` periodic heartbeats in a row, which is the limit
     * or more, and does not work; `stopped`: its process is known to be stopped. `overdue`: a
     * handler has run for `busy_ms`, and may not. `is_stopped`: asks whether the peer's process is
     * known to be stopped. */
    void (*answered)(struct mfi_heartbeat *heartbeat);
    void (*froze)(struct mfi_heartbeat *heartbeat, uint32_t misses, bool stopped);
    void (*overdue)(struct mfi_heartbeat *heartbeat, uint64_t busy_ms);
    void (*told)(
        struct mfi_heartbeat *heartbeat); /* one of mfi_heartbeat_send_past() was answered */
    bool (*is_stopped)(struct mfi_heartbeat *heartbeat);

    _Atomic(uint64_t) rtt_ns;  /* round trip of the last answer */
    _Atomic(uint64_t) last_ns; /* wall clock of the last answer; 0: there was none */
    _Atomic(uint64_t) misses;  /* since creation */
    /* Of `liveness`, for other threads: relaxed. */
    _Atomic(uint32_t) misses_in_row;
    _Atomic(uint64_t) missed_ns;
    _Atomic(bool) frozen;

    /* The engine thread's own. */
    mfi_liveness liveness;
    uint64_t began_ns; /* heartbeats that were made before are no misses */
    mfi_task late_task;
    mfi_timer timer;
    bool is_asking;     /* a heartbeat of mfi_heartbeat_send_past() is open */
    bool counts_misses; /* the peer was ready, and is not being ended */
} mfi_heartbeat;

void mfi_heartbeat_init(mfi_heartbeat *heartbeat, mfi_calls *calls);
/* Engine thread: sends a periodic heartbeat, and handles its answer or its miss. */
void mfi_heartbeat_send(mfi_heartbeat *heartbeat, int64_t timeout_ms);
/* Engine thread: sends a heartbeat past the calls that are held back, unless one is open. Its
 * silence is no miss. */
void mfi_heartbeat_send_past(mfi_heartbeat *heartbeat);
/* Engine thread: another peer, which has missed nothing. */
void mfi_heartbeat_forget(mfi_heartbeat *heartbeat);
/* Engine thread: from now on sends a heartbeat after every interval, and counts misses. */
void mfi_heartbeat_start(mfi_heartbeat *heartbeat);
void mfi_heartbeat_stop(mfi_heartbeat *heartbeat);
/* Any thread: misses in a row, up to now. */
uint32_t mfi_heartbeat_misses(const mfi_heartbeat *heartbeat);
/* Any thread: the peer is frozen, up to now. */
bool mfi_heartbeat_is_frozen(const mfi_heartbeat *heartbeat);
/* Any thread but the engine's: sends a heartbeat and waits for its answer. Errors of
 * mf_parent_heartbeat() for a parent that is ready. */
mf_status mfi_heartbeat_ask(mfi_heartbeat *heartbeat, int64_t timeout_ms, uint64_t *ret_rtt_ns,
                            mf_error *error);

#endif
