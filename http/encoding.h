/* Compression of bodies, as the client's Accept-Encoding asks for it. */
#ifndef MFI_HTTP_ENCODING_H
#define MFI_HTTP_ENCODING_H

#include <stdbool.h>
#include <stddef.h>

#define MFI_ENCODING_LEAST 1024 /* bytes; a smaller body gains nothing */

/* Whether the header (NULL: none) takes gzip: RFC 9110, 12.5.3. */
bool mfi_encoding_takes_gzip(const char *header);

/* Compresses. NULL without memory, else *ret_size bytes for free(). */
char *mfi_encoding_gzip(const char *body, size_t size, size_t *ret_size);

#endif
