/* A thin layer over CUnit: tests in a table, and a runner that prints nothing if all is well. The
 * runner fails on a failed assertion, on a run without tests, and if a test leaves descriptors,
 * threads or child processes behind.
 *
 * CUnit's _FATAL assertions leave a test by longjmp, without its clean-up; use them only in
 * fixtures. */
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

/* Runs all tests, or those whose names contain argv[1]. Returns the exit status of main. */
int mf_test_main(int argc, char **argv, const mf_test *tests, size_t count);
#define MF_TEST_MAIN(tests)                                                                        \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return mf_test_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]));                \
    }

/* A temporary directory, removed with its content when the program ends. */
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
/* Asserts that text contains part. */
void mf_check_contains_at(const char *file, unsigned line, const char *text, const char *part);
#define mf_check(condition)                                                                        \
    CU_assertImplementation((condition), __LINE__, #condition, __FILE__, "", CU_FALSE)
#define mf_check_int(got, wanted)                                                                  \
    mf_check_int_at(__FILE__, __LINE__, #got, (long long)(got), (long long)(wanted))
#define mf_check_str(got, wanted) mf_check_str_at(__FILE__, __LINE__, #got, (got), (wanted))
#define mf_check_contains(text, part) mf_check_contains_at(__FILE__, __LINE__, (text), (part))

/* How long a test waits for an event, in ms. Only an event that never happens takes longer, on the
 * busiest machine too; no test may depend on the number. */
#define MF_TEST_PATIENCE_MS 20000
/* Monotonic milliseconds. */
int64_t mf_test_now_ms(void);
/* Waits until condition(data) is true, with a check every millisecond; false after timeout_ms. For
 * conditions without an event to wait for, such as the end of a process that is no child. */
bool mf_test_until(bool (*condition)(void *data), void *data, int64_t timeout_ms);

#endif
