/* The series of handlers: one list for a worker's own and for those that a parent shows of it. */
#include "core/observe/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric_support.h"
#include "mf_test.h"

static void check_shown(metric_fixture *at, const char *sample, bool is_there)
{
    size_t size = 0;
    free(at->text);
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
    if (is_there) {
        mf_check_contains(at->text, sample);
    } else {
        mf_check(strstr(at->text, sample) == NULL);
    }
}

static void test_names(void)
{
    metric_fixture at;
    const char *names[2];
    metric_setup(&at);
    mfi_serving_names(at.client, false, names);
    mf_check_str(names[0], "math");
    mf_check_str(names[1], "math-0");
    mfi_serving_names(at.server, true, names);
    mf_check_str(names[0], ""); /* a worker does not know its target */
    mf_check_str(names[1], "serve");
    metric_teardown(&at);
}

static void test_servers_of_one_name_are_added_up(void)
{
    mfi_server_gauges sum = {.handlers_busy = 1,
                             .handlers = 2,
                             .handler_seconds = 5,
                             .queue_depth = 3,
                             .queue_bytes = 4};
    mfi_server_gauges more = {.handlers_busy = 10,
                              .handlers = 20,
                              .handler_seconds = 4,
                              .queue_depth = 30,
                              .queue_bytes = 40};
    mfi_serving_add(&sum, &more);
    mf_check_int(sum.handlers_busy, 11);
    mf_check_int(sum.handlers, 22);
    mf_check_int(sum.queue_depth, 33);
    mf_check_int(sum.queue_bytes, 44);
    mf_check(sum.handler_seconds == 5); /* the one that has run longest */
    more.handler_seconds = 6;
    mfi_serving_add(&sum, &more);
    mf_check(sum.handler_seconds == 6);
}

/* More handlers may be busy than there are threads: deferred calls leave theirs. */
static void test_idle_is_never_negative(void)
{
    metric_fixture at;
    metric_setup(&at);
    at.server_gauges = (mfi_server_gauges){.handlers_busy = 5, .handlers = 3};
    check_shown(&at, "\nmultifrost_server_threads{worker=\"serve\",state=\"busy\"} 5\n", true);
    check_shown(&at, "\nmultifrost_server_threads{worker=\"serve\",state=\"idle\"} 0\n", true);
    metric_teardown(&at);
}

/* A parent shows a worker's gauges from when it knows them until the worker ends. */
static void test_gauges_of_a_parent(void)
{
    static const char *const gauges[] = {"server_calls_in_flight", "server_queue_depth",
                                         "server_queue_bytes",
                                         "server_running_handler_age_seconds"};
    metric_fixture at;
    char sample[120];
    metric_setup(&at);
    const mfi_server_gauges shown = {.handlers_busy = 1,
                                     .handlers = 3,
                                     .handler_seconds = 1,
                                     .queue_depth = 1,
                                     .queue_bytes = 1};
    at.client_gauges.handler_seconds = 1; /* as heartbeats say */
    check_shown(&at, "server_queue_depth{target=\"math\"", false);
    mfi_serving_hold(at.client);
    mfi_serving_hold(at.client); /* it holds them once */
    mfi_serving_show(at.client, &shown);
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        (void)snprintf(sample, sizeof sample,
                       "\nmultifrost_%s{target=\"math\",worker=\"math-0\"} 1\n", gauges[i]);
        check_shown(&at, sample, true);
    }
    check_shown(&at, "_threads{target=\"math\",worker=\"math-0\",state=\"idle\"} 2\n", true);
    mfi_serving_end(at.client);
    mfi_serving_end(at.client);
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        (void)snprintf(sample, sizeof sample, "\nmultifrost_%s{target=\"math\"", gauges[i]);
        check_shown(&at, sample, false);
    }
    check_shown(&at, "_threads{target=\"math\",worker=\"math-0\",state=", false);
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"serving__names", test_names},
    {"serving__servers_of_one_name_are_added_up", test_servers_of_one_name_are_added_up},
    {"serving__idle_is_never_negative", test_idle_is_never_negative},
    {"serving__gauges_of_a_parent", test_gauges_of_a_parent},
};
MF_TEST_MAIN(tests)
