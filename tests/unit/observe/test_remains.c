/* What a crash tells of the calls that its worker wrote down in its memory. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metrics/segment.h"
#include "mf_test.h"

typedef struct fixture {
    mf_metrics *metrics;
    mfi_observer *observer;
    mfi_target *client;
    mfi_segment *segment;
    int rows;
    void (*check)(const mf_crash_row *row);
} fixture;

static void setup(fixture *at, void (*check)(const mf_crash_row *row))
{
    mfi_client_options options = {.target = "math", .worker = "math-0"};
    *at = (fixture){.check = check};
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, NULL, at->metrics, 64, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&at->client, at->observer, &options, NULL), MF_OK);
    int fd = mfi_target_begin_segment(at->client);
    mf_check_int(mfi_segment_attach(fd, &at->segment), MFI_SEGMENT_ATTACHED);
    (void)close(fd);
}

static void visit(const mf_crash_row *row, void *user_data)
{
    fixture *at = user_data;
    at->rows++;
    at->check(row);
}

/* The worker ends by itself, and its memory is given back as the link does it. */
static void crash(fixture *at)
{
    mfi_remains remains = {.named = 0};
    mfi_process_event event = {.what = MFI_PROCESS_EXITED, .pid = 7, .remains = &remains};
    mfi_observe_process_changed(at->client, &event);
    mfi_target_end_segment(at->client);
}

static void finish(fixture *at, int rows)
{
    (void)mfi_observer_visit_crashes(at->observer, visit, at);
    mf_check_int(at->rows, rows);
    mfi_segment_detach(at->segment);
    mfi_target_destroy(at->client);
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
}

static void run(fixture *at, unsigned number, const char *id, uint64_t started_ns)
{
    mfi_segment_begin(
        at->segment, number,
        &(mfi_segment_call){.function = "add", .correlation_id = id, .started_ns = started_ns});
}

static void check_oldest(const mf_crash_row *row)
{
    mf_check_int(row->running_calls, 10);
    mf_check_int(row->running_count, MFI_OPEN_CALLS_MAX);
    for (size_t i = 0; i < row->running_count; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "c-%zu", i);
        mf_check_str(row->running[i].function, "add");
        mf_check_str(row->running[i].correlation_id, id);
    }
    mf_check(row->running[0].age_seconds >= 10);
}

/* The threads' numbers say nothing about the age. */
static void test_the_oldest_are_named(void)
{
    fixture at;
    char id[32];
    setup(&at, check_oldest);
    uint64_t now = mfi_monotonic_ns();
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(id, sizeof id, "c-%u", i);
        run(&at, 9 - i, id, now - (10 - i) * MFI_NS_PER_S);
    }
    run(&at, 10, "ended", now);
    mfi_segment_end(at.segment, 10);
    crash(&at);
    finish(&at, 1);
}

static void check_lie(const mf_crash_row *row)
{
    mf_check_int(row->running_calls, 1);
    mf_check(row->running[0].correlation_id == NULL);
    mf_check(row->running[0].age_seconds <= 0);
}

static void test_a_time_in_the_future_counts_as_now(void)
{
    fixture at;
    setup(&at, check_lie);
    run(&at, 0, NULL, UINT64_MAX);
    crash(&at);
    finish(&at, 1);
}

static void check_none(const mf_crash_row *row)
{
    mf_check_int(row->running_calls, 0);
    mf_check_int(row->running_count, 0);
}

/* Of the next process, which has no memory: nothing of the one before is told. */
static void test_nothing_of_an_earlier_process_is_told(void)
{
    fixture at;
    setup(&at, check_none);
    run(&at, 0, "c-0", mfi_monotonic_ns());
    mfi_target_end_segment(at.client);
    crash(&at);
    finish(&at, 1);
}

static const mf_test tests[] = {
    {"remains__the_oldest_are_named", test_the_oldest_are_named},
    {"remains__a_time_in_the_future_counts_as_now", test_a_time_in_the_future_counts_as_now},
    {"remains__of_an_earlier_process_are_not_told", test_nothing_of_an_earlier_process_is_told},
};
MF_TEST_MAIN(tests)
