/* The series of targets: those with a closed label set exist at zero from the start, what is
 * present is shown at each collection, and goes when its target goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_test.h"

typedef struct fixture {
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
    char *text;
} fixture;

static void setup(fixture *at)
{
    *at = (fixture){.text = NULL};
    mf_check_int(mf_logger_create(&at->logger, NULL, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, at->logger, at->metrics, 64, NULL), MF_OK);
}

static void teardown(fixture *at)
{
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
    mf_logger_destroy(at->logger);
    free(at->text);
}

static void read_all(fixture *at)
{
    size_t length = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(
        mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &length, NULL),
        MF_OK);
}

/* The gauges of a target are what user_data points to. */
static void show_client(mfi_client_gauges *ret_gauges, void *user_data)
{
    *ret_gauges = *(const mfi_client_gauges *)user_data;
}

static void show_server(mfi_server_gauges *ret_gauges, void *user_data)
{
    *ret_gauges = *(const mfi_server_gauges *)user_data;
}

static mfi_target *add_client(const fixture *at, const char *name, const char *worker,
                              mfi_client_gauges *gauges)
{
    mfi_target *target = NULL;
    mfi_client_options options = {
        .target = name, .worker = worker, .gauges = show_client, .user_data = gauges};
    mf_check_int(mfi_target_create_client(&target, at->observer, &options, NULL), MF_OK);
    return target;
}

static mfi_target *add_server(const fixture *at, const char *name, mfi_server_gauges *gauges)
{
    mfi_target *target = NULL;
    mfi_server_options options = {.worker = name, .gauges = show_server, .user_data = gauges};
    mf_check_int(mfi_target_create_server(&target, at->observer, &options, NULL), MF_OK);
    return target;
}

/* ---- From the start ---- */

/* Line by line, so that a failure shows the one that differs. */
static void check_lines(const char *text, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count || *text != '\0'; i++) {
        char line[256];
        size_t size = strcspn(text, "\n");
        (void)mfi_str_copy_n(line, sizeof line, text, size);
        mf_check_str(line, i < count ? lines[i] : "(no more)");
        text += size + (text[size] != '\0');
    }
}

/* The lines that name one of these, without buckets, sums, quantiles, and the time of a change. */
static void check_series(fixture *at, const char *one, const char *other, const char *const *wanted,
                         size_t count)
{
    static char found[32 * 1024];
    static const char prefix[] = "multifrost_";
    size_t length = 0;
    read_all(at);
    for (char *line = at->text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        *end = '\0';
        bool named = strstr(line, one) != NULL || strstr(line, other) != NULL;
        bool left_out = line[0] == '#' || strstr(line, "_bucket{") != NULL ||
                        strstr(line, "_sum{") != NULL || strstr(line, "quantile=") != NULL ||
                        strstr(line, "state_since") != NULL;
        if (named && !left_out && strncmp(line, prefix, sizeof prefix - 1) == 0) {
            length += mfi_str_format(found + length, sizeof found - length, "%s\n",
                                     line + sizeof prefix - 1);
        }
        line = end + 1;
    }
    check_lines(found, wanted, count);
}

static const char *const client_series[] = {
    "circuit_failure_ratio{target=\"math\",worker=\"math-0\"} 0",
    "circuit_next_probe_timestamp_seconds{target=\"math\",worker=\"math-0\"} 0",
    "circuit_probes_total{target=\"math\",worker=\"math-0\",result=\"expired\"} 0",
    "circuit_probes_total{target=\"math\",worker=\"math-0\",result=\"failed\"} 0",
    "circuit_probes_total{target=\"math\",worker=\"math-0\",result=\"ok\"} 0",
    "circuit_shadow_refusals_total{target=\"math\",worker=\"math-0\",policy=\"failure_ratio\"} 0",
    "circuit_shadow_refusals_total{target=\"math\",worker=\"math-0\",policy=\"slow_ratio\"} 0",
    "circuit_slow_call_ratio{target=\"math\",worker=\"math-0\"} 0",
    "circuit_state{target=\"math\",worker=\"math-0\",state=\"closed\"} 1",
    "circuit_state{target=\"math\",worker=\"math-0\",state=\"disabled\"} 0",
    "circuit_state{target=\"math\",worker=\"math-0\",state=\"forced_open\"} 0",
    "circuit_state{target=\"math\",worker=\"math-0\",state=\"half_open\"} 0",
    "circuit_state{target=\"math\",worker=\"math-0\",state=\"open\"} 0",
    "circuit_transitions_total{target=\"math\",worker=\"math-0\",from=\"closed\",to=\"open\"} 0",
    "circuit_transitions_total{target=\"math\",worker=\"math-0\",from=\"half_open\",to=\"closed\"} "
    "0",
    "circuit_transitions_total{target=\"math\",worker=\"math-0\",from=\"half_open\",to=\"open\"} 0",
    "circuit_transitions_total{target=\"math\",worker=\"math-0\",from=\"open\",to=\"closed\"} 0",
    "circuit_transitions_total{target=\"math\",worker=\"math-0\",from=\"open\",to=\"half_open\"} 0",
    "circuit_window_calls{target=\"math\",worker=\"math-0\",kind=\"excluded\"} 0",
    "circuit_window_calls{target=\"math\",worker=\"math-0\",kind=\"failed\"} 0",
    "circuit_window_calls{target=\"math\",worker=\"math-0\",kind=\"ok\"} 0",
    "circuit_window_calls{target=\"math\",worker=\"math-0\",kind=\"slow\"} 0",
    "client_attempts_total{target=\"math\",kind=\"first\"} 0",
    "client_attempts_total{target=\"math\",kind=\"retry\"} 0",
    "client_call_duration_seconds_count{target=\"math\",function=\"_OTHER\",outcome=\"error\"} 0",
    "client_call_duration_seconds_count{target=\"math\",function=\"_OTHER\",outcome=\"ok\"} 0",
    "client_call_latency_window_seconds_count{target=\"math\"} 0",
    "client_call_phase_seconds_count{target=\"math\",phase=\"handler\"} 0",
    "client_call_phase_seconds_count{target=\"math\",phase=\"peer_queue\"} 0",
    "client_call_phase_seconds_count{target=\"math\",phase=\"receive_wait\"} 0",
    "client_call_phase_seconds_count{target=\"math\",phase=\"send_wait\"} 0",
    "client_call_phase_seconds_count{target=\"math\",phase=\"wire\"} 0",
    "client_calls_in_flight{target=\"math\"} 0",
    "client_calls_started_total{target=\"math\",function=\"_OTHER\"} 0",
    "client_concurrency_limit{target=\"math\"} 0",
    "client_deadline_used_ratio_count{target=\"math\"} 0",
    "client_late_replies_total{target=\"math\"} 0",
    "client_oldest_call_age_seconds{target=\"math\"} 0",
    "client_queue_capacity{target=\"math\"} 0",
    "client_queue_depth{target=\"math\"} 0",
    "client_refused_total{target=\"math\",reason=\"circuit_open\"} 0",
    "client_refused_total{target=\"math\",reason=\"concurrency_limit\"} 0",
    "client_refused_total{target=\"math\",reason=\"draining\"} 0",
    "client_refused_total{target=\"math\",reason=\"no_worker\"} 0",
    "client_refused_total{target=\"math\",reason=\"queue_full\"} 0",
    "client_request_size_bytes_count{target=\"math\"} 0",
    "client_response_size_bytes_count{target=\"math\"} 0",
    "client_retries_suppressed_total{target=\"math\",reason=\"budget\"} 0",
    "client_retries_suppressed_total{target=\"math\",reason=\"circuit\"} 0",
    "client_retries_suppressed_total{target=\"math\",reason=\"deadline\"} 0",
    "client_retries_suppressed_total{target=\"math\",reason=\"not_idempotent\"} 0",
    "client_retries_suppressed_total{target=\"math\",reason=\"pushback\"} 0",
    "heartbeat_consecutive_misses{target=\"math\"} 0",
    "heartbeat_last_success_timestamp_seconds{target=\"math\"} 0",
    "heartbeat_missed_total{target=\"math\"} 0",
    "heartbeat_rtt_seconds_count{target=\"math\"} 0",
    "transport_bytes_total{target=\"math\",direction=\"received\"} 0",
    "transport_bytes_total{target=\"math\",direction=\"sent\"} 0",
    "transport_connections{target=\"math\"} 0",
    "transport_disconnects_total{target=\"math\",reason=\"closed\"} 0",
    "transport_disconnects_total{target=\"math\",reason=\"handshake_failed\"} 0",
    "transport_disconnects_total{target=\"math\",reason=\"refused\"} 0",
    "transport_disconnects_total{target=\"math\",reason=\"shutdown\"} 0",
    "transport_disconnects_total{target=\"math\",reason=\"timeout\"} 0",
    "transport_disconnects_total{target=\"math\",reason=\"unknown\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"call\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"control\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"error\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"heartbeat\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"other\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"output\"} 0",
    "transport_messages_total{target=\"math\",direction=\"received\",type=\"response\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"call\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"control\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"error\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"heartbeat\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"other\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"output\"} 0",
    "transport_messages_total{target=\"math\",direction=\"sent\",type=\"response\"} 0",
    "transport_send_blocked_total{target=\"math\"} 0",
    "worker_last_exit_code{target=\"math\",worker=\"math-0\"} -1",
    "worker_last_exit_signal{target=\"math\",worker=\"math-0\"} 0",
    "worker_pid{target=\"math\",worker=\"math-0\"} 0",
    "worker_restart_backoff_seconds{target=\"math\",worker=\"math-0\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"disconnected\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"exit_error\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"exit_ok\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"handler_timeout\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"heartbeat\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"manual\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"signal\"} 0",
    "worker_restarts_total{target=\"math\",reason=\"start_timeout\"} 0",
    "worker_segment_ignored_cells_total{target=\"math\"} 0",
    "worker_segment_lost_series_total{target=\"math\"} 0",
    "worker_segments_total{target=\"math\",result=\"other_layout\"} 0",
    "worker_segments_total{target=\"math\",result=\"taken\"} 0",
    "worker_segments_total{target=\"math\",result=\"unused\"} 0",
    "worker_start_duration_seconds_count{target=\"math\"} 0",
    "worker_up{target=\"math\",worker=\"math-0\"} 0",
};

static const char *const server_series[] = {
    "server_busy_seconds_total{worker=\"serve\"} 0",
    "server_call_duration_seconds_count{function=\"_OTHER\",outcome=\"error\"} 0",
    "server_call_duration_seconds_count{function=\"_OTHER\",outcome=\"ok\"} 0",
    "server_calls_in_flight{worker=\"serve\"} 0",
    "server_calls_started_total{worker=\"serve\",function=\"_OTHER\"} 0",
    "server_expired_calls_total{worker=\"serve\",stage=\"at_reply\"} 0",
    "server_expired_calls_total{worker=\"serve\",stage=\"before_start\"} 0",
    "server_handler_state_seconds_total{worker=\"serve\",state=\"blocked\"} 0",
    "server_handler_state_seconds_total{worker=\"serve\",state=\"on_cpu\"} 0",
    "server_handler_state_seconds_total{worker=\"serve\",state=\"runnable\"} 0",
    "server_queue_bytes{worker=\"serve\"} 0",
    "server_queue_depth{worker=\"serve\"} 0",
    "server_queue_wait_seconds_count{worker=\"serve\"} 0",
    "server_running_handler_age_seconds{worker=\"serve\"} 0",
    "server_threads{worker=\"serve\",state=\"busy\"} 0",
    "server_threads{worker=\"serve\",state=\"idle\"} 0",
    "server_unknown_function_total{worker=\"serve\"} 0",
    "transport_bytes_total{target=\"serve\",direction=\"received\"} 0",
    "transport_bytes_total{target=\"serve\",direction=\"sent\"} 0",
    "transport_connections{target=\"serve\"} 0",
    "transport_disconnects_total{target=\"serve\",reason=\"closed\"} 0",
    "transport_disconnects_total{target=\"serve\",reason=\"handshake_failed\"} 0",
    "transport_disconnects_total{target=\"serve\",reason=\"refused\"} 0",
    "transport_disconnects_total{target=\"serve\",reason=\"shutdown\"} 0",
    "transport_disconnects_total{target=\"serve\",reason=\"timeout\"} 0",
    "transport_disconnects_total{target=\"serve\",reason=\"unknown\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"call\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"control\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"error\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"heartbeat\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"other\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"output\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"received\",type=\"response\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"call\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"control\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"error\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"heartbeat\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"other\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"output\"} 0",
    "transport_messages_total{target=\"serve\",direction=\"sent\",type=\"response\"} 0",
    "transport_send_blocked_total{target=\"serve\"} 0",
};

static void test_client_series_exist_at_once(void)
{
    fixture at;
    mfi_client_gauges gauges = {.circuit_since_ns = mfi_wall_ns()};
    setup(&at);
    uint64_t before = mfi_wall_ns();
    mfi_target *target = add_client(&at, "math", "math-0", &gauges);
    check_series(&at, "target=\"math\"", "target=\"math\"", client_series,
                 sizeof client_series / sizeof client_series[0]);
    read_all(&at);
    const char *since = strstr(at.text, "\nmultifrost_circuit_state_since_timestamp_seconds{target="
                                        "\"math\",worker=\"math-0\"} ");
    double seconds = since != NULL ? strtod(strchr(since, '}') + 1, NULL) : 0;
    mf_check(seconds >= (double)before / 1e9 - 1 && seconds <= (double)mfi_wall_ns() / 1e9 + 1);
    mfi_target_destroy(target);
    teardown(&at);
}

static void test_server_series_exist_at_once(void)
{
    fixture at;
    mfi_server_gauges gauges = {.handlers = 0};
    setup(&at);
    mfi_target *target = add_server(&at, "serve", &gauges);
    check_series(&at, "=\"serve\"", "server_call_duration", server_series,
                 sizeof server_series / sizeof server_series[0]);
    mfi_target_destroy(target);
    teardown(&at);
}

/* ---- Several that share a name ---- */

static void check_value(const fixture *at, const char *series, const char *value)
{
    char line[256];
    (void)mfi_str_format(line, sizeof line, "\nmultifrost_%s %s\n", series, value);
    if (strstr(at->text, line) == NULL) {
        char name[256];
        (void)mfi_str_format(name, sizeof name, "\nmultifrost_%s ", series);
        const char *found = strstr(at->text, name);
        char got[256] = "(no such series)";
        if (found != NULL) {
            (void)mfi_str_copy_n(got, sizeof got, found, strcspn(found + 1, "\n") + 1);
        }
        mf_check_str(got, line);
    }
}

/* Sums, or the worst: the oldest call, most misses, the longest silence of those that ever spoke.
 */
static void test_gauges_of_a_pool_are_summed(void)
{
    fixture at;
    mfi_client_gauges gauges[3] = {{.calls_in_flight = 1,
                                    .oldest_call_age_seconds = 1.5,
                                    .queue_depth = 10,
                                    .queue_capacity = 100,
                                    .concurrency_limit = 7,
                                    .heartbeat_misses = 2,
                                    .heartbeat_last_ns = 9 * MFI_NS_PER_S,
                                    .restarts = true,
                                    .restart_budget = 3,
                                    .restart_backoff_seconds = 0.5,
                                    .next_probe_ns = 4 * MFI_NS_PER_S,
                                    .pool_state = MFI_POOL_NONE + 1},
                                   {.calls_in_flight = 2,
                                    .oldest_call_age_seconds = 2.5,
                                    .queue_depth = 20,
                                    .queue_capacity = 200,
                                    .concurrency_limit = 8,
                                    .heartbeat_misses = 1,
                                    .heartbeat_last_ns = 5 * MFI_NS_PER_S,
                                    .restarts = true,
                                    .restart_budget = 4,
                                    .pool_state = MFI_POOL_NONE + 1},
                                   {.calls_in_flight = 4, .pool_state = MFI_POOL_NONE + 2}};
    mfi_target *targets[3];
    setup(&at);
    targets[0] = add_client(&at, "math", "math-0", &gauges[0]);
    targets[1] = add_client(&at, "math", "math-1", &gauges[1]);
    targets[2] = add_client(&at, "math", "math-2", &gauges[2]);
    read_all(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "7");
    check_value(&at, "client_oldest_call_age_seconds{target=\"math\"}", "2.5");
    check_value(&at, "client_queue_depth{target=\"math\"}", "30");
    check_value(&at, "client_queue_capacity{target=\"math\"}", "300");
    check_value(&at, "client_concurrency_limit{target=\"math\"}", "15");
    check_value(&at, "heartbeat_consecutive_misses{target=\"math\"}", "2");
    check_value(&at, "heartbeat_last_success_timestamp_seconds{target=\"math\"}", "5");
    check_value(&at, "worker_restart_budget_remaining{target=\"math\"}", "7");
    check_value(&at, "worker_restart_backoff_seconds{target=\"math\",worker=\"math-0\"}", "0.5");
    check_value(&at, "worker_restart_backoff_seconds{target=\"math\",worker=\"math-1\"}", "0");
    check_value(&at, "circuit_next_probe_timestamp_seconds{target=\"math\",worker=\"math-0\"}",
                "4");
    check_value(&at, "circuit_next_probe_timestamp_seconds{target=\"math\",worker=\"math-1\"}",
                "0");
    check_value(&at, "pool_workers{target=\"math\",state=\"ready\"}", "2");
    check_value(&at, "pool_workers{target=\"math\",state=\"starting\"}", "1");
    check_value(&at, "pool_workers{target=\"math\",state=\"down\"}", "0");
    /* The others go on when one goes. */
    mfi_target_destroy(targets[1]);
    read_all(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "5");
    check_value(&at, "heartbeat_last_success_timestamp_seconds{target=\"math\"}", "9");
    mfi_target_destroy(targets[0]);
    mfi_target_destroy(targets[2]);
    teardown(&at);
}

static void check_absent(const fixture *at, const char *text)
{
    const char *found = strstr(at->text, text);
    char got[256] = "";
    if (found != NULL) {
        (void)mfi_str_copy_n(got, sizeof got, found, strcspn(found, "\n"));
    }
    mf_check_str(got, "");
}

/* A parent may share the target of a pool, and outlive it. */
static void test_a_pool_ends_before_a_parent(void)
{
    fixture at;
    mfi_client_gauges alone = {.calls_in_flight = 1};
    mfi_client_gauges member = {.pool_state = MFI_POOL_READY};
    setup(&at);
    mfi_target *parent = add_client(&at, "math", "math-0", &alone);
    mfi_target *first = add_client(&at, "math", "math-1", &member);
    read_all(&at);
    check_value(&at, "pool_workers{target=\"math\",state=\"ready\"}", "1");
    mfi_target_destroy(first);
    read_all(&at);
    check_absent(&at, "pool_workers{target=\"math\"");
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "1");
    first = add_client(&at, "math", "math-1", &member);
    read_all(&at);
    check_value(&at, "pool_workers{target=\"math\",state=\"ready\"}", "1");
    mfi_target_destroy(parent);
    mfi_target_destroy(first);
    teardown(&at);
}

/* The sources of the gauges may be freed before the target is. */
static void test_hidden_targets_are_not_read(void)
{
    fixture at;
    mfi_client_gauges one = {.calls_in_flight = 1, .circuit = MFI_CIRCUIT_OPEN};
    mfi_client_gauges two = {.calls_in_flight = 2, .circuit = MFI_CIRCUIT_OPEN};
    setup(&at);
    mfi_target *first = add_client(&at, "math", "math-0", &one);
    mfi_target *second = add_client(&at, "math", "math-1", &two);
    read_all(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "3");
    mfi_target_hide(first);
    read_all(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "2");
    check_value(&at, "circuits{state=\"open\"}", "1");
    mfi_target_hide(NULL);
    mfi_target_destroy(first);
    mfi_target_destroy(second);
    teardown(&at);
}

static void test_gauges_of_workers_are_summed(void)
{
    fixture at;
    mfi_server_gauges gauges[2] = {{.handlers_busy = 3, .handlers = 8},
                                   {.handlers_busy = 2, .handlers = 1}};
    mfi_target *targets[2];
    setup(&at);
    targets[0] = add_server(&at, "serve", &gauges[0]);
    targets[1] = add_server(&at, "serve", &gauges[1]);
    read_all(&at);
    check_value(&at, "server_calls_in_flight{worker=\"serve\"}", "5");
    check_value(&at, "server_threads{worker=\"serve\",state=\"busy\"}", "5");
    check_value(&at, "server_threads{worker=\"serve\",state=\"idle\"}", "4");
    gauges[0].handlers = 0; /* more run than can: never below zero */
    read_all(&at);
    check_value(&at, "server_threads{worker=\"serve\",state=\"idle\"}", "0");
    mfi_target_destroy(targets[0]);
    mfi_target_destroy(targets[1]);
    teardown(&at);
}

/* ---- The end ---- */

static void connect_one(mfi_target *target)
{
    const mfi_transport_event event = {.what = MFI_TRANSPORT_CONNECTED};
    mfi_observe_transport_event(target, &event);
}

/* Each line of a gauge that names this owner. */
static void check_no_state(fixture *at, const char *owner)
{
    bool is_gauge = false;
    read_all(at);
    for (char *line = strtok(at->text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            is_gauge = strcmp(strrchr(line, ' '), " gauge") == 0;
        }
        mf_check_str(is_gauge && strstr(line, owner) != NULL ? line : "", "");
    }
}

/* What was present leaves, what was counted stays. */
static void test_gone_targets_leave_their_counters(void)
{
    fixture at;
    mfi_client_gauges client = {.calls_in_flight = 3,
                                .says_busy = true,
                                .restarts = true,
                                .state = MFI_WORKER_READY,
                                .circuit = MFI_CIRCUIT_OPEN,
                                .pool_state = MFI_POOL_READY};
    mfi_server_gauges server = {.handlers_busy = 2, .handlers = 4};
    setup(&at);
    mfi_target *math = add_client(&at, "math", "math-0", &client);
    mfi_target *serve = add_server(&at, "serve", &server);
    connect_one(math);
    connect_one(serve);
    mfi_observe_server_unknown(serve);
    mfi_observe_circuit_changed(
        math, &(mfi_circuit_event){.from = MFI_CIRCUIT_CLOSED, .to = MFI_CIRCUIT_OPEN});
    read_all(&at);
    check_value(&at, "transport_connections{target=\"math\"}", "1");
    check_value(&at, "worker_up{target=\"math\",worker=\"math-0\"}", "1");
    check_value(&at, "server_running_handler_age_seconds{target=\"math\",worker=\"math-0\"}", "0");
    check_value(&at, "server_calls_in_flight{worker=\"serve\"}", "2");
    check_value(&at, "circuits{state=\"open\"}", "1");
    mfi_target_destroy(math);
    mfi_target_destroy(serve);
    check_no_state(&at, "=\"math");
    check_no_state(&at, "=\"serve");
    read_all(&at);
    static const char opened[] = "circuit_transitions_total{target=\"math\",worker=\"math-0\","
                                 "from=\"closed\",to=\"open\"}";
    check_value(&at, opened, "1");
    check_value(&at, "server_unknown_function_total{worker=\"serve\"}", "1");
    check_value(&at, "circuits{state=\"open\"}", "0");
    check_value(&at, "workers{state=\"ready\"}", "0");
    /* A target of the same name goes on counting, with a state of its own. */
    client.circuit = MFI_CIRCUIT_CLOSED;
    math = add_client(&at, "math", "math-0", &client);
    read_all(&at);
    check_value(&at, opened, "1");
    check_value(&at, "circuit_state{target=\"math\",worker=\"math-0\",state=\"open\"}", "0");
    check_value(&at, "transport_connections{target=\"math\"}", "0");
    mfi_target_destroy(math);
    teardown(&at);
}

/* ---- More than have series of their own ---- */

static void test_targets_beyond_the_cap_are_counted(void)
{
    enum { TARGETS = 70, CAP = 64 };
    fixture at;
    char names[TARGETS][24];
    mfi_client_gauges open = {.circuit = MFI_CIRCUIT_OPEN, .state = MFI_WORKER_RESTARTING};
    mfi_target *targets[TARGETS];
    setup(&at);
    for (int i = 0; i < TARGETS; i++) {
        char worker[32];
        (void)mfi_str_format(names[i], sizeof names[i], "t%d", i);
        (void)mfi_str_format(worker, sizeof worker, "t%d-0", i);
        targets[i] = add_client(&at, names[i], worker, &open);
        mfi_observe_circuit_changed(
            targets[i], &(mfi_circuit_event){.from = MFI_CIRCUIT_CLOSED, .to = MFI_CIRCUIT_OPEN});
    }
    read_all(&at);
    check_value(&at, "circuit_state{target=\"t63\",worker=\"t63-0\",state=\"open\"}", "1");
    check_absent(&at, "\"t64\"");
    check_absent(&at, "circuit_state{target=\"_OTHER\"");
    check_absent(&at, "worker_up{target=\"_OTHER\"");
    check_value(&at, "circuits{state=\"open\"}", "70");
    check_value(&at, "workers{state=\"restarting\"}", "70");
    check_value(&at,
                "circuit_transitions_total{target=\"_OTHER\",worker=\"_OTHER\",from=\"closed\","
                "to=\"open\"}",
                "6");
    /* A place among the states becomes free; one among the counters does not. */
    mfi_target_destroy(targets[0]);
    mfi_target_destroy(targets[64]);
    targets[64] = add_client(&at, "t64", "t64-0", &open);
    targets[0] = add_client(&at, "t0", "t0-0", &open);
    read_all(&at);
    check_value(&at, "circuit_state{target=\"t64\",worker=\"t64-0\",state=\"open\"}", "1");
    check_absent(&at, "circuit_transitions_total{target=\"t64\"");
    check_absent(&at, "circuit_state{target=\"t0\"");
    check_value(&at, "circuits{state=\"open\"}", "70");
    for (int i = 0; i < TARGETS; i++) {
        mfi_target_destroy(targets[i]);
    }
    check_no_state(&at, "target=");
    teardown(&at);
}

static const mf_test tests[] = {
    {"series__of_clients_exist_at_once", test_client_series_exist_at_once},
    {"series__of_workers_exist_at_once", test_server_series_exist_at_once},
    {"series__gauges_of_a_pool_are_summed", test_gauges_of_a_pool_are_summed},
    {"series__a_pool_ends_before_a_parent", test_a_pool_ends_before_a_parent},
    {"series__hidden_targets_are_not_read", test_hidden_targets_are_not_read},
    {"series__gauges_of_workers_are_summed", test_gauges_of_workers_are_summed},
    {"series__gone_targets_leave_their_counters", test_gone_targets_leave_their_counters},
    {"series__targets_beyond_the_cap_are_counted", test_targets_beyond_the_cap_are_counted},
};
MF_TEST_MAIN(tests)
