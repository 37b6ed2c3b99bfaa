/* Measures the CPU of a scrape of /metrics, in a process of its own, against plain libmicrohttpd
 * with a static body of the same size; and how much a scrape slows down the threads that record. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>
#include <multifrost/http.h>
#include <multifrost/multifrost.h>

#include "bench/harness.h"

/* Series of each kind. */
#define HISTOGRAMS 300
#define GAUGES 500
#define COUNTERS 1200        /* with histograms and gauges 2,000 series */
#define SCRAPES 100          /* in a round */
#define WINDOW_NS 250000000u /* of recording, with or without scrapes */
#define WINDOWS 4            /* of each kind in a round; the least disturbed one counts */
#define SCRAPE_EVERY_US 100000

/* ---- A runtime with many series ---- */

typedef struct site {
    mf_runtime *runtime;
    mf_http *http;
    mf_histogram *histogram;
    mf_counter *counter;
} site;

static mf_family *add_family(mf_metrics *metrics, mf_metric_type type, const char *name)
{
    static const char *const labels[] = {"target", "function"};
    mf_family *family = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.help = "What a program measures";
    options.label_names = labels;
    options.label_count = 2;
    options.max_series = COUNTERS;
    if (mf_metrics_add(metrics, &options, &family, &error) != MF_OK) {
        bench_die("%s", error.message);
    }
    return family;
}

static void fill(site *to)
{
    mf_metrics *metrics = mf_runtime_metrics(to->runtime);
    mf_family *histograms = add_family(metrics, MF_METRIC_HISTOGRAM, "bench_call_seconds");
    mf_family *gauges = add_family(metrics, MF_METRIC_GAUGE, "bench_queue_depth");
    mf_family *counters = add_family(metrics, MF_METRIC_COUNTER, "bench_calls_total");
    for (unsigned i = 0; i < COUNTERS; i++) {
        char target[32];
        char function[32];
        const char *values[] = {target, function};
        (void)snprintf(target, sizeof target, "target-%u", i % 20);
        (void)snprintf(function, sizeof function, "function_%u", i / 20);
        to->counter = mf_family_counter(counters, values);
        mf_counter_add(to->counter, i * 12345);
        if (i < GAUGES) {
            mf_gauge_set(mf_family_gauge(gauges, values), i * 0.25);
        }
        if (i < HISTOGRAMS) {
            to->histogram = mf_family_histogram(histograms, values);
            for (unsigned j = 0; j < 1000; j++) { /* values over five octaves */
                mf_histogram_record_ns(to->histogram, 50000 + j * 1500);
            }
        }
    }
}

static site open_site(void)
{
    site made = {NULL, NULL, NULL, NULL};
    mf_error error = MF_ERROR_INIT;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    options.port = MF_HTTP_PORT_ANY;
    if (mf_runtime_create(&made.runtime, NULL, &error) != MF_OK) {
        bench_die("%s", error.message);
    }
    fill(&made);
    if (mf_http_create(&made.http, mf_runtime_probe(made.runtime), &options, &error) != MF_OK) {
        bench_die("%s", error.message);
    }
    return made;
}

static void close_site(site *at)
{
    mf_http_destroy(at->http);
    mf_runtime_destroy(at->runtime);
}

/* ---- Servers, in processes of their own ---- */

static void serve_metrics(void)
{
    site own = open_site();
    (void)printf("%u\n", mf_http_port(own.http));
    (void)fflush(stdout);
    (void)pause();
    close_site(&own);
}

static enum MHD_Result answer(void *user_data, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    (void)url, (void)method, (void)version, (void)data, (void)size, (void)state;
    return MHD_queue_response(connection, MHD_HTTP_OK, user_data);
}

static void serve_static(size_t size)
{
    char *body = malloc(size);
    if (body == NULL) {
        bench_die("no memory");
    }
    memset(body, 'x', size);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, answer,
                         response, MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (info == NULL) {
        bench_die("libmicrohttpd does not start");
    }
    (void)printf("%u\n", info->port);
    (void)fflush(stdout);
    (void)pause();
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
}

/* ---- The client ---- */

/* Returns the bytes of the whole answer. */
static size_t scrape(uint16_t port)
{
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static char bytes[256 * 1024];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = 0;
    ssize_t got = 0;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 ||
        send(fd, request, sizeof request - 1, 0) != (ssize_t)(sizeof request - 1)) {
        bench_die("cannot scrape port %u", port);
    }
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        size += (size_t)got;
    }
    (void)close(fd);
    return size;
}

typedef struct server {
    bench_process process;
    clockid_t cpu;
    uint16_t port;
} server;

static server start_server(const char *kind, size_t size)
{
    server started;
    char path[4096];
    char digits[24];
    char line[32];
    (void)snprintf(digits, sizeof digits, "%zu", size);
    const char *const arguments[] = {bench_sibling("bench_scrape", path, sizeof path), kind, digits,
                                     NULL};
    if (!bench_process_start(&started.process, arguments, line, sizeof line) ||
        clock_getcpuclockid(started.process.pid, &started.cpu) != 0) {
        bench_die("%s does not start", arguments[0]);
    }
    started.port = (uint16_t)strtoul(line, NULL, 10);
    return started;
}

static double cpu_us(const server *of)
{
    struct timespec used;
    (void)clock_gettime(of->cpu, &used);
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static double scrape_us(const server *from, unsigned scrapes)
{
    double begin = cpu_us(from);
    for (unsigned i = 0; i < scrapes; i++) {
        (void)scrape(from->port);
    }
    return (cpu_us(from) - begin) / scrapes;
}

static void compare_cpu(const bench_options *options)
{
    bench_series own = {.count = 0};
    bench_series fixed = {.count = 0};
    server metrics = start_server("metrics", 0);
    size_t size = scrape(metrics.port);
    server body = start_server("static", size);
    for (unsigned round = 0; round < options->rounds; round++) {
        bench_add(&own, scrape_us(&metrics, bench_scaled(options, SCRAPES)));
        bench_add(&fixed, scrape_us(&body, bench_scaled(options, SCRAPES)));
    }
    bench_process_end(&metrics.process);
    bench_process_end(&body.process);
    bench_figure figure = {.bench = "scrape",
                           .name = "CPU of a scrape, 2,000 series",
                           .unit = "us",
                           .values = &own,
                           .goal = BENCH_AT_MOST,
                           .target = 2000};
    bench_report(&figure);
    figure.against = "static body of that size, libmicrohttpd";
    figure.peers = &fixed;
    figure.target = 0;
    bench_report(&figure);
}

/* ---- Writers ---- */

typedef struct writer {
    const site *site;
    _Atomic(bool) stop;
    double ns; /* CPU time of one record and one count */
} writer;

static uint64_t thread_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void *write_records(void *argument)
{
    writer *at = argument;
    uint64_t count = 0;
    uint64_t begin = thread_ns();
    while (!atomic_load_explicit(&at->stop, memory_order_relaxed)) {
        for (unsigned i = 0; i < 1000; i++, count++) {
            mf_histogram_record_ns(at->site->histogram, 50000 + i * 1500);
            mf_counter_add(at->site->counter, 1);
        }
    }
    at->ns = (double)(thread_ns() - begin) / (double)count;
    return NULL;
}

static double write_for(const site *at, uint64_t window_ns, bool scraped)
{
    pthread_t thread;
    writer one = {.site = at, .stop = false};
    uint64_t end = bench_now_ns() + window_ns;
    if (pthread_create(&thread, NULL, write_records, &one) != 0) {
        bench_die("cannot start a thread");
    }
    while (bench_now_ns() < end) {
        if (scraped) {
            (void)scrape(mf_http_port(at->http));
        }
        (void)usleep(SCRAPE_EVERY_US);
    }
    atomic_store_explicit(&one.stop, true, memory_order_relaxed);
    (void)pthread_join(thread, NULL);
    return one.ns;
}

static void compare_writers(const bench_options *options)
{
    bench_series scraped = {.count = 0};
    bench_series alone = {.count = 0};
    site own = open_site();
    unsigned windows = options->smoke ? 1 : WINDOWS;
    for (unsigned round = 0; round < options->rounds; round++) {
        double least[2] = {0, 0};
        for (unsigned i = 0; i < 2 * windows; i++) {
            double ns = write_for(&own, WINDOW_NS, i % 2 == 1);
            least[i % 2] = i < 2 || ns < least[i % 2] ? ns : least[i % 2];
        }
        bench_add(&alone, least[0]);
        bench_add(&scraped, least[1]);
    }
    close_site(&own);
    bench_report(&(bench_figure){.bench = "scrape",
                                 .name = "record and count, scraped each 100 ms",
                                 .unit = "ns",
                                 .values = &scraped,
                                 .against = "the same, not scraped",
                                 .peers = &alone,
                                 .goal = BENCH_AT_MOST,
                                 .target = 1.01});
}

int main(int argc, char **argv)
{
    int first = 0;
    bench_options options = bench_options_read(argc, argv, &first);
    if (first + 1 < argc && strcmp(argv[first], "metrics") == 0) {
        serve_metrics();
    } else if (first + 1 < argc && strcmp(argv[first], "static") == 0) {
        serve_static(strtoul(argv[first + 1], NULL, 10));
    } else {
        compare_cpu(&options);
        compare_writers(&options);
    }
    return EXIT_SUCCESS;
}
