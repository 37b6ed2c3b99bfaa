/* A pool of services that it did not start: it finds them by name, loses them, and finds them
 * again. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

/* The test's temporary directory is their home. */
static pid_t start_service(const char *name)
{
    char program[300], id[32], option[] = "--service";
    pid_t pid = 0;
    (void)snprintf(id, sizeof id, "%s", name);
    (void)snprintf(program, sizeof program, "%s",
                   mf_test_build_path("tests/conformance/conformance_child"));
    char *args[] = {program, option, id, NULL};
    mf_check_int(setenv("HOME", mf_test_temp_dir(), 1), 0);
    mf_check_int(posix_spawn(&pid, program, NULL, NULL, args, environ), 0);
    return pid;
}

static void end_service(pid_t pid)
{
    int status = 0;
    mf_check_int(kill(pid, SIGTERM), 0);
    mf_check_int(waitpid(pid, &status, 0), pid);
    mf_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static mf_pool *start_pool(void)
{
    static const char *const names[] = {"alpha", "beta", NULL};
    char directory[300];
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    (void)snprintf(directory, sizeof directory, "%s/.multifrost", mf_test_temp_dir());
    parent.registry_directory = directory;
    parent.discovery_timeout_ms = 20000; /* they are on their way */
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
        mf_check_int(mf_pool_call(pool, "add", MF_ARGS(i, 1), &result, &error), MF_OK);
        mf_check_str(error.message, "");
        mf_check_int(mf_result_int(result), i + 1);
        mf_result_destroy(result);
    }
}

static uint64_t calls_of(mf_pool *pool, uint32_t index)
{
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_check_int(mf_parent_read_stats(mf_pool_member(pool, index), &stats, NULL), MF_OK);
    return stats.calls_total;
}

static bool is_away(void *parent)
{
    return !is_ready(parent);
}

static void test_services(void)
{
    mf_error error = MF_ERROR_INIT;
    pid_t alpha = start_service("alpha");
    pid_t beta = start_service("beta");
    mf_pool *pool = start_pool();
    mf_check_int(mf_pool_size(pool), 2);
    mf_check_int(mf_parent_pid(mf_pool_member(pool, 0)), alpha);
    mf_check_int(mf_parent_pid(mf_pool_member(pool, 1)), beta);
    call_times(pool, 100);
    mf_check(calls_of(pool, 0) > 10);
    mf_check(calls_of(pool, 1) > 10);
    mf_check_int(calls_of(pool, 0) + calls_of(pool, 1), 100);

    end_service(alpha);
    mf_check(mf_test_until(is_away, mf_pool_member(pool, 0), 5000));
    uint64_t before = calls_of(pool, 0);
    call_times(pool, 20);
    mf_check_int(calls_of(pool, 0), before);

    alpha = start_service("alpha"); /* on another port */
    mf_check(mf_test_until(is_ready, mf_pool_member(pool, 0), 5000));
    mf_check_int(mf_parent_pid(mf_pool_member(pool, 0)), alpha);
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_OK); /* connects anew */
    mf_check_str(error.message, "");
    mf_check_int(mf_parent_pid(mf_pool_member(pool, 0)), alpha);
    call_times(pool, 100);
    mf_check(calls_of(pool, 0) > before + 10);
    mf_pool_destroy(pool);
    end_service(alpha);
    end_service(beta);
}

static const mf_test tests[] = {
    {"services__are_found_go_and_come_back", test_services},
};
MF_TEST_MAIN(tests)
