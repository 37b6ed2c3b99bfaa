/* What the tests of ended workers and their helpers share: a worker without heartbeats, helpers
 * that take the place of multifrost-exec, and looks at processes. They exist so that a test brings
 * a helper into a state and holds it there, and never waits for a time to pass. */
#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

/* What parent.h promises beyond stop_timeout_ms, and what a busy machine may add to it. */
#define PROMISE_MS 3000
#define BUSY_MS 15000

mf_parent_options silent_options(void)
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

void check_add(mf_parent *parent)
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

void check_gone(pid_t pid)
{
    mf_check(pid > 0);
    mf_check(mf_test_until(is_gone, &pid, MF_TEST_PATIENCE_MS));
}

/* Stops and destroys; neither may take longer than is promised. */
void end_in_time(mf_parent *parent, bool by_stop)
{
    int64_t begin = mf_test_now_ms();
    if (by_stop) {
        mf_check_int(mf_parent_stop(parent, NULL), MF_OK);
    }
    mf_parent_destroy(parent);
    mf_check(mf_test_now_ms() - begin < STOP_MS + PROMISE_MS + BUSY_MS);
}

pid_t parent_of(pid_t pid)
{
    char state = 0;
    int parent = 0;
    mf_check(read_stat(pid, &state, &parent));
    mf_check(parent > 1);
    return parent > 1 ? parent : 0;
}

bool has_failed(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_FAILED;
}

bool has_pid(void *parent)
{
    return mf_parent_pid(parent) > 0;
}

mf_parent_options leaving_options(const char **args, const char *script)
{
    mf_parent_options options = silent_options();
    options.program = "sh";
    args[0] = "-c";
    args[1] = script;
    args[2] = NULL;
    options.args = args;
    return options;
}

/* ---- The helper, or one in its place ---- */

/* Until use_helper(NULL), starts use this one. */
void use_helper(const char *path)
{
    if (path != NULL) {
        mf_check_int(setenv("MULTIFROST_EXEC", path, 1), 0);
    } else {
        mf_check_int(unsetenv("MULTIFROST_EXEC"), 0);
    }
}

/* A script that ends with becoming the real helper. */
void use_wrapped_helper(const char *before)
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

void use_held_helper(const char *before, char *ret_fifo, size_t size)
{
    char script[1200];
    (void)snprintf(ret_fifo, size, "%s/held", mf_test_temp_dir());
    (void)unlink(ret_fifo);
    mf_check_int(mkfifo(ret_fifo, 0600), 0);
    (void)snprintf(script, sizeof script, "%s\nread line <%s\nexec", before, ret_fifo);
    use_wrapped_helper(script);
}
