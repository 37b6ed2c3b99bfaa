/* Serves the status page. Its script asks the same routes as everyone else; the page comes from
 * this process alone, so that it works where no other network is. */
#include "http/status_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "http/accept.h"
#include "http/page_files.h"

#define NAME_MARK "{{service}}" /* in index.html */

static const char policy[] = "default-src 'none'; style-src 'self'; script-src 'self'; "
                             "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

static void append_html(mfi_buf *to, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        const char *escape = *c == '&'   ? "&amp;"
                             : *c == '<' ? "&lt;"
                             : *c == '>' ? "&gt;"
                             : *c == '"' ? "&quot;"
                                         : NULL;
        if (escape != NULL) {
            mfi_buf_append_str(to, escape);
        } else {
            mfi_buf_append_byte(to, (uint8_t)*c);
        }
    }
}

static void set_body(mfi_page *page, mfi_buf *body, const char *type)
{
    (void)mfi_str_copy(page->type, sizeof page->type, type);
    if (body->failed) {
        mfi_buf_fini(body);
        page->code = 500;
        return;
    }
    page->body = (char *)mfi_buf_take(body, &page->size);
}

void mfi_page_index(const mfi_page_request *request, mfi_page *page)
{
    mfi_buf body;
    mfi_buf_init(&body, 0);
    const char *at = mfi_page_html.bytes;
    for (const char *mark = NULL; (mark = strstr(at, NAME_MARK)) != NULL;) {
        mfi_buf_append(&body, at, (size_t)(mark - at));
        append_html(&body, request->probe->info.service);
        at = mark + strlen(NAME_MARK);
    }
    mfi_buf_append_str(&body, at);
    page->policy = policy;
    set_body(page, &body, "text/html; charset=utf-8");
}

static void send_file(mfi_page *page, const mfi_page_file *file, const char *type)
{
    mfi_buf body;
    mfi_buf_init(&body, 0);
    mfi_buf_append(&body, file->bytes, file->size);
    set_body(page, &body, type);
}

void mfi_page_style(const mfi_page_request *request, mfi_page *page)
{
    (void)request;
    send_file(page, &mfi_page_css, "text/css; charset=utf-8");
}

void mfi_page_script(const mfi_page_request *request, mfi_page *page)
{
    (void)request;
    send_file(page, &mfi_page_js, "text/javascript; charset=utf-8");
}

void mfi_status_page_for_people(const mfi_page_request *request, mfi_page *page)
{
    page->vary = "Accept, Accept-Encoding";
    if ((page->code == 200 || page->code == 503) && request->argument_count == 0 &&
        mfi_accept_prefers_html(request->accept)) {
        int code = page->code;
        free(page->body);
        page->body = NULL;
        mfi_page_index(request, page);
        page->code = page->code == 200 ? code : page->code;
    }
}
