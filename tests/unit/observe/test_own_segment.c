/* The worker's side of its memory: which series live there, under which words, and what it says of
 * running handlers. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/observe/parts.h"
#include "family_support.h"
#include "mf_test.h"

typedef struct fixture {
    mf_logger *logger;
    mfi_segment_reader *reader;
    worker_fixture worker;
} fixture;

static void begin(fixture *at, bool otel_names)
{
    int fd = mfi_segment_make(0);
    mf_check(fd > STDERR_FILENO);
    at->reader = mfi_segment_open(fd);
    mf_check(at->reader != NULL);
    mf_check_int(mf_logger_create(&at->logger, NULL, NULL), MF_OK);
    worker_begin(&at->worker, at->logger, fd, otel_names);
    mf_check(fcntl(fd, F_GETFD) < 0); /* the worker has closed it */
}

static void end(fixture *at)
{
    worker_end(&at->worker);
    mfi_segment_close(at->reader);
    mf_logger_destroy(at->logger);
}

/* What came of one family: counts by word; the last one is for no word. */
typedef struct seen {
    mfi_segment_family family;
    uint64_t of[MFI_SEGMENT_NO_WORD + 1];
} seen;

static void take(const mfi_segment_delta *delta, void *user_data)
{
    seen *at = user_data;
    if (delta->family == at->family) {
        at->of[delta->word] += delta->is_histogram ? delta->cells->count : delta->count;
    }
}

static seen collect(const fixture *at, mfi_segment_family family)
{
    seen found = {.family = family};
    mfi_segment_collect(at->reader, take, &found);
    return found;
}

static void test_words_are_those_of_the_labels(void)
{
    fixture at;
    begin(&at, false);
    (void)collect(&at, MFI_SEGMENT_CALLS);
    worker_answer(&at.worker, "add", MF_OK);
    worker_answer(&at.worker, "add", MF_ERR_REMOTE);
    seen calls = collect(&at, MFI_SEGMENT_CALLS);
    mf_check_int(calls.of[MFI_STATUS_OK], 1);
    mf_check_int(calls.of[MFI_STATUS_APP_ERROR], 1);
    mfi_observe_server_expired(at.worker.server, MFI_EXPIRED_AT_REPLY);
    mf_check_int(collect(&at, MFI_SEGMENT_EXPIRED).of[MFI_EXPIRED_AT_REPLY], 1);
    mfi_observe_server_unknown(at.worker.server);
    mf_check_int(collect(&at, MFI_SEGMENT_UNKNOWN).of[MFI_SEGMENT_NO_WORD], 1);
    mfi_observe_handler_times(at.worker.server, &(mfi_handler_times){.ns = {1, 2, 3}});
    seen states = collect(&at, MFI_SEGMENT_STATE_NS);
    mf_check_int(states.of[MFI_HANDLER_ON_CPU], 1);
    mf_check_int(states.of[MFI_HANDLER_RUNNABLE], 2);
    mf_check_int(states.of[MFI_HANDLER_BLOCKED], 3);
    end(&at);
}

/* A duration has an outcome as its word; by OpenTelemetry's names a status, behind the outcomes. */
static void test_words_of_durations(void)
{
    for (int otel = 0; otel < 2; otel++) {
        fixture at;
        begin(&at, otel != 0);
        worker_answer(&at.worker, "add", MF_OK);
        worker_answer(&at.worker, "add", MF_ERR_REMOTE);
        seen durations = collect(&at, MFI_SEGMENT_DURATION);
        mf_check_int(durations.of[otel ? MFI_SEGMENT_NO_WORD : MFI_OUTCOME_OK], 1);
        mf_check_int(
            durations.of[otel ? MFI_OUTCOME_COUNT + MFI_STATUS_APP_ERROR : MFI_OUTCOME_ERROR], 1);
        end(&at);
    }
}

static void test_running_handlers_and_queue(void)
{
    fixture at;
    mfi_segment_facts facts;
    mfi_segment_running running[2];
    begin(&at, false);
    mfi_server_span span = {.target = at.worker.server,
                            .function = mfi_target_function(at.worker.server, "add", 3),
                            .function_name = "add",
                            .namespace_name = "default",
                            .handler = 2,
                            .begun_ns = mfi_monotonic_ns()};
    mfi_observe_server_begin(&span);
    mfi_observe_server_waiting(at.worker.server, 3, 300);
    mfi_observe_server_waiting(at.worker.server, -1, -100);
    mf_check_int(mfi_segment_read_running(at.reader, running, 2), 1);
    mf_check_str(running[0].function, "add");
    mf_check_int(running[0].number, 2);
    mfi_segment_read(at.reader, &facts);
    mf_check_int(facts.gauges[MFI_SEGMENT_THREADS], 4);
    mf_check_int(facts.waiting, 2);
    mf_check_int(facts.waiting_bytes, 200);
    mfi_observe_server_returned(at.worker.server, 2);
    mf_check_int(mfi_segment_read_running(at.reader, running, 2), 0);
    end(&at);
}

/* The worker's own endpoint says whether the parent shows the same series. */
static void test_exposed_by_parent(void)
{
    fixture at;
    metric_fixture alone;
    begin(&at, false);
    char *text = render(at.worker.metrics);
    mf_check_contains(text, "\nmultifrost_exposed_by_parent 1\n");
    free(text);
    end(&at);
    metric_setup(&alone);
    text = render(alone.metrics);
    mf_check(strstr(text, "multifrost_exposed_by_parent 1") == NULL);
    free(text);
    metric_teardown(&alone);
}

/* A descriptor that is no segment is closed and forgotten; one of the first three is left alone. */
static void test_other_descriptors(void)
{
    worker_fixture worker;
    mf_logger *logger = NULL;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mf_check_int(mf_logger_create(&logger, NULL, NULL), MF_OK);
    worker_begin(&worker, logger, fd, false);
    mf_check(mfi_observer_segment(worker.observer) == NULL);
    mf_check(fcntl(fd, F_GETFD) < 0);
    mfi_observer_attach(worker.observer, STDERR_FILENO, 1);
    mf_check(fcntl(STDERR_FILENO, F_GETFD) >= 0);
    worker_answer(&worker, "add", MF_OK); /* counts on the heap */
    worker_end(&worker);
    mf_logger_destroy(logger);
}

static const mf_test tests[] = {
    {"own_segment__words_are_those_of_the_labels", test_words_are_those_of_the_labels},
    {"own_segment__words_of_durations", test_words_of_durations},
    {"own_segment__running_handlers_and_queue", test_running_handlers_and_queue},
    {"own_segment__exposed_by_parent", test_exposed_by_parent},
    {"own_segment__other_descriptors", test_other_descriptors},
};
MF_TEST_MAIN(tests)
