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
    mfi_parent_settings settings = {.is_member = false};
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
    mf_check_int(at.max_queued_bytes, 67108864);
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
    CHECK_BAD(max_queued_bytes, -1);
    CHECK_BAD(max_queued_bytes, INT64_MAX);
    CHECK_BAD(max_queued_bytes, MFI_MESSAGE_MAX_BYTES - 1); /* less than max_message_bytes */
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
    mfi_parent_settings at = {.is_member = true};
    mf_runtime *runtime = NULL;
    mf_parent_options options = plain();
    mf_check_int(mfi_parent_settings_init(&at, &options, &runtime, NULL), MF_OK);
    mf_check_int(mfi_parent_settings_name(&at, 3, NULL), MF_OK);
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
    check_refused(&neither, "program, service_id or endpoint is missing");
    neither.program = "";
    check_refused(&neither, "program, service_id or endpoint is missing");
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
    for (long n = 0; reached; n++) {
        mf_runtime *runtime = NULL;
        mfi_parent_settings at = {.is_member = false};
        mf_alloc_fail_at(n);
        mf_status status = mfi_parent_settings_init(&at, &options, &runtime, NULL);
        reached = mf_alloc_stop();
        mf_check_int(status, reached ? MF_ERR_NO_MEMORY : MF_OK);
        refused += reached;
        mfi_parent_settings_fini(&at);
    }
    mf_check(refused > 10);
}

static mf_status read_once(mf_parent_options options, mf_error *error)
{
    mfi_parent_settings settings = {.is_member = false};
    mf_runtime *runtime = NULL;
    options.struct_size = sizeof options;
    *error = (mf_error)MF_ERROR_INIT;
    mf_status status = mfi_parent_settings_init(&settings, &options, &runtime, error);
    mfi_parent_settings_fini(&settings);
    return status;
}

static void check_refusal(mf_parent_options options, const char *text)
{
    mf_error error;
    mf_check_int(read_once(options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, text);
}

static void check_accepted(mf_parent_options options)
{
    mf_error error;
    mf_check_int(read_once(options, &error), MF_OK);
    mf_check_str(error.message, "");
}

static const char *const texts[] = {"A=1", NULL};
static const char *const no_texts[] = {NULL};

/* ---- Fixed addresses ---- */

static void test_an_endpoint_is_a_mode_of_its_own(void)
{
    static const struct {
        mf_parent_options options;
        const char *error;
    } bad[] = {
        {{.endpoint = "127.0.0.1:5555"}, "endpoint '127.0.0.1:5555': it must begin with tcp://"},
        {{.endpoint = "ipc://127.0.0.1:5555"},
         "endpoint 'ipc://127.0.0.1:5555': it must begin with tcp://"},
        {{.endpoint = "tcp://127.0.0.1"}, "endpoint 'tcp://127.0.0.1': the port is missing"},
        {{.endpoint = "tcp://127.0.0.1:0"},
         "endpoint 'tcp://127.0.0.1:0': the port must be 1 to 65535"},
        {{.endpoint = "tcp://127.0.0.1:70000"},
         "endpoint 'tcp://127.0.0.1:70000': the port must be 1 to 65535"},
        {{.endpoint = "tcp://127.0.0.1:5555 "},
         "endpoint 'tcp://127.0.0.1:5555 ': the port must be 1 to 65535"},
        {{.endpoint = "tcp://here:5555"},
         "endpoint 'tcp://here:5555': the address must be numeric (IPv6 in brackets) or localhost"},
        {{.endpoint = "tcp://127.0.0.1:5555", .service_id = "math"},
         "service_id and endpoint exclude each other"},
        {{.endpoint = "tcp://127.0.0.1:5555", .program = "./math"},
         "program and endpoint exclude each other"},
        {{.endpoint = "tcp://127.0.0.1:5555", .program = "./math", .service_id = "math"},
         "program and endpoint exclude each other"},
        {{.endpoint = "tcp://127.0.0.1:5555", .args = texts},
         "args is an option of program, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .env = texts},
         "env is an option of program, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .working_directory = "/"},
         "working_directory is an option of program, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .port = 5555},
         "port is an option of program, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .auto_restart = true},
         "auto_restart is an option of program, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .handler_timeout_ms = 1},
         "handler_timeout_ms needs program, auto_restart and heartbeats"},
        {{.endpoint = "tcp://127.0.0.1:5555", .registry_directory = "/"},
         "registry_directory is an option of service_id, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .discovery_timeout_ms = 1},
         "discovery_timeout_ms is an option of service_id, and means nothing with endpoint"},
        {{.endpoint = "tcp://127.0.0.1:5555", .bind_address = "127.0.0.1"},
         "bind_address is an option of program, and means nothing with endpoint"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_refusal(bad[i].options, bad[i].error);
    }
}

/* A label has no port: the port of a service in a container may change with each start. */
static void test_an_endpoints_target_has_no_port(void)
{
    static const struct {
        const char *endpoint, *target, *address;
    } good[] = {
        {"tcp://10.1.2.3:5555", "10.1.2.3", "10.1.2.3"},
        {"tcp://localhost:5555", "127.0.0.1", "127.0.0.1"},
        {"tcp://[fd00::1]:5555", "fd00__1", "fd00::1"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mfi_parent_settings at;
        mf_parent_options options = MF_PARENT_OPTIONS_INIT;
        options.endpoint = good[i].endpoint;
        options.start_timeout_ms = 700;
        read_options(&at, &options);
        mf_check_str(at.target, good[i].target);
        mf_check_str(at.bind_address, good[i].address);
        mf_check_str(at.endpoint, good[i].endpoint);
        mf_check_int(at.port, 5555);
        mf_check_int(at.discovery_timeout_ms, 700);
        mf_check(at.program == NULL && at.service_id == NULL);
        mfi_parent_settings_fini(&at);
    }
    mfi_parent_settings named;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.endpoint = "tcp://10.1.2.3:5555";
    options.target = "math";
    read_options(&named, &options);
    mf_check_str(named.target, "math");
    mfi_parent_settings_fini(&named);
}

/* ---- Modes ---- */

static void test_one_mode_is_chosen(void)
{
    check_refusal((mf_parent_options){.program = "", .service_id = ""},
                  "program, service_id or endpoint is missing");
    check_refusal((mf_parent_options){.program = "p", .service_id = "s"},
                  "program and service_id exclude each other");
    check_accepted((mf_parent_options){.program = "p", .service_id = ""});
    check_accepted((mf_parent_options){.program = "", .service_id = "s"});
}

static void test_an_empty_program_is_none(void)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mfi_parent_settings settings = {.is_member = false};
    mf_runtime *runtime = NULL;
    options.program = "";
    options.service_id = "s";
    mf_check_int(mfi_parent_settings_init(&settings, &options, &runtime, NULL), MF_OK);
    mf_check(settings.program == NULL);
    mf_check_str(settings.service_id, "s");
    mfi_parent_settings_fini(&settings);
}

static void test_options_of_the_other_mode_are_named(void)
{
    static const struct {
        const char *name;
        bool of_connect_mode;
        mf_parent_options options;
    } cases[] = {
        {"args", false, {.args = texts}},
        {"env", false, {.env = texts}},
        {"working_directory", false, {.working_directory = "/"}},
        {"port", false, {.port = 5000}},
        {"auto_restart", false, {.auto_restart = true}},
        {"restart_period_ms", false, {.restart_period_ms = 1}},
        {"restart_backoff_ms", false, {.restart_backoff_ms = 1}},
        {"restart_backoff_max_ms", false, {.restart_backoff_max_ms = 1}},
        {"restart_stable_ms", false, {.restart_stable_ms = 1}},
        {"registry_directory", true, {.registry_directory = "/tmp"}},
        {"discovery_timeout_ms", true, {.discovery_timeout_ms = 1}},
        {"discovery_poll_ms", true, {.discovery_poll_ms = 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mf_error error;
        mf_parent_options options = cases[i].options;
        options.program = cases[i].of_connect_mode ? "p" : NULL;
        options.service_id = cases[i].of_connect_mode ? NULL : "s";
        mf_check_int(read_once(options, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check(strncmp(error.message, cases[i].name, strlen(cases[i].name)) == 0);
        mf_check_contains(error.message, cases[i].of_connect_mode
                                             ? "means nothing with program"
                                             : "means nothing with service_id");
        options.program = cases[i].of_connect_mode ? NULL : "p";
        options.service_id = cases[i].of_connect_mode ? "s" : NULL;
        check_accepted(options);
    }
}

/* Defaults that are written out, and options that both modes read. */
static void test_what_is_no_choice_is_accepted(void)
{
    check_accepted((mf_parent_options){
        .service_id = "s", .args = no_texts, .env = no_texts, .working_directory = ""});
    check_accepted((mf_parent_options){.program = "p", .registry_directory = ""});
    check_accepted((mf_parent_options){.service_id = "s",
                                       .max_restart_attempts = 3, /* of the circuit too */
                                       .stop_timeout_ms = 1,
                                       .start_timeout_ms = 1,
                                       .fail_fast = true});
}

/* ---- Values ---- */

static void test_ports_that_a_worker_refuses(void)
{
    check_refusal((mf_parent_options){.program = "p", .port = 80},
                  "port must be 1024 to 65535, or 0 for a free one, not 80");
    check_refusal((mf_parent_options){.program = "p", .port = 1023},
                  "port must be 1024 to 65535, or 0 for a free one, not 1023");
    check_accepted((mf_parent_options){.program = "p", .port = 1024});
    check_accepted((mf_parent_options){.program = "p", .port = 65535});
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
    {"options__an_endpoint_is_a_mode_of_its_own", test_an_endpoint_is_a_mode_of_its_own},
    {"options__an_endpoints_target_has_no_port", test_an_endpoints_target_has_no_port},
    {"options__one_mode_is_chosen", test_one_mode_is_chosen},
    {"options__an_empty_program_is_none", test_an_empty_program_is_none},
    {"options__of_the_other_mode_are_named", test_options_of_the_other_mode_are_named},
    {"options__what_is_no_choice_is_accepted", test_what_is_no_choice_is_accepted},
    {"options__ports_that_a_worker_refuses", test_ports_that_a_worker_refuses},
    {"options__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
