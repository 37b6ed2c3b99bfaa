/* Where the time of handlers went, and what answers say of their worker: with a worker process that
 * spins, sleeps, waits for a lock and asks to be left alone. The program is its own worker. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define WORK_MS 100
#define NS_PER_MS INT64_C(1000000)

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

/* ---- The worker ---- */

/* Until the thread's own clock says that it has run so long. */
static int64_t spin_for(int64_t ms)
{
    int64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t ran = 0;
    while ((ran = clock_ns(CLOCK_THREAD_CPUTIME_ID) - began) < ms * NS_PER_MS) {
    }
    return ran;
}

static void sleep_for(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* All three answer with the nanoseconds that their one state lasted at least. */
static mf_status spin(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request, (void)user_data;
    return mf_reply_value(reply, spin_for(WORK_MS));
}

static mf_status nap(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request, (void)user_data;
    sleep_for(WORK_MS);
    return mf_reply_value(reply, WORK_MS * NS_PER_MS);
}

typedef struct held_lock {
    pthread_mutex_t mutex;
    pthread_barrier_t is_held;
} held_lock;

static void *hold(void *argument)
{
    held_lock *lock = argument;
    (void)pthread_mutex_lock(&lock->mutex);
    (void)pthread_barrier_wait(&lock->is_held);
    sleep_for(WORK_MS);
    (void)pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

static mf_status wait_for_lock(mf_request *request, mf_reply *reply, void *user_data)
{
    held_lock lock = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t holder;
    (void)request, (void)user_data;
    (void)pthread_barrier_init(&lock.is_held, NULL, 2);
    if (pthread_create(&holder, NULL, hold, &lock) != 0) {
        return MF_ERR_SYSTEM;
    }
    (void)pthread_barrier_wait(&lock.is_held);
    int64_t began = clock_ns(CLOCK_MONOTONIC);
    int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    (void)pthread_mutex_lock(&lock.mutex);
    int64_t ran = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    int64_t waited = clock_ns(CLOCK_MONOTONIC) - began;
    (void)pthread_mutex_unlock(&lock.mutex);
    (void)pthread_join(holder, NULL);
    (void)pthread_barrier_destroy(&lock.is_held);
    return mf_reply_value(reply, waited - ran);
}

static void *answer_later(void *deferred)
{
    sleep_for(WORK_MS);
    (void)mf_deferred_set(deferred, mf_int(0));
    return NULL;
}

/* The answer comes long after the handler has returned. */
static mf_status later(mf_request *request, mf_reply *reply, void *user_data)
{
    pthread_t thread;
    (void)request, (void)user_data;
    mf_deferred *deferred = mf_reply_defer(reply);
    if (deferred == NULL || pthread_create(&thread, NULL, answer_later, deferred) != 0) {
        return MF_ERR_SYSTEM;
    }
    (void)pthread_detach(thread);
    return MF_OK;
}

/* Fails as often as the argument says, and then gives the number of its calls. */
static mf_status busy(mf_request *request, mf_reply *reply, void *user_data)
{
    static atomic_int calls;
    int64_t failures, wait_ms;
    (void)user_data;
    if (mf_request_unpack(request, &failures, &wait_ms) != MF_OK) {
        return MF_ERR_TYPE;
    }
    int call = atomic_fetch_add(&calls, 1) + 1;
    if (call > failures) {
        return mf_reply_value(reply, call);
    }
    (void)mf_reply_retry_after(reply, wait_ms);
    return mf_reply_error(reply, "Busy", "try again in %lld ms", (long long)wait_ms);
}

/* The worker's own exposition. */
static mf_status exposition(mf_request *request, mf_reply *reply, void *runtime)
{
    char *text = NULL;
    size_t size = 0;
    (void)request;
    mf_status status = mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT,
                                         &text, &size, NULL);
    if (status == MF_OK) {
        status = mf_reply_set(reply, mf_str_n(text, size));
    }
    free(text);
    return status;
}

static int run_worker(const char *log_path, const char *sampling)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options of_runtime = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    of_runtime.log_file = log_path;
    options.handler_sampling = (int32_t)strtol(sampling, NULL, 10);
    mf_status status = mf_runtime_create(&options.runtime, &of_runtime, &error);
    if (status == MF_OK) {
        status = mf_child_create(&child, &options, &error);
    }
    if (status == MF_OK) {
        mf_child_handle(child, "spin", spin, NULL);
        mf_child_handle(child, "nap", nap, NULL);
        mf_child_handle(child, "wait_for_lock", wait_for_lock, NULL);
        mf_child_handle(child, "later", later, NULL);
        mf_child_handle(child, "busy", busy, NULL);
        mf_child_handle(child, "exposition", exposition, options.runtime);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        (void)fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    mf_runtime_destroy(options.runtime);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The tests ---- */

typedef struct fixture {
    mf_runtime *runtime;
    mf_parent *parent;
    char log_path[400], sampling[16];
    const char *args[4];
} fixture;

static void setup(fixture *at, const char *name, int sampling)
{
    *at = (fixture){.runtime = NULL};
    mf_parent_options options = worker_options();
    (void)snprintf(at->log_path, sizeof at->log_path, "%s/%s.log", mf_test_temp_dir(), name);
    (void)snprintf(at->sampling, sizeof at->sampling, "%d", sampling);
    at->args[0] = "worker";
    at->args[1] = at->log_path;
    at->args[2] = at->sampling;
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    options.runtime = at->runtime;
    options.program = mf_test_build_path("tests/test_integration_handler_state");
    options.args = at->args;
    at->parent = start(&options);
}

static void teardown(fixture *at)
{
    mf_parent_destroy(at->parent);
    mf_runtime_destroy(at->runtime);
}

static int64_t call(const fixture *at, const char *function)
{
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_check_int(mf_call(at->parent, function, MF_NO_ARGS, &result, &error), MF_OK);
    mf_check_str(error.message, "");
    int64_t number = mf_result_int(result);
    mf_result_destroy(result);
    return number;
}

/* The record of the worker's one call of a function. */
typedef struct wanted_record {
    const fixture *at;
    const char *function;
    char line[9000];
} wanted_record;

static bool find_record(void *user_data)
{
    wanted_record *wanted = user_data;
    char name[64];
    bool found = false;
    FILE *file = fopen(wanted->at->log_path, "re");
    (void)snprintf(name, sizeof name, "\"function\":\"%s\"", wanted->function);
    while (file != NULL && !found && fgets(wanted->line, sizeof wanted->line, file) != NULL) {
        found = strstr(wanted->line, "\"event\":\"request_complete\"") != NULL &&
                strstr(wanted->line, name) != NULL && strchr(wanted->line, '\n') != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* In milliseconds. */
typedef struct states {
    double on_cpu, runnable, blocked;
} states;

static double field_of(const char *line, const char *key)
{
    char text[64];
    int length = snprintf(text, sizeof text, "\"%s\":", key);
    const char *found = strstr(line, text);
    mf_check(found != NULL);
    return found != NULL ? strtod(found + length, NULL) : -1;
}

static states states_of(const fixture *at, const char *function)
{
    static wanted_record wanted;
    wanted = (wanted_record){.at = at, .function = function};
    mf_check(mf_test_until(find_record, &wanted, 20000));
    const char *object = strstr(wanted.line, "\"handler_state\":{");
    mf_check(object != NULL);
    mf_check_contains(wanted.line, "\"handler_sampled_one_in\":1");
    object = object != NULL ? object : "";
    return (states){field_of(object, "on_cpu"), field_of(object, "runnable"),
                    field_of(object, "blocked")};
}

/* A record rounds each figure to nanoseconds. */
#define ROUNDED 0.00001

static double ms(int64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

static void test_each_state_has_its_time(void)
{
    fixture at;
    setup(&at, "states", 1);
    double spun = ms(call(&at, "spin"));
    states seen = states_of(&at, "spin");
    mf_check(seen.on_cpu + ROUNDED >= spun);
    mf_check(seen.blocked < seen.on_cpu); /* it waited for a processor at most */
    double slept = ms(call(&at, "nap"));
    seen = states_of(&at, "nap");
    mf_check(seen.blocked + seen.runnable + ROUNDED >= slept);
    mf_check(seen.blocked > seen.on_cpu);
    double waited = ms(call(&at, "wait_for_lock"));
    seen = states_of(&at, "wait_for_lock");
    mf_check(seen.blocked + seen.runnable + ROUNDED >= waited);
    mf_check(seen.blocked > seen.on_cpu);
    teardown(&at);
}

/* The thread is free while the answer is waited for. */
static void test_deferred_answer_counts_its_handler(void)
{
    fixture at;
    setup(&at, "deferred", 1);
    (void)call(&at, "later");
    states seen = states_of(&at, "later");
    static wanted_record wanted;
    wanted = (wanted_record){.at = &at, .function = "later"};
    mf_check(find_record(&wanted));
    double lasted = field_of(wanted.line, "handler");
    mf_check(lasted + ROUNDED >= WORK_MS);
    mf_check(seen.on_cpu + seen.runnable + seen.blocked <= lasted + ROUNDED);
    mf_check(seen.on_cpu > 0);
    teardown(&at);
}

static double counted(const fixture *at, const char *state)
{
    char line[128];
    const char *text = NULL;
    mf_result *result = NULL;
    mf_check_int(mf_call(at->parent, "exposition", MF_NO_ARGS, &result, NULL), MF_OK);
    text = mf_result_str(result);
    int length = snprintf(line, sizeof line,
                          "multifrost_server_handler_state_seconds_total{worker=\"math-0\","
                          "state=\"%s\"} ",
                          state);
    const char *found = text != NULL ? strstr(text, line) : NULL;
    mf_check(found != NULL);
    double value = found != NULL ? strtod(found + length, NULL) : -1;
    mf_result_destroy(result);
    return value;
}

static void test_states_are_counted(void)
{
    fixture at;
    setup(&at, "counted", 1);
    double before = counted(&at, "on_cpu");
    double spun = ms(call(&at, "spin")) / 1000;
    double after = counted(&at, "on_cpu");
    mf_check(after >= before + spun);
    before = counted(&at, "blocked") + counted(&at, "runnable");
    double slept = ms(call(&at, "nap")) / 1000;
    mf_check(counted(&at, "blocked") + counted(&at, "runnable") >= before + slept);
    teardown(&at);
}

static void test_nothing_is_sampled_when_disabled(void)
{
    fixture at;
    static wanted_record wanted;
    setup(&at, "disabled", MF_DISABLED);
    (void)call(&at, "nap");
    wanted = (wanted_record){.at = &at, .function = "nap"};
    mf_check(mf_test_until(find_record, &wanted, 20000));
    mf_check(strstr(wanted.line, "\"handler_state\":") == NULL);
    mf_check(strstr(wanted.line, "handler_sampled_one_in") == NULL);
    mf_check(counted(&at, "blocked") == 0 && counted(&at, "on_cpu") == 0);
    teardown(&at);
}

/* ---- Replies ---- */

static bool exposition_has(const fixture *at, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    bool found = text != NULL && strstr(text, line) != NULL;
    free(text);
    return found;
}

static void test_caller_follows_the_worker(void)
{
    fixture at;
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    setup(&at, "pushback", 1);
    int64_t began = clock_ns(CLOCK_MONOTONIC);
    mf_check_int(mf_call_with(at.parent, "busy", MF_ARGS(2, 50), &options, &result, &error), MF_OK);
    mf_check(clock_ns(CLOCK_MONOTONIC) - began >= 100 * NS_PER_MS);
    mf_check_int(mf_result_int(result), 3);
    mf_result_destroy(result);
    mf_check_int(stats_of(at.parent).retries, 2);
    mf_check(exposition_has(&at, "multifrost_client_retries_suppressed_total{target=\"math\","
                                 "reason=\"pushback\"} 0\n"));
    mf_check_int(mf_call_with(at.parent, "busy", MF_ARGS(9, -1), &options, NULL, &error),
                 MF_ERR_REMOTE);
    mf_check_int(stats_of(at.parent).retries, 2);
    mf_check(exposition_has(&at, "multifrost_client_retries_suppressed_total{target=\"math\","
                                 "reason=\"pushback\"} 1\n"));
    mf_check_int(mf_call(at.parent, "busy", MF_ARGS(9, 0), NULL, &error), MF_ERR_REMOTE);
    mf_check_int(stats_of(at.parent).retries, 2); /* a call without a policy is not tried again */
    teardown(&at);
}

static bool says_no_load(void *parent)
{
    return !stats_of(parent).says_load;
}

/* The load ends with the worker that said it. */
static void test_answers_say_the_load(void)
{
    fixture at;
    setup(&at, "load", MF_DISABLED);
    mf_parent_stats stats = stats_of(at.parent);
    mf_check(!stats.says_load);
    mf_check(!exposition_has(&at, "multifrost_worker_load_ratio{"));
    (void)call(&at, "nap"); /* long enough for a new share, in which it counts */
    (void)call(&at, "nap");
    stats = stats_of(at.parent);
    mf_check(stats.says_load && stats.load > 0 && stats.load <= 1);
    mf_check(exposition_has(&at, "multifrost_worker_load_ratio{target=\"math\",worker=\"math-0\"} "
                                 "0."));
    kill_worker(at.parent);
    mf_check(mf_test_until(says_no_load, at.parent, 20000));
    mf_check(!exposition_has(&at, "multifrost_worker_load_ratio{"));
    teardown(&at);
}

#define USED "multifrost_client_deadline_used_ratio_bucket{target=\"math\",le="
static void test_late_calls_are_above_one(void)
{
    fixture at;
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    setup(&at, "late", MF_DISABLED);
    options.timeout_ms = 3600000;
    mf_check_int(mf_call_with(at.parent, "nap", MF_NO_ARGS, &options, NULL, &error), MF_OK);
    mf_check(exposition_has(&at, USED "\"0.1\"} 1\n"));
    options.timeout_ms = 1;
    mf_check_int(mf_call_with(at.parent, "nap", MF_NO_ARGS, &options, NULL, &error),
                 MF_ERR_TIMEOUT);
    mf_check(exposition_has(&at, USED "\"1.0\"} 1\n"));
    mf_check(exposition_has(&at, USED "\"+Inf\"} 2\n"));
    options.timeout_ms = MF_TIMEOUT_INFINITE;
    mf_check_int(mf_call_with(at.parent, "nap", MF_NO_ARGS, &options, NULL, &error), MF_OK);
    mf_check(exposition_has(&at, USED "\"+Inf\"} 2\n"));
    teardown(&at);
}

static const mf_test tests[] = {
    {"handler_state__each_state_has_its_time", test_each_state_has_its_time},
    {"handler_state__deferred_answer_counts_its_handler", test_deferred_answer_counts_its_handler},
    {"handler_state__is_counted", test_states_are_counted},
    {"handler_state__is_not_sampled_when_disabled", test_nothing_is_sampled_when_disabled},
    {"replies__say_when_to_try_again", test_caller_follows_the_worker},
    {"replies__say_the_load", test_answers_say_the_load},
    {"replies__late_calls_are_above_one", test_late_calls_are_above_one},
};

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "worker") == 0) {
        return run_worker(argv[2], argv[3]);
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
