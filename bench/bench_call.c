/* The round trip of a synchronous call, as a ratio to a bare libzmq DEALER/ROUTER ping-pong of
 * messages of the same size, in the same run, all processes pinned to one core; and the same call
 * with metrics and logs off. Rounds of the three alternate, so that a machine that gets slower or
 * faster meanwhile does not favour one. Prints JSON. */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include <multifrost/multifrost.h>

#define ROUNDS 15
#define CALLS 2000
#define MESSAGE_BYTES 430 /* what an echo of a short text has on the wire */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static double median_us(uint64_t *samples, size_t count)
{
    qsort(samples, count, sizeof *samples, compare);
    return (double)samples[count / 2] / 1e3;
}

static void pin(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
}

/* ---- The peer: bare libzmq ---- */

static void answer_for_ever(const char *endpoint)
{
    char identity[256];
    char payload[4096];
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    (void)zmq_connect(router, endpoint);
    for (;;) {
        int size = zmq_recv(router, identity, sizeof identity, 0);
        (void)zmq_recv(router, payload, sizeof payload, 0);
        int length = zmq_recv(router, payload, sizeof payload, 0);
        (void)zmq_send(router, identity, (size_t)size, ZMQ_SNDMORE);
        (void)zmq_send(router, "", 0, ZMQ_SNDMORE);
        (void)zmq_send(router, payload, (size_t)length, 0);
    }
}

static void ping(void *dealer)
{
    char payload[MESSAGE_BYTES] = {0};
    (void)zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    (void)zmq_send(dealer, payload, sizeof payload, 0);
    (void)zmq_recv(dealer, payload, sizeof payload, 0);
    (void)zmq_recv(dealer, payload, sizeof payload, 0);
}

static double bare_round(void *dealer)
{
    static uint64_t samples[CALLS];
    for (size_t i = 0; i < CALLS; i++) {
        uint64_t before = now_ns();
        ping(dealer);
        samples[i] = now_ns() - before;
    }
    return median_us(samples, CALLS);
}

/* ---- The library ---- */

static double call_round(mf_parent *parent)
{
    static uint64_t samples[CALLS];
    for (size_t i = 0; i < CALLS; i++) {
        mf_result *result = NULL;
        uint64_t before = now_ns();
        mf_status status = mf_call(parent, "echo", MF_ARGS("a short text"), &result, NULL);
        samples[i] = now_ns() - before;
        mf_result_destroy(result);
        if (status != MF_OK) {
            (void)fprintf(stderr, "call failed: %s\n", mf_strerror(status));
            exit(EXIT_FAILURE);
        }
    }
    return median_us(samples, CALLS);
}

static mf_parent *start(const char *program, bool quiet, mf_runtime **ret_runtime)
{
    static const char *const silence[] = {"BENCH_QUIET=1", NULL};
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime_options = MF_RUNTIME_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    runtime_options.no_metrics = quiet;
    runtime_options.log_level = quiet ? MF_LOG_OFF : MF_LOG_INFO;
    runtime_options.log_file = quiet ? NULL : "/dev/null";
    options.program = program;
    options.env = quiet ? silence : NULL;
    if (mf_runtime_create(ret_runtime, &runtime_options, &error) == MF_OK) {
        options.runtime = *ret_runtime;
        if (mf_parent_create(&parent, &options, &error) == MF_OK &&
            mf_parent_start(parent, &error) == MF_OK) {
            return parent;
        }
    }
    (void)fprintf(stderr, "%s\n", mf_error_text(&error));
    exit(EXIT_FAILURE);
}

static int compare_doubles(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return *left < *right ? -1 : *left > *right;
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare_doubles);
    return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    char endpoint[256];
    char program[4096];
    size_t size = sizeof endpoint;
    mf_runtime *runtimes[2] = {NULL, NULL};
    (void)argc;
    (void)snprintf(program, sizeof program, "%.*sbench_worker",
                   (int)(strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 - argv[0] : 0),
                   argv[0]);
    pin();
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    (void)zmq_bind(dealer, "tcp://127.0.0.1:*");
    (void)zmq_getsockopt(dealer, ZMQ_LAST_ENDPOINT, endpoint, &size);
    pid_t pid = fork();
    if (pid == 0) {
        answer_for_ever(endpoint);
    }
    mf_parent *watched = start(program, false, &runtimes[0]);
    mf_parent *silent = start(program, true, &runtimes[1]);
    double bare[ROUNDS];
    double calls[ROUNDS];
    double quiet[ROUNDS];
    for (int i = -1; i < ROUNDS; i++) { /* round -1 warms up */
        int at = i < 0 ? 0 : i;
        bare[at] = bare_round(dealer);
        calls[at] = call_round(watched);
        quiet[at] = call_round(silent);
    }
    double base = median(bare);
    double call = median(calls);
    double without = median(quiet);
    printf(
        "{\"bare_zmq_p50_us\":%.2f,\"call_p50_us\":%.2f,\"call_without_instruments_p50_us\":%.2f,"
        "\"call_to_bare\":%.3f,\"instruments_cost\":%.3f,\"rounds\":%d,\"calls_per_round\":%d,"
        "\"spread_bare_us\":[%.2f,%.2f],\"spread_call_us\":[%.2f,%.2f]}\n",
        base, call, without, call / base, call / without - 1, ROUNDS, CALLS, bare[0],
        bare[ROUNDS - 1], calls[0], calls[ROUNDS - 1]);
    mf_parent_destroy(watched);
    mf_parent_destroy(silent);
    mf_runtime_destroy(runtimes[0]);
    mf_runtime_destroy(runtimes[1]);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    (void)zmq_close(dealer);
    (void)zmq_ctx_term(context);
    return EXIT_SUCCESS;
}
