/* Whether a process still runs, named by a pid that another process may have written long ago.
 *
 * A pid alone may have been given to another process since. A mark cannot: it holds the boot's id,
 * and the moment in this boot at which the process started. */
#ifndef MFI_PROCESS_ALIVE_H
#define MFI_PROCESS_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

#define MFI_PROCESS_MARK_MAX 64

/* Writes the mark of a running process: printable, without blanks; "" if it cannot be found out. */
void mfi_process_mark(int64_t pid, char to[MFI_PROCESS_MARK_MAX]);

/* False only if the process has certainly ended: the pid is free, a zombie, or of a process with
 * another mark. With mark NULL or "" only the pid is checked. */
bool mfi_process_alive(int64_t pid, const char *mark);

/* True only if the process with this pid has certainly started later than `moment` (wall clock,
 * within the precision of the two clocks). Then the process that had the pid at that moment has
 * ended. */
struct timespec;
bool mfi_process_started_after(int64_t pid, const struct timespec *moment);

#endif
