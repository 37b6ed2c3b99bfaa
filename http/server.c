/* The endpoint over libmicrohttpd: a listening socket, two threads and limits. A sweep closes every
 * connection that is too old, because a client that sends a byte now and then never goes idle. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include <multifrost/http.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/str.h"
#include "http/pages.h"
#include "metrics/metric_set.h"

#define THREADS 2                             /* of libmicrohttpd; a slow scrape blocks one */
#define CONNECTION_MEMORY ((size_t)16 * 1024) /* bytes; bounds a request's headers */
#define EXCLUDES_MAX 16                       /* checks that one query excludes */
#define PATH_MAX_BYTES 512                    /* longer paths are refused */

/* An open connection, for the sweep. */
typedef struct visitor {
    mfi_list_node node; /* in http->visitors */
    uint64_t since_ns;
    int fd;
} visitor;

struct mf_http {
    const mf_probe *probe;
    mfi_health health;
    struct MHD_Daemon *daemon;
    uint16_t port;
    int listen_fd;
    int64_t age_ms;
    mf_family *requests, *scrape_duration, *scrape_size;
    mfi_mutex mutex; /* guards visitors and stopping */
    mfi_cond wake;
    mfi_list visitors;
    bool stopping;
    bool sweeping;
    pthread_t sweeper;
};

typedef struct route {
    const char *path;
    bool takes_rest; /* "/readyz/<check>" */
    void (*page)(const mfi_page_request *request, mfi_page *page);
} route;

static const route routes[] = {
    {"/", false, mfi_page_index},           {"/metrics", false, mfi_page_metrics},
    {"/livez", true, mfi_page_livez},       {"/readyz", true, mfi_page_readyz},
    {"/startupz", true, mfi_page_startupz}, {"/healthz", false, mfi_page_healthz},
    {"/health", true, mfi_page_health},     {"/circuits", true, mfi_page_circuits},
};

/* The route of a path, and the path behind its name; NULL if no route fits. */
static const route *find_route(const char *path, const char **ret_rest)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t length = strlen(routes[i].path);
        *ret_rest = "";
        if (strcmp(path, routes[i].path) == 0) {
            return &routes[i];
        }
        if (routes[i].takes_rest && strncmp(path, routes[i].path, length) == 0 &&
            path[length] == '/' && path[length + 1] != '\0') {
            *ret_rest = path + length + 1;
            return &routes[i];
        }
    }
    return NULL;
}

/* ---- Answering ---- */

static enum MHD_Result send_page(struct MHD_Connection *connection, mfi_page *page)
{
    char number[24];
    if (page->body == NULL) {
        page->body = strdup("{\"error\":{\"code\":500,\"status\":\"internal\","
                            "\"message\":\"no memory\"}}\n");
        page->size = page->body != NULL ? strlen(page->body) : 0;
        page->code = 500;
        (void)mfi_str_copy(page->type, sizeof page->type, "application/json");
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->size, page->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(page->body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", page->type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'");
    if (page->vary != NULL) {
        (void)MHD_add_response_header(response, "Vary", page->vary);
    }
    if (page->code == 405) {
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    if (page->age_ms >= 0) {
        (void)mfi_str_format(number, sizeof number, "%lld", (long long)page->age_ms);
        (void)MHD_add_response_header(response, "X-Health-Age-Ms", number);
    }
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)page->code, response);
    MHD_destroy_response(response);
    return result;
}

typedef struct query_arguments {
    bool verbose;
    const char *excluded[EXCLUDES_MAX + 1];
    size_t count;
} query_arguments;

static enum MHD_Result take_argument(void *user_data, enum MHD_ValueKind kind, const char *key,
                                     const char *value)
{
    query_arguments *at = user_data;
    (void)kind;
    if (strcmp(key, "verbose") == 0) {
        at->verbose = true;
    } else if (strcmp(key, "exclude") == 0 && value != NULL && at->count < EXCLUDES_MAX) {
        at->excluded[at->count++] = value;
    }
    return MHD_YES;
}

static void count_request(mf_http *http, const route *found, const mfi_page *page,
                          uint64_t duration_ns)
{
    char code[8];
    (void)mfi_str_format(code, sizeof code, "%d", page->code);
    const char *labels[] = {found != NULL ? found->path : MF_METRIC_OTHER, code};
    mf_counter_add(mf_family_counter(http->requests, labels), 1);
    bool is_answer = page->code == 200 && page->body != NULL;
    if (is_answer && found != NULL && found->page == mfi_page_metrics) {
        const char *format = strncmp(page->type, "text/", 5) == 0 ? "text" : "om";
        mf_histogram_record_ns(mf_family_histogram(http->scrape_duration, &format), duration_ns);
        mf_gauge_set(mf_family_gauge(http->scrape_size, &format), (double)page->size);
    }
}

static enum MHD_Result on_request(void *user_data, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **state)
{
    static int begun; /* its address marks a request whose headers were read */
    mf_http *http = user_data;
    (void)version;
    (void)upload;
    if (*state == NULL) {
        *state = &begun;
        return MHD_YES;
    }
    *upload_size = 0; /* a request body is read and dropped */
    uint64_t start = mfi_monotonic_ns();
    query_arguments query = {.count = 0};
    mfi_page page = {.code = 200, .age_ms = -1};
    const char *rest = "";
    const route *found = strlen(path) <= PATH_MAX_BYTES ? find_route(path, &rest) : NULL;
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_argument, &query);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        mfi_page_error(&page, 405, "method '%.16s' is not allowed: use GET or HEAD", method);
    } else if (found == NULL) {
        mfi_page_error(&page, 404, "no route '%.100s': / lists them", path);
    } else {
        mfi_page_request request = {
            .probe = http->probe,
            .health = &http->health,
            .accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept"),
            .rest = rest,
            .verbose = query.verbose,
            .excluded = query.excluded};
        found->page(&request, &page);
    }
    count_request(http, found, &page, mfi_monotonic_ns() - start);
    return send_page(connection, &page);
}

/* ---- Connections and the sweep ---- */

static void on_connection(void *user_data, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    mf_http *http = user_data;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        visitor *added = info != NULL ? calloc(1, sizeof *added) : NULL;
        *state = added;
        if (added == NULL) {
            return; /* libmicrohttpd's own idle timeout still bounds it */
        }
        added->since_ns = mfi_monotonic_ns();
        added->fd = info->connect_fd;
        mfi_mutex_lock(&http->mutex);
        mfi_list_push_back(&http->visitors, &added->node);
        mfi_mutex_unlock(&http->mutex);
        return;
    }
    visitor *gone = *state;
    if (gone == NULL) {
        return;
    }
    mfi_mutex_lock(&http->mutex); /* afterwards the sweep does not touch the descriptor */
    mfi_list_remove(&http->visitors, &gone->node);
    mfi_mutex_unlock(&http->mutex);
    free(gone);
}

static void *sweep(void *argument)
{
    mf_http *http = argument;
    int64_t period_ms = http->age_ms / 10 > 0 ? http->age_ms / 10 : 1;
    uint64_t age_ns = (uint64_t)http->age_ms * MFI_NS_PER_MS;
    mfi_mutex_lock(&http->mutex);
    while (!http->stopping) {
        uint64_t now = mfi_monotonic_ns();
        for (mfi_list_node *node = http->visitors.first; node != NULL; node = node->next) {
            const visitor *at = MFI_CONTAINER(node, visitor, node);
            if (now - at->since_ns >= age_ns) {
                (void)shutdown(at->fd, SHUT_RDWR); /* libmicrohttpd's thread then closes it */
            }
        }
        (void)mfi_cond_wait_until(&http->wake, &http->mutex, mfi_deadline_after_ms(now, period_ms));
    }
    mfi_mutex_unlock(&http->mutex);
    return NULL;
}

/* ---- The listening socket ---- */

typedef union ip_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} ip_address;

static mf_status read_address(const char *text, uint16_t port, ip_address *ret_address,
                              socklen_t *ret_size, mf_error *error)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = htons(port);
        *ret_size = sizeof ret_address->v4;
        return MF_OK;
    }
    if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(port);
        *ret_size = sizeof ret_address->v6;
        return MF_OK;
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "bind_address '%.80s' is no IP address", text);
}

static mf_status open_socket(mf_http *http, const mf_http_options *options, mf_error *error)
{
    const char *text = options->bind_address != NULL ? options->bind_address : "127.0.0.1";
    ip_address address;
    socklen_t size = 0;
    int on = 1;
    mf_status status = read_address(text, options->port, &address, &size, error);
    if (status != MF_OK) {
        return status;
    }
    http->listen_fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (http->listen_fd < 0 ||
        setsockopt(http->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(http->listen_fd, &address.any, size) != 0 || listen(http->listen_fd, 64) != 0 ||
        getsockname(http->listen_fd, &address.any, &size) != 0) {
        int reason = errno;
        mf_status code = reason == EADDRINUSE                          ? MF_ERR_ADDRESS_IN_USE
                         : reason == EADDRNOTAVAIL || reason == EACCES ? MF_ERR_INVALID_ARGUMENT
                                                                       : MF_ERR_SYSTEM;
        return mfi_fail_errno(error, code, reason, "cannot serve HTTP on %s port %u", text,
                              (unsigned)options->port);
    }
    http->port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return MF_OK;
}

/* ---- Life ---- */

static mf_status add_family(mf_http *http, mf_metric_type type, const char *name, const char *unit,
                            const char *help, const char *const *labels, size_t label_count,
                            mf_family **ret_family, mf_error *error)
{
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = type,
                                 .name = name,
                                 .unit = unit,
                                 .help = help,
                                 .label_names = labels,
                                 .label_count = label_count,
                                 .max_series = 128};
    return mfi_metric_set_add(http->probe->metrics, &options, ret_family, error);
}

static mf_status add_families(mf_http *http, mf_error *error)
{
    static const char *const request_labels[] = {"route", "code"};
    static const char *const format_label[] = {"format"};
    mf_status status =
        add_family(http, MF_METRIC_COUNTER, "multifrost_http_requests_total", NULL,
                   "Embedded endpoint requests", request_labels, 2, &http->requests, error);
    if (status == MF_OK) {
        status =
            add_family(http, MF_METRIC_HISTOGRAM, "multifrost_scrape_duration_seconds", "seconds",
                       "Time to build /metrics", format_label, 1, &http->scrape_duration, error);
    }
    if (status == MF_OK) {
        status = add_family(http, MF_METRIC_GAUGE, "multifrost_scrape_size_bytes", "bytes",
                            "Size of the last /metrics body", format_label, 1, &http->scrape_size,
                            error);
    }
    return status;
}

static void swallow(void *user_data, const char *format, va_list args)
{
    (void)user_data;
    (void)format;
    (void)args; /* the library never prints */
}

static mf_status start_daemon(mf_http *http, const mf_http_options *options, mf_error *error)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the daemon's threads inherit the mask */
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, swallow, NULL, MHD_OPTION_LISTEN_SOCKET, http->listen_fd,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(options->max_connections != 0 ? options->max_connections : 64),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(http->age_ms / 1000 + 1),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http->daemon == NULL) {
        return mfi_fail(error, MF_ERR_SYSTEM, "cannot start the HTTP server on port %u",
                        (unsigned)http->port);
    }
    http->listen_fd = -1; /* from now on libmicrohttpd owns the descriptor */
    int started = mfi_thread_start(&http->sweeper, "mf-http-sweep", sweep, http);
    http->sweeping = started == 0;
    return started == 0
               ? MF_OK
               : mfi_fail_errno(error, MF_ERR_SYSTEM, started, "cannot start the HTTP sweep");
}

static mf_status check_options(const mf_http_options *options, mf_error *error)
{
    if (options->max_connections > 1024 || options->connection_age_ms < 0 ||
        options->health_interval_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "max_connections (1 to 1024), connection_age_ms or health_interval_ms is "
                        "out of range");
    }
    return MF_OK;
}

mf_status mf_http_create(mf_http **ret_http, const mf_probe *probe, const mf_http_options *options,
                         mf_error *error)
{
    static const mf_http_options defaults = MF_HTTP_OPTIONS_INIT;
    mf_http_options from;
    if (ret_http == NULL || probe == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_http and probe must not be NULL");
    }
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options != NULL ? options : &defaults,
                         "mf_http_options", error);
    if (status == MF_OK) {
        status = check_options(&from, error);
    }
    if (status != MF_OK) {
        return status;
    }
    mf_http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an HTTP endpoint");
    }
    http->probe = probe;
    http->listen_fd = -1;
    http->age_ms = from.connection_age_ms != 0 ? from.connection_age_ms : 10000;
    mfi_mutex_init(&http->mutex);
    mfi_cond_init(&http->wake);
    status = open_socket(http, &from, error);
    if (status == MF_OK) {
        status = add_families(http, error);
    }
    if (status == MF_OK) {
        status = mfi_evaluation_start(&http->health, probe,
                                      from.health_interval_ms != 0 ? from.health_interval_ms : 1000,
                                      error);
    }
    if (status == MF_OK) {
        status = start_daemon(http, &from, error);
    }
    if (status != MF_OK) {
        mf_http_destroy(http);
        return status;
    }
    *ret_http = http;
    return MF_OK;
}

void mf_http_destroy(mf_http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon);
    }
    if (http->sweeping) {
        mfi_mutex_lock(&http->mutex);
        http->stopping = true;
        mfi_cond_signal(&http->wake);
        mfi_mutex_unlock(&http->mutex);
        (void)pthread_join(http->sweeper, NULL);
    }
    if (http->health.probe != NULL) {
        mfi_evaluation_stop(&http->health);
    }
    if (http->listen_fd >= 0) {
        (void)close(http->listen_fd);
    }
    mfi_cond_fini(&http->wake);
    mfi_mutex_fini(&http->mutex);
    free(http);
}

uint16_t mf_http_port(const mf_http *http)
{
    return http != NULL ? http->port : 0;
}
