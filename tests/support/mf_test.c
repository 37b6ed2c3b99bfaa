/* Runs the tests of a table with CUnit, and checks after each one that no descriptor, thread or
 * child process is left. */
#include "mf_test.h"

#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/TestRun.h>

static char temp_dir[256];

/* ---- What a test leaves behind ---- */

typedef struct resources {
    long descriptors, threads, children;
} resources;

static long count_entries(const char *path)
{
    long count = -2; /* "." and ".." */
    DIR *directory = opendir(path);
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

static long count_children(void)
{
    long count = 0;
    int pid = 0;
    FILE *list = fopen("/proc/thread-self/children", "re");
    while (list != NULL && fscanf(list, "%d", &pid) == 1) {
        count++;
    }
    if (list != NULL) {
        (void)fclose(list);
    }
    return count;
}

static resources count_resources(void)
{
    return (resources){.descriptors = count_entries("/proc/self/fd"),
                       .threads = count_entries("/proc/self/task"),
                       .children = count_children()};
}

static bool is_settled(void *data)
{
    const resources *before = data;
    resources now = count_resources();
    return now.descriptors <= before->descriptors && now.threads <= before->threads &&
           now.children <= before->children;
}

static void check_resources(resources before)
{
    char text[256];
    /* A joined thread leaves /proc a moment later than it leaves pthread_join. */
    if (!mf_test_until(is_settled, &before, MF_TEST_PATIENCE_MS)) {
        resources now = count_resources();
        (void)snprintf(text, sizeof text,
                       "left behind: descriptors %ld -> %ld, threads %ld -> %ld, children %ld -> "
                       "%ld",
                       before.descriptors, now.descriptors, before.threads, now.threads,
                       before.children, now.children);
        CU_assertImplementation(CU_FALSE, __LINE__, text, __FILE__, "", CU_FALSE);
    }
}

/* ---- Running ---- */

static const mf_test *running;

static void run_checked(void)
{
    resources before = count_resources();
    running->run();
    check_resources(before);
}

static unsigned run_one(const mf_test *test)
{
    running = test;
    CU_pSuite suite = CU_add_suite(test->name, NULL, NULL);
    CU_pTest added = suite != NULL ? CU_add_test(suite, test->name, run_checked) : NULL;
    if (added == NULL || CU_run_test(suite, added) != CUE_SUCCESS) {
        (void)fprintf(stderr, "%s: cannot be run\n", test->name);
        return 1;
    }
    unsigned failures = CU_get_number_of_failures();
    for (CU_pFailureRecord at = CU_get_failure_list(); at != NULL; at = at->pNext) {
        (void)fprintf(stderr, "%s: %s:%u: %s\n", test->name,
                      at->strFileName != NULL ? at->strFileName : "?", at->uiLineNumber,
                      at->strCondition != NULL ? at->strCondition : "?");
    }
    CU_clear_previous_results();
    return failures;
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *at)
{
    (void)facts;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_temp_dir(void)
{
    if (temp_dir[0] != '\0') {
        (void)nftw(temp_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static void *do_nothing(void *argument)
{
    return argument;
}

int mf_test_main(int argc, char **argv, const mf_test *tests, size_t count)
{
    unsigned failures = 0;
    size_t ran = 0;
    /* A sanitizer starts a thread of its own with the program's first one; that must not count. */
    pthread_t first;
    if (pthread_create(&first, NULL, do_nothing, NULL) != 0 || pthread_join(first, NULL) != 0 ||
        CU_initialize_registry() != CUE_SUCCESS) {
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < count; i++) {
        if (argc < 2 || strstr(tests[i].name, argv[1]) != NULL) {
            failures += run_one(&tests[i]);
            ran++;
        }
    }
    CU_cleanup_registry();
    remove_temp_dir();
    if (ran == 0) {
        (void)fputs("no tests were run\n", stderr);
    }
    return failures == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Places ---- */

const char *mf_test_temp_dir(void)
{
    if (temp_dir[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(temp_dir, sizeof temp_dir, "%s/mf-test-XXXXXX",
                       base != NULL ? base : "/tmp");
        if (mkdtemp(temp_dir) == NULL) {
            abort();
        }
    }
    return temp_dir;
}

static const char *below(const char *variable, const char *relative, char *to, size_t size)
{
    const char *base = getenv(variable);
    (void)snprintf(to, size, "%s/%s", base != NULL ? base : ".", relative);
    return to;
}

const char *mf_test_build_path(const char *relative)
{
    static _Thread_local char path[1024];
    return below("MF_BUILD_DIR", relative, path, sizeof path);
}

const char *mf_test_source_path(const char *relative)
{
    static _Thread_local char path[1024];
    return below("MF_SOURCE_DIR", relative, path, sizeof path);
}

/* ---- Assertions ---- */

void mf_check_int_at(const char *file, unsigned line, const char *what, long long got,
                     long long wanted)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s is %lld, not %lld", what, got, wanted);
    CU_assertImplementation(got == wanted, line, text, file, "", CU_FALSE);
}

void mf_check_str_at(const char *file, unsigned line, const char *what, const char *got,
                     const char *wanted)
{
    char text[2048];
    bool equal = got != NULL && wanted != NULL && strcmp(got, wanted) == 0;
    (void)snprintf(text, sizeof text, "%s is \"%s\", not \"%s\"", what,
                   got != NULL ? got : "(null)", wanted != NULL ? wanted : "(null)");
    CU_assertImplementation(equal, line, text, file, "", CU_FALSE);
}

void mf_check_contains_at(const char *file, unsigned line, const char *text, const char *part)
{
    char message[2048];
    bool found = text != NULL && strstr(text, part) != NULL;
    (void)snprintf(message, sizeof message, "\"%s\" does not contain \"%s\"",
                   text != NULL ? text : "(null)", part);
    CU_assertImplementation(found, line, message, file, "", CU_FALSE);
}

int64_t mf_test_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool mf_test_until(bool (*condition)(void *data), void *data, int64_t timeout_ms)
{
    int64_t deadline = mf_test_now_ms() + timeout_ms;
    while (!condition(data)) {
        if (mf_test_now_ms() >= deadline) {
            return false;
        }
        (void)poll(NULL, 0, 1);
    }
    return true;
}
