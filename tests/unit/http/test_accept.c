/* The Accept header chooses the format of /metrics; a malformed header gets text. */
#include <string.h>

#include "http/accept.h"
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
    check("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
          "encoding=delimited;q=0.5,application/openmetrics-text;q=0.4",
          om);
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

static const mf_test tests[] = {{"accept__follows_the_vectors", test_vectors}};
MF_TEST_MAIN(tests)
