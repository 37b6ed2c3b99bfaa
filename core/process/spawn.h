/* Starting, signalling and reaping one worker process, through the helper multifrost-exec.
 *
 * The helper puts the worker into its own process group and ends that group, and every orphan of
 * it, when `death_fd` is closed by whatever end the parent meets. Its exit status is the worker's.
 * No SIGCHLD handler is installed, and only our own pids are waited for. One thread at a time. */
#ifndef MFI_PROCESS_SPAWN_H
#define MFI_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <multifrost/error.h>

typedef struct mfi_spawn_options {
    const char *program;           /* searched in PATH; no shell */
    const char *const *args;       /* after argv[0], NULL-terminated; NULL for none */
    const char *const *env;        /* "NAME=value" over the own environment; NULL for none */
    const char *working_directory; /* NULL: the own */
    const char *helper_path;       /* NULL: MULTIFROST_EXEC, else what is installed with us */
} mfi_spawn_options;

typedef struct mfi_process {
    pid_t helper_pid;
    pid_t pid;     /* the worker's own */
    int pidfd;     /* of the helper; -1 where the system has none (before Linux 5.3, valgrind) */
    int exit_fd;   /* readable, or at its end, when all has ended; pidfd if there is one */
    int stdout_fd; /* read ends, non-blocking */
    int stderr_fd;
    int death_fd; /* closing it ends the worker and all its descendants */
} mfi_process;

/* Every descriptor -1, no pids: what mfi_process_close takes. */
void mfi_process_init(mfi_process *process);

/* MF_OK; MF_ERR_START_FAILED naming the program and why it cannot be run; MF_ERR_SYSTEM;
 * MF_ERR_NO_MEMORY. Blocks until the worker's exec has succeeded or failed (milliseconds). */
mf_status mfi_process_spawn(mfi_process *ret_process, const mfi_spawn_options *options,
                            mf_error *error);

/* Sends SIGTERM and the like to the worker's group by way of the helper. */
void mfi_process_signal(const mfi_process *process, int signal_number);
/* Ends everything now: SIGKILL to the worker, then the helper clears up the rest. */
void mfi_process_kill(mfi_process *process);

typedef struct mfi_exit {
    bool known; /* false where the program ignores SIGCHLD */
    int code;   /* -1 if it was a signal */
    int signal; /* 0 if none */
} mfi_exit;
/* True if it has ended; does not wait. */
bool mfi_process_reap(mfi_process *process, mfi_exit *ret_exit);
/* "exited with status 3", "was killed by signal 9 (SIGKILL)". Returns the length. */
size_t mfi_exit_text(char *to, size_t size, const mfi_exit *ended);

/* Closes all descriptors. */
void mfi_process_close(mfi_process *process);

#endif
