/* Compresses bodies with zlib at its fastest level: a scrape of metrics shrinks to a tenth, and the
 * scraper waits for the compression. */
#include "http/encoding.h"

#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#define ZLIB_CONST /* the input is const */
#include <zlib.h>

#include "http/accept.h"

#define GZIP_WINDOW (15 + 16) /* zlib's largest window, in the gzip format */

bool mfi_encoding_takes_gzip(const char *header)
{
    int gzip_q = -1;
    int any_q = -1;
    for (const char *at = header != NULL ? header : ""; *at != '\0';) {
        mfi_media item;
        at = mfi_accept_next(at, &item);
        if (strcasecmp(item.type, "gzip") == 0 || strcasecmp(item.type, "x-gzip") == 0) {
            gzip_q = item.q;
        } else if (strcasecmp(item.type, "*") == 0) {
            any_q = item.q;
        }
    }
    return (gzip_q >= 0 ? gzip_q : any_q) > 0;
}

char *mfi_encoding_gzip(const char *body, size_t size, size_t *ret_size)
{
    z_stream stream = {.zalloc = Z_NULL};
    if (size > UINT_MAX / 2 || deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
                                            MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return NULL;
    }
    uLong bound = deflateBound(&stream, (uLong)size);
    char *packed = malloc(bound);
    if (packed != NULL) {
        stream.next_in = (const Bytef *)body;
        stream.avail_in = (uInt)size;
        stream.next_out = (Bytef *)packed;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
            free(packed);
            packed = NULL;
        }
    }
    *ret_size = stream.total_out;
    (void)deflateEnd(&stream);
    return packed;
}
