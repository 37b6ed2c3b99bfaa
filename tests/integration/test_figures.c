/* What the scrape says of a worker's process: a worker that burns processor time, takes memory,
 * opens files and starts threads moves each figure; one that is killed loses none of its time. This
 * program is also the worker. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"
#include "services.h"

#define WORKER "--worker"
#define MEMORY ((size_t)64 * 1024 * 1024)
#define FILES 50
#define THREADS 5
/* The kernel cuts each of the four times that make the processor time to a clock tick. */
#define CUT_SECONDS (4.0 / 100)
#define ABSENT (-1.0)

/* ---- The worker ---- */

static double used_seconds(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Uses as many milliseconds of processor time, and answers how much the process has used. */
static mf_status burn(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t ms = 0;
    double before = used_seconds();
    (void)user_data;
    if (mf_request_unpack(request, &ms) != MF_OK) {
        return MF_ERR_TYPE;
    }
    while (used_seconds() - before < (double)ms / 1000) {
    }
    return mf_reply_value(reply, used_seconds());
}

static mf_status take_memory(mf_request *request, mf_reply *reply, void *user_data)
{
    char *memory = malloc(MEMORY); /* until the worker ends */
    (void)request;
    *(char **)user_data = memory;
    if (memory == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    memset(memory, 1, MEMORY);
    return mf_reply_value(reply, true);
}

static mf_status open_files(mf_request *request, mf_reply *reply, void *user_data)
{
    int count = 0;
    (void)request;
    (void)user_data;
    while (count < FILES && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
        count++;
    }
    return mf_reply_value(reply, (int64_t)count);
}

static void *wait_for_end(void *data)
{
    (void)pause();
    return data;
}

static mf_status start_threads(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t count = 0;
    pthread_t thread;
    (void)request;
    (void)user_data;
    while (count < THREADS && pthread_create(&thread, NULL, wait_for_end, NULL) == 0) {
        count += pthread_detach(thread) == 0;
    }
    return mf_reply_value(reply, count);
}

static int be_worker(void)
{
    static char *memory;
    mf_child *child = NULL;
    mf_status status = mf_child_create(&child, NULL, NULL);
    if (status == MF_OK) {
        mf_child_handle(child, "burn", burn, NULL);
        mf_child_handle(child, "take_memory", take_memory, &memory);
        mf_child_handle(child, "open_files", open_files, NULL);
        mf_child_handle(child, "start_threads", start_threads, NULL);
        status = mf_child_run(child, NULL);
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The parent ---- */

typedef struct fixture {
    mf_runtime *runtime;
    mf_parent *parent;
    char *text; /* the exposition that was read last */
} fixture;

static void setup(fixture *at, mf_parent_options *options)
{
    static const char *const args[] = {WORKER, NULL};
    static char program[512];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    *at = (fixture){.text = NULL};
    mf_check(length > 0);
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    options->runtime = at->runtime;
    options->program = program;
    options->args = args;
    options->target = "math";
    options->heartbeat_interval_ms = MF_DISABLED;
    at->parent = start(options);
}

static void teardown(fixture *at)
{
    mf_parent_destroy(at->parent);
    mf_runtime_destroy(at->runtime);
    free(at->text);
}

static void scrape(fixture *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &at->text, &size, NULL),
                 MF_OK);
}

/* Of the only worker; ABSENT without a series. */
static double figure(fixture *at, const char *family)
{
    char start[100];
    scrape(at);
    (void)snprintf(start, sizeof start, "\nmultifrost_worker_%s{", family);
    const char *line = strstr(at->text, start);
    const char *end = line != NULL ? strchr(line, '}') : NULL;
    return end != NULL ? strtod(end + 1, NULL) : ABSENT;
}

typedef struct wait_for {
    fixture *at;
    const char *family;
    double least, got;
} wait_for;

static bool has_reached(void *data)
{
    wait_for *wanted = data;
    wanted->got = figure(wanted->at, wanted->family);
    return wanted->got >= wanted->least;
}

/* Waits until the figure is that high; each scrape reads it anew, if only after a moment. */
static double await(fixture *at, const char *family, double least)
{
    wait_for wanted = {.at = at, .family = family, .least = least};
    bool has = mf_test_until(has_reached, &wanted, MF_TEST_PATIENCE_MS);
    mf_check_str(has ? family : "not reached", family);
    return wanted.got;
}

static const char *const gauges[] = {"resident_memory_bytes", "open_fds", "threads",
                                     "start_time_seconds"};

static bool has_no_gauges(void *data)
{
    bool none = true;
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        none = none && figure(data, gauges[i]) <= ABSENT;
    }
    return none;
}

static void call(fixture *at, const char *function)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(at->parent, function, MF_NO_ARGS, NULL, &error), MF_OK);
    mf_check_str(error.message, "");
}

/* Seconds of processor time that the worker has used in its life, by its own account. */
static double burn_ms(fixture *at, int64_t ms)
{
    mf_result *result = NULL;
    mf_check_int(mf_call(at->parent, "burn", MF_ARGS(ms), &result, NULL), MF_OK);
    double used = mf_result_double(result);
    mf_result_destroy(result);
    mf_check(used * 1000 >= (double)ms);
    return used;
}

/* ---- Each moves its own ---- */

static void test_each_moves_its_own(void)
{
    fixture at;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    double began = (double)time(NULL);
    setup(&at, &options);
    double threads = await(&at, "threads", 2);
    double files = await(&at, "open_fds", 4);
    double memory = await(&at, "resident_memory_bytes", 1);
    double started = await(&at, "start_time_seconds", began - 1);
    mf_check(started <= (double)time(NULL) + 1);

    double used = burn_ms(&at, 300);
    (void)await(&at, "cpu_seconds_total", used - CUT_SECONDS);
    mf_check_int(figure(&at, "threads"), threads);
    call(&at, "open_files");
    (void)await(&at, "open_fds", files + FILES);
    mf_check_int(figure(&at, "threads"), threads);
    call(&at, "start_threads");
    (void)await(&at, "threads", threads + THREADS);
    call(&at, "take_memory");
    mf_check(await(&at, "resident_memory_bytes", (double)MEMORY) > memory);
    (void)await(&at, "run_queue_seconds_total", 0);
    mf_check_int(figure(&at, "start_time_seconds"), started); /* it is the same process */

    mf_parent_destroy(at.parent);
    at.parent = NULL;
    mf_check(has_no_gauges(&at));
    mf_check(figure(&at, "cpu_seconds_total") >= used);
    teardown(&at);
}

/* ---- Ends ---- */

/* Nobody scrapes between the work and the kill: the exit tells how much it was. */
static void test_killed(void)
{
    fixture at;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    restart_by_hand_only(&options);
    setup(&at, &options);
    double used = burn_ms(&at, 100);
    double seen = await(&at, "cpu_seconds_total", used - CUT_SECONDS);
    used = burn_ms(&at, 300);
    kill_worker(at.parent);
    mf_check(has_no_gauges(&at));
    double dead = figure(&at, "cpu_seconds_total");
    mf_check(dead >= seen && dead >= used);

    mf_check_int(mf_parent_restart(at.parent, NULL), MF_OK);
    (void)await(&at, "threads", 2);
    double second = burn_ms(&at, 100);
    mf_check(await(&at, "cpu_seconds_total", used + second - CUT_SECONDS) >= dead);
    teardown(&at);
}

typedef struct watched {
    fixture *at;
    int64_t pid;
    double last;
    bool fell;
} watched;

static bool is_another_ready(void *data)
{
    watched *of = data;
    double now = figure(of->at, "cpu_seconds_total");
    of->fell = of->fell || now < of->last;
    of->last = now;
    return is_ready(of->at->parent) && mf_parent_pid(of->at->parent) != of->pid &&
           figure(of->at, "threads") > 0;
}

static void test_never_backwards(void)
{
    fixture at;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.auto_restart = true;
    options.restart_backoff_ms = 1;
    options.max_restart_attempts = 100;
    setup(&at, &options);
    double used = 0;
    watched of = {.at = &at, .last = ABSENT};
    for (int i = 0; i < 5; i++) {
        used += burn_ms(&at, 40);
        of.pid = mf_parent_pid(at.parent);
        send_signal(of.pid, SIGKILL);
        mf_check(mf_test_until(is_another_ready, &of, MF_TEST_PATIENCE_MS));
        mf_check(of.last >= used);
    }
    mf_check(!of.fell);
    teardown(&at);
}

/* ---- A service ---- */

static void test_service(void)
{
    home of = new_home();
    fixture at = {.text = NULL};
    mf_error error = MF_ERROR_INIT;
    pid_t service = start_service(&of, "math");
    mf_check_int(mf_runtime_create(&at.runtime, NULL, NULL), MF_OK);
    at.parent = make_parent(&of, at.runtime);
    mf_check_int(mf_parent_start(at.parent, &error), MF_OK);
    mf_check_str(error.message, "");
    (void)await(&at, "threads", 2);
    (void)await(&at, "resident_memory_bytes", 1);
    (void)await(&at, "open_fds", 4);
    (void)await(&at, "cpu_seconds_total", 0);
    end_service(service, SIGKILL);
    mf_check(mf_test_until(has_no_gauges, &at, MF_TEST_PATIENCE_MS));
    mf_check(figure(&at, "cpu_seconds_total") >= 0); /* counters stay */
    teardown(&at);
}

static const mf_test tests[] = {
    {"figures__each_moves_its_own", test_each_moves_its_own},
    {"figures__killed", test_killed},
    {"figures__never_backwards", test_never_backwards},
    {"figures__service", test_service},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], WORKER) == 0) {
        return be_worker();
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
