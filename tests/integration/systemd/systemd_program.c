/* A program that systemd is to be told about, for test_systemd.py, which obeys it line by line.
 *
 * usage: systemd_program REGISTRY
 * serves as the service "math" until a signal ends it.
 *
 * usage: systemd_program WORKER FIFO
 * The worker starts when somebody has written to the FIFO. Commands on stdin: "hang" and "go" stop
 * the engine and let it go on, "drain" begins the end; the end of stdin ends the program. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

static sem_t may_go_on, hangs;

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        (void)fprintf(stderr, "systemd_program: %s\n", error->message);
        exit(1);
    }
}

static void say(const char *line)
{
    (void)printf("%s\n", line);
    (void)fflush(stdout);
}

/* On the engine thread, which stands still meanwhile. */
static void hang(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)status;
    (void)error;
    (void)user_data;
    mf_result_destroy(result);
    (void)sem_post(&hangs);
    (void)sem_wait(&may_go_on);
}

static void obey(mf_runtime *runtime, mf_parent *parent)
{
    char line[32];
    mf_error error = MF_ERROR_INIT;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "hang\n") == 0) {
            check(mf_call_async(parent, "add", MF_ARGS(1, 2), NULL, hang, NULL, &error), &error);
            (void)sem_wait(&hangs);
        } else if (strcmp(line, "go\n") == 0) {
            (void)sem_post(&may_go_on);
        } else if (strcmp(line, "drain\n") == 0) {
            mf_runtime_begin_drain(runtime);
        }
        say("done");
    }
}

static int serve(const char *registry)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_child *child = NULL;
    mf_runtime_options with = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    with.systemd = true;
    check(mf_runtime_create(&runtime, &with, &error), &error);
    options.runtime = runtime;
    options.service_id = "math";
    options.registry_directory = registry;
    check(mf_child_create(&child, &options, &error), &error);
    say("made");
    check(mf_child_run(child, &error), &error);
    mf_child_destroy(child);
    say("gone");
    (void)getchar(); /* the runtime goes on until the test has seen that */
    mf_runtime_destroy(runtime);
    return 0;
}

int main(int argc, char **argv)
{
    char script[1024];
    const char *arguments[] = {"-c", script, "worker", NULL};
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_parent *parent = NULL;
    mf_runtime_options with = MF_RUNTIME_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    if (argc != 3) {
        return argc == 2 ? serve(argv[1]) : 2;
    }
    (void)sem_init(&may_go_on, 0, 0);
    (void)sem_init(&hangs, 0, 0);
    /* The worker must not tell systemd anything in the program's place. */
    (void)snprintf(script, sizeof script,
                   "[ -z \"$NOTIFY_SOCKET$WATCHDOG_USEC$WATCHDOG_PID\" ] || exit 7; "
                   "cat '%s' > /dev/null; exec '%s' \"$@\"",
                   argv[2], argv[1]);
    with.systemd = true;
    check(mf_runtime_create(&runtime, &with, &error), &error);
    options.runtime = runtime;
    options.program = "/bin/sh";
    options.args = arguments;
    options.target = "math";
    options.start_timeout_ms = 600000;
    check(mf_parent_create(&parent, &options, &error), &error);
    check(mf_parent_start(parent, &error), &error);
    say("ready");
    obey(runtime, parent);
    mf_runtime_destroy(runtime);
    mf_parent_destroy(parent);
    return 0;
}
