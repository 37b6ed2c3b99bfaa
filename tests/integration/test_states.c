/* What metrics, /health and /circuits say of states: of many targets and pool members, of parents
 * that share a target, of those that are gone, and of a start that failed. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "pages.h"
#include "parents.h"

#define BODY_MAX ((size_t)4 * 1024 * 1024)

typedef struct scene {
    mf_runtime *runtime;
    mf_http *http;
    char log[512];
    char *body; /* of the last answer, with its head */
} scene;

static void begin(scene *at, const char *const *required, int32_t max_targets)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    static int number = 0;
    *at = (scene){.body = malloc(BODY_MAX)};
    (void)snprintf(at->log, sizeof at->log, "%s/states-%d.log", mf_test_temp_dir(), number++);
    options.log_file = at->log;
    options.required_targets = required;
    options.max_targets = max_targets;
    http.port = MF_HTTP_PORT_ANY;
    http.health_interval_ms = 20;
    mf_check_int(mf_runtime_create(&at->runtime, &options, &error), MF_OK);
    mf_check_int(mf_http_create(&at->http, mf_runtime_probe(at->runtime), &http, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void end(scene *at)
{
    mf_http_destroy(at->http);
    mf_runtime_destroy(at->runtime);
    free(at->body);
}

/* Asks for a page. Returns its status; the body is in at->body. */
static int get(scene *at, const char *path)
{
    return get_page(mf_http_port(at->http), path, at->body, BODY_MAX);
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        found++;
    }
    return found;
}

static void check_lacks(const char *text, const char *part)
{
    const char *found = strstr(text, part);
    char line[200] = "";
    if (found != NULL) {
        (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(found, "\n"), found);
    }
    mf_check_str(line, "");
}

static void check_metric(scene *at, const char *line)
{
    char whole[256];
    (void)snprintf(whole, sizeof whole, "\nmultifrost_%s\n", line);
    mf_check_int(get(at, "/metrics"), 200);
    mf_check_contains(at->body, whole);
}

static mf_parent *make(scene *at, const char *target)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    options.runtime = at->runtime;
    options.target = target;
    options.stop_timeout_ms = 400;
    options.circuit_open_ms = TOO_LONG_MS;
    options.circuit_open_max_ms = TOO_LONG_MS;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return parent;
}

static void start_it(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_str(error.message, "");
}

static bool is_open(void *parent)
{
    return strcmp(mf_parent_circuit_state(parent), "open") == 0;
}

static mf_pool *make_pool(scene *at, int32_t workers)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    mf_parent_options parent = worker_options();
    parent.runtime = at->runtime;
    parent.target = "pool";
    options.parent = &parent;
    options.workers = workers;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return pool;
}

/* ---- Many ---- */

/* Each gauge that names a circuit or a worker. */
static void check_no_states(scene *at)
{
    bool is_gauge = false;
    mf_check_int(get(at, "/metrics"), 200);
    for (char *line = strtok(at->body, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            is_gauge = strcmp(strrchr(line, ' '), " gauge") == 0;
        }
        mf_check_str(is_gauge && strstr(line, "target=") != NULL ? line : "", "");
        mf_check_str(is_gauge && strstr(line, "worker=") != NULL ? line : "", "");
    }
}

static void test_no_state_is_folded(void)
{
    enum { TARGETS = 20, MEMBERS = 256, OPEN = 3 };
    scene at;
    char text[160];
    mf_parent *parents[TARGETS];
    begin(&at, NULL, 0);
    check_metric(&at, "circuits{state=\"forced_open\"} 0");
    check_metric(&at, "workers{state=\"frozen\"} 0");
    for (int i = 0; i < TARGETS; i++) {
        (void)snprintf(text, sizeof text, "t%d", i);
        parents[i] = make(&at, text);
    }
    mf_pool *pool = make_pool(&at, MEMBERS);
    for (int i = 0; i < OPEN; i++) { /* the last ones */
        start_it(parents[TARGETS - 1 - i]);
        kill_worker(parents[TARGETS - 1 - i]);
        mf_check(mf_test_until(is_open, parents[TARGETS - 1 - i], MF_TEST_PATIENCE_MS));
    }
    check_metric(&at, "circuits{state=\"open\"} 3");
    check_metric(&at, "circuits{state=\"closed\"} 273");
    check_metric(&at, "workers{state=\"down\"} 276");
    mf_check_int(count(at.body, "\nmultifrost_circuit_state{"), 5 * (TARGETS + MEMBERS));
    mf_check_int(count(at.body, "\nmultifrost_worker_up{"), TARGETS + MEMBERS);
    check_lacks(at.body, "target=\"_OTHER\"");
    check_lacks(at.body, "worker=\"_OTHER\"");
    check_lacks(at.body, "\nmultifrost_series_folded_total{");
    for (int i = 0; i < TARGETS; i++) {
        (void)snprintf(text, sizeof text,
                       "circuit_state{target=\"t%d\",worker=\"t%d-0\",state=\"open\"} %d", i, i,
                       i >= TARGETS - OPEN ? 1 : 0);
        check_metric(&at, text);
    }
    check_metric(&at, "circuit_state{target=\"pool\",worker=\"pool-255\",state=\"closed\"} 1");
    mf_check_int(get(&at, "/circuits"), 200);
    mf_check_int(count(at.body, "\"open_count_in_row\":"), TARGETS + MEMBERS);
    mf_check_int(get(&at, "/circuits/pool"), 200);
    mf_check_int(count(at.body, "\"target\":\"pool\""), MEMBERS);
    for (int i = 0; i < TARGETS; i++) {
        mf_parent_destroy(parents[i]);
    }
    mf_pool_destroy(pool);
    check_no_states(&at);
    check_metric(&at, "circuits{state=\"open\"} 0");
    end(&at);
}

static void test_targets_beyond_the_cap_are_still_told(void)
{
    scene at;
    begin(&at, NULL, 2);
    mf_parent *parents[3] = {make(&at, "a"), make(&at, "b"), make(&at, "c")};
    start_it(parents[2]);
    kill_worker(parents[2]);
    mf_check(mf_test_until(is_open, parents[2], MF_TEST_PATIENCE_MS));
    check_metric(&at, "circuits{state=\"open\"} 1");
    check_metric(&at, "circuit_state{target=\"b\",worker=\"b-0\",state=\"closed\"} 1");
    check_lacks(at.body, "\nmultifrost_circuit_state{target=\"c\"");
    check_lacks(at.body, "\nmultifrost_circuit_state{target=\"_OTHER\"");
    mf_check_int(get(&at, "/circuits/c"), 200);
    mf_check_contains(at.body, "\"state\":\"open\"");
    for (int i = 0; i < 3; i++) {
        mf_parent_destroy(parents[i]);
    }
    end(&at);
}

/* ---- Two parents of one target ---- */

static bool is_told_of_both(void *data)
{
    return get(data, "/health") == 200 && strstr(((scene *)data)->body, "math-1:circuit") != NULL;
}

static void test_parents_of_one_target_are_two_workers(void)
{
    scene at;
    begin(&at, NULL, 0);
    mf_parent *first = make(&at, "math");
    mf_parent *second = make(&at, "math");
    start_it(first);
    start_it(second);
    kill_worker(second);
    mf_check(mf_test_until(is_open, second, MF_TEST_PATIENCE_MS));
    check_metric(&at, "worker_up{target=\"math\",worker=\"math-0\"} 1");
    check_metric(&at, "worker_up{target=\"math\",worker=\"math-1\"} 0");
    check_metric(&at, "circuit_state{target=\"math\",worker=\"math-0\",state=\"closed\"} 1");
    check_metric(&at, "circuit_state{target=\"math\",worker=\"math-1\",state=\"open\"} 1");
    mf_check_int(get(&at, "/circuits/math"), 200);
    mf_check_contains(at.body, "\"circuits\":[{\"target\":\"math\",\"state\":\"closed\"");
    mf_check_contains(at.body, "{\"target\":\"math\",\"state\":\"open\"");
    mf_check_int(get(&at, "/circuits/math-1"), 200);
    mf_check_contains(at.body, "\r\n\r\n{\"target\":\"math\",\"state\":\"open\"");
    mf_check_contains(at.body, "\"name\":\"math-1\"");
    mf_check_int(get(&at, "/circuits/math-2"), 404);
    mf_check(mf_test_until(is_told_of_both, &at, MF_TEST_PATIENCE_MS));
    mf_check_int(count(at.body, "\"math:workers\":"), 1);
    mf_check_int(count(at.body, "\"math:responseTime\":"), 1);
    mf_check_int(count(at.body, "\"math-0:circuit\":"), 1);
    mf_check_int(count(at.body, "\"math-1:circuit\":"), 1);
    /* The first place is free again; the second parent keeps its name. */
    mf_parent_destroy(first);
    mf_parent *third = make(&at, "math");
    check_metric(&at, "worker_up{target=\"math\",worker=\"math-0\"} 0");
    mf_check_int(get(&at, "/circuits/math-0"), 200);
    mf_parent_destroy(second);
    mf_parent_destroy(third);
    check_no_states(&at);
    end(&at);
}

/* ---- Gone, and back ---- */

static void call_once(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void test_counters_outlive_their_parent(void)
{
    scene at;
    begin(&at, NULL, 0);
    mf_parent *parent = make(&at, "math");
    start_it(parent);
    call_once(parent);
    mf_parent_destroy(parent);
    check_no_states(&at);
    check_metric(&at, "client_calls_total{target=\"math\",function=\"add\",status=\"ok\"} 1");
    parent = make(&at, "math");
    start_it(parent);
    call_once(parent);
    check_metric(&at, "client_calls_total{target=\"math\",function=\"add\",status=\"ok\"} 2");
    check_metric(&at, "worker_up{target=\"math\",worker=\"math-0\"} 1");
    mf_parent_destroy(parent);
    end(&at);
}

typedef struct scraping {
    mf_metrics *metrics;
    _Atomic(uint32_t) pages;
    _Atomic(bool) ends;
    uint32_t before; /* the test's own */
} scraping;

static bool has_scraped(void *data)
{
    const scraping *at = data;
    return at->pages != at->before;
}

static void *scrape_on(void *data)
{
    scraping *at = data;
    while (!at->ends) {
        char *text = NULL;
        size_t size = 0;
        mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &size, NULL),
                     MF_OK);
        free(text);
        at->pages++;
    }
    return NULL;
}

/* A scrape reads the calls of a parent, which go with it. */
static void test_scrapes_meet_ends(void)
{
    scene at;
    pthread_t thread;
    begin(&at, NULL, 0);
    scraping scrapes = {.metrics = mf_runtime_metrics(at.runtime)};
    mf_check_int(pthread_create(&thread, NULL, scrape_on, &scrapes), 0);
    for (int i = 0; i < 20; i++) {
        mf_parent *parent = make(&at, "math");
        start_it(parent);
        call_once(parent);
        scrapes.before = scrapes.pages;
        mf_check(mf_test_until(has_scraped, &scrapes, MF_TEST_PATIENCE_MS));
        mf_parent_destroy(parent);
    }
    scrapes.ends = true;
    mf_check_int(pthread_join(thread, NULL), 0);
    check_no_states(&at);
    end(&at);
}

/* ---- Single facts ---- */

static void test_a_disabled_circuit_is_shown_so(void)
{
    scene at;
    mf_parent *parent = NULL;
    mf_parent_options options = worker_options();
    begin(&at, NULL, 0);
    options.runtime = at.runtime;
    options.circuit_failures = MF_DISABLED;
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    check_metric(&at, "circuit_state{target=\"math\",worker=\"math-0\",state=\"disabled\"} 1");
    check_metric(&at, "circuit_state{target=\"math\",worker=\"math-0\",state=\"closed\"} 0");
    check_metric(&at, "circuits{state=\"disabled\"} 1");
    check_lacks(at.body, "\nmultifrost_worker_restart_budget_remaining{"); /* nothing restarts */
    mf_check_int(get(&at, "/circuits/math-0"), 200);
    mf_check_contains(at.body, "\"state\":\"disabled\"");
    mf_check_str(mf_parent_circuit_state(parent), "disabled");
    mf_parent_destroy(parent);
    end(&at);
}

typedef struct printed {
    mf_parent *parent;
    char line[128];
} printed;

static void keep_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    printed *at = user_data;
    mf_check(!is_stderr);
    (void)snprintf(at->line, sizeof at->line, "%.*s", (int)length, line);
}

/* A program may stand between the parent and its worker. */
static void test_the_worker_s_name_is_handed_down(void)
{
    static const char *const args[] = {"-c", "echo name=$COMLINK_WORKER_NAME", NULL};
    printed at = {.line = ""};
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = "/bin/sh";
    options.args = args;
    options.target = "math";
    options.on_output = keep_line;
    options.user_data = &at;
    mf_check_int(mf_parent_create(&at.parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(at.parent, &error), MF_ERR_START_FAILED); /* it is no worker */
    mf_parent_destroy(at.parent);
    mf_check_str(at.line, "name=math-0");
}

/* ---- Starts ---- */

typedef struct awaited {
    scene *at;
    const char *path;
    int status;
} awaited;

static bool answers(void *data)
{
    const awaited *wanted = data;
    return get(wanted->at, wanted->path) == wanted->status;
}

static void await(scene *at, const char *path, int status)
{
    awaited wanted = {at, path, status};
    mf_check(mf_test_until(answers, &wanted, MF_TEST_PATIENCE_MS));
}

/* Of its end, which is no longer a start that goes on. */
static bool tells_of_the_exit(void *data)
{
    return get(data, "/startupz?verbose") == 503 && strstr(((scene *)data)->body, "exit") != NULL;
}

static void test_a_failed_first_start_is_not_complete(void)
{
    scene at;
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    begin(&at, NULL, 0);
    options.runtime = at.runtime;
    options.program = "/bin/false";
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    await(&at, "/startupz", 503);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check(mf_test_until(tells_of_the_exit, &at, MF_TEST_PATIENCE_MS));
    mf_parent_destroy(parent); /* the program goes on without it */
    await(&at, "/startupz", 200);
    end(&at);
}

static void test_a_required_target_is_missed_before_it_exists(void)
{
    static const char *const required[] = {"math", NULL};
    scene at;
    begin(&at, required, 0);
    mf_check_int(get(&at, "/readyz?verbose"), 503);
    mf_check_contains(at.body, "target math is required, and has no parent or pool");
    mf_check_int(get(&at, "/startupz"), 503);
    mf_parent *parent = make(&at, "math");
    await(&at, "/readyz", 503);
    start_it(parent);
    await(&at, "/readyz", 200);
    await(&at, "/startupz", 200);
    mf_parent_destroy(parent);
    await(&at, "/readyz", 503);
    await(&at, "/startupz", 200); /* it was started once */
    end(&at);
}

static const mf_test tests[] = {
    {"states__none_is_folded", test_no_state_is_folded},
    {"states__targets_beyond_the_cap_are_still_told", test_targets_beyond_the_cap_are_still_told},
    {"states__parents_of_one_target_are_two_workers", test_parents_of_one_target_are_two_workers},
    {"states__counters_outlive_their_parent", test_counters_outlive_their_parent},
    {"states__scrapes_meet_ends", test_scrapes_meet_ends},
    {"states__a_disabled_circuit_is_shown_so", test_a_disabled_circuit_is_shown_so},
    {"states__the_worker_s_name_is_handed_down", test_the_worker_s_name_is_handed_down},
    {"states__a_failed_first_start_is_not_complete", test_a_failed_first_start_is_not_complete},
    {"states__a_required_target_is_missed_before_it_exists",
     test_a_required_target_is_missed_before_it_exists},
};
MF_TEST_MAIN(tests)
