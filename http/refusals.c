/* Refuses requests for their headers. It exists apart from the exchange because these rules are
 * those of RFC 9112, and need nothing of an exchange but its headers. */
#include "http/refusals.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct header_count {
    const char *name;  /* NULL: each name that is no token */
    const char *value; /* of the last one; without a name, the last such name */
    size_t count;
} header_count;

static enum MHD_Result count_header(void *user_data, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    header_count *at = user_data;
    (void)kind;
    if (at->name == NULL && !mfi_url_is_token(key)) {
        at->count++;
        at->value = key;
    } else if (at->name != NULL && strcasecmp(key, at->name) == 0) {
        at->count++;
        at->value = value != NULL ? value : "";
    }
    return MHD_YES;
}

static header_count find_header(struct MHD_Connection *connection, const char *name)
{
    header_count found = {.name = name};
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &found);
    return found;
}

bool mfi_refuse_body(struct MHD_Connection *connection, const char *version, mfi_page *page)
{
    header_count broken = find_header(connection, NULL);
    header_count length = find_header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    header_count coding = find_header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    if (broken.count > 0) {
        mfi_page_error(page, 400, "'%.80s' is no name of a header", broken.value);
    } else if (length.count + coding.count > 1) {
        mfi_page_error(page, 400, "more than one header says where the body ends");
    } else if (coding.count == 1 && strcasecmp(coding.value, "chunked") != 0) {
        mfi_page_error(page, 501, "only the transfer coding 'chunked' is known");
    } else if (coding.count == 1 && strcmp(version, MHD_HTTP_VERSION_1_0) == 0) {
        mfi_page_error(page, 400, "HTTP/1.0 has no transfer codings");
    } else if (length.count == 1 && strtoull(length.value, NULL, 10) > MFI_BODY_MAX) {
        mfi_page_error(page, 413, "the body is longer than %u bytes", (unsigned)MFI_BODY_MAX);
    } else {
        return false;
    }
    return true;
}

bool mfi_refuse_host(const char *const *hosts, bool is_loopback, struct MHD_Connection *connection,
                     const mfi_url *url, const char *version, const char **ret_host, mfi_page *page)
{
    *ret_host = NULL;
    header_count host = find_header(connection, MHD_HTTP_HEADER_HOST);
    if (host.count > 1 || (host.count == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)) {
        mfi_page_error(page, 400, "a request needs one Host header, and this one has %u",
                       (unsigned)host.count);
        return true;
    }
    if (host.count == 0 || url->is_absolute) {
        return false;
    }
    mfi_url_host_kind kind = mfi_url_host(host.value, hosts);
    if (kind == MFI_URL_HOST_BROKEN) {
        mfi_page_error(page, 400, "the Host header '%.80s' is no host", host.value);
    } else if (kind == MFI_URL_HOST_FOREIGN && is_loopback) {
        mfi_page_error(page, 421, "this endpoint is not '%.80s': see host_names", host.value);
    } else {
        *ret_host = host.value;
        return false;
    }
    return true;
}
