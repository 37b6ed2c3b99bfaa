/* The demo: a service that calls a C worker and a Python worker, and shows its own measurements. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"

static const char usage[] =
    "usage: demo [--seconds N] [--http-port P] [--log-file F] [--counts-file F]\n"
    "\n"
    "Calls a C worker and a Python worker, and serves metrics, health and circuits.\n"
    "\n"
    "  --seconds N      end after N seconds (default: at Ctrl-C)\n"
    "  --http-port P    serve on this port of 127.0.0.1 (default 9464; 0: a free one)\n"
    "  --log-file F     append the JSON log, the workers' lines included, to F\n"
    "  --counts-file F  on SIGUSR1 stop the load, write the own counts to F, go on serving\n";

/* ---- Arguments ---- */

static bool read_number(const char *text, int64_t most, int64_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > most) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* -1 if the program runs on, else the exit status. */
static int read_arguments(demo_state *demo, int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},  {"http-port", required_argument, NULL, 'p'},
        {"log-file", required_argument, NULL, 'l'}, {"counts-file", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int64_t port = MF_HTTP_PORT_DEFAULT;
    int option = 0;
    bool fits = true;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            fits = fits && read_number(optarg, 1000000, &demo->seconds) && demo->seconds > 0;
            break;
        case 'p':
            fits = fits && read_number(optarg, 65535, &port);
            break;
        case 'l':
            demo->log_file = optarg;
            break;
        case 'c':
            demo->counts_file = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fits = false;
        }
    }
    if (!fits || optind != argc) {
        (void)fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    demo->port = (uint16_t)port;
    return -1;
}

/* ---- Parts ---- */

static const char *directory(void)
{
    const char *given = getenv("MULTIFROST_DEMO_DIR");
    return given != NULL ? given : DEMO_SOURCE_DIR;
}

static mf_status start_parent(demo_state *demo, const char *target, const char *program,
                              const char *script, mf_parent **ret_parent, mf_error *error)
{
    const char *args[4] = {NULL};
    size_t count = 0;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    if (script != NULL) {
        args[count++] = script;
    }
    if (demo->log_file != NULL) {
        args[count++] = "--log-file";
        args[count++] = demo->log_file;
    }
    options.runtime = demo->runtime;
    options.target = target;
    options.program = program;
    options.args = args;
    mf_status status = mf_parent_create(ret_parent, &options, error);
    return status == MF_OK ? mf_parent_start(*ret_parent, error) : status;
}

/* A call of math-c is good within 250 ms. */
static mf_status declare_objective(demo_state *demo, mf_error *error)
{
    mf_slo_options options = MF_SLO_OPTIONS_INIT;
    options.name = "math-c";
    options.target = "math-c";
    options.threshold_ms = 250;
    options.objective = 0.9;
    return mf_slo_declare(demo->runtime, &options, error);
}

static mf_status start_all(demo_state *demo, mf_error *error)
{
    char own[4096];
    char worker[4200];
    char script[4200];
    mf_runtime_options runtime = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    const char *slash = strrchr(own, '/');
    (void)snprintf(worker, sizeof worker, "%.*s/demo_worker",
                   slash != NULL ? (int)(slash - own) : 0, own);
    (void)snprintf(script, sizeof script, "%s/demo_worker.py", directory());
    runtime.service = "demo";
    runtime.service_version = MF_VERSION_STRING;
    runtime.log_file = demo->log_file;
    runtime.fault_injection = true;
    http.port = demo->port;
    mf_status status = mf_runtime_create(&demo->runtime, &runtime, error);
    if (status == MF_OK) {
        status = mf_http_create(&demo->http, mf_runtime_probe(demo->runtime), &http, error);
    }
    if (status == MF_OK) {
        status = declare_objective(demo, error);
    }
    if (status == MF_OK) {
        status = start_parent(demo, "math-c", worker, NULL, &demo->c, error);
    }
    if (status == MF_OK) {
        status = start_parent(demo, "math-py", "/usr/bin/python3", script, &demo->py, error);
    }
    return status;
}

static void stop_all(demo_state *demo)
{
    mf_admin_destroy(demo->admin);
    mf_http_destroy(demo->http);
    mf_parent_destroy(demo->c);
    mf_parent_destroy(demo->py);
    mf_runtime_destroy(demo->runtime);
}

/* ---- Screen ---- */

static void show_line(demo_state *demo, uint64_t rate, bool terminal)
{
    mf_parent_stats c = MF_PARENT_STATS_INIT;
    mf_parent_stats py = MF_PARENT_STATS_INIT;
    uint64_t calls = 0;
    uint64_t errors = 0;
    demo_totals(&calls, &errors);
    if (mf_parent_read_stats(demo->c, &c, NULL) != MF_OK ||
        mf_parent_read_stats(demo->py, &py, NULL) != MF_OK) {
        return;
    }
    printf("%s%" PRIu64 " calls/s  C p50 %.3f p95 %.3f p99 %.3f ms  Python p50 %.3f p99 %.3f ms  "
           "errors %" PRIu64 " of %" PRIu64 "  circuits %s, %s%s",
           terminal ? "\r" : "", rate, (double)c.p50_ns / 1e6, (double)c.p95_ns / 1e6,
           (double)c.p99_ns / 1e6, (double)py.p50_ns / 1e6, (double)py.p99_ns / 1e6, errors, calls,
           mf_parent_circuit_state(demo->c), mf_parent_circuit_state(demo->py),
           terminal ? "\033[K" : "\n");
    (void)fflush(stdout);
}

static void show_urls(const demo_state *demo)
{
    unsigned port = mf_http_port(demo->http);
    printf("index     http://127.0.0.1:%u/\n"
           "metrics   http://127.0.0.1:%u/metrics\n"
           "health    http://127.0.0.1:%u/health\n"
           "circuits  http://127.0.0.1:%u/circuits\n",
           port, port, port, port);
    (void)fflush(stdout);
}

/* The demo runs as well without a folder for the socket. */
static void open_admin(demo_state *demo)
{
    mf_error error = MF_ERROR_INIT;
    if (mf_admin_create(&demo->admin, demo->runtime, NULL, &error) == MF_OK) {
        printf("admin     %s\n", mf_admin_path(demo->admin));
    } else {
        printf("admin     no socket: %s\n", mf_error_text(&error));
    }
    (void)fflush(stdout);
}

static void show_summary(demo_state *demo, double seconds)
{
    uint64_t calls = 0;
    uint64_t errors = 0;
    mf_log_stats log = MF_LOG_STATS_INIT;
    demo_totals(&calls, &errors);
    mf_log_stats_read(mf_runtime_logger(demo->runtime), &log);
    printf("\n%" PRIu64 " calls in %.1f s, %" PRIu64 " of them errors; %" PRIu64
           " log records dropped\n",
           calls, seconds, errors, log.dropped_ring_full + log.dropped_sink_error);
}

/* ---- Running ---- */

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void quiesce(demo_state *demo)
{
    atomic_store(&demo->quiescing, true);
    demo_load_join(demo);
    if (demo->counts_file != NULL && !demo_write_counts(demo->counts_file)) {
        fprintf(stderr, "cannot write '%s'\n", demo->counts_file);
    }
}

/* Waits for signals, which all other threads block. */
static void run(demo_state *demo, const sigset_t *signals)
{
    bool terminal = isatty(STDOUT_FILENO) == 1;
    double begin = now();
    double shown = begin;
    uint64_t before = 0;
    demo_load_start(demo);
    for (;;) {
        struct timespec second = {.tv_sec = 1};
        int number = sigtimedwait(signals, NULL, &second);
        if (number == SIGUSR1 && !atomic_load(&demo->quiescing)) {
            quiesce(demo);
        } else if (number == SIGINT || number == SIGTERM) {
            break;
        }
        double time = now();
        if (time - shown >= (terminal ? 1 : 5)) {
            uint64_t calls = 0;
            uint64_t errors = 0;
            demo_totals(&calls, &errors);
            show_line(demo, (uint64_t)((double)(calls - before) / (time - shown)), terminal);
            before = calls;
            shown = time;
        }
        if (demo->seconds > 0 && time - begin >= (double)demo->seconds) {
            break;
        }
    }
    atomic_store(&demo->stopping, true);
    if (!atomic_load(&demo->quiescing)) {
        demo_load_join(demo);
    }
    show_summary(demo, now() - begin);
}

int main(int argc, char **argv)
{
    static demo_state demo;
    sigset_t signals;
    mf_error error = MF_ERROR_INIT;
    int exit_status = read_arguments(&demo, argc, argv);
    if (exit_status >= 0) {
        return exit_status;
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    mf_status status = start_all(&demo, &error);
    if (status == MF_OK) {
        show_urls(&demo);
        open_admin(&demo);
        run(&demo, &signals);
    } else {
        fprintf(stderr, "%s\n", mf_error_text(&error));
        if (status == MF_ERR_ADDRESS_IN_USE) {
            fprintf(stderr, "--http-port chooses another port\n");
        }
    }
    stop_all(&demo);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
