/* The endpoint: its options, its threads in the order in which they start and end, and its metrics.
 *
 * The acceptor's thread takes connections and ends those that wait too long; libmicrohttpd's reads
 * requests and answers; the collector's makes what takes long; one more evaluates health. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include <multifrost/http.h>

#include "base/clock.h"
#include "base/error.h"
#include "http/exchange.h"
#include "http/listen.h"
#include "metrics/metric_set.h"

#define CONNECTION_MEMORY ((size_t)32 * 1024) /* bytes; bounds a request's headers */
#define HOST_NAMES_MAX 16
#define SPAN_MAX_MS (INT64_MAX / (int64_t)MFI_NS_PER_S) /* longer ones are no limit at all */

struct mf_http {
    mfi_exchanges exchanges;
    struct MHD_Daemon *daemon;
    uint16_t port;
    char *hosts[HOST_NAMES_MAX + 1]; /* owned copies */
};

/* ---- Metrics ---- */

static mf_status add_family(mfi_exchanges *of, mf_metric_type type, const char *name,
                            const char *unit, const char *help, const char *const *labels,
                            size_t label_count, mf_family **ret_family, mf_error *error)
{
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = type,
                                 .name = name,
                                 .unit = unit,
                                 .help = help,
                                 .label_names = labels,
                                 .label_count = label_count,
                                 .max_series = 128};
    return mfi_metric_set_share(of->probe->metrics, &options, ret_family, error);
}

static mf_status add_families(mfi_exchanges *of, mf_error *error)
{
    static const char *const request_labels[] = {"route", "code"};
    static const char *const format_label[] = {"format"};
    mf_status status =
        add_family(of, MF_METRIC_COUNTER, "multifrost_http_requests_total", NULL,
                   "Embedded endpoint requests", request_labels, 2, &of->requests, error);
    if (status == MF_OK) {
        status =
            add_family(of, MF_METRIC_HISTOGRAM, "multifrost_scrape_duration_seconds", "seconds",
                       "Time to build /metrics", format_label, 1, &of->scrape_duration, error);
    }
    if (status == MF_OK) {
        status =
            add_family(of, MF_METRIC_GAUGE, "multifrost_scrape_size_bytes", "bytes",
                       "Size of the last /metrics body", format_label, 1, &of->scrape_size, error);
    }
    if (status == MF_OK) {
        status = add_family(of, MF_METRIC_COUNTER, "multifrost_scrape_partial_total", NULL,
                            "Scrapes that had waited too long for a collection", NULL, 0,
                            &of->scrape_partial, error);
    }
    if (status == MF_OK) {
        mf_counter_add(mf_family_counter(of->scrape_partial, NULL), 0);
    }
    return status;
}

/* ---- Life ---- */

static void swallow(void *user_data, const char *format, va_list args)
{
    (void)user_data;
    (void)format;
    (void)args; /* the library never prints */
}

static bool admit(void *user_data, int fd, const struct sockaddr *address, socklen_t size)
{
    const mf_http *http = user_data;
    return MHD_add_connection(http->daemon, fd, address, size) == MHD_YES;
}

static mf_status start_daemon(mf_http *http, mf_error *error)
{
    sigset_t all;
    sigset_t before;
    mfi_exchanges *of = &http->exchanges;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the daemon's thread inherits the mask */
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, mfi_exchange_go_on, of, MHD_OPTION_EXTERNAL_LOGGER, swallow, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(of->acceptor.cap + 2 * MFI_ACCEPTOR_SPARE),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION,
        mfi_exchange_connection, of, MHD_OPTION_URI_LOG_CALLBACK, mfi_exchange_begin, of,
        MHD_OPTION_NOTIFY_COMPLETED, mfi_exchange_end, of, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return http->daemon != NULL
               ? MF_OK
               : mfi_fail(error, MF_ERR_SYSTEM, "cannot start the HTTP server on port %u",
                          (unsigned)http->port);
}

static mf_status start_acceptor(mf_http *http, int listen_fd, mf_error *error)
{
    mfi_acceptor *acceptor = &http->exchanges.acceptor;
    acceptor->listen_fd = listen_fd;
    acceptor->admit = admit;
    acceptor->user_data = http;
    return mfi_acceptor_start(acceptor, error);
}

static mf_status copy_hosts(mf_http *http, const mf_http_options *options, mf_error *error)
{
    for (size_t i = 0; options->host_names != NULL && options->host_names[i] != NULL; i++) {
        if (i == HOST_NAMES_MAX) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "host_names has more than 16 names");
        }
        http->hosts[i] = strdup(options->host_names[i]);
        if (http->hosts[i] == NULL) {
            return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an HTTP endpoint");
        }
    }
    http->exchanges.hosts = (const char *const *)http->hosts;
    return MF_OK;
}

/* Milliseconds that can be added to a time in nanoseconds. */
static int64_t span_of(int64_t given_ms, int64_t preset_ms)
{
    int64_t span = given_ms != 0 ? given_ms : preset_ms;
    return span < SPAN_MAX_MS ? span : SPAN_MAX_MS;
}

static mf_status start_threads(mf_http *http, const mf_http_options *options, int listen_fd,
                               mf_error *error)
{
    mfi_exchanges *of = &http->exchanges;
    mf_status status = add_families(of, error);
    if (status == MF_OK) {
        status = copy_hosts(http, options, error);
    }
    if (status == MF_OK) {
        status = mfi_evaluation_share(&of->health, of->probe,
                                      span_of(options->health_interval_ms, 1000), error);
    }
    if (status == MF_OK) {
        of->collector.make = mfi_exchange_make;
        status = mfi_collector_start(&of->collector, error);
    }
    if (status == MF_OK) {
        status = start_daemon(http, error);
    }
    return status == MF_OK ? start_acceptor(http, listen_fd, error) : status;
}

static mf_status check_options(const mf_http_options *options, mf_error *error)
{
    if (options->max_connections > 1024 || options->connection_age_ms < 0 ||
        options->health_interval_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "max_connections (1 to 1024), connection_age_ms or health_interval_ms is "
                        "out of range");
    }
    if (options->warn_code != 0 && options->warn_code != 200 && options->warn_code != 429) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "warn_code must be 200 or 429, not %d",
                        (int)options->warn_code);
    }
    return MF_OK;
}

static mf_status serve(mf_http *http, const mf_http_options *options, mf_error *error)
{
    mfi_listener listener;
    mfi_acceptor *acceptor = &http->exchanges.acceptor;
    const char *address = options->bind_address != NULL ? options->bind_address : "127.0.0.1";
    int64_t age_ms = span_of(options->connection_age_ms, 10000);
    mf_status status = mfi_listen(&listener, address, options->port, error);
    if (status != MF_OK) {
        return status;
    }
    http->port = listener.port;
    http->exchanges.is_loopback = listener.is_loopback;
    http->exchanges.warn_code = options->warn_code;
    http->exchanges.probes_only = options->probes_only;
    acceptor->cap = options->max_connections != 0 ? options->max_connections : 64;
    acceptor->patience_ns = (uint64_t)age_ms * MFI_NS_PER_MS;
    status = start_threads(http, options, listener.fd, error);
    if (status != MF_OK) {
        (void)close(listener.fd);
    }
    return status;
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
    http->exchanges.probe = probe;
    status = serve(http, &from, error);
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
    mfi_exchanges *of = &http->exchanges;
    mfi_acceptor_stop(&of->acceptor);
    mfi_collector_stop(&of->collector); /* libmicrohttpd ends only with nothing suspended */
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon);
    }
    mfi_collector_fini(&of->collector);
    mfi_acceptor_fini(&of->acceptor);
    mfi_evaluation_release(of->health);
    for (size_t i = 0; i < HOST_NAMES_MAX; i++) {
        free(http->hosts[i]);
    }
    free(http);
}

uint16_t mf_http_port(const mf_http *http)
{
    return http != NULL ? http->port : 0;
}
