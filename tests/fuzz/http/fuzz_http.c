/* Reads any bytes as a request target, a Host header, and lists of preferences: nothing crashes or
 * reads behind the end, and what is accepted keeps its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/encoding.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void read_target(const char *raw)
{
    mfi_url url;
    mfi_url_read(&url, raw);
    must(strlen(url.path) <= MFI_URL_PATH_MAX);
    must(url.refusal == 0 || url.refusal == 400 || url.refusal == 414);
    must((url.refusal == 0) == (url.why == NULL));
    if (url.refusal == 0) {
        must(url.path[0] == '/' || strcmp(raw, "*") == 0);
        must(url.is_absolute == (raw[0] != '/' && raw[0] != '*'));
    }
}

static void read_host(const char *host)
{
    const char *own[] = {host, NULL};
    mfi_url_host_kind kind = mfi_url_host(host, NULL);
    must((kind == MFI_URL_HOST_BROKEN) == (mfi_url_host(host, own) == MFI_URL_HOST_BROKEN));
    if (kind == MFI_URL_HOST_FOREIGN && strchr(host, ':') == NULL &&
        host[strlen(host) - 1] != '.') {
        must(mfi_url_host(host, own) == MFI_URL_HOST_LOCAL); /* its own name */
    }
}

static void read_list(const char *list)
{
    char type[128];
    for (const char *at = list; *at != '\0';) {
        mfi_media item;
        const char *behind = mfi_accept_next(at, &item);
        must(behind > at && behind <= list + strlen(list));
        must(item.q >= -1 && item.q <= 1000);
        at = behind;
    }
    mf_metrics_format format = mfi_accept_choose(list, type, sizeof type);
    const char *wanted = format == MF_METRICS_PROMETHEUS_TEXT ? "text/plain; version=0.0.4"
                         : format == MF_METRICS_OPENMETRICS
                             ? "application/openmetrics-text; version=1.0.0"
                             : "application/vnd.google.protobuf; proto=";
    must(strncmp(type, wanted, strlen(wanted)) == 0);
    must(strpbrk(type, "\r\n") == NULL);
    (void)mfi_encoding_takes_gzip(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* libmicrohttpd hands out texts that end with a zero byte */
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    char *exact = realloc(text, strlen(text) + 1);
    text = exact != NULL ? exact : text;
    read_target(text);
    if (text[0] != '\0') {
        read_host(text);
    }
    read_list(text);
    free(text);
    return 0;
}
