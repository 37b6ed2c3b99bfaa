/* One word of a slot says whether its message was sent; every thread that asks gets the same
 * answer. */
#include <pthread.h>

#include "core/client/calls/slots.h"
#include "mf_test.h"

#define ROUNDS 20000

static void test_sent_is_found(void)
{
    static mfi_slot slot;
    mf_check(mfi_slot_begin_send(&slot, 17));
    mf_check_int(mfi_slot_end_send(&slot), 17);
}

static void test_unsent_is_never_sent(void)
{
    static mfi_slot slot;
    mf_check(mfi_slot_begin_send(&slot, 17)); /* and the transport does not take it */
    mfi_slot_undo_send(&slot);
    mf_check_int(mfi_slot_end_send(&slot), 0);
    mf_check(!mfi_slot_begin_send(&slot, 18));
}

typedef struct race {
    mfi_slot *slot;
    pthread_barrier_t *round;
    _Atomic(bool) began;
} race;

static void *drive(void *data)
{
    race *at = data;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        (void)pthread_barrier_wait(at->round);
        atomic_store(&at->began, mfi_slot_begin_send(at->slot, i));
        (void)pthread_barrier_wait(at->round);
    }
    return NULL;
}

/* Either it is handed over and its end knows that, or neither. */
static void test_both_sides_agree(void)
{
    static mfi_slot slot;
    pthread_barrier_t round;
    pthread_t driver;
    unsigned wrong = 0;
    race at = {.slot = &slot, .round = &round};
    mf_check_int(pthread_barrier_init(&round, NULL, 2), 0);
    mf_check_int(pthread_create(&driver, NULL, drive, &at), 0);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        atomic_store(&slot.sent_ns, 0);
        (void)pthread_barrier_wait(&round);
        uint64_t sent_ns = mfi_slot_end_send(&slot);
        (void)pthread_barrier_wait(&round);
        wrong += sent_ns != (atomic_load(&at.began) ? i : 0);
    }
    mf_check_int(pthread_join(driver, NULL), 0);
    mf_check_int(wrong, 0);
    (void)pthread_barrier_destroy(&round);
}

static const mf_test tests[] = {
    {"pending__what_was_sent_is_found", test_sent_is_found},
    {"pending__what_was_told_unsent_is_never_sent", test_unsent_is_never_sent},
    {"pending__driver_and_end_agree", test_both_sides_agree},
};

MF_TEST_MAIN(tests)
