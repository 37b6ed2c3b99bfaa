/* Whether a process still runs: this one, ended ones, a zombie, and one whose leader has ended. */
#include "core/process/alive.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mf_test.h"

#define LEADER_ENDS "--leader-ends"

/* ---- Marks ---- */

static void test_mark(void)
{
    char mark[MFI_PROCESS_MARK_MAX];
    char again[MFI_PROCESS_MARK_MAX];
    char parent[MFI_PROCESS_MARK_MAX];
    mfi_process_mark(getpid(), mark);
    mfi_process_mark(getpid(), again);
    mfi_process_mark(getppid(), parent);
    mf_check_str(again, mark);
    mf_check(mark[0] != '\0');
    mf_check(strcspn(mark, " \t\n") == strlen(mark));
    const char *start = strchr(mark, '/');
    mf_check(start != NULL && strspn(start + 1, "0123456789") == strlen(start + 1));
    mf_check(start != NULL && strncmp(parent, mark, (size_t)(start - mark)) == 0); /* the boot */
    mf_check(strcmp(parent, mark) != 0);
}

static void test_mark_of_nobody(void)
{
    char mark[MFI_PROCESS_MARK_MAX] = "before";
    mfi_process_mark(-1, mark);
    mf_check_str(mark, "");
}

/* ---- Alive ---- */

static void test_this_process(void)
{
    char mark[MFI_PROCESS_MARK_MAX];
    mfi_process_mark(getpid(), mark);
    mf_check(mfi_process_alive(getpid(), mark));
    mf_check(mfi_process_alive(getpid(), NULL));
    mf_check(mfi_process_alive(getpid(), ""));
    mark[strlen(mark) - 1] = mark[strlen(mark) - 1] == '7' ? '8' : '7';
    mf_check(!mfi_process_alive(getpid(), mark)); /* the pid was given to another process */
    mark[0] = mark[0] == 'a' ? 'b' : 'a';
    mf_check(!mfi_process_alive(getpid(), mark));
}

static void test_no_pids(void)
{
    mf_check(!mfi_process_alive(0, NULL));
    mf_check(!mfi_process_alive(-1, NULL));
    mf_check(!mfi_process_alive((int64_t)INT32_MAX + 1 + getpid(), NULL));
    mf_check(!mfi_process_alive(INT64_MAX, NULL));
}

static void test_zombie(void)
{
    siginfo_t info;
    char mark[MFI_PROCESS_MARK_MAX];
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    mfi_process_mark(pid, mark);
    mf_check(mfi_process_alive(pid, mark));
    (void)kill(pid, SIGKILL);
    mf_check_int(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* not reaped */
    mf_check(!mfi_process_alive(pid, mark));
    mf_check(!mfi_process_alive(pid, NULL));
    mf_check_int(waitpid(pid, NULL, 0), pid);
    mf_check(!mfi_process_alive(pid, NULL));
}

/* ---- A leader that ends before its other threads ---- */

static void *go_on(void *data)
{
    (void)data;
    for (;;) {
        (void)pause();
    }
    return NULL;
}

static int end_leader(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, go_on, NULL) != 0) {
        return 1;
    }
    pthread_exit(NULL);
}

static bool is_zombie(void *data)
{
    char path[64];
    char text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)*(const pid_t *)data);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void)fclose(file);
    }
    return strstr(text, ") Z ") != NULL;
}

static void test_leader_has_ended(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "leader", LEADER_ENDS, (char *)NULL);
        _exit(1);
    }
    mf_check(mf_test_until(is_zombie, &pid, MF_TEST_PATIENCE_MS));
    mf_check(mfi_process_alive(pid, NULL));
    (void)kill(pid, SIGKILL);
    mf_check_int(waitpid(pid, NULL, 0), pid);
    mf_check(!mfi_process_alive(pid, NULL));
}

/* ---- When it started ---- */

static void test_started_after(void)
{
    struct timespec moment;
    (void)clock_gettime(CLOCK_REALTIME, &moment);
    moment.tv_sec += 3600;
    mf_check(!mfi_process_started_after(getpid(), &moment));
    moment.tv_sec = 0; /* before this machine was started */
    mf_check(mfi_process_started_after(getpid(), &moment));
    mf_check(!mfi_process_started_after(-1, &moment));
}

static const mf_test tests[] = {
    {"alive__mark_is_of_the_boot_and_the_start", test_mark},
    {"alive__mark_of_nobody_is_empty", test_mark_of_nobody},
    {"alive__this_process_with_its_mark_only", test_this_process},
    {"alive__numbers_that_are_no_pids", test_no_pids},
    {"alive__zombie_has_ended", test_zombie},
    {"alive__process_whose_leader_has_ended_still_runs", test_leader_has_ended},
    {"alive__started_after", test_started_after},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], LEADER_ENDS) == 0) {
        return end_leader();
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
