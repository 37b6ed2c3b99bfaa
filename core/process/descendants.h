/* The children of the calling process, for multifrost-exec, whose children are a worker and the
 * orphans of that worker. */
#ifndef MFI_PROCESS_DESCENDANTS_H
#define MFI_PROCESS_DESCENDANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int64_t mfi_descendants_now_ms(void);

/* Sends a signal to every child of this process. `first` is the pid that was given to the first of
 * them, as a hint. Without a list from the kernel the children are searched for until deadline_ms
 * has come or `any_left` (which may reap) gives false. */
void mfi_descendants_signal(int number, pid_t first, int64_t deadline_ms, bool (*any_left)(void *),
                            void *data);

/* The search alone. */
void mfi_descendants_search(int number, pid_t first, int64_t deadline_ms, bool (*any_left)(void *),
                            void *data);

#endif
