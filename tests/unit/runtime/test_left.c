/* Helpers of processes that were given up, and their ends. A child of the test stands for each. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process/exits.h"
#include "core/runtime/runtime.h"
#include "mf_test.h"

typedef struct left_test {
    mf_runtime *runtime;
    mfi_process process;
    pid_t helper;
    bool is_watched;
} left_test;

static void leave_on_engine(void *data)
{
    left_test *at = data;
    mfi_runtime_leave_process(at->runtime, &at->process);
}

/* The child is forked first: the runtime has threads. */
static void init(left_test *at)
{
    mfi_process_init(&at->process);
    at->helper = fork();
    if (at->helper == 0) {
        for (;;) {
            (void)pause();
        }
    }
    mf_check(at->helper > 0);
    at->process.helper_pid = at->helper;
    at->process.pidfd = (int)syscall(SYS_pidfd_open, at->helper, 0);
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    mfi_loop_call(at->runtime->loop, leave_on_engine, at);
    mf_check_int(at->process.pidfd, -1);
    mf_check_int(at->process.helper_pid, 0);
}

static void end_helper(const left_test *at)
{
    if (at->helper > 0) {
        mf_check_int(kill(at->helper, SIGKILL), 0);
    }
}

/* Ended, and not waited for yet. With `by_now`, waits for that. */
static bool is_zombie(pid_t pid, bool by_now)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | (by_now ? 0 : WNOHANG)) == 0 &&
           info.si_pid == pid;
}

static bool is_waited_for(void *pid)
{
    siginfo_t info;
    return waitid(P_PID, (id_t) * (pid_t *)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
           errno == ECHILD;
}

static void look_for_watch(void *data)
{
    left_test *at = data;
    at->is_watched = at->runtime->left.first != NULL;
}

static bool has_watch(left_test *at)
{
    mfi_loop_call(at->runtime->loop, look_for_watch, at);
    return at->is_watched;
}

static void test_waited_for_when_it_ends(void)
{
    left_test at;
    init(&at);
    if (!has_watch(&at)) { /* no pidfd here: the next look waits for it */
        mf_check_int(syscall(SYS_pidfd_open, getpid(), 0), -1);
        end_helper(&at);
        mf_check(is_zombie(at.helper, true));
        mfi_process_reap_left();
    } else {
        mf_check(!is_zombie(at.helper, false));
        end_helper(&at);
    }
    mf_check(mf_test_until(is_waited_for, &at.helper, MF_TEST_PATIENCE_MS));
    mf_runtime_destroy(at.runtime);
}

static void test_kept_beyond_the_runtime(void)
{
    left_test at;
    init(&at);
    mf_runtime_destroy(at.runtime);
    end_helper(&at);
    mf_check(is_zombie(at.helper, true));
    mfi_process_reap_left();
    mf_check(is_waited_for(&at.helper));
}

static const mf_test tests[] = {
    {"left__is_waited_for_when_it_ends", test_waited_for_when_it_ends},
    {"left__is_kept_beyond_the_runtime", test_kept_beyond_the_runtime},
};
MF_TEST_MAIN(tests)
