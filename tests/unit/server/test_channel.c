/* A channel without a socket, so that a test reads pushed messages from its queue. */
#include "test_channel.h"

#include <stdlib.h>
#include <string.h>

#include <multifrost/metrics.h>

#include "core/wire/limits.h"

static void no_gauges(mfi_server_gauges *ret_gauges, void *user_data)
{
    (void)user_data;
    *ret_gauges = (mfi_server_gauges){0};
}

void channel_open(test_channel *at)
{
    mf_error error = MF_ERROR_INIT;
    mfi_server_options observed = {.worker = "worker", .gauges = no_gauges};
    memset(at, 0, sizeof *at);
    mf_check_int(mf_runtime_create(&at->runtime, NULL, &error), MF_OK);
    mf_check_int(
        mfi_target_create_server(&at->channel.observed, at->runtime->observer, &observed, &error),
        MF_OK);
    mf_check_str(error.message, "");
    at->channel.loop = at->runtime->loop;
    at->channel.limits = mfi_limits_default;
    at->channel.max_message_bytes = MFI_MESSAGE_MAX_BYTES;
    mfi_mpsc_init(&at->channel.driver.queue);
}

void channel_close(test_channel *at)
{
    for (mfi_out *out = NULL; (out = mfi_channel_pop(&at->channel)) != NULL;) {
        mfi_out_free(out);
    }
    mfi_target_destroy(at->channel.observed);
    mf_runtime_destroy(at->runtime);
}

void channel_check_metrics(const test_channel *at, const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    mf_check_contains(text, wanted);
    free(text);
}

mfi_route route_of(uint32_t number)
{
    mfi_route route = {.size = sizeof number};
    memcpy(route.bytes, &number, sizeof number);
    return route;
}
