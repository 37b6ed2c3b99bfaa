/* Pools as they are made, and what their start makes of members that fail. */
#include <stdio.h>
#include <string.h>

#include "idle_pool.h"

/* ---- Options ---- */

static void check_refused(mf_pool_options options, mf_parent_options parent, const char *message)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    options.struct_size = sizeof options;
    parent.struct_size = sizeof parent;
    options.parent = &parent;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, message);
    mf_check(pool == NULL);
    mf_pool_destroy(pool);
}

static void test_options_are_named_when_they_are_wrong(void)
{
    const mf_parent_options spawned = {.program = "/nowhere/worker"};
    const mf_parent_options any = {.program = NULL};
    check_refused((mf_pool_options){.workers = -1}, spawned, "workers must be 1 to 256, not -1");
    check_refused((mf_pool_options){.workers = 257}, spawned, "workers must be 1 to 256, not 257");
    check_refused((mf_pool_options){.min_ready = 3}, spawned, "min_ready must be 1 to 2, not 3");
    check_refused((mf_pool_options){.min_ready = -1}, spawned, "min_ready must be 1 to 2, not -1");
    check_refused((mf_pool_options){.drain_timeout_ms = -1}, spawned,
                  "drain_timeout_ms must not be negative");
    check_refused((mf_pool_options){.workers = 2},
                  (mf_parent_options){.program = "/nowhere/worker", .port = 5501},
                  "parent->port must be 0: 2 workers cannot share port 5501");
    check_refused((mf_pool_options){.workers = 2}, (mf_parent_options){.service_id = "a"},
                  "a pool takes service_ids, not parent->service_id");
    check_refused((mf_pool_options){.service_ids = (const char *const[]){NULL}}, any,
                  "service_ids is empty");
    check_refused((mf_pool_options){.service_ids = (const char *const[]){"a", "b", "a", NULL}}, any,
                  "service_ids has 'a' twice");
    check_refused((mf_pool_options){.service_ids = (const char *const[]){"a", NULL}, .workers = 1},
                  any,
                  "service_ids excludes workers, parent->program, parent->service_id and "
                  "parent->endpoint");
    check_refused((mf_pool_options){.service_ids = (const char *const[]){"a", NULL}}, spawned,
                  "service_ids excludes workers, parent->program, parent->service_id and "
                  "parent->endpoint");
    check_refused((mf_pool_options){.endpoints = (const char *const[]){NULL}}, any,
                  "endpoints is empty");
    check_refused((mf_pool_options){.endpoints = (const char *const[]){"a", NULL},
                                    .service_ids = (const char *const[]){"a", NULL}},
                  any, "service_ids and endpoints exclude each other");
    check_refused((mf_pool_options){.endpoints = (const char *const[]){"a", NULL}},
                  (mf_parent_options){.endpoint = "tcp://127.0.0.1:5555"},
                  "endpoints excludes workers, parent->program, parent->service_id and "
                  "parent->endpoint");
    check_refused((mf_pool_options){.endpoints = (const char *const[]){"a", NULL}}, any,
                  "endpoint 'a': it must begin with tcp://");
}

static void test_number_of_services_is_bounded(void)
{
    static char names[MF_POOL_WORKERS_MAX + 1][16];
    const char *ids[MF_POOL_WORKERS_MAX + 2] = {NULL};
    for (int i = 0; i <= MF_POOL_WORKERS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%d", i);
        ids[i] = names[i];
    }
    check_refused((mf_pool_options){.service_ids = ids}, (mf_parent_options){.program = NULL},
                  "service_ids has more than 256 names");
}

static void test_what_is_missing_is_an_error(void)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    mf_check_int(mf_pool_create(NULL, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_pool_create(&pool, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "ret_pool and options must not be NULL");
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "parent is missing in mf_pool_options");
    mf_check_int(mf_pool_start(NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "pool is NULL");
    mf_check_int(mf_pool_stop(NULL, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_pool_size(NULL), 0);
    mf_check(mf_pool_member(NULL, 0) == NULL);
    mf_pool_destroy(NULL);
}

/* ---- What is made ---- */

static void test_members_have_numbers_and_one_target(void)
{
    mf_pool *pool = idle_pool(3, 0);
    mf_check_int(mf_pool_size(pool), 3);
    mf_check_str(mfi_pool_name(pool), "math");
    for (uint32_t i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "math-%u", (unsigned)i);
        mf_check(mf_pool_member(pool, i) == idle_member(pool, i));
        mf_check_str(mfi_member_worker(mf_pool_member(pool, i)), name);
        mf_check_str(mfi_member_target(mf_pool_member(pool, i)), "math");
        mf_check_int(mfi_member_state(mf_pool_member(pool, i)), MF_PARENT_CREATED);
    }
    mf_check(mf_pool_member(pool, 3) == NULL);
    mf_pool_destroy(pool);
}

static void test_zero_means_the_default(void)
{
    mf_pool *pool = idle_pool(0, 0);
    mf_check_int(pool->size, 2);
    mf_check_int(pool->min_ready, 2); /* all, for the start */
    mf_check_int(pool->min_healthy, 1);
    mf_check_int(pool->drain_timeout_ms, 30000);
    mf_pool_destroy(pool);
}

/* ---- Start and stop ---- */

/* Services that nobody registered: a start looks once, and fails without any process. */
static mf_pool *missing_services(int32_t min_ready)
{
    static const char *const ids[] = {"first", "second", NULL};
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    parent.registry_directory = mf_test_temp_dir();
    parent.discovery_timeout_ms = 1;
    options.parent = &parent;
    options.service_ids = ids;
    options.min_ready = min_ready;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return pool;
}

static void check_start_fails(int32_t min_ready)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = missing_services(min_ready);
    mf_check_str(mfi_pool_name(pool), "first"); /* where no target was given */
    mf_check_int(mf_pool_start(pool, &error), MF_ERR_NOT_FOUND);
    mf_check_int(error.code, MF_ERR_NOT_FOUND);
    mf_check(strstr(error.message, "'first'") != NULL || strstr(error.message, "'second'") != NULL);
    for (uint32_t i = 0; i < 2; i++) {
        mf_check_int(mfi_member_state(idle_member(pool, i)), MF_PARENT_STOPPED);
    }
    mf_check(!atomic_load(&pool->started));
    mf_check_int(mf_pool_start(pool, &error), MF_ERR_STATE);
    mf_check_contains(error.message, "was started or stopped before");
    mf_pool_destroy(pool);
}

static void test_a_start_that_fails_stops_all_members(void)
{
    check_start_fails(0); /* one failure is enough */
    check_start_fails(1); /* both have to fail */
}

static void check_ended_without_a_link(void *argument)
{
    mf_pool *pool = argument;
    for (uint32_t i = 0; i < pool->size; i++) {
        mf_check_int(idle_member(pool, i)->link.phase, MFI_LIFE_NEW);
        mf_check_int(mfi_member_state(idle_member(pool, i)), MF_PARENT_STOPPED);
    }
}

/* There is nothing to end, so that the engine thread begins nothing that a destruction would have
 * to wait for. */
static void test_a_second_stop_begins_nothing(void)
{
    mf_pool *pool = idle_pool(2, 0);
    mf_check_int(mf_pool_stop(pool, NULL), MF_OK);
    mf_check_int(mf_pool_stop(pool, NULL), MF_OK);
    /* Runs behind what the stops have posted. */
    mfi_loop_call(pool->runtime->loop, check_ended_without_a_link, pool);
    mf_pool_destroy(pool);
}

static void test_a_pool_that_was_stopped_does_not_start(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool *pool = idle_pool(2, 0);
    mf_check_int(mf_pool_stop(pool, &error), MF_OK);
    mf_check_int(mf_pool_stop(pool, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_ERR_STATE);
    mf_pool_destroy(pool);
}

typedef struct on_engine {
    mf_pool *pool;
    mf_status start, stop, drain, restart;
    mf_error error;
} on_engine;

static void use_on_engine(void *argument)
{
    on_engine *at = argument;
    at->start = mf_pool_start(at->pool, &at->error);
    at->stop = mf_pool_stop(at->pool, NULL);
    at->drain = mf_pool_drain(at->pool, 0, NULL);
    at->restart = mf_pool_rolling_restart(at->pool, NULL);
    mf_pool_destroy(at->pool); /* would hang, and is none */
}

static void test_the_engine_thread_does_not_wait(void)
{
    mf_pool *pool = idle_pool(2, 0);
    on_engine at = {.pool = pool};
    mfi_loop_call(pool->runtime->loop, use_on_engine, &at);
    mf_check_int(at.start, MF_ERR_WOULD_DEADLOCK);
    mf_check_str(at.error.message, "a start of a pool from a callback would wait for itself");
    mf_check_int(at.stop, MF_ERR_WOULD_DEADLOCK);
    mf_check_int(at.drain, MF_ERR_WOULD_DEADLOCK);
    mf_check_int(at.restart, MF_ERR_WOULD_DEADLOCK);
    mf_check_int(mfi_member_state(idle_member(pool, 0)), MF_PARENT_CREATED);
    mf_check(!mfi_pool_is_out(&pool->members[0]) && !pool->restarting);
    mf_pool_destroy(pool);
}

static const mf_test tests[] = {
    {"pool__options_are_named_when_they_are_wrong", test_options_are_named_when_they_are_wrong},
    {"pool__number_of_services_is_bounded", test_number_of_services_is_bounded},
    {"pool__what_is_missing_is_an_error", test_what_is_missing_is_an_error},
    {"pool__members_have_numbers_and_one_target", test_members_have_numbers_and_one_target},
    {"pool__zero_means_the_default", test_zero_means_the_default},
    {"pool__a_start_that_fails_stops_all_members", test_a_start_that_fails_stops_all_members},
    {"pool__a_second_stop_begins_nothing", test_a_second_stop_begins_nothing},
    {"pool__that_was_stopped_does_not_start", test_a_pool_that_was_stopped_does_not_start},
    {"pool__engine_thread_does_not_wait", test_the_engine_thread_does_not_wait},
};

MF_TEST_MAIN(tests)
