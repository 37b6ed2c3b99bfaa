/* The deadline of the call that a thread works for: calls that a handler makes are bounded by it.
 * Beside the logging context, which is not core's own. */
#ifndef MFI_ENGINE_DEADLINE_H
#define MFI_ENGINE_DEADLINE_H

#include <stdint.h>

/* Of the calling thread, in monotonic nanoseconds; MFI_NEVER for none. */
uint64_t mfi_deadline_current(void);
/* Makes it current and gives what was; nests, and is given back by the same thread. */
uint64_t mfi_deadline_enter(uint64_t deadline_ns);
void mfi_deadline_leave(uint64_t before_ns);

#endif
