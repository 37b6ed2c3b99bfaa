/* The reader of a segment: it reports differences, bounds what it reads, and its totals grow over
 * restarts. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "segment_support.h"

/* ---- Differences ---- */

static void test_differences(void)
{
    pair at;
    pair_begin(&at, 0);
    mf_counter *ok = counter_of(&at, "foo", "ok");
    mf_counter *error = counter_of(&at, "foo", "error");
    mf_histogram *duration = histogram_of(&at, "foo", "error");
    mf_counter_add(ok, 3);
    mf_counter_add(error, 1);
    mf_histogram_record_ns(duration, 1000000);
    mf_histogram_record_ns(duration, 0);
    mf_histogram_record_ns(duration, UINT64_C(1) << 50);
    totals first = collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0);
    mf_check_int(first.count, 3);
    mf_check_int(first.all, 3 + 1 + 3);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all_visits, 0); /* no change */
    mf_counter_add(ok, 4);
    mf_histogram_record_ns(duration, 5000);
    totals second = collect(at.reader, MFI_SEGMENT_DURATION, "foo", 1);
    mf_check_int(second.count, 1);
    mf_check_int(second.sum, 5000);
    mf_check_int(second.all, 4 + 1);
    mf_check_int(mf_counter_value(ok), 7); /* the worker reads its own counters as ever */
    mf_check_int(facts_of(&at).ignored, 0);
    mf_check_int(facts_of(&at).lost_series, 0);
    pair_end(&at);
}

/* A series shows before it counts, so that the parent has it too. A word that is in no table, and a
 * long or malformed name, are bounded. */
static void test_names(void)
{
    pair at;
    char name[300];
    pair_begin(&at, 0);
    (void)collect(at.reader, MFI_SEGMENT_CALLS, "", 0); /* the series beyond the caps */
    (void)counter_of(&at, "foo", "ok");
    totals made = collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0);
    mf_check_int(made.visits, 1);
    mf_check_int(made.all_visits, 1);
    mf_counter_add(counter_of(&at, "bar", "strange"), 1);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "bar", MFI_SEGMENT_NO_WORD).count, 1);
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    mf_counter_add(counter_of(&at, name, "ok"), 1);
    name[MFI_SEGMENT_FUNCTION_MAX] = '\0';
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, name, 0).count, 1);
    pair_end(&at);
}

/* ---- A worker that scribbles ---- */

static void test_cell_that_goes_backwards(void)
{
    pair at;
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    mf_counter *counter = counter_of(&at, "foo", "ok");
    _Atomic(uint64_t) *cell = &counter->page->cells[MFI_SHARED_SHARD][counter->index];
    *cell = 10;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 10);
    *cell = 4;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 0);
    mf_check_int(facts_of(&at).ignored, 1);
    *cell = UINT64_MAX;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 0);
    mf_check_int(facts_of(&at).ignored, 2);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all_visits, 0);
    mf_check_int(facts_of(&at).ignored, 2); /* once for each time */
    pair_end(&at);
}

static void test_broken_blocks(void)
{
    pair at;
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    mf_counter_add(counter_of(&at, "foo", "ok"), 1);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 1);
    mfi_segment_head *head = scribble_on(&at);
    uint64_t used = head->used;
    memset(head->blocks + used, 0xff, 64);
    head->used = UINT64_MAX;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all_visits, 0);
    mf_check_int(facts_of(&at).ignored, 1);
    mf_counter_add(counter_of(&at, "foo", "ok"), 1); /* what is known already still counts */
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 1);
    munmap(head, MFI_SEGMENT_BYTES_LEAST);
    pair_end(&at);
}

/* ---- The parent's totals ---- */

static void add_to_histogram(const mfi_segment_delta *delta, void *user_data)
{
    if (delta->is_histogram) {
        mfi_histogram_add_cells(user_data, delta->cells, delta->sum);
    }
}

/* Over restarts the parent's histogram has what all the workers had together. */
static void test_totals_over_restarts(void)
{
    mf_metrics *metrics = make_set();
    mf_histogram *total = mf_family_histogram(
        add_family(metrics, MF_METRIC_HISTOGRAM, "total_seconds", NULL, 0, 0), NULL);
    mf_histogram *wanted = mf_family_histogram(
        add_family(metrics, MF_METRIC_HISTOGRAM, "wanted_seconds", NULL, 0, 0), NULL);
    static const uint64_t values[] = {0, 1000, 2000000, 2000001, UINT64_C(1) << 50};
    for (int restart = 0; restart < 3; restart++) {
        pair at;
        pair_begin(&at, 0);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            mf_histogram_record_ns(histogram_of(&at, "foo", "ok"), values[i]);
            mf_histogram_record_ns(wanted, values[i]);
            mfi_segment_collect(at.reader, add_to_histogram, total);
        }
        pair_end(&at);
    }
    static mfi_cells got, want;
    mfi_histogram_merge(total, &got);
    mfi_histogram_merge(wanted, &want);
    mf_check_int(got.count, 15);
    mf_check(memcmp(&got, &want, sizeof got) == 0);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"segment_reader__collect_reports_differences", test_differences},
    {"segment_reader__names_and_words_are_bounded", test_names},
    {"segment_reader__a_cell_that_goes_backwards_is_ignored", test_cell_that_goes_backwards},
    {"segment_reader__broken_blocks_are_bounded", test_broken_blocks},
    {"segment_reader__totals_grow_over_restarts", test_totals_over_restarts},
};
MF_TEST_MAIN(tests)
