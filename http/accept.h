/* Chooses the format of /metrics by an Accept header (RFC 9110, section 12.5.1). No I/O. */
#ifndef MFI_HTTP_ACCEPT_H
#define MFI_HTTP_ACCEPT_H

#include <stddef.h>

#include <multifrost/metrics.h>

/* Returns the supported format with the highest q, the earlier one on a tie; text if the header is
 * missing or malformed, or no format fits. ret_content_type (size bytes) receives the full type,
 * with the escaping parameter if the client sent a known one. */
mf_metrics_format mfi_accept_choose(const char *header, char *ret_content_type, size_t size);

#endif
