/* Faults that an operator arms, for drills: calls that are late, lost or fail, workers that crash
 * or freeze. All happen at this end, when a call is about to be sent, so that workers of any
 * language take part and know nothing of it. */
#ifndef MFI_CLIENT_CALLS_FAULTS_H
#define MFI_CLIENT_CALLS_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mpsc.h"
#include "base/mutex.h"
#include "core/engine/loop.h"
#include "core/runtime/command.h"

typedef struct mfi_faults {
    _Atomic(bool) armed; /* the hot path reads nothing else */
    mfi_mutex mutex;
    mfi_fault_rule rule; /* guarded by mutex, as are the next three; valid while armed */
    uint64_t until_ns, random;
    uint64_t hits;

    mfi_mpsc late;              /* slots on their way to the engine thread */
    _Atomic(uint32_t) wanted;   /* what the worker's process is to suffer: FAULT bits */
    _Atomic(int64_t) frozen_ms; /* for how long */
    mfi_task task;
    /* The engine thread's own. */
    mfi_chain waiting; /* slots that are sent later */
    mfi_timer late_timer, thaw_timer;
    /* Sends a signal to the worker's process, if this parent has one. Set by the link. */
    void (*signal)(void *peer, int number);
    void *peer;
} mfi_faults;

/* What faulted.c needs beside the rule is its own to set. */
void mfi_faults_init(mfi_faults *faults);
void mfi_faults_fini(mfi_faults *faults);

#define MFI_FAULT_TEXT_MAX 400
/* Any thread: arms the fault in the place of the one before; NULL: none. from and to get a text of
 * each; both have MFI_FAULT_TEXT_MAX bytes. */
void mfi_faults_arm(mfi_faults *faults, const mfi_fault_rule *rule, uint64_t now_ns, char *from,
                    char *to);
/* Any thread: whether the fault hits a call of this function now. */
bool mfi_faults_hit(mfi_faults *faults, const char *function, uint64_t now_ns,
                    mfi_fault_rule *ret_rule);

static inline bool mfi_faults_armed(const mfi_faults *faults)
{
    return __builtin_expect(atomic_load_explicit(&faults->armed, memory_order_relaxed), 0);
}

#endif
