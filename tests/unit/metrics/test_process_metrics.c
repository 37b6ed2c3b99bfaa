/* The process metrics change with the process: descriptors, CPU time, memory. */
#include "metrics/process_metrics.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mf_test.h"

/* The number of a sample without labels; -1 if there is none. */
static double number_of(mf_metrics *metrics, const char *name)
{
    char start[80];
    char *text = NULL;
    size_t length = 0;
    double number = -1;
    mf_status status = mf_metrics_render(metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &length, NULL);
    mf_check_int(status, MF_OK);
    (void)snprintf(start, sizeof start, "\n%s ", name);
    const char *at = text != NULL ? strstr(text, start) : NULL;
    if (at != NULL) {
        number = strtod(at + strlen(start), NULL);
    }
    free(text);
    return number;
}

static mf_metrics *metrics_make(void)
{
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_metrics_add_process(metrics, NULL), MF_OK);
    return metrics;
}

static void test_descriptors(void)
{
    mf_metrics *metrics = metrics_make();
    double before = number_of(metrics, "process_open_fds");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mf_check(before >= 0);
    mf_check(number_of(metrics, "process_open_fds") == before + 1);
    (void)close(fd);
    mf_check(number_of(metrics, "process_open_fds") == before);
    mf_check(number_of(metrics, "process_max_fds") != 0);
    mf_metrics_destroy(metrics);
}

static void test_cpu_grows(void)
{
    mf_metrics *metrics = metrics_make();
    double before = number_of(metrics, "process_cpu_seconds_total");
    clock_t start = clock();
    while (clock() - start < CLOCKS_PER_SEC / 100) {
    }
    mf_check(number_of(metrics, "process_cpu_seconds_total") >= before + 0.009);
    mf_metrics_destroy(metrics);
}

static void test_others_are_plausible(void)
{
    mf_metrics *metrics = metrics_make();
    double now = (double)time(NULL);
    double started = number_of(metrics, "process_start_time_seconds");
    mf_check(number_of(metrics, "process_threads") >= 1);
    mf_check(number_of(metrics, "process_resident_memory_bytes") > 0);
    mf_check(number_of(metrics, "process_virtual_memory_bytes") >=
             number_of(metrics, "process_resident_memory_bytes"));
    mf_check(number_of(metrics, "process_heap_bytes") >= 0);
    mf_check(started > 0 && started <= now + 1);
    mf_metrics_destroy(metrics);
}

static void test_added_once(void)
{
    mf_metrics *metrics = metrics_make();
    mf_check_int(mfi_metrics_add_process(metrics, NULL), MF_ERR_EXISTS);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"process_metrics__count_open_descriptors", test_descriptors},
    {"process_metrics__cpu_time_grows_with_work", test_cpu_grows},
    {"process_metrics__others_are_plausible", test_others_are_plausible},
    {"process_metrics__are_added_once", test_added_once},
};
MF_TEST_MAIN(tests)
