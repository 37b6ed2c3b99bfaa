/* Choosing the format of /metrics from an Accept header (RFC 9110, section 12.5.1). Pure. */
#ifndef MFI_HTTP_ACCEPT_H
#define MFI_HTTP_ACCEPT_H

#include <stddef.h>

#include <multifrost/metrics.h>

/* The supported format with the highest q; the earlier one on a tie. Without a header, with a
 * malformed one, or when nothing fits: text. ret_content_type (size bytes) gets the full type, with
 * the escaping parameter if the client sent one that is known. */
mf_metrics_format mfi_accept_choose(const char *header, char *ret_content_type, size_t size);

#endif
