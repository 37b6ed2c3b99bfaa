/* The table of functions: names that are found, names that are refused, and the table after a
 * failure. */
#include "core/server/functions.h"

#include <stdio.h>
#include <string.h>

#include "mf_alloc.h"
#include "mf_test.h"

static mf_status one(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)reply;
    (void)user_data;
    return MF_OK;
}

static mf_status other(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)reply;
    (void)user_data;
    return MF_ERR_TYPE;
}

static mf_status add(mfi_functions *functions, const char *name)
{
    return mfi_functions_register(functions, name, one, NULL, false);
}

static const char *found(const mfi_functions *functions, const char *name, size_t length)
{
    const mfi_handler *handler = mfi_functions_find(functions, name, length);
    return handler != NULL ? handler->name : "";
}

static void test_names_are_found_and_sorted(void)
{
    static const char *const names[] = {"b", "abc", "ab", "\xc3\xa9", "a", "abcd"};
    static const char *const sorted[] = {"a", "ab", "abc", "abcd", "b", "\xc3\xa9"};
    mfi_functions functions = {0};
    mf_check(mfi_functions_find(&functions, "a", 1) == NULL);
    for (size_t i = 0; i < 6; i++) {
        mf_check_int(add(&functions, names[i]), MF_OK);
    }
    mf_check_int(functions.count, 6);
    for (size_t i = 0; i < 6; i++) {
        mf_check_str(functions.all[i].name, sorted[i]);
        mf_check_str(found(&functions, sorted[i], strlen(sorted[i])), sorted[i]);
    }
    mf_check_str(found(&functions, "abcde", 5), "");
    mf_check_str(found(&functions, "abcde", 3), "abc"); /* only so many bytes are the name */
    mf_check_str(found(&functions, "a\0b", 3), "");
    mf_check_str(found(&functions, "a\0", 2), "");
    mf_check_str(found(&functions, "", 0), "");
    mf_check_str(found(&functions, NULL, 0), "");
    mfi_functions_fini(&functions);
}

static void test_builtin_gives_way_and_a_function_does_not(void)
{
    int data = 0;
    mf_error error = MF_ERROR_INIT;
    mfi_functions functions = {0};
    mfi_handler builtin = {.run = one, .builtin = true, .hidden = true};
    mf_check_int(mfi_functions_add(&functions, "ping", &builtin, &error), MF_OK);
    mf_check_int(mfi_functions_register(&functions, "ping", other, &data, false), MF_OK);
    mf_check_int(functions.count, 1);
    const mfi_handler *handler = mfi_functions_find(&functions, "ping", 4);
    mf_check(handler->run == other && handler->user_data == &data);
    mf_check(!handler->builtin && !handler->hidden);
    mf_check_int(add(&functions, "ping"), MF_ERR_EXISTS);
    mf_check(mfi_functions_find(&functions, "ping", 4)->run == other);
    mfi_functions_fini(&functions);
}

static void test_first_failure_is_kept(void)
{
    char name[300];
    mfi_functions functions = {0};
    memset(name, 'n', sizeof name);
    name[257] = '\0';
    mf_check_int(add(&functions, "a"), MF_OK);
    mf_check_int(functions.first_failure, MF_OK);
    mf_check_int(mfi_functions_register(&functions, "b", one, NULL, true), MF_ERR_STATE);
    mf_check_int(add(&functions, "a"), MF_ERR_EXISTS);
    mf_check_int(add(&functions, ""), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(&functions, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(&functions, "\xff"), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(&functions, name), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mfi_functions_register(&functions, "c", NULL, NULL, false),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_int(functions.count, 1);
    mf_check_int(functions.first_failure, MF_ERR_STATE);
    mf_check_contains(functions.failure.message, "before mf_child_run()");
    name[256] = '\0';
    mf_check_int(add(&functions, name), MF_OK);
    mfi_functions_fini(&functions);
}

static void test_number_is_bounded(void)
{
    char name[16];
    mfi_functions functions = {0};
    for (int i = 0; i < MFI_CHILD_FUNCTIONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        mf_check_int(add(&functions, name), MF_OK);
    }
    mf_check_int(add(&functions, "one more"), MF_ERR_LIMIT);
    mf_check_int(functions.count, MFI_CHILD_FUNCTIONS_MAX);
    mfi_functions_fini(&functions);
}

static void test_without_memory_the_table_stays(void)
{
    mfi_functions functions = {0};
    long failed = 0;
    mf_status status = MF_OK;
    mf_check_int(add(&functions, "a"), MF_OK);
    do {
        mf_alloc_fail_at(failed);
        status = add(&functions, "b");
        if (mf_alloc_stop()) {
            failed++;
            mf_check_int(status, MF_ERR_NO_MEMORY);
            mf_check_int(functions.count, 1);
            mf_check_str(found(&functions, "a", 1), "a");
        }
    } while (status == MF_ERR_NO_MEMORY);
    mf_check_int(status, MF_OK);
    mf_check_int(failed, 2); /* the name, and the table */
    mf_check_str(found(&functions, "b", 1), "b");
    mfi_functions_fini(&functions);
}

static const mf_test tests[] = {
    {"functions__are_found_and_sorted", test_names_are_found_and_sorted},
    {"functions__builtin_gives_way_and_a_function_does_not",
     test_builtin_gives_way_and_a_function_does_not},
    {"functions__first_failure_is_kept", test_first_failure_is_kept},
    {"functions__number_is_bounded", test_number_is_bounded},
    {"functions__without_memory_the_table_stays", test_without_memory_the_table_stays},
};

MF_TEST_MAIN(tests)
