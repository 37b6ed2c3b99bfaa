/* Divides the time of a handler into its states: a processor ran the thread, the thread could run
 * and waited for a processor, or the thread was blocked. It exists because a slow handler, a busy
 * machine and a handler that waits for something look alike from outside, and have different cures.
 *
 * Each reading costs two system calls, so only one call in N is sampled, and at most one in a
 * millisecond. The distance to the next sampled call is random, because a caller may call functions
 * in turns, and a fixed distance would then see only one of them. */
#include "core/server/sampling.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"

/* Between two sampled calls of a thread, unless each call is sampled. Short handlers then spend
 * less than a hundredth of their time on the readings. */
#define PAUSE_NS MFI_NS_PER_MS

#define NOT_OPEN (-1)
#define NOT_THERE (-2) /* for good: a clock that begins late would show all time before */

/* 1 to 2N - 1, so N in the mean. */
static uint32_t next_distance(uint32_t one_in)
{
    return 1 + (uint32_t)(mfi_random_fast() % (2 * (uint64_t)one_in - 1));
}

void mfi_sampling_init(mfi_sampling *sampling, uint32_t one_in)
{
    *sampling = (mfi_sampling){
        .one_in = one_in, .delay_fd = NOT_OPEN, .pause_ns = one_in > 1 ? PAUSE_NS : 0};
    sampling->left = sampling->drawn = one_in != 0 ? next_distance(one_in) : 0;
}

void mfi_sampling_fini(mfi_sampling *sampling)
{
    if (sampling->one_in != 0 && sampling->delay_fd >= 0) {
        (void)close(sampling->delay_fd);
        sampling->delay_fd = NOT_OPEN;
    }
}

/* ---- The clocks ---- */

uint64_t mfi_sampling_parse_delay(const char *text)
{
    char *end = NULL;
    (void)strtoull(text, &end, 10); /* the time on a processor, which its own clock tells better */
    return end != text ? strtoull(end, NULL, 10) : 0;
}

/* The thread that opens the file is the one that it describes, for as long as it is open. */
static uint64_t read_delay(mfi_sampling *sampling)
{
    char text[96];
    if (sampling->delay_fd == NOT_OPEN) {
        int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
        sampling->delay_fd = fd >= 0 ? fd : NOT_THERE;
    }
    ssize_t size =
        sampling->delay_fd >= 0 ? pread(sampling->delay_fd, text, sizeof text - 1, 0) : 0;
    if (size <= 0) {
        return 0;
    }
    text[size] = '\0';
    return mfi_sampling_parse_delay(text);
}

static uint64_t read_cpu(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * MFI_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- One handler ---- */

/* The wall clock is read inside of the other two, here and at the end. A thread that loses its
 * processor between two readings then adds to `runnable`, and never to `blocked`. */
bool mfi_sampling_begin(mfi_sampling *sampling)
{
    if (sampling->last_ns != 0 && mfi_monotonic_ns() - sampling->last_ns < sampling->pause_ns) {
        /* Another distance is drawn: the first call after the pause would be one that follows a
         * long one. */
        sampling->passed += sampling->drawn;
        sampling->left = sampling->drawn = next_distance(sampling->one_in);
        return false;
    }
    sampling->began.delay = read_delay(sampling);
    sampling->began.cpu = read_cpu();
    sampling->began.wall = mfi_monotonic_ns();
    return true;
}

void mfi_sampling_end(mfi_sampling *sampling, mfi_handler_times *ret_times)
{
    mfi_thread_clocks ended = {.wall = mfi_monotonic_ns()};
    ended.cpu = read_cpu();
    ended.delay = read_delay(sampling);
    mfi_sampling_divide(&sampling->began, &ended, ret_times);
    ret_times->one_in = sampling->passed + sampling->drawn;
    sampling->passed = 0;
    sampling->last_ns = ended.wall;
    sampling->left = sampling->drawn = next_distance(sampling->one_in);
}

static uint64_t part(uint64_t before, uint64_t after, uint64_t most)
{
    uint64_t grown = after > before ? after - before : 0;
    return grown < most ? grown : most;
}

void mfi_sampling_divide(const mfi_thread_clocks *began, const mfi_thread_clocks *ended,
                         mfi_handler_times *ret_times)
{
    uint64_t all = part(began->wall, ended->wall, UINT64_MAX);
    uint64_t on_cpu = part(began->cpu, ended->cpu, all);
    uint64_t runnable = part(began->delay, ended->delay, all - on_cpu);
    ret_times->ns[MFI_HANDLER_ON_CPU] = on_cpu;
    ret_times->ns[MFI_HANDLER_RUNNABLE] = runnable;
    ret_times->ns[MFI_HANDLER_BLOCKED] = all - on_cpu - runnable;
}
