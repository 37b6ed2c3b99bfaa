/* The inside of mf_pool, shared by the files that make it up:
 *
 *   pool.c        options, creation, start and stop of all members, destruction
 *   call.c        which member gets a call, and who is tried after that
 *   drain.c       members that are taken out and put back; the rolling restart
 *   probe.c       how it shows itself to mf_probe */
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

/* Why a member gets no calls; above the count in its gate. */
#define MFI_OUT_ASKED 0x80000000u
#define MFI_OUT_RESTART 0x40000000u
#define MFI_OUT (MFI_OUT_ASKED | MFI_OUT_RESTART)

/* The gate decides between callers and whoever takes the member out: it counts the callers that are
 * giving it a call, in the same word as the reasons why none may. A caller that came in before is
 * waited for; one that comes after finds it closed, and goes to another member. */
typedef struct mfi_pool_member {
    mf_parent *parent;
    mf_pool *pool;
    _Atomic(uint32_t) gate; /* futex while it drains; reasons change under the pool's mutex */
} mfi_pool_member;

struct mf_pool {
    mf_runtime *runtime;
    mfi_component component;
    mfi_pool_member *members;
    uint32_t size;
    uint32_t min_ready;   /* that make the start a success */
    uint32_t min_healthy; /* below that, no traffic should come to this program */
    int64_t drain_timeout_ms;
    _Atomic(bool) started; /* min_ready were ready once */

    mfi_mutex mutex;
    mfi_cond start_ended;   /* of one more member */
    uint32_t ready, failed; /* guarded by mutex: how many starts ended so */
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
/* Also MF_ERR_WOULD_DEADLOCK on the engine thread; `what` is "a start". */
mf_status mfi_pool_check_waiting(const mf_pool *pool, const char *what, mf_error *error);

/* ---- pool_call.c ---- */
/* The member may be given a call until the caller leaves; false if it gets none at present. */
bool mfi_pool_enter(mfi_pool_member *member);
void mfi_pool_leave(mfi_pool_member *member);
mfi_fitness mfi_pool_fitness(const mfi_pool_member *member);

/* ---- drain.c      ---- */
static inline bool mfi_pool_is_out(const mfi_pool_member *member)
{
    return (atomic_load_explicit(&member->gate, memory_order_relaxed) & MFI_OUT) != 0;
}

/* ---- probe.c      ---- */
/* Why the member gets no calls: "worker math-1 is being restarted (0 calls in flight)". */
void mfi_pool_explain(const mfi_pool_member *member, char *to, size_t size);
void mfi_pool_component_init(mf_pool *pool);

#endif
