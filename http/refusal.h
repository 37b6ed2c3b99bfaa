/* The requests that get an error by their headers alone, whatever their route. */
#ifndef MFI_HTTP_REFUSAL_H
#define MFI_HTTP_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "http/pages.h"

#define MFI_REFUSAL_BODY_MAX ((uint64_t)1024 * 1024) /* bytes of a request's body */

/* The hosts that an endpoint takes a request for. */
typedef struct mfi_refusal_hosts {
    bool is_void;             /* an absolute target makes the header void */
    bool is_loopback;         /* the header is checked */
    const char *const *names; /* NULL-terminated: taken there; or NULL */
} mfi_refusal_hosts;

/* Refuses, before the body, a request of which nobody can say where it ends (RFC 9112, 6.3), or
 * that is too long to be read. The connection ends with the answer. */
bool mfi_refusal_of_body(struct MHD_Connection *connection, const char *version, mfi_page *page);

/* Refuses a request that names no host or that of a stranger. RFC 9112, 3.2: HTTP/1.1 needs the
 * header once, and an absolute target makes it void. */
bool mfi_refusal_of_host(struct MHD_Connection *connection, const char *version,
                         const mfi_refusal_hosts *hosts, mfi_page *page);

#endif
