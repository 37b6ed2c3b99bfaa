/* Many open calls: half of them with a callback, half with futures. All together take as long as
 * the slowest one. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <multifrost/multifrost.h>

#define CALLS 8

typedef struct tally {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int ended;
    int64_t sum;
} tally;

/* Runs on the engine thread: reads the result, and does not block. */
static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    tally *at = user_data;
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(error));
    }
    pthread_mutex_lock(&at->mutex);
    at->ended++;
    at->sum += status == MF_OK ? mf_result_int(result) : 0;
    pthread_cond_signal(&at->changed);
    pthread_mutex_unlock(&at->mutex);
    mf_result_destroy(result);
}

static mf_status fan_out(mf_parent *math, tally *at, mf_error *error)
{
    mf_future *futures[CALLS] = {NULL};
    mf_status status = MF_OK;
    int called = 0;
    for (int i = 0; i < CALLS && status == MF_OK; i++) {
        status = mf_call_async(math, "add", MF_ARGS(i, 100), NULL, on_end, at, error);
        called += status == MF_OK;
        if (status == MF_OK) {
            status = mf_call_future(math, "add", MF_ARGS(i, 200), NULL, &futures[i], error);
        }
    }
    for (int i = 0; i < CALLS; i++) {
        mf_result *result = NULL;
        if (futures[i] != NULL && mf_future_wait(futures[i], 5000, &result, error) == MF_OK) {
            pthread_mutex_lock(&at->mutex);
            at->sum += mf_result_int(result);
            pthread_mutex_unlock(&at->mutex);
        }
        mf_result_destroy(result);
        mf_future_destroy(futures[i]);
    }
    pthread_mutex_lock(&at->mutex);
    while (at->ended < called) {
        pthread_cond_wait(&at->changed, &at->mutex);
    }
    pthread_mutex_unlock(&at->mutex);
    return status;
}

int main(int argc, char **argv)
{
    mf_parent *math = NULL;
    mf_error error = MF_ERROR_INIT;
    tally at = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = argc > 1 ? argv[1] : "./hello_worker";
    mf_status status = mf_parent_create(&math, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(math, &error);
    }
    if (status == MF_OK) {
        status = fan_out(math, &at, &error);
    }
    if (status == MF_OK) {
        printf("%d calls, sum %" PRId64 "\n", 2 * CALLS, at.sum);
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_parent_destroy(math);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
