/* Heartbeats of one connection. Every heartbeat is an attempt like a call's. A `heartbeat` message
 * with its id is the answer. The round trip is measured with the monotonic clock. */
#ifndef MFI_CLIENT_LINK_HEARTBEAT_H
#define MFI_CLIENT_LINK_HEARTBEAT_H

#include "core/client/calls/calls.h"

typedef struct mfi_heartbeat {
    void *owner; /* passed to the callbacks */
    mfi_calls *calls;
    /* Both run on the engine thread. `answered`: a periodic heartbeat was answered. `silent`:
     * `misses` periodic heartbeats in a row were not answered, which is the limit or more. */
    void (*answered)(struct mfi_heartbeat *heartbeat);
    void (*silent)(struct mfi_heartbeat *heartbeat, uint32_t misses);

    _Atomic(uint64_t) rtt_ns;  /* round trip of the last answer */
    _Atomic(uint64_t) last_ns; /* wall clock of the last answer; 0: there was none */
    _Atomic(uint64_t) misses;  /* since creation */
    _Atomic(uint32_t) misses_in_row;

    /* The engine thread's own. */
    mfi_timer timer;
    bool counts_misses; /* the peer was ready, and is not being ended */
} mfi_heartbeat;

void mfi_heartbeat_init(mfi_heartbeat *heartbeat, mfi_calls *calls);
/* Engine thread: sends a periodic heartbeat, and handles its answer or its miss. */
void mfi_heartbeat_send(mfi_heartbeat *heartbeat, int64_t timeout_ms);
/* Engine thread: from now on sends a heartbeat after every interval, and counts misses. */
void mfi_heartbeat_start(mfi_heartbeat *heartbeat);
void mfi_heartbeat_stop(mfi_heartbeat *heartbeat);
/* Any thread but the engine's: sends a heartbeat and waits for its answer. Errors of
 * mf_parent_heartbeat() for a parent that is ready. */
mf_status mfi_heartbeat_ask(mfi_heartbeat *heartbeat, int64_t timeout_ms, uint64_t *ret_rtt_ns,
                            mf_error *error);

#endif
