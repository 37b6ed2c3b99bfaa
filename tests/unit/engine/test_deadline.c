/* The deadline of the call that a thread works for. */
#include "core/engine/deadline.h"

#include <pthread.h>

#include "base/clock.h"
#include "mf_test.h"

static void test_nests(void)
{
    mf_check(mfi_running_deadline() == MFI_NEVER);
    uint64_t none = mfi_running_enter(20);
    mf_check(none == MFI_NEVER);
    mf_check_int(mfi_running_deadline(), 20);
    uint64_t outer = mfi_running_enter(10);
    mf_check_int(outer, 20);
    mf_check_int(mfi_running_deadline(), 10);
    mfi_running_leave(outer);
    mf_check_int(mfi_running_deadline(), 20);
    mfi_running_leave(none);
    mf_check(mfi_running_deadline() == MFI_NEVER);
}

static void *enter_another(void *data)
{
    uint64_t *seen = data;
    seen[0] = mfi_running_deadline();
    uint64_t before = mfi_running_enter(7);
    seen[1] = mfi_running_deadline();
    mfi_running_leave(before);
    return NULL;
}

static void test_each_thread_has_its_own(void)
{
    pthread_t thread;
    uint64_t seen[2] = {0, 0};
    uint64_t before = mfi_running_enter(20);
    mf_check_int(pthread_create(&thread, NULL, enter_another, seen), 0);
    pthread_join(thread, NULL);
    mf_check(seen[0] == MFI_NEVER);
    mf_check_int(seen[1], 7);
    mf_check_int(mfi_running_deadline(), 20);
    mfi_running_leave(before);
}

static const mf_test tests[] = {
    {"deadline__nests_and_is_given_back", test_nests},
    {"deadline__each_thread_has_its_own", test_each_thread_has_its_own},
};
MF_TEST_MAIN(tests)
