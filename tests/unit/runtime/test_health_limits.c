/* When a target and the log warn, and what the warning says. */
#include "core/runtime/health_limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mf_test.h"

typedef struct shown {
    size_t count;
    char names[8][64], outputs[8][400];
    mf_health_row rows[8];
} shown;

static void take(const mf_health_row *row, void *user_data)
{
    shown *to = user_data;
    (void)snprintf(to->names[to->count], 64, "%s:%s", row->component, row->measurement);
    (void)snprintf(to->outputs[to->count], 400, "%s", row->output != NULL ? row->output : "");
    mf_check_int(row->gates, MF_GATE_NONE);
    mf_check_int(row->status == MF_HEALTH_PASS, row->output == NULL);
    to->rows[to->count++] = *row;
}

static mfi_health_limits limits_of(const mf_health_options *options)
{
    mfi_health_limits limits;
    mf_check_int(mfi_health_limits_fill(&limits, options, NULL), MF_OK);
    return limits;
}

static const mfi_target_recent calm = {.is_counted = true,
                                       .calls = 100,
                                       .failed = 5,
                                       .app_errors = 40,
                                       .cancelled = 30,
                                       .p99_seconds = 0.5,
                                       .in_flight = 80,
                                       .queue_depth = 1, /* of them, not sent yet */
                                       .queue_capacity = 100,
                                       .oldest_seconds = 60};

static shown show(const mf_health_options *options, const mfi_target_recent *recent)
{
    shown seen = {.count = 0};
    mfi_health_limits limits = limits_of(options);
    mfi_health_show_target(&limits, "math", recent, take, &seen);
    return seen;
}

/* At the limit nothing warns; app errors and cancelled calls are no failures. */
static void test_calm_targets_pass(void)
{
    shown seen = show(NULL, &calm);
    mf_check_int(seen.count, 4);
    static const char *const names[] = {"math:responseTime", "math:errorShare", "math:queue",
                                        "math:oldestCall"};
    static const double values[] = {0.5, 0.05, 0.8, 60};
    for (size_t i = 0; i < 4; i++) {
        mf_check_str(seen.names[i], names[i]);
        mf_check_int(seen.rows[i].status, MF_HEALTH_PASS);
        mf_check(seen.rows[i].has_number && seen.rows[i].observed_number == values[i]);
    }
}

static void test_each_limit_warns(void)
{
    mf_health_options options = MF_HEALTH_OPTIONS_INIT;
    mfi_target_recent busy = calm;
    busy.failed = 6;
    busy.in_flight = 81;
    busy.oldest_seconds = 75.25;
    options.response_time_ms = 250;
    shown seen = show(&options, &busy);
    for (size_t i = 0; i < 4; i++) {
        mf_check_int(seen.rows[i].status, MF_HEALTH_WARN);
    }
    mf_check_str(seen.outputs[0],
                 "rule responseTime: the p99 of the last minute is 0.5 s, the threshold is 0.25 s; "
                 "no call is refused for it");
    mf_check_str(seen.outputs[1],
                 "rule errorShare: 6 of the 100 calls of the last minute failed, a share of 0.06, "
                 "the threshold is 0.05; 40 app errors and 30 cancelled calls are not among the "
                 "failed; /calls?failed names them");
    mf_check_str(seen.outputs[2],
                 "rule queue: 81 of 100 places are taken, a share of 0.81, the threshold is 0.8; "
                 "when all are taken, calls are refused (queue_full)");
    mf_check_contains(seen.outputs[3], "the oldest open call began 75.2 s ago, the threshold is "
                                       "60 s");
}

static void test_few_calls_are_no_share(void)
{
    mf_health_options options = MF_HEALTH_OPTIONS_INIT;
    mfi_target_recent few = {
        .is_counted = true, .calls = 19, .failed = 19, .p99_seconds = (double)NAN};
    shown seen = show(NULL, &few);
    mf_check_int(seen.rows[1].status, MF_HEALTH_PASS);
    mf_check(seen.rows[1].observed_number == 1);
    mf_check(!seen.rows[0].has_number);
    mf_check(!seen.rows[2].has_number); /* no capacity */
    few.calls = 20;
    mf_check_int(show(NULL, &few).rows[1].status, MF_HEALTH_WARN);
    options.error_min_calls = 21;
    mf_check_int(show(&options, &few).rows[1].status, MF_HEALTH_PASS);
    few.is_counted = false; /* its calls are those of many targets */
    seen = show(NULL, &few);
    mf_check_int(seen.count, 3);
    mf_check_str(seen.names[1], "math:queue");
}

static void test_disabled_checks_only_show(void)
{
    mf_health_options options = MF_HEALTH_OPTIONS_INIT;
    const mfi_target_recent bad = {.is_counted = true,
                                   .calls = 100,
                                   .failed = 100,
                                   .p99_seconds = 9,
                                   .in_flight = 1,
                                   .queue_capacity = 1,
                                   .oldest_seconds = 1e6};
    options.response_time_ms = options.error_share = options.queue_share = MF_DISABLED;
    options.oldest_call_ms = MF_DISABLED;
    shown seen = show(&options, &bad);
    mf_check_int(seen.count, 4);
    for (size_t i = 0; i < 4; i++) {
        mf_check_int(seen.rows[i].status, MF_HEALTH_PASS);
    }
}

static void check_refused(const mf_health_options *options, const char *name)
{
    mfi_health_limits limits;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_health_limits_fill(&limits, options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, name);
}

static void test_options_out_of_range(void)
{
    mf_health_options options = MF_HEALTH_OPTIONS_INIT;
    options.response_time_ms = -2;
    check_refused(&options, "response_time_ms");
    options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    options.error_share = 1.01;
    check_refused(&options, "error_share");
    options.error_share = (double)NAN;
    check_refused(&options, "error_share");
    options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    options.error_min_calls = MF_DISABLED;
    check_refused(&options, "error_min_calls");
    options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    options.queue_share = 80;
    check_refused(&options, "queue_share");
    options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    options.oldest_call_ms = -60000;
    check_refused(&options, "oldest_call_ms");
    options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    options.log_drops = -7;
    check_refused(&options, "log_drops");
    options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    options.struct_size = 0;
    check_refused(&options, "mf_health_options");
}

static void show_drops(const mfi_health_limits *limits, mfi_recent *ring, uint64_t at_s,
                       uint64_t full, shown *to)
{
    mf_log_stats stats = MF_LOG_STATS_INIT;
    stats.dropped_ring_full = full;
    stats.dropped_sink_error = full > 0;
    stats.dropped_sampled = 1000 * full; /* not lost */
    to->count = 0;
    mfi_health_show_drops(limits, &stats, ring, (1000 + at_s) * MFI_NS_PER_S, take, to);
    mf_check_int(to->count, 1);
}

static void test_lost_records_warn_for_a_minute(void)
{
    shown seen;
    mfi_recent ring = {.count = 0};
    mf_health_options options = MF_HEALTH_OPTIONS_INIT;
    mfi_health_limits limits = limits_of(NULL);
    show_drops(&limits, &ring, 0, 0, &seen);
    mf_check_str(seen.names[0], "log:drops");
    mf_check_int(seen.rows[0].status, MF_HEALTH_PASS);
    show_drops(&limits, &ring, 5, 3, &seen);
    mf_check_int(seen.rows[0].status, MF_HEALTH_WARN);
    mf_check(seen.rows[0].observed_number == 4);
    mf_check_str(seen.outputs[0],
                 "rule drops: 4 log records of the last minute were lost (ring_full 3, oversize 0, "
                 "sink_error 1), the threshold is 1; it passes a minute after the last loss");
    options.log_drops = 5;
    limits = limits_of(&options);
    show_drops(&limits, &ring, 6, 3, &seen);
    mf_check_int(seen.rows[0].status, MF_HEALTH_PASS);
    options.log_drops = MF_DISABLED;
    limits = limits_of(&options);
    show_drops(&limits, &ring, 7, 100, &seen);
    mf_check_int(seen.rows[0].status, MF_HEALTH_PASS);
    limits = limits_of(NULL);
    show_drops(&limits, &ring, 20, 100, &seen);
    mf_check_int(seen.rows[0].status, MF_HEALTH_WARN);
    show_drops(&limits, &ring, 80, 100, &seen);
    mf_check_int(seen.rows[0].status, MF_HEALTH_PASS);
}

static const mf_test tests[] = {
    {"health_limits__calm_targets_pass", test_calm_targets_pass},
    {"health_limits__each_limit_warns", test_each_limit_warns},
    {"health_limits__few_calls_are_no_share", test_few_calls_are_no_share},
    {"health_limits__disabled_checks_only_show", test_disabled_checks_only_show},
    {"health_limits__options_out_of_range", test_options_out_of_range},
    {"health_limits__lost_records_warn_for_a_minute", test_lost_records_warn_for_a_minute},
};
MF_TEST_MAIN(tests)
