/* Shards: each thread writes to its own, and what it leaves behind is not lost. */
#include "metrics/shard.h"

#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metric_support.h"

#define GENERATIONS 20
#define AT_ONCE (MFI_SHARDS + 9) /* some share */

typedef struct crowd {
    mf_histogram *histogram;
    mf_counter *counter;
    mf_window *window;
    pthread_barrier_t all_here;
} crowd;

static void *write_some(void *argument)
{
    crowd *at = argument;
    mf_counter_add(at->counter, 1);
    (void)pthread_barrier_wait(&at->all_here); /* nobody ends before all have a shard */
    for (uint64_t i = 0; i < 1000; i++) {
        mf_counter_add(at->counter, 1);
        mf_histogram_record_ns(at->histogram, 5000);
        mf_window_record_ns(at->window, 7000);
    }
    return NULL;
}

/* Threads come and go: the next owner of a shard goes on from its numbers. */
static void test_shards_change_hands(void)
{
    pthread_t threads[AT_ONCE];
    mf_metrics *metrics = make_set();
    mf_distribution read = MF_DISTRIBUTION_INIT;
    crowd at;
    at.histogram = mf_family_histogram(
        add_family(metrics, MF_METRIC_HISTOGRAM, "hand_seconds", NULL, 0, 0), NULL);
    at.counter =
        mf_family_counter(add_family(metrics, MF_METRIC_COUNTER, "hand_total", NULL, 0, 0), NULL);
    at.window =
        mf_family_window(add_family(metrics, MF_METRIC_WINDOW, "now_seconds", NULL, 0, 0), NULL);
    pthread_barrier_init(&at.all_here, NULL, AT_ONCE);
    for (int generation = 0; generation < GENERATIONS; generation++) {
        for (int i = 0; i < AT_ONCE; i++) {
            pthread_create(&threads[i], NULL, write_some, &at);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    mf_check_int(mf_counter_value(at.counter), GENERATIONS * AT_ONCE * 1001);
    mf_histogram_read(at.histogram, &read);
    mf_check_int(read.count, GENERATIONS * AT_ONCE * 1000);
    mf_check(fabs(read.sum / (GENERATIONS * AT_ONCE * 5e-3) - 1) < 1e-9);
    mf_window_read(at.window, &read);
    mf_check_int(read.count, GENERATIONS * AT_ONCE * 1000);
    mf_check(fabs(read.p50 / 7e-6 - 1) < 0.011);
    pthread_barrier_destroy(&at.all_here);
    mf_metrics_destroy(metrics);
}

/* A thread that comes alone owns what it writes, as did the one before it. */
static void *own_shard(void *argument)
{
    unsigned *ret_shard = argument;
    *ret_shard = mfi_shard_index();
    return NULL;
}

static void test_shards_are_given_back(void)
{
    for (int i = 0; i < 10 * MFI_SHARDS; i++) {
        pthread_t thread;
        unsigned shard = MFI_SHARED_SHARD;
        pthread_create(&thread, NULL, own_shard, &shard);
        pthread_join(thread, NULL);
        mf_check(shard < MFI_SHARED_SHARD);
    }
}

/* ---- More threads than shards ---- */

typedef struct holder {
    pthread_barrier_t all_hold;
    unsigned shards[MFI_SHARDS + 4];
    _Atomic(unsigned) next;
} holder;

static void *hold_shard(void *argument)
{
    holder *at = argument;
    unsigned own = mfi_shard_index();
    at->shards[atomic_fetch_add(&at->next, 1)] = own;
    mf_check_int(mfi_shard_index(), own); /* asked again, the same */
    (void)pthread_barrier_wait(&at->all_hold);
    return NULL;
}

static void test_owners_are_alone(void)
{
    enum { COUNT = MFI_SHARDS + 4 };
    pthread_t threads[COUNT];
    holder at = {.next = 0};
    unsigned owners[MFI_SHARDS] = {0};
    owners[mfi_shard_index()]++; /* of this thread */
    unsigned mine = mfi_shard_index();
    pthread_barrier_init(&at.all_hold, NULL, COUNT);
    for (int i = 0; i < COUNT; i++) {
        pthread_create(&threads[i], NULL, hold_shard, &at);
    }
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&at.all_hold);
    for (int i = 0; i < COUNT; i++) {
        owners[at.shards[i]]++;
    }
    mf_check(mine < MFI_SHARED_SHARD);
    for (unsigned i = 0; i < MFI_SHARED_SHARD; i++) {
        mf_check_int(owners[i], 1);
    }
    mf_check_int(owners[MFI_SHARED_SHARD], COUNT + 1 - MFI_SHARED_SHARD);
}

/* ---- After fork ---- */

static void *hold_until_forked(void *argument)
{
    holder *at = argument;
    (void)mfi_shard_index();
    (void)pthread_barrier_wait(&at->all_hold);
    (void)pthread_barrier_wait(&at->all_hold); /* the fork was made */
    return NULL;
}

/* The child keeps the shard of the thread that forked, and has those of all the others to give. It
 * asks once more as if it were another thread: a thread of its own is more than it may start. */
static void test_fork_gives_back_those_of_the_others(void)
{
    pthread_t threads[MFI_SHARDS];
    holder at = {.next = 0};
    unsigned mine = mfi_shard_index();
    int status = -1;
    pthread_barrier_init(&at.all_hold, NULL, MFI_SHARDS + 1);
    for (int i = 0; i < MFI_SHARDS; i++) {
        pthread_create(&threads[i], NULL, hold_until_forked, &at);
    }
    (void)pthread_barrier_wait(&at.all_hold);
    pid_t child = fork();
    if (child == 0) {
        bool kept = mfi_shard_index() == mine;
        mfi_shard_of_thread = 0;
        unsigned other = mfi_shard_index();
        _exit(kept && other < MFI_SHARED_SHARD && other != mine ? 0 : 1);
    }
    mf_check_int(waitpid(child, &status, 0), child);
    mf_check_int(status, 0);
    (void)pthread_barrier_wait(&at.all_hold);
    for (int i = 0; i < MFI_SHARDS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&at.all_hold);
}

/* ---- Cells ---- */

static void test_cells_add(void)
{
    _Atomic(uint64_t) cell = 5;
    mfi_cell_add(0, &cell, 7);
    mfi_cell_add(MFI_SHARED_SHARD, &cell, 30);
    mf_check_int(cell, 42);
}

static const mf_test tests[] = {
    {"shards__lose_nothing_when_they_change_hands", test_shards_change_hands},
    {"shards__are_given_back_by_threads_that_end", test_shards_are_given_back},
    {"shards__owners_are_alone_and_the_rest_share", test_owners_are_alone},
    {"shards__fork_gives_back_those_of_the_others", test_fork_gives_back_those_of_the_others},
    {"shards__cells_add_in_either_way", test_cells_add},
};
MF_TEST_MAIN(tests)
