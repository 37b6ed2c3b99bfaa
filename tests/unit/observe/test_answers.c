/* What answers say, and the series that show it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "metric_support.h"
#include "mf_test.h"

static bool has(metric_fixture *at, const char *line)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
    return at->text != NULL && strstr(at->text, line) != NULL;
}

static void end_call(const metric_fixture *at, int64_t deadline_ms, uint64_t took_ns, bool refused)
{
    mfi_client_span span = client_span(at);
    span.deadline_ms = deadline_ms;
    span.end_ns = span.start_ns + took_ns;
    span.is_refused = refused;
    mfi_observe_client_end(&span, NULL);
}

#define USED "multifrost_client_deadline_used_ratio"
static void test_deadlines(void)
{
    metric_fixture at;
    metric_setup(&at);
    mf_check(has(&at, USED "_count{target=\"math\"} 0\n"));
    end_call(&at, MF_TIMEOUT_INFINITE, MFI_NS_PER_S, false);
    end_call(&at, 1000, MFI_NS_PER_MS, true);
    mf_check(has(&at, USED "_count{target=\"math\"} 0\n"));
    end_call(&at, 1000, 100 * MFI_NS_PER_MS, false);
    end_call(&at, 1000, 100 * MFI_NS_PER_MS + 1000, false);
    end_call(&at, 1000, 1000 * MFI_NS_PER_MS, false);
    end_call(&at, 1000, 1001 * MFI_NS_PER_MS, false);
    mf_check(has(&at, USED "_bucket{target=\"math\",le=\"0.1\"} 1\n"));
    mf_check(has(&at, USED "_bucket{target=\"math\",le=\"0.2\"} 2\n"));
    mf_check(has(&at, USED "_bucket{target=\"math\",le=\"1.0\"} 3\n"));
    mf_check(has(&at, USED "_bucket{target=\"math\",le=\"+Inf\"} 4\n"));
    metric_teardown(&at);
}

#define STATE "multifrost_server_handler_state_seconds_total{worker=\"serve\",state="
static void test_states(void)
{
    metric_fixture at;
    const mfi_handler_times times = {.ns = {1000000000, 250000000, 3000000000}, .one_in = 64};
    metric_setup(&at);
    mf_check(has(&at, STATE "\"on_cpu\"} 0\n") && has(&at, STATE "\"runnable\"} 0\n") &&
             has(&at, STATE "\"blocked\"} 0\n"));
    mfi_observe_handler_times(at.server, &times);
    mfi_observe_handler_times(at.server, &times);
    mf_check(has(&at, STATE "\"on_cpu\"} 2\n"));
    mf_check(has(&at, STATE "\"runnable\"} 0.5\n"));
    mf_check(has(&at, STATE "\"blocked\"} 6\n"));
    metric_teardown(&at);
}

/* A worker that never said its load has no such series, and one that ended has none any more. */
static void test_load(void)
{
    metric_fixture at;
    metric_setup(&at);
    mf_check(!has(&at, "multifrost_worker_load_ratio{"));
    at.client_gauges.says_load = true;
    at.client_gauges.load = 0.75;
    mf_check(has(&at, "multifrost_worker_load_ratio{target=\"math\",worker=\"math-0\"} 0.75\n"));
    at.client_gauges.load = 0;
    mf_check(has(&at, "multifrost_worker_load_ratio{target=\"math\",worker=\"math-0\"} 0\n"));
    at.client_gauges.says_load = false;
    mf_check(!has(&at, "multifrost_worker_load_ratio{"));
    at.client_gauges.says_load = true;
    mf_check(has(&at, "multifrost_worker_load_ratio{"));
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"answers__show_the_used_share_of_deadlines", test_deadlines},
    {"answers__show_the_states_of_handlers", test_states},
    {"answers__show_the_load_of_a_living_worker", test_load},
};
MF_TEST_MAIN(tests)
