/* What a request asks for, and whom: the target of its first line, and its Host header. */
#ifndef MFI_HTTP_URL_H
#define MFI_HTTP_URL_H

#include <stdbool.h>

#define MFI_URL_PATH_MAX 512     /* bytes of a decoded path; longer ones are refused */
#define MFI_URL_ARGUMENTS_MAX 64 /* of a query; more are refused */

typedef struct mfi_url {
    char path[MFI_URL_PATH_MAX + 1]; /* decoded: "/circuits/math"; "*" of "OPTIONS *" */
    bool is_absolute;                /* the client named scheme and host, as to a proxy */
    int refusal;                     /* 0, or the code of the answer: 400, 414 */
    const char *why;                 /* with a refusal: static text */
} mfi_url;

/* Reads a target as it stood in the request: origin form, absolute form or "*" (RFC 9112, 3.2). */
void mfi_url_read(mfi_url *ret_target, const char *raw);

/* Whether a Host header may come from a page of a stranger. By DNS rebinding a browser sends the
 * requests of any web page to 127.0.0.1, but it names the page's host in each of them. */
typedef enum mfi_url_host_kind {
    MFI_URL_HOST_LOCAL,   /* an address, localhost, a name without a dot, or one of `names` */
    MFI_URL_HOST_FOREIGN, /* another name */
    MFI_URL_HOST_BROKEN,  /* no host at all: the request is malformed */
} mfi_url_host_kind;
/* names: NULL-terminated, or NULL. */
mfi_url_host_kind mfi_url_host(const char *host, const char *const *names);

/* Whether a header may have this name. "Content-Length " would be another header to the next server
 * on the way: RFC 9112, 5.1. */
bool mfi_url_is_token(const char *name);

#endif
