/* A pool of services that it did not start: they are found by name, go, and come back. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"

/* A service of this process, on a thread of its own. */
typedef struct service {
    mf_child *child;
    pthread_t thread;
    _Atomic(int) calls;
    mf_status ended;
} service;

static mf_status count(mf_request *request, mf_reply *reply, void *user_data)
{
    service *at = user_data;
    int64_t number;
    if (mf_request_unpack(request, &number) != MF_OK) {
        return MF_ERR_TYPE;
    }
    at->calls++;
    return mf_reply_value(reply, number + 1);
}

static void *run_service(void *argument)
{
    service *at = argument;
    at->ended = mf_child_run(at->child, NULL);
    return NULL;
}

static void start_service(service *at, const char *name)
{
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.service_id = name;
    options.registry_directory = mf_test_temp_dir();
    options.no_signals = true;
    options.no_output_capture = true;
    at->child = NULL;
    at->calls = 0;
    mf_check_int(mf_child_create(&at->child, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_child_handle(at->child, "next", count, at), MF_OK);
    pthread_create(&at->thread, NULL, run_service, at);
}

static void end_service(service *at)
{
    mf_child_stop(at->child);
    pthread_join(at->thread, NULL);
    mf_check_int(at->ended, MF_OK);
    mf_child_destroy(at->child);
}

static mf_pool *start_pool(void)
{
    static const char *const names[] = {"alpha", "beta", NULL};
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    parent.registry_directory = mf_test_temp_dir();
    options.parent = &parent;
    options.service_ids = names;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_str(error.message, "");
    return pool;
}

static void call_times(mf_pool *pool, int times)
{
    for (int i = 0; i < times; i++) {
        mf_error error = MF_ERROR_INIT;
        mf_result *result = NULL;
        mf_check_int(mf_pool_call(pool, "next", MF_ARGS(i), &result, &error), MF_OK);
        mf_check_str(error.message, "");
        mf_check_int(mf_result_int(result), i + 1);
        mf_result_destroy(result);
    }
}

static bool is_ready(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_READY;
}

static bool is_away(void *parent)
{
    return !is_ready(parent);
}

static void test_services(void)
{
    mf_error error = MF_ERROR_INIT;
    service alpha, beta;
    start_service(&alpha, "alpha");
    start_service(&beta, "beta");
    mf_pool *pool = start_pool();
    mf_check_int(mf_pool_size(pool), 2);
    call_times(pool, 100);
    mf_check(alpha.calls > 10);
    mf_check(beta.calls > 10);
    mf_check_int(alpha.calls + beta.calls, 100);

    end_service(&alpha);
    mf_check(mf_test_until(is_away, mf_pool_member(pool, 0), 5000));
    call_times(pool, 20);
    mf_check_int(mf_pool_drain(pool, 1, &error), MF_OK);
    mf_check_int(mf_pool_resume(pool, 1, &error), MF_OK);

    start_service(&alpha, "alpha"); /* on another port */
    mf_check(mf_test_until(is_ready, mf_pool_member(pool, 0), 5000));
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_OK); /* connects anew */
    mf_check_str(error.message, "");
    call_times(pool, 100);
    mf_check(alpha.calls > 10);
    mf_pool_destroy(pool);
    end_service(&alpha);
    end_service(&beta);
}

static const mf_test tests[] = {
    {"services__are_found_go_and_come_back", test_services},
};
MF_TEST_MAIN(tests)
