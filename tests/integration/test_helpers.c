/* What becomes of the helper of a worker: it is stopped, stuck, killed or given up, or its pipe is
 * held by another process. The parent sees what there is to see, and a stop keeps to its time. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "helpers.h"
#include "mf_refuse.h"
#include "mf_test.h"
#include "parents.h"

/* ---- What becomes of the helper ---- */

static void test_stop_with_a_stopped_helper(void)
{
    mf_parent_options options = silent_options();
    for (int by_stop = 0; by_stop < 2; by_stop++) {
        mf_parent *parent = start(&options);
        pid_t worker = (pid_t)mf_parent_pid(parent);
        send_signal(parent_of(worker), SIGSTOP);
        end_in_time(parent, by_stop == 1);
        check_gone(worker);
    }
}

static void test_death_with_a_stopped_helper(void)
{
    mf_parent_options options = silent_options();
    mf_parent *parent = start(&options);
    send_signal(parent_of((pid_t)mf_parent_pid(parent)), SIGSTOP);
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
    send_signal(parent_of((pid_t)at.pid), SIGKILL);
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

/* ---- A pipe that another process holds ---- */

/* A held helper that leaves its pipes to another process, as a fork of the program would. */
typedef struct leaking {
    pid_t helper;
    pid_t other;
    int held; /* a line that is written here lets the helper go on */
} leaking;

static void use_leaking_helper(char *ret_fifo, size_t size)
{
    char before[600];
    (void)snprintf(before, sizeof before, "sleep 1000 &\necho $$ $! >%s/pids", mf_test_temp_dir());
    use_held_helper(before, ret_fifo, size);
}

/* Waits for the helper. */
static leaking open_leaking(const char *fifo)
{
    char path[400];
    int pids[2] = {0, 0};
    leaking at = {.held = open(fifo, O_WRONLY | O_CLOEXEC)};
    use_helper(NULL);
    (void)snprintf(path, sizeof path, "%s/pids", mf_test_temp_dir());
    FILE *file = fopen(path, "re");
    mf_check(file != NULL);
    if (file != NULL) {
        mf_check_int(fscanf(file, "%d %d", &pids[0], &pids[1]), 2); /* NOLINT: digits */
        (void)fclose(file);
    }
    at.helper = pids[0];
    at.other = pids[1];
    return at;
}

static void let_go(leaking *at)
{
    mf_check_int(write(at->held, "\n", 1), 1);
    (void)close(at->held);
    at->held = -1;
}

static void close_leaking(leaking *at)
{
    send_signal(at->other, SIGKILL);
    if (at->held >= 0) {
        (void)close(at->held);
    }
}

/* Starts a program by a leaking helper. There is no time limit: only the end of the start ends the
 * start. */
static mf_parent *start_by_leaking(const char *program, leaking *ret_leaking)
{
    char fifo[400];
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = silent_options();
    options.program = program != NULL ? program : options.program;
    options.start_timeout_ms = TOO_LONG_MS;
    use_leaking_helper(fifo, sizeof fifo);
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    *ret_leaking = open_leaking(fifo);
    return parent;
}

static void check_failed_start(mf_parent *parent, const char *reason)
{
    mf_error error = MF_ERROR_INIT;
    mf_check(mf_test_until(has_failed, parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, reason);
}

static void test_killed_silent_helper_ends_the_start(void)
{
    leaking at;
    mf_parent *parent = start_by_leaking(NULL, &at);
    send_signal(at.helper, SIGKILL);
    check_failed_start(parent, "did not report: it was killed by signal 9 (SIGKILL)");
    close_leaking(&at);
    end_in_time(parent, true);
}

static void fail_while_the_pipe_is_held(void *unused)
{
    leaking at;
    (void)unused;
    mf_parent *parent = start_by_leaking("/nonexistent", &at);
    let_go(&at);
    check_failed_start(parent, "cannot start '/nonexistent': No such file or directory");
    close_leaking(&at);
    end_in_time(parent, true);
}

/* The helper's report ends the start. Its end is not seen: there is no pidfd. */
static void test_failed_start_while_the_pipe_is_held(void)
{
    static const long calls[] = {SYS_pidfd_open};
    (void)mf_test_refusing(calls, 1, EPERM, fail_while_the_pipe_is_held, NULL);
}

/* ---- Given up ---- */

/* Nothing tells the parent that this helper has ended, so the stop takes its last step. That step
 * still finds the exit. */
static void give_up_what_has_ended(void *unused)
{
    char fifo[400];
    const char *args[3];
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = leaving_options(args, "while :; do sleep 1000; done");
    (void)unused;
    options.start_timeout_ms = TOO_LONG_MS;
    options.stop_timeout_ms = 100;
    use_leaking_helper(fifo, sizeof fifo);
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    leaking at = open_leaking(fifo);
    let_go(&at);
    mf_check(mf_test_until(has_pid, parent, MF_TEST_PATIENCE_MS));
    pid_t worker = (pid_t)mf_parent_pid(parent);
    send_signal(at.helper, SIGKILL);
    check_gone(worker);
    mf_check_int(mf_parent_stop(parent, NULL), MF_OK);
    mf_check_int(stats_of(parent).last_exit_signal, SIGKILL);
    mf_parent_destroy(parent);
    close_leaking(&at);
}

static void test_giving_up_looks_once_more(void)
{
    static const long calls[] = {SYS_pidfd_open};
    (void)mf_test_refusing(calls, 1, EPERM, give_up_what_has_ended, NULL);
}

typedef struct given_up {
    mf_runtime *runtime;
    pid_t helper;
} given_up;

static void give_up_a_helper(void *data)
{
    char text[128];
    given_up *at = data;
    mf_parent_options options = silent_options();
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    options.runtime = at->runtime;
    options.stop_timeout_ms = 100;
    use_helper(mf_test_build_path("tests/unit/process/stuck_helper"));
    mf_parent *parent = start(&options);
    use_helper(NULL);
    pid_t worker = (pid_t)mf_parent_pid(parent);
    at->helper = parent_of(worker);
    mf_check_int(mf_parent_stop(parent, NULL), MF_OK);
    (void)mf_parent_last_exit(parent, text, sizeof text);
    mf_check_str(text, "could not be seen to end");
    check_gone(worker); /* by the message of the stop */
    mf_parent_destroy(parent);
}

static bool is_waited_for(void *pid)
{
    siginfo_t info;
    return waitid(P_PID, (id_t) * (pid_t *)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
           errno == ECHILD;
}

/* The parent may send no signal, so the helper outlives it. When it ends, it leaves no zombie. */
static void test_given_up_helper_leaves_no_zombie(void)
{
    static const long calls[] = {SYS_kill, SYS_pidfd_send_signal};
    given_up at = {0};
    if (mf_test_refusing(calls, 2, EPERM, give_up_a_helper, &at)) {
        mf_check(!is_waited_for(&at.helper));
        send_signal(at.helper, SIGKILL);
        mf_check(mf_test_until(is_waited_for, &at.helper, MF_TEST_PATIENCE_MS));
    }
    mf_runtime_destroy(at.runtime);
}

static const mf_test tests[] = {
    {"helper__stopped_when_the_worker_dies", test_death_with_a_stopped_helper},
    {"helper__stopped_when_the_parent_stops", test_stop_with_a_stopped_helper},
    {"helper__stuck_when_the_parent_stops", test_stop_with_a_stuck_helper},
    {"helper__killed_when_the_worker_runs", test_killed_helper},
    {"helper__killed_before_it_reported", test_killed_silent_helper_ends_the_start},
    {"helper__reports_a_failed_start_while_the_pipe_is_held",
     test_failed_start_while_the_pipe_is_held},
    {"helper__is_looked_at_once_more_before_it_is_given_up", test_giving_up_looks_once_more},
    {"helper__given_up_leaves_no_zombie", test_given_up_helper_leaves_no_zombie},
};
MF_TEST_MAIN(tests)
