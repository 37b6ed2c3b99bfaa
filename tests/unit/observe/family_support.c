/* A worker of a parent in one process: see family_support.h. */
#include "family_support.h"

#include <string.h>

#include "base/clock.h"
#include "mf_test.h"

static void show(mfi_server_gauges *ret_gauges, void *user_data)
{
    (void)user_data;
    *ret_gauges = (mfi_server_gauges){.handlers = 4};
}

void worker_begin(worker_fixture *at, mf_logger *logger, int fd, bool otel_names)
{
    const mfi_server_options options = {
        .worker = "serve", .gauges = show, .handlers = 4, .segment_fd = fd};
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(
        mfi_observer_create_named(&at->observer, logger, at->metrics, 64, otel_names, NULL), MF_OK);
    mf_check_int(mfi_target_create_server(&at->server, at->observer, &options, NULL), MF_OK);
}

/* In the order of a runtime: the memory is detached behind all that counts in it. */
void worker_end(worker_fixture *at)
{
    struct mfi_segment *segment = mfi_observer_segment(at->observer);
    mfi_target_destroy(at->server);
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
    mfi_segment_detach(segment);
}

void worker_answer(const worker_fixture *at, const char *function, mf_status status)
{
    uint64_t now = mfi_monotonic_ns();
    mfi_server_span span = {.target = at->server,
                            .function = mfi_target_function(at->server, function, strlen(function)),
                            .function_name = function,
                            .namespace_name = "default",
                            .status = status,
                            .received_ns = now - 3000,
                            .begun_ns = now - 2000,
                            .done_ns = now,
                            .end_ns = now,
                            .has_run = true};
    mfi_observe_server_begin(&span);
    mfi_observe_server_returned(at->server, span.handler);
    mfi_observe_server_end(&span, NULL);
}

char *render(mf_metrics *metrics)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &size, NULL), MF_OK);
    return text;
}
