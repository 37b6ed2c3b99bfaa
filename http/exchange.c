/* Requests and answers over libmicrohttpd, which is single-threaded here: its thread reads, answers
 * what takes no time, and gives the rest to the collector. A request's body is read and forgotten
 * before the answer: libmicrohttpd drops an answer that comes in the middle of one. */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/crashes_page.h"
#include "http/encoding.h"
#include "http/overview.h"
#include "http/pages.h"
#include "http/patience.h"
#include "http/refusals.h"
#include "http/status_page.h"
#include "http/url.h"

#define EXCLUDES_MAX 16 /* checks that one query excludes */
#define ACCEPT_MAX 1024 /* bytes of all Accept headers; the rest is ignored */
#define CODINGS_MAX 256 /* the same of Accept-Encoding */

typedef struct route {
    const char *path;
    bool takes_rest; /* "/readyz/<check>" */
    bool is_slow;    /* the collector makes the page */
    void (*page)(const mfi_page_request *request, mfi_page *page);
} route;

/* The exchange that goes on on a connection; kept with the connection for the next one. */
typedef struct exchange {
    mfi_list_node job; /* for the collector */
    mfi_exchanges *of;
    mfi_visitor *visitor;
    struct MHD_Connection *connection;
    mfi_url url;
    const route *route; /* NULL: none fits */
    bool has_begun;     /* libmicrohttpd has shown the headers */
    bool is_made;       /* by the collector */
    bool is_counted;    /* the answer, in the metrics */
    bool ends_connection, is_busy, is_options;
    uint64_t body_bytes;
    char accept[ACCEPT_MAX];
    char codings[CODINGS_MAX];
    const char *excluded[EXCLUDES_MAX + 1];
    size_t excluded_count;
    const char *names[MFI_URL_ARGUMENTS_MAX + 1]; /* of families, as the query has them */
    size_t name_count;
    mfi_page_argument arguments[MFI_URL_ARGUMENTS_MAX];
    mfi_page_request request;
    mfi_page page;
} exchange;

static const route routes[] = {
    {"/", false, false, mfi_page_index},
    {"/metrics", false, true, mfi_page_metrics},
    {"/livez", true, false, mfi_page_livez},
    {"/readyz", true, false, mfi_page_readyz},
    {"/startupz", true, false, mfi_page_startupz},
    {"/healthz", false, false, mfi_page_healthz},
    {"/health", true, false, mfi_page_health},
    {"/circuits", true, true, mfi_page_circuits},
    {"/calls", false, true, mfi_page_calls},
    {"/crashes", false, true, mfi_page_crashes},
    {"/sd", false, false, mfi_page_sd},
    {"/overview", false, true, mfi_page_overview},
    {"/page.css", false, false, mfi_page_style},
    {"/page.js", false, false, mfi_page_script},
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

static bool is_served(const mfi_exchanges *of, const route *found)
{
    return found != NULL &&
           (!of->probes_only || found->page == mfi_page_livez || found->page == mfi_page_readyz ||
            found->page == mfi_page_startupz || found->page == mfi_page_healthz);
}

/* ---- Sending ---- */

static void count(exchange *at, unsigned answer)
{
    char code[8];
    (void)mfi_str_format(code, sizeof code, "%u", answer);
    at->is_counted = true;
    const char *labels[] = {at->route != NULL ? at->route->path : MF_METRIC_OTHER, code};
    mf_counter_add(mf_family_counter(at->of->requests, labels), 1);
}

static void measure_scrape(const exchange *at)
{
    const char *format = at->page.format;
    if (at->page.is_partial) {
        mf_counter_add(mf_family_counter(at->of->scrape_partial, NULL), 1);
    }
    if (at->page.made_ns != 0) {
        mf_histogram_record_ns(mf_family_histogram(at->of->scrape_duration, &format),
                               at->page.made_ns);
        mf_gauge_set(mf_family_gauge(at->of->scrape_size, &format), (double)at->page.size);
    }
}

static void add_headers(struct MHD_Response *response, const exchange *at)
{
    const mfi_page *page = &at->page;
    char number[24];
    const struct {
        bool is_due;
        const char *name, *value;
    } headers[] = {
        {page->type[0] != '\0', "Content-Type", page->type},
        {true, "Cache-Control", "no-store"},
        {true, "X-Content-Type-Options", "nosniff"},
        {true, "Content-Security-Policy",
         page->policy != NULL ? page->policy : "default-src 'none'"},
        {page->vary != NULL, "Vary", page->vary},
        {page->is_packed, "Content-Encoding", "gzip"},
        {page->code == 405 || at->is_options, "Allow", "GET, HEAD, OPTIONS"},
        {at->is_busy, "Retry-After", "1"},
        {at->ends_connection, "Connection", "close"},
        {page->age_ms >= 0, "X-Health-Age-Ms", number},
    };
    (void)mfi_str_format(number, sizeof number, "%lld", (long long)page->age_ms);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (headers[i].is_due) {
            (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
        }
    }
}

/* Compresses the body if the client takes that; without memory it stays as it is. */
static void pack(exchange *at)
{
    mfi_page *page = &at->page;
    if (page->body == NULL || page->size < MFI_ENCODING_LEAST) {
        return;
    }
    page->vary = page->vary != NULL ? page->vary : "Accept-Encoding";
    size_t size = 0;
    char *packed = mfi_encoding_takes_gzip(at->codings)
                       ? mfi_encoding_gzip(page->body, page->size, &size)
                       : NULL;
    if (packed != NULL) {
        free(page->body);
        page->body = packed;
        page->size = size;
        page->is_packed = true;
    }
}

static void replace_missing_body(mfi_page *page)
{
    static const char body[] =
        "{\"error\":{\"code\":500,\"status\":\"internal\",\"message\":\"no memory\"}}\n";
    page->body = strdup(body);
    page->size = page->body != NULL ? sizeof body - 1 : 0;
    page->code = 500;
    (void)mfi_str_copy(page->type, sizeof page->type, "application/json");
}

static enum MHD_Result send_page(exchange *at)
{
    mfi_page *page = &at->page;
    if (page->body == NULL && !at->is_options) {
        replace_missing_body(page);
    }
    at->ends_connection =
        at->ends_connection || mfi_acceptor_is_old(&at->of->acceptor, at->visitor);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->size, page->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(page->body);
        page->body = NULL;
        return MHD_NO;
    }
    page->body = NULL; /* the response owns it */
    add_headers(response, at);
    enum MHD_Result result = MHD_queue_response(at->connection, (unsigned)page->code, response);
    MHD_destroy_response(response);
    if (result == MHD_YES) {
        mfi_acceptor_visit(&at->of->acceptor, at->visitor, MFI_VISIT_ANSWERING);
        count(at, (unsigned)page->code);
    }
    return result;
}

/* ---- Reading what the client wants ---- */

static enum MHD_Result take_argument(void *user_data, enum MHD_ValueKind kind, const char *key,
                                     const char *value)
{
    exchange *at = user_data;
    (void)kind;
    if (at->request.argument_count < MFI_URL_ARGUMENTS_MAX) {
        at->arguments[at->request.argument_count++] =
            (mfi_page_argument){.name = key, .value = value != NULL ? value : ""};
    }
    if (strcmp(key, "verbose") == 0) {
        at->request.verbose = true;
    } else if (strcmp(key, "exclude") == 0 && value != NULL && at->excluded_count < EXCLUDES_MAX) {
        at->excluded[at->excluded_count++] = value;
    } else if (strcmp(key, "name[]") == 0 && at->name_count < MFI_URL_ARGUMENTS_MAX) {
        at->names[at->name_count++] = value != NULL ? value : "";
    }
    return MHD_YES;
}

/* Several lines are one list: RFC 9110, 5.3. */
static void join(char *list, size_t size, const char *value)
{
    size_t used = strlen(list);
    (void)mfi_str_format(list + used, size - used, "%s%s", used > 0 ? ", " : "", value);
}

static enum MHD_Result take_header(void *user_data, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    exchange *at = user_data;
    (void)kind;
    if (value != NULL && strcasecmp(key, MHD_HTTP_HEADER_ACCEPT) == 0) {
        join(at->accept, sizeof at->accept, value);
    } else if (value != NULL && strcasecmp(key, MHD_HTTP_HEADER_ACCEPT_ENCODING) == 0) {
        join(at->codings, sizeof at->codings, value);
    } else if (value != NULL && strcasecmp(key, MFI_PATIENCE_HEADER) == 0) {
        uint64_t patience = mfi_patience_ns(value);
        at->request.answer_by_ns = patience != 0 ? mfi_monotonic_ns() + patience : 0;
    }
    return MHD_YES;
}

static void read_request(exchange *at)
{
    at->request.probe = at->of->probe;
    at->request.health = at->of->health;
    at->request.warn_code = at->of->warn_code;
    at->request.probes_only = at->of->probes_only;
    at->request.excluded = at->excluded;
    at->request.arguments = at->arguments;
    (void)MHD_get_connection_values(at->connection, MHD_GET_ARGUMENT_KIND, take_argument, at);
    (void)MHD_get_connection_values(at->connection, MHD_HEADER_KIND, take_header, at);
    at->request.accept = mfi_str_or_null(at->accept);
    at->request.names = at->name_count > 0 ? at->names : NULL;
}

/* ---- The page ---- */

/* Makes the page of a request that is refused or takes no page. False: the route makes it. */
static bool make_without_route(exchange *at, const char *method, const char *version)
{
    bool is_asterisk = strcmp(at->url.path, "*") == 0;
    bool is_options = strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0;
    if (at->url.refusal != 0) {
        mfi_page_error(&at->page, at->url.refusal, "%s", at->url.why);
    } else if (mfi_refuse_host(at->of->hosts, at->of->is_loopback, at->connection, &at->url,
                               version, &at->request.host, &at->page)) {
        return true;
    } else if (is_options && (at->route != NULL || is_asterisk)) {
        at->is_options = true;
    } else if (!is_options && strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
               strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        mfi_page_error(&at->page, 405, "method '%.16s' is not allowed: use GET or HEAD", method);
    } else if (at->route == NULL) {
        mfi_page_error(&at->page, 404, "no route '%.100s': / lists them", at->url.path);
    } else {
        return false;
    }
    return true;
}

/* ---- The collector ---- */

static void suspend(mfi_list_node *job)
{
    exchange *at = MFI_CONTAINER(job, exchange, job);
    mfi_acceptor_visit(&at->of->acceptor, at->visitor, MFI_VISIT_MAKING);
    MHD_suspend_connection(at->connection);
}

void mfi_exchange_make(mfi_list_node *job, mfi_scrapes *scrapes)
{
    exchange *at = MFI_CONTAINER(job, exchange, job);
    at->request.scrapes = scrapes;
    at->route->page(&at->request, &at->page);
    measure_scrape(at);
    pack(at);
    at->is_made = true;
    MHD_resume_connection(at->connection); /* from here on the exchange is libmicrohttpd's */
}

static enum MHD_Result make_page(exchange *at)
{
    if (at->route->is_slow) {
        if (mfi_collector_add(&at->of->collector, &at->job, suspend)) {
            return MHD_YES;
        }
        at->is_busy = true;
        mfi_page_error(&at->page, 503, "too many requests wait for '%s'", at->route->path);
    } else {
        at->route->page(&at->request, &at->page);
        pack(at);
    }
    return send_page(at);
}

/* ---- libmicrohttpd's callbacks ---- */

/* Forgets the exchange before, but not its connection. */
static void reset(exchange *at)
{
    free(at->page.body);
    *at = (exchange){.of = at->of,
                     .visitor = at->visitor,
                     .connection = at->connection,
                     .page = {.code = 200, .age_ms = -1}};
}

/* libmicrohttpd keeps each argument of the query in the memory of the connection, and leaves the
 * client without an answer when that is full. `target` is that memory, and is parsed after the
 * callback; so a query that is refused is cut off here. */
static void drop_query(const char *target)
{
    const char *query = strchr(target, '?');
    if (query != NULL) {
        *(char *)(uintptr_t)(query + 1) = '\0';
    }
}

void *mfi_exchange_begin(void *user_data, const char *target, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    mfi_visitor *visitor = info != NULL ? info->socket_context : NULL;
    exchange *at = visitor != NULL ? visitor->user_data : NULL;
    (void)user_data;
    if (at != NULL) {
        at->connection = connection;
        reset(at);
        mfi_url_read(&at->url, target != NULL ? target : "");
        if (at->url.refusal != 0) {
            drop_query(target != NULL ? target : "");
        }
        mfi_acceptor_visit(&at->of->acceptor, visitor, MFI_VISIT_READING);
    }
    return at;
}

enum MHD_Result mfi_exchange_go_on(void *user_data, struct MHD_Connection *connection,
                                   const char *path, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **state)
{
    exchange *at = *state;
    (void)user_data;
    (void)path;
    (void)upload;
    if (at == NULL) {
        return MHD_NO; /* there was no memory for the connection */
    }
    if (!at->has_begun) {
        at->has_begun = true;
        const route *found = find_route(at->url.path, &at->request.rest);
        at->route = is_served(at->of, found) ? found : NULL;
        at->ends_connection = mfi_refuse_body(connection, version, &at->page);
        return at->ends_connection ? send_page(at) : MHD_YES;
    }
    if (*upload_size != 0) {
        at->body_bytes += *upload_size;
        *upload_size = 0;
        return at->body_bytes <= MFI_BODY_MAX ? MHD_YES : MHD_NO;
    }
    if (at->is_made) {
        return send_page(at);
    }
    read_request(at);
    return make_without_route(at, method, version) ? send_page(at) : make_page(at);
}

void mfi_exchange_end(void *user_data, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    exchange *at = *state;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    (void)user_data;
    (void)code;
    if (at != NULL) {
        if (!at->is_counted && info != NULL) {
            count(at, info->http_status); /* libmicrohttpd has answered by itself */
        }
        mfi_acceptor_visit(&at->of->acceptor, at->visitor, MFI_VISIT_READING);
        reset(at);
    }
}

static void begin_connection(mfi_exchanges *of, struct MHD_Connection *connection, void **state)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    mfi_visitor *visitor = info != NULL ? mfi_acceptor_find(&of->acceptor, info->connect_fd) : NULL;
    exchange *at = visitor != NULL ? calloc(1, sizeof *at) : NULL;
    *state = visitor;
    if (at != NULL) {
        at->of = of;
        at->visitor = visitor;
        at->connection = connection;
        visitor->user_data = at;
    }
}

void mfi_exchange_connection(void *user_data, struct MHD_Connection *connection, void **state,
                             enum MHD_ConnectionNotificationCode what)
{
    mfi_exchanges *of = user_data;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        begin_connection(of, connection, state);
    } else if (*state != NULL) {
        mfi_acceptor_forget(&of->acceptor, *state);
    }
}
