/* Reads what multifrost-exec reports of its worker, signals both, and sees their end. It exists so
 * that the end of a worker is known whatever the program does: one that ignores SIGCHLD, or waits
 * for any child, takes the helper's exit status away, so the worker's comes by a pipe. */
#include "core/process/exits.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mutex.h"
#include "base/str.h"
#include "core/process/alive.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* ---- Reports ---- */

static void take(mfi_process *process, const mfi_exec_record *record)
{
    switch (record->what) {
    case MFI_EXEC_FORKED:
        process->pid = record->pid;
        break;
    case MFI_EXEC_STARTED:
        process->started = true;
        break;
    case MFI_EXEC_FAILED:
        process->failed = *record;
        process->pid = 0; /* the helper has waited for it */
        break;
    case MFI_EXEC_ENDED:
        process->ended = *record;
        process->pid = record->pid;
        break;
    default:
        break;
    }
}

mfi_process_stage mfi_process_read(mfi_process *process, bool *ret_at_end)
{
    mfi_exec_record record;
    ssize_t got = 0;
    do {
        got = read(process->status_fd, &record, sizeof record);
        if (got == (ssize_t)sizeof record) { /* the helper writes it whole or not at all */
            take(process, &record);
        }
    } while (got == (ssize_t)sizeof record || (got < 0 && errno == EINTR));
    if (ret_at_end != NULL) {
        *ret_at_end = got >= 0 || errno != EAGAIN;
    }
    return process->ended.what != 0    ? MFI_STAGE_ENDED
           : process->failed.what != 0 ? MFI_STAGE_FAILED
           : process->started          ? MFI_STAGE_STARTED
                                       : MFI_STAGE_STARTING;
}

mf_status mfi_process_failure(const mfi_process *process, const char *program,
                              const char *directory, mf_error *error)
{
    int reason = process->failed.error_number;
    if (process->failed.step == MFI_EXEC_STEP_DIRECTORY) {
        return mfi_fail_errno(error, MF_ERR_START_FAILED, reason,
                              "cannot start '%s': the working directory '%s' cannot be used",
                              program, directory != NULL ? directory : "");
    }
    if (process->failed.step == MFI_EXEC_STEP_HELPER) {
        return mfi_fail_errno(error, MF_ERR_START_FAILED, reason,
                              "cannot start '%s': the helper multifrost-exec failed", program);
    }
    return mfi_fail_errno(error, MF_ERR_START_FAILED, reason, "cannot start '%s'", program);
}

/* ---- Signals ---- */

/* The status pipe is at its end, and the pidfd readable, when the helper has ended. Another part of
 * the program may have waited for the helper then, so its pid may be a stranger's. The pipe alone
 * does not tell, because a fork of the program may hold its other end. */
static bool helper_runs(const mfi_process *process)
{
    struct pollfd signs[] = {{.fd = process->status_fd, .events = 0},
                             {.fd = process->pidfd, .events = POLLIN}};
    return process->helper_pid > 0 && poll(signs, 2, 0) == 0;
}

void mfi_process_signal(const mfi_process *process, int signal_number)
{
    if (process->pidfd >= 0 &&
        syscall(SYS_pidfd_send_signal, process->pidfd, signal_number, NULL, 0) == 0) {
        return;
    }
    if (helper_runs(process)) {
        (void)kill(process->helper_pid, signal_number);
    }
}

void mfi_process_wake(const mfi_process *process)
{
    mfi_process_signal(process, SIGCONT);
}

void mfi_process_kill(const mfi_process *process)
{
    mfi_process_wake(process);
    mfi_process_signal(process, MFI_EXEC_KILL);
}

/* As long as the helper runs and has not reported the end, it has not waited for the worker, so the
 * worker's pid and group are still the worker's. */
static bool worker_runs(mfi_process *process)
{
    mfi_process_stage stage = mfi_process_read(process, NULL);
    return process->pid > 0 && stage != MFI_STAGE_ENDED && helper_runs(process);
}

void mfi_process_signal_worker(mfi_process *process, int signal_number)
{
    if (worker_runs(process)) {
        (void)kill(process->pid, signal_number);
    }
}

void mfi_process_force(mfi_process *process)
{
    if (worker_runs(process)) {
        (void)kill(-process->pid, SIGKILL);
        (void)kill(process->pid, SIGKILL);
    }
    mfi_process_signal(process, SIGKILL);
}

/* ---- The end ---- */

static mfi_exit exit_of(int wait_status)
{
    bool exited = WIFEXITED(wait_status);
    return (mfi_exit){.known = true,
                      .code = exited ? WEXITSTATUS(wait_status) : -1,
                      .signal = exited ? 0 : WTERMSIG(wait_status),
                      .dumped = !exited && WCOREDUMP(wait_status)};
}

/* True if the helper has gone. *ret_exit is its own, if that is known: where it could not report,
 * it was killed, and its worker was killed with it. */
static bool wait_for_helper(const mfi_process *process, mfi_exit *ret_exit)
{
    siginfo_t info = {0};
    int result = -1;
    do {
        errno = EINVAL;
        result = process->pidfd < 0
                     ? -1
                     : waitid((idtype_t)P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
        if (result != 0 && errno == EINVAL) { /* no pidfd, or before Linux 5.4 */
            result = waitid(P_PID, (id_t)process->helper_pid, &info, WEXITED | WNOHANG);
        }
    } while (result != 0 && errno == EINTR);
    *ret_exit = (mfi_exit){.code = -1};
    if (result == 0 && info.si_pid == 0) {
        return false;
    }
    if (result == 0) { /* else the program ignores SIGCHLD, or has waited for the helper itself */
        ret_exit->known = true;
        ret_exit->code = info.si_code == CLD_EXITED ? info.si_status : -1;
        ret_exit->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    }
    return true;
}

bool mfi_process_reap(mfi_process *process, mfi_exit *ret_exit)
{
    *ret_exit = (mfi_exit){.code = -1};
    if (process->helper_pid > 0 && !wait_for_helper(process, ret_exit)) {
        return false;
    }
    if (process->status_fd >= 0 && mfi_process_read(process, NULL) == MFI_STAGE_ENDED) {
        const mfi_exec_record *ended = &process->ended;
        *ret_exit = exit_of(ended->wait_status);
        ret_exit->left = ended->left != 0;
        ret_exit->user_us = ended->user_us;
        ret_exit->system_us = ended->system_us;
        ret_exit->max_rss_kib = ended->max_rss_kib;
    }
    process->helper_pid = 0;
    return true;
}

mfi_exit mfi_exit_given_up(void)
{
    return (mfi_exit){.code = -1, .left = true};
}

/* ---- Helpers that were given up ---- */

#define LEFT_MAX 32 /* each may hold a pidfd; a helper that finds no place stays a zombie */

typedef struct left_helper {
    mfi_process process;             /* only the helper's pid and pidfd */
    char mark[MFI_PROCESS_MARK_MAX]; /* "": not known */
} left_helper;

static mfi_mutex left_mutex = MFI_MUTEX_INIT;
static left_helper left_helpers[LEFT_MAX]; /* guarded by left_mutex, as is the count */
static size_t left_count;

/* Without a pidfd, another part of the program may have waited for the helper long ago, and its pid
 * may be that of another child. */
static bool left_is_over(const left_helper *helper)
{
    mfi_exit unused;
    char mark[MFI_PROCESS_MARK_MAX];
    if (helper->process.pidfd < 0 && helper->mark[0] != '\0') {
        mfi_process_mark(helper->process.helper_pid, mark);
        if (strcmp(mark, helper->mark) != 0) {
            return true;
        }
    }
    return wait_for_helper(&helper->process, &unused);
}

void mfi_process_reap_left(void)
{
    if (!mfi_mutex_try_lock(&left_mutex)) { /* another thread looks, or looked when it forked */
        return;
    }
    for (size_t i = 0; i < left_count;) {
        if (left_is_over(&left_helpers[i])) {
            mfi_process_close(&left_helpers[i].process);
            left_helpers[i] = left_helpers[--left_count];
        } else {
            i++;
        }
    }
    mfi_mutex_unlock(&left_mutex);
}

void mfi_process_leave(mfi_process *process)
{
    mfi_process_reap_left(); /* makes room */
    mfi_mutex_lock(&left_mutex);
    if (process->helper_pid > 0 && left_count < LEFT_MAX) {
        left_helper *helper = &left_helpers[left_count++];
        mfi_process_init(&helper->process);
        helper->process.helper_pid = process->helper_pid;
        helper->process.pidfd = process->pidfd;
        mfi_process_mark(process->helper_pid, helper->mark);
        process->pidfd = -1;
    }
    process->helper_pid = 0;
    mfi_mutex_unlock(&left_mutex);
}

size_t mfi_exit_text(char *to, size_t size, const mfi_exit *ended)
{
    const char *left = ended->left ? ", and left processes that could not be ended" : "";
    if (!ended->known) {
        return mfi_str_format(to, size, "%s",
                              ended->left ? "could not be seen to end"
                                          : "ended for a reason that is not known");
    }
    if (ended->signal != 0) {
        const char *name = sigabbrev_np(ended->signal);
        return mfi_str_format(to, size, "was killed by signal %d (SIG%s)%s", ended->signal,
                              name != NULL ? name : "?", left);
    }
    return mfi_str_format(to, size, "exited with status %d%s", ended->code, left);
}
