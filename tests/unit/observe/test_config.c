/* multifrost_config_info shows the fingerprint that was reported last, and no other. */
#include <stdlib.h>
#include <string.h>

#include "core/observe/observe.h"
#include "metric_support.h"
#include "mf_test.h"

static void read_all(metric_fixture *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
}

static size_t count_series(const char *text)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "\nmultifrost_config_info{")) != NULL; at++) {
        count++;
    }
    return count;
}

/* The fingerprint of the past leaves the exposition. */
static void test_config_info(void)
{
    metric_fixture at;
    metric_setup(&at);
    read_all(&at);
    mf_check_int(count_series(at.text), 0);
    mfi_observe_config(at.observer, "0123456789abcdef");
    mfi_observe_config(at.observer, "0123456789abcdef"); /* the same again */
    read_all(&at);
    mf_check_int(count_series(at.text), 1);
    mf_check_contains(at.text, "\nmultifrost_config_info{hash=\"0123456789abcdef\"} 1\n");
    mfi_observe_config(at.observer, "fedcba9876543210");
    read_all(&at);
    mf_check_int(count_series(at.text), 1);
    mf_check_contains(at.text, "\nmultifrost_config_info{hash=\"fedcba9876543210\"} 1\n");
    metric_teardown(&at);
}

/* An observer that measures nothing takes the report all the same. */
static void test_without_metrics(void)
{
    mf_logger *logger = NULL;
    mfi_observer *observer = NULL;
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&observer, logger, NULL, 64, NULL), MF_OK);
    mfi_observe_config(observer, "0123456789abcdef");
    mfi_observer_destroy(observer);
    mf_logger_destroy(logger);
}

static const mf_test tests[] = {
    {"config__info_shows_the_present_one", test_config_info},
    {"config__without_metrics", test_without_metrics},
};
MF_TEST_MAIN(tests)
