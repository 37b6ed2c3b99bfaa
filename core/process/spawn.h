/* Starting one worker process, through the helper multifrost-exec. core/process/exits.h signals it
 * and sees its end.
 *
 * The helper puts the worker into its own process group and ends that group, and every orphan of
 * it, when the parent has ended in whatever way. Starting waits for nobody: what becomes of the
 * worker is read from `status_fd`. No SIGCHLD handler is installed, and only our own pids are
 * waited for. One thread at a time. */
#ifndef MFI_PROCESS_SPAWN_H
#define MFI_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <multifrost/error.h>

#include "core/process/exec_record.h"

typedef struct mfi_spawn_options {
    const char *program;     /* searched in PATH; no shell */
    const char *const *args; /* after argv[0], NULL-terminated; NULL for none */
    /* "NAME=value", replaces entries of the environment; NULL for none */
    const char *const *env;
    const char *working_directory; /* NULL: this process's own */
    /* NULL: MULTIFROST_EXEC, else the helper that is installed with the library */
    const char *helper_path;
    /* A memfd that the worker inherits under the same number, at least 3; 0: none. Borrowed until
     * the spawn returns. COMLINK_SEGMENT names it to the worker (private.h). */
    int segment_fd;
} mfi_spawn_options;

typedef struct mfi_process {
    pid_t helper_pid;
    pid_t pid;     /* the worker's own; 0: not known yet, or none */
    int pidfd;     /* of the helper; -1 where the system gives none (before Linux 5.3, seccomp) */
    int status_fd; /* read end, non-blocking: what the helper reports; at its end the helper ends */
    int stdout_fd; /* read ends, non-blocking */
    int stderr_fd;
    int death_fd;           /* closing it ends the worker and all its descendants */
    mfi_exec_record failed; /* FAILED, or nothing yet */
    mfi_exec_record ended;  /* ENDED, or nothing yet */
    bool started;           /* the worker has become the program */
} mfi_process;

/* Sets every descriptor to -1, and no pids, as mfi_process_close needs it. */
void mfi_process_init(mfi_process *process);

/* Starts the helper, which starts the worker. MF_OK: the outcome will come by status_fd.
 * MF_ERR_START_FAILED naming the helper and why it cannot be run; MF_ERR_SYSTEM; MF_ERR_NO_MEMORY.
 */
mf_status mfi_process_spawn(mfi_process *ret_process, const mfi_spawn_options *options,
                            mf_error *error);

/* Closes all descriptors. */
void mfi_process_close(mfi_process *process);

#endif
