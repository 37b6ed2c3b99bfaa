/* The record and the signal between multifrost-exec and the process that started it. */
#ifndef MFI_PROCESS_EXEC_RECORD_H
#define MFI_PROCESS_EXEC_RECORD_H

#include <signal.h>
#include <stdint.h>

/* Sent to the helper: the helper then sends SIGKILL to the worker's group. The parent does not send
 * it itself, because a signal to a group that has ended could reach a stranger. */
#define MFI_EXEC_KILL SIGRTMIN

/* Written once, to a pipe. */
typedef struct mfi_exec_record {
    int32_t pid;          /* of the worker; 0 if it could not be started */
    int32_t error_number; /* the reason for that; 0 if it was started */
} mfi_exec_record;

#endif
