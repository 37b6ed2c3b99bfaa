/* One scrape of a parent shows all its workers, also those that were killed: no counter goes
 * backwards, and what the handlers counted themselves is what the parent shows. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <multifrost/multifrost.h>

#include "family_support.h"
#include "mf_refuse.h"
#include "mf_test.h"
#include "parents.h"

enum { KILLS = 24 };

/* ---- Killed under load ---- */

static void *call_all_the_time(void *data)
{
    family_caller *self = data;
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
    family_scrape(at);
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
    family_begin(&at, WORKERS, NULL);
    family_scrape(&at);
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
    mf_check_int(family_sum(&at, "client_calls_total", "function=\"count\""), made);
    for (unsigned i = 0; i < WORKERS; i++) {
        char worker[40];
        (void)snprintf(worker, sizeof worker, "worker=\"family-%u\"", i);
        int64_t entered = (int64_t)atomic_load(&at.shared->entries[i]);
        int64_t started = family_sum(&at, "server_calls_started_total", worker);
        mf_check(entered > 0);
        mf_check(started >= entered); /* a call is counted before its handler begins */
        mf_check(started <= entered + (int64_t)kills[i]);
        mf_check(family_sum(&at, "server_calls_total", worker) <= started);
        mf_check(family_sum(&at, "server_calls_total", worker) >= started - (int64_t)kills[i]);
    }
    mf_check_int(family_sum(&at, "worker_segments_total", "result=\"taken\""),
                 WORKERS + kills_wanted());
    mf_check_int(family_sum(&at, "worker_segment_ignored_cells_total", ""), 0);
    family_end(&at);
}

/* ---- What a worker does now ---- */

static bool shows_one_running(void *data)
{
    family *at = data;
    family_scrape(at);
    return family_value(at, "server_calls_in_flight{target=\"family\",worker=\"family-0\"}") == 1 &&
           family_value(at, "server_queue_depth{target=\"family\",worker=\"family-0\"}") == 2;
}

static bool shows_none_running(void *data)
{
    family *at = data;
    family_scrape(at);
    return family_value(at, "server_calls_in_flight{target=\"family\",worker=\"family-0\"}") == 0 &&
           family_value(at, "server_queue_depth{target=\"family\",worker=\"family-0\"}") == 0;
}

static void test_what_runs_now_is_shown(void)
{
    family at;
    mf_future *futures[3];
    family_begin(&at, 1, NULL);
    atomic_store(&at.shared->held, 1);
    for (unsigned i = 0; i < 3; i++) {
        mf_check_int(
            mf_call_future(at.callers[0].parent, "hold", MF_ARGS(1), NULL, &futures[i], NULL),
            MF_OK);
    }
    mf_check(mf_test_until(shows_one_running, &at, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.text, "multifrost_server_running_handler_age_seconds{target=\"family\","
                               "worker=\"family-0\"}");
    mf_check_int(family_value(&at, "server_threads{target=\"family\",worker=\"family-0\","
                                   "state=\"busy\"}"),
                 1);
    atomic_store(&at.shared->held, 0);
    for (unsigned i = 0; i < 3; i++) {
        mf_check_int(mf_future_wait(futures[i], MF_TEST_PATIENCE_MS, NULL, NULL), MF_OK);
        mf_future_destroy(futures[i]);
    }
    mf_check(mf_test_until(shows_none_running, &at, MF_TEST_PATIENCE_MS));
    family_end(&at);
}

/* ---- Without segments ---- */

static void test_an_option_switches_it_off(void)
{
    family at;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.no_segments = true;
    family_begin(&at, 1, &options);
    mf_check_int(mf_call(at.callers[0].parent, "count", MF_ARGS(1), NULL, NULL), MF_OK);
    family_scrape(&at);
    mf_check_int(family_value(&at, "client_calls_total{target=\"family\",function=\"count\","
                                   "status=\"ok\"}"),
                 1);
    mf_check_int(family_sum(&at, "server_calls_total", ""), 0);
    mf_check_int(family_sum(&at, "worker_segments_total", ""), 0);
    family_end(&at);
}

/* ---- Starts that fail ---- */

static bool maps_counters(void)
{
    char line[600];
    bool found = false;
    FILE *file = fopen("/proc/self/maps", "re");
    mf_check(file != NULL);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        found = found || strstr(line, "multifrost-counters") != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static void fail_to_start(void *data)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    (void)data;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_SYSTEM);
    mf_check_contains(error.message, "cannot make pipes");
    mf_check(!maps_counters());
    mf_parent_destroy(parent);
}

static void test_failed_start_leaves_no_memory(void)
{
    const long refused[] = {SYS_pipe2};
    (void)mf_test_refusing(refused, 1, EMFILE, fail_to_start, NULL);
}

int main(int argc, char **argv)
{
    static const mf_test tests[] = {
        {"family__counters_outlive_their_workers", test_counters_outlive_their_workers},
        {"family__what_runs_now_is_shown", test_what_runs_now_is_shown},
        {"family__an_option_switches_it_off", test_an_option_switches_it_off},
        {"family__a_failed_start_leaves_no_memory", test_failed_start_leaves_no_memory},
    };
    return family_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
