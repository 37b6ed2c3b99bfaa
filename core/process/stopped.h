/* Whether the system keeps a process from running: a stop signal, or a frozen cgroup. */
#ifndef MFI_PROCESS_STOPPED_H
#define MFI_PROCESS_STOPPED_H

#include <stdbool.h>
#include <stdint.h>

/* True only when it is certain. A process that a debugger has stopped counts as running. */
bool mfi_process_is_stopped(int64_t pid);

/* The same, with other folders in the place of /proc and /sys/fs/cgroup. */
bool mfi_process_is_stopped_in(const char *proc, const char *cgroups, int64_t pid);

#endif
