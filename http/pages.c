/* Makes the small pages: errors and metrics. */
#include "http/pages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "http/accept.h"
#include "metrics/exposition.h"

static const char *code_word(int code)
{
    switch (code) {
    case 400:
        return "bad_request";
    case 404:
        return "not_found";
    case 405:
        return "method_not_allowed";
    case 413:
        return "content_too_large";
    case 414:
        return "uri_too_long";
    case 421:
        return "misdirected_request";
    case 501:
        return "not_implemented";
    case 503:
        return "unavailable";
    default:
        return "internal";
    }
}

static void set_body(mfi_page *page, mfi_buf *body)
{
    if (body->failed) {
        mfi_buf_fini(body);
        page->code = 500;
        return;
    }
    page->body = (char *)mfi_buf_take(body, &page->size);
}

void mfi_page_error(mfi_page *page, int code, const char *format, ...)
{
    char message[512];
    mfi_buf body;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t size = length < 0 ? 0 : (size_t)length;
    size = size < sizeof message ? size : sizeof message - 1;
    mfi_buf_init(&body, 0);
    mfi_buf_printf(&body, "{\"error\":{\"code\":%d,\"status\":\"%s\",\"message\":\"", code,
                   code_word(code));
    mfi_str_append_json(&body, message, size);
    mfi_buf_append_str(&body, "\"}}\n");
    page->code = code;
    (void)mfi_str_copy(page->type, sizeof page->type, "application/json");
    set_body(page, &body);
}

/* Renders the metrics for this request alone. A client that waited until it goes away soon gets
 * what is there: the collectors, which may take long, are left out. */
static mf_status render(const mfi_page_request *request, mf_metrics_format format, mfi_page *page,
                        mf_error *error)
{
    uint64_t begin = mfi_monotonic_ns();
    mfi_exposition how = {.format = format, .names = request->names};
    how.in_haste = request->answer_by_ns != 0 && begin > request->answer_by_ns;
    mf_status status = mfi_exposition_render(request->probe->metrics, &how, &page->body,
                                             &page->size, &page->is_partial, error);
    if (status == MF_OK && how.names == NULL) {
        page->made_ns = mfi_monotonic_ns() - begin;
    }
    return status;
}

/* Renders the metrics, or copies the rendering that another request has brought. */
static mf_status find_or_render(const mfi_page_request *request, mf_metrics_format format,
                                mfi_page *page, mf_error *error)
{
    mfi_scrapes *shared = request->names == NULL ? request->scrapes : NULL;
    if (shared == NULL || shared->of[format].body == NULL) {
        mf_status status = render(request, format, page, error);
        if (status != MF_OK || shared == NULL || page->is_partial) {
            return status;
        }
        shared->of[format].body = page->body;
        shared->of[format].size = page->size;
    }
    page->size = shared->of[format].size;
    page->body = malloc(page->size + 1);
    if (page->body == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the metrics");
    }
    memcpy(page->body, shared->of[format].body, page->size + 1);
    return MF_OK;
}

void mfi_page_metrics(const mfi_page_request *request, mfi_page *page)
{
    static const char *const words[] = {[MF_METRICS_PROMETHEUS_TEXT] = "text",
                                        [MF_METRICS_OPENMETRICS] = "om",
                                        [MF_METRICS_PROTOBUF] = "proto"};
    mf_error error = MF_ERROR_INIT;
    mf_metrics_format format = mfi_accept_choose(request->accept, page->type, sizeof page->type);
    page->vary = "Accept, Accept-Encoding";
    page->format = words[format];
    if (find_or_render(request, format, page, &error) != MF_OK) {
        page->made_ns = 0;
        mfi_page_error(page, 500, "%s", error.message);
    }
}
