/* A parent's observer and a worker's, with the memory between them, in one process. */
#ifndef FAMILY_SUPPORT_H
#define FAMILY_SUPPORT_H

#include "metric_support.h"
#include "metrics/segment.h"

typedef struct worker_fixture {
    mf_metrics *metrics;
    mfi_observer *observer;
    mfi_target *server;
} worker_fixture;

/* Starts a worker with `fd`, which it closes, and ends it: its memory stays what it was. */
void worker_begin(worker_fixture *at, mf_logger *logger, int fd, bool otel_names);
void worker_end(worker_fixture *at);
/* The worker answers a call of this function. */
void worker_answer(const worker_fixture *at, const char *function, mf_status status);
/* The exposition of a set, for free(). */
char *render(mf_metrics *metrics);

#endif
