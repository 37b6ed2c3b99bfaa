/* The texts that calls carry: found by their id, alive as long as a holder or the last 1,024. */
#include "base/carried.h"

#include <pthread.h>
#include <string.h>

#include "mf_test.h"

static mfi_carried_text text_of(const char *text)
{
    return (mfi_carried_text){text, strlen(text)};
}

static uint64_t keep(const char *tracestate, const char *baggage)
{
    return mfi_carried_keep(text_of(tracestate), text_of(baggage));
}

/* Keeps so many texts that no older one stays without a holder. */
static void push_out(void)
{
    for (unsigned i = 0; i < MFI_CARRIED_KEPT; i++) {
        mfi_carried_release(keep("other=1", ""));
    }
}

static void test_texts_are_found(void)
{
    uint64_t both = keep("a=1", "user=2");
    uint64_t state = keep("b=1", "");
    uint64_t baggage = keep("", "user=3");
    mf_check(both != 0 && state != 0 && baggage != 0);
    mf_check_str(mfi_carried_tracestate(both), "a=1");
    mf_check_str(mfi_carried_baggage(both), "user=2");
    mf_check_str(mfi_carried_tracestate(state), "b=1");
    mf_check(mfi_carried_baggage(state) == NULL);
    mf_check(mfi_carried_tracestate(baggage) == NULL);
    mf_check_str(mfi_carried_baggage(baggage), "user=3");
    mfi_carried_drop(&both);
    mf_check_int(both, 0);
    mfi_carried_drop(&both);
    mfi_carried_release(state);
    mfi_carried_release(baggage);
}

static void test_nothing_has_no_id(void)
{
    mf_check_int(keep("", ""), 0);
    mf_check_int(mfi_carried_hold(0), 0);
    mfi_carried_release(0);
    mf_check(mfi_carried_tracestate(0) == NULL);
    mf_check(mfi_carried_baggage(0) == NULL);
    mf_check_int(mfi_carried_hold(UINT64_MAX), 0); /* never given */
    mf_check(mfi_carried_tracestate(UINT64_MAX) == NULL);
}

static void test_holders_keep_texts_alive(void)
{
    uint64_t id = keep("a=1", "");
    mf_check_int(mfi_carried_hold(id), id);
    mfi_carried_release(id);
    push_out();
    mf_check_str(mfi_carried_tracestate(id), "a=1");
    mfi_carried_release(id); /* the last one */
    mf_check(mfi_carried_tracestate(id) == NULL);
    mf_check_int(mfi_carried_hold(id), 0);
}

static void test_last_texts_stay_without_a_holder(void)
{
    uint64_t id = keep("a=1", "");
    mfi_carried_release(id);
    for (unsigned i = 1; i < MFI_CARRIED_KEPT; i++) {
        mfi_carried_release(keep("other=1", ""));
    }
    mf_check_int(mfi_carried_hold(id), id);
    mf_check_str(mfi_carried_tracestate(id), "a=1");
    mfi_carried_release(id);
    mfi_carried_release(keep("other=1", ""));
    mf_check_int(mfi_carried_hold(id), 0);
}

static void *hold_and_release(void *argument)
{
    uint64_t id = *(const uint64_t *)argument;
    for (int i = 0; i < 2000; i++) {
        uint64_t held = mfi_carried_hold(id);
        uint64_t own = keep("mine=1", "x=y");
        mf_check(held == id && strcmp(mfi_carried_tracestate(held), "a=1") == 0);
        mf_check_str(mfi_carried_baggage(own), "x=y");
        mfi_carried_release(held);
        mfi_carried_release(own);
    }
    return NULL;
}

static void test_many_threads(void)
{
    pthread_t threads[4];
    uint64_t id = keep("a=1", "");
    for (size_t i = 0; i < 4; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, hold_and_release, &id), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mf_check_str(mfi_carried_tracestate(id), "a=1");
    mfi_carried_release(id);
    push_out();
    mf_check(mfi_carried_tracestate(id) == NULL);
}

static const mf_test tests[] = {
    {"texts_are_found", test_texts_are_found},
    {"nothing_has_no_id", test_nothing_has_no_id},
    {"holders_keep_texts_alive", test_holders_keep_texts_alive},
    {"last_texts_stay_without_a_holder", test_last_texts_stay_without_a_holder},
    {"many_threads", test_many_threads},
};
MF_TEST_MAIN(tests)
