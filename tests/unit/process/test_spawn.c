/* Real small programs, started through the helper: what they get, what they print, how they end. */
#include "core/process/spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/process/alive.h"
#include "mf_alloc.h"
#include "mf_test.h"

/* ---- One process ---- */

static mf_status spawn_with(mfi_process *process, const mfi_spawn_options *options)
{
    mf_error error = MF_ERROR_INIT;
    mf_status status = mfi_process_spawn(process, options, &error);
    mf_check_str(error.message, "");
    return status;
}

static void spawn_script(mfi_process *process, const char *script)
{
    const char *const args[] = {"-c", script, NULL};
    mfi_spawn_options options = {.program = "/bin/sh", .args = args};
    mf_check_int(spawn_with(process, &options), MF_OK);
    mf_check(process->pid > 0 && process->helper_pid > 0);
}

static bool wait_readable(int fd)
{
    struct pollfd wake = {.fd = fd, .events = POLLIN};
    return poll(&wake, 1, MF_TEST_PATIENCE_MS) == 1;
}

/* One line, or all until the end of the stream; without the last newline. */
static void read_text(int fd, bool one_line, char *to, size_t size)
{
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < size - 1 && wait_readable(fd)) {
        got = read(fd, to + length, one_line ? 1 : size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
        if (one_line && length > 0 && to[length - 1] == '\n') {
            break;
        }
    }
    to[length] = '\0';
    if (length > 0 && to[length - 1] == '\n') {
        to[length - 1] = '\0';
    }
}

static void check_line(const mfi_process *process, const char *wanted)
{
    char text[1024];
    read_text(process->stdout_fd, true, text, sizeof text);
    mf_check_str(text, wanted);
}

static mfi_exit await_exit(mfi_process *process)
{
    mfi_exit ended;
    mf_check(wait_readable(process->exit_fd));
    mf_check(mfi_process_reap(process, &ended));
    mfi_process_close(process);
    return ended;
}

static void check_exit(mfi_process *process, int code, int signal_number, const char *text)
{
    char words[64];
    mfi_exit ended = await_exit(process);
    mf_check(ended.known);
    mf_check_int(ended.code, code);
    mf_check_int(ended.signal, signal_number);
    mf_check_int(mfi_exit_text(words, sizeof words, &ended), strlen(text));
    mf_check_str(words, text);
}

/* ---- How they end ---- */

static void test_status(void)
{
    mfi_process process;
    spawn_script(&process, "exit 3");
    check_exit(&process, 3, 0, "exited with status 3");
    spawn_script(&process, "exit 0");
    check_exit(&process, 0, 0, "exited with status 0");
}

static void test_own_signal(void)
{
    mfi_process process;
    spawn_script(&process, "kill -KILL $$");
    check_exit(&process, -1, SIGKILL, "was killed by signal 9 (SIGKILL)");
}

static void test_exit_text(void)
{
    char words[64];
    char cut[8];
    mfi_exit unknown = {.known = false, .code = -1};
    (void)mfi_exit_text(words, sizeof words, &unknown);
    mf_check_str(words, "ended for a reason that is not known");
    mfi_exit strange = {.known = true, .code = -1, .signal = 200};
    (void)mfi_exit_text(words, sizeof words, &strange);
    mf_check_str(words, "was killed by signal 200 (SIG?)");
    (void)mfi_exit_text(cut, sizeof cut, &strange);
    mf_check_str(cut, "was kil");
}

/* Where the program ignores SIGCHLD, nobody can know. */
static void test_ignored_children(void)
{
    mfi_process process;
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    spawn_script(&process, "exit 3");
    mf_check(wait_readable(process.exit_fd));
    mfi_exit ended = await_exit(&process);
    (void)signal(SIGCHLD, before);
    mf_check(!ended.known);
    mf_check_int(ended.code, -1);
}

static void test_nothing_to_reap(void)
{
    mfi_exit ended;
    mfi_process process;
    mfi_process_init(&process);
    mf_check(mfi_process_reap(&process, &ended));
    mf_check(!ended.known);
    mfi_process_signal(&process, SIGKILL); /* meets nobody */
    mfi_process_close(&process);
    mf_check_int(process.death_fd, -1);
}

/* ---- Signals ---- */

static void test_signal_reaches_the_group(void)
{
    mfi_exit ended;
    mfi_process process;
    spawn_script(&process, "trap 'exit 7' TERM; echo ready; sleep 1000 & wait");
    check_line(&process, "ready");
    mf_check(!mfi_process_reap(&process, &ended)); /* it runs */
    mf_check(!ended.known);
    mfi_process_signal(&process, SIGTERM);
    check_exit(&process, 7, 0, "exited with status 7");
}

static void test_kill(void)
{
    mfi_process process;
    spawn_script(&process, "trap '' TERM; echo ready; sleep 1000");
    check_line(&process, "ready");
    mfi_process_kill(&process);
    mf_check_int(process.death_fd, -1);
    check_exit(&process, -1, SIGKILL, "was killed by signal 9 (SIGKILL)");
}

static bool has_ended(void *data)
{
    return !mfi_process_alive(*(const int64_t *)data, NULL);
}

/* Closing the pipe is what the death of this process would do. */
static void test_death_ends_descendants(void)
{
    char text[64];
    mfi_process process;
    spawn_script(&process, "trap '' HUP; setsid sleep 1000 & echo $!; wait");
    read_text(process.stdout_fd, true, text, sizeof text);
    int64_t grandchild = strtoll(text, NULL, 10);
    mf_check(mfi_process_alive(grandchild, NULL));
    (void)close(process.death_fd);
    process.death_fd = -1;
    mf_check(mf_test_until(has_ended, &grandchild, MF_TEST_PATIENCE_MS));
    mfi_exit ended = await_exit(&process);
    mf_check(ended.known);
    mf_check(ended.signal == SIGTERM || ended.signal == SIGKILL);
}

/* ---- What they get ---- */

static void test_streams(void)
{
    char out[64];
    char err[64];
    char pid[32];
    mfi_process process;
    spawn_script(&process, "echo $$; echo wrong >&2; cat"); /* no input: cat ends at once */
    (void)snprintf(pid, sizeof pid, "%d", (int)process.pid);
    read_text(process.stdout_fd, false, out, sizeof out);
    read_text(process.stderr_fd, false, err, sizeof err);
    mf_check_str(out, pid);
    mf_check_str(err, "wrong");
    check_exit(&process, 0, 0, "exited with status 0");
}

static void test_arguments_and_directory(void)
{
    char out[1024];
    mfi_process process;
    const char *directory = mf_test_temp_dir();
    const char *const args[] = {"-c", "echo \"$1|$2|$#\"; pwd", "sh", "two words", "$HOME;*", NULL};
    mfi_spawn_options options = {.program = "sh", /* found by PATH */
                                 .args = args,
                                 .working_directory = directory};
    char wanted[1024];
    mf_check_int(spawn_with(&process, &options), MF_OK);
    read_text(process.stdout_fd, false, out, sizeof out);
    (void)snprintf(wanted, sizeof wanted, "two words|$HOME;*|2\n%s", directory);
    mf_check_str(out, wanted);
    check_exit(&process, 0, 0, "exited with status 0");
}

static void test_environment(void)
{
    char out[256];
    mfi_process process;
    const char *const args[] = {"-c",
                                "echo \"$SPAWN_KEPT|$SPAWN_OVER|$SPAWN_OVERDUE|$SPAWN_NEW|"
                                "$NOTIFY_SOCKET|$WATCHDOG_USEC|$COMLINK_ZMQ_PORT|"
                                "$COMLINK_WORKER_MODE\"",
                                NULL};
    const char *const env[] = {"SPAWN_OVER=after", "SPAWN_NEW=a=b", "COMLINK_ZMQ_PORT=5001", NULL};
    mfi_spawn_options options = {.program = "/bin/sh", .args = args, .env = env};
    (void)setenv("SPAWN_KEPT", "kept", 1);
    (void)setenv("SPAWN_OVER", "before", 1);
    (void)setenv("SPAWN_OVERDUE", "longer name", 1);
    (void)setenv("NOTIFY_SOCKET", "/private", 1);
    (void)setenv("WATCHDOG_USEC", "1", 1);
    (void)setenv("COMLINK_ZMQ_PORT", "5000", 1); /* of our own parent, as the next one */
    (void)setenv("COMLINK_WORKER_MODE", "1", 1);
    mf_check_int(spawn_with(&process, &options), MF_OK);
    read_text(process.stdout_fd, false, out, sizeof out);
    mf_check_str(out, "kept|after|longer name|a=b|||5001|");
    check_exit(&process, 0, 0, "exited with status 0");
}

/* ---- What cannot be started ---- */

static void check_fails(const mfi_spawn_options *options, const char *first, const char *second)
{
    mf_error error = MF_ERROR_INIT;
    mfi_process process;
    mfi_process_init(&process);
    mf_check_int(mfi_process_spawn(&process, options, &error), MF_ERR_START_FAILED);
    mf_check_contains(error.message, first);
    mf_check_contains(error.message, second);
    mf_check_int(process.helper_pid, 0);
    mf_check_int(process.stdout_fd, -1);
}

static void test_absent_program(void)
{
    mfi_spawn_options options = {.program = "/nonexistent/program"};
    check_fails(&options, "/nonexistent/program", strerror(ENOENT));
    options.program = "no-program-of-this-name";
    check_fails(&options, "no-program-of-this-name", strerror(ENOENT));
}

static void test_no_program(void)
{
    mfi_spawn_options options = {.program = "/"};
    check_fails(&options, "cannot start '/'", strerror(EACCES));
}

static void test_absent_directory(void)
{
    mfi_spawn_options options = {.program = "/bin/true", .working_directory = "/nonexistent"};
    check_fails(&options, "/bin/true", strerror(ENOENT));
}

static void test_strange_helper(void)
{
    mfi_spawn_options options = {.program = "/bin/true", .helper_path = "/bin/true"};
    check_fails(&options, "/bin/true", "the helper multifrost-exec did not report");
}

/* A helper that is not there is looked for in the other places. */
static void test_helper_elsewhere(void)
{
    mfi_process process;
    const char *const args[] = {"-c", "exit 4", NULL};
    mfi_spawn_options options = {
        .program = "/bin/sh", .args = args, .helper_path = "/nonexistent/helper"};
    mf_check_int(spawn_with(&process, &options), MF_OK);
    check_exit(&process, 4, 0, "exited with status 4");
}

static void test_without_memory(void)
{
    const char *const args[] = {"-c", "exit 5", NULL};
    mfi_spawn_options options = {.program = "/bin/sh", .args = args};
    bool reached = true;
    long failed = 0;
    for (long n = 0; reached; n++) {
        mf_error error = MF_ERROR_INIT;
        mfi_process process;
        mf_alloc_fail_at(n);
        mf_status status = mfi_process_spawn(&process, &options, &error);
        reached = mf_alloc_stop();
        mf_check_int(status, reached ? MF_ERR_NO_MEMORY : MF_OK);
        if (status == MF_OK) {
            check_exit(&process, 5, 0, "exited with status 5");
        } else {
            mf_check_contains(error.message, "/bin/sh");
            failed++;
        }
    }
    mf_check(failed > 0);
}

static const mf_test tests[] = {
    {"spawn__exit_status_is_the_worker_s", test_status},
    {"spawn__signal_is_the_worker_s", test_own_signal},
    {"spawn__exit_text", test_exit_text},
    {"spawn__nobody_knows_where_children_are_ignored", test_ignored_children},
    {"spawn__nothing_to_reap", test_nothing_to_reap},
    {"spawn__signal_reaches_the_group", test_signal_reaches_the_group},
    {"spawn__kill_ends_what_ignores_signals", test_kill},
    {"spawn__death_ends_descendants", test_death_ends_descendants},
    {"spawn__streams_are_told_apart", test_streams},
    {"spawn__arguments_and_directory", test_arguments_and_directory},
    {"spawn__environment_lies_over_the_own", test_environment},
    {"spawn__absent_program", test_absent_program},
    {"spawn__what_is_no_program", test_no_program},
    {"spawn__absent_directory", test_absent_directory},
    {"spawn__helper_that_does_not_report", test_strange_helper},
    {"spawn__helper_elsewhere", test_helper_elsewhere},
    {"spawn__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
