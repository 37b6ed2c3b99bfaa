/* The ring of the last hour: rates between readings, gaps, the oldest points that go, and what a
 * reading takes from the metric set. */
#include "metrics/history.h"

#include <math.h>
#include <string.h>

#include "metrics/evaluation.h"
#include "metrics/metric_set.h"
#include "mf_test.h"

#define STEP MFI_HISTORY_STEP_NS
#define START (1000 * STEP)

static mfi_history_point points[MFI_HISTORY_POINTS];

static mfi_history_reading reading_of(const char *target, uint64_t calls, uint64_t errors)
{
    mfi_history_reading reading = {.count = 2};
    reading.totals[0] = (mfi_history_totals){
        .calls = 2 * calls, .errors = errors, .p50 = 0.5, .p95 = NAN, .p99 = NAN};
    reading.totals[1] = (mfi_history_totals){
        .calls = calls, .errors = errors, .app_errors = 1, .p50 = 0.25, .p95 = 0.5, .p99 = 1};
    (void)strcpy(reading.totals[1].target, target);
    return reading;
}

static void add(mfi_history *history, uint64_t calls, uint64_t errors, uint64_t at_ns)
{
    mfi_history_reading reading = reading_of("math", calls, errors);
    mfi_history_add(history, &reading, at_ns, at_ns + 7);
}

static size_t copy(mfi_history *history, const char *target)
{
    uint64_t end = 0;
    size_t count = mfi_history_copy(history, target, points, &end);
    mf_check(end == history->last_wall_ns);
    return count;
}

static void test_rates_between_readings(void)
{
    mfi_history history;
    mfi_history_init(&history);
    mf_check_int(copy(&history, ""), 0);
    add(&history, 100, 0, START);
    mf_check_int(copy(&history, ""), 0); /* what came before the first reading has no rate */
    add(&history, 150, 5, START + STEP);
    add(&history, 150, 5, START + 2 * STEP);
    if (mf_check(copy(&history, "math") == 2)) {
        mf_check(points[0].calls == 5 && points[0].errors == 0.5F && points[0].app_errors == 0);
        mf_check(points[0].p50 == 0.25F && points[0].p95 == 0.5F && points[0].p99 == 1);
        mf_check(points[1].calls == 0 && points[1].errors == 0);
    }
    if (mf_check(copy(&history, "") == 2)) {
        mf_check(points[0].calls == 10 && points[0].p50 == 0.5F && isnan(points[0].p99));
    }
    if (mf_check(copy(&history, "unknown") == 2)) {
        mf_check(isnan(points[0].calls) && isnan(points[1].calls));
    }
    mfi_history_fini(&history);
}

/* A step without a reading has no point, and the next rate is of the whole time. */
static void test_gaps(void)
{
    mfi_history history;
    mfi_history_init(&history);
    add(&history, 0, 0, START);
    add(&history, 90, 0, START + 3 * STEP);
    if (mf_check(copy(&history, "math") == 3)) {
        mf_check(isnan(points[0].calls) && isnan(points[1].calls));
        mf_check(points[2].calls == 3);
    }
    add(&history, 90, 0, START + (3 + 2 * MFI_HISTORY_POINTS) * STEP);
    if (mf_check(copy(&history, "math") == MFI_HISTORY_POINTS)) {
        mf_check(isnan(points[0].calls) && isnan(points[MFI_HISTORY_POINTS - 2].calls));
        mf_check(points[MFI_HISTORY_POINTS - 1].calls == 0);
    }
    mfi_history_fini(&history);
}

static void test_oldest_points_go(void)
{
    mfi_history history;
    mfi_history_init(&history);
    uint64_t calls = 0;
    for (uint64_t i = 0; i <= MFI_HISTORY_POINTS + 5; i++) {
        calls += 10 * i;
        add(&history, calls, 0, START + i * STEP);
    }
    if (mf_check(copy(&history, "math") == MFI_HISTORY_POINTS)) {
        mf_check(points[0].calls == 6);
        mf_check(points[MFI_HISTORY_POINTS - 1].calls == MFI_HISTORY_POINTS + 5);
    }
    mfi_history_fini(&history);
}

/* Targets beyond the last line are part of the sum alone, and cost no memory. */
static void test_lines_are_bounded(void)
{
    mfi_history history;
    mfi_history_init(&history);
    for (uint64_t i = 0; i < 2 * MFI_HISTORY_LINES_MAX; i++) {
        char name[8] = {'t', (char)('a' + i % 26), (char)('a' + i / 26)};
        mfi_history_reading reading = reading_of(name, i, 0);
        mfi_history_add(&history, &reading, START + i * STEP, START);
    }
    mf_check_int(history.line_count, MFI_HISTORY_LINES_MAX);
    mfi_history_fini(&history);
}

/* ---- The metric set ---- */

static mf_family *add_family(mf_metrics *metrics, mf_metric_type type, const char *name,
                             size_t label_count)
{
    static const char *const labels[] = {"target", "function", "status"};
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.unit = type == MF_METRIC_WINDOW ? "seconds" : NULL;
    options.help = "Help";
    options.label_names = labels;
    options.label_count = label_count;
    mf_check_int(mfi_metric_set_add(metrics, &options, &family, NULL), MF_OK);
    return family;
}

static void count(mf_family *family, const char *target, const char *status, uint64_t n)
{
    const char *values[] = {target, "add", status};
    mf_counter_add(mf_family_counter(family, values), n);
}

static mf_metrics *metrics_of_calls(void)
{
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_family *calls = add_family(metrics, MF_METRIC_COUNTER, "multifrost_client_calls_total", 3);
    mf_family *window =
        add_family(metrics, MF_METRIC_WINDOW, "multifrost_client_call_latency_window_seconds", 1);
    static const char *const targets[] = {"math", "text"};
    count(calls, "math", "ok", 5);
    count(calls, "math", "timeout", 2);
    count(calls, "math", "app_error", 3);
    count(calls, "math", "cancelled", 4);
    count(calls, "text", "ok", 100);
    for (int i = 0; i < 2; i++) {
        mf_window_record_ns(mf_family_window(window, &targets[i]), (uint64_t)(i + 1) * 100000000);
    }
    return metrics;
}

static void test_reading(void)
{
    mf_metrics *metrics = metrics_of_calls();
    mfi_history_reading reading;
    mfi_history_read(metrics, &reading);
    if (mf_check(reading.count == 3)) {
        const mfi_history_totals *all = &reading.totals[0], *math = &reading.totals[1];
        mf_check_str(all->target, "");
        mf_check_int(all->calls, 114);
        mf_check_str(math->target, "math");
        mf_check_int(math->calls, 14);
        mf_check_int(math->errors, 2); /* neither errors of the function nor cancelled calls */
        mf_check_int(math->app_errors, 3);
        mf_check(fabs(math->p50 - 0.1) < 0.002 && fabs(reading.totals[2].p50 - 0.2) < 0.004);
        mf_check(fabs(all->p99 - 0.2) < 0.004 && fabs(all->p50 - 0.1) < 0.002); /* of both */
    }
    mf_metrics_destroy(metrics);
}

static void test_feed_reads_once_in_a_step(void)
{
    mf_metrics *metrics = metrics_of_calls();
    mfi_history history;
    mfi_history_init(&history);
    mfi_history_feed(&history, metrics, START, 1);
    mfi_history_feed(&history, metrics, START + STEP - 1, 2);
    mf_check_int(history.last_wall_ns, 1);
    mfi_history_feed(&history, metrics, START + STEP, 3);
    mf_check_int(history.last_wall_ns, 3);
    mf_check_int(copy(&history, "text"), 1);
    mfi_history_fini(&history);
    mf_metrics_destroy(metrics);
}

static void visit_nothing(void *self, mf_health_visit_fn visit, void *user_data)
{
    (void)self;
    (void)visit;
    (void)user_data;
}

static void test_evaluation_feeds(void)
{
    mf_metrics *metrics = metrics_of_calls();
    mf_probe probe = {
        .struct_size = sizeof probe, .metrics = metrics, .visit_health = visit_nothing};
    mfi_health health;
    if (mf_check(mfi_evaluation_start(&health, &probe, 100000000, NULL) == MF_OK)) {
        mf_check(health.history.last_ns != 0);
        mf_check_int(health.history.line_count, 3);
    }
    mfi_evaluation_stop(&health);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"history__rates_between_readings", test_rates_between_readings},
    {"history__gaps_have_no_points", test_gaps},
    {"history__oldest_points_go", test_oldest_points_go},
    {"history__lines_are_bounded", test_lines_are_bounded},
    {"history__reading_of_the_metrics", test_reading},
    {"history__feed_reads_once_in_a_step", test_feed_reads_once_in_a_step},
    {"history__evaluation_feeds_it", test_evaluation_feeds},
};
MF_TEST_MAIN(tests)
