/* Targets whose reports become metrics: see metric_support.h. */
#include "metric_support.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "mf_test.h"

static void show_client(mfi_client_gauges *ret_gauges, void *user_data)
{
    *ret_gauges = ((const metric_fixture *)user_data)->client_gauges;
}

void metric_show_server(mfi_server_gauges *ret_gauges, void *user_data)
{
    *ret_gauges = ((const metric_fixture *)user_data)->server_gauges;
}

void metric_setup(metric_fixture *at)
{
    const mfi_client_options client = {
        .target = "math", .worker = "math-0", .gauges = show_client, .user_data = at};
    const mfi_server_options server = {
        .worker = "serve", .gauges = metric_show_server, .user_data = at};
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    *at = (metric_fixture){.text = NULL};
    mf_check_int(mf_logger_create(&at->logger, &options, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, at->logger, at->metrics, 64, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&at->client, at->observer, &client, NULL), MF_OK);
    mf_check_int(mfi_target_create_server(&at->server, at->observer, &server, NULL), MF_OK);
}

void metric_teardown(metric_fixture *at)
{
    mfi_target_destroy(at->client);
    mfi_target_destroy(at->server);
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
    mf_logger_destroy(at->logger);
    free(at->text);
}

mfi_client_span client_span(const metric_fixture *at)
{
    uint64_t now = mfi_monotonic_ns();
    return (mfi_client_span){.target = at->client,
                             .function = mfi_target_function(at->client, "add", 3),
                             .function_name = "add",
                             .start_ns = now - 4000,
                             .sent_ns = now - 3000,
                             .received_ns = now - 1000,
                             .end_ns = now,
                             .server_queue_ns = 300,
                             .server_handler_ns = 400,
                             .has_server_times = true,
                             .deadline_ms = 30000,
                             .request_bytes = 100,
                             .response_bytes = 200,
                             .attempt = 1};
}

mfi_server_span server_span(const metric_fixture *at)
{
    uint64_t now = mfi_monotonic_ns();
    return (mfi_server_span){.target = at->server,
                             .function = mfi_target_function(at->server, "add", 3),
                             .function_name = "add",
                             .received_ns = now - 3000,
                             .begun_ns = now - 2000,
                             .done_ns = now,
                             .end_ns = now,
                             .has_run = true};
}

void metric_read(metric_fixture *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
}

static double value_of(const metric_fixture *at, const char *series)
{
    char line[256];
    size_t length = mfi_str_format(line, sizeof line, "\nmultifrost_%s ", series);
    const char *found = at->text != NULL ? strstr(at->text, line) : NULL;
    return found != NULL ? strtod(found + length, NULL) : METRIC_ABSENT;
}

void metric_check(const metric_fixture *at, const char *series, double wanted)
{
    char got[256], right[256]; /* with the name, so that a failure shows it */
    (void)mfi_str_format(got, sizeof got, "%s %g", series, value_of(at, series));
    (void)mfi_str_format(right, sizeof right, "%s %g", series, wanted);
    mf_check_str(got, right);
}
