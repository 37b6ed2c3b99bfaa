/* The deadline of the call that a thread works for. */
#include "core/engine/deadline.h"

#include <pthread.h>

#include "base/clock.h"
#include "mf_test.h"

static void test_nests(void)
{
    mf_check(mfi_deadline_current() == MFI_NEVER);
    uint64_t none = mfi_deadline_enter(20);
    mf_check(none == MFI_NEVER);
    mf_check_int(mfi_deadline_current(), 20);
    uint64_t outer = mfi_deadline_enter(10);
    mf_check_int(outer, 20);
    mf_check_int(mfi_deadline_current(), 10);
    mfi_deadline_leave(outer);
    mf_check_int(mfi_deadline_current(), 20);
    mfi_deadline_leave(none);
    mf_check(mfi_deadline_current() == MFI_NEVER);
}

static void *enter_another(void *data)
{
    uint64_t *seen = data;
    seen[0] = mfi_deadline_current();
    uint64_t before = mfi_deadline_enter(7);
    seen[1] = mfi_deadline_current();
    mfi_deadline_leave(before);
    return NULL;
}

static void test_each_thread_has_its_own(void)
{
    pthread_t thread;
    uint64_t seen[2] = {0, 0};
    uint64_t before = mfi_deadline_enter(20);
    mf_check_int(pthread_create(&thread, NULL, enter_another, seen), 0);
    pthread_join(thread, NULL);
    mf_check(seen[0] == MFI_NEVER);
    mf_check_int(seen[1], 7);
    mf_check_int(mfi_deadline_current(), 20);
    mfi_deadline_leave(before);
}

static const mf_test tests[] = {
    {"deadline__nests_and_is_given_back", test_nests},
    {"deadline__each_thread_has_its_own", test_each_thread_has_its_own},
};
MF_TEST_MAIN(tests)
