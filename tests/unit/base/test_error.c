/* Errors have code and message, cut between characters. Options of older and newer sizes are
 * accepted where the contract says so. */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "mf_test.h"

typedef struct options {
    size_t struct_size;
    int first;
    int second;
} options;

static void test_fail_fills(void)
{
    mf_error error;
    memset(&error, 'x', sizeof error);
    mf_check_int(mfi_fail(&error, MF_ERR_LIMIT, "%d is too much", 7), MF_ERR_LIMIT);
    mf_check_int(error.code, MF_ERR_LIMIT);
    mf_check_str(error.message, "7 is too much");
    mf_check_int(mfi_fail(NULL, MF_ERR_IO, "unseen"), MF_ERR_IO);
    mf_check_int(mfi_fail_errno(&error, MF_ERR_IO, ENOENT, "cannot open '%s'", "a"), MF_ERR_IO);
    mf_check_contains(error.message, "cannot open 'a': ");
    mf_check_contains(error.message, strerror(ENOENT));
}

static void test_long_message_is_cut_between_characters(void)
{
    mf_error error;
    char text[4 * MF_ERROR_MESSAGE_MAX + 1];
    for (size_t i = 0; i + 3 < sizeof text; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 4);
    }
    (void)mfi_fail(&error, MF_ERR_IO, "%s", text);
    size_t length = strlen(error.message);
    mf_check(length > MF_ERROR_MESSAGE_MAX - 4);
    mf_check(length < sizeof error.message);
    mf_check_int(length % 3, 0);
    mf_check_int(strncmp(error.message, text, length), 0);
}

static void test_options_of_other_sizes(void)
{
    mf_error error;
    options got;
    options given = {.struct_size = sizeof given, .first = 1, .second = 2};
    mf_check_int(mfi_options_copy(&got, sizeof got, sizeof got, &given, "options", &error), MF_OK);
    mf_check_int(got.second, 2);
    mf_check_int(mfi_options_copy(&got, sizeof got, sizeof got, NULL, "options", &error), MF_OK);
    mf_check_int(got.first, 0);
    /* Of an older program: the tail means the default. */
    given.struct_size = offsetof(options, second);
    mf_check_int(
        mfi_options_copy(&got, sizeof got, offsetof(options, second), &given, "options", &error),
        MF_OK);
    mf_check_int(got.first, 1);
    mf_check_int(got.second, 0);
    mf_check_int(mfi_options_copy(&got, sizeof got, sizeof got, &given, "options", &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "options");
    given.struct_size = 0;
    mf_check_int(mfi_options_copy(&got, sizeof got, sizeof(size_t), &given, "options", &error),
                 MF_ERR_INVALID_ARGUMENT);
}

static void test_options_of_a_newer_program(void)
{
    struct {
        options known;
        long more;
    } given = {.known = {.struct_size = sizeof given, .first = 1}};
    options got;
    mf_check_int(mfi_options_copy(&got, sizeof got, sizeof got, &given, "options", NULL), MF_OK);
    mf_check_int(got.first, 1);
    given.more = 1;
    mf_check_int(mfi_options_copy(&got, sizeof got, sizeof got, &given, "options", NULL),
                 MF_ERR_INVALID_ARGUMENT);
}

static void test_copy(void)
{
    mf_error from;
    mf_error to;
    (void)mfi_fail(&from, MF_ERR_TIMEOUT, "too late");
    mfi_error_copy(&to, &from);
    mf_check_int(to.code, MF_ERR_TIMEOUT);
    mf_check_str(to.message, "too late");
    mfi_error_copy(NULL, &from);
    mfi_error_clear(&to);
    mf_check_int(to.code, MF_OK);
    mf_check_str(to.message, "");
}

static const mf_test tests[] = {
    {"error__fail_fills_code_and_message", test_fail_fills},
    {"error__long_message_is_cut_between_characters", test_long_message_is_cut_between_characters},
    {"error__options_may_be_older", test_options_of_other_sizes},
    {"error__options_may_be_newer_if_the_tail_is_zero", test_options_of_a_newer_program},
    {"error__is_copied_and_cleared", test_copy},
};
MF_TEST_MAIN(tests)
