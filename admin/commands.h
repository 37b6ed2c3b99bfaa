/* The commands of an admin socket: what each does, and its answer. */
#ifndef MFI_ADMIN_COMMANDS_H
#define MFI_ADMIN_COMMANDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/runtime/runtime.h"

#define MFI_ADMIN_SCHEMA "multifrost.admin/1"

/* The process that asks, as the kernel names it. */
typedef struct mfi_admin_asker {
    int64_t uid, pid;
} mfi_admin_asker;

/* Carries out a line, counts it, and appends the answer with its newline. text NULL: the line was
 * too long. */
void mfi_admin_obey(mf_runtime *runtime, const mfi_admin_asker *asker, const char *text,
                    size_t length, mfi_buf *out);
/* Appends the answer to a line, or to a visitor, that is refused. */
void mfi_admin_refuse(mfi_buf *out, const char *why);

#endif
