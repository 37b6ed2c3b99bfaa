/* /overview: the bytes for a given metric set, and what its query may say. */
#include "http/overview.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "metrics/evaluation.h"
#include "metrics/metric_set.h"
#include "mf_alloc.h"
#include "page_support.h"

static const char *const target_labels[] = {"target", "function", "outcome"};
static const char *const worker_labels[] = {"target", "worker", "function", "status"};

static mf_family *add_family(mf_metrics *metrics, mf_metric_type type, const char *name,
                             const char *const *labels, size_t label_count)
{
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.unit = type == MF_METRIC_HISTOGRAM ? "seconds" : NULL;
    options.help = "Help";
    options.label_names = labels;
    options.label_count = label_count;
    mf_check_int(mfi_metric_set_add(metrics, &options, &family, NULL), MF_OK);
    return family;
}

static void add_calls(mf_metrics *metrics)
{
    static const char *const labels[] = {"target", "function", "status"};
    static const char *const ended[][4] = {
        {"math", "add", "ok"}, {"math", "add", "timeout"}, {"text", "cut", "app_error"}};
    static const char *const handled[][4] = {{"math", "math-0", "add", "ok"},
                                             {"math", "math-1", "add", "ok"}};
    static const char *const timed[][4] = {
        {"math", "add", "error"}, {"math", "add", "ok"}, {"text", "cut", "error"}};
    mf_family *client =
        add_family(metrics, MF_METRIC_COUNTER, "multifrost_client_calls_total", labels, 3);
    mf_family *server =
        add_family(metrics, MF_METRIC_COUNTER, "multifrost_server_calls_total", worker_labels, 4);
    mf_family *durations = add_family(metrics, MF_METRIC_HISTOGRAM,
                                      "multifrost_client_call_duration_seconds", target_labels, 3);
    for (uint64_t i = 0; i < 3; i++) {
        mf_counter_add(mf_family_counter(client, ended[i]), i + 1);
        mf_histogram_record_ns(mf_family_histogram(durations, timed[i]), (i + 1) * 1000000);
    }
    mf_counter_add(mf_family_counter(server, handled[0]), 4);
    mf_counter_add(mf_family_counter(server, handled[1]), 5);
}

static mf_metrics *metrics_of_all(void)
{
    static const char *const math[] = {"math"};
    static const char *const worker[] = {"math", "math-0"};
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    add_calls(metrics);
    mf_family *in_flight =
        add_family(metrics, MF_METRIC_GAUGE, "multifrost_client_calls_in_flight", target_labels, 1);
    mf_family *memory = add_family(metrics, MF_METRIC_GAUGE,
                                   "multifrost_worker_resident_memory_bytes", worker_labels, 2);
    mf_family *start = add_family(metrics, MF_METRIC_GAUGE, "process_start_time_seconds", NULL, 0);
    mf_gauge_set(mf_family_gauge(in_flight, math), 7);
    mf_gauge_set(mf_family_gauge(memory, worker), 4096);
    mf_gauge_set(mf_family_gauge(start, NULL), 1.5);
    return metrics;
}

static void visit_circuits(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    mf_circuit_row row = {.struct_size = sizeof row, .target = "math", .state = "open"};
    (void)self;
    row.worker = (mf_circuit_worker){.name = "math-0",
                                     .state = "restarting",
                                     .restarts = 3,
                                     .restart_in_seconds = 0.5,
                                     .last_exit = "exit code 3",
                                     .last_exit_code = 3};
    visit(&row, user_data);
    row.worker.name = NULL; /* no worker is known behind this circuit */
    visit(&row, user_data);
}

static char *get(const mf_probe *probe, const mfi_page_argument *argument, int code)
{
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_request request = plain_request(probe);
    request.arguments = argument;
    request.argument_count = argument != NULL;
    mfi_page_overview(&request, &page);
    mf_check_int(page.code, code);
    mf_check_str(page.type, "application/json");
    return body_of(&page);
}

static void test_all(void)
{
    mf_metrics *metrics = metrics_of_all();
    const mf_probe probe = {.struct_size = sizeof probe,
                            .metrics = metrics,
                            .info = {.service = "s", .version = "1", .instance = "i"},
                            .visit_circuits = visit_circuits};
    static const mfi_page_argument target = {"target", "math"};
    char *text = get(&probe, &target, 200);
    mf_check(strstr(text, "{\"schema\":\"multifrost.overview/1\",\"time\":\"2") == text);
    mf_check_contains(text, "\"service\":\"s\",\"version\":\"1\",\"instance\":\"i\",\"process\":"
                            "{\"start_time_seconds\":1.5,\"cpu_seconds\":null,"
                            "\"memory_bytes\":null},\"totals\":{\"calls\":6,\"errors\":2,"
                            "\"app_errors\":3,\"p50_seconds\":null,");
    mf_check_contains(text, "{\"target\":\"math\",\"calls\":3,\"errors\":2,\"app_errors\":0,");
    mf_check_contains(text, "\"in_flight\":7,\"oldest_call_seconds\":null,");
    mf_check_contains(text, "{\"seen_by\":\"caller\",\"target\":\"math\",\"function\":\"add\","
                            "\"calls\":3,\"errors\":2,\"app_errors\":0,\"p50_seconds\":0.00");
    mf_check_contains(text, "{\"seen_by\":\"caller\",\"target\":\"text\",\"function\":\"cut\","
                            "\"calls\":3,\"errors\":0,\"app_errors\":3,\"p50_seconds\":0.00");
    mf_check_contains(text, "{\"seen_by\":\"worker\",\"target\":\"math\",\"function\":\"add\","
                            "\"calls\":9,\"errors\":0,\"app_errors\":0,\"p50_seconds\":null,");
    mf_check_contains(text, "\"workers\":[{\"target\":\"math\",\"worker\":\"math-0\","
                            "\"state\":\"restarting\",\"pid\":0,\"up\":null,\"cpu_seconds\":null,"
                            "\"memory_bytes\":4096,\"threads\":null,\"load\":null,"
                            "\"start_time_seconds\":null,\"restarts\":3,"
                            "\"restart_in_seconds\":0.5,\"last_exit\":{\"text\":\"exit code 3\","
                            "\"code\":3,\"signal\":0}}],\"workers_left_out\":0,");
    mf_check_contains(text, "\"history\":{\"target\":\"math\",\"step_seconds\":10,"
                            "\"calls_per_second\":[],");
    free(text);
    mf_metrics_destroy(metrics);
}

/* A point that is not known is null. */
static void test_history(void)
{
    mf_metrics *metrics = metrics_of_all();
    const mf_probe probe = {.metrics = metrics, .visit_circuits = visit_circuits};
    mfi_health health = {.probe = &probe};
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_request request = plain_request(&probe);
    mfi_history_init(&health.history);
    request.health = &health;
    mfi_history_feed(&health.history, metrics, 5 * MFI_HISTORY_STEP_NS, 1);
    mfi_history_feed(&health.history, metrics, 7 * MFI_HISTORY_STEP_NS,
                     UINT64_C(1767225600123456789));
    mfi_page_overview(&request, &page);
    char *text = body_of(&page);
    mf_check_contains(text, "\"history\":{\"target\":\"\",\"step_seconds\":10,"
                            "\"end\":\"2026-01-01T00:00:00.123Z\",\"calls_per_second\":[null,0],"
                            "\"errors_per_second\":[null,0],\"app_errors_per_second\":[null,0],"
                            "\"p50_seconds\":[null,null],");
    free(text);
    mfi_history_fini(&health.history);
    mf_metrics_destroy(metrics);
}

static void test_unknown_queries_are_refused(void)
{
    const mf_probe probe = {.struct_size = sizeof probe};
    static const mfi_page_argument wrong = {"worker", "math-0"};
    char *text = get(&probe, &wrong, 400);
    mf_check_contains(text, "'worker' is not known here: use target");
    free(text);
}

/* Rows beyond the table are counted. */
static void test_tables_are_bounded(void)
{
    static const char *const labels[] = {"target", "function", "status"};
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_family *calls =
        add_family(metrics, MF_METRIC_COUNTER, "multifrost_client_calls_total", labels, 3);
    for (int i = 0; i < MFI_OVERVIEW_ROWS_MAX + 2; i++) {
        char name[4] = {(char)('a' + i % 26), (char)('a' + i / 26)};
        const char *values[] = {"math", name, "ok"};
        mf_counter_add(mf_family_counter(calls, values), 1);
    }
    const mf_probe probe = {.metrics = metrics, .visit_circuits = visit_circuits};
    char *text = get(&probe, NULL, 200);
    mf_check_contains(text, "\"functions_left_out\":2,");
    mf_check_contains(text, "\"totals\":{\"calls\":258,");
    free(text);
    mf_metrics_destroy(metrics);
}

/* Targets beyond the lines of the ring are counted, and their open calls are in the sum. */
static void test_targets_are_bounded(void)
{
    static const char *const labels[] = {"target", "function", "status"};
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_family *calls =
        add_family(metrics, MF_METRIC_COUNTER, "multifrost_client_calls_total", labels, 3);
    mf_family *in_flight =
        add_family(metrics, MF_METRIC_GAUGE, "multifrost_client_calls_in_flight", labels, 1);
    for (int i = 0; i < MFI_HISTORY_LINES_MAX + 1; i++) {
        char name[2] = {(char)('a' + i)};
        const char *values[] = {name, "add", "ok"};
        mf_counter_add(mf_family_counter(calls, values), 1);
        mf_gauge_set(mf_family_gauge(in_flight, values), 2);
    }
    const mf_probe probe = {.metrics = metrics, .visit_circuits = visit_circuits};
    char *text = get(&probe, NULL, 200);
    mf_check_contains(text, "\"targets_left_out\":2,");
    mf_check_contains(text, "\"totals\":{\"calls\":18,");
    mf_check_contains(text, "\"in_flight\":36}");
    free(text);
    mf_metrics_destroy(metrics);
}

static void test_without_memory(void)
{
    mf_metrics *metrics = metrics_of_all();
    const mf_probe probe = {.metrics = metrics, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    cJSON_Hooks hooks = {.malloc_fn = mf_alloc_malloc, .free_fn = free};
    bool reached = true;
    long failed = 0;
    cJSON_InitHooks(&hooks);
    for (long n = 0; reached; n++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        mf_alloc_fail_at(n);
        mfi_page_overview(&request, &page);
        reached = mf_alloc_stop();
        bool whole = page.body != NULL && page.code == 200;
        failed += !whole;
        char *text = body_of(&page);
        if (whole) { /* never a page with a part left out */
            mf_check_contains(text, "\"p99_seconds\":[]}}");
        }
        free(text);
    }
    cJSON_InitHooks(NULL);
    mf_check(failed > 0);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"overview__shows_the_metric_set", test_all},
    {"overview__history_has_nulls_for_gaps", test_history},
    {"overview__unknown_queries_are_refused", test_unknown_queries_are_refused},
    {"overview__tables_are_bounded", test_tables_are_bounded},
    {"overview__targets_are_bounded", test_targets_are_bounded},
    {"overview__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
