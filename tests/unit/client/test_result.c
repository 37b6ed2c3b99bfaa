/* What a call brings back: decoded when it is asked for, and given back with its message. */
#include "core/client/calls/result.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/value.h>

#include "core/wire/limits.h"
#include "mf_test.h"

static int released;

static void count_released(mfi_message *message)
{
    (void)message;
    released++;
}

static mfi_slice encode(mf_value value)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_check_int(mf_value_encode(&value, &bytes, &size, NULL), MF_OK);
    return (mfi_slice){.data = bytes, .size = size};
}

static void drop(mfi_slice slice)
{
    free((void *)(uintptr_t)slice.data);
}

static mf_result *make(mfi_slice value, mfi_slice metadata)
{
    mf_result *result = mfi_result_new();
    mfi_result_message(result)->release = count_released;
    mfi_result_set(result, value, metadata, &mfi_limits_default);
    return result;
}

/* ---- Values ---- */

static void test_value_and_metadata(void)
{
    int64_t number = 0;
    mf_error error = MF_ERROR_INIT;
    mf_value pair[] = {mf_str("trace"), mf_str("abc")};
    mfi_slice value = encode(mf_int(42));
    mfi_slice metadata = encode(mf_map(pair, 1));
    mf_result *result = make(value, metadata);
    released = 0;
    mf_check_int(mf_result_read(result, MF_OUT(&number), &error), MF_OK);
    mf_check_int(number, 42);
    mf_check_int(mf_result_int(result), 42);
    mf_check(mf_result_value(result) == mf_result_value(result));
    mf_check_int(mf_result_metadata(result)->type, MF_TYPE_MAP);
    mf_check_int(mf_result_metadata(result)->length, 1);
    mf_check_int(released, 0);
    mf_result_destroy(result);
    mf_check_int(released, 1);
    drop(value);
    drop(metadata);
}

static void check_readings(mf_value value, int64_t integer, double number, bool boolean,
                           const char *text)
{
    mfi_slice bytes = encode(value);
    mf_result *result = make(bytes, (mfi_slice){.data = NULL});
    mf_check_int(mf_result_int(result), integer);
    mf_check(mf_result_double(result) == number);
    mf_check_int(mf_result_bool(result), boolean);
    mf_check_str(mf_result_str(result), text);
    mf_result_destroy(result);
    drop(bytes);
}

static void test_readings(void)
{
    check_readings(mf_int(-7), -7, -7, false, "");
    check_readings(mf_float(2.5), 0, 2.5, false, "");
    check_readings(mf_bool(true), 0, 0, true, "");
    check_readings(mf_str("text"), 0, 0, false, "text");
    check_readings(mf_nil(), 0, 0, false, "");
}

static void test_wrong_type(void)
{
    int64_t number = 5;
    mf_error error = MF_ERROR_INIT;
    mfi_slice bytes = encode(mf_str("text"));
    mf_result *result = make(bytes, (mfi_slice){.data = NULL});
    mf_check_int(mf_result_read(result, MF_OUT(&number), &error), MF_ERR_TYPE);
    mf_check_contains(error.message, "the result");
    mf_check_contains(error.message, "str");
    mf_check_int(number, 5);
    mf_result_destroy(result);
    drop(bytes);
}

/* ---- Nothing ---- */

static void test_absent(void)
{
    mf_result *result = make((mfi_slice){.data = NULL}, (mfi_slice){.data = NULL});
    mf_check_int(mf_result_value(result)->type, MF_TYPE_NIL);
    mf_check_int(mf_result_metadata(result)->type, MF_TYPE_NIL);
    mf_result_destroy(result);
}

static void test_no_result(void)
{
    int64_t number = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_result_value(NULL)->type, MF_TYPE_NIL);
    mf_check_int(mf_result_metadata(NULL)->type, MF_TYPE_NIL);
    mf_check_int(mf_result_read(NULL, MF_OUT(&number), &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "result is NULL");
    mf_check_int(mf_result_int(NULL), 0);
    mf_check_str(mf_result_str(NULL), "");
    mf_result_destroy(NULL);
}

/* Metadata that is no map is none. */
static void test_strange_metadata(void)
{
    mfi_slice value = encode(mf_int(1));
    mfi_slice metadata = encode(mf_int(2));
    mf_result *result = make(value, metadata);
    mf_check_int(mf_result_metadata(result)->type, MF_TYPE_NIL);
    mf_result_destroy(result);
    drop(value);
    drop(metadata);
}

/* ---- Memory that is used again ---- */

/* A result that is taken from the cache shows nothing of the one before. */
static void test_used_again(void)
{
    mf_value items[] = {mf_str("kept"), mf_int(2)};
    mfi_slice list = encode(mf_array(items, 2));
    for (int i = 0; i < 3; i++) {
        mf_result *result = make(list, (mfi_slice){.data = NULL});
        const mf_value *value = mf_result_value(result);
        mf_check_int(value->type, MF_TYPE_ARRAY);
        mf_check_int(value->length, 2);
        mf_result_destroy(result);
        result = mfi_result_new();
        mf_check(mfi_result_message(result)->release == NULL);
        mfi_result_set(result, (mfi_slice){.data = NULL}, (mfi_slice){.data = NULL},
                       &mfi_limits_default);
        mf_check_int(mf_result_value(result)->type, MF_TYPE_NIL);
        mf_result_destroy(result);
    }
    drop(list);
}

/* AddressSanitizer finds it by itself, and ends the test's process with a report. */
#if !defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__)
static void test_destroyed_twice(void)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        mf_result *result = mfi_result_new();
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO);
        mf_result_destroy(result);
        mf_result_destroy(result);
        _exit(0);
    }
    mf_check(pid > 0 && waitpid(pid, &status, 0) == pid);
    mf_check(WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP));
}
#endif

static const mf_test tests[] = {
#if !defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__)
    {"result__destroyed_twice_ends_the_program", test_destroyed_twice},
#endif
    {"result__value_and_metadata", test_value_and_metadata},
    {"result__readings_as_other_types", test_readings},
    {"result__wrong_type_is_named", test_wrong_type},
    {"result__absent_is_nil", test_absent},
    {"result__no_result", test_no_result},
    {"result__metadata_that_is_no_map", test_strange_metadata},
    {"result__memory_that_is_used_again", test_used_again},
};
MF_TEST_MAIN(tests)
