/* What is logged beside calls: level, event, message and fields of each report. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "log_support.h"
#include "mf_test.h"

/* ---- Circuit ---- */

static void test_circuit(void)
{
    log_fixture at;
    mfi_circuit_event event = {.from = MFI_CIRCUIT_CLOSED,
                               .to = MFI_CIRCUIT_OPEN,
                               .cause = (mfi_circuit_cause)MFI_RULE_FAILURES,
                               .observed = 5,
                               .threshold = 4.5,
                               .status = MF_ERR_TIMEOUT,
                               .correlation_id = "c",
                               .trace_id = "t",
                               .retry_in_ms = 10000};
    log_setup(&at);
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "warn circuit_open|Circuit of math-0: open|" MATH
                      ",\"correlation_id\":\"c\",\"trace_id\":\"t\",\"from\":\"closed\","
                      "\"to\":\"open\",\"reason\":\"consecutive_failures\",\"status\":\"timeout\","
                      "\"fields\":{\"observed\":5,\"threshold\":4.5,\"retry_in_ms\":10000}}");
    event.status = MF_OK; /* no call tipped it */
    event.correlation_id = event.trace_id = NULL;
    event.cause = (mfi_circuit_cause)MFI_RULE_HEARTBEAT;
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "warn circuit_open|Circuit of math-0: open|" MATH
                      ",\"from\":\"closed\",\"to\":\"open\",\"reason\":\"heartbeat\","
                      "\"fields\":{\"observed\":5,\"threshold\":4.5,\"retry_in_ms\":10000}}");
    event.cause = MFI_CAUSE_PROBE_FAILED; /* the rule is the one that opened it first */
    event.rule = MFI_RULE_FAILURE_RATIO;
    event.window_calls = 50;
    event.observed = 0.62;
    event.threshold = 0.5;
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "warn circuit_open|Circuit of math-0: open|" MATH
                      ",\"from\":\"closed\",\"to\":\"open\",\"reason\":\"probe_failed\","
                      "\"fields\":{\"rule\":\"failure_ratio\",\"observed\":0.62,"
                      "\"threshold\":0.5,\"window\":\"count:50\",\"retry_in_ms\":10000}}");
    event = (mfi_circuit_event){
        .from = MFI_CIRCUIT_OPEN, .to = MFI_CIRCUIT_HALF_OPEN, .cause = MFI_CAUSE_COOL_DOWN};
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "info circuit_half_open|Circuit of math-0: half_open|" MATH
                      ",\"from\":\"open\",\"to\":\"half_open\",\"reason\":\"cool_down\"}");
    event = (mfi_circuit_event){
        .from = MFI_CIRCUIT_HALF_OPEN, .to = MFI_CIRCUIT_CLOSED, .cause = MFI_CAUSE_PROBES_PASSED};
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "info circuit_close|Circuit of math-0: closed|" MATH
                      ",\"from\":\"half_open\",\"to\":\"closed\",\"reason\":\"probes_passed\"}");
    log_teardown(&at);
}

/* ---- Services ---- */

static void test_services(void)
{
    static const struct {
        mfi_service_event event;
        const char *wanted;
    } cases[] = {
        {{.what = MFI_SERVICE_REGISTERED, .service_id = "s", .text = "tcp://h:1", .pid = 7},
         "info service_register|Registered service s: tcp://h:1|,\"worker\":\"serve\","
         "\"fields\":{\"service_id\":\"s\",\"endpoint\":\"tcp://h:1\",\"service_pid\":7}}"},
        {{.what = MFI_SERVICE_UNREGISTERED, .service_id = "s"},
         "info service_unregister|Unregistered service s|,\"worker\":\"serve\","
         "\"fields\":{\"service_id\":\"s\"}}"},
        {{.what = MFI_SERVICE_FOUND, .service_id = "s", .text = "tcp://h:1", .gap_ns = 2000000},
         "info service_found|Found service s: tcp://h:1|,\"worker\":\"serve\","
         "\"duration_ms\":2.000000,"
         "\"fields\":{\"service_id\":\"s\",\"endpoint\":\"tcp://h:1\"}}"},
        {{.what = MFI_SERVICE_LOST, .service_id = "s", .text = "it ended", .pending_failed = 4},
         "warn service_lost|Lost service s: it ended|,\"worker\":\"serve\","
         "\"reason\":\"it ended\",\"fields\":{\"service_id\":\"s\",\"pending_failed\":4}}"},
        {{.what = MFI_SERVICE_FOUND, .text = "tcp://h:1"}, /* an address without a name */
         "info service_found|Found service: tcp://h:1|,\"worker\":\"serve\","
         "\"fields\":{\"endpoint\":\"tcp://h:1\"}}"},
        {{.what = MFI_SERVICE_BOUND, .service_id = "s", .text = "tcp://h:1"},
         "info service_bind|Bound service s: tcp://h:1|,\"worker\":\"serve\","
         "\"fields\":{\"service_id\":\"s\",\"endpoint\":\"tcp://h:1\"}}"},
        {{.what = MFI_SERVICE_EXPOSED, .text = "tcp://h:1"},
         "warn service_bind|Bound service: tcp://h:1: the address is reachable by others than this "
         "machine's programs, and whoever reaches it can call|,\"worker\":\"serve\","
         "\"reason\":\"the address is reachable by others than this machine's programs, and "
         "whoever "
         "reaches it can call\",\"fields\":{\"endpoint\":\"tcp://h:1\"}}"},
    };
    log_fixture at;
    log_setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_service_changed(at.server, &cases[i].event);
        check_logged(&at, cases[i].wanted);
    }
    log_teardown(&at);
}

static void test_drains(void)
{
    log_fixture at;
    mfi_drain_event event = {.begins = true, .reason = MFI_DRAIN_ASKED_FOR, .calls_left = 3};
    log_setup(&at);
    mfi_observe_drain(at.client, &event);
    check_logged(&at, "info drain|Draining math-0|" MATH
                      ",\"reason\":\"asked_for\",\"fields\":{\"calls_left\":3}}");
    event = (mfi_drain_event){.reason = MFI_DRAIN_ROLLING_RESTART, .duration_ns = 1000};
    mfi_observe_drain(at.client, &event);
    check_logged(&at, "info drain|Drained math-0|" MATH ",\"duration_ms\":0.001000,"
                      "\"reason\":\"rolling_restart\",\"fields\":{\"calls_left\":0}}");
    event.calls_left = 1;
    mfi_observe_drain(at.server, &event);
    check_logged(&at, "warn drain|Still busy, in spite of draining: serve|,\"worker\":\"serve\","
                      "\"duration_ms\":0.001000,\"reason\":\"rolling_restart\","
                      "\"fields\":{\"calls_left\":1}}");
    log_teardown(&at);
}

/* ---- Heartbeats ---- */

static void test_heartbeats(void)
{
    log_fixture at;
    mfi_heartbeat_event event = {.what = MFI_HEARTBEAT_SENT, .request_id = "r"};
    log_setup(&at);
    mfi_observe_heartbeat_seen(at.client, &event);
    check_logged(&at, "debug heartbeat_sent|Heartbeat to math|" MATH ",\"request_id\":\"r\"}");
    event.what = MFI_HEARTBEAT_ANSWERED;
    event.rtt_ns = 250000;
    mfi_observe_heartbeat_seen(at.client, &event);
    check_logged(&at, "debug heartbeat_received|Heartbeat answered by math|" MATH
                      ",\"request_id\":\"r\",\"duration_ms\":0.250000}");
    event = (mfi_heartbeat_event){
        .what = MFI_HEARTBEAT_MISSED, .consecutive_misses = 1, .max_misses = 2};
    mfi_observe_heartbeat_seen(at.client, &event);
    check_logged(&at, "warn heartbeat_missed|Heartbeat missed by math|" MATH
                      ",\"fields\":{\"consecutive_misses\":1,\"max_allowed\":2}}");
    event.what = MFI_HEARTBEAT_FROZEN;
    event.first = true;
    event.consecutive_misses = 2;
    mfi_observe_heartbeat_seen(at.client, &event);
    check_logged(&at, "warn heartbeat_missed|Heartbeat missed by math|" MATH
                      ",\"fields\":{\"consecutive_misses\":2,\"max_allowed\":2}}\n"
                      "error heartbeat_timeout|No heartbeat from math|" MATH
                      ",\"fields\":{\"consecutive_misses\":2,\"max_allowed\":2}}");
    event.first = false; /* the timeout was logged */
    event.consecutive_misses = 3;
    mfi_observe_heartbeat_seen(at.client, &event);
    check_logged(&at, "warn heartbeat_missed|Heartbeat missed by math|" MATH
                      ",\"fields\":{\"consecutive_misses\":3,\"max_allowed\":2}}");
    log_teardown(&at);
}

/* ---- Transport ---- */

static void test_transport(void)
{
    static const struct {
        mfi_transport_event event;
        const char *wanted;
    } cases[] = {
        {{.what = MFI_TRANSPORT_CONNECTED, .text = "tcp://127.0.0.1:1"},
         "info socket_connect|Peer connected: tcp://127.0.0.1:1|" MATH "}"},
        {{.what = MFI_TRANSPORT_EXTRA_CONNECTION},
         "warn socket_connect|A second peer connected, and may take calls|" MATH "}"},
        {{.what = MFI_TRANSPORT_DISCONNECTED, .disconnect = MFI_DISCONNECT_TIMEOUT},
         "info socket_disconnect|Peer disconnected|" MATH ",\"reason\":\"timeout\"}"},
        {{.what = MFI_TRANSPORT_RECONNECTED},
         "info socket_reconnect|Peer connected again|" MATH "}"},
        {{.what = MFI_TRANSPORT_DROPPED,
          .drop = MFI_DROP_OVERSIZE,
          .text = "too long",
          .bytes = 99},
         "warn message_rejected|Message dropped: too long|" MATH
         ",\"reason\":\"oversize\",\"fields\":{\"bytes\":99}}"},
        {{.what = MFI_TRANSPORT_REFUSED, .text = "uid 7 is not in allow_users"},
         "warn socket_disconnect|Stranger refused: uid 7 is not in allow_users|" MATH
         ",\"reason\":\"refused\"}"},
        {{.what = MFI_TRANSPORT_BLIND, .text = "math-0"},
         "warn socket_connect|The kernel does not tell which process connects, so strangers may be "
         "admitted: math-0|" MATH "}"},
        {{.what = MFI_TRANSPORT_DROPPED, .drop = MFI_DROP_WRONG_PEER, .text = "a message"},
         "warn message_rejected|Message dropped: a message|" MATH ",\"reason\":\"wrong_peer\"}"},
        {{.what = MFI_TRANSPORT_SEND_BLOCKED}, ""}, /* counted only */
        {{.what = MFI_TRANSPORT_LATE_REPLY}, ""},
    };
    log_fixture at;
    log_setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_transport_event(at.client, &cases[i].event);
        check_logged(&at, cases[i].wanted);
    }
    log_teardown(&at);
}

#define THREADS 4

typedef struct flood {
    log_fixture *at;
    _Atomic(uint64_t) *logged_ns; /* time of the last record */
    mfi_transport_event event;
    const char *line;
} flood;

static void *report_once(void *argument)
{
    const flood *of = argument;
    mfi_observe_transport_event(of->at->client, &of->event);
    return NULL;
}

static void report_on_all_threads(flood *of)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, report_once, of);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* It is logged once in a second, whoever meets it. No test waits for a second, or has to run within
 * one: the time of the last record is set by hand. */
static void check_flood(flood *of)
{
    log_fixture *at = of->at;
    uint64_t before = mfi_monotonic_ns();
    (void)report_once(of);
    check_logged(at, of->line);
    mf_check(atomic_load(of->logged_ns) >= before);
    uint64_t last = before;
    do { /* another try if the machine stood still for a second */
        last = mfi_monotonic_ns();
        atomic_store(of->logged_ns, last);
        report_on_all_threads(of);
    } while (mfi_monotonic_ns() - last >= MFI_NS_PER_S);
    mf_check(atomic_load(of->logged_ns) == last);
    mf_check(mf_log_flush(at->logger, MF_TEST_PATIENCE_MS));
    at->all[0] = '\0'; /* of tries that took too long */
    at->lines = 0;
    atomic_store(of->logged_ns, mfi_monotonic_ns() - MFI_NS_PER_S);
    (void)report_once(of);
    check_logged(at, of->line);
}

static void test_floods_do_not_fill_the_log(void)
{
    log_fixture at;
    log_setup(&at);
    flood floods[] = {
        {&at,
         &at.observer->overflow_logged_ns,
         {.what = MFI_TRANSPORT_QUEUE_FULL, .text = "10000 wait"},
         "warn queue_overflow|Too many calls: 10000 wait|" MATH "}"},
        {&at,
         &at.observer->refusal_logged_ns,
         {.what = MFI_TRANSPORT_REFUSED, .text = "uid 7"},
         "warn socket_disconnect|Stranger refused: uid 7|" MATH ",\"reason\":\"refused\"}"},
        {&at,
         &at.observer->wrong_peer_logged_ns,
         {.what = MFI_TRANSPORT_DROPPED, .drop = MFI_DROP_WRONG_PEER, .text = "a message"},
         "warn message_rejected|Message dropped: a message|" MATH ",\"reason\":\"wrong_peer\"}"},
    };
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        check_flood(&floods[i]);
    }
    log_teardown(&at);
}

/* ---- Output and health ---- */

static void print(const log_fixture *at, mfi_output_event event)
{
    mfi_observe_output_line(at->client, &event);
}

static void test_output(void)
{
    log_fixture at;
    log_setup(&at);
    print(&at, (mfi_output_event){.text = "hello\nmore", .length = 5});
    check_logged(&at, "info worker_output|hello|" MATH ",\"fields\":{\"stream\":\"stdout\"}}");
    print(&at, (mfi_output_event){.is_stderr = true, .text = "oh \x1b", .length = 4});
    check_logged(&at, "warn worker_output|oh \\u001b|" MATH ",\"fields\":{\"stream\":\"stderr\"}}");
    print(&at,
          (mfi_output_event){.text = "x", .length = 1, .correlation_id = "c-1", .trace_id = "t-1"});
    check_logged(&at,
                 "info worker_output|x|" MATH ",\"correlation_id\":\"c-1\",\"trace_id\":\"t-1\","
                 "\"fields\":{\"stream\":\"stdout\"}}");
    print(&at,
          (mfi_output_event){.text = "x", .length = 1, .correlation_id = "c-1", .is_likely = true});
    check_logged(&at, "info worker_output|x|" MATH ",\"correlation_id\":\"c-1\","
                      "\"fields\":{\"stream\":\"stdout\",\"correlation\":\"likely\"}}");
    print(&at, (mfi_output_event){.text = "x",
                                  .length = 1,
                                  .correlation_id = "",
                                  .trace_id = "",
                                  .is_likely = true,
                                  .counts_open = true,
                                  .open_calls = 2});
    check_logged(&at, "info worker_output|x|" MATH
                      ",\"fields\":{\"stream\":\"stdout\",\"open_calls\":2}}");
    log_teardown(&at);
}

static void test_health(void)
{
    static const struct {
        mf_health from, to;
        const char *output, *wanted;
    } cases[] = {
        {MF_HEALTH_PASS, MF_HEALTH_WARN, "slow",
         "warn health_change|Health check math:workers: warn|,\"from\":\"pass\",\"to\":\"warn\","
         "\"reason\":\"slow\",\"fields\":{\"check\":\"math:workers\"}}"},
        {MF_HEALTH_WARN, MF_HEALTH_FAIL, "dead",
         "error health_change|Health check math:workers: fail|,\"from\":\"warn\",\"to\":\"fail\","
         "\"reason\":\"dead\",\"fields\":{\"check\":\"math:workers\"}}"},
        {MF_HEALTH_FAIL, MF_HEALTH_PASS, NULL,
         "info health_change|Health check math:workers: pass|,\"from\":\"fail\",\"to\":\"pass\","
         "\"fields\":{\"check\":\"math:workers\"}}"},
    };
    log_fixture at;
    log_setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_health_changed(at.observer, "math:workers", cases[i].from, cases[i].to,
                                   cases[i].output);
        check_logged(&at, cases[i].wanted);
    }
    log_teardown(&at);
}

/* What is below the level of the log is not made. */
static void test_level(void)
{
    log_fixture at;
    const mfi_heartbeat_event sent = {.what = MFI_HEARTBEAT_SENT};
    const mfi_heartbeat_event missed = {.what = MFI_HEARTBEAT_MISSED, .max_misses = 3};
    const mfi_process_event crash = {.what = MFI_PROCESS_EXITED};
    const mfi_circuit_event circuit = {.to = MFI_CIRCUIT_OPEN};
    const mfi_service_event lost = {.what = MFI_SERVICE_LOST, .service_id = "s"};
    const mfi_drain_event drain = {.begins = true};
    const mfi_transport_event transport = {.what = MFI_TRANSPORT_DROPPED};
    log_setup_at(&at, MF_LOG_FATAL);
    mfi_observe_heartbeat_seen(at.client, &sent);
    mfi_observe_heartbeat_seen(at.client, &missed);
    mfi_observe_process_changed(at.client, &crash);
    mfi_observe_circuit_changed(at.client, &circuit);
    mfi_observe_service_changed(at.client, &lost);
    mfi_observe_drain(at.client, &drain);
    mfi_observe_transport_event(at.client, &transport);
    print(&at, (mfi_output_event){.is_stderr = true, .text = "x", .length = 1});
    mfi_observe_health_changed(at.observer, "x", MF_HEALTH_PASS, MF_HEALTH_FAIL, "y");
    check_logged(&at, "");
    log_teardown(&at);
}

/* A program that asked for no ids gets none, in whatever record. */
static void test_without_ids(void)
{
    log_fixture at;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    mfi_open_call call = {.function = "add", .correlation_id = "c-1"};
    mfi_remains remains = {.calls = &call, .named = 1};
    options.level = MF_LOG_DEBUG;
    options.no_correlation_ids = true;
    log_setup_with(&at, options);
    print(&at,
          (mfi_output_event){.text = "x", .length = 1, .correlation_id = "c-1", .trace_id = "c-2"});
    mfi_observe_circuit_changed(at.client, &(mfi_circuit_event){.from = MFI_CIRCUIT_CLOSED,
                                                                .to = MFI_CIRCUIT_OPEN,
                                                                .correlation_id = "c-1",
                                                                .trace_id = "c-2"});
    mfi_observe_heartbeat_seen(
        at.client, &(mfi_heartbeat_event){.what = MFI_HEARTBEAT_SENT, .request_id = "c-3"});
    mfi_observe_process_changed(
        at.client,
        &(mfi_process_event){.what = MFI_PROCESS_EXITED, .pending_failed = 1, .remains = &remains});
    mf_check(mf_log_flush(at.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.all, "worker_output");
    mf_check_contains(at.all, "circuit_open");
    mf_check_contains(at.all, "heartbeat_sent");
    mf_check_contains(at.all, "\"open_calls\":\"add age_ms=0\"");
    mf_check(strstr(at.all, "c-") == NULL);
    log_teardown(&at);
}

static const mf_test tests[] = {
    {"log_events__without_ids_where_none_are_wanted", test_without_ids},
    {"log_events__circuit", test_circuit},
    {"log_events__services", test_services},
    {"log_events__drains", test_drains},
    {"log_events__heartbeats", test_heartbeats},
    {"log_events__transport", test_transport},
    {"log_events__floods_do_not_fill_the_log", test_floods_do_not_fill_the_log},
    {"log_events__output", test_output},
    {"log_events__health", test_health},
    {"log_events__level_is_kept", test_level},
};
MF_TEST_MAIN(tests)
