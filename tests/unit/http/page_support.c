/* Pages by hand: see page_support.h. */
#include "page_support.h"

#include <stdlib.h>
#include <string.h>

mfi_page_request plain_request(const mf_probe *probe)
{
    static const char *const none[] = {NULL};
    return (mfi_page_request){.probe = probe, .rest = "", .excluded = none};
}

char *body_of(mfi_page *page)
{
    char *text = calloc(1, page->size + 1);
    if (text != NULL && page->body != NULL) {
        memcpy(text, page->body, page->size);
        mf_check_int(strlen(text), page->size); /* a zero byte would hide what follows */
    }
    free(page->body);
    page->body = NULL;
    return text;
}

void check_page(page_fn get, const mfi_page_request *request, int code, const char *type,
                const char *body)
{
    mfi_page page = {.code = 200, .age_ms = -1};
    get(request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, code);
    mf_check_str(page.type, type);
    mf_check_str(text, body);
    free(text);
}
