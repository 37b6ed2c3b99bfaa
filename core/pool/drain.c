/* Takes members out of a pool and puts them back; the rolling restart is made of both. It exists so
 * that a worker can be replaced while no call fails. */
#include "base/clock.h"
#include "base/error.h"
#include "core/client/member.h"
#include "core/pool/pool.h"

/* From here on no caller enters. A member may be out for two reasons; the first one begins the
 * draining. */
static void take_out(mfi_pool_member *member, uint32_t why, mfi_drain_reason reason)
{
    mf_pool *pool = member->pool;
    mfi_mutex_lock(&pool->mutex);
    uint32_t before = atomic_fetch_or_explicit(&member->gate, why, memory_order_acq_rel);
    if ((before & MFI_OUT) == 0) {
        mfi_member_drain_begin(member->parent, reason);
    }
    mfi_mutex_unlock(&pool->mutex);
}

static void put_back(mfi_pool_member *member, uint32_t why)
{
    mf_pool *pool = member->pool;
    mfi_mutex_lock(&pool->mutex);
    uint32_t before = atomic_fetch_and_explicit(&member->gate, ~why, memory_order_acq_rel);
    if ((before & MFI_OUT) == why) {
        mfi_member_drain_end(member->parent);
    }
    mfi_mutex_unlock(&pool->mutex);
    mfi_futex_wake(&member->gate, INT32_MAX);
    mfi_member_drain_tell(member->parent);
}

static bool is_out(const mfi_pool_member *member, uint32_t why)
{
    return (atomic_load_explicit(&member->gate, memory_order_acquire) & why) != 0;
}

/* Waits until all callers that entered before have left, or until the member is put back. False at
 * the deadline. */
static bool wait_for_callers(mfi_pool_member *member, uint32_t why, uint64_t deadline_ns)
{
    for (;;) {
        uint32_t gate = atomic_load_explicit(&member->gate, memory_order_acquire);
        if ((gate & ~MFI_OUT) == 0 || (gate & why) == 0) {
            return true;
        }
        if (deadline_ns != MFI_NEVER && mfi_monotonic_ns() >= deadline_ns) {
            return false;
        }
        mfi_futex_wait(&member->gate, gate, deadline_ns);
    }
}

/* Waits until no call is open, or until the member is put back. False at the deadline. */
static bool wait_for_calls(mfi_pool_member *member, uint32_t why, uint64_t deadline_ns)
{
    for (;;) {
        uint32_t news = mfi_member_drain_news(member->parent);
        if (mfi_member_is_idle(member->parent) || !is_out(member, why)) {
            return true;
        }
        if (deadline_ns != MFI_NEVER && mfi_monotonic_ns() >= deadline_ns) {
            return false;
        }
        mfi_member_drain_sleep(member->parent, news, deadline_ns);
    }
}

static mf_status drain(mfi_pool_member *member, uint32_t why, mfi_drain_reason reason,
                       mf_error *error)
{
    const mf_pool *pool = member->pool;
    const char *worker = mfi_member_worker(member->parent);
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), pool->drain_timeout_ms);
    take_out(member, why, reason);
    /* A call is open before its caller leaves the gate, so no call is missed between the waits. */
    bool in_time = wait_for_callers(member, why, deadline) && wait_for_calls(member, why, deadline);
    mfi_member_drain_report(member->parent, reason);
    if (!is_out(member, why)) {
        return mfi_fail(error, MF_ERR_CANCELLED, "worker '%s' was put back while it was drained",
                        worker);
    }
    return in_time ? MF_OK
                   : mfi_fail(error, MF_ERR_TIMEOUT,
                              "worker '%s' has %u calls in flight after draining for %lld ms",
                              worker, (unsigned)mfi_member_calls_open(member->parent),
                              (long long)pool->drain_timeout_ms);
}

static mf_status find_member(mf_pool *pool, uint32_t index, mfi_pool_member **ret_member,
                             mf_error *error)
{
    if (index >= pool->size) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "pool '%s' has %u members: there is no number %u", mfi_pool_name(pool),
                        (unsigned)pool->size, (unsigned)index);
    }
    *ret_member = &pool->members[index];
    return MF_OK;
}

mf_status mf_pool_drain(mf_pool *pool, uint32_t index, mf_error *error)
{
    mfi_pool_member *member = NULL;
    mf_status status = mfi_pool_check_waiting(pool, "draining", error);
    if (status == MF_OK) {
        status = find_member(pool, index, &member, error);
    }
    return status == MF_OK ? drain(member, MFI_OUT_ASKED, MFI_DRAIN_ASKED_FOR, error) : status;
}

mf_status mf_pool_resume(mf_pool *pool, uint32_t index, mf_error *error)
{
    mfi_pool_member *member = NULL;
    mf_status status = mfi_pool_check(pool, error);
    if (status == MF_OK) {
        status = find_member(pool, index, &member, error);
    }
    if (status == MF_OK && member != NULL) {
        put_back(member, MFI_OUT_ASKED);
    }
    return status;
}

void mfi_pool_command(void *self, const mfi_command *command, mfi_command_seen_fn seen,
                      void *user_data)
{
    mf_pool *pool = self;
    for (uint32_t i = 0; command->what == MFI_ADMIN_DRAIN && i < pool->size; i++) {
        mfi_pool_member *member = &pool->members[i];
        mfi_command_effect effect = {.target = mfi_pool_name(pool),
                                     .worker = mfi_member_worker(member->parent),
                                     .setting = "drain",
                                     .from = is_out(member, MFI_OUT_ASKED) ? "on" : "off",
                                     .to = command->ends ? "off" : "on"};
        if (!mfi_command_means(command, effect.target, effect.worker)) {
            continue;
        }
        if (command->ends) {
            put_back(member, MFI_OUT_ASKED);
        } else {
            take_out(member, MFI_OUT_ASKED, MFI_DRAIN_ASKED_FOR);
        }
        seen(&effect, user_data);
    }
}

/* ---- Rolling restart ---- */

static bool others_can_serve(const mfi_pool_member *member)
{
    const mf_pool *pool = member->pool;
    for (uint32_t i = 0; i < pool->size; i++) {
        if (&pool->members[i] != member && mfi_pool_fitness(&pool->members[i]) == MFI_FIT_NOW) {
            return true;
        }
    }
    return false;
}

/* Other members get the calls meanwhile. If no other member can serve, this member stays in and
 * calls wait for its new worker, because waiting is better than refusing. */
static mf_status restart_member(mfi_pool_member *member, mf_error *error)
{
    if (!others_can_serve(member)) {
        return mf_parent_restart(member->parent, error);
    }
    mf_status status = drain(member, MFI_OUT_RESTART, MFI_DRAIN_ROLLING_RESTART, error);
    if (status == MF_OK) {
        status = mf_parent_restart(member->parent, error);
    }
    put_back(member, MFI_OUT_RESTART);
    return status;
}

mf_status mf_pool_rolling_restart(mf_pool *pool, mf_error *error)
{
    mf_status status = mfi_pool_check_waiting(pool, "a restart", error);
    if (status != MF_OK) {
        return status;
    }
    mfi_mutex_lock(&pool->mutex);
    bool first = !pool->restarting;
    pool->restarting = true;
    mfi_mutex_unlock(&pool->mutex);
    if (!first) {
        return mfi_fail(error, MF_ERR_STATE, "pool '%s' is being restarted already",
                        mfi_pool_name(pool));
    }
    for (uint32_t i = 0; i < pool->size && status == MF_OK; i++) {
        status = restart_member(&pool->members[i], error);
    }
    mfi_mutex_lock(&pool->mutex);
    pool->restarting = false;
    mfi_mutex_unlock(&pool->mutex);
    return status;
}
