/* Which member a call is given to: the gate, the fitness, and what is said when none is fit. */
#include <multifrost/pool.h>

#include "idle_pool.h"

/* ---- The gate ---- */

static uint32_t gate_of(const mfi_pool_member *member)
{
    return atomic_load(&member->gate);
}

static void test_callers_enter_until_the_member_is_out(void)
{
    mf_pool *pool = idle_pool(2, 0);
    mfi_pool_member *member = &pool->members[0];
    mf_check(mfi_pool_enter(member) && mfi_pool_enter(member));
    mf_check_int(gate_of(member), 2);
    mfi_pool_leave(member);
    mf_check_int(gate_of(member), 1);
    static const uint32_t reasons[] = {MFI_OUT_ASKED, MFI_OUT_RESTART, MFI_OUT};
    for (size_t i = 0; i < 3; i++) {
        (void)atomic_fetch_or(&member->gate, reasons[i]);
        mf_check(mfi_pool_is_out(member));
        mf_check(!mfi_pool_enter(member));
        mf_check_int(gate_of(member), reasons[i] | 1u); /* a caller that is refused has left */
        (void)atomic_fetch_and(&member->gate, ~reasons[i]);
    }
    mf_check(!mfi_pool_is_out(member) && mfi_pool_enter(member));
    mfi_pool_leave(member);
    mfi_pool_leave(member);
    mf_check_int(gate_of(member), 0);
    mf_check(mfi_pool_enter(&pool->members[1])); /* each has its own */
    mfi_pool_leave(&pool->members[1]);
    mf_pool_destroy(pool);
}

/* ---- Fitness ---- */

static mfi_fitness fitness_in(mf_pool *pool, mf_parent_state state)
{
    idle_set_state(pool, 0, state);
    return mfi_pool_fitness(&pool->members[0]);
}

static void test_fitness_follows_the_state(void)
{
    mf_pool *pool = idle_pool(1, 0);
    mfi_parent_settings *settings = &idle_member(pool, 0)->state.settings;
    mf_check_int(fitness_in(pool, MF_PARENT_CREATED), MFI_FIT_NOT);
    mf_check_int(fitness_in(pool, MF_PARENT_STARTING), MFI_FIT_WAITS);
    mf_check_int(fitness_in(pool, MF_PARENT_READY), MFI_FIT_NOW);
    settings->fail_fast = false;
    mf_check_int(fitness_in(pool, MF_PARENT_RESTARTING), MFI_FIT_WAITS);
    settings->fail_fast = true;
    mf_check_int(fitness_in(pool, MF_PARENT_RESTARTING), MFI_FIT_NOT);
    mf_check_int(fitness_in(pool, MF_PARENT_STARTING), MFI_FIT_WAITS); /* there is none yet */
    mf_check_int(fitness_in(pool, MF_PARENT_STOPPING), MFI_FIT_NOT);
    mf_check_int(fitness_in(pool, MF_PARENT_STOPPED), MFI_FIT_NOT);
    mf_check_int(fitness_in(pool, MF_PARENT_FAILED), MFI_FIT_NOT);
    idle_pool_destroy(pool);
}

static void test_a_member_that_is_out_is_not_fit(void)
{
    mf_pool *pool = idle_pool(1, 0);
    idle_set_state(pool, 0, MF_PARENT_READY);
    (void)atomic_fetch_or(&pool->members[0].gate, MFI_OUT_RESTART);
    mf_check_int(mfi_pool_fitness(&pool->members[0]), MFI_FIT_NOT);
    (void)atomic_fetch_and(&pool->members[0].gate, ~MFI_OUT_RESTART);
    mf_check_int(mfi_pool_fitness(&pool->members[0]), MFI_FIT_NOW);
    idle_pool_destroy(pool);
}

static void trip(mf_pool *pool, uint32_t index)
{
    mfi_circuit_reason reason = {.rule = MFI_RULE_HEARTBEAT, .observed = 3, .threshold = 3};
    mfi_circuit_trip(&idle_member(pool, index)->state.circuit, &reason);
}

static void test_an_open_circuit_refuses(void)
{
    mf_pool *pool = idle_pool(1, 0);
    idle_set_state(pool, 0, MF_PARENT_READY);
    trip(pool, 0);
    mf_check_int(mfi_pool_fitness(&pool->members[0]), MFI_FIT_REFUSES);
    idle_pool_destroy(pool);
}

/* ---- Calls that no member takes ---- */

static void check_call(mf_pool *pool, mf_status wanted, const char *message)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), &result, &error), wanted);
    mf_check_int(error.code, wanted);
    mf_check_contains(error.message, message);
    mf_check(result == NULL);
}

static void test_a_pool_without_a_fit_member_says_why(void)
{
    mf_pool *pool = idle_pool(2, 0);
    check_call(pool, MF_ERR_NOT_RUNNING,
               "no worker of pool 'math' can take calls: worker math-0 was not started");
    idle_check_metrics(pool, "client_refused_total{target=\"math\",reason=\"no_worker\"} 1\n");
    mf_check_int(mf_pool_drain(pool, 0, NULL), MF_OK);
    check_call(pool, MF_ERR_NOT_RUNNING, "can take calls: worker math-1 was not started");
    idle_check_metrics(pool, "client_refused_total{target=\"math\",reason=\"no_worker\"} 2\n");
    mf_check_int(mf_pool_drain(pool, 1, NULL), MF_OK);
    check_call(pool, MF_ERR_NOT_RUNNING,
               "can take calls: worker math-0 was taken out (0 calls in flight)");
    idle_check_metrics(pool, "client_refused_total{target=\"math\",reason=\"no_worker\"} 2\n");
    idle_check_metrics(pool, "client_refused_total{target=\"math\",reason=\"draining\"} 1\n");
    mf_pool_destroy(pool);
}

/* Of two members with open circuits one is asked: the other one would say the same. */
static void test_open_circuits_are_asked_once(void)
{
    mf_pool *pool = idle_pool(2, 0);
    idle_set_state(pool, 0, MF_PARENT_READY);
    idle_set_state(pool, 1, MF_PARENT_READY);
    trip(pool, 0);
    trip(pool, 1);
    check_call(pool, MF_ERR_CIRCUIT_OPEN, "open by rule heartbeat");
    idle_check_metrics(pool, "client_refused_total{target=\"math\",reason=\"circuit_open\"} 1\n");
    mf_check_int(gate_of(&pool->members[0]), 0);
    mf_check_int(gate_of(&pool->members[1]), 0);
    idle_pool_destroy(pool);
}

static void test_arguments_are_checked_before_any_member(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_future *future = NULL;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_pool *pool = idle_pool(2, 0);
    options.struct_size = 1;
    mf_check_int(mf_pool_call_with(pool, "add", MF_NO_ARGS, &options, &result, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "mf_call_options");
    mf_check_int(mf_pool_call(NULL, "add", MF_NO_ARGS, &result, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "pool is NULL");
    mf_check_int(mf_pool_call(pool, "\xff", MF_NO_ARGS, &result, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_pool_call_future(pool, "add", MF_NO_ARGS, NULL, &future, &error),
                 MF_ERR_NOT_RUNNING);
    mf_check(result == NULL && future == NULL);
    mf_pool_destroy(pool);
}

static const mf_test tests[] = {
    {"gate__callers_enter_until_the_member_is_out", test_callers_enter_until_the_member_is_out},
    {"fitness__follows_the_state", test_fitness_follows_the_state},
    {"fitness__a_member_that_is_out_is_not_fit", test_a_member_that_is_out_is_not_fit},
    {"fitness__an_open_circuit_refuses", test_an_open_circuit_refuses},
    {"call__a_pool_without_a_fit_member_says_why", test_a_pool_without_a_fit_member_says_why},
    {"call__open_circuits_are_asked_once", test_open_circuits_are_asked_once},
    {"call__arguments_are_checked_before_any_member", test_arguments_are_checked_before_any_member},
};

MF_TEST_MAIN(tests)
