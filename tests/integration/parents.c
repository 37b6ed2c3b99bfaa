/* What the tests of parents share: a worker of the conformance tests, and helpers that stop, kill
 * and hold it. A test that needs an open call or an absent worker holds it in that state, so that
 * no test depends on a time being long enough. */
#include "parents.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "mf_test.h"

#define NOTICED_MS 20000

mf_parent_options worker_options(void)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.target = "math";
    return options;
}

mf_parent *start(const mf_parent_options *options)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_create(&parent, options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_str(error.message, "");
    return parent;
}

mf_parent_stats stats_of(mf_parent *parent)
{
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_check_int(mf_parent_read_stats(parent, &stats, NULL), MF_OK);
    return stats;
}

bool is_ready(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_READY;
}

bool is_restarting(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_RESTARTING;
}

void restart_by_hand_only(mf_parent_options *options)
{
    options->auto_restart = true;
    options->restart_backoff_ms = TOO_LONG_MS;
    options->restart_backoff_max_ms = TOO_LONG_MS;
}

typedef struct worker {
    mf_parent *parent;
    int64_t pid;
} worker;

/* Stays true, also when the parent is ready again. */
static bool is_lost(void *data)
{
    const worker *at = data;
    return !is_ready(at->parent) || mf_parent_pid(at->parent) != at->pid;
}

void send_signal(int64_t pid, int number)
{
    mf_check(pid > 0);
    if (pid > 0) { /* 0 would be the test itself */
        mf_check_int(kill((pid_t)pid, number), 0);
    }
}

void kill_worker(mf_parent *parent)
{
    worker at = {.parent = parent, .pid = mf_parent_pid(parent)};
    send_signal(at.pid, SIGKILL);
    mf_check(mf_test_until(is_lost, &at, NOTICED_MS));
}

static bool thread_stands_still(int64_t pid, const char *thread)
{
    char path[300];
    char text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/task/%s/stat", pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return true; /* it has ended */
    }
    (void)!fgets(text, sizeof text, file);
    (void)fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && strncmp(name_end, ") T", 3) == 0;
}

static bool stands_still(void *data)
{
    const worker *at = data;
    char path[64];
    bool all = true;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/task", at->pid);
    DIR *threads = opendir(path);
    for (struct dirent *entry = threads != NULL ? readdir(threads) : NULL; entry != NULL;
         entry = readdir(threads)) {
        all = all && (entry->d_name[0] == '.' || thread_stands_still(at->pid, entry->d_name));
    }
    if (threads != NULL) {
        (void)closedir(threads);
    }
    return threads != NULL && all;
}

void stop_worker(mf_parent *parent)
{
    worker at = {.parent = parent, .pid = mf_parent_pid(parent)};
    send_signal(at.pid, SIGSTOP);
    mf_check(mf_test_until(stands_still, &at, NOTICED_MS));
}

void continue_worker(mf_parent *parent)
{
    send_signal(mf_parent_pid(parent), SIGCONT);
}
