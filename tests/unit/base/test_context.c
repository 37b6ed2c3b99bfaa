/* Each thread has a context of its own, and scopes restore the one before. */
#include "base/context.h"

#include <string.h>

#include "base/mutex.h"
#include "mf_test.h"

static void check_current(const char *wanted)
{
    mf_context got;
    bool has_one = mf_context_get(&got);
    mf_check_int(has_one, wanted != NULL);
    mf_check_str(got.correlation_id, wanted != NULL ? wanted : "");
}

static void test_copy_is_kept(void)
{
    mf_context context = {.correlation_id = "one"};
    check_current(NULL);
    mf_check(mfi_context_current() == NULL);
    mf_context_set(&context);
    memset(&context, 0, sizeof context);
    check_current("one");
    mf_context_set(mfi_context_current()); /* the copy itself */
    check_current("one");
    mf_context_set(NULL);
    check_current(NULL);
}

static void test_scopes_nest(void)
{
    mf_context outer = {.correlation_id = "outer"};
    mf_context inner = {.correlation_id = "inner"};
    mf_context users = {.correlation_id = "users"};
    mfi_context_scope first;
    mfi_context_scope second;
    mf_context_set(&users);
    mfi_context_enter(&first, &outer);
    check_current("outer");
    mf_check(mfi_context_current() == &outer);
    mfi_context_enter(&second, &inner);
    check_current("inner");
    mfi_context_leave(&second);
    check_current("outer");
    mfi_context_leave(&first);
    check_current("users");
    mf_context_set(NULL);
}

static void test_scope_restores_what_was_overwritten(void)
{
    mf_context users = {.correlation_id = "users"};
    mf_context handlers = {.correlation_id = "handlers"};
    mfi_context_scope scope;
    mf_context_set(&users);
    mfi_context_enter(&scope, NULL);
    check_current(NULL);
    mf_context_set(&handlers);
    check_current("handlers");
    mfi_context_leave(&scope);
    check_current("users");
    mf_context_set(NULL);
}

static void *look(void *argument)
{
    *(bool *)argument = mfi_context_current() != NULL;
    return NULL;
}

static void test_other_threads_have_none(void)
{
    mf_context context = {.correlation_id = "one"};
    pthread_t thread;
    bool has_one = true;
    mf_context_set(&context);
    if (mf_check(mfi_thread_start(&thread, "test", look, &has_one) == 0)) {
        (void)pthread_join(thread, NULL);
    }
    mf_check(!has_one);
    mf_context_set(NULL);
}

static const mf_test tests[] = {
    {"context__keeps_a_copy", test_copy_is_kept},
    {"context__scopes_nest", test_scopes_nest},
    {"context__scope_restores_what_was_overwritten", test_scope_restores_what_was_overwritten},
    {"context__belongs_to_its_thread", test_other_threads_have_none},
};
MF_TEST_MAIN(tests)
