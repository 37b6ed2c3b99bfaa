/* Lets a program that rotates its log files tell the log writers to open the files anew, from the
 * handler of a signal: a counter of calls, which each writer compares with its own. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/id.h"
#include "logging/logger.h"

static _Atomic(uint64_t) reopens;
/* Process and number of the threads that read the table of loggers. A forked process may inherit
 * the mark of threads that it does not have, and ignores it. */
static _Atomic(uint64_t) readers;

static uint64_t own_mark(void)
{
    return (uint64_t)(uint32_t)getpid() << 32;
}

static void change_readers(int by)
{
    uint64_t before = atomic_load(&readers);
    uint64_t after = 0;
    do {
        uint64_t count = before >> 32 == own_mark() >> 32 ? before & UINT32_MAX : 0;
        after = own_mark() | (by > 0 ? count + 1 : count - 1);
    } while (!atomic_compare_exchange_weak(&readers, &before, after));
}

void mf_log_reopen(void)
{
    int before = errno;
    atomic_fetch_add(&reopens, 1);
    change_readers(1);
    for (size_t i = 0; i < MFI_CRASH_LOGGERS_MAX; i++) {
        mf_logger *logger = mfi_crash_listed(i);
        if (logger != NULL && logger->fork_generation == mfi_fork_generation()) {
            mfi_log_wake(logger);
        }
    }
    change_readers(-1);
    errno = before;
}

uint64_t mfi_log_reopens(void)
{
    return atomic_load_explicit(&reopens, memory_order_acquire);
}

void mfi_log_reopen_wait(void)
{
    const struct timespec one = {.tv_nsec = 1000000};
    uint64_t now = 0;
    while ((now = atomic_load(&readers)) >> 32 == own_mark() >> 32 && (now & UINT32_MAX) != 0) {
        (void)nanosleep(&one, NULL);
    }
}
