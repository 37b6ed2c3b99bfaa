/* Metrics, logging, health checks and the endpoint serve a program that makes no calls. This one is
 * linked with the objects of base, metrics, logging and http, and with none of core. */
#include <arpa/inet.h>
#include <locale.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <multifrost/http.h>
#include <multifrost/log.h>

#include "metrics/health_checks.h"
#include "metrics/process_metrics.h"
#include "mf_locale.h"
#include "mf_test.h"

/* What a program has: its metrics, its checks, and the probe that shows them. */
typedef struct program {
    mf_metrics *metrics;
    mf_logger *logger;
    mfi_health_checks *checks;
    mf_probe probe;
    mf_http *http;
    _Atomic(unsigned) runs; /* of its check */
    char line[1024];        /* that was logged last */
} program;

static void check_cache(mf_health_result *result, void *user_data)
{
    program *all = user_data;
    atomic_fetch_add(&all->runs, 1);
    result->status = MF_HEALTH_FAIL;
    result->has_number = true;
    result->observed_number = 0.25;
    (void)snprintf(result->output, sizeof result->output, "the cache is cold");
}

static void visit_health(void *self, mf_health_visit_fn visit, void *user_data)
{
    const program *all = self;
    mfi_health_checks_visit(all->checks, visit, user_data);
}

static void visit_circuits(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    (void)self;
    (void)visit;
    (void)user_data;
}

static void on_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    program *all = user_data;
    (void)level;
    (void)snprintf(all->line, sizeof all->line, "%.*s", (int)length, line);
}

static bool program_start(program *all)
{
    static const char *const labels[] = {"kind"};
    const char *const values[] = {"a \"b\""};
    mf_family *family = NULL;
    mf_metric_options jobs = MF_METRIC_OPTIONS_INIT;
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    jobs.type = MF_METRIC_COUNTER;
    jobs.name = "jobs_total";
    jobs.help = "Jobs that were done";
    jobs.label_names = labels;
    jobs.label_count = 1;
    check.component = "cache";
    check.measurement = "hitRatio";
    check.gates = MF_GATE_READY;
    check.check = check_cache;
    check.user_data = all;
    options.port = MF_HTTP_PORT_ANY;
    all->checks = mfi_health_checks_create();
    if (!mf_check(all->checks != NULL) ||
        !mf_check(mf_metrics_create(&all->metrics, NULL, NULL) == MF_OK) ||
        !mf_check(mf_logger_create(&all->logger, NULL, NULL) == MF_OK) ||
        !mf_check(mf_log_add_callback(all->logger, on_line, all, MF_LOG_JSON, NULL) == MF_OK) ||
        !mf_check(mfi_metrics_add_process(all->metrics, NULL) == MF_OK) ||
        !mf_check(mf_metrics_add(all->metrics, &jobs, &family, NULL) == MF_OK) ||
        !mf_check(mfi_health_checks_add(all->checks, &check, NULL) == MF_OK)) {
        return false;
    }
    mf_counter_add(mf_family_counter(family, values), 3);
    all->probe = (mf_probe){.struct_size = sizeof all->probe,
                            .self = all,
                            .metrics = all->metrics,
                            .info = {.service = "alone", .version = "1", .instance = "one"},
                            .visit_health = visit_health,
                            .visit_circuits = visit_circuits};
    return mf_check(mf_http_create(&all->http, &all->probe, &options, NULL) == MF_OK);
}

static void program_end(program *all)
{
    mf_http_destroy(all->http);
    mf_logger_destroy(all->logger);
    mf_metrics_destroy(all->metrics);
    mfi_health_checks_destroy(all->checks);
}

/* The whole answer, head and body. */
static const char *ask(const program *all, const char *method, const char *path)
{
    static char answer[64 * 1024];
    char request[256];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(mf_http_port(all->http))};
    size_t size = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (mf_check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0) &&
        mf_check(send(fd, request, (size_t)length, MSG_NOSIGNAL) == length)) {
        ssize_t got = 0;
        while ((got = recv(fd, answer + size, sizeof answer - 1 - size, 0)) > 0) {
            size += (size_t)got;
        }
    }
    (void)close(fd);
    answer[size] = '\0';
    return answer;
}

static const char *get(const program *all, const char *path)
{
    return ask(all, "GET", path);
}

static void test_metrics_are_served(void)
{
    program all = {.http = NULL};
    if (program_start(&all)) {
        const char *answer = get(&all, "/metrics");
        mf_check_contains(answer, "HTTP/1.1 200 ");
        mf_check_contains(answer, "\njobs_total{kind=\"a \\\"b\\\"\"} 3\n");
        mf_check_contains(answer, "\nprocess_cpu_seconds_total ");
        mf_check_contains(answer, "\nprocess_open_fds ");
    }
    program_end(&all);
}

/* A request that got no metrics is a request, and no scrape. */
static void test_answered_scrapes_are_counted(void)
{
    static const char *const refused[] = {"POST", "PUT", "DELETE"};
    program all = {.http = NULL};
    if (program_start(&all)) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
            mf_check_contains(ask(&all, refused[i], "/metrics"), "HTTP/1.1 405 ");
        }
        const char *before = get(&all, "/metrics");
        mf_check_contains(before, "_http_requests_total{route=\"/metrics\",code=\"405\"} 3\n");
        mf_check(strstr(before, "multifrost_scrape_duration_seconds_count{") == NULL);
        mf_check(strstr(before, "multifrost_scrape_size_bytes{") == NULL);
        mf_check_contains(ask(&all, "HEAD", "/metrics"), "HTTP/1.1 200 ");
        mf_check_contains(get(&all, "/metrics"),
                          "multifrost_scrape_duration_seconds_count{format=\"text\"} 2\n");
    }
    program_end(&all);
}

static void test_numbers_know_no_locale(void)
{
    char text[8];
    mf_family *ratio = NULL;
    program all = {.http = NULL};
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_GAUGE;
    options.name = "case_ratio";
    options.help = "A ratio";
    if (!mf_locale_enter(LC_ALL)) {
        return; /* said so */
    }
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    mf_check_str(text, "0,5");
    if (program_start(&all)) {
        mf_check_int(mf_metrics_add(all.metrics, &options, &ratio, NULL), MF_OK);
        mf_gauge_set(mf_family_gauge(ratio, NULL), 1234567.891);
        mf_check_contains(get(&all, "/metrics"), "\ncase_ratio 1234567.891\n");
        mf_check_contains(get(&all, "/metrics"), "le=\"3.0517578125e-05\"");
        mf_check_contains(get(&all, "/health"), "\"observedValue\":0.25");
        MF_LOG(all.logger, MF_LOG_INFO, "job.done", "done", MF_FIELD("third", 1.0 / 3));
        mf_check(mf_log_flush(all.logger, MF_TEST_PATIENCE_MS));
        mf_check_contains(all.line, "\"third\":0.3333333333333333");
    }
    program_end(&all);
    mf_locale_leave(LC_ALL);
}

static void test_health_is_served(void)
{
    program all = {.http = NULL};
    if (program_start(&all)) {
        mf_check(atomic_load(&all.runs) >= 1);
        const char *answer = get(&all, "/health");
        mf_check_contains(answer, "application/health+json");
        mf_check_contains(answer, "\"cache:hitRatio\"");
        mf_check_contains(answer, "the cache is cold");
        mf_check_contains(get(&all, "/readyz"), "HTTP/1.1 503 ");
        mf_check_contains(get(&all, "/livez"), "HTTP/1.1 200 ");
    }
    program_end(&all);
}

static void test_events_are_logged(void)
{
    program all = {.http = NULL};
    if (program_start(&all)) {
        mf_context context = {.correlation_id = "job-7"};
        mf_context_set(&context);
        MF_LOG(all.logger, MF_LOG_INFO, "job.done", "done", MF_FIELD("kind", "a"));
        mf_context_set(NULL);
        mf_check(mf_log_flush(all.logger, MF_TEST_PATIENCE_MS));
        mf_check_contains(all.line, "\"job.done\"");
        mf_check_contains(all.line, "\"job-7\"");
    }
    program_end(&all);
}

static const mf_test tests[] = {
    {"without_core__metrics_are_served", test_metrics_are_served},
    {"without_core__answered_scrapes_are_counted", test_answered_scrapes_are_counted},
    {"without_core__numbers_know_no_locale", test_numbers_know_no_locale},
    {"without_core__health_is_served", test_health_is_served},
    {"without_core__events_are_logged", test_events_are_logged},
};
MF_TEST_MAIN(tests)
