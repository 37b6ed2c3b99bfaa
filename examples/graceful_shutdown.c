/* A program that ends well on SIGTERM: it begins no more calls, waits for the open ones, stops its
 * worker, and no call fails. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

enum { CALLERS = 4 };

typedef struct work {
    mf_parent *parent;
    _Atomic(bool) ending;
    _Atomic(int) done, failed;
} work;

static void *call_on(void *data)
{
    work *at = data;
    do {
        mf_error error = MF_ERROR_INIT;
        bool ok = mf_call(at->parent, "add", MF_ARGS(1, 2), NULL, &error) == MF_OK;
        atomic_fetch_add(ok ? &at->done : &at->failed, 1);
    } while (!atomic_load(&at->ending)); /* begins no more calls once this is set */
    return NULL;
}

/* SIGTERM is blocked in all threads and read here, so that no signal handler is needed. */
static void wait_for_signal(const sigset_t *signals)
{
    int number = 0;
    printf("ready\n");
    fflush(stdout);
    (void)sigwait(signals, &number);
}

static void run(work *at, const sigset_t *signals)
{
    pthread_t callers[CALLERS];
    int started = 0;
    while (started < CALLERS && pthread_create(&callers[started], NULL, call_on, at) == 0) {
        started++;
    }
    wait_for_signal(signals);
    atomic_store(&at->ending, true);
    for (int i = 0; i < started; i++) {
        (void)pthread_join(callers[i], NULL); /* after its last call, within the call's timeout */
    }
    printf("%s, %d failed\n", atomic_load(&at->done) > 0 ? "calls were answered" : "no calls",
           atomic_load(&at->failed));
}

int main(int argc, char **argv)
{
    sigset_t signals;
    work at = {.parent = NULL};
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = argc > 1 ? argv[1] : "./hello_worker";
    options.call_timeout_ms = 2000; /* also the longest time that a shutdown takes */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    mf_status status = mf_parent_create(&at.parent, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(at.parent, &error);
    }
    if (status == MF_OK) {
        run(&at, &signals);
        status = mf_parent_stop(at.parent, &error); /* sends SHUTDOWN: the worker ends by itself */
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_parent_destroy(at.parent);
    return status == MF_OK && atomic_load(&at.failed) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
