/* Ends of workers, whatever the program, the system or the helper does about them: they are seen at
 * once, and a stop keeps to its time. No heartbeats, so that nothing else can notice. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "helpers.h"
#include "mf_refuse.h"
#include "mf_test.h"
#include "parents.h"

/* A process that takes no SIGTERM, in a session of its own, beside the worker. */
#define LEAVE "setsid sh -c 'trap \"\" TERM; exec sleep 1000' & "

/* ---- What the program does ---- */

static void test_sigchld_ignored(void)
{
    char text[256];
    mf_error error = MF_ERROR_INIT;
    (void)signal(SIGCHLD, SIG_IGN);
    mf_parent_options options = silent_options();
    mf_parent *parent = start(&options);
    kill_worker(parent);
    check_add(parent);
    mf_check_int(stats_of(parent).last_exit_signal, SIGKILL);
    (void)mf_parent_last_exit(parent, text, sizeof text);
    mf_check_str(text, "was killed by signal 9 (SIGKILL)");
    end_in_time(parent, true);
    options.program = "false";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, "exited with status 1");
    end_in_time(parent, false);
    (void)signal(SIGCHLD, SIG_DFL);
}

/* ---- What the system refuses ---- */

static void live_and_die(void *unused)
{
    (void)unused;
    mf_parent_options options = silent_options();
    mf_parent *parent = start(&options);
    check_add(parent);
    kill_worker(parent);
    check_add(parent);
    mf_check_int(stats_of(parent).last_exit_signal, SIGKILL);
    end_in_time(parent, true);
}

static void test_refused_system_calls(void)
{
    static const long calls[] = {SYS_pidfd_open, SYS_pidfd_send_signal, SYS_epoll_pwait2};
    const int reasons[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        (void)mf_test_refusing(calls, 3, reasons[i], live_and_die, NULL);
    }
}

static void test_stop_reaches_other_sessions(void)
{
    const char *args[3];
    char script[600];
    (void)snprintf(script, sizeof script, LEAVE "exec %s",
                   mf_test_build_path("tests/conformance/conformance_child"));
    mf_parent_options options = leaving_options(args, script);
    mf_parent *parent = start(&options);
    check_add(parent);
    end_in_time(parent, true);
}

/* No /proc, which a sanitizer needs to begin with. */
static void test_stop_without_a_list_of_children(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)fprintf(stderr, "skipped: a sanitizer needs /proc\n");
#else
    if (system("unshare -m true 2>/dev/null") != 0) { /* NOLINT: a fixed text */
        (void)fprintf(stderr, "skipped: no mount namespaces here\n");
        return;
    }
    use_wrapped_helper("exec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$0\" \"$@\"'");
    test_stop_reaches_other_sessions();
    use_helper(NULL);
#endif
}

static void test_stop_of_a_stopped_worker(void)
{
    mf_parent_options options = silent_options();
    mf_parent *parent = start(&options);
    pid_t worker = (pid_t)mf_parent_pid(parent);
    stop_worker(parent);
    end_in_time(parent, true);
    check_gone(worker);
}

static void test_stop_of_a_worker_without_sigterm(void)
{
    const char *args[3];
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = leaving_options(args, "trap '' TERM; while :; do sleep 1000; done");
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    end_in_time(parent, true);
}

/* ---- Starts ---- */

typedef struct neighbour {
    mf_parent *starting;
    _Atomic(int) ended; /* of the call */
    bool was_starting;
} neighbour;

static void on_answer(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    neighbour *at = user_data;
    (void)error;
    mf_check_int(status, MF_OK);
    mf_result_destroy(result);
    at->was_starting = mf_parent_get_state(at->starting) == MF_PARENT_STARTING;
    at->ended = 1;
}

static bool has_answer(void *data)
{
    return ((neighbour *)data)->ended == 1;
}

/* The helper is held, so only a start that waits for nobody lets the neighbour's answer through. */
static void test_slow_helper_delays_no_neighbour(void)
{
    char fifo[400];
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_parent_options options = silent_options();
    options.runtime = runtime;
    options.start_timeout_ms = TOO_LONG_MS;
    mf_parent *parent = start(&options);
    neighbour at = {0};
    options.target = "slow";
    mf_check_int(mf_parent_create(&at.starting, &options, &error), MF_OK);
    use_held_helper("", fifo, sizeof fifo);
    mf_check_int(mf_parent_start_async(at.starting, NULL, NULL, &error), MF_OK);
    int held = open(fifo, O_WRONLY | O_CLOEXEC); /* waits for the helper */
    use_helper(NULL);
    mf_check_int(mf_call_async(parent, "add", MF_ARGS(1, 2), NULL, on_answer, &at, &error), MF_OK);
    mf_check(mf_test_until(has_answer, &at, MF_TEST_PATIENCE_MS));
    mf_check(at.was_starting);
    mf_check_int(write(held, "\n", 1), 1);
    (void)close(held);
    check_add(at.starting);
    end_in_time(at.starting, true);
    end_in_time(parent, true);
    mf_runtime_destroy(runtime);
}

static void test_silent_helper_ends_the_start(void)
{
    char fifo[400];
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = silent_options();
    options.start_timeout_ms = 100;
    use_held_helper("", fifo, sizeof fifo);
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_TIMEOUT);
    mf_check_contains(error.message, "the helper multifrost-exec did not report");
    end_in_time(parent, true);
    options.start_timeout_ms = TOO_LONG_MS;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    end_in_time(parent, false);
    use_helper(NULL);
}

static void test_absent_directory_is_named(void)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = silent_options();
    options.working_directory = "/nonexistent";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message,
                      "the working directory '/nonexistent' cannot be used: No such");
    mf_check(has_failed(parent));
    end_in_time(parent, false);
}

static const mf_test tests[] = {
    {"deaths__with_sigchld_ignored", test_sigchld_ignored},
    {"deaths__with_refused_system_calls", test_refused_system_calls},
    {"stop__reaches_other_sessions", test_stop_reaches_other_sessions},
    {"stop__without_a_list_of_children", test_stop_without_a_list_of_children},
    {"stop__of_a_stopped_worker", test_stop_of_a_stopped_worker},
    {"stop__of_a_worker_without_sigterm", test_stop_of_a_worker_without_sigterm},
    {"start__of_a_slow_helper_delays_no_neighbour", test_slow_helper_delays_no_neighbour},
    {"start__with_a_silent_helper_times_out", test_silent_helper_ends_the_start},
    {"start__names_an_absent_directory", test_absent_directory_is_named},
};
MF_TEST_MAIN(tests)
