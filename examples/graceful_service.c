/* A service that ends well on SIGTERM: it refuses new calls, waits up to DRAIN_SECONDS for those
 * that it has accepted, and then stops in order: itself, the worker behind it, the runtime. Its
 * function `work` calls sleep_ms of that worker. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <multifrost/multifrost.h>

#define DRAIN_SECONDS 10

typedef struct front {
    mf_child *child;   /* serves the callers */
    mf_parent *worker; /* does the work */
    sigset_t signals;
    pthread_mutex_t mutex;
    pthread_cond_t quiet;
    bool draining;
    int running; /* calls that are accepted and not answered yet */
} front;

/* ---- Calls ---- */

static bool enter(front *at)
{
    pthread_mutex_lock(&at->mutex);
    bool accepted = !at->draining;
    if (accepted) {
        at->running++;
        printf("running %d\n", at->running);
    }
    pthread_mutex_unlock(&at->mutex);
    return accepted;
}

static void leave(front *at)
{
    pthread_mutex_lock(&at->mutex);
    at->running--;
    pthread_cond_signal(&at->quiet);
    pthread_mutex_unlock(&at->mutex);
}

/* Passes the call on to the worker; options.threads calls run at once. */
static mf_status work(mf_request *request, mf_reply *reply, void *user_data)
{
    front *at = user_data;
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    if (!enter(at)) {
        return mf_reply_error(reply, "UnavailableError", "shutting down");
    }
    mf_status status = mf_call(at->worker, "sleep_ms", mf_request_args(request), &result, &error);
    if (status == MF_OK) {
        status = mf_reply_set(reply, *mf_result_value(result));
    } else {
        status = mf_reply_error(reply, mf_err_name(status), "%s", mf_error_text(&error));
    }
    mf_result_destroy(result);
    leave(at);
    return status;
}

/* ---- The end ---- */

static void *drain_on_signal(void *user_data)
{
    front *at = user_data;
    int number = 0;
    int failure = 0;
    struct timespec deadline;
    (void)sigwait(&at->signals, &number);
    (void)timespec_get(&deadline, TIME_UTC);
    deadline.tv_sec += DRAIN_SECONDS;
    pthread_mutex_lock(&at->mutex);
    at->draining = true;
    printf("draining %d\n", at->running);
    while (at->running > 0 && failure == 0) {
        failure = pthread_cond_timedwait(&at->quiet, &at->mutex, &deadline);
    }
    printf("left %d\n", at->running);
    pthread_mutex_unlock(&at->mutex);
    if (failure != 0) {
        (void)mf_parent_stop(at->worker, NULL); /* fails the calls that still run */
    }
    mf_child_stop(at->child);
    return NULL;
}

static mf_status serve(front *at, mf_error *error)
{
    pthread_t drainer;
    mf_child_handle(at->child, "work", work, at);
    if (pthread_create(&drainer, NULL, drain_on_signal, at) != 0) {
        error->code = MF_ERR_SYSTEM;
        return MF_ERR_SYSTEM;
    }
    mf_status status = mf_child_run(at->child, error);
    (void)pthread_kill(drainer, SIGTERM); /* in case no signal ended the service */
    (void)pthread_join(drainer, NULL);
    return status;
}

static mf_status run(const char *program, mf_error *error)
{
    front at = {.mutex = PTHREAD_MUTEX_INITIALIZER, .quiet = PTHREAD_COND_INITIALIZER};
    mf_runtime *runtime = NULL;
    mf_parent_options behind = MF_PARENT_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)sigemptyset(&at.signals);
    (void)sigaddset(&at.signals, SIGTERM);
    (void)sigaddset(&at.signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &at.signals, NULL); /* before any thread starts */
    mf_status status = mf_runtime_create(&runtime, NULL, error);
    if (status == MF_OK) {
        behind.runtime = runtime;
        behind.program = program;
        status = mf_parent_create(&at.worker, &behind, error);
    }
    if (status == MF_OK) {
        status = mf_parent_start(at.worker, error);
    }
    if (status == MF_OK) {
        options.runtime = runtime;
        options.service_id = "front";
        options.threads = 4;
        options.no_signals = true; /* this program handles signals itself */
        options.no_output_capture = true;
        status = mf_child_create(&at.child, &options, error);
    }
    if (status == MF_OK) {
        status = serve(&at, error);
    }
    mf_child_destroy(at.child);
    mf_parent_destroy(at.worker);
    mf_runtime_destroy(runtime);
    return status;
}

int main(int argc, char **argv)
{
    mf_error error = MF_ERROR_INIT;
    mf_status status = run(argc > 1 ? argv[1] : "demo/demo_worker", &error);
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
