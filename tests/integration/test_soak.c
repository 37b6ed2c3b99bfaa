/* Millions of calls: memory, descriptors and threads of both processes do not grow. MF_SOAK_CALLS
 * sets the number of calls. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"

enum { UNDER_WAY = 256 };

typedef struct holdings {
    long rss_kib, descriptors, threads;
} holdings;

static long count_entries(int64_t pid, const char *folder)
{
    char path[64];
    long count = 0;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/%s", pid, folder);
    DIR *open_folder = opendir(path);
    while (open_folder != NULL && readdir(open_folder) != NULL) {
        count++;
    }
    if (open_folder != NULL) {
        (void)closedir(open_folder);
    }
    return count;
}

static holdings look_at(int64_t pid)
{
    char path[64];
    long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/statm", pid);
    FILE *file = fopen(path, "r");
    mf_check(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    if (file != NULL) {
        (void)fclose(file);
    }
    return (holdings){.rss_kib = pages * (sysconf(_SC_PAGESIZE) / 1024),
                      .descriptors = count_entries(pid, "fd"),
                      .threads = count_entries(pid, "task")};
}

/* One round: many calls under way at a time, a few waiting ones, an error, a large value. */
static int call_round(mf_parent *parent, const char *large, size_t size)
{
    mf_error error = MF_ERROR_INIT;
    mf_future *futures[UNDER_WAY] = {0};
    mf_result *result = NULL;
    for (int64_t i = 0; i < UNDER_WAY; i++) {
        mf_check_int(mf_call_future(parent, "add", MF_ARGS(i, 1), NULL, &futures[i], &error),
                     MF_OK);
    }
    for (int64_t i = 0; i < UNDER_WAY; i++) {
        result = NULL;
        mf_check_int(mf_future_wait(futures[i], 60000, &result, &error), MF_OK);
        mf_check_int(mf_result_int(result), i + 1);
        mf_result_destroy(result);
        mf_future_destroy(futures[i]);
    }
    mf_check_int(mf_call(parent, "divide", MF_ARGS(1, 0), NULL, &error), MF_ERR_REMOTE);
    result = NULL;
    mf_check_int(mf_call(parent, "echo", MF_ARGS(mf_str_n(large, size)), &result, &error), MF_OK);
    mf_check_int(mf_result_value(result)->length, size);
    mf_result_destroy(result);
    return UNDER_WAY + 2;
}

static void check_same(const char *who, holdings early, holdings late)
{
    fprintf(stderr, "%s: %ld KiB, then %ld KiB\n", who, early.rss_kib, late.rss_kib);
    mf_check(late.rss_kib - early.rss_kib < 2048);
    mf_check_int(late.descriptors, early.descriptors);
    mf_check_int(late.threads, early.threads);
}

static void test_holdings_stay_the_same(void)
{
    const char *asked = getenv("MF_SOAK_CALLS");
    int64_t wanted = asked != NULL ? atoll(asked) : 20000;
    size_t size = 200000;
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    holdings own = {0}, worker = {0};
    char *large = malloc(size);
    mf_check(large != NULL);
    memset(large, 'x', size);
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.circuit_failures = MF_DISABLED;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    int64_t made = 0;
    while (made < wanted) {
        made += call_round(parent, large, size);
        if (own.rss_kib == 0 && made >= wanted / 4) { /* warm by now */
            own = look_at(getpid());
            worker = look_at(mf_parent_pid(parent));
        }
    }
    check_same("caller", own, look_at(getpid()));
    check_same("worker", worker, look_at(mf_parent_pid(parent)));
    mf_parent_destroy(parent);
    free(large);
}

static const mf_test tests[] = {{"soak__holdings_stay_the_same", test_holdings_stay_the_same}};

MF_TEST_MAIN(tests)
