/* A thin layer over CUnit: tests in a table, a runner that is silent when all is well, and that
 * fails on a failed assertion, on no tests at all, and on what a test leaves behind: descriptors,
 * threads, child processes.
 *
 * CUnit's _FATAL assertions leave a test by longjmp, past its clean-up; use them in fixtures only.
 */
#ifndef MF_TEST_H
#define MF_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CUnit/CUnit.h>

typedef struct mf_test {
    const char *name; /* states the behaviour: "circuit__opens_after_n_failures" */
    void (*run)(void);
} mf_test;

/* Runs all, or those whose names contain argv[1]. The exit status of main. */
int mf_test_main(int argc, char **argv, const mf_test *tests, size_t count);
#define MF_TEST_MAIN(tests)                                                                        \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return mf_test_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]));                \
    }

/* A temporary directory, removed with all in it when the program ends. */
const char *mf_test_temp_dir(void);
/* A path below the build tree (MF_BUILD_DIR), and one below the source tree (MF_SOURCE_DIR);
 * valid until the next call of the same function from this thread. */
const char *mf_test_build_path(const char *relative);
const char *mf_test_source_path(const char *relative);

/* Assertions that show both values. */
void mf_check_int_at(const char *file, unsigned line, const char *what, long long got,
                     long long wanted);
void mf_check_str_at(const char *file, unsigned line, const char *what, const char *got,
                     const char *wanted);
/* text must contain part. */
void mf_check_contains_at(const char *file, unsigned line, const char *text, const char *part);
#define mf_check(condition)                                                                        \
    CU_assertImplementation((condition), __LINE__, #condition, __FILE__, "", CU_FALSE)
#define mf_check_int(got, wanted)                                                                  \
    mf_check_int_at(__FILE__, __LINE__, #got, (long long)(got), (long long)(wanted))
#define mf_check_str(got, wanted) mf_check_str_at(__FILE__, __LINE__, #got, (got), (wanted))
#define mf_check_contains(text, part) mf_check_contains_at(__FILE__, __LINE__, (text), (part))

/* How long a test waits for what has to come. Only what never comes outlasts it, on a machine
 * however busy; no test may depend on what it is. */
#define MF_TEST_PATIENCE_MS 20000
/* Monotonic milliseconds. */
int64_t mf_test_now_ms(void);
/* Waits until condition(data) holds, looking every millisecond; false after timeout_ms. For what
 * has no event that could be waited for, such as the end of somebody else's process. */
bool mf_test_until(bool (*condition)(void *data), void *data, int64_t timeout_ms);

#endif
