/* Measures the cost of one more parent: the time from spawn to the first answer, private memory,
 * and whether each of hundreds of parents in a process costs as much as each of a few.
 *
 *     bench_scale [--smoke] [--rounds N]
 *     bench_scale MODE COUNT WINDOW_MS     one measurement, in a process of its own: one line
 *
 * Freed memory stays in a process, so each size is measured in a process of its own. */
#include <errno.h>
#include <ftw.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/multifrost.h>
#include <zmq.h>

#include "bench/harness.h"

#define FEW 100
#define MANY 500
#define STARTS 11         /* in each round, of each side */
#define HEARTBEAT_MS 1000 /* short, so that idle parents show what heartbeats cost */
#define WINDOW_MS 5000    /* over which CPU time is counted */
#define FILES_EACH 16     /* descriptors of one parent, rounded up */
#define PATH_SIZE 4096    /* bytes; PATH_MAX of Linux */

extern char **environ;

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        bench_die("%s", mf_error_text(error));
    }
}

/* ---- Readings from the kernel ---- */

/* The sum of the lines "<name>:  <number> kB" with one of two names; 0 without the file. */
static double read_kib(const char *path, const char *first, const char *second)
{
    char line[256];
    double sum = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (colon != NULL) {
            *colon = '\0';
            if (strcmp(line, first) == 0 || strcmp(line, second) == 0) {
                sum += strtod(colon + 1, NULL);
            }
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sum;
}

static double private_kib(int64_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%lld/smaps_rollup", (long long)pid);
    return read_kib(path, "Private_Dirty", "Private_Clean");
}

static int64_t status_number(int64_t pid, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    return (int64_t)read_kib(path, name, "");
}

static void raise_file_limit(unsigned parents)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < (rlim_t)parents * FILES_EACH) {
        bench_die("%u parents need about %u descriptors, and %llu are allowed", parents,
                  parents * FILES_EACH, (unsigned long long)files.rlim_cur);
    }
}

/* ---- Parents ---- */

static char worker_path[PATH_SIZE];

/* Each parent has a name of its own, and so series of its own. */
static mf_parent *make_parent(mf_runtime *runtime, const char *name, bool connects)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.target = name;
    options.program = connects ? NULL : worker_path;
    options.service_id = connects ? name : NULL;
    options.heartbeat_interval_ms = HEARTBEAT_MS;
    options.start_timeout_ms = 60000;
    check(mf_parent_create(&parent, &options, &error), &error);
    return parent;
}

static void call_once(mf_parent *parent)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    check(mf_call(parent, "add", MF_ARGS(1, 2), &result, &error), &error);
    int64_t sum = mf_result_int(result);
    mf_result_destroy(result);
    if (sum != 3) {
        bench_die("1 + 2 was %lld", (long long)sum);
    }
}

/* ---- Services ---- */

typedef struct services {
    pid_t *pids;
    unsigned count;
    char home[64];
} services;

static services running; /* ended at exit, also at an early one */

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

static void end_services(void)
{
    for (unsigned i = 0; i < running.count; i++) {
        (void)kill(running.pids[i], SIGKILL);
    }
    for (unsigned i = 0; i < running.count; i++) {
        (void)waitpid(running.pids[i], NULL, 0);
    }
    if (running.home[0] != '\0') {
        (void)nftw(running.home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    free(running.pids);
    running = (services){0};
}

static void name_service(char *to, size_t size, unsigned index)
{
    (void)snprintf(to, size, "scale-%u", index);
}

/* Forks, so it runs before threads start. No service outlives this process. */
static void start_services(unsigned count)
{
    mf_registry *registry = NULL;
    mf_error error = MF_ERROR_INIT;
    (void)atexit(end_services);
    (void)snprintf(running.home, sizeof running.home, "/tmp/bench-scale-XXXXXX");
    running.pids = calloc(count, sizeof *running.pids);
    if (running.pids == NULL || mkdtemp(running.home) == NULL ||
        setenv("HOME", running.home, 1) != 0) {
        bench_die("cannot make a home: %s", strerror(errno));
    }
    check(mf_registry_create(&registry, NULL, &error), &error);
    while (running.count < count) {
        char name[32];
        name_service(name, sizeof name, running.count);
        pid_t pid = fork();
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)execl(worker_path, worker_path, name, (char *)NULL);
            _exit(EXIT_FAILURE);
        }
        if (pid < 0) {
            bench_die("cannot fork: %s", strerror(errno));
        }
        running.pids[running.count++] = pid;
        /* One after the other, because this does not measure the registry's locks. */
        mf_service found = MF_SERVICE_INIT;
        check(mf_registry_discover(registry, name, 10000, &found, &error), &error);
    }
    mf_registry_destroy(registry);
}

/* ---- One measurement of many parents ---- */

typedef struct scale {
    double start_ms, call_us, cpu_us, private_kib; /* each for one parent; CPU in one second */
    double worker_kib, helper_kib;                 /* spawn mode: of one worker */
} scale;

static sem_t started;
static mf_status first_failure;

static void on_started(mf_status status, const mf_error *error, void *user_data)
{
    (void)user_data;
    if (status != MF_OK && first_failure == MF_OK) {
        first_failure = status;
        (void)fprintf(stderr, "%s\n", mf_error_text(error));
    }
    (void)sem_post(&started);
}

static void start_all(mf_parent **parents, unsigned count)
{
    mf_error error = MF_ERROR_INIT;
    for (unsigned i = 0; i < count; i++) {
        check(mf_parent_start_async(parents[i], on_started, NULL, &error), &error);
    }
    for (unsigned i = 0; i < count; i++) {
        while (sem_wait(&started) != 0) {
        }
    }
    if (first_failure != MF_OK) {
        bench_die("not all of %u parents could start", count);
    }
}

static void measure_idle(scale *ret_scale, unsigned count, unsigned window_ms)
{
    struct timespec window = {.tv_sec = window_ms / 1000,
                              .tv_nsec = (long)(window_ms % 1000) * 1000000};
    uint64_t cpu = bench_cpu_now_ns();
    uint64_t start = bench_now_ns();
    (void)nanosleep(&window, NULL); /* the sleep itself is the measurement */
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    ret_scale->cpu_us = (double)(bench_cpu_now_ns() - cpu) / 1e3 / count / seconds;
}

/* A first parent makes all that parents share, so that the measured ones do not pay for it. */
static scale measure(bool connects, unsigned count, unsigned window_ms)
{
    scale result = {0};
    char name[32];
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent **parents = calloc(count + 1, sizeof(mf_parent *));
    raise_file_limit(count);
    if (parents == NULL || sem_init(&started, 0, 0) != 0) {
        bench_die("no memory for %u parents", count);
    }
    if (connects) {
        start_services(count + 1);
    }
    check(mf_runtime_create(&runtime, NULL, &error), &error);
    int64_t pid = getpid();
    for (unsigned i = 0; i <= count; i++) {
        name_service(name, sizeof name, i);
        parents[i] = make_parent(runtime, name, connects);
        if (i == 0) {
            start_all(parents, 1);
            call_once(parents[0]);
            result.private_kib = private_kib(pid);
        }
    }
    int64_t threads = status_number(pid, "Threads");
    uint64_t start = bench_now_ns();
    start_all(parents + 1, count);
    result.start_ms = (double)(bench_now_ns() - start) / 1e6 / count;
    start = bench_now_ns();
    for (unsigned i = 1; i <= count; i++) {
        call_once(parents[i]);
    }
    result.call_us = (double)(bench_now_ns() - start) / 1e3 / count;
    result.private_kib = (private_kib(pid) - result.private_kib) / count;
    measure_idle(&result, count + 1, window_ms);
    if (status_number(pid, "Threads") != threads) {
        bench_die("%u parents have brought more threads", count);
    }
    if (!connects) {
        int64_t worker = mf_parent_pid(parents[count]);
        result.worker_kib = private_kib(worker);
        result.helper_kib = private_kib(status_number(worker, "PPid"));
    }
    for (unsigned i = 0; i <= count; i++) {
        mf_parent_destroy(parents[i]);
    }
    free(parents);
    mf_runtime_destroy(runtime);
    return result;
}

/* ---- The same in a process of its own ---- */

static scale measure_apart(const char *mode, unsigned count, unsigned window_ms)
{
    char own[PATH_SIZE];
    char number[16];
    char window[16];
    char line[256];
    bench_process process;
    scale result = {0};
    (void)snprintf(number, sizeof number, "%u", count);
    (void)snprintf(window, sizeof window, "%u", window_ms);
    const char *const argv[] = {bench_sibling("bench_scale", own, sizeof own), mode, number, window,
                                NULL};
    if (!bench_process_start(&process, argv, line, sizeof line)) {
        bench_die("%s %s: no result", mode, number);
    }
    char *at = line;
    double *fields[] = {&result.start_ms,    &result.call_us,    &result.cpu_us,
                        &result.private_kib, &result.worker_kib, &result.helper_kib};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] = strtod(at, &at);
    }
    (void)waitpid(process.pid, NULL, 0);
    (void)close(process.out);
    return result;
}

static void print_scale(const scale *result)
{
    (void)printf("%g %g %g %g %g %g\n", result->start_ms, result->call_us, result->cpu_us,
                 result->private_kib, result->worker_kib, result->helper_kib);
    (void)fflush(stdout);
}

/* ---- From spawn to the first answer ---- */

static double start_multifrost(mf_runtime *runtime)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = make_parent(runtime, "start", false);
    uint64_t start = bench_now_ns();
    check(mf_parent_start(parent, &error), &error);
    call_once(parent);
    uint64_t end = bench_now_ns();
    mf_parent_destroy(parent);
    return (double)(end - start);
}

static double start_bare(void *context)
{
    char endpoint[64];
    char program[PATH_SIZE];
    size_t size = sizeof endpoint;
    char answer[8];
    pid_t pid = 0;
    uint64_t start = bench_now_ns();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int none = 0;
    if (socket == NULL || zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
        bench_die("cannot bind: %s", zmq_strerror(zmq_errno()));
    }
    char *argv[] = {(char *)(uintptr_t)bench_sibling("bench_zmq_worker", program, sizeof program),
                    strrchr(endpoint, ':') + 1, NULL};
    int failed = posix_spawn(&pid, program, NULL, NULL, argv, environ);
    if (failed != 0) {
        bench_die("cannot start %s: %s", program, strerror(failed));
    }
    if (zmq_send(socket, "add", 3, 0) < 0 || zmq_recv(socket, answer, sizeof answer, 0) != 3) {
        bench_die("a bare worker did not answer: %s", zmq_strerror(zmq_errno()));
    }
    uint64_t end = bench_now_ns();
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    (void)zmq_close(socket);
    return (double)(end - start);
}

static void report_limit(const char *name, const char *unit, const bench_series *values,
                         double target)
{
    bench_report(&(bench_figure){.bench = "scale",
                                 .name = name,
                                 .unit = unit,
                                 .values = values,
                                 .goal = BENCH_AT_MOST,
                                 .target = target});
}

static void bench_start(const bench_options *options)
{
    bench_series ours = {.count = 0};
    bench_series bare = {.count = 0};
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    void *context = zmq_ctx_new();
    check(mf_runtime_create(&runtime, NULL, &error), &error);
    unsigned starts = options->smoke ? 1 : STARTS;
    (void)start_multifrost(runtime);
    (void)start_bare(context);
    for (unsigned round = 0; round < options->rounds; round++) {
        uint64_t samples[2][STARTS];
        for (unsigned i = 0; i < starts; i++) {
            samples[0][i] = (uint64_t)start_multifrost(runtime);
            samples[1][i] = (uint64_t)start_bare(context);
        }
        bench_add(&ours, bench_summarise(samples[0], starts).p50_us / 1e3);
        bench_add(&bare, bench_summarise(samples[1], starts).p50_us / 1e3);
    }
    mf_runtime_destroy(runtime);
    (void)zmq_ctx_term(context);
    report_limit("spawn to first answer", "ms", &ours, 15);
    bench_report(&(bench_figure){.bench = "scale",
                                 .name = "spawn to first answer, with a bare peer",
                                 .unit = "ms",
                                 .values = &ours,
                                 .against = "posix_spawn and a bare libzmq worker",
                                 .peers = &bare});
}

/* ---- Few against many ---- */

typedef struct scale_series {
    bench_series start_ms, call_us, cpu_us, private_kib, worker_kib;
} scale_series;

static void add_scale(scale_series *series, const scale *result)
{
    bench_add(&series->start_ms, result->start_ms);
    bench_add(&series->call_us, result->call_us);
    bench_add(&series->cpu_us, result->cpu_us);
    bench_add(&series->private_kib, result->private_kib);
    bench_add(&series->worker_kib, result->worker_kib + result->helper_kib);
}

#define LINEAR 1.3 /* a cost counts as linear up to this ratio */

static void report_pair(const char *mode, const char *what, const char *unit,
                        const bench_series *few, const bench_series *many, unsigned count,
                        double target)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s, %u parents: %s", mode, count, what);
    bench_report(&(bench_figure){.bench = "scale",
                                 .name = name,
                                 .unit = unit,
                                 .values = many,
                                 .against = "the same for a fifth of the parents",
                                 .peers = few,
                                 .goal = BENCH_AT_MOST,
                                 .target = target});
}

static void bench_mode(const bench_options *options, const char *mode)
{
    char name[96];
    scale_series few = {.start_ms = {.count = 0}};
    scale_series many = {.start_ms = {.count = 0}};
    unsigned most = options->smoke ? MANY / 50 : MANY;
    unsigned window_ms = options->smoke ? 200 : WINDOW_MS;
    for (unsigned round = 0; round < options->rounds; round++) {
        scale result = measure_apart(mode, most * FEW / MANY, window_ms);
        add_scale(&few, &result);
        result = measure_apart(mode, most, window_ms);
        add_scale(&many, &result);
    }
    report_pair(mode, "start of each", "ms", &few.start_ms, &many.start_ms, most, LINEAR);
    /* No goal: each call goes to a process that has slept, and the caches do not hold them all. */
    report_pair(mode, "call to each", "us", &few.call_us, &many.call_us, most, 0);
    report_pair(mode, "CPU of each, idle, in a second", "us", &few.cpu_us, &many.cpu_us, most,
                LINEAR);
    report_pair(mode, "private memory of each", "KiB", &few.private_kib, &many.private_kib, most,
                LINEAR);
    /* Both: from some number of targets on the metrics fold them, so that more parents cost
     * less. */
    (void)snprintf(name, sizeof name, "%s: private memory of one of %u parents", mode,
                   most * FEW / MANY);
    report_limit(name, "KiB", &few.private_kib, 64);
    (void)snprintf(name, sizeof name, "%s: private memory of one of %u parents", mode, most);
    report_limit(name, "KiB", &many.private_kib, 64);
    if (strcmp(mode, "spawn") == 0) {
        report_limit("spawn: private memory of a worker with its helper", "KiB", &many.worker_kib,
                     1536);
    }
}

int main(int argc, char **argv)
{
    int at = 0;
    bench_options options = bench_options_read(argc, argv, &at);
    (void)bench_sibling("bench_worker", worker_path, sizeof worker_path);
    if (argc - at == 3) {
        scale result =
            measure(strcmp(argv[at], "connect") == 0, (unsigned)strtoul(argv[at + 1], NULL, 10),
                    (unsigned)strtoul(argv[at + 2], NULL, 10));
        print_scale(&result);
        return EXIT_SUCCESS;
    }
    bench_start(&options);
    bench_mode(&options, "spawn");
    bench_mode(&options, "connect");
    return EXIT_SUCCESS;
}
