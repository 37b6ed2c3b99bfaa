/* The deadline of the call that a thread works for. A call that a handler makes must end before
 * this deadline. The deadline is kept apart from the logging context because that context belongs
 * to logging. */
#ifndef MFI_ENGINE_DEADLINE_H
#define MFI_ENGINE_DEADLINE_H

#include <stdint.h>

/* Deadline of the calling thread, in monotonic nanoseconds; MFI_NEVER if there is none. */
uint64_t mfi_running_deadline(void);
/* Sets the calling thread's deadline and returns the previous one. Calls nest: the same thread
 * passes the previous deadline to mfi_running_leave. */
uint64_t mfi_running_enter(uint64_t deadline_ns);
void mfi_running_leave(uint64_t before_ns);

#endif
