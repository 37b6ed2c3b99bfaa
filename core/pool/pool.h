/* The inside of mf_pool, shared by its files:
 *
 *   pool.c        options, creation, start and stop of all members, destruction
 *   call.c        chooses the member that gets a call, and the next one after a failure
 *   drain.c       takes members out and puts them back; the rolling restart
 *   probe.c       what mf_probe shows of a pool */
#ifndef MFI_POOL_POOL_H
#define MFI_POOL_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/pool.h>

#include "base/mutex.h"
#include "core/client/member.h"
#include "core/policy/pool_choice.h"
#include "core/runtime/runtime.h"

/* Why a member gets no calls: the two highest bits of its gate. */
#define MFI_OUT_ASKED 0x80000000u
#define MFI_OUT_RESTART 0x40000000u
#define MFI_OUT (MFI_OUT_ASKED | MFI_OUT_RESTART)

/* One member. Its gate holds the number of callers that are giving it a call, and in the same word
 * the reasons why no caller may enter. A thread that takes the member out waits for the callers
 * that entered before. A caller that comes later finds the gate closed, and tries another member.
 */
typedef struct mfi_pool_member {
    mf_parent *parent;
    mf_pool *pool;
    _Atomic(uint32_t) gate; /* futex while draining; the reasons change under the pool's mutex */
} mfi_pool_member;

struct mf_pool {
    mf_runtime *runtime;
    mfi_component component;
    mfi_pool_member *members;
    uint32_t size;
    uint32_t min_ready;   /* members that must be ready for the start to succeed */
    uint32_t min_healthy; /* with fewer healthy members, this program should get no traffic */
    int64_t drain_timeout_ms;
    _Atomic(bool) started; /* min_ready members were ready once */

    mfi_mutex mutex;
    mfi_cond start_ended;   /* one more member's start has ended */
    uint32_t ready, failed; /* guarded by mutex: number of starts that ended so */
    mf_error failure;       /* guarded by mutex: of the first start that failed */
    bool restarting;        /* guarded by mutex */
};

/* ---- pool.c ---- */
static inline const char *mfi_pool_name(const mf_pool *pool)
{
    return mfi_member_target(pool->members[0].parent);
}
/* MF_OK; MF_ERR_INVALID_ARGUMENT for NULL; MF_ERR_FORKED. */
mf_status mfi_pool_check(const mf_pool *pool, mf_error *error);
/* As above, and MF_ERR_WOULD_DEADLOCK on the engine thread. `what` is a text such as "a start". */
mf_status mfi_pool_check_waiting(const mf_pool *pool, const char *what, mf_error *error);

/* ---- call.c ---- */
/* Enters the gate: the member may be given a call until the caller leaves. False if the member gets
 * no calls at present. */
bool mfi_pool_enter(mfi_pool_member *member);
void mfi_pool_leave(mfi_pool_member *member);
mfi_fitness mfi_pool_fitness(const mfi_pool_member *member);

/* ---- drain.c ---- */
static inline bool mfi_pool_is_out(const mfi_pool_member *member)
{
    return (atomic_load_explicit(&member->gate, memory_order_relaxed) & MFI_OUT) != 0;
}

/* The drain of an operator: takes members out and puts them back, and waits for nothing. */
void mfi_pool_command(void *self, const mfi_command *command, mfi_command_seen_fn seen,
                      void *user_data);

/* ---- probe.c ---- */
/* Why the member gets no calls: "worker math-1 is being restarted (0 calls in flight)". */
void mfi_pool_explain(const mfi_pool_member *member, char *to, size_t size);
void mfi_pool_component_init(mf_pool *pool);

#endif
