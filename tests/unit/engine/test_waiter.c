/* A thread that waits on a word: bits that come before, during, and not at all. */
#include "core/engine/waiter.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "mf_test.h"

#define PAST UINT64_C(1)

static void test_done_before_the_wait(void)
{
    mfi_waiter waiter;
    mfi_waiter_init(&waiter);
    mf_check(!mfi_waiter_is_done(&waiter));
    mf_check(!waiter.node.is_listed);
    mfi_waiter_done(&waiter);
    mf_check(mfi_waiter_is_done(&waiter));
    mfi_waiter_wait(&waiter); /* returns */
    mf_check_int(mfi_waiter_block(&waiter, MFI_WAITER_DONE, MFI_NEVER),
                 MFI_WAITER_DONE | MFI_WAITER_WAITING);
}

static void test_role_is_not_done(void)
{
    mfi_waiter waiter;
    mfi_waiter_init(&waiter);
    mfi_waiter_signal(&waiter, MFI_WAITER_ROLE);
    mf_check(!mfi_waiter_is_done(&waiter));
    mf_check_int(mfi_waiter_block(&waiter, MFI_WAITER_DONE | MFI_WAITER_ROLE, MFI_NEVER),
                 MFI_WAITER_ROLE | MFI_WAITER_WAITING);
}

static void test_deadline(void)
{
    mfi_waiter waiter;
    mfi_waiter_init(&waiter);
    mf_check_int(mfi_waiter_block(&waiter, MFI_WAITER_DONE, PAST), MFI_WAITER_WAITING);
    uint64_t deadline = mfi_monotonic_ns() + MFI_NS_PER_MS;
    mf_check_int(mfi_waiter_block(&waiter, MFI_WAITER_DONE, deadline), MFI_WAITER_WAITING);
    mf_check(mfi_monotonic_ns() >= deadline);
}

typedef struct blocked {
    mfi_waiter waiter;
    int written; /* before the bit is set */
    uint32_t word;
    int seen;
} blocked;

static void *block(void *data)
{
    blocked *at = data;
    at->word = mfi_waiter_block(&at->waiter, MFI_WAITER_DONE, MFI_NEVER);
    at->seen = at->written;
    return NULL;
}

static bool is_waiting(void *data)
{
    return (atomic_load(&((blocked *)data)->waiter.signal) & MFI_WAITER_WAITING) != 0;
}

/* A bit that the thread does not wait for leaves it asleep; all that was written before the right
 * one is seen. */
static void test_signal_wakes_the_thread(void)
{
    blocked at = {.written = 0};
    pthread_t thread;
    mfi_waiter_init(&at.waiter);
    mf_check_int(pthread_create(&thread, NULL, block, &at), 0);
    mf_check(mf_test_until(is_waiting, &at, MF_TEST_PATIENCE_MS));
    mfi_waiter_signal(&at.waiter, MFI_WAITER_ROLE);
    at.written = 17;
    mfi_waiter_done(&at.waiter);
    pthread_join(thread, NULL);
    mf_check_int(at.seen, 17);
    mf_check_int(at.word, MFI_WAITER_DONE | MFI_WAITER_ROLE | MFI_WAITER_WAITING);
}

#define ROUNDS 2000

typedef struct pair {
    _Atomic(mfi_waiter *) waiter;
} pair;

static void *end_all(void *data)
{
    pair *at = data;
    for (int i = 0; i < ROUNDS; i++) {
        mfi_waiter *waiter = NULL;
        while ((waiter = atomic_exchange(&at->waiter, NULL)) == NULL) {
            (void)sched_yield();
        }
        mfi_waiter_done(waiter);
    }
    return NULL;
}

/* Waiters of one call each, ended at any point of their wait: no wake-up is lost. */
static void test_no_wake_up_is_lost(void)
{
    pair at = {NULL};
    pthread_t thread;
    int done = 0;
    mf_check_int(pthread_create(&thread, NULL, end_all, &at), 0);
    for (int i = 0; i < ROUNDS; i++) {
        mfi_waiter waiter;
        mfi_waiter_init(&waiter);
        atomic_store(&at.waiter, &waiter);
        mfi_waiter_wait(&waiter);
        done += mfi_waiter_is_done(&waiter);
    }
    pthread_join(thread, NULL);
    mf_check_int(done, ROUNDS);
}

static const mf_test tests[] = {
    {"waiter__done_before_the_wait", test_done_before_the_wait},
    {"waiter__role_is_not_done", test_role_is_not_done},
    {"waiter__deadline_ends_the_wait", test_deadline},
    {"waiter__signal_wakes_the_thread", test_signal_wakes_the_thread},
    {"waiter__no_wake_up_is_lost", test_no_wake_up_is_lost},
};
MF_TEST_MAIN(tests)
