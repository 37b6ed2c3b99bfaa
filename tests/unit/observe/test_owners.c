/* Names that have series: how many have counters and states of their own, and when. */
#include <stdio.h>
#include <string.h>

#include "core/observe/parts.h"
#include "mf_test.h"

static mfi_owner *take(mfi_observer *observer, const char *name, bool counted, bool shown)
{
    mfi_owner *owner = mfi_owner_take_locked(observer, name);
    mf_check(owner != NULL);
    if (owner != NULL) {
        mf_check_str(owner->name, name);
        mf_check_int(owner->counted, counted);
        mf_check_int(owner->shown, shown);
    }
    return owner;
}

static void test_one_name_is_one_owner(void)
{
    mfi_observer observer = {.max_targets = 1};
    mfi_owner *first = take(&observer, "math", true, true);
    mfi_owner *second = take(&observer, "math", true, true);
    mf_check(first == second);
    mf_check_int(observer.shown, 1);
    mfi_owner_leave_locked(&observer, first);
    mf_check(second->shown); /* the other is still there */
    mfi_owner_leave_locked(&observer, second);
    mf_check_int(observer.shown, 0);
    mf_check_int(observer.counted, 1); /* its counters stay */
    mfi_owners_free(&observer);
    mf_check(observer.owners == NULL);
}

static void test_states_take_places_that_are_free_again(void)
{
    mfi_observer observer = {.max_targets = 2};
    mfi_owner *a = take(&observer, "a", true, true);
    mfi_owner *b = take(&observer, "b", true, true);
    mfi_owner *c = take(&observer, "c", false, false);
    mfi_owner_leave_locked(&observer, a);
    mfi_owner *d = take(&observer, "d", false, true);
    mfi_owner *again = take(&observer, "a", true, false);
    mfi_owner_leave_locked(&observer, b);
    mfi_owner_leave_locked(&observer, c);
    mfi_owner_leave_locked(&observer, d);
    mfi_owner_leave_locked(&observer, again);
    mfi_owners_free(&observer);
}

/* Ever new names leave nothing behind. */
static void test_names_without_counters_are_forgotten(void)
{
    mfi_observer observer = {.max_targets = 1};
    mfi_owner_leave_locked(&observer, take(&observer, "first", true, true));
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "t%d", i);
        mfi_owner_leave_locked(&observer, take(&observer, name, false, true));
    }
    if (mf_check(observer.owners != NULL)) {
        mf_check_str(observer.owners->name, "first");
        mf_check(observer.owners->next == NULL);
    }
    mfi_owners_free(&observer);
}

static const mf_test tests[] = {
    {"owners__one_name_is_one_owner", test_one_name_is_one_owner},
    {"owners__states_take_places_that_are_free_again", test_states_take_places_that_are_free_again},
    {"owners__names_without_counters_are_forgotten", test_names_without_counters_are_forgotten},
};
MF_TEST_MAIN(tests)
