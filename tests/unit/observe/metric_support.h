/* An observer with a client and a server target, and what it makes of reports. */
#ifndef METRIC_SUPPORT_H
#define METRIC_SUPPORT_H

#include "core/observe/observe.h"

typedef struct metric_fixture {
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
    mfi_target *client, *server;
    mfi_client_gauges client_gauges;
    mfi_server_gauges server_gauges;
    char *text; /* the exposition that was read last */
} metric_fixture;

void metric_setup(metric_fixture *at);
void metric_teardown(metric_fixture *at);
/* Shows the fixture's server gauges; for further targets. */
void metric_show_server(mfi_server_gauges *ret_gauges, void *user_data);
/* An answered call of "add", as either side reports it. */
mfi_client_span client_span(const metric_fixture *at);
mfi_server_span server_span(const metric_fixture *at);

/* The labels of the fixture's client, where a series names its worker. */
#define METRIC_OF_WORKER "target=\"math\",worker=\"math-0\""
#define METRIC_ABSENT (-1000) /* the value of a series that is not there */
/* Reads the exposition into the fixture's text. */
void metric_read(metric_fixture *at);
/* Checks the value of a series in that text; the series is named without "multifrost_". */
void metric_check(const metric_fixture *at, const char *series, double wanted);

#endif
