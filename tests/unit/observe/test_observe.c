/* Every family of the catalogue moves when the engine reports, and what must not be observed leaves
 * no trace but its count. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/figures.h"
#include "base/str.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "core/observe/slo.h"
#include "logging/record.h"
#include "metric_support.h"
#include "metrics/metric_set.h"
#include "mf_test.h"

static char *render(const metric_fixture *at)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &size, NULL),
                 MF_OK);
    return text;
}

/* ---- Everything that the engine can report ---- */

static void declare_slo(const metric_fixture *at)
{
    mfi_slo *slo = NULL;
    const mfi_slo_options options = {
        .name = "calls", .target = "math", .threshold_ms = 1000, .objective = 0.99};
    mf_check_int(mfi_slo_make(&slo, &options, mfi_clock_system(), NULL), MF_OK);
    mf_check_int(mfi_slo_add(at->observer, slo, NULL), MF_OK);
}

static void report_calls(metric_fixture *at)
{
    declare_slo(at);
    mfi_client_span client = client_span(at);
    mfi_server_span server = server_span(at);
    mfi_observe_client_begin(&client);
    mfi_observe_client_attempt(at->client, MFI_ATTEMPT_FIRST, 100);
    mfi_observe_client_suppressed(&client, MFI_SUPPRESSED_BY_BUDGET);
    mfi_observe_client_end(&client, NULL);
    mfi_observe_client_refused(&client, MFI_REFUSAL_DRAINING);
    mfi_observe_server_begin(&server);
    mfi_observe_server_end(&server, NULL);
    mfi_observe_server_expired(at->server, MFI_EXPIRED_AT_REPLY);
    mfi_observe_server_unknown(at->server);
    mfi_observe_traffic(at->client, MFI_DIRECTION_SENT, MFI_TRAFFIC_CALL, 100);
}

static void report_events(metric_fixture *at)
{
    mfi_figures own = {0};
    mf_check(mfi_figures_look(getpid(), &own)); /* the worker is this process */
    static const mfi_transport_what transports[] = {
        MFI_TRANSPORT_CONNECTED,    MFI_TRANSPORT_EXTRA_CONNECTION, MFI_TRANSPORT_DISCONNECTED,
        MFI_TRANSPORT_SEND_BLOCKED, MFI_TRANSPORT_DROPPED,          MFI_TRANSPORT_LATE_REPLY};
    static const mfi_process_what processes[] = {MFI_PROCESS_READY, MFI_PROCESS_EXITED,
                                                 MFI_PROCESS_RESTART, MFI_PROCESS_SPAWNED,
                                                 MFI_PROCESS_READY};
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        mfi_observe_transport_event(at->client, &(mfi_transport_event){.what = transports[i]});
    }
    for (size_t i = 0; i < sizeof processes / sizeof processes[0]; i++) {
        mfi_observe_process_changed(at->client, &(mfi_process_event){.what = processes[i],
                                                                     .pid = getpid(),
                                                                     .start_ticks = own.start_ticks,
                                                                     .exit_known = true,
                                                                     .exit_code = 3,
                                                                     .signal = 9,
                                                                     .reason = MFI_RESTART_SIGNAL});
    }
    mfi_observe_heartbeat_seen(
        at->client, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_ANSWERED, .rtt_ns = 1000});
    mfi_observe_heartbeat_seen(at->client, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_MISSED});
    mfi_observe_circuit_changed(at->client, &(mfi_circuit_event){.from = MFI_CIRCUIT_CLOSED,
                                                                 .to = MFI_CIRCUIT_OPEN,
                                                                 .cause = MFI_RULE_FAILURES});
    mfi_observe_circuit_probed(at->client, MFI_PROBE_OK);
    mfi_observe_circuit_trial(at->client, MFI_TRIAL_SLOW_RATIO);
    mfi_observe_handler_times(at->server, &(mfi_handler_times){.ns = {1000, 1000, 1000}});
    mfi_observe_registry(at->observer, MFI_REGISTRY_OP_LIST, MFI_REGISTRY_RESULT_OK, 1000);
    mfi_observe_admin_command(at->observer, MFI_ADMIN_STATUS, MFI_ADMIN_OK);
    mfi_observe_fault(at->client, MFI_FAULT_DROP);
    mfi_observe_loop_lag(at->observer, 1000);
    mfi_observe_config(at->observer, "0123456789abcdef");
    const mf_log_field secret = mf_log_field_int("token", 1);
    (void)mfi_redact(mfi_log_gate_of(at->logger)->redaction, &secret);
}

/* A worker that takes no notice of its memory. */
static void use_segment(metric_fixture *at)
{
    int fd = mfi_target_begin_segment(at->client);
    mf_check(fd > STDERR_FILENO);
    mf_check_int(close(fd), 0);
    mfi_target_end_segment(at->client);
}

static void show_gauges(metric_fixture *at)
{
    at->client_gauges = (mfi_client_gauges){.calls_in_flight = 3,
                                            .oldest_call_age_seconds = 1.5,
                                            .queue_depth = 4,
                                            .queue_capacity = 100,
                                            .concurrency_limit = 50,
                                            .heartbeat_misses = 2,
                                            .heartbeat_last_ns = 7 * MFI_NS_PER_S,
                                            .restart_backoff_seconds = 0.5,
                                            .state = MFI_WORKER_READY,
                                            .pid = 4711,
                                            .restarts = true,
                                            .restart_budget = 5,
                                            .circuit = MFI_CIRCUIT_OPEN,
                                            .circuit_since_ns = 8 * MFI_NS_PER_S,
                                            .next_probe_ns = 9 * MFI_NS_PER_S,
                                            .failure_ratio = 0.5,
                                            .slow_ratio = 0.25,
                                            .window = {[MFI_WINDOW_OK] = 1},
                                            .pool_state = MFI_POOL_DRAINING,
                                            .says_load = true,
                                            .load = 0.5};
    at->server_gauges = (mfi_server_gauges){.handlers_busy = 3,
                                            .handlers = 8,
                                            .handler_seconds = 2,
                                            .queue_depth = 5,
                                            .queue_bytes = 600};
}

/* ---- Every family ---- */

/* Families that nothing here moves, and why. */
static const char *const excepted[] = {
    "multifrost_log_dropped_total",   /* the log's own count: nothing is dropped */
    "multifrost_log_ring_used_ratio", /* the ring is empty when it is read */
    "multifrost_log_bytes_total",     /* the log's own count: there is no sink */
    "multifrost_log_records_total",   /* the same */
    /* A worker's own observer has it, if its parent made memory for it: test_own_segment.c. */
    "multifrost_exposed_by_parent",
    /* A worker's faulty or full memory moves these two: test_segments_totals.c. */
    "multifrost_worker_segment_ignored_cells_total", "multifrost_worker_segment_lost_series_total",
    "multifrost_series",              /* the set's own count of series */
    "multifrost_series_limit",        /* a setting of each family */
    "multifrost_series_folded_total", /* the set's own count: nothing is folded */
};
#define EXCEPTED_OF_CATALOGUE 7

typedef struct comparison {
    const char *before, *after;
    size_t families;
} comparison;

static size_t samples_of(const char *text, const char *name, char *to, size_t size)
{
    size_t used = 0;
    size_t length = strlen(name);
    to[0] = '\0';
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t line_size = end != NULL ? (size_t)(end - line) + 1 : strlen(line);
        bool is_sample = strncmp(line, name, length) == 0 && strchr("{ _", line[length]) != NULL &&
                         used + line_size < size;
        if (is_sample) {
            memcpy(to + used, line, line_size);
            used += line_size;
            to[used] = '\0';
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return used;
}

static void check_moved(mf_family *family, void *user_data)
{
    static char before[256 * 1024], after[256 * 1024];
    comparison *at = user_data;
    for (size_t i = 0; i < sizeof excepted / sizeof excepted[0]; i++) {
        if (strcmp(family->name, excepted[i]) == 0) {
            return;
        }
    }
    (void)samples_of(at->before, family->name, before, sizeof before);
    (void)samples_of(at->after, family->name, after, sizeof after);
    mf_check_str(strcmp(before, after) != 0 ? "" : family->name, "");
    at->families++;
}

static void test_every_family_moves(void)
{
    metric_fixture at;
    metric_setup(&at);
    at.client_gauges.state = MFI_WORKER_STARTING;
    at.client_gauges.pool_state = MFI_POOL_READY;
    char *before = render(&at);
    report_calls(&at);
    report_events(&at);
    use_segment(&at);
    show_gauges(&at);
    char *after = render(&at);
    comparison both = {.before = before, .after = after};
    mfi_metric_set_visit(at.metrics, check_moved, &both);
    mf_check_int(both.families, sizeof(mfi_families) / sizeof(mf_family *) - EXCEPTED_OF_CATALOGUE);
    free(before);
    free(after);
    metric_teardown(&at);
}

/* ---- What is not observed ---- */

static void check_has(const metric_fixture *at, const char *sample)
{
    char line[200];
    char *text = render(at);
    (void)mfi_str_format(line, sizeof line, "\nmultifrost_%s\n", sample);
    mf_check_contains(text, line);
    free(text);
}

static void test_refusals_are_no_latencies(void)
{
    static const mf_status statuses[] = {MF_ERR_CIRCUIT_OPEN, MF_ERR_TOO_MANY_CALLS,
                                         MF_ERR_NOT_RUNNING, MF_ERR_NOT_RUNNING};
    metric_fixture at;
    metric_setup(&at);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        mfi_client_span span = client_span(&at);
        span.status = statuses[i];
        span.is_refused = true;
        span.refusal = (uint8_t)i;
        mfi_observe_client_begin(&span);
        mfi_observe_client_end(&span, NULL);
    }
    check_has(&at, "client_calls_started_total{target=\"math\",function=\"add\"} 4");
    check_has(&at, "client_calls_total{target=\"math\",function=\"add\",status=\"unavailable\"} 2");
    check_has(&at, "client_call_duration_seconds_count{target=\"math\",function=\"add\","
                   "outcome=\"error\"} 0");
    check_has(&at, "client_call_latency_window_seconds_count{target=\"math\"} 0");
    check_has(&at, "client_call_phase_seconds_count{target=\"math\",phase=\"send_wait\"} 0");
    check_has(&at, "client_response_size_bytes_count{target=\"math\"} 0");
    /* A call that was sent and lost its worker is one. */
    mfi_client_span sent = client_span(&at);
    sent.status = MF_ERR_NOT_RUNNING;
    mfi_observe_client_end(&sent, NULL);
    check_has(&at, "client_call_latency_window_seconds_count{target=\"math\"} 1");
    metric_teardown(&at);
}

static void test_handlers_that_did_not_run_took_no_time(void)
{
    static const mf_status statuses[] = {MF_ERR_TIMEOUT, MF_ERR_FUNCTION_NOT_FOUND,
                                         MF_ERR_INVALID_ARGUMENT, MF_ERR_CANCELLED};
    metric_fixture at;
    metric_setup(&at);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        mfi_server_span span = server_span(&at);
        span.status = statuses[i];
        span.has_run = false;
        mfi_observe_server_begin(&span);
        mfi_observe_server_end(&span, NULL);
    }
    check_has(&at, "server_calls_started_total{worker=\"serve\",function=\"add\"} 4");
    check_has(&at, "server_calls_total{worker=\"serve\",function=\"add\",status=\"timeout\"} 1");
    check_has(&at, "server_call_duration_seconds_count{function=\"add\",outcome=\"error\"} 0");
    check_has(&at, "server_queue_wait_seconds_count{worker=\"serve\"} 0");
    check_has(&at, "server_busy_seconds_total{worker=\"serve\"} 0");
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"observe__every_family_moves", test_every_family_moves},
    {"observe__refusals_are_no_latencies", test_refusals_are_no_latencies},
    {"observe__handlers_that_did_not_run_took_no_time",
     test_handlers_that_did_not_run_took_no_time},
};
MF_TEST_MAIN(tests)
