/* One scrape of a parent shows all its workers, also those that were killed: no counter goes
 * backwards, and what the handlers counted themselves is what the parent shows.
 *
 * The workers are this program again. Their handlers count in memory that the test shares. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

enum { WORKERS = 4, KILLS = 24 };

typedef struct map {
    _Atomic(uint64_t) entries[WORKERS]; /* of handlers */
    _Atomic(uint32_t) held;             /* a handler "hold" waits while this is 1 */
} map;

/* ---- The worker ---- */

static map *open_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool made = fd >= 0 && ftruncate(fd, sizeof(map)) == 0;
    void *at =
        made ? mmap(NULL, sizeof(map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0) {
        (void)close(fd);
    }
    return at != MAP_FAILED ? at : NULL;
}

typedef struct role {
    map *shared;
    unsigned index;
} role;

static mf_status count(mf_request *request, mf_reply *reply, void *user_data)
{
    role *self = user_data;
    (void)request;
    atomic_fetch_add(&self->shared->entries[self->index], 1);
    return mf_reply_set(reply, mf_int(1));
}

static mf_status hold(mf_request *request, mf_reply *reply, void *user_data)
{
    role *self = user_data;
    (void)request;
    atomic_fetch_add(&self->shared->entries[self->index], 1);
    while (atomic_load(&self->shared->held) != 0) {
        (void)usleep(1000);
    }
    return mf_reply_set(reply, mf_int(1));
}

static int work(const char *path, const char *index)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    role self = {.shared = open_map(path), .index = (unsigned)atoi(index)};
    if (self.shared == NULL || mf_child_create(&child, NULL, &error) != MF_OK) {
        return 1;
    }
    mf_status status = mf_child_handle(child, "count", count, &self);
    if (status == MF_OK) {
        status = mf_child_handle(child, "hold", hold, &self);
    }
    if (status == MF_OK) {
        status = mf_child_run(child, &error);
    }
    mf_child_destroy(child);
    return status == MF_OK ? 0 : 1;
}

/* ---- The parents ---- */

typedef struct caller {
    mf_parent *parent;
    pthread_t thread;
    _Atomic(bool) *stop;
    uint64_t made; /* calls that began */
} caller;

typedef struct family {
    mf_runtime *runtime;
    map *shared;
    char path[200];
    caller callers[WORKERS];
    _Atomic(bool) stop;
    char *text; /* of the last scrape */
} family;

static void scrape(family *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &at->text, &size, NULL),
                 MF_OK);
}

static void begin(family *at, unsigned workers, mf_runtime_options *options)
{
    static char program[4096];
    static int made;
    memset(at, 0, sizeof *at);
    mf_check(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    (void)snprintf(at->path, sizeof at->path, "%s/map%d", mf_test_temp_dir(), made++);
    at->shared = open_map(at->path);
    mf_check(at->shared != NULL);
    mf_check_int(mf_runtime_create(&at->runtime, options, NULL), MF_OK);
    for (unsigned i = 0; i < workers; i++) {
        char index[12];
        (void)snprintf(index, sizeof index, "%u", i);
        const char *args[] = {at->path, index, NULL}; /* and "--worker" */
        mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
        parent.runtime = at->runtime;
        parent.program = program;
        parent.args = args;
        parent.target = "family";
        parent.auto_restart = true;
        parent.max_restart_attempts = MF_DISABLED;
        parent.restart_backoff_ms = 1;
        parent.restart_backoff_max_ms = 1;
        parent.circuit_failures = MF_DISABLED;
        at->callers[i].parent = start(&parent);
        at->callers[i].stop = &at->stop;
    }
}

static void end(family *at)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        mf_parent_destroy(at->callers[i].parent);
    }
    mf_runtime_destroy(at->runtime);
    (void)munmap(at->shared, sizeof(map));
    free(at->text);
}

/* The value of one series; -1 if it is not there. */
static int64_t value_of(const family *at, const char *series)
{
    char start[300];
    int length = snprintf(start, sizeof start, "\nmultifrost_%s ", series);
    const char *found = strstr(at->text, start);
    return found != NULL ? (int64_t)strtod(found + length, NULL) : -1;
}

/* The sum over the series of a family whose labels have this part. */
static int64_t sum_of(const family *at, const char *name, const char *part)
{
    char start[100];
    double sum = 0;
    int length = snprintf(start, sizeof start, "\nmultifrost_%s{", name);
    for (const char *line = at->text; (line = strstr(line, start)) != NULL; line++) {
        const char *end = strchr(line + length, '}');
        const char *found = strstr(line + length, part);
        if (end != NULL && found != NULL && found < end) {
            sum += strtod(end + 1, NULL);
        }
    }
    return (int64_t)sum;
}

/* ---- Killed under load ---- */

static void *call_all_the_time(void *data)
{
    caller *self = data;
    while (!atomic_load(self->stop)) {
        mf_error error = MF_ERROR_INIT;
        mf_status status = mf_call(self->parent, "count", MF_ARGS(1), NULL, &error);
        mf_check(status == MF_OK || error.message[0] != 0); /* it may meet a kill */
        self->made++;
    }
    return NULL;
}

static bool is_counter(const char *line)
{
    const char *end = strpbrk(line, "{ ");
    size_t length = end != NULL ? (size_t)(end - line) : 0;
    return strncmp(line, "multifrost_server_", 18) == 0 && length > 6 &&
           (strncmp(end - 6, "_total", 6) == 0 || strncmp(end - 6, "_count", 6) == 0 ||
            strncmp(end - 7, "_bucket", 7) == 0 || strncmp(end - 4, "_sum", 4) == 0);
}

/* Each counter of the scrape before is there, and not less. */
static void check_monotonic(const char *before, const family *at)
{
    for (const char *line = before; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *space = strstr(line, "} ");
        if (!is_counter(line) || space == NULL) {
            continue;
        }
        char series[400];
        (void)snprintf(series, sizeof series, "\n%.*s ", (int)(space + 1 - line), line);
        const char *now = strstr(at->text, series);
        mf_check(now != NULL);
        if (now != NULL && strtod(now + strlen(series), NULL) < strtod(space + 2, NULL)) {
            CU_FAIL("a counter went backwards");
            (void)fprintf(stderr, "%s was %s\n", series, space + 2);
        }
    }
}

static void scrape_again(family *at)
{
    char *before = at->text;
    at->text = NULL;
    scrape(at);
    check_monotonic(before, at);
    free(before);
}

static unsigned kills_wanted(void)
{
    const char *text = getenv("MF_FAMILY_KILLS");
    return text != NULL ? (unsigned)atoi(text) : KILLS;
}

static void test_counters_outlive_their_workers(void)
{
    family at;
    unsigned kills[WORKERS] = {0};
    begin(&at, WORKERS, NULL);
    scrape(&at);
    for (unsigned i = 0; i < WORKERS; i++) {
        mf_check_int(pthread_create(&at.callers[i].thread, NULL, call_all_the_time, &at.callers[i]),
                     0);
    }
    for (unsigned i = 0; i < kills_wanted(); i++) {
        kill_worker(at.callers[i % WORKERS].parent);
        kills[i % WORKERS]++;
        scrape_again(&at);
        mf_check(mf_test_until(is_ready, at.callers[i % WORKERS].parent, MF_TEST_PATIENCE_MS));
        scrape_again(&at);
    }
    atomic_store(&at.stop, true);
    uint64_t made = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        mf_check_int(pthread_join(at.callers[i].thread, NULL), 0);
        made += at.callers[i].made;
    }
    scrape_again(&at);
    mf_check_int(sum_of(&at, "client_calls_total", "function=\"count\""), made);
    for (unsigned i = 0; i < WORKERS; i++) {
        char worker[40];
        (void)snprintf(worker, sizeof worker, "worker=\"family-%u\"", i);
        int64_t entered = (int64_t)atomic_load(&at.shared->entries[i]);
        int64_t started = sum_of(&at, "server_calls_started_total", worker);
        mf_check(entered > 0);
        mf_check(started >= entered); /* a call is counted before its handler begins */
        mf_check(started <= entered + (int64_t)kills[i]);
        mf_check(sum_of(&at, "server_calls_total", worker) <= started);
        mf_check(sum_of(&at, "server_calls_total", worker) >= started - (int64_t)kills[i]);
    }
    mf_check_int(sum_of(&at, "worker_segments_total", "result=\"taken\""),
                 WORKERS + kills_wanted());
    mf_check_int(sum_of(&at, "worker_segment_ignored_cells_total", ""), 0);
    end(&at);
}

/* ---- What a worker does now ---- */

static bool shows_one_running(void *data)
{
    family *at = data;
    scrape(at);
    return value_of(at, "server_calls_in_flight{target=\"family\",worker=\"family-0\"}") == 1 &&
           value_of(at, "server_queue_depth{target=\"family\",worker=\"family-0\"}") == 2;
}

static bool shows_none_running(void *data)
{
    family *at = data;
    scrape(at);
    return value_of(at, "server_calls_in_flight{target=\"family\",worker=\"family-0\"}") == 0 &&
           value_of(at, "server_queue_depth{target=\"family\",worker=\"family-0\"}") == 0;
}

static void test_what_runs_now_is_shown(void)
{
    family at;
    mf_future *futures[3];
    begin(&at, 1, NULL);
    atomic_store(&at.shared->held, 1);
    for (unsigned i = 0; i < 3; i++) {
        mf_check_int(
            mf_call_future(at.callers[0].parent, "hold", MF_ARGS(1), NULL, &futures[i], NULL),
            MF_OK);
    }
    mf_check(mf_test_until(shows_one_running, &at, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.text, "multifrost_server_running_handler_age_seconds{target=\"family\","
                               "worker=\"family-0\"}");
    mf_check_int(value_of(&at, "server_threads{target=\"family\",worker=\"family-0\","
                               "state=\"busy\"}"),
                 1);
    atomic_store(&at.shared->held, 0);
    for (unsigned i = 0; i < 3; i++) {
        mf_check_int(mf_future_wait(futures[i], MF_TEST_PATIENCE_MS, NULL, NULL), MF_OK);
        mf_future_destroy(futures[i]);
    }
    mf_check(mf_test_until(shows_none_running, &at, MF_TEST_PATIENCE_MS));
    end(&at);
}

static void test_an_option_switches_it_off(void)
{
    family at;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.no_segments = true;
    begin(&at, 1, &options);
    mf_check_int(mf_call(at.callers[0].parent, "count", MF_ARGS(1), NULL, NULL), MF_OK);
    scrape(&at);
    mf_check_int(value_of(&at, "client_calls_total{target=\"family\",function=\"count\","
                               "status=\"ok\"}"),
                 1);
    mf_check_int(sum_of(&at, "server_calls_total", ""), 0);
    mf_check_int(sum_of(&at, "worker_segments_total", ""), 0);
    end(&at);
}

int main(int argc, char **argv)
{
    static const mf_test tests[] = {
        {"family__counters_outlive_their_workers", test_counters_outlive_their_workers},
        {"family__what_runs_now_is_shown", test_what_runs_now_is_shown},
        {"family__an_option_switches_it_off", test_an_option_switches_it_off},
    };
    if (argc == 4 && strcmp(argv[3], "--worker") == 0) {
        return work(argv[1], argv[2]);
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
