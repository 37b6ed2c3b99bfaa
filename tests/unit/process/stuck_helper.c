/* In place of multifrost-exec: starts the worker, says so, and then does nothing any more, whatever
 * it is asked. As a helper that hangs. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/process/exec_record.h"

int main(int argc, char **argv)
{
    sigset_t all, none;
    if (argc < 6) {
        return 64;
    }
    int status_fd = (int)strtol(argv[3], NULL, 10);
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)close(status_fd);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)execvp(argv[5], argv + 5);
        _Exit(127);
    }
    (void)setpgid(pid, pid);
    mfi_exec_record record = {.what = MFI_EXEC_FORKED, .pid = pid};
    if (write(status_fd, &record, sizeof record) != (ssize_t)sizeof record) {
        return 1;
    }
    record.what = MFI_EXEC_STARTED;
    if (write(status_fd, &record, sizeof record) != (ssize_t)sizeof record) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}
