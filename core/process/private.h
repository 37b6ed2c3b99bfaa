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
/* Device and inode of the pipes for stdout and stderr: "dev:ino,dev:ino", decimal. */
#define MFI_PRIVATE_PIPES "COMLINK_OUTPUT_PIPES"
#define MFI_PRIVATE_PIPES_MAX 128 /* bytes of the entry, with the NUL */

/* True if "NAME=value" is one of these variables. */
bool mfi_private_is(const char *entry);
/* Writes "COMLINK_OUTPUT_PIPES=..." for two pipes; to has MFI_PRIVATE_PIPES_MAX bytes. Without a
 * value if a descriptor is not open. */
void mfi_private_name_pipes(char *to, int out_fd, int err_fd);
/* Removes the variables from this process's environment, and keeps which pipes the parent reads. */
void mfi_private_take(void);
/* True if the descriptor leads into one of the pipes that were named at the last take. */
bool mfi_private_is_parents_pipe(int fd);

#endif
