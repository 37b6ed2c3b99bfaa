/* What is kept of workers that ended by themselves: real processes that end in each of the ways
 * there are, and a service that is killed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/http.h>
#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "pages.h"
#include "parents.h"
#include "services.h"

#define CALLS 12
#define ROWS_MAX 64

/* The kept crashes, as the last look saw them. */
typedef struct row {
    uint64_t number;
    char how[16], killed_for[24], text[256], signal_name[16], pattern[160], next[16];
    char worker[64], err[256], function[64], id[32], last_id[32];
    int64_t pid;
    int32_t exit_code, signal;
    bool core_dumped, was_ready, has_usage;
    double uptime, restart_in;
    uint64_t open_calls, max_rss;
    size_t named;
    uint32_t attempt;
    bool in_order;    /* of age */
    uint64_t running; /* as the worker wrote it down */
    char running_id[32];
} row;

typedef struct scene {
    mf_runtime *runtime;
    uint64_t total, wanted;
    size_t count;
    row rows[ROWS_MAX];
} scene;

#define COPY(to, from) (void)snprintf(to, sizeof(to), "%s", (from) != NULL ? (from) : "")

static void take(const mf_crash_row *from, void *user_data)
{
    scene *at = user_data;
    row *to = &at->rows[at->count++ % ROWS_MAX];
    *to = (row){.number = from->number,
                .pid = from->pid,
                .exit_code = from->exit_code,
                .signal = from->signal,
                .core_dumped = from->core_dumped,
                .was_ready = from->was_ready,
                .has_usage = from->has_usage,
                .uptime = from->uptime_seconds,
                .restart_in = from->restart_in_seconds,
                .open_calls = from->open_calls,
                .max_rss = from->max_rss_bytes,
                .named = from->call_count,
                .running = from->running_calls,
                .in_order = true};
    COPY(to->how, from->how);
    COPY(to->killed_for, from->killed_for);
    COPY(to->text, from->text);
    COPY(to->signal_name, from->signal_name);
    COPY(to->pattern, from->core_pattern);
    COPY(to->next, from->next);
    COPY(to->worker, from->worker);
    COPY(to->err, from->err);
    COPY(to->running_id, from->running_count > 0 ? from->running[0].correlation_id : NULL);
    for (size_t i = 0; i < from->call_count; i++) {
        const mf_crash_call *call = &from->calls[i];
        COPY(to->last_id, call->correlation_id);
        if (i == 0) {
            COPY(to->function, call->function);
            COPY(to->id, call->correlation_id);
            to->attempt = call->attempt;
        } else {
            to->in_order = to->in_order && call->age_seconds <= call[-1].age_seconds;
        }
    }
}

static void look(scene *at)
{
    const mf_probe *probe = mf_runtime_probe(at->runtime);
    at->count = 0;
    at->total = probe->visit_crashes(probe->self, take, at);
}

static bool has_wanted(void *data)
{
    scene *at = data;
    look(at);
    return at->total >= at->wanted;
}

/* The newest crash, when there have been that many. */
static row *crash(scene *at, uint64_t number)
{
    at->wanted = number;
    mf_check(mf_test_until(has_wanted, at, MF_TEST_PATIENCE_MS));
    mf_check_int(at->total, number);
    mf_check_int(at->rows[0].number, number);
    return &at->rows[0];
}

static void begin(scene *at, mf_parent_options *options)
{
    *at = (scene){.total = 0};
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    *options = worker_options();
    options->runtime = at->runtime;
}

/* A worker that is a shell until it becomes the real one. */
static void use_shell(mf_parent_options *options, const char *script, const char *args[4])
{
    args[0] = "-c";
    args[1] = script;
    args[2] = options->program;
    args[3] = NULL;
    options->program = "/bin/sh";
    options->args = args;
}

/* ---- How a worker ends ---- */

static void check_signal(int number, const char *name)
{
    scene at;
    mf_parent_options options;
    const char *args[4];
    begin(&at, &options);
    use_shell(&options, "ulimit -c 0; echo last words >&2; exec \"$0\" \"$@\"", args);
    mf_parent *parent = start(&options);
    int64_t pid = mf_parent_pid(parent);
    send_signal(pid, number);
    const row *got = crash(&at, 1);
    mf_check_str(got->how, "signal");
    mf_check_str(got->signal_name, name);
    mf_check_str(got->worker, "math-0");
    mf_check_str(got->next, "none");
    mf_check_str(got->err, "last words");
    mf_check_contains(got->text, name);
    mf_check_int(got->signal, number);
    mf_check_int(got->exit_code, -1);
    mf_check_int(got->pid, pid);
    mf_check(got->was_ready && got->has_usage && got->max_rss > 0 && got->uptime > 0);
    mf_check(!got->core_dumped ||
             got->pattern[0] == '|'); /* a program gets it in spite of the limit */
    mf_check_int(got->pattern[0] == '\0', number == SIGKILL);
    mf_parent_destroy(parent);
    look(&at);
    mf_check_int(at.count, 1); /* though the parent is gone */
    mf_runtime_destroy(at.runtime);
}

static void test_signals(void)
{
    check_signal(SIGKILL, "SIGKILL");
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
    check_signal(SIGSEGV, "SIGSEGV"); /* a sanitizer makes an exit of them */
    check_signal(SIGABRT, "SIGABRT");
#endif
#endif
}

/* A worker that ends before it is ready, after one that was killed. */
static void test_exits_and_what_happens_next(void)
{
    scene at;
    mf_parent_options options;
    const char *args[4];
    char script[600];
    begin(&at, &options);
    (void)snprintf(script, sizeof script,
                   "test -e '%s/mark' && { echo no licence >&2; exit 3; }; : > '%s/mark';"
                   "exec \"$0\" \"$@\"",
                   mf_test_temp_dir(), mf_test_temp_dir());
    use_shell(&options, script, args);
    options.auto_restart = true;
    options.restart_backoff_ms = 1;
    options.max_restart_attempts = 1;
    mf_parent *parent = start(&options);
    send_signal(mf_parent_pid(parent), SIGKILL);
    const row *got = crash(&at, 2);
    mf_check_str(got->how, "exit");
    mf_check_int(got->exit_code, 3);
    mf_check_int(got->signal, 0);
    mf_check_str(got->err, "no licence");
    mf_check_str(got->next, "gave_up");
    mf_check(!got->was_ready);
    mf_check_str(at.rows[1].how, "signal");
    mf_check_str(at.rows[1].next, "restart");
    mf_check(at.rows[1].restart_in < 1);
    mf_parent_destroy(parent);
    mf_runtime_destroy(at.runtime);
}

static void test_a_frozen_worker_was_killed_by_its_parent(void)
{
    scene at;
    mf_parent_options options;
    begin(&at, &options);
    restart_by_hand_only(&options);
    options.heartbeat_interval_ms = 50;
    options.heartbeat_timeout_ms = SILENT_MS;
    options.heartbeat_misses = 2;
    mf_parent *parent = start(&options);
    stop_worker(parent);
    const row *got = crash(&at, 1);
    mf_check_str(got->how, "killed");
    mf_check_str(got->killed_for, "heartbeat");
    mf_check_int(got->signal, SIGKILL);
    mf_check_contains(got->text, "was frozen (answered none of ");
    mf_check_str(got->next, "restart");
    mf_check(got->restart_in > 1);
    mf_parent_destroy(parent);
    mf_runtime_destroy(at.runtime);
}

/* Nobody is told of a crash who asked for the end. */
static void test_ends_that_were_asked_for_are_none(void)
{
    scene at;
    mf_parent_options options;
    begin(&at, &options);
    mf_parent *parent = start(&options);
    mf_check_int(mf_parent_restart(parent, NULL), MF_OK);
    mf_check_int(mf_parent_stop(parent, NULL), MF_OK);
    mf_parent_destroy(parent);
    look(&at);
    mf_check_int(at.total, 0);
    mf_runtime_destroy(at.runtime);
}

/* ---- Calls, count ---- */

/* The worker has written down the call that it runs. */
static bool runs_one(void *data)
{
    scene *at = data;
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    bool runs = text != NULL && strstr(text, "\nmultifrost_server_calls_in_flight{target=\"math\","
                                             "worker=\"math-0\"} 1\n") != NULL;
    free(text);
    return runs;
}

static void test_open_calls_are_named_or_counted(void)
{
    scene at;
    mf_parent_options options;
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    mf_future *futures[CALLS];
    char id[32];
    uint64_t rtt_ns = 0;
    begin(&at, &options);
    mf_parent *parent = start(&options);
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(id, sizeof id, "call-%d", i);
        call.correlation_id = id;
        mf_check_int(
            mf_call_future(parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), &call, &futures[i], NULL),
            MF_OK);
    }
    mf_check_int(mf_parent_heartbeat(parent, MF_TEST_PATIENCE_MS, &rtt_ns, NULL), MF_OK);
    mf_check(mf_test_until(runs_one, &at, MF_TEST_PATIENCE_MS));
    send_signal(mf_parent_pid(parent), SIGKILL);
    for (int i = 0; i < CALLS; i++) {
        mf_check_int(mf_future_wait(futures[i], MF_TEST_PATIENCE_MS, NULL, NULL),
                     MF_ERR_WORKER_EXITED);
        mf_future_destroy(futures[i]);
    }
    const row *got = crash(&at, 1);
    mf_check_int(got->open_calls, CALLS);
    mf_check_int(got->named, 8);
    mf_check_str(got->function, "sleep_ms");
    mf_check_str(got->id, "call-0");
    mf_check_str(got->last_id, "call-7");
    mf_check_int(got->attempt, 1);
    mf_check(got->in_order);
    mf_check_int(got->running, 1); /* by the one handler thread */
    mf_check_str(got->running_id, "call-0");
    mf_parent_destroy(parent);
    mf_runtime_destroy(at.runtime);
}

static void test_the_last_crashes_are_kept(void)
{
    scene at;
    mf_parent_options options;
    const char *args[4];
    begin(&at, &options);
    use_shell(&options, "exit 3", args);
    for (int i = 0; i < 40; i++) { /* parents come and go, and share the worker's name */
        mf_parent *parent = NULL;
        mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
        mf_check_int(mf_parent_start(parent, NULL), MF_ERR_START_FAILED);
        mf_parent_destroy(parent);
    }
    (void)crash(&at, 40);
    mf_check_int(at.count, 32);
    for (size_t i = 0; i < at.count; i++) {
        mf_check_int(at.rows[i].number, 40 - i);
        mf_check_int(at.rows[i].exit_code, 3);
        mf_check_str(at.rows[i].worker, "math-0");
    }
    mf_runtime_destroy(at.runtime);
}

static void test_the_program_says_how_many_are_kept(void)
{
    scene at = {.total = 0};
    const char *args[4];
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime = MF_RUNTIME_OPTIONS_INIT;
    mf_parent_options options = worker_options();
    runtime.crashes_kept = 1025;
    mf_check_int(mf_runtime_create(&at.runtime, &runtime, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "crashes_kept must be 1 to 1024, not 1025");
    runtime.crashes_kept = 1;
    mf_check_int(mf_runtime_create(&at.runtime, &runtime, NULL), MF_OK);
    options.runtime = at.runtime;
    use_shell(&options, "exit 3", args);
    for (int i = 0; i < 2; i++) {
        mf_parent *parent = NULL;
        mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
        mf_check_int(mf_parent_start(parent, NULL), MF_ERR_START_FAILED);
        mf_parent_destroy(parent);
    }
    (void)crash(&at, 2);
    mf_check_int(at.count, 1);
    mf_runtime_destroy(at.runtime);
}

/* ---- Services ---- */

/* One that is killed has crashed; one that is ended in order has not. */
static void test_a_killed_service_has_vanished(void)
{
    scene at = {.total = 0};
    home place = new_home();
    mf_check_int(mf_runtime_create(&at.runtime, NULL, NULL), MF_OK);
    mf_parent *parent = make_parent(&place, at.runtime);
    pid_t first = start_service(&place, "math");
    mf_check_int(mf_parent_start(parent, NULL), MF_OK);
    end_service(first, SIGTERM);
    mf_check(mf_test_until(is_restarting, parent, MF_TEST_PATIENCE_MS));
    pid_t second = start_service(&place, "math");
    mf_check(mf_test_until(is_ready, parent, MF_TEST_PATIENCE_MS));
    end_service(second, SIGKILL);
    const row *got = crash(&at, 1);
    mf_check_str(got->how, "vanished");
    mf_check_int(got->pid, second);
    mf_check_str(got->next, "search");
    mf_check(got->text[0] != '\0' && got->was_ready);
    mf_parent_destroy(parent);
    mf_runtime_destroy(at.runtime);
}

/* ---- The page ---- */

static void test_the_page_shows_them(void)
{
    static char text[65536];
    scene at;
    mf_parent_options options;
    const char *args[4];
    mf_http *http = NULL;
    mf_parent *parent = NULL;
    begin(&at, &options);
    use_shell(&options, "printf 'a\\033[31mb' >&2; exit 3", args);
    mf_check_int(mf_http_create(&http, mf_runtime_probe(at.runtime), NULL, NULL), MF_OK);
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    mf_check_int(mf_parent_start(parent, NULL), MF_ERR_START_FAILED);
    (void)get_page(mf_http_port(http), "/crashes?worker=math-0&limit=1", text, sizeof text);
    mf_check_contains(text, "HTTP/1.1 200 ");
    mf_check_contains(text, "{\"schema\":\"multifrost.crashes/1\",");
    mf_check_contains(text, "\"how\":\"exit\",\"text\":\"exited with status 3\",\"exit_code\":3,");
    mf_check_contains(text, "\"stderr\":[\"a\\\\x1b[31mb\"]");
    mf_check_contains(text, "\"total\":1,\"kept\":1,\"matching\":1}");
    (void)get_page(mf_http_port(http), "/crashes?target=other", text, sizeof text);
    mf_check_contains(text, "\"crashes\":[],\"total\":1,\"kept\":1,\"matching\":0}");
    (void)get_page(mf_http_port(http), "/crashes?who=math-0", text, sizeof text);
    mf_check_contains(text, "HTTP/1.1 400 ");
    (void)get_page(mf_http_port(http), "/metrics", text, sizeof text);
    mf_check_contains(text, "multifrost_http_requests_total{route=\"/crashes\",code=\"200\"} 2");
    mf_check_contains(text, "multifrost_http_requests_total{route=\"/crashes\",code=\"400\"} 1");
    mf_parent_destroy(parent);
    mf_http_destroy(http);
    mf_runtime_destroy(at.runtime);
}

static const mf_test tests[] = {
    {"crash__signals", test_signals},
    {"crash__exits_and_what_happens_next", test_exits_and_what_happens_next},
    {"crash__frozen_worker_was_killed", test_a_frozen_worker_was_killed_by_its_parent},
    {"crash__ends_that_were_asked_for_are_none", test_ends_that_were_asked_for_are_none},
    {"crash__open_calls_are_named_or_counted", test_open_calls_are_named_or_counted},
    {"crash__the_last_are_kept", test_the_last_crashes_are_kept},
    {"crash__the_program_says_how_many", test_the_program_says_how_many_are_kept},
    {"crash__killed_service_has_vanished", test_a_killed_service_has_vanished},
    {"crash__page_shows_them", test_the_page_shows_them},
};
MF_TEST_MAIN(tests)
