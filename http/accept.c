/* Reads Accept headers. Scrapers spell the formats in many ways; a header that breaks the grammar
 * gets text, because a scrape must not fail for that. */
#include "http/accept.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "metrics/exposition.h"

#define Q_MAX 1000 /* q in thousandths */

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at;
}

static size_t token_length(const char *at)
{
    return strcspn(at, " \t;,=");
}

/* The thousandths of a q such as "0.25"; -1 if the text is no q. */
static int read_q(const char *text)
{
    if (text[0] != '0' && text[0] != '1') {
        return -1;
    }
    int q = (text[0] - '0') * Q_MAX;
    int unit = 100;
    if (text[1] == '\0') {
        return q;
    }
    if (text[1] != '.' || strlen(text) > 5) {
        return -1;
    }
    for (const char *c = text + 2; *c != '\0'; c++, unit /= 10) {
        if (*c < '0' || *c > '9') {
            return -1;
        }
        q += (*c - '0') * unit;
    }
    return q <= Q_MAX ? q : -1;
}

static const char *read_parameter(const char *at, mfi_media *to)
{
    char name[24];
    char value[48];
    size_t length = token_length(at);
    (void)mfi_str_copy_n(name, sizeof name, at, length);
    at = skip_blanks(at + length);
    value[0] = '\0';
    if (*at == '=') {
        at = skip_blanks(at + 1);
        bool quoted = *at == '"';
        at += quoted ? 1 : 0;
        length = quoted ? strcspn(at, "\"") : token_length(at);
        (void)mfi_str_copy_n(value, sizeof value, at, length);
        at += length;
        at += quoted && *at == '"' ? 1 : 0;
    }
    if (strcasecmp(name, "q") == 0) {
        to->q = read_q(value);
    } else if (strcasecmp(name, "version") == 0) {
        (void)mfi_str_copy(to->version, sizeof to->version, value);
    } else if (strcasecmp(name, "escaping") == 0) {
        (void)mfi_str_copy(to->escaping, sizeof to->escaping, value);
    } else if (strcasecmp(name, "proto") == 0) {
        (void)mfi_str_copy(to->proto, sizeof to->proto, value);
    } else if (strcasecmp(name, "encoding") == 0) {
        (void)mfi_str_copy(to->encoding, sizeof to->encoding, value);
    }
    return at;
}

const char *mfi_accept_next(const char *at, mfi_media *ret_item)
{
    *ret_item = (mfi_media){.q = Q_MAX};
    at = skip_blanks(at);
    size_t length = token_length(at);
    (void)mfi_str_copy_n(ret_item->type, sizeof ret_item->type, at, length);
    at += length;
    while (*at != '\0' && *at != ',') {
        at = skip_blanks(at);
        if (*at == ';') {
            at = read_parameter(skip_blanks(at + 1), ret_item);
        } else if (*at != ',' && *at != '\0') {
            at++;
        }
    }
    return *at == ',' ? at + 1 : at;
}

static bool matches(const mfi_media *item, mf_metrics_format *ret_format)
{
    const char *version = item->version;
    if (strcasecmp(item->type, "application/openmetrics-text") == 0) {
        *ret_format = MF_METRICS_OPENMETRICS;
        return version[0] == '\0' || strcmp(version, "1.0.0") == 0;
    }
    if (strcasecmp(item->type, "application/vnd.google.protobuf") == 0) {
        *ret_format = MF_METRICS_PROTOBUF;
        return strcmp(item->proto, "io.prometheus.client.MetricFamily") == 0 &&
               strcmp(item->encoding, "delimited") == 0 && mfi_exposition_has(MF_METRICS_PROTOBUF);
    }
    if (strcasecmp(item->type, "application/*") == 0) {
        *ret_format = MF_METRICS_OPENMETRICS;
        return true;
    }
    *ret_format = MF_METRICS_PROMETHEUS_TEXT;
    if (strcasecmp(item->type, "text/plain") == 0) {
        return version[0] == '\0' || strcmp(version, "0.0.4") == 0;
    }
    return strcmp(item->type, "*/*") == 0 || strcasecmp(item->type, "text/*") == 0;
}

mf_metrics_format mfi_accept_choose(const char *header, char *ret_content_type, size_t size)
{
    static const char *const types[] = {
        [MF_METRICS_PROMETHEUS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [MF_METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        [MF_METRICS_PROTOBUF] = "application/vnd.google.protobuf; "
                                "proto=io.prometheus.client.MetricFamily; encoding=delimited"};
    static const char *const schemes[] = {"allow-utf-8", "underscores", "dots", "values"};
    mf_metrics_format best = MF_METRICS_PROMETHEUS_TEXT;
    const char *scheme = NULL;
    int best_q = 0;
    for (const char *at = header != NULL ? header : ""; *at != '\0';) {
        mfi_media item;
        mf_metrics_format format = MF_METRICS_PROMETHEUS_TEXT;
        at = mfi_accept_next(at, &item);
        if (item.q > best_q && matches(&item, &format)) {
            best = format;
            best_q = item.q;
            scheme = NULL;
            for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
                if (strcasecmp(item.escaping, schemes[i]) == 0) {
                    scheme = schemes[i]; /* never the client's own bytes */
                }
            }
        }
    }
    (void)mfi_str_format(ret_content_type, size, "%s%s%s", types[best],
                         scheme != NULL ? "; escaping=" : "", scheme != NULL ? scheme : "");
    return best;
}

static bool is_json(const char *type)
{
    size_t length = strlen(type);
    return strcasecmp(type, "application/json") == 0 ||
           (length > 5 && strcasecmp(type + length - 5, "+json") == 0);
}

bool mfi_accept_prefers_html(const char *header)
{
    int html_q = 0;
    int json_q = 0;
    bool html_first = false;
    for (const char *at = header != NULL ? header : ""; *at != '\0';) {
        mfi_media item;
        at = mfi_accept_next(at, &item);
        if (strcasecmp(item.type, "text/html") == 0 && item.q > html_q) {
            html_q = item.q;
            html_first = json_q < html_q;
        } else if (is_json(item.type) && item.q > json_q) {
            json_q = item.q;
        }
    }
    return html_q > json_q || (html_q > 0 && html_q == json_q && html_first);
}
