/* How a pool shows itself: why a member gets no calls, and one health row for all of them. */
#include <stdio.h>
#include <string.h>

#include "idle_pool.h"

/* ---- Explanations ---- */

static void check_explains(const mf_pool *pool, uint32_t index, const char *wanted)
{
    char text[MFI_MEMBER_TEXT_MAX];
    mfi_pool_explain(&pool->members[index], text, sizeof text);
    mf_check_str(text, wanted);
}

static void test_a_member_is_explained_by_its_state(void)
{
    mf_pool *pool = idle_pool(2, 0);
    check_explains(pool, 0, "worker math-0 was not started");
    idle_set_state(pool, 1, MF_PARENT_STARTING);
    check_explains(pool, 1, "worker math-1 is starting");
    mfi_state_set_exit_text(&idle_member(pool, 1)->state, "was killed by signal 9 (SIGKILL)");
    idle_set_state(pool, 1, MF_PARENT_FAILED);
    check_explains(pool, 1, "worker math-1 was killed by signal 9 (SIGKILL)");
    idle_pool_destroy(pool);
}

static void test_a_reason_to_be_out_goes_before_the_state(void)
{
    mf_pool *pool = idle_pool(1, 0);
    char text[16];
    (void)atomic_fetch_or(&pool->members[0].gate, MFI_OUT_RESTART | 5u); /* and five callers */
    (void)atomic_fetch_add(&idle_member(pool, 0)->calls.open, 3);
    check_explains(pool, 0, "worker math-0 is being restarted (3 calls in flight)");
    (void)atomic_fetch_or(&pool->members[0].gate, MFI_OUT_ASKED);
    check_explains(pool, 0, "worker math-0 was taken out (3 calls in flight)");
    mfi_pool_explain(&pool->members[0], text, sizeof text);
    mf_check_str(text, "worker math-0 w"); /* cut to the room there is */
    atomic_store(&pool->members[0].gate, 0);
    (void)atomic_fetch_sub(&idle_member(pool, 0)->calls.open, 3);
    mf_pool_destroy(pool);
}

/* ---- Health ---- */

static void check_health(mf_pool *pool, bool starts, bool warns, uint32_t needed, uint32_t ready,
                         const char *output)
{
    mfi_workers_row row = {.ready = 0};
    pool->component.add_workers(pool->component.self, &row);
    mf_check_int(row.starts, starts);
    mf_check_int(row.warns, warns);
    mf_check_int(row.needed, needed);
    mf_check_int(row.ready, ready);
    mf_check_str(row.output, output);
    mf_check_str(pool->component.target, "math");
}

static void test_health_before_the_start_fails(void)
{
    mf_pool *pool = idle_pool(2, 0);
    check_health(pool, true, true, 1, 0, "worker math-0 was not started");
    idle_set_state(pool, 0, MF_PARENT_READY);
    idle_set_state(pool, 1, MF_PARENT_STARTING);
    check_health(pool, true, true, 1, 1, "worker math-1 is starting");
    idle_set_state(pool, 1, MF_PARENT_READY);
    check_health(pool, true, false, 1, 2, "the start is not complete");
    idle_pool_destroy(pool);
}

static void test_health_warns_while_enough_are_ready(void)
{
    mf_pool *pool = idle_pool(3, 0);
    for (uint32_t i = 0; i < 3; i++) {
        idle_set_state(pool, i, MF_PARENT_READY);
    }
    atomic_store(&pool->started, true);
    check_health(pool, false, false, 1, 3, "");
    mf_check_int(mf_pool_drain(pool, 1, NULL), MF_OK); /* ready, but it gets no calls */
    check_health(pool, false, true, 1, 2, "worker math-1 was taken out (0 calls in flight)");
    idle_set_state(pool, 2, MF_PARENT_RESTARTING);
    check_health(pool, false, true, 1, 1, "worker math-1 was taken out (0 calls in flight)");
    pool->min_healthy = 2;
    check_health(pool, false, true, 2, 1, "worker math-1 was taken out (0 calls in flight)");
    idle_pool_destroy(pool);
}

static void count_workers(const mf_health_row *row, void *user_data)
{
    *(int *)user_data += strcmp(row->measurement, "workers") == 0;
}

/* Its members show no such row of their own. */
static void test_a_pool_is_shown_once_while_it_lives(void)
{
    int rows = 0;
    mf_runtime *runtime = NULL;
    mf_pool *pool = NULL;
    mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    parent.program = "/nowhere/worker";
    parent.runtime = runtime;
    options.parent = &parent;
    mf_check_int(mf_pool_create(&pool, &options, NULL), MF_OK);
    const mf_probe *probe = mf_runtime_probe(runtime);
    probe->visit_health(probe->self, count_workers, &rows);
    mf_check_int(rows, 1);
    mf_pool_destroy(pool);
    probe->visit_health(probe->self, count_workers, &rows);
    mf_check_int(rows, 1);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"explain__a_member_by_its_state", test_a_member_is_explained_by_its_state},
    {"explain__a_reason_to_be_out_goes_before_the_state",
     test_a_reason_to_be_out_goes_before_the_state},
    {"health__before_the_start_fails", test_health_before_the_start_fails},
    {"health__warns_while_enough_are_ready", test_health_warns_while_enough_are_ready},
    {"health__a_pool_is_shown_once_while_it_lives", test_a_pool_is_shown_once_while_it_lives},
};

MF_TEST_MAIN(tests)
