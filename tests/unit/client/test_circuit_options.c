/* The options of a parent's circuit and of the policy on trial: defaults, ranges, names in errors.
 */
#include "core/client/options.h"

#include <math.h>
#include <string.h>

#include "mf_test.h"

static mf_parent_options plain(void)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = "/opt/workers/math.py";
    return options;
}

static void read_options(mfi_parent_settings *settings, const mf_parent_options *options)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    memset(settings, 0, sizeof *settings);
    mf_check_int(mfi_parent_settings_init(settings, options, &runtime, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void check_refused(const mf_parent_options *options, const char *message)
{
    mf_runtime *runtime = NULL;
    mfi_parent_settings settings = {.is_member = false};
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_parent_settings_init(&settings, options, &runtime, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, message);
    mfi_parent_settings_fini(&settings);
}

static void test_defaults(void)
{
    mfi_parent_settings at;
    mf_parent_options options = plain();
    read_options(&at, &options);
    mf_check(!mfi_window_rules_on(&at.circuit.rules) && !at.has_trial && at.trial.disabled);
    mf_check_int(at.circuit.rules.min_calls, 20);
    mf_check_int(at.circuit.rules.window_calls, 50);
    mf_check_int(at.circuit.rules.slow_call_ms, 0); /* no call is timed */
    mfi_parent_settings_fini(&at);
    options.circuit_slow_ratio = 1;
    options.circuit_window_calls = 8;
    read_options(&at, &options);
    mf_check_int(at.circuit.rules.slow_call_ms, 1000);
    mf_check_int(at.circuit.rules.min_calls, 8);
    mf_check_int(at.circuit.consecutive_failures, 5);
    mfi_parent_settings_fini(&at);
}

static void test_trial(void)
{
    mfi_parent_settings at;
    mf_parent_options options = plain();
    options.circuit_window_calls = 200;
    options.circuit_open_ms = 70;
    options.circuit_trial_failure_ratio = 0.25;
    options.circuit_trial_slow_call_ms = 30;
    options.circuit_trial_min_calls = 10;
    read_options(&at, &options);
    mf_check(at.has_trial && !at.trial.disabled && !mfi_window_rules_on(&at.circuit.rules));
    mf_check_int(at.trial.consecutive_failures, 0);
    mf_check_int(at.trial.open_ms, 70);
    mf_check_int(at.trial.rules.failure_ratio * 100, 25);
    mf_check_int(at.trial.rules.slow_call_ms, 30);
    mf_check_int(at.trial.rules.min_calls, 10);
    mf_check_int(at.trial.rules.window_calls, 200);
    mfi_parent_settings_fini(&at);
    options.circuit_failures = MF_DISABLED; /* a trial needs no circuit */
    read_options(&at, &options);
    mf_check(at.circuit.disabled && at.has_trial && !at.trial.disabled);
    mfi_parent_settings_fini(&at);
}

#define CHECK_BAD(field, value, range)                                                             \
    do {                                                                                           \
        mf_parent_options bad = plain();                                                           \
        bad.field = (value);                                                                       \
        check_refused(&bad, #field " must be " range);                                             \
    } while (0)

static void test_figures_that_are_refused(void)
{
    CHECK_BAD(circuit_failure_ratio, -0.001, "0 to 1, not -0.001");
    CHECK_BAD(circuit_failure_ratio, 1.001, "0 to 1, not 1.001");
    CHECK_BAD(circuit_slow_ratio, (double)INFINITY, "0 to 1, not +Inf");
    CHECK_BAD(circuit_slow_ratio, (double)NAN, "0 to 1, not NaN");
    CHECK_BAD(circuit_slow_call_ms, -1, "1 or more, not -1");
    CHECK_BAD(circuit_window_calls, 1001, "1 to 1000, not 1001");
    CHECK_BAD(circuit_window_calls, -1, "1 to 1000, not -1");
    CHECK_BAD(circuit_min_calls, 51, "1 to 50, not 51"); /* more than the window holds */
    CHECK_BAD(circuit_min_calls, -1, "1 to 50, not -1");
    CHECK_BAD(circuit_trial_failure_ratio, 2, "0 to 1, not 2.000");
    CHECK_BAD(circuit_trial_slow_ratio, -1, "0 to 1, not -1.000");
    CHECK_BAD(circuit_trial_slow_call_ms, -7, "1 or more, not -7");
    CHECK_BAD(circuit_trial_window_calls, 1001, "1 to 1000, not 1001");
    CHECK_BAD(circuit_trial_min_calls, 51, "1 to 50, not 51");
}

static void test_ratios_need_a_circuit(void)
{
    mf_parent_options options = plain();
    options.circuit_failures = MF_DISABLED;
    options.circuit_failure_ratio = 0.5;
    check_refused(&options, "circuit_failure_ratio needs a circuit breaker, and circuit_failures "
                            "is MF_DISABLED");
    options.circuit_failure_ratio = 0;
    options.circuit_slow_ratio = 0.5;
    check_refused(&options, "circuit_slow_ratio needs a circuit breaker, and circuit_failures is "
                            "MF_DISABLED");
}

static const mf_test tests[] = {
    {"circuit_options__defaults", test_defaults},
    {"circuit_options__trial", test_trial},
    {"circuit_options__figures_that_are_refused", test_figures_that_are_refused},
    {"circuit_options__ratios_need_a_circuit", test_ratios_need_a_circuit},
};
MF_TEST_MAIN(tests)
