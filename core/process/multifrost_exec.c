/* multifrost-exec: runs one worker so that nothing of it outlives its parent, and so that its end
 * is known whatever the parent's program does with signals and waits.
 *
 *     multifrost-exec PARENT_PID DEATH_FD STATUS_FD DIRECTORY PROGRAM [ARGUMENT...]
 *
 * The helper becomes a child subreaper, starts the program in a process group of its own, in
 * DIRECTORY unless that is empty, and waits for: the program's end, a signal to pass on, and the
 * end of the parent. The parent has ended when its pidfd says so, or when the pipe DEATH_FD closes,
 * whose write end the parent holds. The pipe alone would not do: a child that the parent forked
 * holds that end too. When the parent has ended, the helper ends the group and every orphan that it
 * adopted: SIGTERM, a moment, SIGKILL. The helper exits as the program did: with the same status,
 * or by the same signal.
 *
 * The records of core/process/exec_record.h go to STATUS_FD. PR_SET_PDEATHSIG alone would not do
 * for the worker: it fires when the thread that forked ends, and does not reach grandchildren. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process/descendants.h"
#include "core/process/exec_record.h"

#define GRACE_MS 300
#define ORPHANED_CLEAR_MS 10000 /* the parent is gone: nobody waits for this process */
#define CLEAR_TICK_MS 20
#define EXIT_USAGE 64
#define EXIT_CANNOT_START 127
#define PARENT_CHANGED (SIGRTMIN + 1)

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCONT, SIGQUIT};

typedef struct helper {
    pid_t parent;       /* that was given */
    pid_t first_parent; /* as the kernel said first; 0 in another pid namespace */
    int parent_fd;      /* pidfd of the parent; -1: none */
    int death_fd, status_fd, signal_fd;
    const char *directory; /* "": the own */
    char **argv;
    pid_t worker;
    bool reaped; /* the worker was waited for, and its pid may be a stranger's */
    int wait_status;
    struct rusage usage;
} helper;

static void report(int status_fd, const mfi_exec_record *record)
{
    ssize_t written = 0;
    do {
        written = write(status_fd, record, sizeof *record);
    } while (written < 0 && errno == EINTR);
}

static void report_failure(int status_fd, mfi_exec_step step, int error_number)
{
    report(status_fd,
           &(mfi_exec_record){.what = MFI_EXEC_FAILED, .step = step, .error_number = error_number});
}

/* ---- Start ---- */

/* Nothing of what the parent's program does with signals is inherited: an ignored SIGCHLD would
 * hide the worker's end. A parent that has gone must not end this process by SIGPIPE. */
static void reset_signals(const sigset_t *blocked)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, blocked, NULL);
}

/* In the forked child. `exec_fd` closes by itself when exec succeeds. */
static void become_worker(const helper *self, int exec_fd, pid_t helper_pid)
{
    sigset_t none;
    mfi_exec_step step = MFI_EXEC_STEP_DIRECTORY;
    (void)sigemptyset(&none);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* if the helper itself is killed */
    if (getppid() != helper_pid) {
        _Exit(EXIT_CANNOT_START);
    }
    /* Before the exec, so that the parent reads it before the worker can connect. */
    report(self->status_fd, &(mfi_exec_record){.what = MFI_EXEC_FORKED, .pid = getpid()});
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (self->directory[0] == '\0' || chdir(self->directory) == 0) {
        step = MFI_EXEC_STEP_PROGRAM;
        (void)execvp(self->argv[0], self->argv);
    }
    report_failure(exec_fd, step, errno);
    _Exit(EXIT_CANNOT_START);
}

/* Starts the program and reports how that went. */
static bool start_worker(helper *self)
{
    int ends[2];
    mfi_exec_record failure = {0};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        report_failure(self->status_fd, MFI_EXEC_STEP_HELPER, errno);
        return false;
    }
    pid_t own = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        report_failure(self->status_fd, MFI_EXEC_STEP_HELPER, errno);
    } else if (pid == 0) {
        become_worker(self, ends[1], own);
    }
    (void)close(ends[1]);
    if (pid > 0) {
        (void)setpgid(pid, pid); /* in both processes, so that it is done whichever runs first */
        ssize_t got = 0;
        do {
            got = read(ends[0], &failure, sizeof failure);
        } while (got < 0 && errno == EINTR);
        if (got == (ssize_t)sizeof failure) {
            (void)waitpid(pid, NULL, 0);
            report(self->status_fd, &failure);
        } else {
            self->worker = pid;
            report(self->status_fd, &(mfi_exec_record){.what = MFI_EXEC_STARTED, .pid = pid});
        }
    }
    (void)close(ends[0]);
    return self->worker != 0;
}

/* ---- End ---- */

/* Waits for the worker, which has ended. What else is in its group dies first, as long as the
 * worker's pid keeps the group's number from strangers. */
static void take_worker(helper *self, bool kills)
{
    pid_t got = 0;
    if (kills) {
        (void)kill(-self->worker, SIGKILL);
    }
    do {
        got = wait4(self->worker, &self->wait_status, 0, &self->usage);
    } while (got < 0 && errno == EINTR);
    self->reaped = true;
}

/* Waits for all children that have ended; the worker among them only if asked. False if no child is
 * left. */
static bool reap(helper *self, bool also_worker, bool kills)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
            return errno == EINTR;
        }
        if (info.si_pid == 0) {
            return true;
        }
        if (info.si_pid != self->worker || self->reaped) {
            (void)waitpid(info.si_pid, NULL, 0);
        } else if (also_worker) {
            take_worker(self, kills);
        } else {
            return true;
        }
    }
}

static bool any_left_kindly(void *data)
{
    return reap(data, true, false);
}

static bool any_left(void *data)
{
    return reap(data, true, true);
}

static void wait_for_signal(const helper *self, int64_t wait_ms)
{
    struct pollfd wakes = {.fd = self->signal_fd, .events = POLLIN};
    if (wait_ms > 0 && poll(&wakes, 1, (int)wait_ms) > 0) {
        struct signalfd_siginfo info;
        ssize_t got = read(self->signal_fd, &info, sizeof info);
        (void)got;
    }
}

/* Asks everything that is left to end, and waits a moment for that. */
static void end_kindly(helper *self)
{
    int64_t deadline = mfi_descendants_now_ms() + GRACE_MS;
    (void)kill(-self->worker, SIGTERM);
    (void)kill(-self->worker, SIGCONT);
    mfi_descendants_signal(SIGTERM, self->worker, deadline, any_left_kindly, self);
    while (any_left_kindly(self) && mfi_descendants_now_ms() < deadline) {
        wait_for_signal(self, deadline - mfi_descendants_now_ms());
    }
}

/* Kills everything that is left. Orphans appear while their parents die, so the killing goes on
 * until there are no children, or until the time is over: a process may be beyond reach. True if
 * there are no children. */
static bool end_all(helper *self, int64_t most_ms)
{
    int64_t deadline = mfi_descendants_now_ms() + most_ms;
    do {
        if (!self->reaped) {
            (void)kill(-self->worker, SIGKILL);
        }
        mfi_descendants_signal(SIGKILL, self->worker, deadline, any_left, self);
        if (!any_left(self)) {
            return true;
        }
        wait_for_signal(self, CLEAR_TICK_MS);
    } while (any_left(self) && mfi_descendants_now_ms() < deadline);
    return !any_left(self);
}

static int64_t microseconds(const struct timeval *span)
{
    return (int64_t)span->tv_sec * 1000000 + span->tv_usec;
}

static void report_end(const helper *self, bool cleared)
{
    report(self->status_fd, &(mfi_exec_record){.what = MFI_EXEC_ENDED,
                                               .pid = self->worker,
                                               .wait_status = self->wait_status,
                                               .left = cleared ? 0 : 1,
                                               .user_us = microseconds(&self->usage.ru_utime),
                                               .system_us = microseconds(&self->usage.ru_stime),
                                               .max_rss_kib = self->usage.ru_maxrss});
}

/* Leaves as the worker did. */
static int leave_like(int status)
{
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    struct rlimit no_core = {0, 0};
    sigset_t all;
    (void)setrlimit(RLIMIT_CORE, &no_core); /* the worker has written its own core file, if any */
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void)raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

/* ---- The parent ---- */

/* False if the parent has gone already. The kernel's pidfd where there is one. Else
 * PR_SET_PDEATHSIG wakes this process, also when only the thread that started it has ended; then
 * the parent's pid tells the two apart. */
static bool watch_parent(helper *self)
{
    self->parent_fd = -1;
    self->first_parent = getppid();
    (void)prctl(PR_SET_PDEATHSIG, PARENT_CHANGED);
    if (self->first_parent == 0) {
        return true; /* of another pid namespace: its pid means nothing here */
    }
    self->parent_fd = (int)syscall(SYS_pidfd_open, self->parent, 0);
    return self->parent_fd >= 0 || kill(self->parent, 0) == 0 || errno != ESRCH;
}

static bool parent_has_gone(const helper *self, const struct pollfd *death,
                            const struct pollfd *parent)
{
    return (death->revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 || parent->revents != 0 ||
           (self->parent_fd < 0 && getppid() != self->first_parent);
}

static void pass_on(const helper *self, const struct signalfd_siginfo *info)
{
    if (info->ssi_signo == (uint32_t)MFI_EXEC_KILL) {
        (void)kill(-self->worker, SIGKILL);
    } else if (info->ssi_signo == SIGCONT && info->ssi_pid == (uint32_t)self->parent) {
        return; /* the parent continues this process alone */
    } else if (info->ssi_signo != SIGCHLD && info->ssi_signo != (uint32_t)PARENT_CHANGED) {
        (void)kill(-self->worker, (int)info->ssi_signo);
    }
}

static bool worker_ended(helper *self)
{
    siginfo_t info = {0};
    (void)reap(self, false, false);
    return waitid(P_PID, (id_t)self->worker, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == self->worker;
}

/* Until the worker has ended or the parent is gone. */
static void supervise(helper *self)
{
    for (;;) {
        struct pollfd wakes[3] = {{.fd = self->signal_fd, .events = POLLIN},
                                  {.fd = self->death_fd, .events = POLLIN},
                                  {.fd = self->parent_fd, .events = POLLIN}};
        (void)poll(wakes, 3, -1);
        struct signalfd_siginfo info;
        while (read(self->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            pass_on(self, &info);
        }
        if (worker_ended(self)) {
            take_worker(self, true);
            report_end(self, end_all(self, MFI_EXEC_CLEAR_MS));
            return;
        }
        if (parent_has_gone(self, &wakes[1], &wakes[2])) {
            end_kindly(self);
            report_end(self, end_all(self, ORPHANED_CLEAR_MS));
            return;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        (void)fputs("usage: multifrost-exec PARENT_PID DEATH_FD STATUS_FD DIRECTORY PROGRAM "
                    "[ARGUMENT...]\n",
                    stderr);
        return EXIT_USAGE;
    }
    helper self = {.parent = (pid_t)strtol(argv[1], NULL, 10),
                   .death_fd = (int)strtol(argv[2], NULL, 10),
                   .status_fd = (int)strtol(argv[3], NULL, 10),
                   .directory = argv[4],
                   .argv = argv + 5};
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, MFI_EXEC_KILL);
    (void)sigaddset(&signals, PARENT_CHANGED);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++) {
        (void)sigaddset(&signals, passed_on[i]);
    }
    reset_signals(&signals);
    (void)fcntl(self.death_fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(self.status_fd, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!watch_parent(&self)) {
        return EXIT_CANNOT_START;
    }
    self.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.signal_fd < 0) {
        report_failure(self.status_fd, MFI_EXEC_STEP_HELPER, errno);
        return EXIT_CANNOT_START;
    }
    if (!start_worker(&self)) {
        return EXIT_CANNOT_START;
    }
    supervise(&self);
    return leave_like(self.wait_status);
}
