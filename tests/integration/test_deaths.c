/* Ends of workers, whatever the program, the system or the helper does about them: they are seen at
 * once, and a stop keeps to its time. No heartbeats, so that nothing else can notice. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_refuse.h"
#include "mf_test.h"
#include "parents.h"

#define STOP_MS 1000
/* What parent.h promises beyond stop_timeout_ms, and what a busy machine may add to it. */
#define PROMISE_MS 3000
#define BUSY_MS 15000
/* A process that takes no SIGTERM, in a session of its own, beside the worker. */
#define LEAVE "setsid sh -c 'trap \"\" TERM; exec sleep 1000' & "

static mf_parent_options silent_options(void)
{
    static char program[400]; /* the path of a helper comes to stand where this one was */
    mf_parent_options options = worker_options();
    (void)snprintf(program, sizeof program, "%s", options.program);
    options.program = program;
    options.heartbeat_interval_ms = MF_DISABLED;
    options.auto_restart = true;
    options.restart_backoff_ms = 10;
    options.circuit_failures = MF_DISABLED;
    options.stop_timeout_ms = STOP_MS;
    return options;
}

static void check_add(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_result_destroy(result);
}

/* The state of a process and its parent; false if there is no such process. */
static bool read_stat(pid_t pid, char *ret_state, int *ret_parent)
{
    char path[64];
    char text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    (void)!fgets(text, sizeof text, file);
    (void)fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end != NULL &&
           sscanf(name_end, ") %c %d", ret_state, ret_parent) == 2; /* NOLINT: digits */
}

/* A zombie is gone too: whoever has adopted it may be slow to wait for it. */
static bool is_gone(void *data)
{
    char state = 0;
    int parent = 0;
    return !read_stat(*(pid_t *)data, &state, &parent) || state == 'Z';
}

static void check_gone(pid_t pid)
{
    mf_check(pid > 0);
    mf_check(mf_test_until(is_gone, &pid, MF_TEST_PATIENCE_MS));
}

/* Stops and destroys; neither may take longer than is promised. */
static void end_in_time(mf_parent *parent, bool by_stop)
{
    int64_t begin = mf_test_now_ms();
    if (by_stop) {
        mf_check_int(mf_parent_stop(parent, NULL), MF_OK);
    }
    mf_parent_destroy(parent);
    mf_check(mf_test_now_ms() - begin < STOP_MS + PROMISE_MS + BUSY_MS);
}

static pid_t parent_of(pid_t pid)
{
    char state = 0;
    int parent = 0;
    mf_check(read_stat(pid, &state, &parent));
    mf_check(parent > 1);
    return parent;
}

/* ---- The helper, or one in its place ---- */

/* Until use_helper(NULL), starts use this one. */
static void use_helper(const char *path)
{
    if (path != NULL) {
        mf_check_int(setenv("MULTIFROST_EXEC", path, 1), 0);
    } else {
        mf_check_int(unsetenv("MULTIFROST_EXEC"), 0);
    }
}

/* A script that ends with becoming the real helper. */
static void use_wrapped_helper(const char *before)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/helper", mf_test_temp_dir());
    FILE *file = fopen(path, "we");
    mf_check(file != NULL);
    if (file != NULL) {
        (void)fprintf(file, "#!/bin/sh\n%s %s \"$@\"\n", before,
                      mf_test_build_path("core/process/multifrost-exec"));
        (void)fclose(file);
    }
    mf_check_int(chmod(path, 0700), 0);
    use_helper(path);
}

/* A helper that does nothing until something is written to the pipe of this name. */
static void use_held_helper(char *ret_fifo, size_t size)
{
    char before[600];
    (void)snprintf(ret_fifo, size, "%s/held", mf_test_temp_dir());
    (void)unlink(ret_fifo);
    mf_check_int(mkfifo(ret_fifo, 0600), 0);
    (void)snprintf(before, sizeof before, "read line <%s\nexec", ret_fifo);
    use_wrapped_helper(before);
}

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

static mf_parent_options leaving_options(const char **args, const char *script)
{
    mf_parent_options options = silent_options();
    options.program = "sh";
    args[0] = "-c";
    args[1] = script;
    args[2] = NULL;
    options.args = args;
    return options;
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

/* ---- What becomes of the helper ---- */

static void test_stop_with_a_stopped_helper(void)
{
    mf_parent_options options = silent_options();
    for (int by_stop = 0; by_stop < 2; by_stop++) {
        mf_parent *parent = start(&options);
        pid_t worker = (pid_t)mf_parent_pid(parent);
        mf_check_int(kill(parent_of(worker), SIGSTOP), 0);
        end_in_time(parent, by_stop == 1);
        check_gone(worker);
    }
}

static void test_death_with_a_stopped_helper(void)
{
    mf_parent_options options = silent_options();
    mf_parent *parent = start(&options);
    mf_check_int(kill(parent_of((pid_t)mf_parent_pid(parent)), SIGSTOP), 0);
    kill_worker(parent);
    check_add(parent);
    end_in_time(parent, true);
}

typedef struct watched {
    mf_parent *parent;
    int64_t pid;
} watched;

static bool is_lost(void *data)
{
    const watched *at = data;
    return !is_ready(at->parent) || mf_parent_pid(at->parent) != at->pid;
}

static void test_killed_helper(void)
{
    mf_parent_options options = silent_options();
    mf_parent *parent = start(&options);
    watched at = {.parent = parent, .pid = mf_parent_pid(parent)};
    mf_check_int(kill(parent_of((pid_t)at.pid), SIGKILL), 0);
    mf_check(mf_test_until(is_lost, &at, MF_TEST_PATIENCE_MS));
    check_gone((pid_t)at.pid);
    check_add(parent);
    mf_check(mf_parent_pid(parent) != at.pid);
    end_in_time(parent, true);
}

static void test_stop_with_a_stuck_helper(void)
{
    mf_parent_options options = silent_options();
    for (int by_stop = 0; by_stop < 2; by_stop++) {
        use_helper(mf_test_build_path("tests/unit/process/stuck_helper"));
        mf_parent *parent = start(&options);
        use_helper(NULL);
        pid_t worker = (pid_t)mf_parent_pid(parent);
        check_add(parent);
        end_in_time(parent, by_stop == 1);
        check_gone(worker);
    }
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

static bool has_failed(void *data)
{
    return mf_parent_get_state(data) == MF_PARENT_FAILED;
}

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
    use_held_helper(fifo, sizeof fifo);
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
    use_held_helper(fifo, sizeof fifo);
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
    {"deaths__with_a_stopped_helper", test_death_with_a_stopped_helper},
    {"deaths__of_the_helper", test_killed_helper},
    {"stop__reaches_other_sessions", test_stop_reaches_other_sessions},
    {"stop__without_a_list_of_children", test_stop_without_a_list_of_children},
    {"stop__with_a_stopped_helper", test_stop_with_a_stopped_helper},
    {"stop__with_a_stuck_helper", test_stop_with_a_stuck_helper},
    {"stop__of_a_stopped_worker", test_stop_of_a_stopped_worker},
    {"stop__of_a_worker_without_sigterm", test_stop_of_a_worker_without_sigterm},
    {"start__of_a_slow_helper_delays_no_neighbour", test_slow_helper_delays_no_neighbour},
    {"start__with_a_silent_helper_times_out", test_silent_helper_ends_the_start},
    {"start__names_an_absent_directory", test_absent_directory_is_named},
};
MF_TEST_MAIN(tests)
