/* The window, the probe calls and the trial of a circuit: at zero from the start, moved by reports
 * and collections; gauges leave with their target, and counters stay. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/observe/observe.h"
#include "metric_support.h"
#include "mf_test.h"

#define OF_WORKER "{target=\"math\",worker=\"math-0\""

static void read_all(metric_fixture *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
}

static void check_has(const metric_fixture *at, const char *sample)
{
    char line[200];
    (void)mfi_str_format(line, sizeof line, "\nmultifrost_circuit_%s\n", sample);
    mf_check_contains(at->text, line);
}

static void check_lacks(const metric_fixture *at, const char *series)
{
    mf_check(strstr(at->text, series) == NULL);
}

static void test_at_zero_from_the_start(void)
{
    static const char *const zeros[] = {
        "failure_ratio" OF_WORKER "} 0",
        "slow_call_ratio" OF_WORKER "} 0",
        "window_calls" OF_WORKER ",kind=\"ok\"} 0",
        "window_calls" OF_WORKER ",kind=\"failed\"} 0",
        "window_calls" OF_WORKER ",kind=\"slow\"} 0",
        "window_calls" OF_WORKER ",kind=\"excluded\"} 0",
        "probes_total" OF_WORKER ",result=\"ok\"} 0",
        "probes_total" OF_WORKER ",result=\"failed\"} 0",
        "probes_total" OF_WORKER ",result=\"expired\"} 0",
        "shadow_refusals_total" OF_WORKER ",policy=\"failure_ratio\"} 0",
        "shadow_refusals_total" OF_WORKER ",policy=\"slow_ratio\"} 0"};
    metric_fixture at;
    metric_setup(&at);
    read_all(&at);
    for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++) {
        check_has(&at, zeros[i]);
    }
    metric_teardown(&at);
}

static void test_reports_and_gauges(void)
{
    metric_fixture at;
    metric_setup(&at);
    at.client_gauges.failure_ratio = 0.25;
    at.client_gauges.slow_ratio = 0.5;
    at.client_gauges.window[MFI_WINDOW_OK] = 15;
    at.client_gauges.window[MFI_WINDOW_FAILED] = 5;
    at.client_gauges.window[MFI_WINDOW_SLOW] = 10;
    at.client_gauges.window[MFI_WINDOW_EXCLUDED] = 3;
    mfi_observe_circuit_probed(at.client, MFI_PROBE_OK);
    mfi_observe_circuit_probed(at.client, MFI_PROBE_OK);
    mfi_observe_circuit_probed(at.client, MFI_PROBE_FAILED);
    mfi_observe_circuit_probed(at.client, MFI_PROBE_EXPIRED);
    mfi_observe_circuit_trial(at.client, MFI_TRIAL_FAILURE_RATIO);
    mfi_observe_circuit_trial(at.client, MFI_TRIAL_SLOW_RATIO);
    mfi_observe_circuit_trial(at.client, MFI_TRIAL_SLOW_RATIO);
    read_all(&at);
    check_has(&at, "failure_ratio" OF_WORKER "} 0.25");
    check_has(&at, "slow_call_ratio" OF_WORKER "} 0.5");
    check_has(&at, "window_calls" OF_WORKER ",kind=\"ok\"} 15");
    check_has(&at, "window_calls" OF_WORKER ",kind=\"failed\"} 5");
    check_has(&at, "window_calls" OF_WORKER ",kind=\"slow\"} 10");
    check_has(&at, "window_calls" OF_WORKER ",kind=\"excluded\"} 3");
    check_has(&at, "probes_total" OF_WORKER ",result=\"ok\"} 2");
    check_has(&at, "probes_total" OF_WORKER ",result=\"failed\"} 1");
    check_has(&at, "probes_total" OF_WORKER ",result=\"expired\"} 1");
    check_has(&at, "shadow_refusals_total" OF_WORKER ",policy=\"failure_ratio\"} 1");
    check_has(&at, "shadow_refusals_total" OF_WORKER ",policy=\"slow_ratio\"} 2");
    metric_teardown(&at);
}

static void test_gauges_leave_and_counters_stay(void)
{
    metric_fixture at;
    metric_setup(&at);
    mfi_observe_circuit_probed(at.client, MFI_PROBE_FAILED);
    mfi_target_destroy(at.client);
    at.client = NULL;
    read_all(&at);
    check_lacks(&at, "multifrost_circuit_failure_ratio" OF_WORKER);
    check_lacks(&at, "multifrost_circuit_slow_call_ratio" OF_WORKER);
    check_lacks(&at, "multifrost_circuit_window_calls" OF_WORKER);
    check_has(&at, "probes_total" OF_WORKER ",result=\"failed\"} 1");
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"circuit_series__at_zero_from_the_start", test_at_zero_from_the_start},
    {"circuit_series__reports_and_gauges", test_reports_and_gauges},
    {"circuit_series__gauges_leave_and_counters_stay", test_gauges_leave_and_counters_stay},
};
MF_TEST_MAIN(tests)
