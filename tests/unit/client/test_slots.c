/* One word of a slot says whether its message was sent; every thread that asks gets the same
 * answer. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "core/client/calls/slots.h"
#include "mf_test.h"

#define ROUNDS 20000
#define SPANS 1000

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

/* A thread that reads the span holds the attempt up: the span is the reader's until unpin. */
typedef struct reading {
    mfi_slot *slot;
    pthread_barrier_t *round;
    uint64_t state;
    uint32_t torn; /* reads of a span that was given to another call meanwhile */
} reading;

static void *read_spans(void *data)
{
    reading *at = data;
    for (int i = 0; i < SPANS; i++) {
        (void)pthread_barrier_wait(at->round);
        if (mfi_slot_pin(at->slot, at->state)) {
            while (atomic_load(&at->slot->state) == at->state) {
                (void)sched_yield(); /* until the other thread has claimed, and would go on */
            }
            for (int j = 0; j < 20; j++) {
                (void)sched_yield();
            }
            const char *id = at->slot->span->context.correlation_id;
            at->torn += id[0] != 'a' || id[MF_CORRELATION_ID_MAX - 2] != 'a';
            mfi_slot_unpin(at->slot);
        }
        (void)pthread_barrier_wait(at->round);
    }
    return NULL;
}

static void test_a_span_that_is_read_is_not_given_away(void)
{
    static mfi_slot slot;
    static mfi_client_span span;
    pthread_barrier_t round;
    pthread_t reader;
    uint32_t unclaimed = 0;
    reading at = {.slot = &slot, .round = &round};
    slot.span = &span;
    mf_check_int(pthread_barrier_init(&round, NULL, 2), 0);
    mf_check_int(pthread_create(&reader, NULL, read_spans, &at), 0);
    for (int i = 0; i < SPANS; i++) {
        memset(span.context.correlation_id, 'a', MF_CORRELATION_ID_MAX - 1);
        atomic_store(&slot.state, (uint64_t)i << 2);
        mfi_slot_activate(&slot, MFI_SLOT_SYNC);
        at.state = atomic_load(&slot.state);
        (void)pthread_barrier_wait(&round);
        unclaimed += !mfi_slot_claim(&slot, at.state);
        memset(span.context.correlation_id, 'b', MF_CORRELATION_ID_MAX - 1);
        (void)pthread_barrier_wait(&round);
        unclaimed += mfi_slot_pin(&slot, at.state); /* a claimed attempt cannot be pinned */
    }
    mf_check_int(pthread_join(reader, NULL), 0);
    mf_check_int(at.torn, 0);
    mf_check_int(unclaimed, 0);
    (void)pthread_barrier_destroy(&round);
}

static const mf_test tests[] = {
    {"pending__what_was_sent_is_found", test_sent_is_found},
    {"pending__what_was_told_unsent_is_never_sent", test_unsent_is_never_sent},
    {"pending__driver_and_end_agree", test_both_sides_agree},
    {"slots__a_span_that_is_read_is_not_given_away", test_a_span_that_is_read_is_not_given_away},
};

MF_TEST_MAIN(tests)
