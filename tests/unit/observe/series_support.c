/* Targets with gauges of the test's own: see series_support.h. */
#include "series_support.h"

#include <stdlib.h>

#include "mf_test.h"

void series_setup(series_fixture *at)
{
    *at = (series_fixture){.text = NULL};
    mf_check_int(mf_logger_create(&at->logger, NULL, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, at->logger, at->metrics, 64, NULL), MF_OK);
}

void series_teardown(series_fixture *at)
{
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
    mf_logger_destroy(at->logger);
    free(at->text);
}

void series_read(series_fixture *at)
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

mfi_target *series_client(const series_fixture *at, const char *name, const char *worker,
                          mfi_client_gauges *gauges)
{
    mfi_target *target = NULL;
    mfi_client_options options = {
        .target = name, .worker = worker, .gauges = show_client, .user_data = gauges};
    mf_check_int(mfi_target_create_client(&target, at->observer, &options, NULL), MF_OK);
    return target;
}

mfi_target *series_server(const series_fixture *at, const char *name, mfi_server_gauges *gauges)
{
    mfi_target *target = NULL;
    mfi_server_options options = {.worker = name, .gauges = show_server, .user_data = gauges};
    mf_check_int(mfi_target_create_server(&target, at->observer, &options, NULL), MF_OK);
    return target;
}
