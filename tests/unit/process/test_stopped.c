/* Processes that the system keeps from running: by a signal, and by their cgroup, whose files are
 * made by the test. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process/stopped.h"
#include "mf_test.h"

/* A process that does nothing until it is killed. */
static pid_t start_idle(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    mf_check(pid > 0);
    return pid;
}

static void end_idle(pid_t pid)
{
    mf_check_int(kill(pid, SIGKILL), 0);
    mf_check_int(waitpid(pid, NULL, 0), pid);
}

static void test_a_stop_signal(void)
{
    int status = 0;
    pid_t pid = start_idle();
    mf_check(!mfi_process_is_stopped(pid));
    mf_check_int(kill(pid, SIGSTOP), 0);
    mf_check_int(waitpid(pid, &status, WUNTRACED), pid);
    mf_check(WIFSTOPPED(status));
    mf_check(mfi_process_is_stopped(pid));
    mf_check_int(kill(pid, SIGCONT), 0);
    mf_check_int(waitpid(pid, &status, WCONTINUED), pid);
    mf_check(!mfi_process_is_stopped(pid));
    end_idle(pid);
    mf_check(!mfi_process_is_stopped(pid));
    mf_check(!mfi_process_is_stopped(0));
}

/* A file below a folder of the test's own, whose folders are made. */
static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "we");
    mf_check(file != NULL);
    if (file != NULL) {
        mf_check(fputs(text, file) >= 0);
        mf_check_int(fclose(file), 0);
    }
}

static bool is_stopped(const char *name, const char *stat, const char *cgroup, const char *file,
                       const char *state)
{
    char proc[400], cgroups[400];
    (void)snprintf(proc, sizeof proc, "%s/%s/proc", mf_test_temp_dir(), name);
    (void)snprintf(cgroups, sizeof cgroups, "%s/%s/cgroup", mf_test_temp_dir(), name);
    write_file(proc, "7/stat", stat);
    write_file(proc, "7/cgroup", cgroup);
    write_file(cgroups, file, state);
    return mfi_process_is_stopped_in(proc, cgroups, 7);
}

static void test_a_frozen_cgroup(void)
{
    static const char *const runs = "7 (a) S 1";
    mf_check(is_stopped("v2", runs, "0::/a/b\n", "a/b/cgroup.events", "populated 1\nfrozen 1\n"));
    mf_check(!is_stopped("v2", runs, "0::/a/b\n", "a/b/cgroup.events", "populated 1\nfrozen 0\n"));
    mf_check(is_stopped("root", runs, "0::/\n", "cgroup.events", "frozen 1\n"));
    mf_check(is_stopped("v1", runs, "9:cpu,cpuacct:/x\n7:freezer:/c\n0::/y\n",
                        "freezer/c/freezer.state", "FROZEN\n"));
    mf_check(!is_stopped("v1", runs, "9:cpu,cpuacct:/x\n7:freezer:/c\n0::/y\n",
                         "freezer/c/freezer.state", "THAWED\n"));
    mf_check(!is_stopped("odd", runs, "nonsense\n0:\n", "cgroup.events", "frozen 1\n"));
}

static void test_names_and_debuggers_do_not_deceive(void)
{
    mf_check(is_stopped("t1", "7 (a) b) T 1", "", "none", ""));
    mf_check(!is_stopped("t2", "7 (x) T 1) S 1", "", "none", ""));
    mf_check(!is_stopped("t3", "7 (a) t 1", "", "none", "")); /* a debugger has stopped it */
    mf_check(!is_stopped("t4", "", "", "none", ""));
}

static const mf_test tests[] = {
    {"stopped__by_a_signal", test_a_stop_signal},
    {"stopped__by_a_frozen_cgroup", test_a_frozen_cgroup},
    {"stopped__names_and_debuggers_do_not_deceive", test_names_and_debuggers_do_not_deceive},
};
MF_TEST_MAIN(tests)
