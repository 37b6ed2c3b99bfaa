/* What multifrost-exec and whoever started it tell each other. */
#ifndef MFI_PROCESS_EXEC_RECORD_H
#define MFI_PROCESS_EXEC_RECORD_H

#include <signal.h>
#include <stdint.h>

/* To the helper: SIGKILL to the worker's group, now. By way of the helper, because a signal to a
 * process group could meet a stranger once the group is gone. */
#define MFI_EXEC_KILL SIGRTMIN

/* Once, over a pipe. */
typedef struct mfi_exec_record {
    int32_t pid;          /* of the worker, 0 if it could not be started */
    int32_t error_number; /* why, 0 if it was */
} mfi_exec_record;

#endif
