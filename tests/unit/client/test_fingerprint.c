/* The fingerprint of a parent's options: any option that changes how calls behave changes it; the
 * worker's number, secrets and paths do not. */
#include <string.h>

#include "core/client/options.h"
#include "mf_test.h"

static uint64_t fingerprint(const mf_parent_options *options, uint32_t number)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mfi_parent_settings settings = {.is_member = false};
    mf_check_int(mfi_parent_settings_init(&settings, options, &runtime, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mfi_parent_settings_name(&settings, number, NULL), MF_OK);
    uint64_t hash = mfi_parent_settings_fingerprint(&settings);
    mfi_parent_settings_fini(&settings);
    return hash;
}

#define SPAWN .struct_size = sizeof(mf_parent_options), .target = "math", .program = "/opt/math.py"
#define FIND .struct_size = sizeof(mf_parent_options), .target = "math"

/* Each but the first differs from all others in one option. */
static const mf_parent_options changed[] = {
    {SPAWN, .auto_restart = true},
    {SPAWN},
    {.struct_size = sizeof(mf_parent_options),
     .program = "/opt/math.py",
     .auto_restart = true,
     .target = "other"},
    {SPAWN, .auto_restart = true, .namespace_name = "n"},
    {SPAWN, .auto_restart = true, .client_name = "c"},
    {SPAWN, .auto_restart = true, .bind_address = "127.0.0.2"},
    {SPAWN, .auto_restart = true, .port = 5555},
    {SPAWN, .auto_restart = true, .critical = true},
    {SPAWN, .auto_restart = true, .fail_fast = true},
    {SPAWN, .auto_restart = true, .call_timeout_ms = 7},
    {SPAWN, .auto_restart = true, .start_timeout_ms = 7},
    {SPAWN, .auto_restart = true, .stop_timeout_ms = 7},
    {SPAWN, .auto_restart = true, .heartbeat_interval_ms = 7},
    {SPAWN, .auto_restart = true, .heartbeat_timeout_ms = 7},
    {SPAWN, .auto_restart = true, .heartbeat_misses = 7},
    {SPAWN, .auto_restart = true, .handler_timeout_ms = 7},
    {SPAWN, .auto_restart = true, .max_in_flight = 7},
    {SPAWN, .auto_restart = true, .max_message_bytes = 4096},
    {SPAWN, .auto_restart = true, .max_queued_bytes = 90000000},
    {SPAWN, .auto_restart = true, .max_string_bytes = 4096},
    {SPAWN, .auto_restart = true, .max_items = 70},
    {SPAWN, .auto_restart = true, .circuit_failures = 7},
    {SPAWN, .auto_restart = true, .circuit_failures = MF_DISABLED},
    {SPAWN, .auto_restart = true, .circuit_open_ms = 7},
    {SPAWN, .auto_restart = true, .circuit_open_max_ms = 40000},
    {SPAWN, .auto_restart = true, .circuit_counts_remote_errors = true},
    {SPAWN, .auto_restart = true, .circuit_failure_ratio = 0.5},
    {SPAWN, .auto_restart = true, .circuit_failure_ratio = 0.501},
    {SPAWN, .auto_restart = true, .circuit_failure_ratio = 0.5, .circuit_min_calls = 7},
    {SPAWN, .auto_restart = true, .circuit_failure_ratio = 0.5, .circuit_window_calls = 70},
    {SPAWN, .auto_restart = true, .circuit_slow_ratio = 0.5},
    {SPAWN, .auto_restart = true, .circuit_slow_ratio = 0.5, .circuit_slow_call_ms = 7},
    {SPAWN, .auto_restart = true, .circuit_trial_failure_ratio = 0.5},
    {SPAWN, .auto_restart = true, .circuit_trial_slow_ratio = 0.5},
    {SPAWN, .auto_restart = true, .circuit_trial_slow_ratio = 0.5, .circuit_trial_slow_call_ms = 7},
    {SPAWN, .auto_restart = true, .circuit_trial_slow_ratio = 0.5, .circuit_trial_min_calls = 7},
    {SPAWN, .auto_restart = true, .circuit_trial_slow_ratio = 0.5,
     .circuit_trial_window_calls = 70},
    {SPAWN, .auto_restart = true, .max_restart_attempts = 7},
    {SPAWN, .auto_restart = true, .restart_period_ms = 7},
    {SPAWN, .auto_restart = true, .restart_backoff_ms = 7},
    {SPAWN, .auto_restart = true, .restart_backoff_max_ms = 7},
    {SPAWN, .auto_restart = true, .restart_stable_ms = 7},
    {FIND, .service_id = "a"},
    {FIND, .service_id = "b"},
    {FIND, .service_id = "a", .discovery_timeout_ms = 7},
    {FIND, .service_id = "a", .discovery_poll_ms = 7},
    {FIND, .endpoint = "tcp://127.0.0.1:5555"},
    {FIND, .endpoint = "tcp://127.0.0.1:5556"},
};
#define CHANGED (sizeof changed / sizeof changed[0])

static void test_every_option_counts(void)
{
    uint64_t hashes[CHANGED];
    for (size_t i = 0; i < CHANGED; i++) {
        hashes[i] = fingerprint(&changed[i], 0);
        for (size_t j = 0; j < i; j++) {
            if (hashes[i] == hashes[j]) {
                mf_check_int(i, j); /* shows which two */
            }
        }
    }
}

static void test_what_does_not_count(void)
{
    const mf_parent_options plain = {SPAWN};
    mf_parent_options other = plain;
    uint64_t wanted = fingerprint(&plain, 0);
    mf_check(fingerprint(&plain, 1) == wanted); /* another worker of the target */
    other.env = (const char *const[]){"PASSWORD=hunter2", NULL};
    other.args = (const char *const[]){"--verbose", NULL};
    other.program = "/usr/local/bin/math";
    other.working_directory = "/tmp";
    mf_check(fingerprint(&other, 0) == wanted);
    other = plain;
    other.call_timeout_ms = 30000; /* the default, said */
    other.circuit_window_calls = 50;
    other.circuit_min_calls = 20;
    other.circuit_trial_min_calls = 7; /* without a ratio there is no trial */
    mf_check(fingerprint(&other, 0) == wanted);
}

static const mf_test tests[] = {
    {"fingerprint__every_option_counts", test_every_option_counts},
    {"fingerprint__what_does_not_count", test_what_does_not_count},
};
MF_TEST_MAIN(tests)
