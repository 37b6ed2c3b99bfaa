/* What multifrost-exec tells whoever started it, once, over a pipe. */
#ifndef MFI_PROCESS_EXEC_RECORD_H
#define MFI_PROCESS_EXEC_RECORD_H

#include <stdint.h>

typedef struct mfi_exec_record {
    int32_t pid;          /* of the worker, 0 if it could not be started */
    int32_t error_number; /* why, 0 if it was */
} mfi_exec_record;

#endif
