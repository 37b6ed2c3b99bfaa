/* Where a process that crashed may have left its memory. */
#ifndef MFI_PROCESS_CORE_DUMP_H
#define MFI_PROCESS_CORE_DUMP_H

#include <stdbool.h>

#define MFI_CORE_PATTERN_MAX 128 /* the kernel's own bound */

/* True if the kernel writes a core file for a process that this signal ends, unless a limit forbids
 * it. */
bool mfi_core_is_due(int signal);
/* The kernel's setting core_pattern as it stands: nothing of the process is filled in. "" if it
 * cannot be read. */
void mfi_core_pattern(char to[MFI_CORE_PATTERN_MAX]);

#endif
