/* Locks with an owner, waits with a deadline, threads with a name and without signals. */
#include "base/mutex.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "mf_alloc.h"
#include "mf_test.h"

#define FAR_AWAY (mfi_monotonic_ns() + MF_TEST_PATIENCE_MS * MFI_NS_PER_MS)

/* ---- Locks ---- */

typedef struct shared {
    mfi_mutex mutex;
    mfi_cond cond;
    int value;      /* guarded by mutex */
    bool got, held; /* what another thread saw */
} shared;

static void shared_init(shared *at)
{
    memset(at, 0, sizeof *at);
    mfi_mutex_init(&at->mutex);
    mfi_cond_init(&at->cond);
}

static void shared_fini(shared *at)
{
    mfi_cond_fini(&at->cond);
    mfi_mutex_fini(&at->mutex);
}

static void *try_it(void *argument)
{
    shared *at = argument;
    at->held = mfi_mutex_held(&at->mutex);
    at->got = mfi_mutex_try_lock(&at->mutex);
    if (at->got) {
        at->held = mfi_mutex_held(&at->mutex);
        mfi_mutex_unlock(&at->mutex);
    }
    return NULL;
}

static void on_another_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (mf_check(mfi_thread_start(&thread, "other", run, argument) == 0)) {
        (void)pthread_join(thread, NULL);
    }
}

static void test_owner_is_the_thread_that_locked(void)
{
    shared at;
    shared_init(&at);
    mf_check(!mfi_mutex_held(&at.mutex));
    mfi_mutex_lock(&at.mutex);
    mf_check(mfi_mutex_held(&at.mutex));
    on_another_thread(try_it, &at);
    mf_check(!at.got && !at.held);
    mfi_mutex_unlock(&at.mutex);
    mf_check(!mfi_mutex_held(&at.mutex));
    on_another_thread(try_it, &at);
    mf_check(at.got && at.held);
    mf_check(mfi_mutex_try_lock(&at.mutex));
    mf_check(mfi_mutex_held(&at.mutex));
    mfi_mutex_unlock(&at.mutex);
    shared_fini(&at);
}

#define ADDERS 4
#define ADDITIONS 20000

static void *add_many(void *argument)
{
    shared *at = argument;
    for (int i = 0; i < ADDITIONS; i++) {
        mfi_mutex_lock(&at->mutex);
        at->value++;
        mfi_mutex_unlock(&at->mutex);
    }
    return NULL;
}

static void test_locks_exclude_each_other(void)
{
    static mfi_mutex initialised = MFI_MUTEX_INIT;
    pthread_t threads[ADDERS];
    shared at;
    shared_init(&at);
    at.mutex = initialised; /* as a static one is */
    for (int i = 0; i < ADDERS; i++) {
        mf_check_int(mfi_thread_start(&threads[i], "adder", add_many, &at), 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mf_check_int(at.value, ADDERS * ADDITIONS);
    shared_fini(&at);
}

/* ---- Conditions ---- */

static void *wait_for_a_value(void *argument)
{
    shared *at = argument;
    mfi_mutex_lock(&at->mutex);
    at->held = true;
    mfi_cond_broadcast(&at->cond); /* here */
    while (at->value == 0) {
        mfi_cond_wait(&at->cond, &at->mutex);
    }
    at->got = mfi_mutex_held(&at->mutex);
    mfi_mutex_unlock(&at->mutex);
    return NULL;
}

static void test_condition_wakes_who_waits(void)
{
    pthread_t thread;
    shared at;
    bool in_time = true;
    shared_init(&at);
    mf_check_int(mfi_thread_start(&thread, "waiter", wait_for_a_value, &at), 0);
    mfi_mutex_lock(&at.mutex);
    while (!at.held && in_time) {
        in_time = mfi_cond_wait_until(&at.cond, &at.mutex, FAR_AWAY);
        mf_check(mfi_mutex_held(&at.mutex));
    }
    mf_check(in_time);
    at.value = 1;
    mfi_cond_signal(&at.cond);
    mfi_mutex_unlock(&at.mutex);
    (void)pthread_join(thread, NULL);
    mf_check(at.got);
    shared_fini(&at);
}

/* The wait ends by the monotonic clock, not before, with the mutex held again. */
static void test_condition_ends_at_its_deadline(void)
{
    shared at;
    shared_init(&at);
    mfi_mutex_lock(&at.mutex);
    mf_check(!mfi_cond_wait_until(&at.cond, &at.mutex, 0));
    mf_check(mfi_mutex_held(&at.mutex));
    uint64_t deadline = mfi_monotonic_ns() + 3 * MFI_NS_PER_MS;
    while (mfi_cond_wait_until(&at.cond, &at.mutex, deadline)) { /* it may wake without reason */
    }
    mf_check(mfi_monotonic_ns() >= deadline);
    mf_check(mfi_mutex_held(&at.mutex));
    mfi_mutex_unlock(&at.mutex);
    shared_fini(&at);
}

/* ---- Futexes ---- */

typedef struct word {
    _Atomic(uint32_t) value, waiting;
} word;

static void *wait_for_the_word(void *argument)
{
    word *at = argument;
    atomic_store(&at->waiting, 1);
    while (atomic_load(&at->value) == 0) {
        mfi_futex_wait(&at->value, 0, MFI_NEVER);
    }
    return NULL;
}

static void test_futex(void)
{
    pthread_t thread;
    word at = {.value = 7};
    mfi_futex_wait(&at.value, 6, MFI_NEVER); /* another value than expected: no wait */
    uint64_t deadline = mfi_monotonic_ns() + 3 * MFI_NS_PER_MS;
    while (mfi_monotonic_ns() < deadline) {
        mfi_futex_wait(&at.value, 7, deadline);
    }
    mfi_futex_wait(&at.value, 7, 1); /* a deadline long past */
    atomic_store(&at.value, 0);
    mf_check_int(mfi_thread_start(&thread, "waiter", wait_for_the_word, &at), 0);
    while (atomic_load(&at.waiting) == 0) {
        mfi_futex_wait(&at.value, 1, MFI_NEVER); /* comes back at once */
    }
    atomic_store(&at.value, 1);
    mfi_futex_wake(&at.value, 1);
    (void)pthread_join(thread, NULL);
}

/* ---- Threads ---- */

typedef struct seen {
    char name[16];
    bool blocks_all;
    int argument;
} seen;

static void *look_around(void *argument)
{
    seen *at = argument;
    sigset_t mask;
    (void)pthread_getname_np(pthread_self(), at->name, sizeof at->name);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    at->blocks_all = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1 &&
                     sigismember(&mask, SIGCHLD) == 1 && sigismember(&mask, SIGUSR1) == 1;
    at->argument++;
    return argument;
}

static void test_threads_have_names_and_no_signals(void)
{
    static const char *const names[][2] = {{"mf-short", "mf-short"},
                                           {"exactly-fifteen", "exactly-fifteen"},
                                           {"more-than-fifteen-bytes", "more-than-fifte"}};
    sigset_t before, after;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pthread_t thread;
        seen at = {.argument = 41};
        void *returned = NULL;
        mf_check_int(mfi_thread_start(&thread, names[i][0], look_around, &at), 0);
        (void)pthread_join(thread, &returned);
        mf_check_str(at.name, names[i][1]);
        mf_check(at.blocks_all);
        mf_check_int(at.argument, 42);
        mf_check(returned == &at);
    }
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < 32; signal++) { /* the caller's mask is as before */
        mf_check_int(sigismember(&after, signal), sigismember(&before, signal));
    }
}

static void test_thread_without_memory(void)
{
    pthread_t thread;
    seen at = {.argument = 41};
    mf_alloc_fail_at(0);
    mf_check_int(mfi_thread_start(&thread, "none", look_around, &at), ENOMEM);
    mf_check(mf_alloc_stop());
    mf_check_int(at.argument, 41);
}

static const mf_test tests[] = {
    {"mutex__owner_is_the_thread_that_locked", test_owner_is_the_thread_that_locked},
    {"mutex__locks_exclude_each_other", test_locks_exclude_each_other},
    {"condition__wakes_who_waits", test_condition_wakes_who_waits},
    {"condition__ends_at_its_deadline", test_condition_ends_at_its_deadline},
    {"futex__waits_for_its_word", test_futex},
    {"thread__has_a_name_and_no_signals", test_threads_have_names_and_no_signals},
    {"thread__is_not_started_without_memory", test_thread_without_memory},
};
MF_TEST_MAIN(tests)
