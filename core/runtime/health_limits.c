/* Judges a target's last minute, its open calls and the log by limits that the program may set. It
 * exists so that every warning reads alike: the rule, the value, the limit, and what comes next. */
#include "core/runtime/health_limits.h"

#include <math.h>

#include "base/error.h"
#include "base/number.h"
#include "base/str.h"

#define OUTPUT_MAX 320

/* ---- Options ---- */

static double limit_of(double given, double preset)
{
    return given == MF_DISABLED ? 0 : given == 0 ? preset : given;
}

static mf_status check(const mf_health_options *from, mf_error *error)
{
    const struct {
        double value, most;
        const char *text;
    } all[] = {
        {from->response_time_ms, 1e9, "response_time_ms must be above 0 and at most 1e9"},
        {from->error_share, 1, "error_share must be above 0 and at most 1"},
        {from->error_min_calls, INT32_MAX, "error_min_calls must be at least 1"},
        {from->queue_share, 1, "queue_share must be above 0 and at most 1"},
        {from->oldest_call_ms, 1e12, "oldest_call_ms must be above 0 and at most 1e12"},
        {from->log_drops, INT32_MAX, "log_drops must be at least 1"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bool is_off = all[i].value == MF_DISABLED && all[i].value != from->error_min_calls;
        if (!is_off && !(all[i].value >= 0 && all[i].value <= all[i].most)) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "mf_health_options.%s, 0 (the default) or MF_DISABLED", all[i].text);
        }
    }
    return MF_OK;
}

mf_status mfi_health_limits_fill(mfi_health_limits *limits, const mf_health_options *options,
                                 mf_error *error)
{
    mf_health_options from = MF_HEALTH_OPTIONS_INIT;
    mf_status status = options == NULL ? MF_OK
                                       : mfi_options_copy(&from, sizeof from, sizeof from, options,
                                                          "mf_health_options", error);
    if (status == MF_OK) {
        status = check(&from, error);
    }
    if (status == MF_OK) {
        *limits = (mfi_health_limits){
            .response_seconds = limit_of(from.response_time_ms, 0) / 1000,
            .error_share = limit_of(from.error_share, 0.05),
            .error_min_calls = from.error_min_calls != 0 ? (uint64_t)from.error_min_calls : 20,
            .queue_share = limit_of(from.queue_share, 0.8),
            .oldest_seconds = limit_of(from.oldest_call_ms, 60000) / 1000,
            .drops = (uint64_t)limit_of(from.log_drops, 1)};
    }
    return status;
}

/* ---- Rows ---- */

typedef struct number {
    char text[32];
} number;

static number as_text(double value)
{
    number made;
    (void)mfi_format_measured(made.text, sizeof made.text, value);
    return made;
}

static mf_health_row row_of(const char *component, const char *measurement, const char *type,
                            const char *unit)
{
    return (mf_health_row){.struct_size = sizeof(mf_health_row),
                           .component = component,
                           .measurement = measurement,
                           .component_type = type,
                           .status = MF_HEALTH_PASS,
                           .observed_unit = unit};
}

static void warn(mf_health_row *row, const char *output)
{
    row->status = MF_HEALTH_WARN;
    row->output = output;
}

static void show_response_time(const mfi_health_limits *limits, const char *target,
                               const mfi_target_recent *recent, mf_health_visit_fn visit,
                               void *user_data)
{
    char output[OUTPUT_MAX];
    mf_health_row row = row_of(target, "responseTime", "component", "s");
    row.has_number = !isnan(recent->p99_seconds);
    row.observed_number = recent->p99_seconds;
    if (row.has_number && limits->response_seconds > 0 &&
        recent->p99_seconds > limits->response_seconds) {
        (void)mfi_str_format(output, sizeof output,
                             "rule responseTime: the p99 of the last minute is %s s, the threshold "
                             "is %s s; no call is refused for it",
                             as_text(recent->p99_seconds).text,
                             as_text(limits->response_seconds).text);
        warn(&row, output);
    }
    visit(&row, user_data);
}

static void show_error_share(const mfi_health_limits *limits, const char *target,
                             const mfi_target_recent *recent, mf_health_visit_fn visit,
                             void *user_data)
{
    char output[OUTPUT_MAX];
    mf_health_row row = row_of(target, "errorShare", "component", "ratio");
    row.has_number = recent->calls > 0;
    row.observed_number = recent->calls > 0 ? (double)recent->failed / (double)recent->calls : 0;
    if (limits->error_share > 0 && recent->calls >= limits->error_min_calls &&
        row.observed_number > limits->error_share) {
        (void)mfi_str_format(
            output, sizeof output,
            "rule errorShare: %llu of the %llu calls of the last minute failed, a share of %s, the "
            "threshold is %s; %llu app errors and %llu cancelled calls are not among the failed; "
            "/calls?failed names them",
            (unsigned long long)recent->failed, (unsigned long long)recent->calls,
            as_text(row.observed_number).text, as_text(limits->error_share).text,
            (unsigned long long)recent->app_errors, (unsigned long long)recent->cancelled);
        warn(&row, output);
    }
    visit(&row, user_data);
}

static void show_queue(const mfi_health_limits *limits, const char *target,
                       const mfi_target_recent *recent, mf_health_visit_fn visit, void *user_data)
{
    char output[OUTPUT_MAX];
    mf_health_row row = row_of(target, "queue", "component", "ratio");
    row.has_number = recent->queue_capacity > 0;
    row.observed_number =
        row.has_number ? (double)recent->in_flight / (double)recent->queue_capacity : 0;
    if (limits->queue_share > 0 && row.observed_number > limits->queue_share) {
        (void)mfi_str_format(
            output, sizeof output,
            "rule queue: %llu of %llu places are taken, a share of %s, the threshold is %s; when "
            "all are taken, calls are refused (queue_full)",
            (unsigned long long)recent->in_flight, (unsigned long long)recent->queue_capacity,
            as_text(row.observed_number).text, as_text(limits->queue_share).text);
        warn(&row, output);
    }
    visit(&row, user_data);
}

static void show_oldest_call(const mfi_health_limits *limits, const char *target,
                             const mfi_target_recent *recent, mf_health_visit_fn visit,
                             void *user_data)
{
    char output[OUTPUT_MAX];
    mf_health_row row = row_of(target, "oldestCall", "component", "s");
    row.has_number = true;
    row.observed_number = recent->oldest_seconds;
    if (limits->oldest_seconds > 0 && recent->oldest_seconds > limits->oldest_seconds) {
        (void)mfi_str_format(output, sizeof output,
                             "rule oldestCall: the oldest open call began %s s ago, the threshold "
                             "is %s s; it ends with its answer, its deadline or its worker; /calls "
                             "names it",
                             mfi_fixed_text(recent->oldest_seconds, 1).text,
                             as_text(limits->oldest_seconds).text);
        warn(&row, output);
    }
    visit(&row, user_data);
}

void mfi_health_show_target(const mfi_health_limits *limits, const char *target,
                            const mfi_target_recent *recent, mf_health_visit_fn visit,
                            void *user_data)
{
    show_response_time(limits, target, recent, visit, user_data);
    if (recent->is_counted) {
        show_error_share(limits, target, recent, visit, user_data);
    }
    show_queue(limits, target, recent, visit, user_data);
    show_oldest_call(limits, target, recent, visit, user_data);
}

void mfi_health_show_drops(const mfi_health_limits *limits, const mf_log_stats *stats,
                           mfi_recent *ring, uint64_t now_ns, mf_health_visit_fn visit,
                           void *user_data)
{
    char output[OUTPUT_MAX];
    const uint64_t totals[MFI_RECENT_VALUES] = {stats->dropped_ring_full, stats->dropped_oversize,
                                                stats->dropped_sink_error};
    uint64_t lost[MFI_RECENT_VALUES];
    mfi_recent_read(ring, now_ns, totals, lost);
    uint64_t sum = lost[0] + lost[1] + lost[2];
    mf_health_row row = row_of("log", "drops", "system", "records");
    row.has_number = true;
    row.observed_number = (double)sum;
    if (limits->drops > 0 && sum >= limits->drops) {
        (void)mfi_str_format(
            output, sizeof output,
            "rule drops: %llu log records of the last minute were lost (ring_full %llu, oversize "
            "%llu, sink_error %llu), the threshold is %llu; it passes a minute after the last loss",
            (unsigned long long)sum, (unsigned long long)lost[0], (unsigned long long)lost[1],
            (unsigned long long)lost[2], (unsigned long long)limits->drops);
        warn(&row, output);
    }
    visit(&row, user_data);
}
