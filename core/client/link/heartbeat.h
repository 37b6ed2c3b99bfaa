/* Heartbeats of one connection. Each is an attempt like a call's; any `heartbeat` message with its
 * id is the answer. The round trip is taken from the monotonic clock. */
#ifndef MFI_CLIENT_LINK_HEARTBEAT_H
#define MFI_CLIENT_LINK_HEARTBEAT_H

#include "core/client/calls/calls.h"

typedef struct mfi_heartbeat {
    void *owner; /* of the callbacks */
    mfi_calls *calls;
    /* Both on the engine thread: one that was sent by itself was answered; so many in a row were
     * not, which is the limit or more. */
    void (*answered)(struct mfi_heartbeat *heartbeat);
    void (*silent)(struct mfi_heartbeat *heartbeat, uint32_t misses);

    _Atomic(uint64_t) rtt_ns;  /* of the last answer */
    _Atomic(uint64_t) last_ns; /* wall clock of the last answer; 0: there was none */
    _Atomic(uint64_t) misses;  /* ever */
    _Atomic(uint32_t) misses_in_row;

    /* The engine thread's own. */
    mfi_timer timer;
    bool counts_misses; /* the peer was ready, and is not being ended */
} mfi_heartbeat;

void mfi_heartbeat_init(mfi_heartbeat *heartbeat, mfi_calls *calls);
/* Engine thread: sends one, whose answer or miss is handled by itself. */
void mfi_heartbeat_send(mfi_heartbeat *heartbeat, int64_t timeout_ms);
/* Engine thread: one after each interval from now on, and misses count. */
void mfi_heartbeat_start(mfi_heartbeat *heartbeat);
void mfi_heartbeat_stop(mfi_heartbeat *heartbeat);
/* Any thread but the engine's: sends one and waits for its answer. Errors as
 * mf_parent_heartbeat()'s for a parent that is ready. */
mf_status mfi_heartbeat_ask(mfi_heartbeat *heartbeat, int64_t timeout_ms, uint64_t *ret_rtt_ns,
                            mf_error *error);

#endif
