/* Families: series found or made by label values, within two caps. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric_support.h"
#include "mf_alloc.h"

static void test_unknown_labels_fold(void)
{
    static const char *const labels[] = {"function"};
    mf_metrics *metrics = NULL;
    mfi_heap_arena *heap = mfi_arena_heap_create();
    char *text = NULL;
    size_t sizes[2];
    size_t used[2];
    mf_check_int(
        mfi_metric_set_create_in(&metrics, NULL, mfi_arena_heap_as(heap), mfi_clock_system(), NULL),
        MF_OK);
    mf_family *family = add_family(metrics, MF_METRIC_HISTOGRAM, "calls_seconds", labels, 1, 32);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < (round == 0 ? 1000 : 100000); i++) {
            char name[32];
            const char *values[] = {name};
            (void)snprintf(name, sizeof name, "function_%d", i);
            mf_histogram_record_ns(mf_family_histogram(family, values), 5000);
        }
        mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, &sizes[round], NULL),
                     MF_OK);
        mf_check_contains(text, "function=\"_OTHER\"");
        free(text);
        used[round] = mfi_arena_heap_used(heap);
    }
    mf_check_int(used[1], used[0]);
    mf_check(sizes[1] < sizes[0] + 200); /* only digits of counts grow */
    mf_metrics_destroy(metrics);
    mfi_arena_heap_destroy(heap);
}

/* ---- Finding and making ---- */

static mf_counter *counter_of(mf_family *family, const char *value)
{
    return mf_family_counter(family, &value);
}

static unsigned count_parts(const char *text, const char *part)
{
    unsigned count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static void test_same_values_give_the_same_series(void)
{
    static const char *const labels[] = {"a", "b"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 2, 0);
    char first[] = "x", second[] = "yz";
    mf_counter *made = mf_family_counter(family, (const char *const[]){first, second});
    first[0] = second[0] = '?'; /* they were copied */
    mf_check(mf_family_counter(family, (const char *const[]){"x", "yz"}) == made);
    mf_check(mf_family_counter(family, (const char *const[]){"xy", "z"}) != made);
    mf_check(mf_family_counter(family, (const char *const[]){"yz", "x"}) != made);
    /* NULL counts as "". */
    mf_counter *empty = mf_family_counter(family, (const char *const[]){"", ""});
    mf_check(mf_family_counter(family, (const char *const[]){NULL, ""}) == empty);
    mf_check(mf_family_counter(family, NULL) == empty);
    mf_check_int(family->series_count, 4);
    mf_metrics_destroy(metrics);
}

/* In the order of their values, whatever order they were made in. */
static void test_series_are_sorted(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_GAUGE, "a", labels, 1, 0);
    for (int i = 0; i < 500; i++) {
        char name[16];
        const char *values[] = {name};
        (void)snprintf(name, sizeof name, "%03d", i * 7 % 500);
        mf_gauge_set(mf_family_gauge(family, values), i);
    }
    int seen = 0;
    for (const mfi_series *at = family->series; at != NULL; at = at->next) {
        mf_check_int(strtol(at->values[0], NULL, 10), seen);
        seen++;
    }
    mf_check_int(seen, 500);
    mf_metrics_destroy(metrics);
}

/* A long value is cut between characters, and is found again by itself and by all that are cut to
 * the same. */
static void test_long_values_are_cut(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    char text[MF_METRIC_LABEL_VALUE_MAX + 10];
    memset(text, 'v', sizeof text);
    text[MF_METRIC_LABEL_VALUE_MAX - 1] = '\xc3'; /* a character of two bytes, half of which fits */
    text[MF_METRIC_LABEL_VALUE_MAX] = '\xa4';
    text[sizeof text - 1] = '\0';
    mf_counter *made = counter_of(family, text);
    mf_check_int(strlen(family->series->values[0]), MF_METRIC_LABEL_VALUE_MAX - 1);
    mf_check(counter_of(family, text) == made);
    text[sizeof text - 2] = 'w';
    mf_check(counter_of(family, text) == made);
    text[MF_METRIC_LABEL_VALUE_MAX - 1] = '\0';
    mf_check(counter_of(family, text) == made);
    mf_check_int(family->series_count, 1);
    mf_metrics_destroy(metrics);
}

/* Values are found by the text that is exposed: two with the same text would be one series twice.
 */
static void test_values_are_cleaned(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    mf_counter *made = counter_of(family, "x\xff");
    mf_check(counter_of(family, "x\xfe") == made);
    mf_check(counter_of(family, "x\xef\xbf\xbd") == made);
    mf_check_str(family->series->values[0], "x\xef\xbf\xbd");
    char bad[MF_METRIC_LABEL_VALUE_MAX + 10];
    memset(bad, 0x80, sizeof bad);
    bad[sizeof bad - 1] = '\0';
    (void)counter_of(family, bad); /* three bytes for each: it is cut after the cleaning */
    mf_check_int(family->series_count, 2);
    mf_check_int(strlen(family->series->next != NULL ? family->series->next->values[0] : ""),
                 MF_METRIC_LABEL_VALUE_MAX / 3 * 3);
    mf_alloc_fail_at(0);
    mf_check(counter_of(family, bad) == &family->other->as.counter);
    mf_check(mf_alloc_stop());
    mf_metrics_destroy(metrics);
}

/* ---- What folds ---- */

static void test_other_is_one_series(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 2);
    mf_counter_add(counter_of(family, MF_METRIC_OTHER), 1); /* somebody's own name for it */
    mf_counter_add(counter_of(family, "one"), 1);
    mf_counter_add(counter_of(family, "two"), 1);
    mf_counter_add(counter_of(family, "three"), 1);
    mf_counter_add(counter_of(family, "four"), 1);
    char *text = render_family(metrics, MF_METRICS_PROMETHEUS_TEXT, "a_total");
    mf_check_int(count_parts(text, "a_total{a=\"_OTHER\"}"), 1);
    mf_check_contains(text,
                      "a_total{a=\"one\"} 1\na_total{a=\"two\"} 1\na_total{a=\"_OTHER\"} 3\n");
    free(text);
    mf_check(counter_of(family, MF_METRIC_OTHER) == counter_of(family, "five"));
    mf_metrics_destroy(metrics);
}

/* The cap of the whole set holds for all families together. */
static void test_cap_of_the_set(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = NULL;
    mf_metrics_options options = MF_METRICS_OPTIONS_INIT;
    options.max_series = 3;
    mf_check_int(mf_metrics_create(&metrics, &options, NULL), MF_OK);
    mf_family *first = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    mf_family *second = add_family(metrics, MF_METRIC_COUNTER, "b_total", labels, 1, 0);
    mf_check(counter_of(first, "1") != counter_of(first, "2"));
    (void)counter_of(second, "1");
    mf_counter *folded = counter_of(second, "2");
    mf_check(folded == counter_of(second, "3"));
    mf_check(folded == &second->other->as.counter);
    mf_check(counter_of(first, "3") == &first->other->as.counter);
    mf_check_int(first->series_count, 2);
    mf_check_int(second->series_count, 1);
    mf_check(!metrics->series->other_used);
    mf_metrics_destroy(metrics);
}

/* Each fold is counted by family. */
static void test_folds_are_counted(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 1);
    for (char name[] = "a"; name[0] <= 'e'; name[0]++) {
        (void)counter_of(family, name);
    }
    (void)counter_of(family, "a");
    mf_check_int(mf_counter_value(counter_of(metrics->folded, "a_total")), 4);
    mf_metrics_destroy(metrics);
}

/* Never NULL, never shown, and the family itself is as before. */
static void test_wrong_type_is_hidden(void)
{
    mf_metrics *metrics = make_set();
    mf_family *families[] = {
        NULL,
        add_family(metrics, MF_METRIC_COUNTER, "a_total", NULL, 0, 0),
        add_family(metrics, MF_METRIC_GAUGE, "b", NULL, 0, 0),
        add_family(metrics, MF_METRIC_HISTOGRAM, "c_seconds", NULL, 0, 0),
        add_family(metrics, MF_METRIC_WINDOW, "d_seconds", NULL, 0, 0),
        add_family(metrics, MF_METRIC_INFO, "e_info", NULL, 0, 0),
    };
    for (int type = MF_METRIC_COUNTER; type <= MF_METRIC_INFO; type++) {
        for (int asked = MF_METRIC_COUNTER; asked <= MF_METRIC_INFO; asked++) {
            if (asked == type) {
                continue;
            }
            if (asked == MF_METRIC_COUNTER) {
                mf_counter_add(mf_family_counter(families[type], NULL), 1);
            } else if (asked == MF_METRIC_GAUGE) {
                mf_gauge_set(mf_family_gauge(families[type], NULL), 1);
            } else if (asked == MF_METRIC_HISTOGRAM) {
                mf_histogram_record(mf_family_histogram(families[type], NULL), 1);
            } else if (asked == MF_METRIC_WINDOW) {
                mf_window_record_ns(mf_family_window(families[type], NULL), 1);
            } else {
                mf_family_info(families[type], NULL);
            }
        }
        mf_check(families[type]->series == NULL);
    }
    char *text = render_set(metrics, MF_METRICS_PROMETHEUS_TEXT);
    mf_check(strstr(text, "hidden") == NULL && strstr(text, "_total") == NULL &&
             strstr(text, "_seconds") == NULL && strstr(text, "_info") == NULL);
    free(text);
    mf_metrics_destroy(metrics);
}

/* ---- Merging ---- */

static void test_merges_by_one_label(void)
{
    static const char *const labels[] = {"target", "function"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_HISTOGRAM, "a_seconds", labels, 2, 0);
    mf_family *other = add_family(metrics, MF_METRIC_GAUGE, "b", labels, 2, 0);
    static const char *const values[][2] = {{"m", "x"}, {"m", "y"}, {"n", "x"}};
    for (size_t i = 0; i < 3; i++) {
        mf_histogram_record(mf_family_histogram(family, values[i]), (double)(1 << i));
        (void)mf_family_gauge(other, values[i]);
    }
    mfi_cells of_m = {0}, of_x = {0}, of_none = {0}, of_gauges = {0};
    mfi_family_merge(family, 0, "m", &of_m);
    mf_check(of_m.count == 2 && of_m.sum == 3);
    mfi_family_merge(family, 1, "x", &of_x);
    mf_check(of_x.count == 2 && of_x.sum == 5);
    mfi_family_merge(family, 1, "m", &of_none);
    mf_check_int(of_none.count, 0);
    mfi_family_merge(other, 0, "m", &of_gauges);
    mf_check_int(of_gauges.count, 0);
    mf_metrics_destroy(metrics);
}

/* ---- Threads, and memory ---- */

#define THREADS 4
#define NAMES 200

static void *ask_for_all(void *argument)
{
    for (int i = 0; i < NAMES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        mf_counter_add(counter_of(argument, name), 1);
    }
    return NULL;
}

static void test_threads_share_series(void)
{
    static const char *const labels[] = {"a"};
    pthread_t threads[THREADS];
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, ask_for_all, family);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    mf_check_int(family->series_count, NAMES);
    for (mfi_series *at = family->series; at != NULL; at = at->next) {
        mf_check_int(mf_counter_value(&at->as.counter), THREADS);
    }
    mf_metrics_destroy(metrics);
}

/* Without memory the overflow takes what is recorded; the next time it works. */
static void test_folds_without_memory(void)
{
    static const char *const labels[] = {"a"};
    mf_metrics *metrics = make_set();
    mf_family *family = add_family(metrics, MF_METRIC_COUNTER, "a_total", labels, 1, 0);
    (void)counter_of(metrics->folded, "a_total");
    long failed = 0;
    for (long n = 0; family->series_count == 0 && n < 100; n++) {
        mf_alloc_fail_at(n);
        const mf_counter *found = counter_of(family, "name");
        bool reached = mf_alloc_stop();
        bool folded = found == &family->other->as.counter;
        mf_check(folded == (family->series_count == 0));
        mf_check(reached || !folded);
        failed += folded;
    }
    mf_check(failed >= 2);
    mf_check_int(family->series_count, 1);
    mf_check_int(metrics->series_count, 2); /* what was not made takes no place */
    mf_check_int(mf_counter_value(counter_of(metrics->folded, "a_total")), failed);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"family__100000_unknown_labels_fold", test_unknown_labels_fold},
    {"family__same_values_give_the_same_series", test_same_values_give_the_same_series},
    {"family__series_are_sorted", test_series_are_sorted},
    {"family__long_values_are_cut", test_long_values_are_cut},
    {"family__values_are_cleaned", test_values_are_cleaned},
    {"family__other_is_one_series", test_other_is_one_series},
    {"family__cap_of_the_set_holds_for_all", test_cap_of_the_set},
    {"family__folds_are_counted", test_folds_are_counted},
    {"family__wrong_type_is_hidden", test_wrong_type_is_hidden},
    {"family__merges_by_one_label", test_merges_by_one_label},
    {"family__threads_share_series", test_threads_share_series},
    {"family__folds_without_memory", test_folds_without_memory},
};
MF_TEST_MAIN(tests)
