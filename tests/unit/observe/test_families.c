/* The families of the catalogue, as an observer makes them, and what the log says of itself. Their
 * names, types, labels and caps are in docs/metrics.md, which tests/docs compares with the code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metrics/metric_set.h"
#include "mf_alloc.h"
#include "mf_test.h"

typedef struct listed {
    const mf_family *seen[160];
    size_t count;
} listed;

static void list_family(mf_family *family, void *user_data)
{
    listed *at = user_data;
    if (strncmp(family->name, "multifrost_series", 17) == 0) {
        return; /* the set's own */
    }
    mf_check(at->count < sizeof at->seen / sizeof at->seen[0]);
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
    {"families__each_field_has_one_of_its_own", test_catalogue},
    {"families__log_is_counted", test_log_is_counted},
    {"families__series_of_no_target_exist_at_once", test_series_of_the_observer},
    {"families__one_observer_for_a_set", test_one_observer_for_a_set},
    {"families__all_or_nothing_without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
