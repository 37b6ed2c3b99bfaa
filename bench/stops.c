/* Measures how long mf_parent_stop() and mf_parent_destroy() take in odd states of a worker, its
 * helper and the system, and prints a table. It exists because the tests leave a busy machine a
 * lot of time; here every stop has to keep to what parent.h promises, or the exit status is 1.
 *
 *     build/dev/bench/stops */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "bench/harness.h"
#include "mf_refuse.h"
#include "mf_test.h"
#include "parents.h"

#define STOP_MS 1000
/* What parent.h promises beyond stop_timeout_ms. */
#define PROMISE_MS 3000
#define BOUND_MS (STOP_MS + PROMISE_MS)

/* One stop or destroy of a parent in an odd state. */
typedef struct stop {
    const char *state;
    bool is_destroy;
    mf_parent *parent;
    pthread_t starter; /* waits in mf_parent_start(), if has_starter */
    bool has_starter;
} stop;

static mf_parent_options quiet_options(void)
{
    mf_parent_options options = worker_options();
    options.heartbeat_interval_ms = MF_DISABLED;
    options.circuit_failures = MF_DISABLED;
    options.start_timeout_ms = TOO_LONG_MS;
    options.stop_timeout_ms = STOP_MS;
    return options;
}

static void start_quiet(stop *at)
{
    mf_parent_options options = quiet_options();
    at->parent = start(&options);
}

static mf_parent_options shell_options(const char *args[3], const char *script)
{
    mf_parent_options options = quiet_options();
    options.program = "sh";
    args[0] = "-c";
    args[1] = script;
    args[2] = NULL;
    options.args = args;
    return options;
}

static void make(stop *at, const mf_parent_options *options)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_create(&at->parent, options, &error), MF_OK);
}

/* ---- Marks: files by which a script says how far it has come ---- */

static const char *mark_path(void)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/mark", mf_test_temp_dir());
    return path;
}

static bool is_marked(void *unused)
{
    (void)unused;
    return access(mark_path(), F_OK) == 0;
}

static void wait_for_mark(void)
{
    mf_check(mf_test_until(is_marked, NULL, MF_TEST_PATIENCE_MS));
    (void)unlink(mark_path());
}

/* Returns when the script has made its mark; the script does not connect. */
static void begin_start(stop *at, const mf_parent_options *options)
{
    mf_error error = MF_ERROR_INIT;
    make(at, options);
    mf_check_int(mf_parent_start_async(at->parent, NULL, NULL, &error), MF_OK);
    wait_for_mark();
}

/* ---- The worker ---- */

static void ignore_answer(mf_status status, mf_result *result, const mf_error *error,
                          void *user_data)
{
    (void)status;
    (void)error;
    (void)user_data;
    mf_result_destroy(result);
}

/* The worker's heartbeat answers say how long a handler has run. */
static bool runs_a_handler(void *parent)
{
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    return mf_parent_heartbeat(parent, MF_TEST_PATIENCE_MS, &rtt_ns, &error) == MF_OK &&
           stats_of(parent).handler_ms > 0;
}

static void reach_call_in_flight(stop *at)
{
    mf_error error = MF_ERROR_INIT;
    start_quiet(at);
    mf_check_int(mf_call_async(at->parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), NULL, ignore_answer,
                               NULL, &error),
                 MF_OK);
    mf_check(mf_test_until(runs_a_handler, at->parent, MF_TEST_PATIENCE_MS));
}

static void reach_stopped_worker(stop *at)
{
    start_quiet(at);
    stop_worker(at->parent);
}

static void reach_ignored_sigterm(stop *at)
{
    const char *args[3];
    char script[600];
    (void)snprintf(script, sizeof script, "trap '' TERM; : >%s; while :; do sleep 1000; done",
                   mark_path());
    mf_parent_options options = shell_options(args, script);
    begin_start(at, &options);
}

/* The grandchild takes no SIGTERM, in a session of its own. */
static void reach_other_session(stop *at)
{
    const char *args[3];
    char script[1600];
    (void)snprintf(script, sizeof script,
                   "setsid sh -c 'trap \"\" TERM; : >%s; exec sleep 1000' & exec %s", mark_path(),
                   mf_test_build_path("tests/conformance/conformance_child"));
    mf_parent_options options = shell_options(args, script);
    at->parent = start(&options);
    wait_for_mark();
}

/* ---- The helper ---- */

static void reach_stopped_helper(stop *at)
{
    char path[64];
    char line[256];
    int helper = 0;
    start_quiet(at);
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)mf_parent_pid(at->parent));
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "PPid: %d", &helper); /* NOLINT: digits */
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    mf_check(helper > 1);
    if (helper > 1) { /* 0 would be this program's group */
        mf_check_int(kill(helper, SIGSTOP), 0);
    }
}

static void reach_stuck_helper(stop *at)
{
    mf_check_int(
        setenv("MULTIFROST_EXEC", mf_test_build_path("tests/unit/process/stuck_helper"), 1), 0);
    start_quiet(at);
    mf_check_int(unsetenv("MULTIFROST_EXEC"), 0);
}

/* The helper in this script's place has no /proc, where lists of children are. */
static void reach_no_list_of_children(stop *at)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/helper", mf_test_temp_dir());
    FILE *file = fopen(path, "we");
    mf_check(file != NULL);
    if (file != NULL) {
        (void)fprintf(file,
                      "#!/bin/sh\nexec unshare -m sh -c "
                      "'mount -t tmpfs none /proc && exec \"$0\" \"$@\"' %s \"$@\"\n",
                      mf_test_build_path("core/process/multifrost-exec"));
        (void)fclose(file);
    }
    mf_check_int(chmod(path, 0700), 0);
    mf_check_int(setenv("MULTIFROST_EXEC", path, 1), 0);
    reach_other_session(at);
    mf_check_int(unsetenv("MULTIFROST_EXEC"), 0);
}

/* ---- Starts ---- */

static void *start_in_vain(void *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_CANCELLED);
    return NULL;
}

/* No other thread may use a parent that is destroyed, so only a stop meets the other thread. */
static void reach_mid_start(stop *at)
{
    const char *args[3];
    char script[400];
    (void)snprintf(script, sizeof script, ": >%s; exec sleep 1000", mark_path());
    mf_parent_options options = shell_options(args, script);
    if (at->is_destroy) {
        begin_start(at, &options);
        return;
    }
    make(at, &options);
    at->has_starter = pthread_create(&at->starter, NULL, start_in_vain, at->parent) == 0;
    mf_check(at->has_starter);
    wait_for_mark();
}

static void reach_mid_restart(stop *at)
{
    mf_parent_options options = quiet_options();
    restart_by_hand_only(&options);
    at->parent = start(&options);
    kill_worker(at->parent);
    mf_check(mf_test_until(is_restarting, at->parent, MF_TEST_PATIENCE_MS));
}

/* ---- Measuring ---- */

static void print_row(const stop *at, const char *ms, const char *within)
{
    (void)printf("%-26s  %-7s  %9s  %8d  %s\n", at->state, at->is_destroy ? "destroy" : "stop", ms,
                 BOUND_MS, within);
    (void)fflush(stdout);
}

static void end(stop *at)
{
    char text[32];
    uint64_t begin = bench_now_ns();
    if (at->is_destroy) {
        mf_parent_destroy(at->parent);
    } else {
        mf_check_int(mf_parent_stop(at->parent, NULL), MF_OK);
    }
    double ms = (double)(bench_now_ns() - begin) / 1e6;
    (void)snprintf(text, sizeof text, "%.1f", ms);
    print_row(at, text, ms <= BOUND_MS ? "yes" : "no");
    mf_check(ms <= BOUND_MS);
    if (at->has_starter) {
        (void)pthread_join(at->starter, NULL);
    }
    if (!at->is_destroy) {
        mf_parent_destroy(at->parent);
    }
}

static void measure(stop *at, void (*reach)(stop *at))
{
    reach(at);
    end(at);
}

static void measure_without_sigchld(stop *at)
{
    (void)signal(SIGCHLD, SIG_IGN);
    measure(at, start_quiet);
    (void)signal(SIGCHLD, SIG_DFL);
}

static void measure_in_thread(void *at)
{
    measure(at, start_quiet);
}

static void measure_without_pidfd(stop *at)
{
    static const long calls[] = {SYS_pidfd_open, SYS_pidfd_send_signal};
    if (!mf_test_refusing(calls, sizeof calls / sizeof calls[0], ENOSYS, measure_in_thread, at)) {
        print_row(at, "-", "skipped: no filters of system calls here");
    }
}

static void measure_without_list_of_children(stop *at)
{
    if (system("unshare -m true 2>/dev/null") == 0) { /* NOLINT: a fixed text */
        measure(at, reach_no_list_of_children);
    } else {
        print_row(at, "-", "skipped: no mount namespaces here");
    }
}

/* Has either a way to reach the state, or a way to measure it. */
typedef struct odd_state {
    const char *name;
    void (*reach)(stop *at);
    void (*measure)(stop *at);
} odd_state;

static const odd_state states[] = {
    {"idle worker", start_quiet, NULL},
    {"call in flight", reach_call_in_flight, NULL},
    {"stopped worker", reach_stopped_worker, NULL},
    {"stopped helper", reach_stopped_helper, NULL},
    {"no list of children", NULL, measure_without_list_of_children},
    {"worker ignores SIGTERM", reach_ignored_sigterm, NULL},
    {"grandchild after setsid", reach_other_session, NULL},
    {"program ignores SIGCHLD", NULL, measure_without_sigchld},
    {"mid-start", reach_mid_start, NULL},
    {"mid-restart", reach_mid_restart, NULL},
    {"pidfd refused", NULL, measure_without_pidfd},
    {"stuck helper", reach_stuck_helper, NULL},
};

static void measure_all(void)
{
    (void)printf("%-26s  %-7s  %9s  %8s  %s\n", "state", "how", "ms", "bound ms", "within");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        for (int how = 0; how < 2; how++) {
            stop at = {.state = states[i].name, .is_destroy = how == 1};
            if (states[i].reach != NULL) {
                measure(&at, states[i].reach);
            } else {
                states[i].measure(&at);
            }
        }
    }
}

/* The parts of tests want to run as a test, which also tells whether a stop leaves something. */
static const mf_test tests[] = {{"stops", measure_all}};

int main(int argc, char **argv)
{
    char build[4096];
    if (argc != 1) {
        bench_die("usage: stops");
    }
    if (setenv("MF_BUILD_DIR", bench_sibling("..", build, sizeof build), 1) != 0) {
        bench_die("no memory");
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
