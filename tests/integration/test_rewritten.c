/* A peer rewrites services.json in place every 25 ms, as Go's does: for 2 ms the file is empty, and
 * for 2 ms it is cut. No start, no look-up and no call may fail beside it.
 *
 * MF_REWRITTEN_STARTS: how many starts and look-ups are made. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"

static char directory[300];

static pid_t start_service(void)
{
    pid_t pid = 0;
    char home_text[300], program[300], name[] = "math", option[] = "--service";
    (void)snprintf(directory, sizeof directory, "%s/.multifrost", mf_test_temp_dir());
    (void)snprintf(home_text, sizeof home_text, "HOME=%s", mf_test_temp_dir());
    (void)snprintf(program, sizeof program, "%s",
                   mf_test_build_path("tests/conformance/conformance_child"));
    char *args[] = {program, option, name, NULL};
    char *env[] = {home_text, NULL};
    mf_check_int(posix_spawn(&pid, program, NULL, NULL, args, env), 0);
    return pid;
}

static void end_process(pid_t pid, int number)
{
    (void)kill(pid, number);
    (void)waitpid(pid, NULL, 0);
}

/* ---- The peer ---- */

static void rest(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&time, NULL);
}

static void write_half(int fd, const char *text, size_t length)
{
    if (write(fd, text, length) != (ssize_t)length) {
        _exit(1);
    }
}

static void rewrite_for_ever(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, sizeof text);
    (void)close(fd);
    while (length > 0) {
        size_t half = (size_t)length / 2;
        fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        rest(2);
        write_half(fd, text, half);
        rest(2);
        write_half(fd, text + half, (size_t)length - half);
        (void)close(fd);
        rest(21);
    }
    _exit(1);
}

static pid_t start_peer(void)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/services.json", directory);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        rewrite_for_ever(path);
    }
    return pid;
}

/* ---- The others ---- */

static mf_parent *make_parent(mf_runtime *runtime)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.service_id = "math";
    options.registry_directory = directory;
    options.fail_fast = true;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_str(error.message, "");
    return parent;
}

static void check_add(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), NULL, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void check_look_up(mf_registry *registry)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_check_int(mf_registry_find(registry, "math", &found, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void test_nothing_fails(void)
{
    const char *given = getenv("MF_REWRITTEN_STARTS");
    long starts = given != NULL ? strtol(given, NULL, 10) : 300;
    mf_service found = MF_SERVICE_INIT;
    mf_runtime *runtime = NULL;
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    pid_t service = start_service();
    options.directory = directory;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    mf_check_int(mf_registry_discover(registry, "math", MF_TEST_PATIENCE_MS, &found, NULL), MF_OK);
    pid_t peer = start_peer();
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    mf_parent *connected = make_parent(runtime);
    for (long i = 0; i < starts; i++) {
        mf_parent *parent = make_parent(runtime);
        check_add(parent);
        mf_parent_destroy(parent);
        check_look_up(registry);
        check_add(connected);
    }
    mf_check_int(waitpid(peer, NULL, WNOHANG), 0); /* it wrote until now */
    mf_check_int(mf_parent_pid(connected), service);
    mf_parent_destroy(connected);
    mf_runtime_destroy(runtime);
    mf_registry_destroy(registry);
    end_process(peer, SIGKILL);
    end_process(service, SIGTERM);
}

static const mf_test tests[] = {
    {"rewritten__nothing_fails", test_nothing_fails},
};

MF_TEST_MAIN(tests)
