/* What a parent says about a worker that ended: in the error of a start, of a call, and in the log.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define CALLS 10

static mf_runtime *logging_to(const char *name, char *path, size_t size)
{
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    (void)snprintf(path, size, "%s/%s.log", mf_test_temp_dir(), name);
    options.log_file = path;
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    return runtime;
}

/* The lines of an event, for free(). */
static char *lines_of(const char *path, const char *event)
{
    char line[9000];
    char *all = calloc(1, 64 * sizeof line);
    FILE *file = fopen(path, "re");
    mf_check(file != NULL && all != NULL);
    while (file != NULL && all != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)strncat(all, strstr(line, event) != NULL ? line : "", sizeof line);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return all;
}

static int count_lines(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n' ? 1 : 0;
    }
    return count;
}

/* A worker that is a shell: $0 is the worker of the conformance tests. */
static mf_parent_options shell(const char *script, const char **args)
{
    mf_parent_options options = worker_options();
    args[0] = "-c";
    args[1] = script;
    args[2] = options.program;
    args[3] = NULL;
    options.program = "/bin/sh";
    options.args = args;
    return options;
}

/* ---- Starts ---- */

static void test_failed_start_says_what_the_program_said(void)
{
    const char *args[4];
    char path[400];
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options =
        shell("for i in 1 2 3 4 5 6 7 8; do echo line $i >&2; done; echo hello;"
              "printf '  import nope\n\033[31mModuleNotFoundError: nope' >&2; exit 3",
              args);
    options.runtime = logging_to("start", path, sizeof path);
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_str(error.message,
                 "worker 'math-0' ended before it was ready: it exited with status 3; stderr: "
                 "line 3 | line 4 | line 5 | line 6 | line 7 | line 8 | import nope | "
                 "\\x1b[31mModuleNotFoundError: nope");
    mf_parent_destroy(parent);
    mf_runtime_destroy(options.runtime);
    char *stops = lines_of(path, "\"event\":\"worker_stop\"");
    mf_check_contains(stops, "| import nope | \\\\x1b[31mModuleNotFoundError: nope\"");
    free(stops);
}

static void test_late_start_says_what_the_program_said(void)
{
    const char *args[4];
    char path[400];
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = shell("echo waiting for a database >&2; sleep 600", args);
    options.start_timeout_ms = 1000;
    options.runtime = logging_to("late", path, sizeof path);
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_TIMEOUT);
    mf_check_contains(error.message, "did not connect within 1000 ms");
    mf_check_contains(error.message, "; stderr: waiting for a database");
    mf_parent_destroy(parent);
    mf_runtime_destroy(options.runtime);
    char *stops = lines_of(path, "\"event\":\"worker_stop\"");
    mf_check_contains(stops, "did not connect within 1000 ms; stderr: waiting for a database");
    mf_check_int(count_lines(stops), 1);
    free(stops);
}

static bool is_given_up(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_FAILED;
}

static void test_restart_says_what_the_program_said(void)
{
    const char *args[4];
    char path[400];
    char script[600];
    mf_error error = MF_ERROR_INIT;
    (void)snprintf(script, sizeof script,
                   "test -e '%s/mark' && { echo no licence >&2; exit 4; }; : > '%s/mark';"
                   "echo first words >&2; exec \"$0\" \"$@\"",
                   mf_test_temp_dir(), mf_test_temp_dir());
    mf_parent_options options = shell(script, args);
    options.auto_restart = true;
    options.restart_backoff_ms = 1;
    options.max_restart_attempts = 1;
    options.runtime = logging_to("restart", path, sizeof path);
    mf_parent *parent = start(&options);
    kill_worker(parent);
    mf_check(mf_test_until(is_given_up, parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, "it exited with status 4; stderr: no licence");
    mf_parent_destroy(parent);
    mf_runtime_destroy(options.runtime);
    char *restarts = lines_of(path, "\"event\":\"worker_restart\"");
    mf_check_contains(restarts, "\"stderr\":\"first words\"");
    free(restarts);
    char *stops = lines_of(path, "\"event\":\"worker_stop\"");
    mf_check_contains(stops, "stderr: no licence");
    free(stops);
}

static void test_absent_directory_is_named(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = worker_options();
    options.working_directory = "/nonexistent/place";
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, "/nonexistent/place");
    mf_check_contains(error.message, "No such file or directory");
    mf_parent_destroy(parent);
}

/* ---- Crashes ---- */

static _Atomic(int) printed;

static void count_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    (void)line;
    (void)length;
    (void)user_data;
    atomic_fetch_add(&printed, is_stderr ? 0 : 1);
}

static bool has_printed(void *data)
{
    (void)data;
    return atomic_load(&printed) == 2;
}

static void test_crash_names_open_calls_and_last_lines(void)
{
    const char *args[4];
    char path[400];
    char id[32];
    uint64_t rtt_ns = 0;
    mf_future *futures[CALLS];
    mf_parent_options options = shell("echo a warning >&2; exec \"$0\" \"$@\"", args);
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    options.runtime = logging_to("crash", path, sizeof path);
    options.on_output = count_line;
    mf_parent *parent = start(&options);
    mf_check_int(mf_call(parent, "print_lines", MF_ARGS(2), NULL, NULL), MF_OK);
    mf_check(mf_test_until(has_printed, NULL, MF_TEST_PATIENCE_MS));
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(id, sizeof id, "call-%d", i);
        call.correlation_id = id;
        mf_check_int(
            mf_call_future(parent, "sleep_ms", MF_ARGS(TOO_LONG_MS), &call, &futures[i], NULL),
            MF_OK);
    }
    mf_check_int(mf_parent_heartbeat(parent, MF_TEST_PATIENCE_MS, &rtt_ns, NULL), MF_OK);
    kill_worker(parent); /* all calls were sent: the heartbeat behind them was answered */
    for (int i = 0; i < CALLS; i++) {
        mf_check_int(mf_future_wait(futures[i], MF_TEST_PATIENCE_MS, NULL, NULL),
                     MF_ERR_WORKER_EXITED);
        mf_future_destroy(futures[i]);
    }
    mf_parent_destroy(parent);
    mf_runtime_destroy(options.runtime);
    char *crashes = lines_of(path, "\"event\":\"worker_crash\"");
    mf_check_contains(crashes, "was killed by signal 9 (SIGKILL)");
    mf_check_contains(crashes, "\"signal\":9");
    mf_check_contains(crashes, "\"open_calls\":\"sleep_ms id=call-0 age_ms=");
    mf_check_contains(crashes, "; sleep_ms id=call-7 age_ms=");
    mf_check(strstr(crashes, "call-8") == NULL);
    mf_check_contains(crashes, "\"pending_failed\":10");
    mf_check_contains(crashes, "\"more_calls\":2");
    mf_check_contains(crashes, "\"cpu_user_ms\":");
    mf_check_contains(crashes, "\"max_rss_kib\":");
    mf_check_contains(crashes, "\"stderr\":\"a warning\"");
    mf_check_contains(crashes, "\"stdout\":\"line 0 of a worker");
    free(crashes);
}

static const mf_test tests[] = {
    {"start__failed_says_what_the_program_said", test_failed_start_says_what_the_program_said},
    {"start__late_says_what_the_program_said", test_late_start_says_what_the_program_said},
    {"restart__says_what_the_program_said", test_restart_says_what_the_program_said},
    {"start__absent_directory_is_named", test_absent_directory_is_named},
    {"crash__names_open_calls_and_last_lines", test_crash_names_open_calls_and_last_lines},
};
MF_TEST_MAIN(tests)
