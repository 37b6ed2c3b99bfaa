/* The busy share of handler threads, with the clock in hand. */
#include "core/server/load.h"

#include "mf_test.h"

#define START UINT64_C(1000000000000)
#define MS UINT64_C(1000000)

typedef struct made {
    mfi_child_state state;
    mfi_handler_mark marks[2];
    mfi_load load;
} made;

static void make(made *at, int threads)
{
    *at = (made){.state = {.leave_fd = -1}};
    for (int i = 0; i < threads; i++) {
        mfi_chain_push_back(&at->state.marks, &at->marks[i].node);
    }
    mfi_load_init(&at->load, &at->state, START);
}

static void test_share_is_of_all_threads(void)
{
    static made at;
    make(&at, 2);
    mf_check_int(mfi_load_read(&at.load, START), 0);
    mfi_handler_mark_add(&at.marks[0], 300 * MS);
    mfi_handler_mark_add(&at.marks[1], 100 * MS);
    mf_check_int(mfi_load_read(&at.load, START + 400 * MS), 500);
}

static void test_running_handler_counts(void)
{
    static made at;
    make(&at, 1);
    atomic_store(&at.marks[0].since_ns, START + 250 * MS);
    mf_check_int(mfi_load_read(&at.load, START + 1000 * MS), 750);
}

/* A step apart, so that each answer but the first of a step pays for a comparison only. */
static void test_value_is_kept_for_a_step(void)
{
    static made at;
    make(&at, 1);
    mfi_handler_mark_add(&at.marks[0], 100 * MS);
    mf_check_int(mfi_load_read(&at.load, START + 200 * MS), 500);
    mfi_handler_mark_add(&at.marks[0], 99 * MS);
    mf_check_int(mfi_load_read(&at.load, START + 300 * MS - 1), 500);
    mf_check_int(mfi_load_read(&at.load, START + 300 * MS), 663);
}

/* Only the last second counts, however long the worker ran before. */
static void test_old_work_is_forgotten(void)
{
    static made at;
    make(&at, 1);
    uint64_t now = START;
    for (int i = 0; i < 50; i++) {
        now += 100 * MS;
        mfi_handler_mark_add(&at.marks[0], 100 * MS);
        mf_check_int(mfi_load_read(&at.load, now), 1000);
    }
    for (int i = 1; i <= 10; i++) {
        now += 100 * MS;
        mf_check_int(mfi_load_read(&at.load, now), 1000 - i * 100);
    }
    now += 60000 * MS; /* a pause counts whole */
    mfi_handler_mark_add(&at.marks[0], 6000 * MS);
    mf_check_int(mfi_load_read(&at.load, now), 100);
}

static void test_ends_are_nought_and_one(void)
{
    static made at;
    make(&at, 1);
    mfi_handler_mark_add(&at.marks[0], 900 * MS); /* the clocks of two threads may differ */
    mf_check_int(mfi_load_read(&at.load, START + 200 * MS), 1000);
    atomic_store(&at.marks[0].busy_ns, 0); /* a handler that just ended, not added yet */
    mf_check_int(mfi_load_read(&at.load, START + 1300 * MS), 0);
    mf_check_int(mfi_load_read(&at.load, START + 1100 * MS), 0); /* a slow thread's earlier time */
    atomic_store(&at.load.is_held, true);                        /* another thread works it out */
    mf_check_int(mfi_load_read(&at.load, START + 9000 * MS), 0);
}

static const mf_test tests[] = {
    {"load__is_the_share_of_all_threads", test_share_is_of_all_threads},
    {"load__counts_running_handlers", test_running_handler_counts},
    {"load__is_kept_for_a_step", test_value_is_kept_for_a_step},
    {"load__forgets_old_work", test_old_work_is_forgotten},
    {"load__is_between_nought_and_one", test_ends_are_nought_and_one},
};
MF_TEST_MAIN(tests)
