/* The pages of the routes. A page reads the query and the Accept header, and makes a body. */
#ifndef MFI_HTTP_PAGES_H
#define MFI_HTTP_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/probe.h>

#include "metrics/evaluation.h"

/* Complete renderings of all metrics, by mf_metrics_format, for requests that share them. */
typedef struct mfi_scrapes {
    struct {
        char *body; /* NULL: not rendered yet; for free() */
        size_t size;
    } of[MF_METRICS_PROTOBUF + 1];
} mfi_scrapes;

/* One argument of a query: "worker=math-0". */
typedef struct mfi_page_argument {
    const char *name, *value; /* value: "" if there is none */
} mfi_page_argument;

/* The parts of a request that pages use. */
typedef struct mfi_page_request {
    const mf_probe *probe;
    mfi_health *health;
    int warn_code;        /* of /health and /healthz when the worst check warns; 0: 200 */
    bool probes_only;     /* the endpoint has no other pages to refer to */
    mfi_scrapes *scrapes; /* or NULL: /metrics is rendered for this request alone */
    const char *accept;   /* or NULL */
    const char *host;     /* the Host header as sent; NULL: none, or a void one */
    const char *rest;     /* the path behind the route's name: "" or "math" */
    bool verbose;
    const char *const *excluded; /* NULL-terminated */
    const char *const *names;    /* NULL-terminated: the families that /metrics shows; NULL: all */
    const mfi_page_argument *arguments; /* all of the query, for pages that know each of theirs */
    size_t argument_count;
    uint64_t answer_by_ns; /* monotonic: the client goes away soon after; 0: it said nothing */
} mfi_page_request;

typedef struct mfi_page {
    int code;
    char type[128]; /* Content-Type */
    char *body;     /* for free(); NULL means no memory */
    size_t size;
    const char *vary;   /* or NULL; static */
    int64_t age_ms;     /* of the evaluation that the page shows; -1: none */
    uint64_t made_ns;   /* spent on a rendering of all metrics; 0: the page shows none of its own */
    const char *format; /* of the metrics: "text", "om" or "proto" */
    bool is_partial;    /* the metrics are shown without a collection */
    bool is_packed;     /* the body is compressed by gzip */
    const char *policy; /* Content-Security-Policy: what a browser may load; NULL: nothing */
} mfi_page;

/* {"error":{"code":404,"status":"not_found","message":"..."}} with the message cleaned and cut. */
void mfi_page_error(mfi_page *page, int code, const char *format, ...) MF_PRINTF(3, 4);

void mfi_page_index(const mfi_page_request *request, mfi_page *page);
void mfi_page_metrics(const mfi_page_request *request, mfi_page *page);
void mfi_page_livez(const mfi_page_request *request, mfi_page *page);
void mfi_page_readyz(const mfi_page_request *request, mfi_page *page);
void mfi_page_startupz(const mfi_page_request *request, mfi_page *page);
void mfi_page_health(const mfi_page_request *request, mfi_page *page);
void mfi_page_healthz(const mfi_page_request *request, mfi_page *page);
void mfi_page_circuits(const mfi_page_request *request, mfi_page *page);
void mfi_page_calls(const mfi_page_request *request, mfi_page *page);
void mfi_page_sd(const mfi_page_request *request, mfi_page *page);

#endif
