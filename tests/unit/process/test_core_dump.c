/* Which signals leave a core file, and where the kernel says that it puts them. */
#include "core/process/core_dump.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "mf_test.h"

static void test_signals_that_leave_a_core_file(void)
{
    mf_check(mfi_core_is_due(SIGSEGV) && mfi_core_is_due(SIGABRT) && mfi_core_is_due(SIGQUIT));
    mf_check(!mfi_core_is_due(SIGKILL) && !mfi_core_is_due(SIGTERM) && !mfi_core_is_due(0));
}

static void test_the_pattern_is_the_kernels(void)
{
    char got[MFI_CORE_PATTERN_MAX];
    char wanted[2 * MFI_CORE_PATTERN_MAX] = "";
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    if (file != NULL) {
        mf_check(fgets(wanted, sizeof wanted, file) != NULL);
        (void)fclose(file);
    }
    wanted[strcspn(wanted, "\n")] = '\0';
    mfi_core_pattern(got);
    mf_check_str(got, wanted);
}

static const mf_test tests[] = {
    {"core_dump__signals_that_leave_one", test_signals_that_leave_a_core_file},
    {"core_dump__pattern_is_the_kernels", test_the_pattern_is_the_kernels},
};
MF_TEST_MAIN(tests)
