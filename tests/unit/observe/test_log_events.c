/* What is logged beside calls: level, event, message and fields of each report. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_test.h"

typedef struct fixture {
    mf_logger *logger;
    mfi_observer *observer;
    mfi_target *client, *server;
    unsigned lines;
    char all[8192]; /* "level event|message|rest" of each line */
} fixture;

/* "warn drain|Drained math-0|,..." of a line. */
static void keep_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    fixture *at = user_data;
    char word[16] = "", event[64] = "", message[512] = "";
    (void)level;
    (void)length;
    const char *from = strstr(line, "\"level\":\"");
    const char *rest = strstr(line, "\"tid\":");
    rest = rest != NULL ? strpbrk(rest, ",}") : "";
    mf_check_int(sscanf(from != NULL ? from : "",
                        "\"level\":\"%15[a-z]\",\"severity_number\":%*d,\"event\":\"%63[^\"]\","
                        "\"message\":\"%511[^\"]\"",
                        word, event, message),
                 3);
    size_t used = strlen(at->all);
    (void)snprintf(at->all + used, sizeof at->all - used, "%s%s %s|%s|%s",
                   at->lines++ > 0 ? "\n" : "", word, event, message, rest);
}

static void setup_with(fixture *at, mf_log_options options)
{
    mfi_client_options client = {.target = "math", .worker = "math-0", .circuit = "math/0"};
    mfi_server_options server = {.worker = "serve"};
    *at = (fixture){.lines = 0};
    mf_check_int(mf_logger_create(&at->logger, &options, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(at->logger, keep_line, at, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, at->logger, NULL, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&at->client, at->observer, &client, NULL), MF_OK);
    mf_check_int(mfi_target_create_server(&at->server, at->observer, &server, NULL), MF_OK);
}

static void setup_at(fixture *at, mf_log_level level)
{
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = level;
    setup_with(at, options);
}

static void setup(fixture *at)
{
    setup_at(at, MF_LOG_DEBUG);
}

static void teardown(fixture *at)
{
    mfi_target_destroy(at->client);
    mfi_target_destroy(at->server);
    mfi_observer_destroy(at->observer);
    mf_logger_destroy(at->logger);
}

/* All that was logged since the last time. */
static void check_logged(fixture *at, const char *wanted)
{
    mf_check(mf_log_flush(at->logger, MF_TEST_PATIENCE_MS));
    mf_check_str(at->all, wanted);
    at->all[0] = '\0';
    at->lines = 0;
}

#define MATH ",\"target\":\"math\",\"worker\":\"math-0\""

/* ---- Circuit ---- */

static void test_circuit(void)
{
    fixture at;
    mfi_circuit_event event = {.from = MFI_CIRCUIT_CLOSED,
                               .to = MFI_CIRCUIT_OPEN,
                               .cause = (mfi_circuit_cause)MFI_RULE_FAILURES,
                               .observed = 5,
                               .threshold = 4.5,
                               .status = MF_ERR_TIMEOUT,
                               .correlation_id = "c",
                               .trace_id = "t",
                               .retry_in_ms = 10000};
    setup(&at);
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "warn circuit_open|Circuit of math/0: open|" MATH
                      ",\"correlation_id\":\"c\",\"trace_id\":\"t\",\"from\":\"closed\","
                      "\"to\":\"open\",\"reason\":\"consecutive_failures\",\"status\":\"timeout\","
                      "\"fields\":{\"observed\":5,\"threshold\":4.5,\"retry_in_ms\":10000}}");
    event.status = MF_OK; /* no call tipped it */
    event.correlation_id = event.trace_id = NULL;
    event.cause = (mfi_circuit_cause)MFI_RULE_HEARTBEAT;
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "warn circuit_open|Circuit of math/0: open|" MATH
                      ",\"from\":\"closed\",\"to\":\"open\",\"reason\":\"heartbeat\","
                      "\"fields\":{\"observed\":5,\"threshold\":4.5,\"retry_in_ms\":10000}}");
    event = (mfi_circuit_event){
        .from = MFI_CIRCUIT_OPEN, .to = MFI_CIRCUIT_HALF_OPEN, .cause = MFI_CAUSE_COOL_DOWN};
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "info circuit_half_open|Circuit of math/0: half_open|" MATH
                      ",\"from\":\"open\",\"to\":\"half_open\",\"reason\":\"cool_down\"}");
    event = (mfi_circuit_event){
        .from = MFI_CIRCUIT_HALF_OPEN, .to = MFI_CIRCUIT_CLOSED, .cause = MFI_CAUSE_PROBES_PASSED};
    mfi_observe_circuit_changed(at.client, &event);
    check_logged(&at, "info circuit_close|Circuit of math/0: closed|" MATH
                      ",\"from\":\"half_open\",\"to\":\"closed\",\"reason\":\"probes_passed\"}");
    teardown(&at);
}

/* ---- Processes ---- */

static void test_processes(void)
{
    static const struct {
        mfi_process_event event;
        const char *wanted;
    } cases[] = {
        {{.what = MFI_PROCESS_SPAWNED, .pid = 7},
         "info process_spawn|Worker math-0 spawned|" MATH ",\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_READY, .pid = 7, .duration_ns = 1500000},
         "info worker_start|Worker math-0 is ready|" MATH
         ",\"duration_ms\":1.500000,\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_EXITED, .pid = 7, .expected = true, .exit_known = true},
         "info process_exit|Worker math-0 ended|" MATH
         ",\"exit_code\":0,\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_EXITED, .exit_known = true, .text = "exited with 0"},
         "info process_exit|Worker math-0 ended: exited with 0|" MATH
         ",\"exit_code\":0,\"reason\":\"exited with 0\",\"fields\":{}}\n"
         "error worker_crash|Worker math-0 ended by itself: exited with 0|" MATH
         ",\"exit_code\":0,\"reason\":\"exited with 0\",\"fields\":{}}"},
        {{.what = MFI_PROCESS_EXITED,
          .exit_known = true,
          .exit_code = -1,
          .signal = 9,
          .text = "killed",
          .pending_failed = 3},
         "warn process_exit|Worker math-0 ended: killed|" MATH
         ",\"signal\":9,\"reason\":\"killed\",\"fields\":{\"pending_failed\":3}}\n"
         "error worker_crash|Worker math-0 ended by itself: killed|" MATH
         ",\"signal\":9,\"reason\":\"killed\",\"fields\":{\"pending_failed\":3}}"},
        {{.what = MFI_PROCESS_EXITED, .expected = true},
         "info process_exit|Worker math-0 ended|" MATH ",\"fields\":{}}"},
        {{.what = MFI_PROCESS_FAILED, .text = "no such file"},
         "error worker_stop|Worker math-0 did not start: no such file|" MATH
         ",\"reason\":\"no such file\",\"fields\":{}}"},
        {{.what = MFI_PROCESS_STOPPED, .pid = 7},
         "info worker_stop|Worker math-0 stopped|" MATH ",\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_RESTART,
          .reason = MFI_RESTART_SIGNAL,
          .text = "killed",
          .restart_in_ms = 800,
          .restart_attempt = 2,
          .restarts_in_period = 3,
          .restarts_allowed = 5},
         "warn worker_restart|Worker math-0 will start again: killed|" MATH
         ",\"reason\":\"signal\",\"restart_in_ms\":800,\"restarts_in_period\":3,"
         "\"fields\":{\"attempt\":2,\"max\":5}}"},
        {{.what = MFI_PROCESS_RESTART, .reason = MFI_RESTART_MANUAL, .restart_attempt = 1},
         "warn worker_restart|Worker math-0 will start again|" MATH
         ",\"reason\":\"manual\",\"restart_in_ms\":0,\"restarts_in_period\":0,"
         "\"fields\":{\"attempt\":1}}"},
        {{.what = MFI_PROCESS_GAVE_UP, .text = "5 restarts in 60 s"},
         "error worker_stop|Worker math-0 is given up: 5 restarts in 60 s|" MATH
         ",\"reason\":\"5 restarts in 60 s\",\"fields\":{}}"},
    };
    fixture at;
    setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_process_changed(at.client, &cases[i].event);
        check_logged(&at, cases[i].wanted);
    }
    teardown(&at);
}

static void test_crash_names_what_was_open(void)
{
    fixture at;
    mfi_open_call calls[MFI_OPEN_CALLS_MAX] = {
        {.function = "add", .correlation_id = "c-1", .age_ns = 12900000},
        {.function = "mul", .age_ns = 3000000}};
    mfi_remains remains = {.calls = calls,
                           .named = 2,
                           .out = "out\nmore",
                           .err = "E: no",
                           .out_size = 3,
                           .err_size = 5,
                           .user_us = 1500999,
                           .system_us = 20000,
                           .max_rss_kib = 4096};
    mfi_process_event event = {.what = MFI_PROCESS_EXITED,
                               .exit_known = true,
                               .exit_code = 3,
                               .text = "exited with status 3",
                               .pending_failed = 5,
                               .remains = &remains};
    setup(&at);
    mfi_observe_process_changed(at.client, &event);
    check_logged(&at, "warn process_exit|Worker math-0 ended: exited with status 3|" MATH
                      ",\"exit_code\":3,\"reason\":\"exited with status 3\","
                      "\"fields\":{\"pending_failed\":5}}\n"
                      "error worker_crash|Worker math-0 ended by itself: exited with status 3|" MATH
                      ",\"exit_code\":3,\"reason\":\"exited with status 3\","
                      "\"fields\":{\"pending_failed\":5,"
                      "\"open_calls\":\"add id=c-1 age_ms=12; mul age_ms=3\",\"more_calls\":3,"
                      "\"cpu_user_ms\":1500,\"cpu_system_ms\":20,\"max_rss_kib\":4096,"
                      "\"stderr\":\"E: no\",\"stdout\":\"out\"}}");
    remains.max_rss_kib = 0; /* the last lines alone */
    event = (mfi_process_event){.what = MFI_PROCESS_RESTART, .text = "ended", .remains = &remains};
    mfi_observe_process_changed(at.client, &event);
    check_logged(&at, "warn worker_restart|Worker math-0 will start again: ended|" MATH
                      ",\"reason\":\"ended\",\"restart_in_ms\":0,\"restarts_in_period\":0,"
                      "\"fields\":{\"attempt\":0,\"stderr\":\"E: no\",\"stdout\":\"out\"}}");
    teardown(&at);
}

/* Names and ids of any length: those that fit are named, the others are counted. */
static void test_crash_with_long_names(void)
{
    fixture at;
    mfi_open_call calls[MFI_OPEN_CALLS_MAX];
    mfi_remains remains = {.calls = calls, .named = MFI_OPEN_CALLS_MAX};
    mfi_process_event event = {
        .what = MFI_PROCESS_EXITED, .pending_failed = 9, .remains = &remains};
    for (size_t i = 0; i < MFI_OPEN_CALLS_MAX; i++) {
        memset(&calls[i], 'x', sizeof calls[i]);
        calls[i].function[sizeof calls[i].function - 1] = '\0';
        calls[i].correlation_id[sizeof calls[i].correlation_id - 1] = '\0';
        calls[i].age_ns = 0;
    }
    setup(&at);
    mfi_observe_process_changed(at.client, &event);
    mf_check(mf_log_flush(at.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.all, "x age_ms=0; xxx");
    mf_check_contains(at.all, "x age_ms=0\",\"more_calls\":6}}");
    teardown(&at);
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
    };
    fixture at;
    setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_service_changed(at.server, &cases[i].event);
        check_logged(&at, cases[i].wanted);
    }
    teardown(&at);
}

static void test_drains(void)
{
    fixture at;
    mfi_drain_event event = {.begins = true, .reason = MFI_DRAIN_ASKED_FOR, .calls_left = 3};
    setup(&at);
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
    teardown(&at);
}

/* ---- Heartbeats ---- */

static void test_heartbeats(void)
{
    fixture at;
    mfi_heartbeat_event event = {.what = MFI_HEARTBEAT_SENT, .request_id = "r"};
    setup(&at);
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
    teardown(&at);
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
    fixture at;
    setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_transport_event(at.client, &cases[i].event);
        check_logged(&at, cases[i].wanted);
    }
    teardown(&at);
}

#define THREADS 4

typedef struct flood {
    fixture *at;
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
    fixture *at = of->at;
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
    fixture at;
    setup(&at);
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
    teardown(&at);
}

/* ---- Output and health ---- */

static void print(const fixture *at, mfi_output_event event)
{
    mfi_observe_output_line(at->client, &event);
}

static void test_output(void)
{
    fixture at;
    setup(&at);
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
    teardown(&at);
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
    fixture at;
    setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_health_changed(at.observer, "math:workers", cases[i].from, cases[i].to,
                                   cases[i].output);
        check_logged(&at, cases[i].wanted);
    }
    teardown(&at);
}

/* What is below the level of the log is not made. */
static void test_level(void)
{
    fixture at;
    const mfi_heartbeat_event sent = {.what = MFI_HEARTBEAT_SENT};
    const mfi_heartbeat_event missed = {.what = MFI_HEARTBEAT_MISSED, .max_misses = 3};
    const mfi_process_event crash = {.what = MFI_PROCESS_EXITED};
    const mfi_circuit_event circuit = {.to = MFI_CIRCUIT_OPEN};
    const mfi_service_event lost = {.what = MFI_SERVICE_LOST, .service_id = "s"};
    const mfi_drain_event drain = {.begins = true};
    const mfi_transport_event transport = {.what = MFI_TRANSPORT_DROPPED};
    setup_at(&at, MF_LOG_FATAL);
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
    teardown(&at);
}

/* A program that asked for no ids gets none, in whatever record. */
static void test_without_ids(void)
{
    fixture at;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    mfi_open_call call = {.function = "add", .correlation_id = "c-1"};
    mfi_remains remains = {.calls = &call, .named = 1};
    options.level = MF_LOG_DEBUG;
    options.no_correlation_ids = true;
    setup_with(&at, options);
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
    teardown(&at);
}

static const mf_test tests[] = {
    {"log_events__without_ids_where_none_are_wanted", test_without_ids},
    {"crash__names_what_was_open", test_crash_names_what_was_open},
    {"crash__with_long_names", test_crash_with_long_names},
    {"log_events__circuit", test_circuit},
    {"log_events__processes", test_processes},
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
