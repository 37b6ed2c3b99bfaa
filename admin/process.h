/* The process itself, for the command `status`: its heap, threads and descriptors. */
#ifndef MFI_ADMIN_PROCESS_H
#define MFI_ADMIN_PROCESS_H

#include "base/buf.h"

/* Appends members of a JSON object, with a comma before each. */
void mfi_admin_append_process(mfi_buf *out);

#endif
