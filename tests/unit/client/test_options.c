/* A parent's options: defaults, checks that name the option, copies, names that are made up. */
#include "core/client/options.h"

#include <string.h>

#include "mf_alloc.h"
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
    mf_check(runtime == options->runtime);
}

static void check_refused(const mf_parent_options *options, const char *text)
{
    mf_runtime *runtime = NULL;
    mfi_parent_settings settings = {.index = 0};
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_parent_settings_init(&settings, options, &runtime, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, text);
    mfi_parent_settings_fini(&settings);
}

/* ---- Numbers ---- */

static void test_defaults(void)
{
    mfi_parent_settings at;
    mf_parent_options options = plain();
    read_options(&at, &options);
    mf_check_int(at.call_timeout_ms, 30000);
    mf_check_int(at.start_timeout_ms, 10000);
    mf_check_int(at.stop_timeout_ms, 2000);
    mf_check_int(at.discovery_timeout_ms, 5000);
    mf_check_int(at.discovery_poll_ms, 100);
    mf_check_int(at.heartbeat_interval_ms, 5000);
    mf_check_int(at.heartbeat_timeout_ms, 3000);
    mf_check_int(at.heartbeat_misses, 3);
    mf_check_int(at.max_in_flight, 4096);
    mf_check_int(at.max_message_bytes, MFI_MESSAGE_MAX_BYTES);
    mf_check_int(at.limits.string_bytes, mfi_limits_default.string_bytes);
    mf_check_int(at.limits.items, mfi_limits_default.items);
    mf_check_int(at.restart.max_attempts, 5);
    mf_check_int(at.restart.period_ms, 60000);
    mf_check_int(at.restart.stable_ms, 10000);
    mf_check_int(at.restart.backoff.first_ms, 1000);
    mf_check_int(at.restart.backoff.most_ms, 30000);
    mf_check_int(at.circuit.consecutive_failures, 5);
    mf_check_int(at.circuit.heartbeat_misses, 3);
    mf_check_int(at.circuit.open_ms, 1000);
    mf_check_int(at.circuit.open_max_ms, 30000);
    mf_check(!at.circuit.disabled && !at.auto_restart && !at.fail_fast && !at.critical);
    mf_check_str(at.namespace_name, "default");
    mf_check_str(at.bind_address, "127.0.0.1");
    mf_check(at.client_name == NULL && at.working_directory == NULL && at.service_id == NULL);
    mfi_parent_settings_fini(&at);
    mf_check(at.target == NULL && at.args == NULL);
}

/* The circuit's default follows the number of restarts, but not into "no limit". */
static void test_restarts_and_circuit(void)
{
    mfi_parent_settings at;
    mf_parent_options options = plain();
    options.max_restart_attempts = 7;
    read_options(&at, &options);
    mf_check_int(at.restart.max_attempts, 7);
    mf_check_int(at.circuit.consecutive_failures, 7);
    mfi_parent_settings_fini(&at);
    options.max_restart_attempts = MF_DISABLED;
    read_options(&at, &options);
    mf_check_int(at.restart.max_attempts, 0);
    mf_check_int(at.circuit.consecutive_failures, 5);
    mfi_parent_settings_fini(&at);
    options.circuit_failures = MF_DISABLED;
    options.heartbeat_interval_ms = MF_DISABLED;
    read_options(&at, &options);
    mf_check(at.circuit.disabled);
    mf_check_int(at.heartbeat_interval_ms, MF_DISABLED);
    mfi_parent_settings_fini(&at);
}

#define CHECK_BAD(field, value)                                                                    \
    do {                                                                                           \
        mf_parent_options bad = plain();                                                           \
        bad.field = (value);                                                                       \
        check_refused(&bad, #field);                                                               \
    } while (0)

static void test_numbers_that_are_refused(void)
{
    CHECK_BAD(call_timeout_ms, -1);
    CHECK_BAD(start_timeout_ms, MF_DISABLED);
    CHECK_BAD(stop_timeout_ms, -5);
    CHECK_BAD(heartbeat_interval_ms, MF_DISABLED - 1);
    CHECK_BAD(heartbeat_timeout_ms, -1);
    CHECK_BAD(discovery_timeout_ms, -1);
    CHECK_BAD(discovery_poll_ms, -1);
    CHECK_BAD(restart_period_ms, -1);
    CHECK_BAD(restart_backoff_ms, -1);
    CHECK_BAD(restart_backoff_max_ms, -1);
    CHECK_BAD(restart_stable_ms, -1);
    CHECK_BAD(circuit_open_ms, -1);
    CHECK_BAD(circuit_open_max_ms, -1);
    CHECK_BAD(heartbeat_misses, -1);
    CHECK_BAD(heartbeat_misses, 1001);
    CHECK_BAD(max_in_flight, 65529);
    CHECK_BAD(max_in_flight, -1);
    CHECK_BAD(max_restart_attempts, MFI_RESTARTS_MAX + 1);
    CHECK_BAD(circuit_failures, 1000001);
    CHECK_BAD(max_message_bytes, 1023);
    CHECK_BAD(max_string_bytes, 255);
    CHECK_BAD(max_items, 15);
}

/* ---- Names ---- */

static void check_target(const mf_parent_options *options, const char *wanted)
{
    mfi_parent_settings at;
    read_options(&at, options);
    mf_check_str(at.target, wanted);
    mfi_parent_settings_fini(&at);
}

static void test_target_is_made_up(void)
{
    mf_parent_options options = plain();
    check_target(&options, "math");
    const char *const script[] = {"-u", "", "scripts/image sizes.v2.py", "more", NULL};
    options.program = "python3";
    options.args = script;
    check_target(&options, "image_sizes.v2");
    const char *const flags[] = {"--fast", NULL};
    options.args = flags;
    check_target(&options, "python3");
    options.program = "/opt/.hidden";
    check_target(&options, ".hidden");
    options.program = "/opt/"
                      "0123456789012345678901234567890123456789012345678901234567890123456789";
    check_target(&options, "0123456789012345678901234567890123456789012345678901234567890123");
    options.target = "given";
    check_target(&options, "given");
    options = (mf_parent_options)MF_PARENT_OPTIONS_INIT;
    options.service_id = "shop:cart/eu";
    check_target(&options, "shop_cart_eu");
}

static void test_worker_has_its_number(void)
{
    mfi_parent_settings at = {.index = 3, .is_member = true};
    mf_runtime *runtime = NULL;
    mf_parent_options options = plain();
    mf_check_int(mfi_parent_settings_init(&at, &options, &runtime, NULL), MF_OK);
    mf_check_str(at.worker, "math-3");
    mf_check(at.is_member);
    mfi_parent_settings_fini(&at);
}

static void test_names_that_are_refused(void)
{
    char longest[300];
    const char *const env[] = {"GOOD=1", "BAD", NULL};
    const char *const empty_name[] = {"=1", NULL};
    mf_parent_options neither = MF_PARENT_OPTIONS_INIT;
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    check_refused(&neither, "program or service_id is missing");
    neither.program = "";
    check_refused(&neither, "program or service_id is missing");
    CHECK_BAD(service_id, "both");
    CHECK_BAD(target, "a:b");
    CHECK_BAD(target, "");
    CHECK_BAD(target, longest);
    CHECK_BAD(namespace_name, longest);
    CHECK_BAD(namespace_name, "\xff");
    CHECK_BAD(client_name, longest);
    CHECK_BAD(bind_address, "localhost");
    mf_parent_options bad = plain();
    bad.env = env;
    check_refused(&bad, "env[1] is not NAME=value");
    bad.env = empty_name;
    check_refused(&bad, "env[0] is not NAME=value");
    bad = plain();
    bad.struct_size = 5;
    check_refused(&bad, "mf_parent_options");
}

/* ---- Copies ---- */

static void test_texts_are_copied(void)
{
    mfi_parent_settings at;
    mf_parent_options options = plain();
    char argument[] = "argument";
    char variable[] = "NAME=value";
    char client[] = "client";
    const char *args[] = {argument, "second", NULL};
    const char *env[] = {variable, NULL};
    options.args = args;
    options.env = env;
    options.client_name = client;
    options.port = 4711;
    read_options(&at, &options);
    argument[0] = variable[0] = client[0] = '!';
    args[1] = NULL;
    mf_check_str(at.args[0], "argument");
    mf_check_str(at.args[1], "second");
    mf_check_str(at.args[2], "--worker");
    mf_check(at.args[3] == NULL);
    mf_check_str(at.env[0], "NAME=value");
    mf_check(at.env[1] == NULL);
    mf_check_str(at.client_name, "client");
    mf_check_int(at.port, 4711);
    mfi_parent_settings_fini(&at);
}

static void test_string_lists(void)
{
    char **none = mfi_strings_copy(NULL, NULL);
    mf_check(none != NULL && none[0] == NULL);
    mfi_strings_free(none);
    char **one = mfi_strings_copy(NULL, "last");
    mf_check_str(one[0], "last");
    mf_check(one[1] == NULL);
    mfi_strings_free(one);
    mfi_strings_free(NULL);
}

/* Each allocation fails once. */
static void test_without_memory(void)
{
    const char *const args[] = {"one", "two", NULL};
    const char *const env[] = {"A=1", NULL};
    mf_parent_options options = plain();
    bool reached = true;
    long refused = 0;
    options.args = args;
    options.env = env;
    options.client_name = "client";
    options.working_directory = "/";
    options.registry_directory = "/tmp";
    for (long n = 0; reached; n++) {
        mf_runtime *runtime = NULL;
        mfi_parent_settings at = {.index = 0};
        mf_alloc_fail_at(n);
        mf_status status = mfi_parent_settings_init(&at, &options, &runtime, NULL);
        reached = mf_alloc_stop();
        mf_check_int(status, reached ? MF_ERR_NO_MEMORY : MF_OK);
        refused += reached;
        mfi_parent_settings_fini(&at);
    }
    mf_check(refused > 10);
}

static const mf_test tests[] = {
    {"options__defaults", test_defaults},
    {"options__restarts_and_circuit", test_restarts_and_circuit},
    {"options__numbers_that_are_refused", test_numbers_that_are_refused},
    {"options__target_is_made_up", test_target_is_made_up},
    {"options__worker_has_its_number", test_worker_has_its_number},
    {"options__names_that_are_refused", test_names_that_are_refused},
    {"options__texts_are_copied", test_texts_are_copied},
    {"options__string_lists", test_string_lists},
    {"options__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
