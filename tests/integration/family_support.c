/* The worker that counts its handlers, and its parents: see family_support.h. */
#include "family_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parents.h"

/* ---- The worker ---- */

static family_map *open_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool made = fd >= 0 && ftruncate(fd, sizeof(family_map)) == 0;
    void *at = made ? mmap(NULL, sizeof(family_map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                    : MAP_FAILED;
    if (fd >= 0) {
        (void)close(fd);
    }
    return at != MAP_FAILED ? at : NULL;
}

typedef struct role {
    family_map *shared;
    unsigned index;
} role;

static mf_status count(mf_request *request, mf_reply *reply, void *user_data)
{
    role *self = user_data;
    (void)request;
    atomic_fetch_add(&self->shared->entries[self->index], 1);
    return mf_reply_set(reply, mf_int(1));
}

static mf_status hold(mf_request *request, mf_reply *reply, void *user_data)
{
    role *self = user_data;
    (void)request;
    atomic_fetch_add(&self->shared->entries[self->index], 1);
    while (atomic_load(&self->shared->held) != 0) {
        (void)usleep(1000);
    }
    return mf_reply_set(reply, mf_int(1));
}

static int work(const char *path, const char *index)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    role self = {.shared = open_map(path), .index = (unsigned)atoi(index)};
    if (self.shared == NULL || mf_child_create(&child, NULL, &error) != MF_OK) {
        return 1;
    }
    mf_status status = mf_child_handle(child, "count", count, &self);
    if (status == MF_OK) {
        status = mf_child_handle(child, "hold", hold, &self);
    }
    if (status == MF_OK) {
        status = mf_child_run(child, &error);
    }
    mf_child_destroy(child);
    return status == MF_OK ? 0 : 1;
}

/* ---- The parents ---- */

void family_scrape(family *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &at->text, &size, NULL),
                 MF_OK);
}

void family_begin(family *at, unsigned workers, mf_runtime_options *options)
{
    static char program[4096];
    static int made;
    memset(at, 0, sizeof *at);
    mf_check(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    (void)snprintf(at->path, sizeof at->path, "%s/map%d", mf_test_temp_dir(), made++);
    at->shared = open_map(at->path);
    mf_check(at->shared != NULL);
    mf_check_int(mf_runtime_create(&at->runtime, options, NULL), MF_OK);
    for (unsigned i = 0; i < workers; i++) {
        char index[12];
        (void)snprintf(index, sizeof index, "%u", i);
        const char *args[] = {at->path, index, NULL}; /* and "--worker" */
        mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
        parent.runtime = at->runtime;
        parent.program = program;
        parent.args = args;
        parent.target = "family";
        parent.auto_restart = true;
        parent.max_restart_attempts = MF_DISABLED;
        parent.restart_backoff_ms = 1;
        parent.restart_backoff_max_ms = 1;
        parent.circuit_failures = MF_DISABLED;
        at->callers[i].parent = start(&parent);
        at->callers[i].stop = &at->stop;
    }
}

void family_end(family *at)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        mf_parent_destroy(at->callers[i].parent);
    }
    mf_runtime_destroy(at->runtime);
    (void)munmap(at->shared, sizeof(family_map));
    free(at->text);
}

int64_t family_value(const family *at, const char *series)
{
    char start[300];
    int length = snprintf(start, sizeof start, "\nmultifrost_%s ", series);
    const char *found = strstr(at->text, start);
    return found != NULL ? (int64_t)strtod(found + length, NULL) : -1;
}

int64_t family_sum(const family *at, const char *name, const char *part)
{
    char start[100];
    double sum = 0;
    int length = snprintf(start, sizeof start, "\nmultifrost_%s{", name);
    for (const char *line = at->text; (line = strstr(line, start)) != NULL; line++) {
        const char *end = strchr(line + length, '}');
        const char *found = strstr(line + length, part);
        if (end != NULL && found != NULL && found < end) {
            sum += strtod(end + 1, NULL);
        }
    }
    return (int64_t)sum;
}

int family_main(int argc, char **argv, const mf_test *tests, size_t count)
{
    if (argc == 4 && strcmp(argv[3], "--worker") == 0) {
        return work(argv[1], argv[2]);
    }
    return mf_test_main(argc, argv, tests, count);
}
