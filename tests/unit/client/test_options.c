/* A parent's options become settings, or an error names the option that is wrong or means nothing.
 */
#include "core/client/options.h"

#include <string.h>

#include "mf_test.h"

static mf_status check(mf_parent_options options, mf_error *error)
{
    mfi_parent_settings settings = {.index = 0};
    mf_runtime *runtime = NULL;
    options.struct_size = sizeof options;
    *error = (mf_error)MF_ERROR_INIT;
    mf_status status = mfi_parent_settings_init(&settings, &options, &runtime, error);
    mfi_parent_settings_fini(&settings);
    return status;
}

static void check_refused(mf_parent_options options, const char *text)
{
    mf_error error;
    mf_check_int(check(options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, text);
}

static void check_accepted(mf_parent_options options)
{
    mf_error error;
    mf_check_int(check(options, &error), MF_OK);
    mf_check_str(error.message, "");
}

static const char *const texts[] = {"A=1", NULL};
static const char *const no_texts[] = {NULL};

/* ---- Modes ---- */

static void test_one_mode_is_chosen(void)
{
    check_refused((mf_parent_options){.program = "", .service_id = ""},
                  "program or service_id is missing");
    check_refused((mf_parent_options){.program = "p", .service_id = "s"},
                  "program and service_id exclude each other");
    check_accepted((mf_parent_options){.program = "p", .service_id = ""});
    check_accepted((mf_parent_options){.program = "", .service_id = "s"});
}

static void test_an_empty_program_is_none(void)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mfi_parent_settings settings = {.index = 0};
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
        mf_check_int(check(options, &error), MF_ERR_INVALID_ARGUMENT);
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
    check_refused((mf_parent_options){.program = "p", .port = 80},
                  "port must be 1024 to 65535, or 0 for a free one, not 80");
    check_refused((mf_parent_options){.program = "p", .port = 1023},
                  "port must be 1024 to 65535, or 0 for a free one, not 1023");
    check_accepted((mf_parent_options){.program = "p", .port = 1024});
    check_accepted((mf_parent_options){.program = "p", .port = 65535});
}

static const mf_test tests[] = {
    {"options__one_mode_is_chosen", test_one_mode_is_chosen},
    {"options__an_empty_program_is_none", test_an_empty_program_is_none},
    {"options__of_the_other_mode_are_named", test_options_of_the_other_mode_are_named},
    {"options__what_is_no_choice_is_accepted", test_what_is_no_choice_is_accepted},
    {"options__ports_that_a_worker_refuses", test_ports_that_a_worker_refuses},
};
MF_TEST_MAIN(tests)
