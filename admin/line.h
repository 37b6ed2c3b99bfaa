/* One line at the admin socket: what it asks for. */
#ifndef MFI_ADMIN_LINE_H
#define MFI_ADMIN_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/error.h>
#include <multifrost/log.h>

#include "core/runtime/command.h"

typedef struct mfi_admin_line {
    mfi_admin_command what;
    char target[MFI_COMMAND_NAME_MAX], worker[MFI_COMMAND_NAME_MAX]; /* "": any */
    mf_log_level level;
    mfi_circuit_order order;
    bool ends;
    mfi_fault_rule fault;
} mfi_admin_line;

/* Reads a line without its newline. MF_ERR_INVALID_ARGUMENT names what was wrong, and what is
 * known; the line's command is then set if it has one, else it is MFI_ADMIN_UNKNOWN. */
mf_status mfi_admin_line_read(mfi_admin_line *ret_line, const char *text, size_t length,
                              mf_error *error);
/* The fields of a command beside "command", ends with NULL. */
const char *const *mfi_admin_fields(mfi_admin_command command);

#endif
