/* The calls of one parent: the slots that hold their attempts, the queue and the driver that send
 * and receive their messages, and the ways they end.
 *
 * Three words for the end. A thread *claims* an attempt: only that thread may write the outcome.
 * Then the thread *delivers* the attempt: to the waiting thread, or to the engine thread, which
 * runs the slot's on_delivered. A call is *finished* when it is counted and reported, and its user
 * has the outcome.
 *
 *   slots.c    the table of attempts, found by the ids of their messages
 *   signs.c    what is seen of the peer beside the outcome of single calls
 *   io.c       the driver's burst: messages out and in
 *   endings.c  deadlines, deliveries, and the end of many calls at once
 *   output.c   what the worker prints, and which call printed it
 *   faults.c   which calls are made to fail, for drills
 *   faulted.c  what becomes of these
 *   result.c   what a call brings back */
#ifndef MFI_CLIENT_CALLS_CALLS_H
#define MFI_CLIENT_CALLS_CALLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/call.h>

#include "base/list.h"
#include "base/mpsc.h"
#include "core/client/calls/faults.h"
#include "core/client/calls/output.h"
#include "core/client/calls/signs.h"
#include "core/client/calls/slots.h"
#include "core/client/state.h"
#include "core/engine/driver.h"
#include "core/observe/observe.h"
#include "core/policy/retry.h"
#include "core/transport/transport.h"

#define MFI_CONTROL_SLOTS 8 /* for heartbeats and SHUTDOWN, beyond max_in_flight */

typedef struct mfi_calls {
    mfi_state *state;
    mfi_slots slots;
    mfi_driver driver;
    mfi_output output;
    mfi_transport *transport; /* set by the engine thread while the driver is closed */

    /* Role held. */
    mfi_chain front;   /* taken from the queue by a sweep; leaves before the queue */
    mfi_slot *stalled; /* taken from the queue, but not sent yet */
    mf_result *spare;  /* the next answer is received into it */
    mfi_slot *batch_first, *batch_last; /* delivered to the engine when the burst ends */
    uint64_t burst_ns;                  /* reading of the clock, shared by a few messages */
    uint32_t burst_reads;

    _Atomic(uint32_t) open; /* user calls that are not finished */
    /* Calls and heartbeats whose deadline the engine thread times. */
    _Atomic(uint32_t) async_open;
    /* User calls since creation; failed ones are among the finished. */
    _Atomic(uint64_t) finished, failed;
    _Atomic(uint64_t) late_replies;   /* since creation */
    _Atomic(uint64_t) retries_made;   /* since creation */
    _Atomic(uint32_t) unsent;         /* messages that the transport holds, as it says */
    _Atomic(uint64_t) armed_ns;       /* deadline of deadline_timer, now or after rearm_task */
    _Atomic(bool) sweeping;           /* the next burst sweeps the queue */
    _Atomic(mfi_slot *) urgent;       /* leaves before the queue, also while calls are held back */
    _Atomic(bool) holding;            /* calls stay in the queue; set before a barrier */
    _Atomic(bool) watching;           /* finishing a call posts idle_task */
    _Atomic(bool) draining;           /* finishing a call adds 1 to drain_news */
    _Atomic(uint32_t) drain_news;     /* futex of threads that wait for the last call */
    _Atomic(uint64_t) drain_since_ns; /* when draining began */
    mfi_retry_budget retry_budget;
    mfi_signs signs;

    /* On their way to the engine thread. */
    mfi_mpsc delivered;   /* attempts of asynchronous calls */
    mfi_mpsc new_retries; /* asynchronous calls with a retry policy */
    mfi_task delivered_task, retry_task, rearm_task, sweep_task;
    mfi_task *idle_task; /* the link's */

    /* The engine thread's own. */
    mfi_timer deadline_timer;
    mfi_list retries; /* asynchronous calls with a retry policy */
    mfi_faults faults;
} mfi_calls;

/* The calls are the first member of their parent: see parent.h. NULL gives NULL. */
static inline mfi_calls *mfi_calls_of(mf_parent *parent)
{
    return (mfi_calls *)(void *)parent;
}

/* State and its settings are set already. To be released with _fini, also after a failure. */
mf_status mfi_calls_init(mfi_calls *calls, mfi_state *state, mf_error *error);
void mfi_calls_fini(mfi_calls *calls);
/* Engine thread, after the stop: nothing is on its way to a callback any more. */
bool mfi_calls_are_settled(mfi_calls *calls);
/* Engine thread, while the driver is closed: opens the transport that the options describe. Fills
 * in the options that are the same for all connections. */
mf_status mfi_calls_open_transport(mfi_calls *calls, mfi_transport_options *options,
                                   mf_error *error);

/* ---- io.c ---- */
extern const mfi_driver_ops mfi_calls_driver_ops;
/* Empties the queue. Role held, or driver closed. */
void mfi_calls_drop_queue(mfi_calls *calls);
void mfi_calls_init_io(mfi_calls *calls);
/* Role held, or engine thread while the driver is closed: attempts that were claimed give their
 * slots back, all others stay in the queue, in their order. */
void mfi_calls_sweep_queue(mfi_calls *calls);

/* ---- faulted.c ---- */
void mfi_calls_init_faults(mfi_calls *calls);
/* Engine thread, at the end: no timer runs, and nothing waits any more. */
void mfi_calls_settle_faults(mfi_calls *calls);
/* Role held: the call in the slot is about to be sent for the first time. True: it is not, and the
 * caller has no part in the slot any more. */
bool mfi_calls_suffer(mfi_calls *calls, mfi_slot *slot, uint64_t state);

/* ---- endings.c ---- */
void mfi_calls_init_endings(mfi_calls *calls);
/* The attempt was claimed in this state, and its outcome is written. */
void mfi_calls_deliver(mfi_calls *calls, mfi_slot *slot, uint64_t state);
/* Subtracts 1 from the open user calls. */
void mfi_calls_count_finished(mfi_calls *calls);
/* Activates and sends a slot, and waits for its delivery or its deadline on this thread. */
void mfi_call_wait(mfi_calls *calls, mfi_slot *slot);
/* Activates an asynchronous call and sends it; from here on the engine thread times its deadline.
 * *ret_state (may be NULL) gets the state with which the attempt can be claimed, before the attempt
 * can be delivered. */
void mfi_call_submit_async(mfi_calls *calls, mfi_slot *slot, uint64_t *ret_state);
/* Engine thread: the same for a message that leaves before all others, also while calls are held
 * back. False, and nothing is done, while another one waits. */
bool mfi_call_submit_urgent(mfi_calls *calls, mfi_slot *slot);
/* The oldest calls that ended together. */
typedef struct mfi_ended_calls {
    mf_context oldest; /* the ids of the oldest call; empty if there is none */
    uint32_t named;    /* entries of `list`, the oldest first */
    mfi_open_call list[MFI_OPEN_CALLS_MAX];
} mfi_ended_calls;
/* Many attempts that end at once: claimed, so that nothing else ends them, and not delivered yet.
 */
typedef struct mfi_claimed {
    mfi_slot *sync, *async;
    uint32_t calls; /* number of user calls among them */
    mfi_ended_calls ended;
} mfi_claimed;
/* Engine thread: claims every active attempt with status; sent_only: calls that wait in the queue
 * stay there. To be delivered in the same turn. */
void mfi_calls_claim(mfi_calls *calls, mf_status status, bool sent_only, mfi_claimed *ret_claimed);
void mfi_calls_deliver_claimed(mfi_calls *calls, const mfi_claimed *claimed);
/* Both in one: for every active attempt, or only for those that were sent. */
void mfi_calls_fail_all(mfi_calls *calls, mf_status status);
void mfi_calls_fail_sent(mfi_calls *calls, mf_status status);
/* Claims an attempt that ends without an answer, which the peer may still owe. */
bool mfi_calls_give_up(mfi_calls *calls, mfi_slot *slot, uint64_t state);
/* The attempt was claimed by a deadline or a cancellation: if it still stands in the queue, it
 * leaves the queue soon, also while the queue cannot move, so that its slot is free again. Before
 * the attempt is delivered. */
void mfi_calls_sweep_soon(mfi_calls *calls, const mfi_slot *slot);
/* Number of calls that were sent and are not delivered. */
uint32_t mfi_calls_sent(mfi_calls *calls);
/* Any thread: number of calls that wait to be sent. */
uint32_t mfi_calls_waiting(mfi_calls *calls);
/* True if a call was sent and is not answered, also one that was given up. */
bool mfi_calls_owed(mfi_calls *calls);
/* When the oldest active call began, in monotonic nanoseconds; MFI_NEVER if there is none. */
uint64_t mfi_calls_oldest(mfi_calls *calls);
/* Wakes the threads that wait for the last call of a draining parent. */
void mfi_calls_tell_drain(mfi_calls *calls);

#endif
