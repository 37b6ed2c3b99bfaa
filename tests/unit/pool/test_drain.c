/* Members that are taken out and put back: the waits, and the outcome of each. */
#include <pthread.h>

#include "idle_pool.h"

static bool is_draining(mf_pool *pool, uint32_t index)
{
    return atomic_load(&idle_member(pool, index)->calls.draining);
}

static void test_an_idle_member_is_out_at_once(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = idle_pool(2, 0);
    mf_check_int(mf_pool_drain(pool, 1, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(mfi_pool_is_out(&pool->members[1]) && !mfi_pool_is_out(&pool->members[0]));
    mf_check(is_draining(pool, 1) && !is_draining(pool, 0));
    mf_check(!mfi_pool_enter(&pool->members[1]));
    mf_check_int(mf_pool_drain(pool, 1, &error), MF_OK); /* and once more */
    mf_check_int(mf_pool_resume(pool, 1, &error), MF_OK);
    mf_check(!mfi_pool_is_out(&pool->members[1]) && !is_draining(pool, 1));
    mf_check_int(mf_pool_resume(pool, 1, &error), MF_OK);
    mf_check_int(atomic_load(&pool->members[1].gate), 0);
    mf_pool_destroy(pool);
}

/* Asked for while a rolling restart has it out: it comes in again when both have ended. */
static void test_a_member_is_out_for_two_reasons(void)
{
    mf_pool *pool = idle_pool(2, 0);
    mfi_pool_member *member = &pool->members[0];
    (void)atomic_fetch_or(&member->gate, MFI_OUT_RESTART);
    mf_check_int(mf_pool_drain(pool, 0, NULL), MF_OK);
    mf_check(!is_draining(pool, 0)); /* the first reason would have begun it */
    mf_check_int(mf_pool_resume(pool, 0, NULL), MF_OK);
    mf_check_int(atomic_load(&member->gate), MFI_OUT_RESTART);
    mf_check_int(mf_pool_drain(pool, 0, NULL), MF_OK);
    (void)atomic_fetch_and(&member->gate, ~MFI_OUT_RESTART);
    mf_check(mfi_pool_is_out(member));
    mf_check_int(mf_pool_resume(pool, 0, NULL), MF_OK);
    mf_check(!mfi_pool_is_out(member));
    mf_pool_destroy(pool);
}

/* ---- What is waited for ---- */

static void test_callers_and_calls_outlast_the_timeout(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = idle_pool(2, 1);
    mf_parent *parent = idle_member(pool, 0);
    mf_check(mfi_pool_enter(&pool->members[0])); /* a caller that is giving it a call */
    mf_check_int(mf_pool_drain(pool, 0, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "worker 'math-0' has 0 calls in flight after draining for 1 ms");
    mf_check(mfi_pool_is_out(&pool->members[0])); /* it stays out */
    (void)atomic_fetch_add(&parent->calls.open, 3);
    mfi_pool_leave(&pool->members[0]);
    mf_check_int(mf_pool_drain(pool, 0, &error), MF_ERR_TIMEOUT);
    mf_check_str(error.message, "worker 'math-0' has 3 calls in flight after draining for 1 ms");
    (void)atomic_fetch_sub(&parent->calls.open, 3);
    mf_check_int(mf_pool_drain(pool, 0, NULL), MF_OK);
    mf_pool_destroy(pool);
}

typedef struct draining {
    mf_pool *pool;
    mf_status status;
    mf_error error;
    pthread_t thread;
} draining;

static void *drain(void *argument)
{
    draining *at = argument;
    at->status = mf_pool_drain(at->pool, 0, &at->error);
    return NULL;
}

static bool is_out(void *data)
{
    return mfi_pool_is_out(&((draining *)data)->pool->members[0]);
}

/* Begins to drain in another thread, and waits until no caller comes in any more. The drain has no
 * end of its own within a test, so that only an event can end it. */
static void start_drain(draining *at)
{
    *at = (draining){.pool = idle_pool(2, 3600000)};
    mf_check(mfi_pool_enter(&at->pool->members[0]));
    (void)atomic_fetch_add(&idle_member(at->pool, 0)->calls.open, 1);
    mf_check_int(pthread_create(&at->thread, NULL, drain, at), 0);
    mf_check(mf_test_until(is_out, at, MF_TEST_PATIENCE_MS));
}

static void end_drain(draining *at, mf_status wanted)
{
    (void)pthread_join(at->thread, NULL);
    mf_check_int(at->status, wanted);
    mf_pool_destroy(at->pool);
}

static void test_the_last_call_ends_the_drain(void)
{
    draining at;
    start_drain(&at);
    mfi_pool_leave(&at.pool->members[0]);
    mfi_calls_count_finished(&idle_member(at.pool, 0)->calls);
    end_drain(&at, MF_OK);
}

/* A resume wakes a drain that waits for a caller, and one that waits for calls. */
static void test_a_resume_ends_the_drain(void)
{
    for (int leaves = 0; leaves < 2; leaves++) {
        draining at;
        start_drain(&at);
        if (leaves == 1) {
            mfi_pool_leave(&at.pool->members[0]);
        }
        mf_check_int(mf_pool_resume(at.pool, 0, NULL), MF_OK);
        (void)pthread_join(at.thread, NULL);
        mf_check_int(at.status, MF_ERR_CANCELLED);
        mf_check_str(at.error.message, "worker 'math-0' was put back while it was drained");
        mf_check_int(atomic_load(&at.pool->members[0].gate), 1 - leaves);
        (void)atomic_fetch_sub(&idle_member(at.pool, 0)->calls.open, 1);
        mf_pool_destroy(at.pool);
    }
}

/* ---- Arguments ---- */

static void test_numbers_beyond_the_last_are_refused(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = idle_pool(2, 0);
    mf_check_int(mf_pool_drain(pool, 2, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "pool 'math' has 2 members: there is no number 2");
    mf_check_int(mf_pool_resume(pool, UINT32_MAX, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_pool_drain(NULL, 0, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_pool_resume(NULL, 0, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_pool_rolling_restart(NULL, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_pool_destroy(pool);
}

/* ---- Rolling restart ---- */

static void test_one_rolling_restart_at_a_time(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = idle_pool(2, 0);
    pool->restarting = true; /* by another thread */
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_ERR_STATE);
    mf_check_str(error.message, "pool 'math' is being restarted already");
    mf_check(pool->restarting);
    pool->restarting = false;
    mf_pool_destroy(pool);
}

/* A member that was never started cannot be restarted: the rolling restart ends with that, and puts
 * everything back. */
static void test_a_failed_restart_ends_the_rolling_one(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = idle_pool(2, 0);
    mf_check(mf_pool_rolling_restart(pool, &error) != MF_OK);
    mf_check(error.message[0] != '\0');
    mf_check(!pool->restarting);
    idle_set_state(pool, 1, MF_PARENT_READY); /* one that can serve: the first one is drained */
    mf_check(mf_pool_rolling_restart(pool, &error) != MF_OK);
    mf_check(!pool->restarting);
    mf_check_int(atomic_load(&pool->members[0].gate), 0);
    mf_check(!is_draining(pool, 0));
    idle_pool_destroy(pool);
}

static const mf_test tests[] = {
    {"drain__an_idle_member_is_out_at_once", test_an_idle_member_is_out_at_once},
    {"drain__a_member_is_out_for_two_reasons", test_a_member_is_out_for_two_reasons},
    {"drain__callers_and_calls_outlast_the_timeout", test_callers_and_calls_outlast_the_timeout},
    {"drain__the_last_call_ends_it", test_the_last_call_ends_the_drain},
    {"drain__a_resume_ends_it", test_a_resume_ends_the_drain},
    {"drain__numbers_beyond_the_last_are_refused", test_numbers_beyond_the_last_are_refused},
    {"restart__one_rolling_restart_at_a_time", test_one_rolling_restart_at_a_time},
    {"restart__a_failed_one_ends_the_rolling_one", test_a_failed_restart_ends_the_rolling_one},
};

MF_TEST_MAIN(tests)
