/* The life of endpoints: options that are refused, two on one probe, one after the other, and
 * metrics that they share. What they answer is the matter of tests/http. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <multifrost/http.h>

#include "mf_test.h"

static void visit_health(void *self, mf_health_visit_fn visit, void *user_data)
{
    mf_health_row row = {.struct_size = sizeof row,
                         .component = "cache",
                         .status = MF_HEALTH_FAIL,
                         .gates = MF_GATE_READY};
    (void)self;
    visit(&row, user_data);
}

static void visit_circuits(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    (void)self;
    (void)visit;
    (void)user_data;
}

static void health_changed(void *self, const char *check, mf_health from, mf_health to,
                           const char *output)
{
    (void)check;
    (void)from;
    (void)to;
    (void)output;
    ++*(int *)self; /* by the creating thread: the status stays as it is from the start */
}

static void open_probe(mf_probe *probe, int *changes)
{
    *probe = (mf_probe){.struct_size = sizeof *probe,
                        .self = changes,
                        .info = {.service = "s"},
                        .visit_health = visit_health,
                        .visit_circuits = visit_circuits,
                        .health_changed = health_changed};
    mf_check_int(mf_metrics_create(&probe->metrics, NULL, NULL), MF_OK);
}

static mf_http *serve(const mf_probe *probe, uint16_t port)
{
    mf_http *http = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    options.port = port;
    mf_check_int(mf_http_create(&http, probe, &options, &error), MF_OK);
    return http;
}

static int dial(const mf_http *http)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(mf_http_port(http))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* The answer, as far as it fits, until the endpoint closes. */
static void get(const mf_http *http, const char *path, char *answer, size_t size)
{
    char request[256];
    int fd = dial(http);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
    mf_check_int(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
    size_t used = 0;
    ssize_t got = 0;
    while (used < size - 1 && (got = recv(fd, answer + used, size - 1 - used, 0)) > 0) {
        used += (size_t)got;
    }
    answer[used] = '\0';
    (void)close(fd);
}

static void check_refused(const mf_probe *probe, const mf_http_options *options, mf_status code,
                          const char *message)
{
    mf_http *http = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_http_create(&http, probe, options, &error), code);
    mf_check_contains(error.message, message);
    mf_check(http == NULL);
}

static void test_options_are_checked(void)
{
    static const char *const many[] = {"1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",
                                       "10", "11", "12", "13", "14", "15", "16", "17", NULL};
    mf_probe probe;
    int changes = 0;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    open_probe(&probe, &changes);
    check_refused(NULL, NULL, MF_ERR_INVALID_ARGUMENT, "probe");
    options.port = MF_HTTP_PORT_ANY;
    options.max_connections = 1025;
    check_refused(&probe, &options, MF_ERR_INVALID_ARGUMENT, "max_connections");
    options.max_connections = 1024;
    options.connection_age_ms = -1;
    check_refused(&probe, &options, MF_ERR_INVALID_ARGUMENT, "connection_age_ms");
    options.connection_age_ms = 0;
    options.health_interval_ms = -1;
    check_refused(&probe, &options, MF_ERR_INVALID_ARGUMENT, "health_interval_ms");
    options.health_interval_ms = 0;
    options.bind_address = "nowhere";
    check_refused(&probe, &options, MF_ERR_INVALID_ARGUMENT, "nowhere");
    options.bind_address = NULL;
    options.host_names = many;
    check_refused(&probe, &options, MF_ERR_INVALID_ARGUMENT, "host_names");
    options.host_names = NULL;
    options.warn_code = 503;
    check_refused(&probe, &options, MF_ERR_INVALID_ARGUMENT, "warn_code must be 200 or 429");
    options.warn_code = 429;
    options.host_names = many + 1;
    mf_http *http = NULL;
    mf_check_int(mf_http_create(&http, &probe, &options, NULL), MF_OK);
    mf_http_destroy(http);
    mf_http_destroy(NULL);
    mf_check_int(mf_http_port(NULL), 0);
    mf_metrics_destroy(probe.metrics);
}

static void test_again_and_again(void)
{
    mf_probe probe;
    char answer[4096];
    int changes = 0;
    open_probe(&probe, &changes);
    mf_http *http = serve(&probe, MF_HTTP_PORT_ANY);
    uint16_t port = mf_http_port(http);
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    options.port = port;
    check_refused(&probe, &options, MF_ERR_ADDRESS_IN_USE, "127.0.0.1");
    for (int i = 0; i < 3; i++) {
        get(http, "/livez", answer, sizeof answer);
        mf_check_contains(answer, "HTTP/1.1 200 ");
        int idle = dial(http); /* is open when the endpoint ends */
        mf_http_destroy(http);
        (void)close(idle);
        http = serve(&probe, port);
        mf_check_int(mf_http_port(http), port);
    }
    mf_http_destroy(http);
    mf_metrics_destroy(probe.metrics);
}

/* A change is reported once, and what both count is in one family. */
static void test_two_on_one_probe(void)
{
    static char answer[65536];
    mf_probe probe;
    int changes = 0;
    open_probe(&probe, &changes);
    mf_http *one = serve(&probe, MF_HTTP_PORT_ANY);
    mf_http *two = serve(&probe, MF_HTTP_PORT_ANY);
    mf_check_int(changes, 1);
    get(one, "/readyz", answer, sizeof answer);
    mf_check_contains(answer, "HTTP/1.1 503 ");
    get(two, "/readyz", answer, sizeof answer);
    mf_check_contains(answer, "HTTP/1.1 503 ");
    get(one, "/metrics", answer, sizeof answer);
    get(two, "/metrics", answer, sizeof answer);
    mf_check_contains(answer,
                      "\nmultifrost_http_requests_total{route=\"/readyz\",code=\"503\"} 2\n");
    mf_check_contains(answer,
                      "\nmultifrost_http_requests_total{route=\"/metrics\",code=\"200\"} 1\n");
    mf_check_contains(answer, "\nmultifrost_scrape_duration_seconds_count{format=\"text\"} 1\n");
    mf_http_destroy(one);
    get(two, "/livez", answer, sizeof answer);
    mf_check_contains(answer, "HTTP/1.1 200 ");
    mf_http_destroy(two);
    mf_check_int(changes, 1);
    mf_metrics_destroy(probe.metrics);
}

/* Endpoints that end while clients come, ask and go: nothing is left, and no sanitizer speaks. */
static void test_ends_under_load(void)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    mf_probe probe;
    int changes = 0;
    open_probe(&probe, &changes);
    for (int i = 0; i < 50; i++) {
        int fds[32];
        mf_http *http = serve(&probe, MF_HTTP_PORT_ANY);
        for (int k = 0; k < 32; k++) {
            fds[k] = dial(http);
            if (k % 2 == 0) {
                mf_check_int(send(fds[k], request, sizeof request - 1, MSG_NOSIGNAL),
                             sizeof request - 1);
            }
        }
        mf_http_destroy(http);
        for (int k = 0; k < 32; k++) {
            (void)close(fds[k]);
        }
    }
    mf_metrics_destroy(probe.metrics);
}

/* The largest age is no age at all: a connection that waits stays. */
static void test_largest_age(void)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[4096];
    mf_probe probe;
    int changes = 0;
    mf_http *http = NULL;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    options.port = MF_HTTP_PORT_ANY;
    options.connection_age_ms = INT64_MAX;
    options.health_interval_ms = INT64_MAX;
    open_probe(&probe, &changes);
    mf_check_int(mf_http_create(&http, &probe, &options, NULL), MF_OK);
    int fd = dial(http);
    for (int i = 0; i < 3; i++) {
        mf_check_int(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
        ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
        answer[got > 0 ? got : 0] = '\0';
        mf_check_contains(answer, "HTTP/1.1 200 ");
        get(http, "/livez", answer, sizeof answer); /* the acceptor looks at all connections */
        get(http, "/livez", answer, sizeof answer);
        mf_check_contains(answer, "HTTP/1.1 200 ");
    }
    (void)close(fd);
    mf_http_destroy(http);
    mf_metrics_destroy(probe.metrics);
}

static const mf_test tests[] = {
    {"server__options_are_checked", test_options_are_checked},
    {"server__starts_again_on_its_port", test_again_and_again},
    {"server__two_share_a_probe", test_two_on_one_probe},
    {"server__ends_under_load", test_ends_under_load},
    {"server__largest_age", test_largest_age},
};
MF_TEST_MAIN(tests)
