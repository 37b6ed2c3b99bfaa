/* Reads the clocks, and has the arithmetic of deadlines in one place, so that every deadline
 * saturates and rounds in the same way. */
#include "base/clock.h"

#include <limits.h>
#include <stdatomic.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now); /* cannot fail for these two clocks */
    return (uint64_t)now.tv_sec * MFI_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t mfi_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t mfi_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t mfi_wall_at_ns(uint64_t monotonic_ns)
{
    static _Atomic(uint64_t) difference;
    static _Atomic(uint64_t) taken_ns; /* monotonic time of the last reading; 0: never */
    uint64_t taken = atomic_load_explicit(&taken_ns, memory_order_acquire);
    if (taken == 0 || monotonic_ns - taken >= MFI_NS_PER_MS) { /* wraps for a time before it */
        uint64_t now = mfi_monotonic_ns();
        atomic_store_explicit(&difference, mfi_wall_ns() - now, memory_order_relaxed);
        /* release: a thread that reads this time reads that difference, or a newer one */
        atomic_store_explicit(&taken_ns, now, memory_order_release);
    }
    return monotonic_ns + atomic_load_explicit(&difference, memory_order_relaxed);
}

static uint64_t system_monotonic(void *self)
{
    (void)self;
    return mfi_monotonic_ns();
}

static uint64_t system_wall(void *self)
{
    (void)self;
    return mfi_wall_ns();
}

const mfi_clock *mfi_clock_system(void)
{
    static const mfi_clock clock = {.monotonic_ns = system_monotonic, .wall_ns = system_wall};
    return &clock;
}

uint64_t mfi_deadline_after_ms(uint64_t now_ns, int64_t milliseconds)
{
    if (milliseconds <= 0) {
        return now_ns;
    }
    uint64_t ms = (uint64_t)milliseconds;
    if (ms == (uint64_t)INT64_MAX || ms >= (MFI_NEVER - now_ns) / MFI_NS_PER_MS) {
        return MFI_NEVER;
    }
    return now_ns + ms * MFI_NS_PER_MS;
}

uint64_t mfi_remaining_ns(uint64_t deadline_ns, uint64_t now_ns)
{
    if (deadline_ns == MFI_NEVER) {
        return MFI_NEVER;
    }
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

int mfi_poll_timeout_ms(uint64_t deadline_ns, uint64_t now_ns)
{
    uint64_t left = mfi_remaining_ns(deadline_ns, now_ns);
    if (left == MFI_NEVER) {
        return -1;
    }
    uint64_t ms = left / MFI_NS_PER_MS + (left % MFI_NS_PER_MS != 0 ? 1 : 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static uint64_t fake_now(void *self)
{
    return ((const mfi_fake_clock *)self)->now_ns;
}

void mfi_fake_clock_init(mfi_fake_clock *fake, uint64_t start_ns)
{
    fake->clock = (mfi_clock){.monotonic_ns = fake_now, .wall_ns = fake_now, .self = fake};
    fake->now_ns = start_ns;
}

void mfi_fake_clock_advance(mfi_fake_clock *fake, uint64_t by_ns)
{
    fake->now_ns += by_ns;
}
