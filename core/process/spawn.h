/* Starts, signals and reaps one worker process, through the helper multifrost-exec.
 *
 * The helper puts the worker into a process group of its own. When `death_fd` is closed, for
 * whatever reason, the helper ends that group and every orphan of it. The helper's exit status is
 * the worker's. No SIGCHLD handler is installed, and only our own pids are waited for. One thread
 * at a time. */
#ifndef MFI_PROCESS_SPAWN_H
#define MFI_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <multifrost/error.h>

typedef struct mfi_spawn_options {
    const char *program;     /* searched in PATH; no shell */
    const char *const *args; /* after argv[0], NULL-terminated; NULL for none */
    /* "NAME=value", replaces entries of the environment; NULL for none */
    const char *const *env;
    const char *working_directory; /* NULL: this process's own */
    /* NULL: MULTIFROST_EXEC, else the helper that is installed with the library */
    const char *helper_path;
} mfi_spawn_options;

typedef struct mfi_process {
    pid_t helper_pid;
    pid_t pid;     /* the worker's */
    int pidfd;     /* of the helper; -1 where there are no pidfds (before Linux 5.3, valgrind) */
    int exit_fd;   /* readable or at its end when all has ended; the pidfd if there is one */
    int stdout_fd; /* read end, non-blocking; so is stderr_fd */
    int stderr_fd;
    int death_fd; /* closing it ends the worker and all its descendants */
} mfi_process;

/* Sets every descriptor to -1, and no pids, as mfi_process_close needs it. */
void mfi_process_init(mfi_process *process);

/* MF_OK; MF_ERR_START_FAILED naming the program and the reason; MF_ERR_SYSTEM; MF_ERR_NO_MEMORY.
 * Waits until the worker's exec has succeeded or failed (milliseconds). */
mf_status mfi_process_spawn(mfi_process *ret_process, const mfi_spawn_options *options,
                            mf_error *error);

/* Sends a signal such as SIGTERM to the worker's group, through the helper. */
void mfi_process_signal(const mfi_process *process, int signal_number);
/* Ends everything now: SIGKILL to the worker, then the helper ends the rest. */
void mfi_process_kill(mfi_process *process);

typedef struct mfi_exit {
    bool known; /* false where the program ignores SIGCHLD */
    int code;   /* -1 if a signal ended it */
    int signal; /* 0 if none */
} mfi_exit;
/* True if the process has ended. Does not wait. */
bool mfi_process_reap(mfi_process *process, mfi_exit *ret_exit);
/* Writes "exited with status 3" or "was killed by signal 9 (SIGKILL)". Returns the length. */
size_t mfi_exit_text(char *to, size_t size, const mfi_exit *ended);

/* Closes all descriptors. */
void mfi_process_close(mfi_process *process);

#endif
