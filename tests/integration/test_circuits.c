/* Circuits that open by a share of failed or of slow calls, and rules on trial: with a real worker,
 * as /circuits, /metrics, the log and the parent's figures tell it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "pages.h"
#include "parents.h"

#define BODY_MAX ((size_t)1024 * 1024)
#define MANY 1000 /* failures in a row: more than any test makes */
#define SLOW_MS 20
#define OF_WORKER "{target=\"math\",worker=\"math-0\""

typedef struct scene {
    mf_runtime *runtime;
    mf_http *http;
    mf_parent *parent;
    char log[512];
    char *body; /* of the last page or file */
} scene;

static void begin(scene *at, mf_parent_options *options)
{
    static int number = 0;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    *at = (scene){.body = malloc(BODY_MAX)};
    (void)snprintf(at->log, sizeof at->log, "%s/circuits-%d.log", mf_test_temp_dir(), number++);
    runtime.log_file = at->log;
    http.port = MF_HTTP_PORT_ANY;
    mf_check_int(mf_runtime_create(&at->runtime, &runtime, &error), MF_OK);
    mf_check_int(mf_http_create(&at->http, mf_runtime_probe(at->runtime), &http, &error), MF_OK);
    mf_check_str(error.message, "");
    options->runtime = at->runtime;
    at->parent = start(options);
}

/* Afterwards the body is the log. */
static void end_and_read_log(scene *at)
{
    mf_parent_destroy(at->parent);
    mf_http_destroy(at->http);
    mf_runtime_destroy(at->runtime);
    read_whole(at->log, at->body, BODY_MAX);
}

static void get(scene *at, const char *path)
{
    (void)get_page(mf_http_port(at->http), path, at->body, BODY_MAX);
}

static void check_metric(scene *at, const char *sample)
{
    char line[256];
    (void)snprintf(line, sizeof line, "\nmultifrost_circuit_%s\n", sample);
    get(at, "/metrics");
    mf_check_contains(at->body, line);
}

static void divide_by(scene *at, int64_t divisor, mf_status wanted)
{
    mf_check_int(mf_call(at->parent, "divide", MF_ARGS(8, divisor), NULL, NULL), wanted);
}

static bool admits_probes(void *parent)
{
    return strcmp(mf_parent_circuit_state(parent), "half_open") == 0;
}

static void check_state(scene *at, const char *wanted)
{
    mf_check_str(mf_parent_circuit_state(at->parent), wanted);
}

/* Three calls that succeed close it again, after the cool-down. */
static void close_by_probes(scene *at)
{
    mf_check(mf_test_until(admits_probes, at->parent, MF_TEST_PATIENCE_MS));
    for (int i = 0; i < 3; i++) {
        divide_by(at, 2, MF_OK);
    }
    check_state(at, "closed");
    check_metric(at, "probes_total" OF_WORKER ",result=\"ok\"} 3");
    check_metric(at, "probes_total" OF_WORKER ",result=\"failed\"} 0");
    get(at, "/circuits/math-0");
    mf_check(strstr(at->body, "\"reason\":{") == NULL);
}

static void test_failed_share(void)
{
    scene at;
    mf_parent_options options = worker_options();
    options.circuit_failures = MANY;
    options.circuit_counts_remote_errors = true;
    options.circuit_failure_ratio = 0.5;
    options.circuit_min_calls = 4;
    options.circuit_window_calls = 10;
    begin(&at, &options);
    divide_by(&at, 0, MF_ERR_REMOTE);
    divide_by(&at, 2, MF_OK);
    divide_by(&at, 2, MF_OK);
    check_state(&at, "closed");
    divide_by(&at, 0, MF_ERR_REMOTE); /* two of four */
    mf_check(strcmp(mf_parent_circuit_state(at.parent), "closed") != 0);
    get(&at, "/circuits/math-0");
    mf_check_contains(at.body, "\"reason\":{\"rule\":\"failure_ratio\",\"observed\":0.5,"
                               "\"threshold\":0.5,\"window\":\"count:10\","
                               "\"text\":\"2 of the last 4 calls failed\","
                               "\"first_error\":\"app_error\",\"correlation_id\":\"");
    mf_check_contains(at.body, "\"window_at_trip\":{\"calls\":4,\"ok\":2,\"failed\":2,");
    mf_check_contains(at.body, "\"failure_ratio\":0.5,\"min_calls\":4,\"window\":\"count:10\"");
    check_metric(&at, "failure_ratio" OF_WORKER "} 0.5");
    check_metric(&at, "window_calls" OF_WORKER ",kind=\"failed\"} 2");
    mf_check_int(stats_of(at.parent).circuit_failure_ratio * 100, 50);
    close_by_probes(&at);
    check_metric(&at, "failure_ratio" OF_WORKER "} 0"); /* it begins anew */
    end_and_read_log(&at);
    mf_check_contains(at.body, "\"reason\":\"failure_ratio\",\"status\":\"app_error\","
                               "\"fields\":{\"rule\":\"failure_ratio\",\"observed\":0.5,"
                               "\"threshold\":0.5,\"window\":\"count:10\",");
    mf_check_contains(at.body, "\"reason\":\"probes_passed\"");
    free(at.body);
}

static void test_slow_share(void)
{
    scene at;
    mf_parent_options options = worker_options();
    options.circuit_slow_ratio = 1;
    options.circuit_slow_call_ms = SLOW_MS;
    options.circuit_min_calls = 3;
    begin(&at, &options);
    for (int i = 0; i < 3; i++) {
        check_state(&at, "closed");
        mf_check_int(mf_call(at.parent, "sleep_ms", MF_ARGS(2 * SLOW_MS), NULL, NULL), MF_OK);
    }
    mf_check(strcmp(mf_parent_circuit_state(at.parent), "closed") != 0);
    get(&at, "/circuits/math-0");
    mf_check_contains(at.body, "\"reason\":{\"rule\":\"slow_ratio\",\"observed\":1,\"threshold\":1,"
                               "\"window\":\"count:50\","
                               "\"text\":\"3 of the last 3 calls took 0.020 s or longer\"");
    mf_check_contains(at.body, "\"slow_ratio\":1,\"slow_call_seconds\":0.02,\"min_calls\":3,");
    check_metric(&at, "slow_call_ratio" OF_WORKER "} 1");
    check_metric(&at, "window_calls" OF_WORKER ",kind=\"slow\"} 3");
    close_by_probes(&at);
    end_and_read_log(&at);
    mf_check_contains(at.body, "\"fields\":{\"rule\":\"slow_ratio\",\"observed\":1,\"threshold\":1,"
                               "\"window\":\"count:50\",");
    free(at.body);
}

static void test_rules_on_trial(void)
{
    scene at;
    mf_parent_options options = worker_options();
    options.circuit_failures = MANY;
    options.circuit_counts_remote_errors = true;
    options.circuit_open_ms = TOO_LONG_MS;
    options.circuit_open_max_ms = TOO_LONG_MS;
    options.circuit_trial_failure_ratio = 0.5;
    options.circuit_trial_min_calls = 2;
    begin(&at, &options);
    check_metric(&at, "shadow_refusals_total" OF_WORKER ",policy=\"failure_ratio\"} 0");
    divide_by(&at, 0, MF_ERR_REMOTE);
    divide_by(&at, 0, MF_ERR_REMOTE);
    for (int i = 0; i < 5; i++) {
        divide_by(&at, 2, MF_OK); /* the trial would have refused it */
    }
    check_state(&at, "closed");
    check_metric(&at, "shadow_refusals_total" OF_WORKER ",policy=\"failure_ratio\"} 5");
    check_metric(&at, "shadow_refusals_total" OF_WORKER ",policy=\"slow_ratio\"} 0");
    mf_check_int(stats_of(at.parent).circuit_trial_refusals, 5);
    get(&at, "/circuits/math-0");
    mf_check_contains(at.body,
                      "\"trial\":{\"state\":\"open\",\"refused\":5,\"reason\":{"
                      "\"rule\":\"failure_ratio\",\"observed\":1,\"threshold\":0.5,"
                      "\"window\":\"count:50\",\"text\":\"2 of the last 2 calls failed\"}");
    end_and_read_log(&at);
    mf_check(strstr(at.body, "circuit_open") == NULL);
    free(at.body);
}

static const mf_test tests[] = {
    {"circuits__open_by_a_share_of_failures", test_failed_share},
    {"circuits__open_by_a_share_of_slow_calls", test_slow_share},
    {"circuits__rules_on_trial_refuse_nothing", test_rules_on_trial},
};
MF_TEST_MAIN(tests)
