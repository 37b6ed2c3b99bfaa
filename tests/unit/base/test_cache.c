/* Kept objects go from one thread to another, and none is given out twice. */
#include <pthread.h>
#include <stdlib.h>

#include "base/cache.h"
#include "mf_test.h"

#define OBJECTS 5000

typedef struct object {
    int *owned;
    int number;
} object;

static _Atomic(int) emptied;

static void empty_object(void *at)
{
    object *self = at;
    free(self->owned);
    self->owned = NULL;
    atomic_fetch_add(&emptied, 1);
}

static mfi_cache objects = MFI_CACHE_INIT(object, empty_object);

static void test_gives_zeroes_first(void)
{
    static mfi_cache fresh = MFI_CACHE_INIT(object, NULL);
    object *made = mfi_cache_get(&fresh);
    mf_check(made->owned == NULL && made->number == 0);
    mfi_cache_put(&fresh, made);
    mfi_cache_put(&fresh, NULL);
}

#if !defined(__SANITIZE_ADDRESS__)
static void test_keeps_what_an_object_owns(void)
{
    object *made = mfi_cache_get(&objects);
    int *owned = calloc(1, sizeof *owned);
    made->owned = owned;
    mfi_cache_put(&objects, made);
    object *again = mfi_cache_get(&objects);
    mf_check(again == made);
    mf_check(again->owned == owned);
    mfi_cache_put(&objects, again);
}
#endif

static void *give_all(void *argument)
{
    object **given = argument;
    for (int i = 0; i < OBJECTS; i++) {
        mfi_cache_put(&objects, given[i]);
    }
    return NULL;
}

/* Made here, given back elsewhere: what does not fit in magazine and depot is freed, the rest comes
 * back here, each once. */
static void test_wanders_between_threads(void)
{
    static object *made[OBJECTS];
    pthread_t thread;
    int twice = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            made[i] = mfi_cache_get(&objects);
            made[i]->number = round;
            if (made[i]->owned == NULL) {
                made[i]->owned = calloc(1, sizeof *made[i]->owned);
            }
            twice += *made[i]->owned != 0; /* is in somebody's hands already */
            *made[i]->owned = 1;
        }
        for (int i = 0; i < OBJECTS; i++) {
            *made[i]->owned = 0;
        }
        mf_check_int(pthread_create(&thread, NULL, give_all, made), 0);
        pthread_join(thread, NULL);
    }
    mf_check_int(twice, 0);
    mf_check(atomic_load(&emptied) >= 3 * (OBJECTS - MFI_CACHE_DEPOT - 64));
}

static void *churn(void *argument)
{
    (void)argument;
    for (int i = 0; i < 20000; i++) {
        object *held[100];
        int count = i % 100;
        for (int k = 0; k < count; k++) {
            held[k] = mfi_cache_get(&objects);
            held[k]->number++;
        }
        for (int k = 0; k < count; k++) {
            mfi_cache_put(&objects, held[k]);
        }
    }
    return NULL;
}

static void test_many_threads_at_once(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, churn, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

static const mf_test tests[] = {
    {"gives_zeroes_first", test_gives_zeroes_first},
#if !defined(__SANITIZE_ADDRESS__)
    {"keeps_what_an_object_owns", test_keeps_what_an_object_owns},
#endif
    {"wanders_between_threads", test_wanders_between_threads},
    {"many_threads_at_once", test_many_threads_at_once},
};
MF_TEST_MAIN(tests)
