/* The parent's side of its workers' memory: what they counted is added up over restarts, what they
 * made up is not shown, and gauges end with the worker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/observe/parts.h"
#include "family_support.h"
#include "metrics/segment_layout.h"
#include "mf_test.h"

/* Starts a worker of the fixture's client. */
static void start(metric_fixture *at, worker_fixture *worker)
{
    int fd = mfi_target_begin_segment(at->client);
    mf_check(fd > 2);
    worker_begin(worker, at->logger, fd, false); /* which closes it */
}

static void check_shown(const metric_fixture *at, const char *sample, bool is_there)
{
    char line[200];
    char *text = render(at->metrics);
    (void)snprintf(line, sizeof line, "\nmultifrost_%s", sample);
    if (is_there) {
        mf_check_contains(text, line);
    } else {
        mf_check(strstr(text, line) == NULL);
    }
    free(text);
}

static void test_totals_go_on_over_restarts(void)
{
    metric_fixture at;
    metric_setup(&at);
    for (int i = 1; i <= 3; i++) {
        char sample[160];
        worker_fixture worker;
        start(&at, &worker);
        worker_answer(&worker, "add", MF_OK);
        (void)snprintf(sample, sizeof sample,
                       "server_calls_total{target=\"math\",worker=\"math-0\",function=\"add\","
                       "status=\"ok\"} %d\n",
                       i);
        check_shown(&at, sample, true);
        check_shown(&at, sample, true); /* what is known is not added again */
        worker_answer(&worker, "last", MF_ERR_REMOTE);
        worker_end(&worker);
        mfi_target_end_segment(at.client); /* collects what came since */
        (void)snprintf(sample, sizeof sample,
                       "server_call_duration_seconds_count{target=\"math\",function=\"last\","
                       "outcome=\"error\"} %d\n",
                       i);
        check_shown(&at, sample, true);
    }
    check_shown(&at, "worker_segments_total{target=\"math\",result=\"taken\"} 3\n", true);
    check_shown(&at, "worker_segments_total{target=\"math\",result=\"unused\"} 0\n", true);
    metric_teardown(&at);
}

static void test_gauges_end_with_the_worker(void)
{
    metric_fixture at;
    worker_fixture worker;
    metric_setup(&at);
    start(&at, &worker);
    mfi_observe_server_waiting(worker.server, 2, 200);
    check_shown(&at, "server_queue_depth{target=\"math\",worker=\"math-0\"} 2\n", true);
    check_shown(&at, "server_threads{target=\"math\",worker=\"math-0\",state=\"idle\"} 4\n", true);
    worker_end(&worker);
    mfi_target_end_segment(at.client);
    check_shown(&at, "server_queue_depth{target=\"math\"", false);
    check_shown(&at, "server_threads{target=\"math\"", false);
    metric_teardown(&at);
}

static void test_memory_that_no_worker_took(void)
{
    metric_fixture at;
    metric_setup(&at);
    for (int i = 0; i < 2; i++) { /* the next start ends the one before */
        int fd = mfi_target_begin_segment(at.client);
        mf_check(fd > 2);
        mf_check_int(close(fd), 0);
    }
    check_shown(&at, "server_queue_depth{target=\"math\"", false);
    mfi_target_end_segment(at.client);
    mfi_target_end_segment(at.client);
    check_shown(&at, "worker_segments_total{target=\"math\",result=\"unused\"} 2\n", true);
    metric_teardown(&at);
}

/* Over all starts a target has no more names of functions than its own calls would give it. */
static void test_names_are_bounded(void)
{
    metric_fixture at;
    metric_setup(&at);
    for (int i = 0; i < MFI_FUNCTIONS_MAX + 2; i++) {
        char name[16];
        worker_fixture worker;
        (void)snprintf(name, sizeof name, "f%d", i);
        start(&at, &worker);
        worker_answer(&worker, name, MF_OK);
        worker_end(&worker);
        mfi_target_end_segment(at.client);
    }
    check_shown(&at,
                "server_calls_total{target=\"math\",worker=\"math-0\",function=\"f31\","
                "status=\"ok\"} 1\n",
                true);
    check_shown(&at,
                "server_calls_total{target=\"math\",worker=\"math-0\",function=\"_OTHER\","
                "status=\"ok\"} 2\n",
                true);
    check_shown(&at, "server_calls_total{target=\"math\",worker=\"math-0\",function=\"f32\"",
                false);
    metric_teardown(&at);
}

/* A word beyond its closed set becomes no series. */
static void test_words_beyond_the_sets(void)
{
    static const char *const labels[] = {"function", "word"};
    static const char *made_up[200];
    static const mfi_segment_family families[] = {MFI_SEGMENT_CALLS, MFI_SEGMENT_EXPIRED,
                                                  MFI_SEGMENT_STATE_NS};
    metric_fixture at;
    mfi_segment *segment = NULL;
    mf_metrics *metrics = NULL;
    for (size_t i = 0; i < 200; i++) {
        made_up[i] = i == 199 ? "strange" : "";
    }
    metric_setup(&at);
    int fd = mfi_target_begin_segment(at.client);
    mf_check_int(mfi_segment_attach(fd, &segment), MFI_SEGMENT_ATTACHED);
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        char name[20];
        mf_family *family = NULL;
        mf_metric_options options = MF_METRIC_OPTIONS_INIT;
        (void)snprintf(name, sizeof name, "made_up%u_total", (unsigned)i);
        options.type = MF_METRIC_COUNTER;
        options.name = name;
        options.help = "made up";
        options.label_names = labels;
        options.label_count = 2;
        mf_check_int(mf_metrics_add(metrics, &options, &family, NULL), MF_OK);
        mf_check(mfi_segment_keep(segment, family,
                                  &(mfi_segment_place){families[i], 0, 1, made_up, 200}));
        mf_counter_add(mf_family_counter(family, (const char *const[]){"add", "strange"}), 1);
    }
    char *after = render(at.metrics);
    mf_check(strstr(after, "\nmultifrost_server_calls_total{target=") == NULL);
    mf_check(strstr(after, "\nmultifrost_server_expired_calls_total{target=") == NULL);
    mf_check(strstr(after, "\nmultifrost_server_handler_state_seconds_total{target=") == NULL);
    mf_check_contains(after, "\nmultifrost_worker_segments_total{target=\"math\",result=\"taken\"} "
                             "1\n");
    mf_metrics_destroy(metrics);
    mfi_segment_detach(segment);
    (void)close(fd);
    free(after);
    metric_teardown(&at);
}

/* A program that scribbles on its memory, and a worker that found it full, are counted. */
static void test_faults_are_counted(void)
{
    metric_fixture at;
    mfi_segment *segment = NULL;
    metric_setup(&at);
    int fd = mfi_target_begin_segment(at.client);
    mfi_segment_head *head =
        mmap(NULL, MFI_SEGMENT_BYTES_LEAST, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    mf_check(head != MAP_FAILED);
    mf_check_int(mfi_segment_attach(fd, &segment), MFI_SEGMENT_ATTACHED);
    memset(head->blocks + head->used, 0xff, 64);
    head->used = UINT64_MAX;
    head->lost_series = 3;
    check_shown(&at, "worker_segment_ignored_cells_total{target=\"math\"} 1\n", true);
    check_shown(&at, "worker_segment_lost_series_total{target=\"math\"} 3\n", true);
    head->lost_series = 2; /* what is shown never goes backwards */
    check_shown(&at, "worker_segment_lost_series_total{target=\"math\"} 3\n", true);
    mfi_segment_detach(segment);
    mf_check_int(munmap(head, MFI_SEGMENT_BYTES_LEAST), 0);
    (void)close(fd);
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"segments_totals__totals_go_on_over_restarts", test_totals_go_on_over_restarts},
    {"segments_totals__gauges_end_with_the_worker", test_gauges_end_with_the_worker},
    {"segments_totals__memory_that_no_worker_took", test_memory_that_no_worker_took},
    {"segments_totals__names_are_bounded", test_names_are_bounded},
    {"segments_totals__words_beyond_the_sets", test_words_beyond_the_sets},
    {"segments_totals__faults_are_counted", test_faults_are_counted},
};
MF_TEST_MAIN(tests)
