/* Options and the environment become settings, or an error names the wrong one. */
#include "core/server/options.h"

#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

static void test_options_are_named_when_they_are_wrong(void)
{
    static const struct {
        const char *name;
        mf_child_options options;
    } wrong[] = {
        {"threads", {.threads = 257}},
        {"threads", {.threads = -1}},
        {"max_queued", {.max_queued = -1}},
        {"max_message_bytes", {.max_message_bytes = 1023}}, /* an error has to fit */
        {"max_queued_bytes", {.max_queued_bytes = 2047, .max_message_bytes = 2048}},
        {"max_string_bytes", {.max_string_bytes = -5}},
        {"max_string_bytes", {.max_string_bytes = 255}},
        {"max_items", {.max_items = INT64_MAX}},
        {"max_items", {.max_items = 15}}, /* less than a message itself has */
        {"deferred_timeout_ms", {.deferred_timeout_ms = -1}},
        {"lock_timeout_ms", {.lock_timeout_ms = -1}},
        {"handler_sampling must be 1 to 2147483647, not -2", {.handler_sampling = -2}},
        {"bind_address", {.bind_address = "localhost"}},
        {"bind 'tcp://127.0.0.1': the port is missing", {.bind = "tcp://127.0.0.1"}},
        {"bind '127.0.0.1:5555': it must begin", {.bind = "127.0.0.1:5555"}},
        {"bind 'tcp://127.0.0.1:65536': the port must be 0 to", {.bind = "tcp://127.0.0.1:65536"}},
        {"bind 'tcp://*:5555': the address must be numeric", {.bind = "tcp://*:5555"}},
        {"bind excludes port", {.bind = "tcp://127.0.0.1:5555", .port = 5555}},
        {"bind excludes bind_address",
         {.bind = "tcp://127.0.0.1:5555", .bind_address = "127.0.0.1"}},
        {"service_id", {.service_id = "a\nb"}},
        {"service_id",
         {.service_id = "a\xc2\x9b"
                        "b"}}, /* C1 */
        {"namespace_name", {.namespace_name = "\xff"}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mf_error error = MF_ERROR_INIT;
        mf_child_options options = wrong[i].options;
        mfi_child_settings settings = {0};
        options.service_id = options.service_id != NULL ? options.service_id : "x";
        mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, wrong[i].name);
        mfi_child_settings_fini(&settings);
    }
}

static void test_defaults_are_those_of_the_header(void)
{
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    const mf_child_options options = {.service_id = "math/v1: a"};
    mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_OK);
    mf_check_str(settings.service_id, "math/v1: a");
    mf_check_str(settings.name, "math_v1__a"); /* fit for a label */
    mf_check_str(settings.namespace_name, "default");
    mf_check_str(settings.bind_address, "127.0.0.1");
    mf_check_int(settings.port, 0);
    mf_check_int(settings.threads, 1);
    mf_check_int(settings.max_queued, 10000);
    mf_check_int(settings.max_queued_bytes, 67108864);
    mf_check_int(settings.max_message_bytes, 67108864);
    mf_check_int(settings.limits.string_bytes, 10485760);
    mf_check_int(settings.limits.items, 100000);
    mf_check_int(settings.deferred_timeout_ms, 30000);
    mf_check(!settings.no_signals);
    mf_check(!settings.forwards_output); /* a journal gets what a service prints */
    mfi_child_settings_fini(&settings);
}

static void test_sampling_may_be_turned_off(void)
{
    static const struct {
        int32_t given;
        uint32_t wanted;
    } cases[] = {{0, 64}, {1, 1}, {INT32_MAX, INT32_MAX}, {MF_DISABLED, 0}};
    uint64_t before = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_child_settings settings = {0};
        const mf_child_options options = {.service_id = "x", .handler_sampling = cases[i].given};
        mf_check_int(mfi_child_settings_init(&settings, &options, NULL), MF_OK);
        mf_check_int(settings.handler_sampling, cases[i].wanted);
        mf_check(mfi_child_settings_fingerprint(&settings) != before); /* of the case before */
        before = mfi_child_settings_fingerprint(&settings);
        mfi_child_settings_fini(&settings);
    }
}

static void test_texts_are_copied(void)
{
    char space[] = "space";
    char id[] = "id";
    char address[] = "127.0.0.2";
    mfi_child_settings settings = {0};
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = {
        .service_id = id, .namespace_name = space, .bind_address = address, .port = 5000};
    mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_OK);
    memset(space, 'x', sizeof space - 1);
    memset(id, 'x', sizeof id - 1);
    memset(address, 'x', sizeof address - 1);
    mf_check_str(settings.namespace_name, "space");
    mf_check_str(settings.service_id, "id");
    mf_check_str(settings.bind_address, "127.0.0.2");
    mf_check_int(settings.port, 5000);
    mfi_child_settings_fini(&settings);
}

static mf_status init_with_port(mfi_child_settings *settings, const char *port, mf_error *error)
{
    const mf_child_options options = {.service_id = "ignored"};
    (void)setenv("COMLINK_ZMQ_PORT", port, 1);
    mf_status status = mfi_child_settings_init(settings, &options, error);
    (void)unsetenv("COMLINK_ZMQ_PORT");
    return status;
}

static void test_parents_port_means_spawn_mode(void)
{
    static const char *const wrong[] = {"80", "1023",  "65536", "70000",
                                        "x",  "5000x", " 5000", "-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mf_error error = MF_ERROR_INIT;
        mfi_child_settings settings = {0};
        mf_check_int(init_with_port(&settings, wrong[i], &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, "FATAL: Invalid port");
        mf_check_contains(error.message, wrong[i]);
        mfi_child_settings_fini(&settings);
    }
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    mf_check_int(init_with_port(&settings, "1024", &error), MF_OK);
    mf_check_int(settings.port, 1024);
    mf_check(settings.service_id == NULL && settings.bind_address == NULL);
    mf_check(settings.name[0] != '\0');
    mfi_child_settings_fini(&settings);
    settings = (mfi_child_settings){0};
    mf_check_int(init_with_port(&settings, "", &error), MF_OK); /* as if it were not there */
    mf_check_str(settings.service_id, "ignored");
    mfi_child_settings_fini(&settings);
}

static void check_forwards(const mf_child_options *options, const char *port, bool wanted)
{
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    (void)setenv("COMLINK_ZMQ_PORT", port, 1);
    mf_check_int(mfi_child_settings_init(&settings, options, &error), MF_OK);
    mf_check_int(settings.forwards_output, wanted);
    mfi_child_settings_fini(&settings);
}

static void test_output_is_forwarded_to_a_parent_or_where_asked_for(void)
{
    mf_child_options options = {.service_id = "x"};
    check_forwards(&options, "5000", true);
    check_forwards(&options, "", false);
    options.forward_output = true;
    check_forwards(&options, "", true);
    options.no_output_capture = true;
    check_forwards(&options, "", false);
    check_forwards(&options, "5000", false);
}

/* The parent's name of the worker goes before the program's own. */
static void test_a_worker_has_the_name_that_it_is_given(void)
{
    static const char *const given[] = {"math-3", "a b:c", ""};
    static const char *const wanted[] = {"math-3", "a_b_c", "test_server_options"};
    const mf_child_options options = {0};
    for (size_t i = 0; i < 3; i++) {
        mf_error error = MF_ERROR_INIT;
        mfi_child_settings settings = {0};
        (void)setenv("COMLINK_ZMQ_PORT", "5000", 1);
        (void)setenv("COMLINK_WORKER_NAME", given[i], 1);
        mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_OK);
        mf_check_str(settings.name, wanted[i]);
        mfi_child_settings_fini(&settings);
    }
}

static void test_private_variables_are_for_one_child(void)
{
    static const char *const names[] = {"COMLINK_ZMQ_PORT", "COMLINK_WORKER_MODE",
                                        "COMLINK_WORKER_NAME", "COMLINK_OUTPUT_PIPES"};
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    const mf_child_options options = {0};
    for (int i = 0; i < 4; i++) {
        (void)setenv(names[i], i == 0 ? "5000" : "1", 1);
    }
    mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_OK);
    for (int i = 0; i < 4; i++) {
        mf_check(getenv(names[i]) == NULL);
    }
    mfi_child_settings_fini(&settings);
    settings = (mfi_child_settings){0};
    mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "FATAL: Need COMLINK_ZMQ_PORT");
    mfi_child_settings_fini(&settings);
}

/* ---- Fixed addresses ---- */

static void check_bound(const mf_child_options *options, const char *address, uint16_t port,
                        const char *name)
{
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    mf_check_int(mfi_child_settings_init(&settings, options, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(settings.binds && !settings.registers);
    mf_check_str(settings.bind_address, address);
    mf_check_int(settings.port, port);
    mf_check(name == NULL ? settings.service_id == NULL : settings.name[0] != '\0');
    mf_check_str(settings.service_id != NULL ? settings.service_id : "", name != NULL ? name : "");
    mfi_child_settings_fini(&settings);
}

static void test_a_child_at_a_fixed_address_does_not_register(void)
{
    mf_child_options options = {.bind = "tcp://0.0.0.0:5555"};
    check_bound(&options, "0.0.0.0", 5555, NULL);
    options.service_id = "math";
    check_bound(&options, "0.0.0.0", 5555, "math");
    options.bind = "tcp://[::1]:0";
    check_bound(&options, "::1", 0, "math");
}

static void test_the_environment_gives_a_fixed_address(void)
{
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    mf_child_options options = {
        .service_id = "math", .bind_address = "127.0.0.2", .port = 7, .registry_directory = "/x"};
    (void)setenv("COMLINK_BIND", "tcp://127.0.0.1:5555", 1);
    check_bound(&options, "127.0.0.1", 5555, "math");
    mf_check(getenv("COMLINK_BIND") == NULL); /* for this one child */
    (void)setenv("COMLINK_BIND", "tcp://127.0.0.1:5555", 1);
    check_bound(&(mf_child_options){.bind = "tcp://127.0.0.9:9"}, "127.0.0.9", 9, NULL);
    (void)setenv("COMLINK_BIND", "5555", 1);
    mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "COMLINK_BIND '5555': it must begin with tcp://");
    mfi_child_settings_fini(&settings);
    settings = (mfi_child_settings){0};
    (void)setenv("COMLINK_BIND", "", 1); /* as if it were not there */
    mf_check_int(mfi_child_settings_init(&settings, &options, &error), MF_OK);
    mf_check(settings.registers);
    mf_check_str(settings.bind_address, "127.0.0.2");
    mfi_child_settings_fini(&settings);
    (void)unsetenv("COMLINK_BIND");
}

/* A spawned worker belongs to its parent, whatever it inherited. */
static void test_a_parents_port_comes_before_a_fixed_address(void)
{
    mf_error error = MF_ERROR_INIT;
    mfi_child_settings settings = {0};
    (void)setenv("COMLINK_BIND", "tcp://127.0.0.1:5555", 1);
    mf_check_int(init_with_port(&settings, "4711", &error), MF_OK);
    mf_check_int(settings.port, 4711);
    mf_check(!settings.binds && !settings.registers);
    mf_check(getenv("COMLINK_BIND") == NULL);
    mfi_child_settings_fini(&settings);
}

static const mf_test tests[] = {
    {"options__a_worker_has_the_name_that_it_is_given",
     test_a_worker_has_the_name_that_it_is_given},
    {"options__are_named_when_they_are_wrong", test_options_are_named_when_they_are_wrong},
    {"options__defaults_are_those_of_the_header", test_defaults_are_those_of_the_header},
    {"options__texts_are_copied", test_texts_are_copied},
    {"options__sampling_may_be_turned_off", test_sampling_may_be_turned_off},
    {"options__parents_port_means_spawn_mode", test_parents_port_means_spawn_mode},
    {"options__output_is_forwarded_to_a_parent_or_where_asked_for",
     test_output_is_forwarded_to_a_parent_or_where_asked_for},
    {"options__a_child_at_a_fixed_address_does_not_register",
     test_a_child_at_a_fixed_address_does_not_register},
    {"options__the_environment_gives_a_fixed_address", test_the_environment_gives_a_fixed_address},
    {"options__a_parents_port_comes_before_a_fixed_address",
     test_a_parents_port_comes_before_a_fixed_address},
    {"options__private_variables_are_for_one_child", test_private_variables_are_for_one_child},
};

MF_TEST_MAIN(tests)
