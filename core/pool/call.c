/* Calls of a pool: chooses the member that gets a call, and the next member after a failure. Every
 * try is a call of its member, and appears as such in metrics and logs. The tries of one call share
 * a trace. */
#include <string.h>

#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/client/member.h"
#include "core/pool/pool.h"
#include "core/wire/trace.h"

/* ---- The gate ---- */

bool mfi_pool_enter(mfi_pool_member *member)
{
    uint32_t before = atomic_fetch_add_explicit(&member->gate, 1, memory_order_acquire);
    if ((before & MFI_OUT) == 0) {
        return true;
    }
    mfi_pool_leave(member);
    return false;
}

void mfi_pool_leave(mfi_pool_member *member)
{
    uint32_t before = atomic_fetch_sub_explicit(&member->gate, 1, memory_order_release);
    if ((before & MFI_OUT) != 0) {
        mfi_futex_wake(&member->gate, INT32_MAX);
    }
}

/* ---- Choice of a member ---- */

mfi_fitness mfi_pool_fitness(const mfi_pool_member *member)
{
    const mf_parent *parent = member->parent;
    mf_parent_state state = mfi_member_state(parent);
    if (mfi_pool_is_out(member)) {
        return MFI_FIT_NOT;
    }
    if (state == MF_PARENT_READY) {
        bool open = mfi_member_circuit_is_open(parent);
        return open ? MFI_FIT_REFUSES : MFI_FIT_NOW;
    }
    bool waits = state == MF_PARENT_STARTING ||
                 (state == MF_PARENT_RESTARTING && !mfi_member_fails_fast(parent));
    return waits ? MFI_FIT_WAITS : MFI_FIT_NOT;
}

typedef struct tried_set {
    uint64_t bits[MF_POOL_WORKERS_MAX / 64];
} tried_set;

static uint64_t *word_of(tried_set *tried, uint32_t index, uint64_t *ret_bit)
{
    *ret_bit = UINT64_C(1) << (index % 64);
    return &tried->bits[index / 64];
}

/* Enters a member that was not tried yet, and marks it tried. NULL if no member is fit. */
static mfi_pool_member *enter_one(mf_pool *pool, tried_set *tried, mfi_fitness *ret_fitness)
{
    mfi_candidate candidates[MF_POOL_WORKERS_MAX];
    uint64_t bit = 0;
    for (;;) {
        for (uint32_t i = 0; i < pool->size; i++) {
            const mfi_pool_member *member = &pool->members[i];
            bool was_tried = (*word_of(tried, i, &bit) & bit) != 0;
            candidates[i].fitness = was_tried ? MFI_FIT_NOT : mfi_pool_fitness(member);
            candidates[i].load = mfi_member_calls_open(member->parent);
        }
        uint32_t chosen = mfi_choice_pick(candidates, pool->size, mfi_random_fast());
        if (chosen == MFI_NOBODY) {
            return NULL;
        }
        if (mfi_pool_enter(&pool->members[chosen])) {
            *word_of(tried, chosen, &bit) |= bit;
            *ret_fitness = candidates[chosen].fitness;
            return &pool->members[chosen];
        } /* else the member was taken out just now: the next round finds it unfit */
    }
}

/* ---- One call ---- */

typedef struct pool_call pool_call;
struct pool_call {
    const char *function;
    mf_args args;
    mf_call_options options;
    mf_status (*give)(mf_parent *parent, const pool_call *call, mf_error *error);
    bool waits; /* the outcome is known when `give` returns */
    mf_result **ret_result;
    mf_call_fn done;
    void *user_data;
    mf_future **ret_future;
    char traceparent[MFI_TRACEPARENT_TEXT]; /* options point here if the pool makes the trace */
};

static mf_status give_waiting(mf_parent *parent, const pool_call *call, mf_error *error)
{
    return mf_call_with(parent, call->function, call->args, &call->options, call->ret_result,
                        error);
}

static mf_status give_async(mf_parent *parent, const pool_call *call, mf_error *error)
{
    return mf_call_async(parent, call->function, call->args, &call->options, call->done,
                         call->user_data, error);
}

static mf_status give_future(mf_parent *parent, const pool_call *call, mf_error *error)
{
    return mf_call_future(parent, call->function, call->args, &call->options, call->ret_future,
                          error);
}

/* Whether another member may be tried: this member did not take the call, or the call may run
 * twice. After a timeout no time is left for another try. */
static bool may_try_another(const pool_call *call, mf_status status)
{
    return status == MF_ERR_NOT_RUNNING || status == MF_ERR_CIRCUIT_OPEN ||
           status == MF_ERR_TOO_MANY_CALLS ||
           (status == MF_ERR_WORKER_EXITED && call->waits && call->options.idempotent);
}

/* The tries share the call's timeout. False if no time is left. */
static bool shorten(pool_call *call, uint64_t deadline_ns)
{
    if (deadline_ns == MFI_NEVER) {
        return true;
    }
    uint64_t left_ns = mfi_remaining_ns(deadline_ns, mfi_monotonic_ns());
    call->options.timeout_ms = (int64_t)((left_ns + MFI_NS_PER_MS - 1) / MFI_NS_PER_MS);
    return left_ns > 0;
}

/* Makes one trace for all tries, if the caller gave none and the thread has none. */
static void share_trace(pool_call *call)
{
    const mf_context *current = mfi_context_current();
    if (call->options.traceparent == NULL) {
        call->options.tracestate = NULL; /* of no trace */
    }
    if (call->options.traceparent == NULL && (current == NULL || current->trace_id[0] == '\0')) {
        char trace_id[33], span_id[17];
        mfi_trace_new_id(trace_id);
        mfi_trace_new_span_id(span_id);
        mfi_traceparent_format(call->traceparent, trace_id, span_id, 2); /* random trace id */
        call->options.traceparent = call->traceparent;
    }
}

/* No member could be tried. The call is counted and logged as a call of the first member. */
static mf_status refuse(mf_pool *pool, const pool_call *call, mf_error *error)
{
    char why[MFI_MEMBER_TEXT_MAX];
    uint32_t out = 0;
    const mfi_pool_member *down = NULL;
    for (uint32_t i = 0; i < pool->size; i++) {
        const mfi_pool_member *member = &pool->members[i];
        out += mfi_pool_is_out(member);
        down = down == NULL && !mfi_pool_is_out(member) ? member : down;
    }
    if (down == NULL) {
        down = &pool->members[0];
    }
    mfi_pool_explain(down, why, sizeof why);
    (void)mfi_fail(error, MF_ERR_NOT_RUNNING, "no worker of pool '%s' can take calls: %s",
                   mfi_pool_name(pool), why);
    return mfi_member_refuse(down->parent, call->function, call->args, &call->options,
                             out == pool->size ? MFI_REFUSAL_DRAINING : MFI_REFUSAL_NO_WORKER,
                             error);
}

static mf_status call_some(mf_pool *pool, pool_call *call, const mf_call_options *options,
                           mf_error *error)
{
    mf_error local; /* for the log, if the caller passed no error */
    mf_error *detail = error != NULL ? error : &local;
    tried_set tried = {{0}};
    mfi_fitness fitness = MFI_FIT_NOT;
    mfi_pool_member *member = NULL;
    mfi_error_clear(&local);
    mf_status status = mfi_pool_check(pool, detail);
    if (status == MF_OK) {
        status = mfi_options_copy(&call->options, sizeof call->options, sizeof call->options,
                                  options, "mf_call_options", detail);
    }
    if (status != MF_OK) {
        return status;
    }
    call->options.struct_size = sizeof call->options;
    share_trace(call);
    int64_t timeout_ms = call->options.timeout_ms != 0
                             ? call->options.timeout_ms
                             : mfi_member_call_timeout_ms(pool->members[0].parent);
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    for (bool first = true;; first = false) {
        if (!first && !shorten(call, deadline)) {
            return status;
        }
        member = enter_one(pool, &tried, &fitness);
        if (member == NULL) {
            return first ? refuse(pool, call, detail) : status;
        }
        status = call->give(member->parent, call, detail);
        mfi_pool_leave(member);
        if (status == MF_OK && !first) {
            mfi_error_clear(detail); /* removes the text of an earlier try */
        }
        if (!may_try_another(call, status) || fitness == MFI_FIT_REFUSES) {
            return status;
        }
    }
}

/* ---- The ways to call ---- */

mf_status mf_pool_call_with(mf_pool *pool, const char *function, mf_args args,
                            const mf_call_options *options, mf_result **ret_result, mf_error *error)
{
    pool_call call = {.function = function,
                      .args = args,
                      .give = give_waiting,
                      .waits = true,
                      .ret_result = ret_result};
    return call_some(pool, &call, options, error);
}

mf_status mf_pool_call(mf_pool *pool, const char *function, mf_args args, mf_result **ret_result,
                       mf_error *error)
{
    return mf_pool_call_with(pool, function, args, NULL, ret_result, error);
}

mf_status mf_pool_call_async(mf_pool *pool, const char *function, mf_args args,
                             const mf_call_options *options, mf_call_fn done, void *user_data,
                             mf_error *error)
{
    pool_call call = {.function = function,
                      .args = args,
                      .give = give_async,
                      .done = done,
                      .user_data = user_data};
    return call_some(pool, &call, options, error);
}

mf_status mf_pool_call_future(mf_pool *pool, const char *function, mf_args args,
                              const mf_call_options *options, mf_future **ret_future,
                              mf_error *error)
{
    pool_call call = {
        .function = function, .args = args, .give = give_future, .ret_future = ret_future};
    return call_some(pool, &call, options, error);
}
