/* What the tests of pages share: a page asked for by hand, without a server, held against its
 * bytes. */
#ifndef PAGE_SUPPORT_H
#define PAGE_SUPPORT_H

#include "http/pages.h"
#include "mf_test.h"

typedef void (*page_fn)(const mfi_page_request *request, mfi_page *page);

/* Nothing asked for: no Accept, no rest, nothing excluded. */
mfi_page_request plain_request(const mf_probe *probe);

/* The body as a text, for free(). Also frees the page's own. */
char *body_of(mfi_page *page);
/* Asks for the page and holds its code, type and body against these. */
void check_page(page_fn get, const mfi_page_request *request, int code, const char *type,
                const char *body);

#endif
