/* An observer whose targets a test makes, and the text of its series. */
#ifndef SERIES_SUPPORT_H
#define SERIES_SUPPORT_H

#include "core/observe/observe.h"

typedef struct series_fixture {
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
    char *text; /* the exposition that was read last */
} series_fixture;

void series_setup(series_fixture *at);
void series_teardown(series_fixture *at);
/* Reads the exposition into the fixture's text. */
void series_read(series_fixture *at);
/* A target shows these gauges, which the test may change, until it is destroyed or hidden. */
mfi_target *series_client(const series_fixture *at, const char *name, const char *worker,
                          mfi_client_gauges *gauges);
mfi_target *series_server(const series_fixture *at, const char *name, mfi_server_gauges *gauges);

#endif
