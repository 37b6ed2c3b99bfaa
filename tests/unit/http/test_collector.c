/* Jobs of the collector: which ones share, how many wait, and what a stop does. */
#include "http/collector.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mf_test.h"

typedef struct job {
    mfi_list_node node;
    _Atomic(int) taken;
    int done;              /* the how-manieth, from 1; 0: not yet */
    const void *shared_by; /* the scrapes that it saw */
    bool has_found;        /* a rendering of an earlier job */
} job;

static struct {
    sem_t begun, may_end, done;
    int count;
} world;

static bool wait_for(sem_t *event)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += MF_TEST_PATIENCE_MS / 1000;
    return mf_check(sem_timedwait(event, &until) == 0);
}

static void make(mfi_list_node *node, mfi_scrapes *scrapes)
{
    job *at = MFI_CONTAINER(node, job, node);
    (void)sem_post(&world.begun);
    (void)sem_wait(&world.may_end);
    at->done = ++world.count;
    at->shared_by = scrapes;
    at->has_found = scrapes->of[0].body != NULL;
    if (!at->has_found) {
        scrapes->of[0].body = strdup("a rendering"); /* the collector frees it */
    }
    (void)sem_post(&world.done);
}

static void take(mfi_list_node *node)
{
    atomic_fetch_add(&MFI_CONTAINER(node, job, node)->taken, 1);
}

static void start(mfi_collector *collector)
{
    *collector = (mfi_collector){.make = make};
    world.count = 0;
    (void)sem_init(&world.begun, 0, 0);
    (void)sem_init(&world.may_end, 0, 0);
    (void)sem_init(&world.done, 0, 0);
    mf_check_int(mfi_collector_start(collector, NULL), MF_OK);
}

static void end(mfi_collector *collector)
{
    mfi_collector_stop(collector);
    mfi_collector_fini(collector);
    (void)sem_destroy(&world.begun);
    (void)sem_destroy(&world.may_end);
    (void)sem_destroy(&world.done);
}

/* Jobs that came while one was done are done together, in their order; the one before them, and
 * one after them, share nothing with them. */
static void test_those_that_wait_share(void)
{
    mfi_collector collector;
    job jobs[5];
    memset(jobs, 0, sizeof jobs);
    start(&collector);
    mf_check(mfi_collector_add(&collector, &jobs[0].node, take));
    wait_for(&world.begun);
    for (int i = 1; i < 4; i++) {
        mf_check(mfi_collector_add(&collector, &jobs[i].node, take));
    }
    for (int i = 0; i < 4; i++) {
        (void)sem_post(&world.may_end);
        wait_for(&world.done);
    }
    (void)sem_post(&world.may_end);
    mf_check(mfi_collector_add(&collector, &jobs[4].node, take));
    wait_for(&world.done);
    for (int i = 0; i < 5; i++) {
        mf_check_int(jobs[i].taken, 1);
        mf_check_int(jobs[i].done, i + 1);
        mf_check_int(jobs[i].has_found, i == 2 || i == 3);
    }
    mf_check(jobs[1].shared_by == jobs[2].shared_by && jobs[2].shared_by == jobs[3].shared_by);
    end(&collector);
}

static void test_few_wait(void)
{
    mfi_collector collector;
    job jobs[MFI_COLLECTOR_WAITING_MAX + 2];
    memset(jobs, 0, sizeof jobs);
    start(&collector);
    mf_check(mfi_collector_add(&collector, &jobs[0].node, take));
    wait_for(&world.begun);
    for (int i = 1; i <= MFI_COLLECTOR_WAITING_MAX; i++) {
        mf_check(mfi_collector_add(&collector, &jobs[i].node, take));
    }
    job *last = &jobs[MFI_COLLECTOR_WAITING_MAX + 1];
    mf_check(!mfi_collector_add(&collector, &last->node, take));
    mf_check_int(last->taken, 0);
    (void)sem_post(&world.may_end);
    wait_for(&world.begun); /* those that waited are being done: others may wait now */
    mf_check(mfi_collector_add(&collector, &last->node, take));
    for (int i = 0; i <= MFI_COLLECTOR_WAITING_MAX; i++) {
        (void)sem_post(&world.may_end);
    }
    end(&collector);
    mf_check_int(world.count, MFI_COLLECTOR_WAITING_MAX + 2);
    mf_check(!last->has_found);
}

/* A stop does what waits, and takes nothing more. */
static void test_stop(void)
{
    mfi_collector collector;
    job jobs[4];
    memset(jobs, 0, sizeof jobs);
    start(&collector);
    for (int i = 0; i < 3; i++) {
        mf_check(mfi_collector_add(&collector, &jobs[i].node, take));
        (void)sem_post(&world.may_end);
    }
    mfi_collector_stop(&collector);
    for (int i = 0; i < 3; i++) {
        mf_check_int(jobs[i].done, i + 1);
    }
    mf_check(!mfi_collector_add(&collector, &jobs[3].node, take));
    mf_check_int(jobs[3].taken, 0);
    mfi_collector_fini(&collector);
    mfi_collector never = {.make = make};
    mfi_collector_stop(&never);
    mfi_collector_fini(&never);
    (void)sem_destroy(&world.begun);
    (void)sem_destroy(&world.may_end);
    (void)sem_destroy(&world.done);
}

static const mf_test tests[] = {
    {"collector__those_that_wait_together_share", test_those_that_wait_share},
    {"collector__few_wait_and_others_are_refused", test_few_wait},
    {"collector__stop_does_what_waits", test_stop},
};
MF_TEST_MAIN(tests)
