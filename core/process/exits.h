/* What becomes of one spawned worker: the helper's reports, signals, and the end. None of this
 * waits. One thread at a time. */
#ifndef MFI_PROCESS_EXITS_H
#define MFI_PROCESS_EXITS_H

#include <stdint.h>

#include "core/process/spawn.h"

typedef enum mfi_process_stage {
    MFI_STAGE_STARTING, /* the helper has not reported the outcome yet */
    MFI_STAGE_STARTED,  /* the worker has become the program */
    MFI_STAGE_FAILED,   /* it could not: see mfi_process_failure() */
    MFI_STAGE_ENDED,    /* it has ended; the helper ends next */
} mfi_process_stage;

/* Reads the waiting reports. *ret_at_end, if not NULL: there can be no more. */
mfi_process_stage mfi_process_read(mfi_process *process, bool *ret_at_end);
/* MF_ERR_START_FAILED: names what could not be used, the working directory or the program, and why.
 * For the stage FAILED. */
mf_status mfi_process_failure(const mfi_process *process, const char *program,
                              const char *directory, mf_error *error);

/* Sends SIGTERM and the like to the worker's group by way of the helper. */
void mfi_process_signal(const mfi_process *process, int signal_number);
/* Sends any signal to the worker's process alone, if it runs. */
void mfi_process_signal_worker(mfi_process *process, int signal_number);
/* Continues the helper, which may have been stopped; the worker is left as it is. */
void mfi_process_wake(const mfi_process *process);
/* Ends everything now: SIGKILL to the worker, then the helper clears up the rest, which takes it
 * MFI_EXEC_CLEAR_MS and a little at most. */
void mfi_process_kill(const mfi_process *process);
/* For a helper that did not act: SIGKILL to the worker's group, then to the helper. */
void mfi_process_force(mfi_process *process);

typedef struct mfi_exit {
    bool known;      /* false where the helper was lost and its status too */
    int code;        /* -1 if it was a signal */
    int signal;      /* 0 if none */
    bool dumped;     /* the kernel wrote a core file */
    bool left;       /* processes that the worker started could not be ended */
    int64_t user_us; /* processor time; 0 where the helper was lost */
    int64_t system_us;
    int64_t max_rss_kib;
} mfi_exit;
/* True if the worker and its helper have ended. */
bool mfi_process_reap(mfi_process *process, mfi_exit *ret_exit);
/* The exit of a process whose end cannot be waited for any longer. */
mfi_exit mfi_exit_given_up(void);
/* Any thread. The process is given up: its helper, which is a child of the program, is kept in a
 * list, so that it is no zombie for ever if it ends later. Takes the pidfd. */
void mfi_process_leave(mfi_process *process);
/* Any thread. Waits for those in the list that have ended. Each start does that too. */
void mfi_process_reap_left(void);
/* "exited with status 3", "was killed by signal 9 (SIGKILL)". Returns the length. */
size_t mfi_exit_text(char *to, size_t size, const mfi_exit *ended);

#endif
