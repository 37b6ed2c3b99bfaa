/* The variables of the environment that a parent sets for its worker alone, and the pipes that the
 * parent reads, which one of the variables names.
 *
 * A worker takes the variables and removes them, so that what it starts does not inherit them. A
 * parent passes none of its own on. */
#ifndef MFI_PROCESS_PRIVATE_H
#define MFI_PROCESS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#define MFI_PRIVATE_PORT "COMLINK_ZMQ_PORT"
#define MFI_PRIVATE_MODE "COMLINK_WORKER_MODE"
/* The name of the worker, such as "math-0": at both ends the value of the label `worker`. */
#define MFI_PRIVATE_WORKER "COMLINK_WORKER_NAME"
/* Descriptor that the worker inherits, and device and inode of its memfd: "fd:dev:ino", decimal. */
#define MFI_PRIVATE_SEGMENT "COMLINK_SEGMENT"
#define MFI_PRIVATE_SEGMENT_MAX 96 /* bytes of the entry, with the NUL */
/* Device and inode of the pipes for stdout and stderr: "dev:ino,dev:ino", decimal. */
#define MFI_PRIVATE_PIPES "COMLINK_OUTPUT_PIPES"
#define MFI_PRIVATE_PIPES_MAX 128 /* bytes of the entry, with the NUL */

/* True if "NAME=value" is one of these variables. */
bool mfi_private_is(const char *entry);
/* Writes "COMLINK_OUTPUT_PIPES=..." for two pipes; to has MFI_PRIVATE_PIPES_MAX bytes. Without a
 * value if a descriptor is not open. */
void mfi_private_name_pipes(char *to, int out_fd, int err_fd);
/* Writes "COMLINK_SEGMENT=..." for a memfd; to has MFI_PRIVATE_SEGMENT_MAX bytes. False, and
 * without a value, if the descriptor is none. */
bool mfi_private_name_segment(char *to, int fd);
/* Removes the variables from this process's environment, and keeps which pipes the parent reads.
 * The descriptor of the segment, if one came, gets its close-on-exec flag. */
void mfi_private_take(void);
/* The descriptor of the segment that the parent handed over; the caller closes it. -1 if none came,
 * if another caller has it already, or if the descriptor is not the memfd that the parent named. */
int mfi_private_take_segment(void);
/* True if the descriptor leads into one of the pipes that were named at the last take. */
bool mfi_private_is_parents_pipe(int fd);

#endif
