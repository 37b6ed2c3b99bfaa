/* Requests that are refused for their headers. Each function makes the page of its refusal and
 * returns true, or changes nothing and returns false. */
#ifndef MFI_HTTP_REFUSALS_H
#define MFI_HTTP_REFUSALS_H

#include <microhttpd.h>

#include "http/pages.h"
#include "http/url.h"

#define MFI_BODY_MAX ((uint64_t)1024 * 1024) /* bytes of a request's body; a longer one ends it */

/* Before the body: nobody can say where the request ends (RFC 9112, 6.3), or it is too long to be
 * read. The connection ends with the answer. */
bool mfi_refuse_body(struct MHD_Connection *connection, const char *version, mfi_page *page);
/* The request names no host, or that of a stranger. RFC 9112, 3.2: HTTP/1.1 needs the header once,
 * and an absolute target makes it void. hosts: NULL-terminated names that are taken, or NULL;
 * is_loopback: the endpoint is reached from this host alone, so that a name must be one of them.
 * ret_host: the header of a request that is not refused; NULL if there is none, or a void one. */
bool mfi_refuse_host(const char *const *hosts, bool is_loopback, struct MHD_Connection *connection,
                     const mfi_url *url, const char *version, const char **ret_host,
                     mfi_page *page);

#endif
