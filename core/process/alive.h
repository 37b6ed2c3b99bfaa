/* Whether a process named by its pid, possibly long ago and by somebody else, still runs.
 *
 * A pid alone may have been given to another process since. Its mark, the boot and the moment in it
 * at which the process started, never comes again. */
#ifndef MFI_PROCESS_ALIVE_H
#define MFI_PROCESS_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

#define MFI_PROCESS_MARK_MAX 64

/* Writes the mark of a running process: printable, without blanks; "" when it cannot be known. */
void mfi_process_mark(int64_t pid, char to[MFI_PROCESS_MARK_MAX]);

/* False only when it is certain that the process has ended: the pid is free, a zombie, or of a
 * process with another mark. With mark NULL or "" the pid alone counts. */
bool mfi_process_alive(int64_t pid, const char *mark);

/* True only when it is certain that the process of this pid started later than that moment of the
 * wall clock, up to how well the two clocks are known: what the pid meant then has ended. */
struct timespec;
bool mfi_process_started_after(int64_t pid, const struct timespec *moment);

#endif
