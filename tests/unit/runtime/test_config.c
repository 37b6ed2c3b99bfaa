/* Which names the metrics have, by option and environment, and the fingerprint that
 * multifrost_config_info shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/runtime.h"
#include "metrics/metric_set.h"
#include "mf_test.h"

#define HASH_SIZE 17

static mf_runtime_options plain(void)
{
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.service = "shop";
    options.instance = "shop-1";
    return options;
}

static mf_runtime *make(const mf_runtime_options *options)
{
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, options, NULL), MF_OK);
    return runtime;
}

static char *page_of(mf_runtime *runtime)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    return text;
}

static void read_hash(mf_runtime *runtime, char hash[HASH_SIZE])
{
    static const char head[] = "\nmultifrost_config_info{hash=\"";
    char *text = page_of(runtime);
    const char *found = strstr(text, head);
    mf_check(found != NULL);
    if (found != NULL) {
        found += sizeof head - 1;
        (void)snprintf(hash, HASH_SIZE, "%.16s", found);
        mf_check_int(strspn(found, "0123456789abcdef"), HASH_SIZE - 1);
        mf_check(strstr(found, head) == NULL); /* there is one */
    }
    free(text);
}

static void hash_of(const mf_runtime_options *options, char hash[HASH_SIZE])
{
    mf_runtime *runtime = make(options);
    read_hash(runtime, hash);
    mf_runtime_destroy(runtime);
}

/* ---- Names ---- */

/* A family without series is on no page. */
static void see_family(mf_family *family, void *user_data)
{
    char *seen = user_data;
    const char *word = strcmp(family->name, "rpc_client_call_duration_seconds") == 0 ? "otel"
                       : strcmp(family->name, "multifrost_client_call_duration_seconds") == 0
                           ? "native"
                           : "";
    strncat(seen, word, 16);
}

static void check_names(mf_metric_names names, const char *variable, const char *wanted)
{
    mf_runtime_options options = plain();
    options.metric_names = names;
    (void)setenv("COMLINK_METRIC_NAMES", variable, 1);
    mf_runtime *runtime = make(&options);
    (void)unsetenv("COMLINK_METRIC_NAMES");
    char seen[64] = "";
    mfi_metric_set_show(mf_runtime_metrics(runtime), see_family, seen);
    mf_check_str(seen, wanted);
    mf_runtime_destroy(runtime);
}

static void test_names(void)
{
    check_names(MF_METRIC_NAMES_DEFAULT, "", "native");
    check_names(MF_METRIC_NAMES_DEFAULT, "native", "native");
    check_names(MF_METRIC_NAMES_DEFAULT, "otel", "otel");
    check_names(MF_METRIC_NAMES_OTEL, "native", "otel"); /* the option goes before */
    check_names(MF_METRIC_NAMES_NATIVE, "otel", "native");
}

static void test_names_that_are_refused(void)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = plain();
    (void)setenv("COMLINK_METRIC_NAMES", "OpenTelemetry", 1);
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_ERR_INVALID_ARGUMENT);
    (void)unsetenv("COMLINK_METRIC_NAMES");
    mf_check_str(error.message,
                 "COMLINK_METRIC_NAMES is 'OpenTelemetry'; it must be native or otel");
    options.metric_names = (mf_metric_names)3;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "metric_names 3");
    mf_check(runtime == NULL);
}

/* ---- The fingerprint ---- */

static void check_changes(const char *before, const mf_runtime_options *options, bool wanted)
{
    char hash[HASH_SIZE] = "";
    hash_of(options, hash);
    mf_check((strcmp(hash, before) != 0) == wanted);
}

static void test_what_changes_it(void)
{
    char before[HASH_SIZE] = "";
    mf_runtime_options options = plain();
    hash_of(&options, before);
    const mf_runtime_options changed[] = {
        {.service = "other"},
        {.service_version = "2"},
        {.service_namespace = "n"},
        {.role = "child"},
        {.log_level = MF_LOG_DEBUG},
        {.log_sample_first = 1},
        {.max_targets = 63},
        {.transport = MF_TRANSPORT_LIBZMQ},
        {.redact_value_bytes = 9},
        {.metric_names = MF_METRIC_NAMES_OTEL},
        {.no_segments = true},
        {.crashes_kept = 31},
        {.recorder_bytes = 100000},
        {.recorder_bytes = MF_DISABLED},
        {.recorder_seconds = 599},
        {.redact_keys = (const char *const[]){"pin", NULL}},
        {.baggage_keys = (const char *const[]){"pin", NULL}},
        {.required_targets = (const char *const[]){"math", NULL}},
    };
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        options = changed[i];
        options.struct_size = sizeof options;
        options.service = options.service != NULL ? options.service : "shop";
        check_changes(before, &options, true);
    }
}

static void test_what_does_not_change_it(void)
{
    char before[HASH_SIZE] = "";
    char path[256];
    mf_runtime_options options = plain();
    hash_of(&options, before);
    options.instance = "shop-2";
    (void)snprintf(path, sizeof path, "%s/config.log", mf_test_temp_dir());
    options.log_file = path;
    options.max_targets = 64; /* the defaults, said */
    options.crashes_kept = 32;
    options.recorder_bytes = 1024 * 1024;
    options.recorder_seconds = 600;
    check_changes(before, &options, false);
    options = plain();
    options.required_targets = (const char *const[]){"a", "b", NULL};
    hash_of(&options, before);
    options.required_targets = (const char *const[]){"b", "a", NULL};
    check_changes(before, &options, false);
}

static void test_components_change_it(void)
{
    char alone[HASH_SIZE] = "";
    char both[HASH_SIZE] = "";
    char now[HASH_SIZE] = "";
    mfi_component a = {.target = "a", .config = 1};
    mfi_component b = {.target = "b", .config = 2};
    mf_runtime_options options = plain();
    mf_runtime *runtime = make(&options);
    read_hash(runtime, alone);
    mfi_runtime_add_component(runtime, &a);
    read_hash(runtime, now);
    mf_check(strcmp(now, alone) != 0);
    mfi_runtime_add_component(runtime, &b);
    read_hash(runtime, both);
    mf_check(strcmp(now, both) != 0);
    mfi_runtime_remove_component(runtime, &a);
    mfi_runtime_remove_component(runtime, &b);
    read_hash(runtime, now);
    mf_check_str(now, alone);
    mfi_runtime_add_component(runtime, &b); /* in another order */
    mfi_runtime_add_component(runtime, &a);
    read_hash(runtime, now);
    mf_check_str(now, both);
    mfi_component second = {.target = "a", .config = 1}; /* counts although it is equal */
    mfi_runtime_add_component(runtime, &second);
    read_hash(runtime, now);
    mf_check(strcmp(now, both) != 0);
    mfi_runtime_remove_component(runtime, &a);
    mfi_runtime_remove_component(runtime, &b);
    mfi_runtime_remove_component(runtime, &second);
    mf_runtime_destroy(runtime);
}

static void test_without_metrics(void)
{
    mf_runtime_options options = plain();
    options.no_metrics = true;
    mf_runtime *runtime = make(&options);
    char *text = page_of(runtime);
    mf_check(strstr(text, "config_info{") == NULL);
    free(text);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"config__names", test_names},
    {"config__names_that_are_refused", test_names_that_are_refused},
    {"config__what_changes_it", test_what_changes_it},
    {"config__what_does_not_change_it", test_what_does_not_change_it},
    {"config__components_change_it", test_components_change_it},
    {"config__without_metrics", test_without_metrics},
};
MF_TEST_MAIN(tests)
