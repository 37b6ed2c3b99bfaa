/* Spawned workers and their ends, whatever the program and the system do about it. */
#include "core/process/exits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process/alive.h"
#include "mf_refuse.h"
#include "mf_test.h"

/* A worker that runs until it is ended, and one that left a process in a session of its own, which
 * takes no SIGTERM; that process tells its pid first. */
#define FOREVER "while :; do sleep 1000; done"
#define LEAVE "setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & "

static mfi_process start(const char *script, const char *helper)
{
    mfi_process process;
    mf_error error = MF_ERROR_INIT;
    mfi_process_init(&process);
    const char *const args[] = {"-c", script, NULL};
    mfi_spawn_options options = {.program = "sh", .args = args, .helper_path = helper};
    mf_check_int(mfi_process_spawn(&process, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return process;
}

static bool has_started(void *data)
{
    return mfi_process_read(data, NULL) == MFI_STAGE_STARTED;
}

static mfi_process started(const char *script)
{
    mfi_process process = start(script, NULL);
    mf_check(mf_test_until(has_started, &process, MF_TEST_PATIENCE_MS));
    return process;
}

typedef struct end {
    mfi_process *process;
    mfi_exit exit;
} end;

static bool has_ended(void *data)
{
    end *at = data;
    return mfi_process_reap(at->process, &at->exit);
}

static mfi_exit end_of(mfi_process *process)
{
    end at = {.process = process};
    mf_check(mf_test_until(has_ended, &at, MF_TEST_PATIENCE_MS));
    return at.exit;
}

static bool is_dead(void *pid)
{
    return !mfi_process_alive(*(pid_t *)pid, NULL);
}

static void check_dead(pid_t pid)
{
    mf_check(pid > 0);
    mf_check(mf_test_until(is_dead, &pid, MF_TEST_PATIENCE_MS));
}

/* The pid that a process of the worker prints. */
static pid_t printed_pid(const mfi_process *process)
{
    char text[32] = "";
    struct pollfd out = {.fd = process->stdout_fd, .events = POLLIN};
    mf_check_int(poll(&out, 1, MF_TEST_PATIENCE_MS), 1);
    mf_check(read(process->stdout_fd, text, sizeof text - 1) > 0);
    return (pid_t)strtol(text, NULL, 10);
}

static void check_exits_with_3(mfi_process *process)
{
    mfi_exit ended = end_of(process);
    mf_check(ended.known);
    mf_check_int(ended.code, 3);
    mf_check_int(ended.signal, 0);
    mf_check(!ended.left);
    mf_check(ended.max_rss_kib > 0);
    mfi_process_close(process);
}

/* ---- What the program does ---- */

static void test_status_with_sigchld_ignored(void)
{
    (void)signal(SIGCHLD, SIG_IGN);
    mfi_process process = start("exit 3", NULL);
    check_exits_with_3(&process);
    process = started(FOREVER);
    mf_check_int(kill(process.pid, SIGKILL), 0);
    mfi_exit ended = end_of(&process);
    mf_check(ended.known);
    mf_check_int(ended.signal, SIGKILL);
    mfi_process_close(&process);
    (void)signal(SIGCHLD, SIG_DFL);
}

static void test_status_with_sigchld_blocked(void)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    mfi_process process = start("kill -TERM $$; exit 3", NULL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    mfi_exit ended = end_of(&process);
    mf_check_int(ended.signal, SIGTERM); /* the worker's own mask is empty */
    mfi_process_close(&process);
}

static void test_status_when_the_program_waits_for_the_helper(void)
{
    mfi_process process = start("exit 3", NULL);
    mf_check_int(waitpid(process.helper_pid, NULL, 0), process.helper_pid);
    check_exits_with_3(&process);
}

/* A program that is forked, spawns a worker, forks again, and is gone. The last fork holds every
 * descriptor of the program until the test lets it go. */
static void die_with_a_fork(int pid_fd, int hold_fd)
{
    char end_of_test = 0;
    mfi_process process = started(FOREVER);
    if (fork() == 0) {
        (void)!read(hold_fd, &end_of_test, 1);
        _Exit(0);
    }
    (void)!write(pid_fd, &process.pid, sizeof process.pid);
    _Exit(0);
}

static void check_worker_of_forked_program(void *unused)
{
    int pid_pipe[2], hold[2];
    pid_t worker = 0;
    (void)unused;
    mf_check_int(pipe2(pid_pipe, O_CLOEXEC), 0);
    mf_check_int(pipe2(hold, O_CLOEXEC), 0);
    pid_t program = fork();
    if (program == 0) {
        (void)close(hold[1]);
        die_with_a_fork(pid_pipe[1], hold[0]);
    }
    mf_check_int(read(pid_pipe[0], &worker, sizeof worker), sizeof worker);
    mf_check_int(waitpid(program, NULL, 0), program);
    check_dead(worker);
    for (int i = 0; i < 2; i++) {
        (void)close(pid_pipe[i]);
        (void)close(hold[i]);
    }
}

static void test_worker_ends_with_a_program_that_forked(void)
{
    check_worker_of_forked_program(NULL);
}

/* ---- What the system refuses ---- */

static void work_without_pidfd(void *unused)
{
    (void)unused;
    mfi_process process = start("exit 3", NULL);
    mf_check_int(process.pidfd, -1);
    check_exits_with_3(&process);
    process = started("trap 'exit 3' TERM; echo 1; while :; do sleep 0.01; done");
    mf_check_int(printed_pid(&process), 1); /* the trap is set */
    mfi_process_signal(&process, SIGTERM);
    check_exits_with_3(&process);
}

static const long pidfd_calls[] = {SYS_pidfd_open};

static void test_works_where_pidfd_is_refused(void)
{
    const int reasons[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        (void)mf_test_refusing(pidfd_calls, 1, reasons[i], work_without_pidfd, NULL);
    }
}

static void test_parent_is_watched_without_pidfd(void)
{
    (void)mf_test_refusing(pidfd_calls, 1, EPERM, check_worker_of_forked_program, NULL);
}

static void leave_what_cannot_be_killed(void *process)
{
    *(mfi_process *)process = start(LEAVE "exit 3", NULL);
}

/* The helper may not kill. What the worker left lives on; the end is reported all the same. */
static void test_what_cannot_be_ended_is_reported(void)
{
    static const long calls[] = {SYS_kill};
    char text[128];
    mfi_process process;
    if (!mf_test_refusing(calls, 1, EPERM, leave_what_cannot_be_killed, &process)) {
        return;
    }
    pid_t left = printed_pid(&process);
    mfi_exit ended = end_of(&process);
    mf_check_int(ended.code, 3);
    mf_check(ended.left);
    (void)mfi_exit_text(text, sizeof text, &ended);
    mf_check_str(text, "exited with status 3, and left processes that could not be ended");
    mf_check_int(kill(left, SIGKILL), 0);
    check_dead(left);
    mfi_process_close(&process);
}

/* ---- Ends ---- */

static void check_nothing_is_left(const char *helper)
{
    mfi_process process = start(LEAVE FOREVER, helper);
    pid_t left = printed_pid(&process);
    mf_check(mf_test_until(has_started, &process, MF_TEST_PATIENCE_MS));
    mfi_process_kill(&process);
    mfi_exit ended = end_of(&process);
    mf_check_int(ended.signal, SIGKILL);
    mf_check(!ended.left);
    mf_check(is_dead(&left)); /* before the end was reported */
    mfi_process_close(&process);
}

static void test_kill_reaches_other_sessions(void)
{
    check_nothing_is_left(NULL);
}

/* A script that ends with becoming the real helper: `before`, its path, `after`. */
static const char *write_helper(const char *name, const char *before, const char *after)
{
    static char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", mf_test_temp_dir(), name);
    FILE *file = fopen(path, "we");
    mf_check(file != NULL);
    if (file != NULL) {
        (void)fprintf(file, "#!/bin/sh\n%s %s %s\n", before,
                      mf_test_build_path("core/process/multifrost-exec"), after);
        (void)fclose(file);
    }
    mf_check_int(chmod(path, 0700), 0);
    return path;
}

/* No /proc at all, which a sanitizer needs to begin with. */
static void test_kill_reaches_other_sessions_without_a_list(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)fprintf(stderr, "skipped: a sanitizer needs /proc\n");
#else
    if (system("unshare -m true 2>/dev/null") != 0) { /* NOLINT: a fixed text */
        (void)fprintf(stderr, "skipped: no mount namespaces here\n");
        return;
    }
    check_nothing_is_left(write_helper(
        "without_proc", "exec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$0\" \"$@\"'",
        "\"$@\""));
#endif
}

static void test_force_ends_what_a_stopped_helper_holds(void)
{
    mfi_process process = started(FOREVER);
    pid_t worker = process.pid;
    mf_check_int(kill(process.helper_pid, SIGSTOP), 0);
    mfi_process_force(&process);
    mfi_exit ended = end_of(&process);
    mf_check_int(ended.signal, SIGKILL);
    check_dead(worker);
    mfi_process_close(&process);
}

static void test_force_ends_a_stuck_helper(void)
{
    mfi_process process = start(FOREVER, mf_test_build_path("tests/unit/process/stuck_helper"));
    mf_check(mf_test_until(has_started, &process, MF_TEST_PATIENCE_MS));
    pid_t worker = process.pid;
    mfi_process_kill(&process);
    mfi_process_force(&process);
    mf_check_int(end_of(&process).signal, SIGKILL);
    check_dead(worker);
    mfi_process_close(&process);
}

static void test_kill_continues_a_stopped_helper(void)
{
    mfi_process process = started(FOREVER);
    mf_check_int(kill(process.helper_pid, SIGSTOP), 0);
    mfi_process_kill(&process);
    mf_check_int(end_of(&process).signal, SIGKILL);
    mfi_process_close(&process);
}

/* Every signal that was sent to the helper has been read by it. */
static bool has_taken_signals(void *pid)
{
    char path[64];
    char line[256];
    bool taken = false;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)*(pid_t *)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        taken = taken || strcmp(line, "ShdPnd:\t0000000000000000\n") == 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return taken;
}

/* SIGCONT of the parent is for the helper alone: a worker that was stopped stays so. */
static void test_wake_leaves_the_worker_alone(void)
{
    mfi_process process = started("code=3; trap code=4 CONT; trap over=1 USR2; echo 1; "
                                  "while [ -z \"$over\" ]; do sleep 0.01; done; exit $code");
    pid_t helper = process.helper_pid;
    mf_check_int(printed_pid(&process), 1);
    mfi_process_wake(&process);
    mf_check(mf_test_until(has_taken_signals, &helper, MF_TEST_PATIENCE_MS));
    mfi_process_signal(&process, SIGUSR2);
    check_exits_with_3(&process);
}

static bool is_waited_for(pid_t pid)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

static void leave_and_look(void *unused)
{
    (void)unused;
    mfi_process process = start(FOREVER, mf_test_build_path("tests/unit/process/stuck_helper"));
    mf_check(mf_test_until(has_started, &process, MF_TEST_PATIENCE_MS));
    pid_t helper = process.helper_pid;
    pid_t worker = process.pid;
    mfi_process_leave(&process);
    mf_check_int(process.pidfd, -1);
    mf_check_int(process.helper_pid, 0); /* no signal reaches it any more */
    mfi_process_close(&process);
    mf_check_int(kill(helper, SIGKILL), 0);
    mf_check_int(kill(worker, SIGKILL), 0);
    check_dead(helper);
    mf_check(!is_waited_for(helper));
    mfi_process_reap_left();
    mf_check(is_waited_for(helper));
}

static void test_left_helper_is_waited_for_at_a_look(void)
{
    leave_and_look(NULL);
    (void)mf_test_refusing(pidfd_calls, 1, EPERM, leave_and_look, NULL);
}

/* ---- Starts ---- */

static bool has_failed(void *data)
{
    return mfi_process_read(data, NULL) == MFI_STAGE_FAILED;
}

static void check_failure(const char *program, const char *directory, const char *wanted)
{
    mfi_process process;
    mf_error error = MF_ERROR_INIT;
    mfi_spawn_options options = {.program = program, .working_directory = directory};
    mfi_process_init(&process);
    mf_check_int(mfi_process_spawn(&process, &options, &error), MF_OK);
    mf_check(mf_test_until(has_failed, &process, MF_TEST_PATIENCE_MS));
    mf_check_int(process.pid, 0);
    mf_check_int(mfi_process_failure(&process, program, directory, &error), MF_ERR_START_FAILED);
    mf_check_str(error.message, wanted);
    (void)end_of(&process);
    mfi_process_close(&process);
}

static void test_failed_starts_name_what_is_absent(void)
{
    check_failure("/nonexistent", NULL, "cannot start '/nonexistent': No such file or directory");
    check_failure("true", "/nonexistent",
                  "cannot start 'true': the working directory '/nonexistent' cannot be used: No "
                  "such file or directory");
}

/* The helper is held before it does anything: the spawn has returned by then. */
static void test_spawn_waits_for_nobody(void)
{
    char fifo[400];
    char script[600];
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", mf_test_temp_dir());
    mf_check_int(mkfifo(fifo, 0600), 0);
    (void)snprintf(script, sizeof script, "read line <%s\nexec", fifo);
    mfi_process process = start("exit 3", write_helper("slow", script, "\"$@\""));
    mf_check_int(mfi_process_read(&process, NULL), MFI_STAGE_STARTING);
    int held = open(fifo, O_WRONLY | O_CLOEXEC); /* waits for the helper */
    mf_check_int(write(held, "\n", 1), 1);
    (void)close(held);
    check_exits_with_3(&process);
}

static void test_exit_text(void)
{
    char words[64];
    char cut[8];
    mfi_exit code = {.known = true, .code = 3};
    mf_check_int(mfi_exit_text(words, sizeof words, &code), strlen("exited with status 3"));
    mf_check_str(words, "exited with status 3");
    mfi_exit killed = {.known = true, .code = -1, .signal = SIGKILL};
    (void)mfi_exit_text(words, sizeof words, &killed);
    mf_check_str(words, "was killed by signal 9 (SIGKILL)");
    mfi_exit unknown = {.known = false, .code = -1};
    (void)mfi_exit_text(words, sizeof words, &unknown);
    mf_check_str(words, "ended for a reason that is not known");
    mfi_exit strange = {.known = true, .code = -1, .signal = 200};
    (void)mfi_exit_text(words, sizeof words, &strange);
    mf_check_str(words, "was killed by signal 200 (SIG?)");
    (void)mfi_exit_text(cut, sizeof cut, &strange);
    mf_check_str(cut, "was kil");
}

static const mf_test tests[] = {
    {"exit__text_names_status_and_signal", test_exit_text},
    {"status__with_sigchld_ignored", test_status_with_sigchld_ignored},
    {"status__with_signals_blocked", test_status_with_sigchld_blocked},
    {"status__when_the_program_waits_for_the_helper",
     test_status_when_the_program_waits_for_the_helper},
    {"parent__that_forked_is_seen_to_end", test_worker_ends_with_a_program_that_forked},
    {"pidfd__may_be_refused", test_works_where_pidfd_is_refused},
    {"parent__is_watched_without_pidfd", test_parent_is_watched_without_pidfd},
    {"left__is_reported", test_what_cannot_be_ended_is_reported},
    {"kill__reaches_other_sessions", test_kill_reaches_other_sessions},
    {"kill__reaches_other_sessions_without_a_list",
     test_kill_reaches_other_sessions_without_a_list},
    {"force__ends_what_a_stopped_helper_holds", test_force_ends_what_a_stopped_helper_holds},
    {"force__ends_a_stuck_helper", test_force_ends_a_stuck_helper},
    {"kill__continues_a_stopped_helper", test_kill_continues_a_stopped_helper},
    {"wake__leaves_the_worker_alone", test_wake_leaves_the_worker_alone},
    {"left__is_waited_for_at_a_look", test_left_helper_is_waited_for_at_a_look},
    {"failure__names_what_is_absent", test_failed_starts_name_what_is_absent},
    {"spawn__waits_for_nobody", test_spawn_waits_for_nobody},
};

MF_TEST_MAIN(tests)
