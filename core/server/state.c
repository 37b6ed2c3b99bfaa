/* The state that all parts of a worker read at any time: whether to stop, and how many handlers
 * run.
 *
 * A SHUTDOWN message, a signal, the end of the parent process and the user all stop the worker, on
 * different threads. Heartbeat answers, metrics and multifrost.stats all count running handlers. So
 * both stand below these parts. */
#include "core/server/state.h"

#include <sys/eventfd.h>

void mfi_child_state_stop(mfi_child_state *state)
{
    if (state->leave_fd >= 0) {
        mfi_child_state_leave(state);
    } else {
        mfi_child_state_cancel(state);
    }
    atomic_store_explicit(&state->stopping, true, memory_order_release);
    mfi_driver_wake(state->driver);
}

void mfi_child_state_leave(mfi_child_state *state)
{
    if (!atomic_exchange_explicit(&state->leaves, true, memory_order_relaxed)) {
        (void)!eventfd_write(state->leave_fd, 1);
    }
}

void mfi_child_state_cancel(mfi_child_state *state)
{
    atomic_store_explicit(&state->cancelling, true, memory_order_release);
}

uint32_t mfi_child_state_busy(const mfi_child_state *state, uint64_t *ret_since_ns)
{
    uint32_t busy = 0;
    uint64_t oldest = 0;
    for (mfi_chain_node *at = state->marks.first; at != NULL; at = at->next) {
        const mfi_handler_mark *mark = MFI_CONTAINER(at, mfi_handler_mark, node);
        uint64_t since = atomic_load_explicit(&mark->since_ns, memory_order_relaxed);
        busy += since != 0 ? 1 : 0;
        oldest = since != 0 && (oldest == 0 || since < oldest) ? since : oldest;
    }
    *ret_since_ns = oldest;
    return busy;
}

uint32_t mfi_child_state_handlers(const mfi_child_state *state)
{
    uint32_t count = 0;
    for (const mfi_chain_node *at = state->marks.first; at != NULL; at = at->next) {
        count++;
    }
    return count;
}
