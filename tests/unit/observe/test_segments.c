/* What a parent adds from the memory of its workers to its own series, whatever the workers wrote
 * there. */
#include "core/observe/segments.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/words/outcomes.h"
#include "metric_support.h"
#include "metrics/metric_set.h"
#include "metrics/segment_layout.h"
#include "mf_test.h"

#define MOST (UINT64_C(1) << 61) /* what one cell may gain */

/* ---- A worker in the test's own process ---- */

typedef struct worker {
    mf_metrics *metrics;
    mfi_segment *segment;
    mfi_segment_head *head; /* as a program that scribbles sees it */
} worker;

static mf_family *keep(worker *at, mf_metric_type type, const char *name, mfi_segment_family family)
{
    static const char *const labels[] = {"function", "outcome"};
    static const char *const words[] = {MFI_OUTCOMES(MFI_WORD_TEXT)};
    mf_family *made = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    mfi_segment_place place = {family, 0, 1, words, MFI_OUTCOME_COUNT};
    options.type = type;
    options.name = name;
    options.help = "a test";
    options.label_names = labels;
    options.label_count = 2;
    mf_check_int(mf_metrics_add(at->metrics, &options, &made, NULL), MF_OK);
    mf_check(mfi_segment_keep(at->segment, made, &place));
    return made;
}

static void begin_worker(worker *at, mfi_target *target)
{
    int fd = mfi_target_begin_segment(target);
    mf_check(fd > 2);
    at->head = mmap(NULL, MFI_SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    mf_check(at->head != MAP_FAILED);
    mf_check_int(mfi_segment_attach(fd, &at->segment), MFI_SEGMENT_ATTACHED);
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    (void)close(fd);
}

static void end_worker(worker *at)
{
    mf_metrics_destroy(at->metrics);
    mfi_segment_detach(at->segment);
    (void)munmap(at->head, MFI_SEGMENT_BYTES);
}

/* ---- What the parent shows ---- */

static void scrape(metric_fixture *at)
{
    size_t size = 0;
    free(at->text);
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
}

/* The value of the first series whose line begins so; -1 if there is none. */
static double value_of(const metric_fixture *at, const char *start)
{
    const char *line = strstr(at->text, start);
    const char *space = line != NULL ? strchr(line, ' ') : NULL;
    return space != NULL ? strtod(space, NULL) : -1;
}

#define STARTED                                                                                    \
    "\nmultifrost_server_calls_started_total{target=\"math\",worker=\"math-0\",function=\"add\"}"
#define COUNT                                                                                      \
    "\nmultifrost_server_call_duration_seconds_count{target=\"math\",function=\"add\",outcome="    \
    "\"ok\"}"
#define SUM                                                                                        \
    "\nmultifrost_server_call_duration_seconds_sum{target=\"math\",function=\"add\",outcome="      \
    "\"ok\"}"
#define LOST "\nmultifrost_worker_segment_lost_series_total{target=\"math\"}"
#define IGNORED "\nmultifrost_worker_segment_ignored_cells_total{target=\"math\"}"

/* Each worker claims as much as the reader lets through, until sums of 64 bits would turn over. */
static void test_totals_never_turn_over(void)
{
    static const char *const names[] = {STARTED, COUNT, SUM, LOST};
    double last[4] = {0};
    static const char *const labels[] = {"add", "ok"};
    metric_fixture at;
    metric_setup(&at);
    for (unsigned start = 0; start < 20; start++) {
        worker of;
        mfi_cells cells = {.count = MOST, .under = MOST};
        begin_worker(&of, at.client);
        mf_family *calls = keep(&of, MF_METRIC_COUNTER, "calls_total", MFI_SEGMENT_CALLS_STARTED);
        mf_family *times = keep(&of, MF_METRIC_HISTOGRAM, "time_seconds", MFI_SEGMENT_DURATION);
        mf_counter_add(mf_family_counter(calls, labels), MOST);
        mfi_histogram_add_cells(mf_family_histogram(times, labels), &cells, MOST);
        atomic_store(&of.head->lost_series, UINT64_MAX);
        scrape(&at);
        for (size_t i = 0; i < 4; i++) {
            double now = value_of(&at, names[i]);
            mf_check(now > 0 && now >= last[i]);
            last[i] = now;
        }
        end_worker(&of);
    }
    mf_check(value_of(&at, IGNORED) > 0);
    mfi_target_end_segment(at.client);
    metric_teardown(&at);
}

/* A version that a worker writes over later changes nothing: its states do not stand still. */
static void test_a_worker_is_taken_once(void)
{
    metric_fixture at;
    worker of;
    metric_setup(&at);
    begin_worker(&of, at.client);
    mfi_segment_queue(of.segment, 3, 0);
    scrape(&at);
    mf_check(value_of(&at, "\nmultifrost_server_queue_depth{target=\"math\"") == 3);
    atomic_store(&of.head->worker_version, 99);
    mfi_segment_queue(of.segment, 1, 0);
    scrape(&at);
    mf_check(value_of(&at, "\nmultifrost_server_queue_depth{target=\"math\"") == 4);
    mf_check_contains(at.text, "worker_segments_total{target=\"math\",result=\"taken\"} 1\n");
    mf_check_contains(at.text, "result=\"other_layout\"} 0\n");
    end_worker(&of);
    mfi_target_end_segment(at.client);
    scrape(&at);
    mf_check(value_of(&at, "\nmultifrost_server_queue_depth{target=\"math\"") == -1);
    metric_teardown(&at);
}

/* ---- Workers that never look at it ---- */

static const char *scraped(metric_fixture *at)
{
    scrape(at);
    return at->text;
}

static long long kept_bytes(int fd)
{
    struct stat found;
    mf_check_int(fstat(fd, &found), 0);
    return (long long)found.st_blocks * 512;
}

static void test_memory_that_nobody_took_goes_back(void)
{
    metric_fixture at;
    mfi_segment *late = NULL;
    metric_setup(&at);
    int fd = mfi_target_begin_segment(at.client); /* the worker holds it all its life */
    mf_check(kept_bytes(fd) >= (long long)MFI_SEGMENT_BYTES);
    mfi_observe_process_changed(at.client, &(mfi_process_event){.what = MFI_PROCESS_READY});
    mf_check(kept_bytes(fd) < 64 * 1024); /* what the last look touched */
    mf_check_contains(scraped(&at),
                      "multifrost_worker_segments_total{target=\"math\",result=\"unused\"} 1\n");
    mf_check_int(mfi_segment_attach(fd, &late), MFI_SEGMENT_REFUSED);
    mfi_target_end_segment(at.client);
    mf_check_contains(scraped(&at),
                      "multifrost_worker_segments_total{target=\"math\",result=\"unused\"} 1\n");
    (void)close(fd);
    metric_teardown(&at);
}

static void test_memory_that_was_taken_stays(void)
{
    metric_fixture at;
    worker of;
    metric_setup(&at);
    begin_worker(&of, at.client);
    mfi_observe_process_changed(at.client, &(mfi_process_event){.what = MFI_PROCESS_READY});
    mf_check_contains(scraped(&at),
                      "multifrost_worker_segments_total{target=\"math\",result=\"taken\"} 1\n");
    mf_check_int(of.head->version, MFI_SEGMENT_VERSION);
    end_worker(&of);
    mfi_target_end_segment(at.client);
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"segments__memory_that_nobody_took_goes_back", test_memory_that_nobody_took_goes_back},
    {"segments__memory_that_was_taken_stays", test_memory_that_was_taken_stays},
    {"segments__totals_never_turn_over", test_totals_never_turn_over},
    {"segments__a_worker_is_taken_once", test_a_worker_is_taken_once},
};
MF_TEST_MAIN(tests)
