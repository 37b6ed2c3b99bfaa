/* The load that each answer carries: which share of the handler threads' time handlers took lately.
 * It exists so that a caller learns how busy a worker is from what the worker sends anyway.
 *
 * The share is worked out ten times a second at most, by the thread that ends a call then. All
 * other answers carry the last value, so that they pay for a comparison. */
#include "core/server/load.h"

static uint64_t busy_until(const mfi_child_state *state, uint64_t now_ns, uint32_t *ret_threads)
{
    uint64_t busy = 0;
    *ret_threads = 0;
    for (mfi_chain_node *at = state->marks.first; at != NULL; at = at->next) {
        const mfi_handler_mark *mark = MFI_CONTAINER(at, mfi_handler_mark, node);
        uint64_t since = atomic_load_explicit(&mark->since_ns, memory_order_relaxed);
        busy += atomic_load_explicit(&mark->busy_ns, memory_order_relaxed);
        busy += since != 0 && since < now_ns ? now_ns - since : 0;
        ++*ret_threads;
    }
    return busy;
}

void mfi_load_init(mfi_load *load, const mfi_child_state *state, uint64_t now_ns)
{
    load->state = state;
    load->count = 1;
    load->readings[0] = (mfi_load_reading){.at_ns = now_ns};
    atomic_init(&load->next_ns, now_ns);
    atomic_init(&load->permille, 0);
    atomic_init(&load->is_held, false);
}

/* The newest reading that is a span old; the oldest one if none is. */
static const mfi_load_reading *reading_before(const mfi_load *load, uint64_t now_ns)
{
    uint32_t kept = load->count < MFI_LOAD_READINGS ? load->count : MFI_LOAD_READINGS;
    uint32_t back = 1;
    while (back < kept && now_ns - load->readings[(load->count - back) % MFI_LOAD_READINGS].at_ns <
                              MFI_LOAD_SPAN_NS) {
        back++;
    }
    return &load->readings[(load->count - back) % MFI_LOAD_READINGS];
}

static uint32_t share(uint64_t busy_ns, uint64_t time_ns)
{
    return busy_ns >= time_ns ? 1000 : (uint32_t)((double)busy_ns / (double)time_ns * 1000 + 0.5);
}

void mfi_load_work_out(mfi_load *load, uint64_t now_ns)
{
    uint32_t threads = 0;
    if (atomic_exchange_explicit(&load->is_held, true, memory_order_acquire)) {
        return;
    }
    const mfi_load_reading *before = reading_before(load, now_ns);
    if (now_ns > before->at_ns) { /* else another thread, with a later time, was faster */
        uint64_t busy = busy_until(load->state, now_ns, &threads);
        uint64_t grown = busy > before->busy_ns ? busy - before->busy_ns : 0;
        atomic_store_explicit(&load->permille, share(grown, (now_ns - before->at_ns) * threads),
                              memory_order_relaxed);
        load->readings[load->count++ % MFI_LOAD_READINGS] =
            (mfi_load_reading){.at_ns = now_ns, .busy_ns = busy};
        atomic_store_explicit(&load->next_ns, now_ns + MFI_LOAD_STEP_NS, memory_order_relaxed);
    }
    atomic_store_explicit(&load->is_held, false, memory_order_release);
}
