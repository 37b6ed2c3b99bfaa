/* A thread that waits for the end of its call, which a driver brings. */
#ifndef MFI_ENGINE_WAITER_H
#define MFI_ENGINE_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define MFI_WAITER_DONE 1u    /* the awaited event has happened */
#define MFI_WAITER_ROLE 2u    /* the waiting thread holds the driver's role now */
#define MFI_WAITER_WAITING 4u /* the thread blocks on the word, or is about to */

/* Lives on the waiting thread's stack or in the slot of its call. */
typedef struct mfi_waiter {
    _Atomic(uint32_t) signal; /* MFI_WAITER_*: setting releases, reading acquires */
    mfi_list_node node;       /* guarded by the driver's mutex */
} mfi_waiter;

void mfi_waiter_init(mfi_waiter *waiter);
/* The awaited event has happened; its data was written before this call. Any thread. The waiter may
 * be freed as soon as this call has set its bit. */
void mfi_waiter_done(mfi_waiter *waiter);
bool mfi_waiter_is_done(const mfi_waiter *waiter);
/* Waits for mfi_waiter_done, without a deadline. */
void mfi_waiter_wait(mfi_waiter *waiter);
/* For the driver. signal sets a bit and wakes the thread. block waits until one of the bits is set
 * or the deadline (monotonic nanoseconds) has passed, and returns the word. */
void mfi_waiter_signal(mfi_waiter *waiter, uint32_t bit);
uint32_t mfi_waiter_block(mfi_waiter *waiter, uint32_t bits, uint64_t deadline_ns);

#endif
