/* The state of a worker that every thread may read: whether to stop, which calls wait, which run.
 */
#ifndef MFI_SERVER_STATE_H
#define MFI_SERVER_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "core/engine/driver.h"
#include "core/observe/observe.h"
#include "core/transport/budget.h"

/* The state of a handler thread that other threads read. */
typedef struct mfi_handler_mark {
    mfi_chain_node node;
    _Atomic(uint64_t) since_ns; /* when the running handler began; 0: no handler runs */
    _Atomic(uint64_t) busy_ns;  /* that all handlers before it took; only the thread writes it */
} mfi_handler_mark;

/* The mark's thread: its handler took so long. */
static inline void mfi_handler_mark_add(mfi_handler_mark *mark, uint64_t ns)
{
    uint64_t before = atomic_load_explicit(&mark->busy_ns, memory_order_relaxed);
    atomic_store_explicit(&mark->busy_ns, before + ns, memory_order_relaxed);
}

/* Peers are counted in this many places, by their routes. Two peers seldom share a place. */
#define MFI_CHILD_SHARES 1024

/* What waits of one peer's calls. */
typedef struct mfi_child_share {
    _Atomic(size_t) bytes;
    _Atomic(uint32_t) calls;
} mfi_child_share;

typedef struct mfi_child_state {
    mfi_driver *driver; /* is woken by a stop */
    mfi_chain marks;    /* of all handler threads; complete before any call is received */
    /* An eventfd that tells the keeper of a service to take its entry out; -1: no service. Such a
     * worker begins calls for a while after it was told to stop. */
    int leave_fd;
    _Atomic(bool) leaves;         /* leave_fd was written */
    _Atomic(uint64_t) gone_ns;    /* when the keeper has taken the entry out; 0: not yet */
    _Atomic(bool) serves;         /* it runs, and its name is registered */
    _Atomic(bool) by_signal;      /* a signal tells it to stop, and so the program */
    _Atomic(bool) stopping;       /* the worker was told to stop */
    _Atomic(bool) refusing;       /* calls that arrive are cancelled */
    _Atomic(bool) cancelling;     /* calls that wait are cancelled: no call is begun any more */
    _Atomic(uint32_t) queued;     /* calls that were received and are not begun */
    _Atomic(size_t) queued_bytes; /* bytes of these calls' messages */
    _Atomic(uint32_t) deferred;   /* deferred answers that are not given yet */
    mfi_target *observed;         /* is told what waits; set before any call is received */
    mfi_budget *budget;           /* of all that waits; NULL: none */
    mfi_child_share shares[MFI_CHILD_SHARES];
} mfi_child_state;

/* Makes the run loop stop. Any thread, and signal handlers. */
void mfi_child_state_stop(mfi_child_state *state);
/* A service gives its name up. Any thread, and signal handlers. */
void mfi_child_state_leave(mfi_child_state *state);
/* From here on no call is begun. Any thread, and signal handlers. */
void mfi_child_state_cancel(mfi_child_state *state);
/* Any thread: the number of running handlers; *ret_since_ns: when the longest began (0: none). */
uint32_t mfi_child_state_busy(const mfi_child_state *state, uint64_t *ret_since_ns);
/* Any thread: how many handlers can run at a time. */
uint32_t mfi_child_state_handlers(const mfi_child_state *state);

/* Role held: adds a waiting call of that many bytes; share: of its peer. */
static inline void mfi_child_state_queue(mfi_child_state *state, uint32_t share, size_t bytes)
{
    atomic_fetch_add_explicit(&state->shares[share].calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&state->shares[share].bytes, bytes, memory_order_relaxed);
    mfi_budget_add(state->budget, bytes);
    atomic_fetch_add_explicit(&state->queued, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&state->queued_bytes, bytes, memory_order_relaxed);
    mfi_observe_server_waiting(state->observed, 1, (int64_t)bytes);
}

/* Any thread: subtracts a call that is begun or cancelled. */
static inline void mfi_child_state_unqueue(mfi_child_state *state, uint32_t share, size_t bytes)
{
    atomic_fetch_sub_explicit(&state->shares[share].calls, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&state->shares[share].bytes, bytes, memory_order_relaxed);
    mfi_budget_sub(state->budget, bytes);
    atomic_fetch_sub_explicit(&state->queued, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&state->queued_bytes, bytes, memory_order_relaxed);
    mfi_observe_server_waiting(state->observed, -1, -(int64_t)bytes);
}

#endif
