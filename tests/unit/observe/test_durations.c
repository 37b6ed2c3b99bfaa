/* How long calls took, under the names of OpenTelemetry: what stands there, what does not, and that
 * what reads the histograms back finds the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metric_support.h"
#include "mf_test.h"

static void gauges(mfi_client_gauges *ret_gauges, void *user_data)
{
    (void)user_data;
    *ret_gauges = (mfi_client_gauges){0};
}

static void setup(metric_fixture *at, bool otel)
{
    const mfi_client_options client = {.target = "math", .worker = "math-0", .gauges = gauges};
    const mfi_server_options server = {
        .worker = "serve", .gauges = metric_show_server, .user_data = at};
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    *at = (metric_fixture){.text = NULL};
    mf_check_int(mf_logger_create(&at->logger, &options, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create_named(&at->observer, at->logger, at->metrics, 64, otel, NULL),
                 MF_OK);
    mf_check_int(mfi_target_create_client(&at->client, at->observer, &client, NULL), MF_OK);
    mf_check_int(mfi_target_create_server(&at->server, at->observer, &server, NULL), MF_OK);
}

static void read_all(metric_fixture *at, mf_metrics_format format)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(at->metrics, format, &at->text, &size, NULL), MF_OK);
}

static void end_calls(metric_fixture *at)
{
    static const mf_status ends[] = {MF_OK, MF_OK, MF_ERR_TIMEOUT, MF_ERR_REMOTE};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        mfi_client_span client = client_span(at);
        mfi_server_span server = server_span(at);
        client.status = ends[i];
        server.status = ends[i];
        mfi_observe_client_end(&client, NULL);
        mfi_observe_server_end(&server, NULL);
    }
}

#define CLIENT "\nrpc_client_call_duration_seconds_count{server_address=\"math\","
#define SERVER "\nrpc_server_call_duration_seconds_count{"
#define ADD "rpc_system_name=\"multifrost\",rpc_method=\"add\""

static void test_otel_names(void)
{
    metric_fixture at;
    setup(&at, true);
    read_all(&at, MF_METRICS_PROMETHEUS_TEXT);
    mf_check(strstr(at.text, "error_type=") == NULL); /* nothing has failed */
    mf_check_contains(at.text, CLIENT "rpc_system_name=\"multifrost\",rpc_method=\"_OTHER\"} 0\n");
    end_calls(&at);
    read_all(&at, MF_METRICS_PROMETHEUS_TEXT);
    mf_check_contains(at.text, CLIENT ADD "} 2\n");
    mf_check_contains(at.text, CLIENT ADD ",error_type=\"timeout\"} 1\n");
    mf_check_contains(at.text, CLIENT ADD ",error_type=\"app_error\"} 1\n");
    mf_check_contains(at.text, SERVER ADD "} 2\n");
    mf_check_contains(at.text, SERVER ADD ",error_type=\"app_error\"} 1\n");
    mf_check(strstr(at.text, "error_type=\"\"") == NULL);
    mf_check(strstr(at.text, "multifrost_client_call_duration_seconds") == NULL);
    mf_check(strstr(at.text, "multifrost_server_call_duration_seconds") == NULL);
    mf_check_contains(at.text, "\nmultifrost_client_calls_total{"); /* others keep their names */
    read_all(&at, MF_METRICS_OPENMETRICS);
    mf_check_contains(at.text, "\n# UNIT rpc_client_call_duration_seconds seconds\n");
    metric_teardown(&at);
}

static void test_native_names(void)
{
    metric_fixture at;
    setup(&at, false);
    end_calls(&at);
    read_all(&at, MF_METRICS_PROMETHEUS_TEXT);
    mf_check_contains(at.text, "\nmultifrost_client_call_duration_seconds_count{target=\"math\","
                               "function=\"add\",outcome=\"error\"} 2\n");
    mf_check_contains(at.text, "\nmultifrost_server_call_duration_seconds_count{function=\"add\","
                               "outcome=\"ok\"} 2\n");
    mf_check(strstr(at.text, "rpc_") == NULL);
    metric_teardown(&at);
}

static void check_runs(const mfi_function_runs *runs, void *user_data)
{
    ++*(int *)user_data;
    mf_check_str(runs->name, "add");
    mf_check_int(runs->calls, 4);
    mf_check_int(runs->errors, 2);
    mf_check(runs->p50 > 0);
}

/* The figures of a parent and of `list_functions` do not depend on the names. */
static void test_read_back(void)
{
    for (int otel = 0; otel <= 1; otel++) {
        int visits = 0;
        metric_fixture at;
        mfi_latency all;
        mfi_latency recent;
        setup(&at, otel == 1);
        end_calls(&at);
        mfi_target_read(at.client, &all, &recent);
        mf_check_int(all.count, 4);
        mf_check_int(recent.count, 4);
        mfi_target_visit_runs(at.server, check_runs, &visits);
        mf_check_int(visits, 1);
        metric_teardown(&at);
    }
}

static const mf_test tests[] = {
    {"durations__otel_names", test_otel_names},
    {"durations__native_names", test_native_names},
    {"durations__read_back", test_read_back},
};
MF_TEST_MAIN(tests)
