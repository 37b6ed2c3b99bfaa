/* Wraps the locks, condition variables, futexes and threads of the system, so that each has what
 * the library needs: an owner to assert, the monotonic clock, and blocked signals. */
#include "base/mutex.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static _Thread_local char thread_mark; /* its address identifies the thread */

static uintptr_t this_thread(void)
{
    return (uintptr_t)&thread_mark;
}

void mfi_mutex_init(mfi_mutex *mutex)
{
    (void)pthread_mutex_init(&mutex->mutex, NULL); /* default attributes: cannot fail */
    atomic_init(&mutex->owner, 0);
}

void mfi_mutex_fini(mfi_mutex *mutex)
{
    (void)pthread_mutex_destroy(&mutex->mutex);
}

void mfi_mutex_lock(mfi_mutex *mutex) MFI_NO_THREAD_SAFETY
{
    (void)pthread_mutex_lock(&mutex->mutex);
    atomic_store_explicit(&mutex->owner, this_thread(), memory_order_relaxed);
}

bool mfi_mutex_try_lock(mfi_mutex *mutex) MFI_NO_THREAD_SAFETY
{
    if (pthread_mutex_trylock(&mutex->mutex) != 0) {
        return false;
    }
    atomic_store_explicit(&mutex->owner, this_thread(), memory_order_relaxed);
    return true;
}

void mfi_mutex_unlock(mfi_mutex *mutex) MFI_NO_THREAD_SAFETY
{
    atomic_store_explicit(&mutex->owner, 0, memory_order_relaxed);
    (void)pthread_mutex_unlock(&mutex->mutex);
}

bool mfi_mutex_held(const mfi_mutex *mutex)
{
    return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == this_thread();
}

void mfi_cond_init(mfi_cond *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&cond->cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void mfi_cond_fini(mfi_cond *cond)
{
    (void)pthread_cond_destroy(&cond->cond);
}

static struct timespec as_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / MFI_NS_PER_S),
                             .tv_nsec = (long)(ns % MFI_NS_PER_S)};
}

void mfi_cond_wait(mfi_cond *cond, mfi_mutex *mutex)
{
    (void)mfi_cond_wait_until(cond, mutex, MFI_NEVER);
}

bool mfi_cond_wait_until(mfi_cond *cond, mfi_mutex *mutex, uint64_t deadline_ns)
{
    int result = 0;
    atomic_store_explicit(&mutex->owner, 0, memory_order_relaxed);
    if (deadline_ns == MFI_NEVER) {
        result = pthread_cond_wait(&cond->cond, &mutex->mutex);
    } else {
        struct timespec deadline = as_timespec(deadline_ns);
        result = pthread_cond_timedwait(&cond->cond, &mutex->mutex, &deadline);
    }
    atomic_store_explicit(&mutex->owner, this_thread(), memory_order_relaxed);
    return result == 0;
}

void mfi_cond_signal(mfi_cond *cond)
{
    (void)pthread_cond_signal(&cond->cond);
}

void mfi_cond_broadcast(mfi_cond *cond)
{
    (void)pthread_cond_broadcast(&cond->cond);
}

void mfi_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
    /* The bitset form takes an absolute time on the monotonic clock. */
    struct timespec deadline = as_timespec(deadline_ns);
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                  deadline_ns == MFI_NEVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

void mfi_futex_wake(_Atomic(uint32_t) *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
}

typedef struct start {
    char name[16];
    void *(*run)(void *argument);
    void *argument;
} start;

static void *run_named(void *argument)
{
    start started = *(start *)argument;
    free(argument);
    (void)pthread_setname_np(pthread_self(), started.name);
    return started.run(started.argument);
}

int mfi_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *argument)
{
    start *started = calloc(1, sizeof *started);
    if (started == NULL) {
        return ENOMEM;
    }
    for (size_t i = 0; i + 1 < sizeof started->name && name[i] != '\0'; i++) {
        started->name[i] = name[i];
    }
    started->run = run;
    started->argument = argument;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int result = pthread_create(ret_thread, NULL, run_named, started);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        free(started);
    }
    return result;
}
