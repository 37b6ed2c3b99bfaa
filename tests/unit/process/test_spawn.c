/* Real small programs, started through the helper: what they get and what they print. */
#include "core/process/spawn.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/process/exits.h"
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

typedef struct end {
    mfi_process *process;
    mfi_exit exit;
} end;

static bool has_ended(void *data)
{
    end *at = data;
    return mfi_process_reap(at->process, &at->exit);
}

static void check_exit(mfi_process *process, int code)
{
    end at = {.process = process};
    mf_check(mf_test_until(has_ended, &at, MF_TEST_PATIENCE_MS));
    mf_check(at.exit.known);
    mf_check_int(at.exit.code, code);
    mf_check_int(at.exit.signal, 0);
    mfi_process_close(process);
}

static bool is_started(void *process)
{
    return mfi_process_read(process, NULL) != MFI_STAGE_STARTING;
}

/* ---- What they get ---- */

static void test_streams(void)
{
    char out[64];
    char err[64];
    char pid[32];
    mfi_process process;
    const char *const args[] = {"-c", "echo $$; echo wrong >&2; cat", NULL}; /* without input */
    mfi_spawn_options options = {.program = "/bin/sh", .args = args};
    mf_check_int(spawn_with(&process, &options), MF_OK);
    mf_check(process.helper_pid > 0);
    mf_check(mf_test_until(is_started, &process, MF_TEST_PATIENCE_MS));
    (void)snprintf(pid, sizeof pid, "%d", (int)process.pid);
    read_text(process.stdout_fd, false, out, sizeof out);
    read_text(process.stderr_fd, false, err, sizeof err);
    mf_check_str(out, pid);
    mf_check_str(err, "wrong");
    check_exit(&process, 0);
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
    check_exit(&process, 0);
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
    check_exit(&process, 0);
}

/* ---- The helper ---- */

/* A helper that is not there is looked for in the other places. */
static void test_helper_elsewhere(void)
{
    mfi_process process;
    const char *const args[] = {"-c", "exit 4", NULL};
    mfi_spawn_options options = {
        .program = "/bin/sh", .args = args, .helper_path = "/nonexistent/helper"};
    mf_check_int(spawn_with(&process, &options), MF_OK);
    check_exit(&process, 4);
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
            check_exit(&process, 5);
        } else {
            mf_check_contains(error.message, "/bin/sh");
            failed++;
        }
    }
    mf_check(failed > 0);
}
static const mf_test tests[] = {
    {"spawn__streams_are_told_apart", test_streams},
    {"spawn__arguments_and_directory", test_arguments_and_directory},
    {"spawn__environment_lies_over_the_own", test_environment},
    {"spawn__helper_elsewhere", test_helper_elsewhere},
    {"spawn__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
