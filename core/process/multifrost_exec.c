/* multifrost-exec: runs one worker, so that nothing of it outlives its parent.
 *
 *     multifrost-exec DEATH_FD STATUS_FD PROGRAM [ARGUMENT...]
 *
 * The helper becomes a child subreaper and starts the program in a process group of its own. Then
 * it waits for three things: the program's end, a signal to pass on, and the end of the pipe
 * DEATH_FD. Only the parent holds that pipe's write end, so the pipe ends when the parent has
 * ended, in whatever way. Then the helper ends the group and every orphan that it adopted: SIGTERM,
 * a short time, SIGKILL. The helper exits as the program did: with the same status, or by the same
 * signal.
 *
 * On STATUS_FD the helper writes one record, {pid, errno}: errno is 0 if the program was started,
 * else the reason. PR_SET_PDEATHSIG alone is not enough, because it fires when the forking thread
 * ends, and does not reach grandchildren. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/process/exec_record.h"

#define GRACE_MS 300          /* between SIGTERM and SIGKILL; chosen, not measured */
#define EXIT_USAGE 64         /* EX_USAGE of sysexits.h */
#define EXIT_CANNOT_START 127 /* as a shell's */

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCONT, SIGQUIT};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void report(int status_fd, pid_t pid, int error_number)
{
    mfi_exec_record record = {.pid = pid, .error_number = error_number};
    ssize_t written = 0;
    do {
        written = write(status_fd, &record, sizeof record);
    } while (written < 0 && errno == EINTR);
}

/* Runs in the forked child. exec closes the write end `exec_fd` when it succeeds. */
static void become_worker(char **argv, int exec_fd, pid_t helper)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* for the case that the helper itself is killed */
    if (getppid() != helper) {
        _Exit(EXIT_CANNOT_START);
    }
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execvp(argv[0], argv);
    int reason = errno;
    ssize_t written = write(exec_fd, &reason, sizeof reason);
    (void)written;
    _Exit(EXIT_CANNOT_START);
}

/* Starts the program. Returns 0 and its pid, or the errno of the failure. */
static int start_worker(char **argv, pid_t *ret_pid)
{
    int ends[2];
    int reason = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    pid_t helper = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        reason = errno;
    } else if (pid == 0) {
        become_worker(argv, ends[1], helper);
    }
    (void)close(ends[1]);
    if (pid > 0) {
        (void)setpgid(pid, pid); /* in both processes, so that it is done whichever runs first */
        ssize_t got = 0;
        do {
            got = read(ends[0], &reason, sizeof reason);
        } while (got < 0 && errno == EINTR);
        if (got == (ssize_t)sizeof reason) {
            (void)waitpid(pid, NULL, 0);
        } else {
            reason = 0;
            *ret_pid = pid;
        }
    }
    (void)close(ends[0]);
    return reason;
}

/* Sends a signal to every child that is left, adopted orphans included. Linux lists them in one
 * file. Every child may lead a session of its own. */
static void signal_children(int number)
{
    FILE *list = fopen("/proc/thread-self/children", "re");
    int pid = 0;
    while (list != NULL && fscanf(list, "%d", &pid) == 1) { /* NOLINT: the kernel's own digits */
        (void)kill(pid, number);
    }
    if (list != NULL) {
        (void)fclose(list);
    }
}

/* Reaps the children that have ended. True if the worker is one of them: its status is in
 * *ret_status. */
static int reap(pid_t worker, int *ret_status, int *ret_any_left)
{
    int found = 0;
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == worker) {
            *ret_status = status;
            found = 1;
        }
        if (pid == 0 || (pid < 0 && errno != EINTR)) {
            *ret_any_left = pid == 0;
            return found;
        }
    }
}

/* Ends all children that are left. If polite, SIGTERM comes first and GRACE_MS passes; then
 * SIGKILL. Orphans appear while their parents die, so SIGKILL is sent until no child is left. */
static void end_all(pid_t worker, int *ret_status, int signal_fd, int polite)
{
    int left = 1;
    int64_t deadline = now_ms() + (polite ? GRACE_MS : 0);
    if (polite) {
        (void)kill(-worker, SIGTERM);
        (void)kill(-worker, SIGCONT);
        signal_children(SIGTERM);
    }
    for (;;) {
        (void)reap(worker, ret_status, &left);
        if (!left) {
            return;
        }
        int64_t wait_ms = deadline - now_ms();
        if (wait_ms <= 0) {
            (void)kill(-worker, SIGKILL);
            signal_children(SIGKILL);
            wait_ms = 20; /* a newly adopted child may have been missing in the list */
        }
        struct pollfd wakes = {.fd = signal_fd, .events = POLLIN};
        if (poll(&wakes, 1, (int)wait_ms) > 0) {
            struct signalfd_siginfo info;
            ssize_t got = read(signal_fd, &info, sizeof info);
            (void)got;
        }
    }
}

/* Exits as the worker did. */
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

/* Waits until the worker has ended or the parent is gone. */
static int supervise(pid_t worker, int death_fd, int signal_fd)
{
    int status = 0;
    int left = 1;
    for (;;) {
        struct pollfd wakes[2] = {{.fd = signal_fd, .events = POLLIN},
                                  {.fd = death_fd, .events = POLLIN}};
        (void)poll(wakes, 2, -1);
        struct signalfd_siginfo info;
        while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            if (info.ssi_signo == (uint32_t)MFI_EXEC_KILL) {
                (void)kill(-worker, SIGKILL);
            } else if (info.ssi_signo != SIGCHLD) {
                (void)kill(-worker, (int)info.ssi_signo);
            }
        }
        if (reap(worker, &status, &left)) {
            end_all(worker, &status, signal_fd, 0);
            return status;
        }
        if ((wakes[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            end_all(worker, &status, signal_fd, 1);
            return status;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fputs("usage: multifrost-exec DEATH_FD STATUS_FD PROGRAM [ARGUMENT...]\n", stderr);
        return EXIT_USAGE;
    }
    int death_fd = (int)strtol(argv[1], NULL, 10);
    int status_fd = (int)strtol(argv[2], NULL, 10);
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, MFI_EXEC_KILL);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++) {
        (void)sigaddset(&signals, passed_on[i]);
    }
    (void)signal(SIGCHLD,
                 SIG_DFL); /* a program that ignores it hands that on, and none would come */
    (void)sigprocmask(SIG_SETMASK, &signals, NULL);
    (void)fcntl(death_fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(status_fd, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    pid_t worker = 0;
    int reason = signal_fd < 0 ? errno : start_worker(argv + 3, &worker);
    report(status_fd, worker, reason); /* the pipe's end now means the end of this process */
    if (reason != 0) {
        return EXIT_CANNOT_START;
    }
    return leave_like(supervise(worker, death_fd, signal_fd));
}
