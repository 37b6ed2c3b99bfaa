/* The calls of a process and those that its workers run, in one view. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metrics/segment.h"
#include "mf_test.h"

typedef struct fixture {
    mf_metrics *metrics;
    mfi_observer *observer;
    mfi_target *clients[2];
    mfi_segment *workers[2];
    char seen[1000]; /* "client add;server mul;" */
    mf_call_counts counts;
} fixture;

static void no_gauges(mfi_client_gauges *ret_gauges, void *user_data)
{
    (void)ret_gauges;
    (void)user_data;
}

static void setup(fixture *at, bool records)
{
    static const char *const names[] = {"math-0", "math-1"};
    *at = (fixture){.metrics = NULL};
    mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, NULL, at->metrics, 64, NULL), MF_OK);
    if (records) {
        mfi_recorder *recorder = NULL;
        mf_check_int(mfi_recorder_create(&recorder, MFI_RECORDER_BYTES_LEAST, MFI_NS_PER_S, NULL),
                     MF_OK);
        mfi_observer_record(at->observer, recorder);
    }
    for (size_t i = 0; i < 2; i++) {
        mfi_client_options options = {.target = "math", .worker = names[i], .gauges = no_gauges};
        mf_check_int(mfi_target_create_client(&at->clients[i], at->observer, &options, NULL),
                     MF_OK);
        int fd = mfi_target_begin_segment(at->clients[i]);
        mf_check_int(mfi_segment_attach(fd, &at->workers[i]), MFI_SEGMENT_ATTACHED);
        (void)close(fd);
    }
}

static void teardown(fixture *at)
{
    for (size_t i = 0; i < 2; i++) {
        mfi_segment_detach(at->workers[i]);
        mfi_target_destroy(at->clients[i]);
    }
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
}

static void see(const mf_call_row *row, void *user_data)
{
    fixture *at = user_data;
    size_t used = strlen(at->seen);
    (void)snprintf(at->seen + used, sizeof at->seen - used, "%s %s %s;", row->role, row->worker,
                   row->function);
    mf_check_int(row->struct_size, sizeof *row);
}

/* What the query shows, in one text. */
static const char *ask(fixture *at, mf_call_query query)
{
    query.struct_size = sizeof query;
    query.limit = query.limit != 0 ? query.limit : 10;
    at->seen[0] = '\0';
    mf_check(mfi_observer_visit_calls(at->observer, &query, see, at, &at->counts));
    return at->seen;
}

static void run(fixture *at, size_t worker, unsigned number, const char *function, const char *id,
                uint64_t seconds_ago)
{
    mfi_segment_begin(
        at->workers[worker], number,
        &(mfi_segment_call){.function = function,
                            .correlation_id = id,
                            .started_ns = mfi_monotonic_ns() - seconds_ago * MFI_NS_PER_S});
}

static void call(const fixture *at, mfi_client_span *span, uint64_t seconds_ago)
{
    mfi_client_span_clear(span);
    span->target = at->clients[0];
    span->function = mfi_target_function(at->clients[0], "add", 3);
    span->function_name = "add";
    span->namespace_name = "default";
    span->deadline_ms = MF_TIMEOUT_INFINITE;
    span->start_ns = mfi_monotonic_ns() - seconds_ago * MFI_NS_PER_S;
    span->attempt = 1;
    mfi_observe_client_begin(span);
}

static void test_the_oldest_come_first(void)
{
    fixture at;
    mfi_client_span span;
    setup(&at, true);
    call(&at, &span, 50);
    run(&at, 0, 0, "mul", "c-1", 100);
    run(&at, 1, 3, "div", "c-2", 10);
    mf_check_str(ask(&at, (mf_call_query){.view = MF_CALLS_OPEN}),
                 "server math-0 mul;client math-0 add;server math-1 div;");
    mf_check_int(at.counts.matched, 3);
    mf_check_int(at.counts.shown, 3);
    span.end_ns = mfi_monotonic_ns();
    mfi_observe_client_end(&span, NULL);
    /* Open ones come before those that ended. */
    mf_check_str(ask(&at, (mf_call_query){.view = MF_CALLS_ALL}),
                 "server math-0 mul;server math-1 div;client math-0 add;");
    mf_check_str(ask(&at, (mf_call_query){.view = MF_CALLS_RECENT}), "client math-0 add;");
    teardown(&at);
}

static void test_a_query_selects(void)
{
    fixture at;
    setup(&at, true);
    run(&at, 0, 0, "mul", "c-1", 3);
    run(&at, 1, 0, "div", "c-2", 2);
    mf_check_str(ask(&at, (mf_call_query){.function = "div"}), "server math-1 div;");
    mf_check_str(ask(&at, (mf_call_query){.worker = "math-0"}), "server math-0 mul;");
    mf_check_str(ask(&at, (mf_call_query){.target = "other"}), "");
    mf_check_str(ask(&at, (mf_call_query){.correlation_id = "c-2"}), "server math-1 div;");
    mf_check_str(ask(&at, (mf_call_query){.view = MF_CALLS_ALL, .status = "ok"}), "");
    mf_check_str(ask(&at, (mf_call_query){.limit = 1}), "server math-0 mul;");
    mf_check_int(at.counts.matched, 2);
    mf_check_int(at.counts.shown, 1);
    teardown(&at);
}

static void test_what_ended_is_not_shown(void)
{
    fixture at;
    setup(&at, true);
    run(&at, 0, 0, "mul", "c-1", 3);
    run(&at, 1, 0, "div", "c-2", 2);
    mfi_segment_end(at.workers[0], 0);
    mfi_target_end_segment(at.clients[1]); /* the worker is gone */
    mf_check_str(ask(&at, (mf_call_query){.view = MF_CALLS_OPEN}), "");
    teardown(&at);
}

static void test_without_a_recorder_nothing_is_shown(void)
{
    fixture at;
    const mf_call_query query = {.struct_size = sizeof query, .limit = 10};
    setup(&at, false);
    run(&at, 0, 0, "mul", "c-1", 3);
    mf_check(!mfi_observer_visit_calls(at.observer, &query, see, &at, &at.counts));
    mf_check_str(at.seen, "");
    teardown(&at);
}

static const mf_test tests[] = {
    {"calls_view__the_oldest_come_first", test_the_oldest_come_first},
    {"calls_view__a_query_selects", test_a_query_selects},
    {"calls_view__what_ended_is_not_shown", test_what_ended_is_not_shown},
    {"calls_view__without_a_recorder_nothing_is_shown", test_without_a_recorder_nothing_is_shown},
};
MF_TEST_MAIN(tests)
