/* The series of a target whose labels form a closed set exist at zero from the start. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "mf_test.h"
#include "series_support.h"

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
static void check_series(series_fixture *at, const char *one, const char *other,
                         const char *const *wanted, size_t count)
{
    static char found[32 * 1024];
    static const char prefix[] = "multifrost_";
    size_t length = 0;
    series_read(at);
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
    series_fixture at;
    mfi_client_gauges gauges = {.circuit_since_ns = mfi_wall_ns()};
    series_setup(&at);
    uint64_t before = mfi_wall_ns();
    mfi_target *target = series_client(&at, "math", "math-0", &gauges);
    check_series(&at, "target=\"math\"", "target=\"math\"", client_series,
                 sizeof client_series / sizeof client_series[0]);
    series_read(&at);
    const char *since = strstr(at.text, "\nmultifrost_circuit_state_since_timestamp_seconds{target="
                                        "\"math\",worker=\"math-0\"} ");
    double seconds = since != NULL ? strtod(strchr(since, '}') + 1, NULL) : 0;
    mf_check(seconds >= (double)before / 1e9 - 1 && seconds <= (double)mfi_wall_ns() / 1e9 + 1);
    mfi_target_destroy(target);
    series_teardown(&at);
}

static void test_server_series_exist_at_once(void)
{
    series_fixture at;
    mfi_server_gauges gauges = {.handlers = 0};
    series_setup(&at);
    mfi_target *target = series_server(&at, "serve", &gauges);
    check_series(&at, "=\"serve\"", "server_call_duration", server_series,
                 sizeof server_series / sizeof server_series[0]);
    mfi_target_destroy(target);
    series_teardown(&at);
}

static const mf_test tests[] = {
    {"series__of_clients_exist_at_once", test_client_series_exist_at_once},
    {"series__of_workers_exist_at_once", test_server_series_exist_at_once},
};
MF_TEST_MAIN(tests)
