/* Reads lists of preferences (Accept, Accept-Encoding: RFC 9110, section 12.5), and chooses the
 * format of /metrics by one. No I/O. */
#ifndef MFI_HTTP_ACCEPT_H
#define MFI_HTTP_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/metrics.h>

/* One item of a list. */
typedef struct mfi_media {
    char type[64]; /* "text/plain", "gzip"; "" for an item without one */
    char version[16];
    char escaping[24];
    char proto[48];    /* of a protobuf type: the name of its message */
    char encoding[16]; /* and how messages stand in the body */
    int q;             /* in thousandths; -1 if it is malformed */
} mfi_media;

/* Reads the item at `at` and returns what is behind it, always further on. */
const char *mfi_accept_next(const char *at, mfi_media *ret_item);

/* Returns the format of this build with the highest q, the earlier one on a tie; text if the header
 * is missing or malformed, or no format fits. ret_content_type (size bytes) receives the full type,
 * with the escaping parameter if the client sent a known one. */
mf_metrics_format mfi_accept_choose(const char *header, char *ret_content_type, size_t size);

/* Whether a browser asks: the header names text/html, with a q above that of JSON, or the same one
 * and before it. A range such as all types is no wish for HTML. NULL: no header. */
bool mfi_accept_prefers_html(const char *header);

#endif
