/* Services of the tests: a home each, their process, a parent for them, and their log. */
#include "services.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mf_test.h"

home new_home(void)
{
    static int count;
    home at;
    (void)snprintf(at.path, sizeof at.path, "%s/home%d", mf_test_temp_dir(), count++);
    (void)snprintf(at.registry, sizeof at.registry, "%s/.multifrost", at.path);
    (void)snprintf(at.log, sizeof at.log, "%s/log", at.path);
    mf_check_int(mkdir(at.path, 0700), 0);
    return at;
}

pid_t start_service(const home *at, const char *id)
{
    char home_text[300], program[300], name[32], option[] = "--service";
    char sanitizer[600];
    const char *tsan = getenv("TSAN_OPTIONS");
    pid_t pid = 0;
    (void)snprintf(home_text, sizeof home_text, "HOME=%s", at->path);
    (void)snprintf(name, sizeof name, "%s", id);
    (void)snprintf(program, sizeof program, "%s",
                   mf_test_build_path("tests/conformance/conformance_child"));
    (void)snprintf(sanitizer, sizeof sanitizer, "TSAN_OPTIONS=%s", tsan != NULL ? tsan : "");
    char *args[] = {program, option, name, NULL};
    char *env[] = {home_text, sanitizer, NULL};
    mf_check_int(posix_spawn(&pid, program, NULL, NULL, args, env), 0);
    return pid;
}

void end_service(pid_t pid, int number)
{
    int status = 0;
    mf_check_int(kill(pid, number), 0);
    mf_check_int(waitpid(pid, &status, 0), pid);
    if (number == SIGTERM) {
        mf_check(WIFEXITED(status));
        mf_check_int(WEXITSTATUS(status), 0);
    }
}

mf_parent *make_parent(const home *at, mf_runtime *runtime)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.service_id = "math";
    options.registry_directory = at->registry;
    options.circuit_open_ms = 100;
    options.discovery_timeout_ms = 20000; /* a service is on its way */
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return parent;
}

int count_in_file(const char *path, const char *part)
{
    int count = 0;
    char line[8192];
    FILE *file = fopen(path, "r");
    mf_check(file != NULL);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, part) != NULL ? 1 : 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

mf_registry *open_registry(const home *at)
{
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = at->registry;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    return registry;
}

bool is_entered(void *data)
{
    const entry *wanted = data;
    mf_service found = MF_SERVICE_INIT;
    return mf_registry_find(wanted->registry, "math", &found, NULL) == MF_OK &&
           found.pid == wanted->pid;
}

void replace_registry(const home *at, const char *text)
{
    char path[400], next[400];
    (void)snprintf(path, sizeof path, "%s/services.json", at->registry);
    (void)snprintf(next, sizeof next, "%s/next", at->registry);
    if (text == NULL) {
        mf_check_int(unlink(path), 0);
        return;
    }
    FILE *file = fopen(next, "we");
    mf_check(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    mf_check_int(rename(next, path), 0);
}
