/* How the calls of a target fare: what ended in the last minute, what is open, and which functions
 * they call. */
#include "core/observe/targets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_test.h"

typedef struct fixture {
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
} fixture;

static void setup(fixture *at, bool measured)
{
    *at = (fixture){.logger = NULL};
    mf_check_int(mf_logger_create(&at->logger, NULL, NULL), MF_OK);
    if (measured) {
        mf_check_int(mf_metrics_create(&at->metrics, NULL, NULL), MF_OK);
    }
    mf_check_int(mfi_observer_create(&at->observer, at->logger, at->metrics, 2, NULL), MF_OK);
}

static void teardown(fixture *at)
{
    mfi_observer_destroy(at->observer);
    mf_metrics_destroy(at->metrics);
    mf_logger_destroy(at->logger);
}

static void show_client(mfi_client_gauges *ret_gauges, void *user_data)
{
    *ret_gauges = *(const mfi_client_gauges *)user_data;
}

static mfi_target *add(const fixture *at, const char *name, const char *worker,
                       mfi_client_gauges *gauges)
{
    mfi_target *target = NULL;
    mfi_client_options options = {
        .target = name, .worker = worker, .gauges = show_client, .user_data = gauges};
    mf_check_int(mfi_target_create_client(&target, at->observer, &options, NULL), MF_OK);
    return target;
}

static void end_calls(mfi_target *target, const char *function, unsigned count, mf_status status)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t now = mfi_monotonic_ns();
        mfi_client_span span = {.target = target,
                                .function = mfi_target_function(target, function, strlen(function)),
                                .function_name = function,
                                .namespace_name = "default",
                                .start_ns = now - MFI_NS_PER_MS,
                                .sent_ns = now - MFI_NS_PER_MS,
                                .received_ns = now,
                                .end_ns = now,
                                .attempt = 1,
                                .status = status};
        mfi_observe_client_begin(&span);
        mfi_observe_client_end(&span, NULL);
    }
}

/* Two parents of one target are one; calls before the first look are not of this minute. */
static void test_parents_of_a_target_are_one(void)
{
    fixture at;
    mfi_target_recent seen;
    mfi_client_gauges busy = {.calls_in_flight = 5,
                              .queue_depth = 4,
                              .queue_capacity = 10,
                              .oldest_call_age_seconds = 2.5};
    mfi_client_gauges calm = {.queue_capacity = 10, .oldest_call_age_seconds = 0.5};
    setup(&at, true);
    mfi_target *first = add(&at, "math", "math-0", &busy);
    mfi_target *second = add(&at, "math", "math-1", &calm);
    mfi_target *other = add(&at, "other", "other-0", &busy);
    end_calls(first, "add", 3, MF_ERR_TIMEOUT);
    mfi_target_read_recent(first, mfi_monotonic_ns(), &seen);
    mf_check(seen.is_counted);
    mf_check_int(seen.calls, 0);
    end_calls(first, "add", 1, MF_OK);
    end_calls(second, "add", 2, MF_OK);
    end_calls(second, "sub", 4, MF_ERR_TIMEOUT);
    end_calls(first, "sub", 1, MF_ERR_WORKER_EXITED);
    end_calls(first, "add", 6, MF_ERR_REMOTE);
    end_calls(first, "add", 7, MF_ERR_CANCELLED);
    end_calls(other, "add", 100, MF_ERR_TIMEOUT);
    mfi_target_read_recent(first, mfi_monotonic_ns(), &seen);
    mf_check_int(seen.calls, 21);
    mf_check_int(seen.failed, 5);
    mf_check_int(seen.app_errors, 6);
    mf_check_int(seen.cancelled, 7);
    mf_check_int(seen.in_flight, 5);
    mf_check_int(seen.queue_depth, 4);
    mf_check_int(seen.queue_capacity, 20);
    mf_check(seen.oldest_seconds == 2.5);
    mf_check(fabs(seen.p99_seconds / 0.001 - 1) < 0.011);
    mfi_target_destroy(first);
    mfi_target_destroy(second);
    mfi_target_destroy(other);
    teardown(&at);
}

/* A target beyond the cap, and one that nobody measures: their open calls are known. */
static void test_targets_without_counters(void)
{
    fixture at;
    mfi_target_recent seen;
    mfi_client_gauges busy = {.queue_depth = 4, .queue_capacity = 10};
    for (int measured = 0; measured < 2; measured++) {
        setup(&at, measured != 0);
        mfi_target *made[] = {add(&at, "a", "a-0", &busy), add(&at, "b", "b-0", &busy),
                              add(&at, "c", "c-0", &busy)};
        end_calls(made[2], "add", 3, MF_OK);
        mfi_target_read_recent(made[2], mfi_monotonic_ns(), &seen);
        mf_check(!seen.is_counted && isnan(seen.p99_seconds));
        mf_check_int(seen.queue_depth, 4);
        for (int i = 0; i < 3; i++) {
            mfi_target_destroy(made[i]);
        }
        teardown(&at);
    }
}

static void test_load_of_the_program(void)
{
    fixture at;
    mfi_program_load load;
    mfi_client_gauges ready = {.calls_in_flight = 3, .state = MFI_WORKER_READY};
    mfi_client_gauges down = {.calls_in_flight = 1, .state = MFI_WORKER_DOWN};
    setup(&at, true);
    mfi_target *made[] = {add(&at, "a", "a-0", &ready), add(&at, "b", "b-0", &down)};
    mfi_observer_read_load(at.observer, &load);
    mf_check_int(load.workers, 2);
    mf_check_int(load.ready, 1);
    mf_check_int(load.in_flight, 4);
    mfi_target_destroy(made[0]);
    mfi_target_destroy(made[1]);
    mfi_observer_read_load(at.observer, &load);
    mf_check_int(load.workers, 0);
    teardown(&at);
}

/* The first eight, each once. */
static void test_names_of_functions(void)
{
    fixture at;
    char name[16];
    mfi_client_gauges none = {.queue_depth = 0};
    mfi_function_names names = {.count = 0};
    setup(&at, true);
    mfi_target *first = add(&at, "math", "math-0", &none);
    mfi_target *second = add(&at, "math", "math-1", &none);
    mf_check(mfi_target_prepare(first, "add") && mfi_target_prepare(second, "add"));
    mf_check(mfi_target_prepare(second, "sub"));
    mfi_target_add_names(first, &names);
    mfi_target_add_names(second, &names);
    mf_check_int(names.count, 2);
    mf_check_str(names.names[0], "add");
    mf_check_str(names.names[1], "sub");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        mf_check(mfi_target_prepare(first, name));
    }
    mfi_target_add_names(first, &names);
    mf_check_int(names.count, MF_HEALTH_AFFECTED_MAX);
    mf_check_str(names.names[7], "f5");
    mfi_target_destroy(first);
    mfi_target_destroy(second);
    teardown(&at);
}

static const mf_test tests[] = {
    {"target_recent__parents_of_a_target_are_one", test_parents_of_a_target_are_one},
    {"target_recent__targets_without_counters", test_targets_without_counters},
    {"target_recent__load_of_the_program", test_load_of_the_program},
    {"target_recent__names_of_functions", test_names_of_functions},
};
MF_TEST_MAIN(tests)
