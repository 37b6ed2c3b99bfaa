/* What a parent sees of its peer beside the outcome of single calls: when the last message came,
 * whether answers are owed, and what the peer's heartbeat answers say. The thread that drives
 * writes this; any thread reads it. */
#ifndef MFI_CLIENT_CALLS_SIGNS_H
#define MFI_CLIENT_CALLS_SIGNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/engine/loop.h"
#include "core/wire/envelope.h"

/* All words are relaxed: each of them is a reading of its own. */
typedef struct mfi_signs {
    _Atomic(uint64_t) heard_ns; /* when the last message came; 0: none came */
    /* Calls that were sent and were given up (timed out, cancelled): the peer may still run them,
     * and print. They count until the peer sends as many answers that no call waits for, or, if it
     * runs calls in their order, until it answers a call that was sent later. */
    _Atomic(uint32_t) given_up;
    _Atomic(uint64_t) given_up_ns; /* when the last of them was sent */
    _Atomic(uint32_t) handlers;    /* calls that the peer runs at a time; 0: it does not say */
    _Atomic(bool) says_busy;       /* a heartbeat answer carried `busy_ms` */
    _Atomic(uint64_t) busy_ms;     /* in the last heartbeat answer; 0: no handler runs */
    _Atomic(uint64_t) queue_length;
    _Atomic(bool) says_load;     /* an answer carried `load` */
    _Atomic(double) load;        /* in the last such answer */
    _Atomic(bool) says_draining; /* the last heartbeat answer said that the peer is about to end */
    mfi_loop *loop;              /* where late_task runs */
    mfi_task *late_task;         /* the heartbeat's: posted for a heartbeat answer that came late */
} mfi_signs;

/* Engine thread, while no thread drives: another peer, of which nothing is known. */
void mfi_signs_begin(mfi_signs *signs);
/* Likewise: the peer is gone, and runs nothing any more. */
void mfi_signs_end(mfi_signs *signs);

static inline void mfi_signs_heard(mfi_signs *signs, uint64_t now_ns)
{
    atomic_store_explicit(&signs->heard_ns, now_ns, memory_order_relaxed);
}
static inline uint64_t mfi_signs_heard_ns(const mfi_signs *signs)
{
    return atomic_load_explicit(&signs->heard_ns, memory_order_relaxed);
}

/* A peer that does not say how many calls it runs at a time is taken for one that runs them in
 * their order, as all older peers do. */
static inline bool mfi_signs_in_order(const mfi_signs *signs)
{
    return atomic_load_explicit(&signs->handlers, memory_order_relaxed) <= 1;
}

/* For mfi_signs_answered(). */
void mfi_signs_forgive(mfi_signs *signs, uint64_t sent_ns);
/* For mfi_signs_forgive(): the calls are done with that were counted when the count was read.
 * Nothing changes if another one has been given up since. */
void mfi_signs_forgive_counted(mfi_signs *signs, uint32_t count);
/* A call was answered that was sent at that time. */
static inline void mfi_signs_answered(mfi_signs *signs, uint64_t sent_ns)
{
    if (atomic_load_explicit(&signs->given_up, memory_order_relaxed) != 0) {
        mfi_signs_forgive(signs, sent_ns);
    }
}
/* A call that was sent at that time is about to be given up; or is not, after all. */
void mfi_signs_give_up(mfi_signs *signs, uint64_t sent_ns);
/* An answer came, with this metadata. */
static inline void mfi_signs_load(mfi_signs *signs, const mfi_metadata *metadata)
{
    if (metadata->has_load) {
        atomic_store_explicit(&signs->load, metadata->load, memory_order_relaxed);
        atomic_store_explicit(&signs->says_load, true, memory_order_relaxed);
    }
}
/* An answer came that no call waits for: probably that of a call that was given up. */
void mfi_signs_late(mfi_signs *signs);
/* A heartbeat answer came; late: no heartbeat waited for it any more. */
void mfi_signs_beat(mfi_signs *signs, const mfi_metadata *metadata, bool late);

#endif
