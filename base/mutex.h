/* Mutex and condition variable with thread-safety annotations for clang, an owner that debug
 * builds can assert, and timed waits on the monotonic clock. */
#ifndef MFI_BASE_MUTEX_H
#define MFI_BASE_MUTEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define MFI_CAPABILITY(x) __attribute__((capability(x)))
#define MFI_ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define MFI_TRY_ACQUIRE(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define MFI_RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#define MFI_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define MFI_NO_THREAD_SAFETY __attribute__((no_thread_safety_analysis))
#else
#define MFI_CAPABILITY(x)
#define MFI_ACQUIRE(...)
#define MFI_TRY_ACQUIRE(...)
#define MFI_RELEASE(...)
#define MFI_REQUIRES(...)
#define MFI_NO_THREAD_SAFETY
#endif

typedef struct MFI_CAPABILITY("mutex") mfi_mutex {
    pthread_mutex_t mutex;
    _Atomic(uintptr_t) owner; /* 0, or an address that identifies the owning thread */
} mfi_mutex;

typedef struct mfi_cond {
    pthread_cond_t cond;
} mfi_cond;

/* Initial value of a static mutex. */
#define MFI_MUTEX_INIT                                                                             \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER                                                         \
    }

void mfi_mutex_init(mfi_mutex *mutex);
void mfi_mutex_fini(mfi_mutex *mutex);
void mfi_mutex_lock(mfi_mutex *mutex) MFI_ACQUIRE(*mutex);
bool mfi_mutex_try_lock(mfi_mutex *mutex) MFI_TRY_ACQUIRE(true, *mutex);
void mfi_mutex_unlock(mfi_mutex *mutex) MFI_RELEASE(*mutex);
/* For assert(): whether the calling thread holds the mutex. */
bool mfi_mutex_held(const mfi_mutex *mutex);

void mfi_cond_init(mfi_cond *cond);
void mfi_cond_fini(mfi_cond *cond);
void mfi_cond_wait(mfi_cond *cond, mfi_mutex *mutex) MFI_REQUIRES(*mutex);
/* Waits for a signal until the monotonic deadline; false once that has passed. MFI_NEVER: no
 * deadline. */
bool mfi_cond_wait_until(mfi_cond *cond, mfi_mutex *mutex, uint64_t deadline_ns)
    MFI_REQUIRES(*mutex);
void mfi_cond_signal(mfi_cond *cond);
void mfi_cond_broadcast(mfi_cond *cond);

/* Waits while a word has the expected value (Linux futex, private). May return too early. */
void mfi_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns);
void mfi_futex_wake(_Atomic(uint32_t) *word, int count);

/* Starts a joinable thread with a name that debuggers show (at most 15 characters). The thread
 * blocks every signal, because signals belong to the program. Returns 0 or an errno value. */
int mfi_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *argument);

#endif
