/* What multifrost-exec and the process that started it tell each other. */
#ifndef MFI_PROCESS_EXEC_RECORD_H
#define MFI_PROCESS_EXEC_RECORD_H

#include <signal.h>
#include <stdint.h>

/* Sent to the helper: the helper then sends SIGKILL to the worker's group. The parent does not send
 * it itself, because a signal to a group that has ended could reach a stranger. */
#define MFI_EXEC_KILL SIGRTMIN

/* How long the helper waits at most for the ends of the processes that a dead worker left. */
#define MFI_EXEC_CLEAR_MS 1500

typedef enum mfi_exec_what {
    MFI_EXEC_FORKED = 1, /* the worker's process is there, and has not become the program yet */
    MFI_EXEC_STARTED,    /* it has become the program */
    MFI_EXEC_FAILED,     /* it could not */
    MFI_EXEC_ENDED,      /* the worker has ended, and what it left is dead or given up */
} mfi_exec_what;

typedef enum mfi_exec_step {
    MFI_EXEC_STEP_HELPER = 1, /* the helper's own preparations */
    MFI_EXEC_STEP_DIRECTORY,  /* the change to the working directory */
    MFI_EXEC_STEP_PROGRAM,    /* the exec of the program */
} mfi_exec_step;

/* From the helper, over a pipe, each in one write. */
typedef struct mfi_exec_record {
    int32_t what;         /* mfi_exec_what */
    int32_t pid;          /* FORKED, STARTED, ENDED: of the worker */
    int32_t step;         /* FAILED: mfi_exec_step */
    int32_t error_number; /* FAILED */
    int32_t wait_status;  /* ENDED: as waitpid() gives it */
    int32_t left;         /* ENDED: 1 if processes of the worker are left that could not be ended */
    int64_t user_us;      /* ENDED: processor time of the worker, and of what it waited for */
    int64_t system_us;
    int64_t max_rss_kib;
} mfi_exec_record;

#endif
