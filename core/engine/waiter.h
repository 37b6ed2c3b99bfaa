/* A thread that waits for something that a driver brings. */
#ifndef MFI_ENGINE_WAITER_H
#define MFI_ENGINE_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define MFI_WAITER_DONE 1u    /* what it waits for has happened */
#define MFI_WAITER_ROLE 2u    /* it is the driver now */
#define MFI_WAITER_WAITING 4u /* it blocks on the word, or is about to */

/* A thread that waits for something the driver will bring: its own call's end. Lives on that
 * thread's stack or in its call's slot. */
typedef struct mfi_waiter {
    _Atomic(uint32_t) signal; /* MFI_WAITER_*: release by who sets, acquire by who waits */
    mfi_list_node node;       /* guarded by the driver's mutex */
} mfi_waiter;

void mfi_waiter_init(mfi_waiter *waiter);
/* What it waited for has happened; all that belongs to it was written before. Any thread. The
 * waiter may be gone as soon as this has set its bit. */
void mfi_waiter_done(mfi_waiter *waiter);
bool mfi_waiter_is_done(const mfi_waiter *waiter);
/* Waits for mfi_waiter_done alone, however long. */
void mfi_waiter_wait(mfi_waiter *waiter);
/* For the driver: sets a bit, and wakes it. Blocks until one of the bits is set or the deadline has
 * passed, and gives the word. */
void mfi_waiter_signal(mfi_waiter *waiter, uint32_t bit);
uint32_t mfi_waiter_block(mfi_waiter *waiter, uint32_t bits, uint64_t deadline_ns);

#endif
