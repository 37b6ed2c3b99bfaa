/* The deadline of the call that the current thread works for, kept in a thread-local variable. It
 * exists so that a call that a handler makes ends before the call that the handler serves. */
#include "core/engine/deadline.h"

#include "base/clock.h"

static _Thread_local uint64_t current = MFI_NEVER;

uint64_t mfi_running_deadline(void)
{
    return current;
}

uint64_t mfi_running_enter(uint64_t deadline_ns)
{
    uint64_t before = current;
    current = deadline_ns;
    return before;
}

void mfi_running_leave(uint64_t before_ns)
{
    current = before_ns;
}
