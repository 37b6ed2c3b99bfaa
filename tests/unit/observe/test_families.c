/* The catalogue: its families by name, type, labels and cap, as dashboards and alerts rely on them;
 * and what the log says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metrics/metric_set.h"
#include "mf_alloc.h"
#include "mf_test.h"

static const char *const catalogue[] = {
    "circuit_failure_ratio gauge target,worker all",
    "circuit_next_probe_timestamp_seconds gauge target,worker all",
    "circuit_probes_total counter target,worker,result all",
    "circuit_shadow_refusals_total counter target,worker,policy all",
    "circuit_slow_call_ratio gauge target,worker all",
    "circuit_state gauge target,worker,state all",
    "circuit_state_since_timestamp_seconds gauge target,worker all",
    "circuit_transitions_total counter target,worker,from,to all",
    "circuit_window_calls gauge target,worker,kind all",
    "circuits gauge state 5",
    "client_attempts_total counter target,kind all",
    "client_call_duration_seconds histogram target,function,outcome all",
    "client_call_latency_window_seconds window target all",
    "client_call_phase_seconds histogram target,phase all",
    "client_calls_in_flight gauge target all",
    "client_calls_started_total counter target,function all",
    "client_calls_total counter target,function,status all",
    "client_concurrency_limit gauge target all",
    "client_deadline_used_ratio histogram target all",
    "client_late_replies_total counter target all",
    "client_oldest_call_age_seconds gauge target all",
    "client_queue_capacity gauge target all",
    "client_queue_depth gauge target all",
    "client_refused_total counter target,reason all",
    "client_request_size_bytes histogram target all",
    "client_response_size_bytes histogram target all",
    "client_retries_suppressed_total counter target,reason all",
    "config_info info hash 2",
    "heartbeat_consecutive_misses gauge target all",
    "heartbeat_last_success_timestamp_seconds gauge target all",
    "heartbeat_missed_total counter target all",
    "heartbeat_rtt_seconds histogram target all",
    "log_bytes_total counter - 1",
    "log_dropped_total counter reason 8",
    "log_records_total counter level 8",
    "log_redactions_total counter - 1",
    "log_ring_used_ratio gauge - 1",
    "loop_lag_seconds histogram loop 8",
    "pool_workers gauge target,state all",
    "registry_lock_wait_seconds histogram - 1",
    "registry_operations_total counter op,result 32",
    "server_busy_seconds_total counter worker all",
    "server_call_duration_seconds histogram function,outcome all",
    "server_calls_in_flight gauge worker all",
    "server_calls_started_total counter worker,function all",
    "server_calls_total counter worker,function,status all",
    "server_expired_calls_total counter worker,stage all",
    "server_handler_state_seconds_total counter worker,state all",
    "server_queue_bytes gauge worker all",
    "server_queue_depth gauge worker all",
    "server_queue_wait_seconds histogram worker all",
    "server_running_handler_age_seconds gauge worker all",
    "server_threads gauge worker,state all",
    "server_unknown_function_total counter worker all",
    "slo_objective_ratio gauge slo 32",
    "slo_requests_total counter slo,result 64",
    "slo_threshold_seconds gauge slo 32",
    "transport_bytes_total counter target,direction all",
    "transport_connections gauge target all",
    "transport_disconnects_total counter target,reason all",
    "transport_dropped_messages_total counter reason 16",
    "transport_messages_total counter target,direction,type all",
    "transport_send_blocked_total counter target all",
    "worker_cpu_seconds_total counter target,worker all",
    "worker_last_exit_code gauge target,worker all",
    "worker_last_exit_signal gauge target,worker all",
    "worker_open_fds gauge target,worker all",
    "worker_load_ratio gauge target,worker all",
    "worker_pid gauge target,worker all",
    "worker_resident_memory_bytes gauge target,worker all",
    "worker_restart_backoff_seconds gauge target,worker all",
    "worker_restart_budget_remaining gauge target all",
    "worker_restarts_total counter target,reason all",
    "worker_run_queue_seconds_total counter target,worker all",
    "worker_start_duration_seconds histogram target all",
    "worker_start_time_seconds gauge target,worker all",
    "worker_threads gauge target,worker all",
    "worker_up gauge target,worker all",
    "workers gauge state 6",
};

/* Line by line, so that a failure shows the one that differs. */
static void check_lines(const char *text, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count || *text != '\0'; i++) {
        char line[256];
        size_t size = strcspn(text, "\n");
        (void)mfi_str_copy_n(line, sizeof line, text, size);
        mf_check_str(line, i < count ? lines[i] : "(no more)");
        text += size + (text[size] != '\0');
    }
}

typedef struct listed {
    char text[16 * 1024];
    size_t length;
    const mf_family *seen[160];
    size_t count;
} listed;

static void list_family(mf_family *family, void *user_data)
{
    static const char *const types[] = {"", "counter", "gauge", "histogram", "window", "info"};
    listed *at = user_data;
    char cap[24];
    char labels[128] = "";
    size_t length = 0;
    if (strncmp(family->name, "multifrost_series", 17) == 0) {
        return; /* the set's own */
    }
    for (size_t i = 0; i < family->label_count; i++) {
        length += mfi_str_format(labels + length, sizeof labels - length, "%s%s", i > 0 ? "," : "",
                                 family->label_names[i]);
    }
    /* "all": bounded by the number of targets, not by the family. */
    (void)mfi_str_format(cap, sizeof cap, "%zu", family->max_series);
    if (family->max_series == SIZE_MAX) {
        (void)mfi_str_copy(cap, sizeof cap, "all");
    }
    at->length += mfi_str_format(at->text + at->length, sizeof at->text - at->length,
                                 "%s %s %s %s\n", family->name + strlen("multifrost_"),
                                 types[family->type], length > 0 ? labels : "-", cap);
    at->seen[at->count++] = family;
    mf_check(strlen(family->help) > 5);
    mf_check((family->layout == mfi_layout_of(MF_SCALE_SIZE)) ==
             (family->type == MF_METRIC_HISTOGRAM && strcmp(family->unit, "bytes") == 0));
    mf_check((family->layout == mfi_layout_of(MF_SCALE_RATIO)) ==
             (family->type == MF_METRIC_HISTOGRAM && strcmp(family->unit, "ratio") == 0));
}

static void test_catalogue(void)
{
    static listed all;
    mf_logger *logger = NULL;
    mf_metrics *metrics = NULL;
    mfi_observer *observer = NULL;
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&observer, logger, metrics, 64, NULL), MF_OK);
    mfi_metric_set_visit(metrics, list_family, &all);
    check_lines(all.text, catalogue, sizeof catalogue / sizeof catalogue[0]);
    /* Each field has a family of its own, and there are no others. */
    mf_family *const *fields = (mf_family *const *)(const void *)&observer->families;
    mf_check_int(all.count, sizeof(mfi_families) / sizeof(mf_family *));
    for (size_t i = 0; i < sizeof(mfi_families) / sizeof(mf_family *); i++) {
        size_t found = 0;
        for (size_t j = 0; j < all.count; j++) {
            found += all.seen[j] == fields[i];
        }
        mf_check_int(found, 1);
    }
    mf_check(observer->families.server_busy->counter_factor == 1e-9);
    mf_check(observer->families.calls->counter_factor == 1);
    mfi_observer_destroy(observer);
    mf_metrics_destroy(metrics);
    mf_logger_destroy(logger);
}

/* ---- The log ---- */

static void no_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    (void)level;
    (void)line;
    *(size_t *)user_data += length;
}

static char *render(mf_metrics *metrics)
{
    char *text = NULL;
    size_t length = 0;
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &length, NULL),
                 MF_OK);
    return text;
}

/* Each collection adds what came since the one before. */
static void test_log_is_counted(void)
{
    mf_logger *logger = NULL;
    mf_metrics *metrics = NULL;
    mfi_observer *observer = NULL;
    size_t bytes = 0;
    char wanted[128];
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(logger, no_line, &bytes, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_file(logger, "/dev/full", MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&observer, logger, metrics, 64, NULL), MF_OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < round; i++) {
            mf_log_event(logger, MF_LOG_WARN, "e", "m", NULL, 0);
        }
        mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
        char *text = render(metrics);
        int total = round * (round + 1) / 2;
        (void)snprintf(wanted, sizeof wanted, "\nmultifrost_log_records_total{level=\"warn\"} %d\n",
                       total);
        mf_check_contains(text, wanted);
        mf_check_contains(text, "\nmultifrost_log_records_total{level=\"info\"} 0\n");
        (void)snprintf(wanted, sizeof wanted,
                       "\nmultifrost_log_dropped_total{reason=\"sink_error\"} %d\n", total);
        mf_check_contains(text, wanted);
        mf_check_contains(text, "\nmultifrost_log_dropped_total{reason=\"ring_full\"} 0\n");
        (void)snprintf(wanted, sizeof wanted, "\nmultifrost_log_bytes_total %zu\n", bytes);
        mf_check_contains(text, wanted);
        free(text);
    }
    mfi_observer_destroy(observer);
    mf_metrics_destroy(metrics);
    mf_logger_destroy(logger);
}

/* ---- What no target owns ---- */

static void test_series_of_the_observer(void)
{
    mf_logger *logger = NULL;
    mf_metrics *metrics = NULL;
    mfi_observer *observer = NULL;
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&observer, logger, metrics, 64, NULL), MF_OK);
    char *text = render(metrics);
    mf_check_contains(text,
                      "\nmultifrost_transport_dropped_messages_total{reason=\"oversize\"} 0\n");
    mf_check_contains(text, "\nmultifrost_loop_lag_seconds_count{loop=\"engine\"} 0\n");
    mf_check_contains(text, "\nmultifrost_registry_lock_wait_seconds_count 0\n");
    for (size_t i = 0; i < MFI_REGISTRY_OP_COUNT; i++) {
        for (size_t j = 0; j < MFI_REGISTRY_RESULT_COUNT; j++) {
            char line[128];
            (void)snprintf(line, sizeof line,
                           "\nmultifrost_registry_operations_total{op=\"%s\",result=\"%s\"} 0\n",
                           mfi_registry_op_word((mfi_registry_op)i),
                           mfi_registry_result_word((mfi_registry_result)j));
            mf_check_contains(text, line);
        }
    }
    free(text);
    /* The set outlives the observer: nobody asks it any more. */
    mfi_observer_destroy(observer);
    mf_logger_destroy(logger);
    free(render(metrics));
    mf_metrics_destroy(metrics);
}

static void test_one_observer_for_a_set(void)
{
    mf_logger *logger = NULL;
    mf_metrics *metrics = NULL;
    mfi_observer *first = NULL, *second = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&first, logger, metrics, 64, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&second, logger, metrics, 64, &error), MF_ERR_EXISTS);
    mf_check_contains(error.message, "multifrost_client_calls_started_total");
    mf_check(second == NULL);
    free(render(metrics));
    mfi_observer_destroy(first);
    mf_metrics_destroy(metrics);
    mf_logger_destroy(logger);
}

/* Each allocation fails once: there is a whole observer, or none that a collection would ask. */
static void test_without_memory(void)
{
    mf_logger *logger = NULL;
    bool reached = true;
    long failed = 0;
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    for (long n = 0; reached; n += n < 40 ? 1 : 37) {
        mf_metrics *metrics = NULL;
        mfi_observer *observer = NULL;
        mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
        mf_alloc_fail_at(n);
        mf_status status = mfi_observer_create(&observer, logger, metrics, 64, NULL);
        reached = mf_alloc_stop();
        mf_check(status == MF_OK || (reached && status == MF_ERR_NO_MEMORY));
        mf_check((status == MF_OK) == (observer != NULL));
        free(render(metrics));
        failed += status != MF_OK;
        mfi_observer_destroy(observer);
        mf_metrics_destroy(metrics);
    }
    mf_check(failed > 10);
    mf_logger_destroy(logger);
}

static const mf_test tests[] = {
    {"families__are_those_of_the_catalogue", test_catalogue},
    {"families__log_is_counted", test_log_is_counted},
    {"families__series_of_no_target_exist_at_once", test_series_of_the_observer},
    {"families__one_observer_for_a_set", test_one_observer_for_a_set},
    {"families__all_or_nothing_without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
