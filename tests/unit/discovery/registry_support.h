/* What the tests of the registry share: a fresh folder for each test, files in it, and
 * processes. */
#ifndef REGISTRY_SUPPORT_H
#define REGISTRY_SUPPORT_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/registry.h>

#include "mf_test.h"

static char folder[512]; /* does not exist until somebody makes it */

static inline mf_registry *open_registry(int64_t lock_timeout_ms)
{
    static int made;
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s/registry-%d", mf_test_temp_dir(), made++);
    options.directory = folder;
    options.lock_timeout_ms = lock_timeout_ms;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    return registry;
}

static inline const char *path_of(const char *name)
{
    static char paths[4][800];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void write_file(const char *name, const void *data, size_t size)
{
    (void)mkdir(folder, 0700);
    FILE *file = fopen(path_of(name), "we");
    mf_check(file != NULL && fwrite(data, 1, size, file) == size);
    mf_check(file != NULL && fclose(file) == 0);
}

static inline void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

/* The registry's text, valid until the next call. */
static inline const char *read_registry(void)
{
    static char text[65536];
    FILE *file = fopen(path_of("services.json"), "re");
    size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

static inline bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static inline void make_older(const char *name, int seconds)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= seconds;
    struct timespec both[2] = {now, now};
    mf_check_int(utimensat(AT_FDCWD, path_of(name), both, AT_SYMLINK_NOFOLLOW), 0);
}

/* A pid that was a process's and is nobody's now. */
static inline int dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    return (int)pid;
}

/* A process that lives until it is ended. */
static inline pid_t start_sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    return pid;
}

static inline void end_process(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* Runs in another process once we wait: looks for the sleep of our only thread. */
static inline bool is_asleep(void *data)
{
    char path[64];
    char state = '?';
    (void)snprintf(path, sizeof path, "/proc/%d/stat", *(int *)data);
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fscanf(file, "%*d %*s %c", &state) == 1;
    (void)fclose(file);
    return read && state == 'S';
}

static inline pid_t later(void (*act)(mf_registry *registry), mf_registry *registry)
{
    int parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)mf_test_until(is_asleep, &parent, MF_TEST_PATIENCE_MS);
        act(registry);
        for (;;) {
            (void)pause();
        }
    }
    return pid;
}

#endif
