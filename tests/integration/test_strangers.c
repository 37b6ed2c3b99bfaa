/* Processes that are not the worker connect to the worker's port. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"
#include "strangers.h"

/* How many starts each kind of program has. */
static int starts(void)
{
    const char *text = getenv("MF_STRANGER_STARTS");
    return text != NULL ? (int)strtol(text, NULL, 10) : 10;
}

static void check_add(mf_parent *parent)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
}

/* ---- Who is first at the port ---- */

static const char *worker_path(void)
{
    static char path[400];
    (void)snprintf(path, sizeof path, "%s",
                   mf_test_build_path("tests/conformance/conformance_child"));
    return path;
}

/* Each call is answered by the worker, and the stranger is sent nothing at all. */
static void check_starts(const char *program, const char *const *args, const char *gate)
{
    stranger other;
    start_stranger(&other, gate);
    for (int i = 0; i < starts(); i++) {
        mf_parent_options options = worker_options();
        options.program = program;
        options.args = args;
        mf_parent *parent = start(&options);
        check_add(parent);
        mf_check_int(stats_of(parent).restarts, 0);
        mf_parent_destroy(parent);
    }
    mf_check_int(atomic_load(&other.view->bytes), 0);
    if (gate != NULL) { /* the stranger was first each time */
        mf_check_int(atomic_load(&other.view->connects), starts());
    }
    end_stranger(&other);
}

static void test_a_worker_in_c(void)
{
    check_starts(worker_path(), NULL, NULL);
}

static void test_a_worker_in_python(void)
{
    static char script[400];
    const char *args[] = {script, NULL};
    (void)snprintf(script, sizeof script, "%s",
                   mf_test_source_path("examples/peers/conformance_worker.py"));
    check_starts("/usr/bin/python3", args, NULL);
}

static void test_a_worker_behind_env(void)
{
    const char *args[] = {worker_path(), NULL};
    check_starts("/usr/bin/env", args, NULL);
}

/* A shell that waits for its child. */
static void test_a_worker_behind_a_shell(void)
{
    const char *args[] = {"-c", "\"$0\" \"$@\"; exit $?", worker_path(), NULL};
    check_starts("/bin/sh", args, NULL);
}

static void test_a_worker_in_another_session(void)
{
    const char *args[] = {"--wait", worker_path(), NULL};
    check_starts("/usr/bin/setsid", args, NULL);
}

/* The worker itself starts when the stranger is there. */
static const char *make_gate(void)
{
    static char gate[300];
    static int count;
    (void)snprintf(gate, sizeof gate, "%s/gate%d", mf_test_temp_dir(), count++);
    mf_check_int(mkfifo(gate, 0600), 0);
    return gate;
}

#define GATED "read line < \"$0\"; exec \"$@\""

static void test_the_stranger_comes_first(void)
{
    const char *gate = make_gate();
    const char *args[] = {"-c", GATED, gate, worker_path(), NULL};
    check_starts("/bin/sh", args, gate);
}

static bool has_failed(void *data)
{
    return mf_parent_get_state(data) == MF_PARENT_FAILED;
}

/* The helper takes a wrapper that ends for the worker, and ends what the wrapper has left. */
static void test_a_wrapper_that_ends_at_once(void)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    const char *args[] = {"-c", "setsid \"$0\" & exit 0", worker_path(), NULL};
    mf_parent_options options = worker_options();
    options.program = "/bin/sh";
    options.args = args;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    if (mf_parent_start(parent, &error) == MF_OK) { /* the worker was quicker than the helper */
        mf_check(mf_test_until(has_failed, parent, MF_TEST_PATIENCE_MS));
        (void)mf_parent_last_exit(parent, error.message, sizeof error.message);
    }
    mf_check_contains(error.message, "exited with status 0");
    mf_check_int(mf_parent_get_state(parent), MF_PARENT_FAILED);
    mf_parent_destroy(parent);
}

/* ---- Strangers that come later ---- */

static uint16_t port_of(mf_parent *parent)
{
    char endpoint[64] = "";
    (void)mf_parent_endpoint(parent, endpoint, sizeof endpoint);
    const char *colon = strrchr(endpoint, ':');
    return colon != NULL ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

/* This process is above the helper, not below it. Its answers, heartbeats and output are not read;
 * one line a second says so. */
static void test_nothing_is_injected(void)
{
    enum { STRANGERS = 40 };
    const char *log = log_path();
    mf_runtime *runtime = make_runtime(log);
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    mf_parent *parent = start(&options);
    uint16_t port = port_of(parent);
    uint64_t beats = counted(runtime, "multifrost_heartbeat_rtt_seconds_count{target=\"math\"} ");
    int64_t begin = mf_test_now_ms();
    for (int i = 0; i < STRANGERS; i++) {
        bool came = false;
        int fd = connect_to(port);
        (void)send_as_worker(fd);
        mf_check_int(read_until_closed(fd, NULL, &came), 0);
        (void)close(fd);
        check_add(parent);
    }
    await_count(runtime, REFUSED("math"), STRANGERS);
    int64_t seconds = (mf_test_now_ms() - begin) / 1000;
    mf_check_int(counted(runtime, "multifrost_client_late_replies_total{target=\"math\"} "), 0);
    mf_check(counted(runtime, "multifrost_heartbeat_rtt_seconds_count{target=\"math\"} ") <=
             beats + (uint64_t)seconds + 1);
    mf_check_int(stats_of(parent).restarts, 0);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    int lines = count_lines(log, "Stranger refused");
    mf_check(lines >= 1 && lines <= seconds + 1);
    mf_check_int(count_lines(log, "INJECTED"), 0);
    mf_check_int(count_lines(log, "is not below the worker's helper"), lines);
}

/* ---- libzmq accepts by itself ---- */

static mf_parent_options gated_options(const char **args, const char *gate)
{
    mf_parent_options options = worker_options();
    args[0] = "-c";
    args[1] = GATED;
    args[2] = gate;
    args[3] = worker_path();
    args[4] = NULL;
    options.program = "/bin/sh";
    options.args = args;
    options.auto_restart = true;
    options.restart_backoff_ms = 10;
    options.restart_backoff_max_ms = 10;
    options.max_restart_attempts = 3;
    options.circuit_open_ms = 100;
    return options;
}

static void test_a_first_start_ends_by_name(void)
{
    stranger other;
    const char *args[5];
    const char *gate = make_gate();
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = gated_options(args, gate);
    start_stranger(&other, NULL); /* the worker never starts */
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, "met a stranger at its port and was ended by its parent");
    mf_check_contains(error.message, "not below the worker's helper");
    mf_parent_destroy(parent);
    end_stranger(&other);
}

typedef struct attacked {
    mf_parent *parent;
    stranger_view *view;
    int looks;
} attacked;

static bool has_looked(void *data)
{
    const attacked *at = data;
    return atomic_load(&at->view->looks) >= at->looks;
}

/* The stranger leaves the port of the first start alone, and attacks those of later ones. */
static mf_parent *start_watched(stranger *to, const mf_parent_options *options)
{
    start_stranger(to, NULL);
    atomic_store(&to->view->attacks, false);
    mf_parent *parent = start(options);
    check_add(parent);
    attacked at = {.view = to->view, .looks = atomic_load(&to->view->looks) + 2};
    mf_check(mf_test_until(has_looked, &at, MF_TEST_PATIENCE_MS)); /* a whole one */
    mf_check_int(atomic_load(&to->view->connects), 0);
    atomic_store(&to->view->attacks, true);
    return parent;
}

static bool was_attacked(void *data)
{
    return atomic_load(&((attacked *)data)->view->connects) > 0;
}

/* The start that met the stranger has been replaced. */
static bool is_replaced(void *data)
{
    const attacked *at = data;
    return is_ready(at->parent) && stats_of(at->parent).restarts >= 2;
}

static mf_parent_options restarting_options(void)
{
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.restart_backoff_ms = 10;
    options.restart_backoff_max_ms = 10;
    options.max_restart_attempts = 3;
    options.circuit_open_ms = 100;
    return options;
}

/* The start that met the stranger is followed by one on another port. */
static void test_the_next_start_works(void)
{
    stranger other;
    mf_parent_options options = restarting_options();
    mf_parent *parent = start_watched(&other, &options);
    attacked at = {.parent = parent, .view = other.view};
    kill_worker(parent);
    mf_check(mf_test_until(was_attacked, &at, MF_TEST_PATIENCE_MS));
    atomic_store(&other.view->attacks, false);
    mf_check(mf_test_until(is_replaced, &at, MF_TEST_PATIENCE_MS));
    check_add(parent);
    mf_parent_destroy(parent);
    end_stranger(&other);
}

static void test_a_permanent_stranger_is_given_up(void)
{
    stranger other;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = restarting_options();
    mf_parent *parent = start_watched(&other, &options);
    kill_worker(parent);
    mf_check(mf_test_until(has_failed, parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "was given up after 3 restarts");
    mf_check_contains(error.message, "met a stranger at its port");
    mf_check_int(stats_of(parent).restarts, 3);
    mf_parent_destroy(parent);
    end_stranger(&other);
}

static const mf_test direct_tests[] = {
    {"strangers__a_worker_in_c", test_a_worker_in_c},
    {"strangers__a_worker_in_python", test_a_worker_in_python},
    {"strangers__a_worker_behind_env", test_a_worker_behind_env},
    {"strangers__a_worker_behind_a_shell", test_a_worker_behind_a_shell},
    {"strangers__a_worker_in_another_session", test_a_worker_in_another_session},
    {"strangers__the_stranger_comes_first", test_the_stranger_comes_first},
    {"strangers__a_wrapper_that_ends_at_once", test_a_wrapper_that_ends_at_once},
    {"strangers__nothing_is_injected", test_nothing_is_injected},
};

static const mf_test libzmq_tests[] = {
    {"strangers__a_wrapper_that_ends_at_once", test_a_wrapper_that_ends_at_once},
    {"strangers__a_first_start_ends_by_name", test_a_first_start_ends_by_name},
    {"strangers__the_next_start_works", test_the_next_start_works},
    {"strangers__a_permanent_stranger_is_given_up", test_a_permanent_stranger_is_given_up},
};

int main(int argc, char **argv)
{
    return is_libzmq() ? mf_test_main(argc, argv, libzmq_tests,
                                      sizeof libzmq_tests / sizeof libzmq_tests[0])
                       : mf_test_main(argc, argv, direct_tests,
                                      sizeof direct_tests / sizeof direct_tests[0]);
}
