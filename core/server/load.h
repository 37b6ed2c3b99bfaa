/* How busy a worker's handler threads are, as its answers tell. */
#ifndef MFI_SERVER_LOAD_H
#define MFI_SERVER_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/server/state.h"

#define MFI_LOAD_STEP_NS UINT64_C(100000000)  /* between two readings */
#define MFI_LOAD_SPAN_NS UINT64_C(1000000000) /* that a load looks back, at least */
#define MFI_LOAD_READINGS 16                  /* more than a span has steps */

typedef struct mfi_load_reading {
    uint64_t at_ns, busy_ns; /* thread time that all handlers had taken by then */
} mfi_load_reading;

typedef struct mfi_load {
    const mfi_child_state *state;
    _Atomic(uint64_t) next_ns;  /* when the share is worked out again */
    _Atomic(uint32_t) permille; /* the share, as it was worked out last */
    _Atomic(bool) is_held;      /* a thread works it out, and uses what follows */
    uint32_t count;             /* readings so far */
    mfi_load_reading readings[MFI_LOAD_READINGS];
} mfi_load;

/* state: with all handler threads' marks by the time of the first reading. */
void mfi_load_init(mfi_load *load, const mfi_child_state *state, uint64_t now_ns);
/* For mfi_load_read(). */
void mfi_load_work_out(mfi_load *load, uint64_t now_ns);
/* Any thread: the busy share of the handler threads, in thousandths, over the last second, or over
 * the time since the last answer if that is longer. At most 0.1 s old. */
static inline uint32_t mfi_load_read(mfi_load *load, uint64_t now_ns)
{
    if (now_ns >= atomic_load_explicit(&load->next_ns, memory_order_relaxed)) {
        mfi_load_work_out(load, now_ns);
    }
    return atomic_load_explicit(&load->permille, memory_order_relaxed);
}

#endif
