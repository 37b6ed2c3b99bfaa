/* The list of the entries that this process has made. */
#include "core/discovery/own.h"
#include "registry_support.h"

static void test_an_entry_counts_until_it_is_taken_out(void)
{
    mf_check(!mfi_registry_own_has("a", 1));
    mf_check_int(mfi_registry_own_add("/x", "a", 1, NULL), MF_OK);
    mf_check(mfi_registry_own_has("a", 1));
    mf_check(!mfi_registry_own_has("a", 2) && !mfi_registry_own_has("b", 1));
    mfi_registry_own_remove("/y", "a"); /* of another folder */
    mf_check(mfi_registry_own_has("a", 1));
    mfi_registry_own_remove("/x", "a");
    mf_check(!mfi_registry_own_has("a", 1));
}

static void test_the_last_port_of_a_name_counts(void)
{
    mf_check_int(mfi_registry_own_add("/x", "a", 1, NULL), MF_OK);
    mf_check_int(mfi_registry_own_add("/x", "a", 2, NULL), MF_OK);
    mf_check_int(mfi_registry_own_add("/y", "a", 3, NULL), MF_OK);
    mf_check(!mfi_registry_own_has("a", 1) && mfi_registry_own_has("a", 2));
    mf_check(mfi_registry_own_has("a", 3));
    mfi_registry_own_remove("/x", "a");
    mf_check(!mfi_registry_own_has("a", 2) && mfi_registry_own_has("a", 3));
    mfi_registry_own_remove("/y", "a");
}

static void test_a_forked_process_made_none(void)
{
    int status = -1;
    mf_check_int(mfi_registry_own_add("/x", "a", 1, NULL), MF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(mfi_registry_own_has("a", 1) ? 1 : 0);
    }
    mf_check_int(waitpid(pid, &status, 0), pid);
    mf_check_int(status, 0);
    mf_check(mfi_registry_own_has("a", 1));
    mfi_registry_own_remove("/x", "a");
}

static const mf_test tests[] = {
    {"own__an_entry_counts_until_it_is_taken_out", test_an_entry_counts_until_it_is_taken_out},
    {"own__the_last_port_of_a_name_counts", test_the_last_port_of_a_name_counts},
    {"own__a_forked_process_made_none", test_a_forked_process_made_none},
};

MF_TEST_MAIN(tests)
