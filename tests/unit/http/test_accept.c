/* The Accept header chooses the format of /metrics; a malformed header gets text. */
#include <string.h>

#include "http/accept.h"
#include "metrics/exposition.h"
#include "mf_test.h"

static void check(const char *header, const char *wanted)
{
    char type[128];
    (void)mfi_accept_choose(header, type, sizeof type);
    mf_check_str(type, wanted);
}

static void test_vectors(void)
{
    static const char text[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char om[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    check("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
          "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
          "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1",
          "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
    check(NULL, text);
    check("", text);
    check("*/*", text);
    check("text/html,application/xhtml+xml,*/*;q=0.8", text);
    check("application/openmetrics-text;version=0.0.1", text);
    check("application/openmetrics-text;q=0", text);
    check(";;;,q=", text);
    check("application/openmetrics-text; version=\"1.0.0\"", om);
    check("text/plain;q=0.5,application/openmetrics-text;q=0.5", text);
    check("application/openmetrics-text;escaping=evil\x01", om);
    check("application/openmetrics-text;q=1.001", text);
}

/* Protobuf is asked for with both of its parameters, and is nothing where it was not built. */
static void test_protobuf(void)
{
#define ASKED                                                                                      \
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    static const char text[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char om[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    static const char protobuf[] = "application/vnd.google.protobuf; "
                                   "proto=io.prometheus.client.MetricFamily; encoding=delimited";
    bool has = mfi_exposition_has(MF_METRICS_PROTOBUF);
    check(ASKED, has ? protobuf : text);
    check(ASKED ";q=0.5,application/openmetrics-text;q=0.4", has ? protobuf : om);
    check(ASKED ";q=0.4,application/openmetrics-text;q=0.5", om);
    check(ASKED ";q=0,application/*;q=0.1", om);
    check("application/openmetrics-text," ASKED, om);
    check(ASKED ",application/openmetrics-text", has ? protobuf : om);
    /* Prometheus 2.42 with its feature native-histograms. */
    check(ASKED ",application/openmetrics-text;version=1.0.0;q=0.8,"
                "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
                "*/*;q=0.1",
          has ? protobuf : om);
    check("Application/Vnd.Google.Protobuf; Encoding=\"delimited\"; "
          "Proto=\"io.prometheus.client.MetricFamily\"",
          has ? protobuf : text);
    check("application/vnd.google.protobuf", text);
    check("application/vnd.google.protobuf;encoding=delimited", text);
    check("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", text);
    check("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
          text);
    check("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamilyPlusSomeMoreText;"
          "encoding=delimited",
          text);
    if (has) {
        check(ASKED ";escaping=allow-utf-8",
              "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
              "encoding=delimited; escaping=allow-utf-8");
    }
#undef ASKED
}

/* A range stands for the formats below it; several lines of the header come as one list. */
static void test_ranges_and_lists(void)
{
    static const char text[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char om[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    check("application/*", om);
    check("APPLICATION/*;q=0.3", om);
    check("text/*", text);
    check("application/*;q=0", text);
    check("application/*;q=0.2, text/*;q=0.1", om);
    check("application/*;q=0.1, text/plain;q=0.2", text);
    check("text/plain;q=0.2, application/openmetrics-text", om);
    check("image/png, application/json, application/*", om);
    check("application/*;version=0.0.1", om); /* a parameter of no known format */
    check(", ,, application/openmetrics-text ,", om);
    check("application", text);
}

/* Each item is read once, and the reader ends at the end. */
static void test_items(void)
{
    mfi_media item;
    const char *at = mfi_accept_next(" gzip ; q=0.5 ,, *;q=0;x=\"a,b\", last", &item);
    mf_check_str(item.type, "gzip");
    mf_check_int(item.q, 500);
    at = mfi_accept_next(at, &item);
    mf_check_str(item.type, "");
    at = mfi_accept_next(at, &item);
    mf_check_str(item.type, "*");
    mf_check_int(item.q, 0);
    at = mfi_accept_next(at, &item);
    mf_check_str(item.type, "last");
    mf_check_int(item.q, 1000);
    mf_check_str(at, "");
    mf_check_str(mfi_accept_next("a;q=-1", &item), "");
    mf_check_int(item.q, -1);
    mf_check_str(mfi_accept_next("a;q=\"0.5", &item), ""); /* an open quote ends at the end */
    mf_check_int(item.q, 500);
}

static const mf_test tests[] = {
    {"accept__follows_the_vectors", test_vectors},
    {"accept__protobuf_by_both_parameters", test_protobuf},
    {"accept__ranges_and_lists", test_ranges_and_lists},
    {"accept__items_are_read_once", test_items},
};
MF_TEST_MAIN(tests)
