/* The series of targets: what is present is shown at each collection, and goes when its target
 * goes. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/parts.h"
#include "mf_test.h"
#include "series_support.h"

/* ---- Several that share a name ---- */

static void check_value(const series_fixture *at, const char *series, const char *value)
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
    series_fixture at;
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
    series_setup(&at);
    targets[0] = series_client(&at, "math", "math-0", &gauges[0]);
    targets[1] = series_client(&at, "math", "math-1", &gauges[1]);
    targets[2] = series_client(&at, "math", "math-2", &gauges[2]);
    series_read(&at);
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
    series_read(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "5");
    check_value(&at, "heartbeat_last_success_timestamp_seconds{target=\"math\"}", "9");
    mfi_target_destroy(targets[0]);
    mfi_target_destroy(targets[2]);
    series_teardown(&at);
}

static void check_absent(const series_fixture *at, const char *text)
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
    series_fixture at;
    mfi_client_gauges alone = {.calls_in_flight = 1};
    mfi_client_gauges member = {.pool_state = MFI_POOL_READY};
    series_setup(&at);
    mfi_target *parent = series_client(&at, "math", "math-0", &alone);
    mfi_target *first = series_client(&at, "math", "math-1", &member);
    series_read(&at);
    check_value(&at, "pool_workers{target=\"math\",state=\"ready\"}", "1");
    mfi_target_destroy(first);
    series_read(&at);
    check_absent(&at, "pool_workers{target=\"math\"");
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "1");
    first = series_client(&at, "math", "math-1", &member);
    series_read(&at);
    check_value(&at, "pool_workers{target=\"math\",state=\"ready\"}", "1");
    mfi_target_destroy(parent);
    mfi_target_destroy(first);
    series_teardown(&at);
}

/* The sources of the gauges may be freed before the target is. */
static void test_hidden_targets_are_not_read(void)
{
    series_fixture at;
    mfi_client_gauges one = {.calls_in_flight = 1, .circuit = MFI_CIRCUIT_OPEN};
    mfi_client_gauges two = {.calls_in_flight = 2, .circuit = MFI_CIRCUIT_OPEN};
    series_setup(&at);
    mfi_target *first = series_client(&at, "math", "math-0", &one);
    mfi_target *second = series_client(&at, "math", "math-1", &two);
    series_read(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "3");
    mfi_target_hide(first);
    series_read(&at);
    check_value(&at, "client_calls_in_flight{target=\"math\"}", "2");
    check_value(&at, "circuits{state=\"open\"}", "1");
    mfi_target_hide(NULL);
    mfi_target_destroy(first);
    mfi_target_destroy(second);
    series_teardown(&at);
}

static void test_gauges_of_workers_are_summed(void)
{
    series_fixture at;
    mfi_server_gauges gauges[2] = {{.handlers_busy = 3, .handlers = 8},
                                   {.handlers_busy = 2, .handlers = 1}};
    mfi_target *targets[2];
    series_setup(&at);
    targets[0] = series_server(&at, "serve", &gauges[0]);
    targets[1] = series_server(&at, "serve", &gauges[1]);
    series_read(&at);
    check_value(&at, "server_calls_in_flight{worker=\"serve\"}", "5");
    check_value(&at, "server_threads{worker=\"serve\",state=\"busy\"}", "5");
    check_value(&at, "server_threads{worker=\"serve\",state=\"idle\"}", "4");
    gauges[0].handlers = 0; /* more run than can: never below zero */
    series_read(&at);
    check_value(&at, "server_threads{worker=\"serve\",state=\"idle\"}", "0");
    mfi_target_destroy(targets[0]);
    mfi_target_destroy(targets[1]);
    series_teardown(&at);
}

/* ---- The end ---- */

static void connect_one(mfi_target *target)
{
    const mfi_transport_event event = {.what = MFI_TRANSPORT_CONNECTED};
    mfi_observe_transport_event(target, &event);
}

/* Each line of a gauge that names this owner. */
static void check_no_state(series_fixture *at, const char *owner)
{
    bool is_gauge = false;
    series_read(at);
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
    series_fixture at;
    mfi_client_gauges client = {.calls_in_flight = 3,
                                .says_busy = true,
                                .restarts = true,
                                .state = MFI_WORKER_READY,
                                .circuit = MFI_CIRCUIT_OPEN,
                                .pool_state = MFI_POOL_READY};
    mfi_server_gauges server = {.handlers_busy = 2, .handlers = 4};
    series_setup(&at);
    mfi_target *math = series_client(&at, "math", "math-0", &client);
    mfi_target *serve = series_server(&at, "serve", &server);
    connect_one(math);
    connect_one(serve);
    mfi_observe_server_unknown(serve);
    mfi_observe_circuit_changed(
        math, &(mfi_circuit_event){.from = MFI_CIRCUIT_CLOSED, .to = MFI_CIRCUIT_OPEN});
    series_read(&at);
    check_value(&at, "transport_connections{target=\"math\"}", "1");
    check_value(&at, "worker_up{target=\"math\",worker=\"math-0\"}", "1");
    check_value(&at, "server_running_handler_age_seconds{target=\"math\",worker=\"math-0\"}", "0");
    check_value(&at, "server_calls_in_flight{worker=\"serve\"}", "2");
    check_value(&at, "circuits{state=\"open\"}", "1");
    mfi_target_destroy(math);
    mfi_target_destroy(serve);
    check_no_state(&at, "=\"math");
    check_no_state(&at, "=\"serve");
    series_read(&at);
    static const char opened[] = "circuit_transitions_total{target=\"math\",worker=\"math-0\","
                                 "from=\"closed\",to=\"open\"}";
    check_value(&at, opened, "1");
    check_value(&at, "server_unknown_function_total{worker=\"serve\"}", "1");
    check_value(&at, "circuits{state=\"open\"}", "0");
    check_value(&at, "workers{state=\"ready\"}", "0");
    /* A target of the same name goes on counting, with a state of its own. */
    client.circuit = MFI_CIRCUIT_CLOSED;
    math = series_client(&at, "math", "math-0", &client);
    series_read(&at);
    check_value(&at, opened, "1");
    check_value(&at, "circuit_state{target=\"math\",worker=\"math-0\",state=\"open\"}", "0");
    check_value(&at, "transport_connections{target=\"math\"}", "0");
    mfi_target_destroy(math);
    series_teardown(&at);
}

/* ---- More than have series of their own ---- */

static void test_targets_beyond_the_cap_are_counted(void)
{
    enum { TARGETS = 70, CAP = 64 };
    series_fixture at;
    char names[TARGETS][24];
    mfi_client_gauges open = {.circuit = MFI_CIRCUIT_OPEN, .state = MFI_WORKER_RESTARTING};
    mfi_target *targets[TARGETS];
    series_setup(&at);
    for (int i = 0; i < TARGETS; i++) {
        char worker[32];
        (void)mfi_str_format(names[i], sizeof names[i], "t%d", i);
        (void)mfi_str_format(worker, sizeof worker, "t%d-0", i);
        targets[i] = series_client(&at, names[i], worker, &open);
        mfi_observe_circuit_changed(
            targets[i], &(mfi_circuit_event){.from = MFI_CIRCUIT_CLOSED, .to = MFI_CIRCUIT_OPEN});
    }
    series_read(&at);
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
    targets[64] = series_client(&at, "t64", "t64-0", &open);
    targets[0] = series_client(&at, "t0", "t0-0", &open);
    series_read(&at);
    check_value(&at, "circuit_state{target=\"t64\",worker=\"t64-0\",state=\"open\"}", "1");
    check_absent(&at, "circuit_transitions_total{target=\"t64\"");
    check_absent(&at, "circuit_state{target=\"t0\"");
    check_value(&at, "circuits{state=\"open\"}", "70");
    for (int i = 0; i < TARGETS; i++) {
        mfi_target_destroy(targets[i]);
    }
    check_no_state(&at, "target=");
    series_teardown(&at);
}

static const mf_test tests[] = {
    {"series__gauges_of_a_pool_are_summed", test_gauges_of_a_pool_are_summed},
    {"series__a_pool_ends_before_a_parent", test_a_pool_ends_before_a_parent},
    {"series__hidden_targets_are_not_read", test_hidden_targets_are_not_read},
    {"series__gauges_of_workers_are_summed", test_gauges_of_workers_are_summed},
    {"series__gone_targets_leave_their_counters", test_gone_targets_leave_their_counters},
    {"series__targets_beyond_the_cap_are_counted", test_targets_beyond_the_cap_are_counted},
};
MF_TEST_MAIN(tests)
