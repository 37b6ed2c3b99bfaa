/* Each report that the engine can make, and the series that it changes. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/observe/observe.h"
#include "metric_support.h"
#include "mf_test.h"

/* ---- Every event moves its series ---- */

/* One report, and the series that has to be `wanted` afterwards, and `before` until then. */
typedef struct event_case {
    void (*report)(metric_fixture *at, int word);
    int word;
    const char *series;
    double before, wanted;
} event_case;

static void client_begin(metric_fixture *at, int word)
{
    (void)word;
    mfi_client_span span = client_span(at);
    mfi_observe_client_begin(&span);
}

static void client_attempt(metric_fixture *at, int number)
{
    mfi_observe_client_attempt(at->client, number > 1 ? MFI_ATTEMPT_RETRY : MFI_ATTEMPT_FIRST, 100);
}

static void client_refused(metric_fixture *at, int reason)
{
    mfi_client_span span = client_span(at);
    mfi_observe_client_refused(&span, (mfi_refusal)reason);
}

static void client_suppressed(metric_fixture *at, int reason)
{
    mfi_client_span span = client_span(at);
    mfi_observe_client_suppressed(&span, (mfi_suppression)reason);
}

static void client_end(metric_fixture *at, int status)
{
    mfi_client_span span = client_span(at);
    span.status = (mf_status)status;
    mfi_observe_client_end(&span, NULL);
}

static void server_begin(metric_fixture *at, int word)
{
    (void)word;
    mfi_server_span span = server_span(at);
    mfi_observe_server_begin(&span);
}

static void server_end(metric_fixture *at, int status)
{
    mfi_server_span span = server_span(at);
    span.status = (mf_status)status;
    mfi_observe_server_end(&span, NULL);
}

static void server_expired(metric_fixture *at, int stage)
{
    mfi_observe_server_expired(at->server, (mfi_expiry)stage);
}

static void server_unknown(metric_fixture *at, int word)
{
    (void)word;
    mfi_observe_server_unknown(at->server);
}

static void circuit_opens(metric_fixture *at, int from)
{
    mfi_observe_circuit_changed(at->client, &(mfi_circuit_event){.from = (mfi_circuit_state)from,
                                                                 .to = MFI_CIRCUIT_OPEN,
                                                                 .cause = MFI_RULE_FAILURES});
}

static void process(metric_fixture *at, int what)
{
    mfi_observe_process_changed(at->client, &(mfi_process_event){.what = (mfi_process_what)what,
                                                                 .pid = 4711,
                                                                 .duration_ns = 1000,
                                                                 .exit_known = true,
                                                                 .exit_code = -1,
                                                                 .signal = 9});
}

static void restart(metric_fixture *at, int reason)
{
    mfi_observe_process_changed(
        at->client,
        &(mfi_process_event){.what = MFI_PROCESS_RESTART, .reason = (mfi_restart_reason)reason});
}

static void heartbeat(metric_fixture *at, int what)
{
    mfi_observe_heartbeat_seen(
        at->client, &(mfi_heartbeat_event){.what = (mfi_heartbeat_what)what, .rtt_ns = 1000});
}

static void transport(metric_fixture *at, int what)
{
    mfi_observe_transport_event(at->client,
                                &(mfi_transport_event){.what = (mfi_transport_what)what});
}

static void disconnected(metric_fixture *at, int reason)
{
    mfi_observe_transport_event(
        at->client, &(mfi_transport_event){.what = MFI_TRANSPORT_DISCONNECTED,
                                           .disconnect = (mfi_disconnect_reason)reason});
}

static void dropped(metric_fixture *at, int reason)
{
    mfi_observe_transport_event(
        at->client,
        &(mfi_transport_event){.what = MFI_TRANSPORT_DROPPED, .drop = (mfi_drop_reason)reason});
}

static void sent(metric_fixture *at, int type)
{
    mfi_observe_traffic(at->client, MFI_DIRECTION_SENT, (mfi_traffic)type, 100);
}

static void received(metric_fixture *at, int type)
{
    mfi_observe_traffic(at->server, MFI_DIRECTION_RECEIVED, (mfi_traffic)type, 100);
}

static void registry_op(metric_fixture *at, int op)
{
    mfi_observe_registry(at->observer, (mfi_registry_op)op, MFI_REGISTRY_RESULT_OK, MFI_NO_LOCK);
}

static void registry_result(metric_fixture *at, int result)
{
    mfi_observe_registry(at->observer, MFI_REGISTRY_OP_REGISTER, (mfi_registry_result)result, 1000);
}

static void loop_lag(metric_fixture *at, int word)
{
    (void)word;
    mfi_observe_loop_lag(at->observer, 1000);
}

#define CLIENT_ENDED(word)                                                                         \
    "client_calls_total{target=\"math\",function=\"add\",status=\"" word "\"}"
#define SERVER_ENDED(word)                                                                         \
    "server_calls_total{worker=\"serve\",function=\"add\",status=\"" word "\"}"
#define BY_TARGET(family, label, word) family "{target=\"math\"," label "=\"" word "\"}"

static const event_case call_cases[] = {
    {client_begin, 0, "client_calls_started_total{target=\"math\",function=\"add\"}", METRIC_ABSENT,
     1},
    {client_attempt, 1, BY_TARGET("client_attempts_total", "kind", "first"), 0, 1},
    {client_attempt, 2, BY_TARGET("client_attempts_total", "kind", "retry"), 0, 1},
    {client_attempt, 1, "client_request_size_bytes_count{target=\"math\"}", 0, 1},
    {client_end, MF_OK, CLIENT_ENDED("ok"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_REMOTE, CLIENT_ENDED("app_error"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_FUNCTION_NOT_FOUND, CLIENT_ENDED("function_not_found"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_TYPE, CLIENT_ENDED("invalid_argument"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_TIMEOUT, CLIENT_ENDED("timeout"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_CANCELLED, CLIENT_ENDED("cancelled"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_CIRCUIT_OPEN, CLIENT_ENDED("circuit_open"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_TOO_MANY_CALLS, CLIENT_ENDED("rejected"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_NOT_RUNNING, CLIENT_ENDED("unavailable"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_WORKER_EXITED, CLIENT_ENDED("worker_crashed"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_PROTOCOL, CLIENT_ENDED("protocol_error"), METRIC_ABSENT, 1},
    {client_end, MF_ERR_IO, CLIENT_ENDED("internal"), METRIC_ABSENT, 1},
    {client_end, MF_OK, BY_TARGET("client_call_phase_seconds_count", "phase", "send_wait"), 0, 1},
    {client_end, MF_OK, BY_TARGET("client_call_phase_seconds_count", "phase", "wire"), 0, 1},
    {client_end, MF_OK, BY_TARGET("client_call_phase_seconds_count", "phase", "peer_queue"), 0, 1},
    {client_end, MF_OK, BY_TARGET("client_call_phase_seconds_count", "phase", "handler"), 0, 1},
    {client_end, MF_OK, BY_TARGET("client_call_phase_seconds_count", "phase", "receive_wait"), 0,
     1},
    {client_end, MF_OK, "client_response_size_bytes_count{target=\"math\"}", 0, 1},
    {server_begin, 0, "server_calls_started_total{worker=\"serve\",function=\"add\"}",
     METRIC_ABSENT, 1},
    {server_end, MF_OK, SERVER_ENDED("ok"), METRIC_ABSENT, 1},
    {server_end, MF_ERR_REMOTE, SERVER_ENDED("app_error"), METRIC_ABSENT, 1},
    {server_end, MF_OK, "server_queue_wait_seconds_count{worker=\"serve\"}", 0, 1},
    {server_end, MF_OK, "server_busy_seconds_total{worker=\"serve\"}", 0, 2e-6},
    {server_expired, MFI_EXPIRED_BEFORE_START,
     "server_expired_calls_total{worker=\"serve\",stage=\"before_start\"}", 0, 1},
    {server_expired, MFI_EXPIRED_AT_REPLY,
     "server_expired_calls_total{worker=\"serve\",stage=\"at_reply\"}", 0, 1},
    {server_unknown, 0, "server_unknown_function_total{worker=\"serve\"}", 0, 1},
};

static const event_case event_cases[] = {
    {circuit_opens, MFI_CIRCUIT_CLOSED,
     "circuit_transitions_total{" METRIC_OF_WORKER ",from=\"closed\",to=\"open\"}", 0, 1},
    {circuit_opens, MFI_CIRCUIT_HALF_OPEN,
     "circuit_transitions_total{" METRIC_OF_WORKER ",from=\"half_open\",to=\"open\"}", 0, 1},
    {process, MFI_PROCESS_READY, "worker_start_duration_seconds_count{target=\"math\"}", 0, 1},
    {process, MFI_PROCESS_EXITED, BY_TARGET("worker_last_exit_signal", "worker", "math-0"), 0, 9},
    {heartbeat, MFI_HEARTBEAT_ANSWERED, "heartbeat_rtt_seconds_count{target=\"math\"}", 0, 1},
    {heartbeat, MFI_HEARTBEAT_MISSED, "heartbeat_missed_total{target=\"math\"}", 0, 1},
    {transport, MFI_TRANSPORT_CONNECTED, "transport_connections{target=\"math\"}", 0, 1},
    {transport, MFI_TRANSPORT_RECONNECTED, "transport_connections{target=\"math\"}", 0, 1},
    {transport, MFI_TRANSPORT_EXTRA_CONNECTION, "transport_connections{target=\"math\"}", 0, 1},
    {disconnected, MFI_DISCONNECT_CLOSED, "transport_connections{target=\"math\"}", 0, -1},
    {disconnected, MFI_DISCONNECT_HANDSHAKE_FAILED, "transport_connections{target=\"math\"}", 0, 0},
    {transport, MFI_TRANSPORT_SEND_BLOCKED, "transport_send_blocked_total{target=\"math\"}", 0, 1},
    {transport, MFI_TRANSPORT_LATE_REPLY, "client_late_replies_total{target=\"math\"}", 0, 1},
    {sent, MFI_TRAFFIC_CALL, BY_TARGET("transport_bytes_total", "direction", "sent"), 0, 100},
    {loop_lag, 0, "loop_lag_seconds_count{loop=\"engine\"}", 0, 1},
    {registry_result, MFI_REGISTRY_RESULT_OK, "registry_lock_wait_seconds_count", 0, 1},
    {registry_op, MFI_REGISTRY_OP_LIST, "registry_lock_wait_seconds_count", 0, 0},
};

static void check_cases(const event_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        metric_fixture at;
        metric_setup(&at);
        metric_read(&at);
        metric_check(&at, cases[i].series, cases[i].before);
        cases[i].report(&at, cases[i].word);
        metric_read(&at);
        metric_check(&at, cases[i].series, cases[i].wanted);
        metric_teardown(&at);
    }
}

static void test_calls_move_their_series(void)
{
    check_cases(call_cases, sizeof call_cases / sizeof call_cases[0]);
}

static void test_events_move_their_series(void)
{
    check_cases(event_cases, sizeof event_cases / sizeof event_cases[0]);
}

/* ---- Every word of a set has a series, and its event moves that one alone ---- */

typedef struct word_case {
    const char *before, *after; /* the series, around the word */
    void (*report)(metric_fixture *at, int word);
    const char *(*word_of)(int word);
    int first, count;
} word_case;

#define WORD_OF(set, type)                                                                         \
    static const char *set##_of(int value)                                                         \
    {                                                                                              \
        return mfi_##set##_word((type)value);                                                      \
    }
WORD_OF(refusal, mfi_refusal)
WORD_OF(suppression, mfi_suppression)
WORD_OF(drop, mfi_drop_reason)
WORD_OF(disconnect, mfi_disconnect_reason)
WORD_OF(restart, mfi_restart_reason)
WORD_OF(traffic, mfi_traffic)
WORD_OF(registry_op, mfi_registry_op)
WORD_OF(registry_result, mfi_registry_result)

static const word_case word_cases[] = {
    {"client_refused_total{target=\"math\",reason=\"", "\"}", client_refused, refusal_of, 0,
     MFI_REFUSAL_COUNT},
    {"client_retries_suppressed_total{target=\"math\",reason=\"", "\"}", client_suppressed,
     suppression_of, MFI_SUPPRESSED_NOT + 1, MFI_SUPPRESSED_COUNT},
    {"transport_dropped_messages_total{reason=\"", "\"}", dropped, drop_of, 0, MFI_DROP_COUNT},
    {"transport_disconnects_total{target=\"math\",reason=\"", "\"}", disconnected, disconnect_of, 0,
     MFI_DISCONNECT_COUNT},
    {"worker_restarts_total{target=\"math\",reason=\"", "\"}", restart, restart_of,
     MFI_RESTART_NONE + 1, MFI_RESTART_COUNT},
    {"transport_messages_total{target=\"math\",direction=\"sent\",type=\"", "\"}", sent, traffic_of,
     0, MFI_TRAFFIC_COUNT},
    {"transport_messages_total{target=\"serve\",direction=\"received\",type=\"", "\"}", received,
     traffic_of, 0, MFI_TRAFFIC_COUNT},
    {"registry_operations_total{op=\"", "\",result=\"ok\"}", registry_op, registry_op_of, 0,
     MFI_REGISTRY_OP_COUNT},
    {"registry_operations_total{op=\"register\",result=\"", "\"}", registry_result,
     registry_result_of, 0, MFI_REGISTRY_RESULT_COUNT},
};

static void check_words(const metric_fixture *at, const word_case *of, int reported)
{
    char series[160];
    for (int word = of->first; word < of->count; word++) {
        (void)mfi_str_format(series, sizeof series, "%s%s%s", of->before, of->word_of(word),
                             of->after);
        metric_check(at, series, word <= reported ? 1 : 0);
    }
}

static void test_every_word_has_its_series(void)
{
    for (size_t i = 0; i < sizeof word_cases / sizeof word_cases[0]; i++) {
        const word_case *of = &word_cases[i];
        metric_fixture at;
        metric_setup(&at);
        metric_read(&at);
        check_words(&at, of, of->first - 1);
        for (int word = of->first; word < of->count; word++) {
            of->report(&at, word);
            metric_read(&at);
            check_words(&at, of, word);
        }
        metric_teardown(&at);
    }
}

/* ---- Exemplars ---- */

static const char *const traces[] = {
    "0af7651916cd43dd8448eb211c80319c", /* sampled */
    "11111111111111111111111111111111", /* not sampled: its other flag says nothing of that */
    "22222222222222222222222222222222", /* sampled, and refused or not run */
};

static void trace(mf_context *context, size_t which, uint8_t flags)
{
    (void)mfi_str_copy(context->trace_id, sizeof context->trace_id, traces[which]);
    (void)mfi_str_copy(context->span_id, sizeof context->span_id, "b7ad6b7169203331");
    context->trace_flags = flags;
}

static void end_calls(metric_fixture *at)
{
    static const uint8_t flags[] = {3, 2, 1};
    for (size_t i = 0; i < 3; i++) {
        mfi_client_span client = client_span(at);
        mfi_server_span server = server_span(at);
        trace(&client.context, i, flags[i]);
        trace(&server.context, i, flags[i]);
        client.is_refused = i == 2;
        server.has_run = i != 2;
        mfi_observe_client_end(&client, NULL);
        mfi_observe_server_end(&server, NULL);
    }
}

/* The buckets of calls name sampled calls that were observed, on both sides. */
static void test_buckets_name_sampled_calls(void)
{
    metric_fixture at;
    char *text = NULL;
    size_t size = 0;
    metric_setup(&at);
    end_calls(&at);
    mf_check_int(mf_metrics_render(at.metrics, MF_METRICS_OPENMETRICS, &text, &size, NULL), MF_OK);
    const char *after = text;
    static const char *const wanted[] = {
        "multifrost_client_call_duration_seconds_bucket{target=\"math\",function=\"add\","
        "outcome=\"ok\",le=\"3.0517578125e-05\"} 2 # {trace_id=\""
        "0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\"} 4e-06 ",
        "multifrost_server_call_duration_seconds_bucket{function=\"add\",outcome=\"ok\","
        "le=\"3.0517578125e-05\"} 2 # {trace_id=\""
        "0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\"} 2e-06 "};
    for (size_t i = 0; i < 2; i++) {
        mf_check_contains(text, wanted[i]);
    }
    int count = 0;
    for (; (after = strstr(after, " # {")) != NULL; after++) {
        count++;
    }
    mf_check_int(count, 2);
    free(text);
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"observe__calls_move_their_series", test_calls_move_their_series},
    {"observe__events_move_their_series", test_events_move_their_series},
    {"observe__every_word_has_its_series", test_every_word_has_its_series},
    {"observe__buckets_name_sampled_calls", test_buckets_name_sampled_calls},
};
MF_TEST_MAIN(tests)
