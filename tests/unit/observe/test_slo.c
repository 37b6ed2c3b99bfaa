/* Objectives: which calls count, in which window, and when /health warns. The clock is turned by
 * hand. */
#include "core/observe/slo.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/observe/parts.h"
#include "metric_support.h"
#include "mf_test.h"

#define MINUTE (60 * MFI_NS_PER_S)
#define HOUR (60 * MINUTE)
#define MS MFI_NS_PER_MS

typedef struct fixture {
    mfi_fake_clock clock;
    mfi_slo *slo;
    double rates[MFI_SLO_WINDOW_COUNT];
} fixture;

static mfi_slo_options options_of(const char *name)
{
    return (mfi_slo_options){.name = name, .target = "math", .threshold_ms = 10, .objective = 0.99};
}

static void setup(fixture *at, const mfi_slo_options *options)
{
    *at = (fixture){.slo = NULL};
    mfi_fake_clock_init(&at->clock, 100 * HOUR);
    mf_check_int(mfi_slo_make(&at->slo, options, &at->clock.clock, NULL), MF_OK);
}

static void count(fixture *at, mf_status status, uint64_t duration_ns, int times)
{
    for (int i = 0; i < times; i++) {
        mfi_slo_count(at->slo, status, duration_ns, at->clock.now_ns);
    }
}

/* The burn rate of a window in tenths. */
static int tenths(fixture *at, mfi_slo_window window)
{
    mfi_slo_burn(at->slo, at->rates);
    return (int)(at->rates[window] * 10 + 0.5);
}

/* ---- Which calls count ---- */

static void test_good_and_bad(void)
{
    fixture at;
    mfi_slo_options options = options_of("calls");
    setup(&at, &options);
    mf_check_int(tenths(&at, MFI_SLO_5M), 0);
    count(&at, MF_OK, 10 * MS, 99); /* the threshold itself is in time */
    mf_check_int(tenths(&at, MFI_SLO_5M), 0);
    count(&at, MF_OK, 10 * MS + 1, 1);
    mf_check_int(tenths(&at, MFI_SLO_5M), 10); /* 1 of 100, and 1 % is allowed */
    count(&at, MF_ERR_TIMEOUT, 5 * MS, 1);
    count(&at, MF_ERR_CIRCUIT_OPEN, 0, 1);
    count(&at, MF_ERR_WORKER_EXITED, 0, 1);
    mf_check_int(tenths(&at, MFI_SLO_5M), 39); /* 4 of 103 */
    count(&at, MF_ERR_CANCELLED, 0, 50);
    count(&at, MF_ERR_REMOTE, 0, 50);
    count(&at, MF_ERR_REMOTE, 50 * MS, 50);
    mf_check_int(tenths(&at, MFI_SLO_5M), 39);
    mfi_slo_free(at.slo);
}

static void test_app_errors_count_if_asked(void)
{
    fixture at;
    mfi_slo_options options = options_of("calls");
    options.count_app_errors = true;
    setup(&at, &options);
    count(&at, MF_OK, 0, 1);
    count(&at, MF_ERR_REMOTE, 0, 1);
    mf_check_int(tenths(&at, MFI_SLO_5M), 500);
    mfi_slo_free(at.slo);
}

/* ---- Windows ---- */

static void test_windows_end(void)
{
    static const struct {
        uint64_t length_ns;
        mfi_slo_window window;
    } windows[] = {{5 * MINUTE, MFI_SLO_5M},
                   {30 * MINUTE, MFI_SLO_30M},
                   {HOUR, MFI_SLO_1H},
                   {6 * HOUR, MFI_SLO_6H}};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        fixture at;
        mfi_slo_options options = options_of("calls");
        setup(&at, &options);
        count(&at, MF_ERR_TIMEOUT, 0, 1);
        mfi_fake_clock_advance(&at.clock, windows[i].length_ns - 1);
        mf_check_int(tenths(&at, windows[i].window), 1000);
        mfi_fake_clock_advance(&at.clock, MFI_SLO_SLOT_NS + 1);
        mf_check_int(tenths(&at, windows[i].window), 0);
        mfi_slo_free(at.slo);
    }
}

static void test_slot_is_used_again(void)
{
    fixture at;
    mfi_slo_options options = options_of("calls");
    setup(&at, &options);
    count(&at, MF_ERR_TIMEOUT, 0, 7);
    mfi_fake_clock_advance(&at.clock, MFI_SLO_SLOTS * MFI_SLO_SLOT_NS);
    mf_check_int(tenths(&at, MFI_SLO_6H), 0);
    count(&at, MF_OK, 0, 1);
    mf_check_int(tenths(&at, MFI_SLO_6H), 0); /* the seven are gone */
    count(&at, MF_ERR_TIMEOUT, 0, 1);
    mf_check_int(tenths(&at, MFI_SLO_6H), 500);
    mfi_slo_free(at.slo);
}

/* ---- Health ---- */

static mf_health_result check(fixture *at)
{
    mf_health_result result = {.status = MF_HEALTH_PASS};
    mfi_slo_check(&result, at->slo);
    return result;
}

static void test_fast_burn_needs_both_windows(void)
{
    fixture at;
    mfi_slo_options options = options_of("calls");
    setup(&at, &options);
    count(&at, MF_OK, 0, 100);
    mf_check_int(check(&at).status, MF_HEALTH_PASS);
    mf_check_str(check(&at).observed_text, "5m 0.0, 30m 0.0, 1h 0.0, 6h 0.0");
    count(&at, MF_ERR_TIMEOUT, 0, 16);               /* 13.8 times */
    mf_check_int(check(&at).status, MF_HEALTH_WARN); /* 6 over 6 h and 30 min */
    mf_check_contains(check(&at).output, "13.8 times as fast as allowed over 6h");
    count(&at, MF_ERR_TIMEOUT, 0, 2); /* 15.3 times */
    mf_check_int(check(&at).status, MF_HEALTH_WARN);
    mf_check_contains(check(&at).output, "15.3 times as fast as allowed over 1h");
    mf_check_contains(check(&at).output, "15.3 times over 5m");
    mf_check_contains(check(&at).output, "the limit is 14.4");
    /* Over for half an hour: neither short window burns any more. */
    mfi_fake_clock_advance(&at.clock, 31 * MINUTE);
    mf_check_int(check(&at).status, MF_HEALTH_PASS);
    mf_check_str(check(&at).output, "");
    mf_check_str(check(&at).observed_text, "5m 0.0, 30m 0.0, 1h 15.3, 6h 15.3");
    mfi_slo_free(at.slo);
}

static void test_slow_burn_needs_both_windows(void)
{
    fixture at;
    mfi_slo_options options = options_of("calls");
    setup(&at, &options);
    count(&at, MF_OK, 0, 1000);
    mfi_fake_clock_advance(&at.clock, 2 * HOUR);
    count(&at, MF_OK, 0, 90);
    count(&at, MF_ERR_TIMEOUT, 0, 10); /* 10 times, but over six hours 0.9 times */
    mf_check_int(check(&at).status, MF_HEALTH_PASS);
    mfi_fake_clock_advance(&at.clock, 5 * HOUR); /* the good calls before are out of the window */
    mf_check_int(check(&at).status, MF_HEALTH_PASS);
    count(&at, MF_OK, 0, 90);
    count(&at, MF_ERR_TIMEOUT, 0, 10);
    mf_check_int(check(&at).status, MF_HEALTH_WARN);
    mf_check_contains(check(&at).output, "10.0 times as fast as allowed over 6h");
    mf_check_contains(check(&at).output, "the limit is 6.0");
    mfi_slo_free(at.slo);
}

static void test_never_fails(void)
{
    fixture at;
    mfi_slo_options options = options_of("calls");
    setup(&at, &options);
    count(&at, MF_ERR_TIMEOUT, 0, 1000);
    mf_check_int(check(&at).status, MF_HEALTH_WARN);
    mf_check_str(check(&at).observed_text, "5m 100.0, 30m 100.0, 1h 100.0, 6h 100.0");
    mfi_slo_free(at.slo);
}

/* ---- Functions ---- */

static uint64_t counted(const metric_fixture *at, const char *slo, const char *result)
{
    const char *labels[] = {slo, result};
    return mf_counter_value(mf_family_counter(at->observer->families.slo_requests, labels));
}

static void declare(const metric_fixture *at, const char *name, const char *target,
                    const char *function)
{
    mfi_slo *slo = NULL;
    mfi_slo_options options = options_of(name);
    options.target = target;
    options.function = function;
    mf_check_int(mfi_slo_make(&slo, &options, mfi_clock_system(), NULL), MF_OK);
    mf_check_int(mfi_slo_add(at->observer, slo, NULL), MF_OK);
}

static void end_call(const metric_fixture *at, const char *function)
{
    mfi_client_span span = client_span(at);
    span.function = mfi_target_function(at->client, function, strlen(function));
    span.function_name = function;
    mfi_observe_client_end(&span, NULL);
}

static void test_counts_its_functions_alone(void)
{
    metric_fixture at;
    metric_setup(&at);
    end_call(&at, "add"); /* before it was declared */
    declare(&at, "all", "math", NULL);
    declare(&at, "adds", "math", "add");
    declare(&at, "later", "math", "new");
    declare(&at, "elsewhere", "other", NULL);
    declare(&at, "serve", "serve", NULL); /* the name of a worker is no target */
    end_call(&at, "add");
    end_call(&at, "new");
    mfi_server_span served = server_span(&at);
    mfi_observe_server_end(&served, NULL);
    mf_check_int(counted(&at, "all", "good"), 2);
    mf_check_int(counted(&at, "adds", "good"), 1);
    mf_check_int(counted(&at, "later", "good"), 1);
    mf_check_int(counted(&at, "elsewhere", "good"), 0);
    mf_check_int(counted(&at, "serve", "good"), 0);
    mf_check_int(counted(&at, "all", "bad"), 0);
    metric_teardown(&at);
}

/* The functions beyond those with series of their own are told apart by name. */
static void test_counts_functions_without_series(void)
{
    metric_fixture at;
    char name[32];
    metric_setup(&at);
    for (int i = 0; i < MFI_FUNCTIONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        end_call(&at, name);
    }
    declare(&at, "beyond", "math", "beyond");
    end_call(&at, "beyond");
    end_call(&at, "another");
    mf_check_int(counted(&at, "beyond", "good"), 1);
    metric_teardown(&at);
}

static void test_target_that_comes_later(void)
{
    metric_fixture at;
    metric_setup(&at);
    mfi_target_destroy(at.client);
    declare(&at, "all", "math", NULL);
    const mfi_client_options client = {.target = "math", .worker = "math-0"};
    mf_check_int(mfi_target_create_client(&at.client, at.observer, &client, NULL), MF_OK);
    mfi_client_span span = client_span(&at);
    mfi_observe_client_end(&span, NULL);
    span.function = mfi_target_function(at.client, NULL, 0);
    mfi_observe_client_end(&span, NULL);
    mf_check_int(counted(&at, "all", "good"), 2);
    mfi_target_hide(at.client); /* it shows no gauges */
    metric_teardown(&at);
}

/* ---- Bounds ---- */

static void check_refused(mfi_slo_options options, const char *why)
{
    mfi_slo *slo = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_slo_make(&slo, &options, mfi_clock_system(), &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, why);
    mf_check(slo == NULL);
    mfi_slo_free(slo);
}

static void test_options_are_checked(void)
{
    char name[66];
    memset(name, 'a', sizeof name);
    name[65] = '\0';
    mfi_slo_options options = options_of(name);
    check_refused(options, "name");
    check_refused(options_of(NULL), "name");
    check_refused(options_of(""), "name");
    check_refused(options_of("Upper"), "name");
    check_refused(options_of("a:b"), "name");
    options = options_of("a");
    options.target = NULL;
    check_refused(options, "target");
    options = options_of("a");
    options.function = "";
    check_refused(options, "function");
    options = options_of("a");
    options.threshold_ms = 0;
    check_refused(options, "threshold_ms");
    options = options_of("a");
    options.objective = 1;
    check_refused(options, "objective");
    options.objective = 0;
    check_refused(options, "objective");
    name[64] = '\0';
    fixture at;
    options = options_of(name);
    setup(&at, &options);
    mf_check_str(mfi_slo_name(at.slo), name);
    mfi_slo_free(at.slo);
}

static void test_at_most_32(void)
{
    metric_fixture at;
    char name[32];
    mfi_slo *slo = NULL;
    mf_error error = MF_ERROR_INIT;
    metric_setup(&at);
    for (int i = 0; i < MFI_SLO_MAX; i++) {
        (void)snprintf(name, sizeof name, "slo-%d", i);
        declare(&at, name, "math", NULL);
    }
    mfi_slo_options options = options_of("slo-7");
    mf_check_int(mfi_slo_make(&slo, &options, mfi_clock_system(), NULL), MF_OK);
    mf_check_int(mfi_slo_add(at.observer, slo, &error), MF_ERR_EXISTS);
    mfi_slo_free(slo);
    options = options_of("one-more");
    mf_check_int(mfi_slo_make(&slo, &options, mfi_clock_system(), NULL), MF_OK);
    mf_check_int(mfi_slo_add(at.observer, slo, &error), MF_ERR_LIMIT);
    mfi_slo_free(slo);
    end_call(&at, "add");
    mf_check_int(counted(&at, "slo-0", "good"), 1);
    mf_check_int(counted(&at, "slo-31", "good"), 1);
    metric_teardown(&at);
}

/* ---- Threads ---- */

#define THREADS 4
#define CALLS 20000

static void *count_many(void *data)
{
    fixture *at = data;
    for (int i = 0; i < CALLS; i++) {
        /* Each thread passes through the same half minutes, so that they replace words together. */
        uint64_t now = at->clock.now_ns + (uint64_t)(i / 100) * MFI_SLO_SLOT_NS / 10;
        mfi_slo_count(at->slo, i % 2 == 0 ? MF_OK : MF_ERR_TIMEOUT, 0, now);
    }
    return NULL;
}

static void test_loses_no_call(void)
{
    fixture at;
    pthread_t threads[THREADS];
    mfi_slo_options options = options_of("calls");
    options.objective = 0.5;
    setup(&at, &options);
    for (int i = 0; i < THREADS; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, count_many, &at), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        mf_check_int(pthread_join(threads[i], NULL), 0);
    }
    mfi_fake_clock_advance(&at.clock, CALLS / 100 * MFI_SLO_SLOT_NS / 10);
    mf_check_int(tenths(&at, MFI_SLO_6H), 10); /* exactly half of the calls */
    mf_check(at.rates[MFI_SLO_6H] == 1.0);
    mfi_slo_free(at.slo);
}

static const mf_test tests[] = {
    {"good_and_bad", test_good_and_bad},
    {"app_errors_count_if_asked", test_app_errors_count_if_asked},
    {"windows_end", test_windows_end},
    {"slot_is_used_again", test_slot_is_used_again},
    {"fast_burn_needs_both_windows", test_fast_burn_needs_both_windows},
    {"slow_burn_needs_both_windows", test_slow_burn_needs_both_windows},
    {"never_fails", test_never_fails},
    {"counts_its_functions_alone", test_counts_its_functions_alone},
    {"counts_functions_without_series", test_counts_functions_without_series},
    {"target_that_comes_later", test_target_that_comes_later},
    {"options_are_checked", test_options_are_checked},
    {"at_most_32", test_at_most_32},
    {"loses_no_call", test_loses_no_call},
};
MF_TEST_MAIN(tests)
