/* Many parents in one process: what they share, and how they fail when a limit is reached. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

static mf_runtime *make_runtime(void)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    return runtime;
}

static mf_parent *make_parent(mf_runtime *runtime)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.auto_restart = true;
    options.max_restart_attempts = MF_DISABLED;
    options.restart_backoff_ms = 20;
    options.restart_backoff_max_ms = 20;
    options.circuit_failures = MF_DISABLED;
    options.fail_fast = true;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    return parent;
}

static void check_add(mf_parent *parent)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
}

static bool lacks_room(void *data)
{
    mf_error error = MF_ERROR_INIT;
    mf_status status = mf_call(data, "add", MF_ARGS(40, 2), NULL, &error);
    return status == MF_ERR_NOT_RUNNING && strstr(error.message, "RLIMIT_NOFILE") != NULL;
}

/* How many descriptors are open that lead to something with this in its name. */
static unsigned count_open(const char *part)
{
    char target[256];
    unsigned count = 0;
    DIR *all = opendir("/proc/self/fd");
    for (struct dirent *at = all != NULL ? readdir(all) : NULL; at != NULL; at = readdir(all)) {
        ssize_t length = readlinkat(dirfd(all), at->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        count += length > 0 && strstr(target, part) != NULL ? 1 : 0;
    }
    mf_check(all != NULL);
    if (all != NULL) {
        (void)closedir(all);
    }
    return count;
}

/* Takes all descriptors but `left`, below the limit as it will be. */
typedef struct shortage {
    struct rlimit before;
    int taken[128];
    unsigned count;
} shortage;

static void begin_shortage(shortage *at, unsigned left)
{
    *at = (shortage){.count = 0};
    mf_check_int(getrlimit(RLIMIT_NOFILE, &at->before), 0);
    struct rlimit fewer = {.rlim_cur = 128, .rlim_max = at->before.rlim_max};
    mf_check_int(setrlimit(RLIMIT_NOFILE, &fewer), 0);
    while (at->count < sizeof at->taken / sizeof at->taken[0]) {
        int fd = dup(STDERR_FILENO);
        if (fd < 0) {
            break;
        }
        at->taken[at->count++] = fd;
    }
    for (unsigned i = 0; i < left && mf_check(at->count > 0); i++) {
        (void)close(at->taken[--at->count]);
    }
}

static void end_shortage(shortage *at)
{
    while (at->count > 0) {
        (void)close(at->taken[--at->count]);
    }
    mf_check_int(setrlimit(RLIMIT_NOFILE, &at->before), 0);
}

static void check_cannot_start(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "file descriptors");
    mf_check_contains(error.message, "128 that are allowed (RLIMIT_NOFILE)");
}

/* However many are left, a start says so, and nothing else is lost. */
static void test_descriptors_run_out(void)
{
    shortage none;
    mf_runtime *runtime = make_runtime();
    mf_parent *first = make_parent(runtime);
    mf_check_int(mf_parent_start(first, NULL), MF_OK);
    for (unsigned left = 0; left < 20; left += 3) {
        mf_parent *second = make_parent(runtime);
        begin_shortage(&none, left);
        check_cannot_start(second);
        check_add(first);
        end_shortage(&none);
        mf_parent_destroy(second);
    }
    mf_parent *third = make_parent(runtime);
    mf_check_int(mf_parent_start(third, NULL), MF_OK);
    check_add(third);
    mf_parent_destroy(third);
    mf_parent_destroy(first);
    mf_runtime_destroy(runtime);
}

/* The first socket of all brings libzmq's own threads, which cannot do without descriptors. */
static void test_descriptors_run_out_before_the_first_start(void)
{
    shortage none;
    for (unsigned left = 0; left < 20; left += 3) {
        mf_runtime *runtime = make_runtime();
        mf_parent *parent = make_parent(runtime);
        begin_shortage(&none, left);
        check_cannot_start(parent);
        end_shortage(&none);
        mf_parent_destroy(parent);
        mf_runtime_destroy(runtime);
    }
}

static void test_restart_waits_for_descriptors(void)
{
    shortage none;
    mf_runtime *runtime = make_runtime();
    mf_parent *parent = make_parent(runtime);
    mf_check_int(mf_parent_start(parent, NULL), MF_OK);
    begin_shortage(&none, 0);
    mf_check_int(kill((pid_t)mf_parent_pid(parent), SIGKILL), 0);
    /* Those of the old worker are free by then, which are not enough. */
    mf_check(mf_test_until(lacks_room, parent, 5000));
    mf_check_int(mf_parent_get_state(parent), MF_PARENT_RESTARTING);
    end_shortage(&none);
    mf_check(mf_test_until(is_ready, parent, 10000));
    check_add(parent);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

/* ---- Memory ---- */

static long resident_kib(void)
{
    long pages = 0;
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    mf_check(file != NULL && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    if (file != NULL) {
        (void)fclose(file);
    }
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The table of a parent's calls has room for thousands, 6 MiB, and memory is used as far as there
 * were any: also where other parents have been before. */
static void test_unused_calls_take_no_memory(void)
{
    mf_parent *parents[20];
    mf_runtime *runtime = make_runtime();
    size_t count = sizeof parents / sizeof parents[0];
    long before = resident_kib();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++) {
            parents[i] = make_parent(runtime);
        }
        mf_check(resident_kib() - before < (long)count * 512);
        for (size_t i = 0; i < count; i++) {
            mf_parent_destroy(parents[i]);
        }
    }
    mf_runtime_destroy(runtime);
}

/* ---- The registry ---- */

static mf_parent *look_for(mf_runtime *runtime, const char *directory)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.service_id = "nobody";
    options.registry_directory = directory;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    return parent;
}

static bool has_watches(void *data)
{
    return count_open("inotify") == *(const unsigned *)data;
}

static void check_watches(unsigned wanted)
{
    mf_check(mf_test_until(has_watches, &wanted, 5000));
    mf_check_int(count_open("inotify"), wanted);
}

static void test_parents_share_a_watch(void)
{
    char other[512];
    mf_parent *here[20];
    mf_runtime *runtime = make_runtime();
    size_t count = sizeof here / sizeof here[0];
    (void)snprintf(other, sizeof other, "%s/..", mf_test_temp_dir());
    check_watches(0);
    for (size_t i = 0; i < count; i++) {
        here[i] = look_for(runtime, mf_test_temp_dir());
    }
    check_watches(1);
    mf_parent *there = look_for(runtime, other);
    check_watches(2);
    for (size_t i = 0; i < count; i++) {
        mf_parent_destroy(here[i]);
    }
    check_watches(1);
    mf_parent_destroy(there);
    check_watches(0);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"scale__no_descriptors_fail_a_start_alone", test_descriptors_run_out},
    {"scale__no_descriptors_before_the_first_start",
     test_descriptors_run_out_before_the_first_start},
    {"scale__restart_waits_for_descriptors", test_restart_waits_for_descriptors},
    {"scale__unused_calls_take_no_memory", test_unused_calls_take_no_memory},
    {"scale__parents_of_one_directory_share_a_watch", test_parents_share_a_watch},
};
MF_TEST_MAIN(tests)
