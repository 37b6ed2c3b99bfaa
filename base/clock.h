/* Time: monotonic nanoseconds for durations and timers, the wall clock for timestamps only.
 *
 * A function that decides by time takes a clock as argument, so that tests turn it by hand. */
#ifndef MFI_BASE_CLOCK_H
#define MFI_BASE_CLOCK_H

#include <stdint.h>

#define MFI_NS_PER_US UINT64_C(1000)
#define MFI_NS_PER_MS UINT64_C(1000000)
#define MFI_NS_PER_S UINT64_C(1000000000)
/* A deadline that is never reached. */
#define MFI_NEVER UINT64_MAX

typedef struct mfi_clock {
    uint64_t (*monotonic_ns)(void *self);
    uint64_t (*wall_ns)(void *self); /* since the Unix epoch */
    void *self;
} mfi_clock;

/* The system's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). Never NULL, never destroyed. */
const mfi_clock *mfi_clock_system(void);

/* Direct reads of the system's clocks for the hot path. */
uint64_t mfi_monotonic_ns(void);
uint64_t mfi_wall_ns(void);
/* The wall clock at a monotonic time of just now. The difference between the clocks is read every
 * millisecond, so that most calls read no clock and a clock that is set shows soon. */
uint64_t mfi_wall_at_ns(uint64_t monotonic_ns);

static inline uint64_t mfi_clock_monotonic(const mfi_clock *clock)
{
    return clock->monotonic_ns(clock->self);
}

static inline uint64_t mfi_clock_wall(const mfi_clock *clock)
{
    return clock->wall_ns(clock->self);
}

/* now + milliseconds, saturating to MFI_NEVER; INT64_MAX ms means never; negative counts as 0. */
uint64_t mfi_deadline_after_ms(uint64_t now_ns, int64_t milliseconds);
/* Nanoseconds left until the deadline, 0 if it has passed; MFI_NEVER for MFI_NEVER. */
uint64_t mfi_remaining_ns(uint64_t deadline_ns, uint64_t now_ns);
/* For poll-like calls: remaining ms, rounded up and capped at INT_MAX; -1 for MFI_NEVER. */
int mfi_poll_timeout_ms(uint64_t deadline_ns, uint64_t now_ns);

/* A clock for tests, turned by hand. Both readings start at `start_ns`. */
typedef struct mfi_fake_clock {
    mfi_clock clock;
    uint64_t now_ns;
} mfi_fake_clock;
void mfi_fake_clock_init(mfi_fake_clock *fake, uint64_t start_ns);
void mfi_fake_clock_advance(mfi_fake_clock *fake, uint64_t by_ns);

#endif
