/* Request targets of every form, and Host headers of friends and strangers. */
#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

static void check_path(const char *raw, const char *path, bool is_absolute)
{
    mfi_url url;
    mfi_url_read(&url, raw);
    mf_check_int(url.refusal, 0);
    mf_check_str(url.path, path);
    mf_check_int(url.is_absolute, is_absolute);
}

static void check_refusal(const char *raw, int code, const char *why)
{
    mfi_url url;
    mfi_url_read(&url, raw);
    mf_check_int(url.refusal, code);
    mf_check_contains(url.why != NULL ? url.why : "", why);
}

static void test_forms(void)
{
    check_path("/", "/", false);
    check_path("/livez", "/livez", false);
    check_path("/livez?verbose&a=/b", "/livez", false);
    check_path("/livez?", "/livez", false);
    check_path("//metrics", "//metrics", false);
    check_path("/http://x/y", "/http://x/y", false);
    check_path("*", "*", false);
    check_path("http://foo.example/livez", "/livez", true);
    check_path("HTTPS://[::1]:9464/livez?x", "/livez", true);
    check_path("http://foo.example:80/", "/", true);
    check_path("http://foo.example", "/", true);
    check_path("http://foo.example?x=/y", "/", true);
    static const char *const others[] = {"",        "livez",       "?",        "*x",
                                         "*?x",     "foo:80",      "ftp://a/", "http:/a/livez",
                                         "http://", "http:///etc", "http://?", "httpx://a/"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        check_refusal(others[i], 400, "neither a path nor an http URL");
    }
}

static void test_escapes(void)
{
    check_path("/%6Civez", "/livez", false);
    check_path("/%6c%69vez", "/livez", false);
    check_path("/%2e%2E/etc", "/../etc", false);
    check_path("/a%3Fb?c", "/a?b", false); /* no query begins at an escape */
    check_path("/a+b", "/a+b", false);
    check_path("/%", "/%", false);
    check_path("/%4", "/%4", false);
    check_path("/%4?1", "/%4", false);
    check_path("/%zz%4z", "/%zz%4z", false);
    check_path("/%2500", "/%00", false); /* decoded once */
    check_path("/\xff%fe", "/\xff\xfe", false);
    check_refusal("/livez%00x", 400, "zero byte");
    check_refusal("/livez?a=%00", 400, "zero byte");
    check_refusal("http://a/%00", 400, "zero byte");
}

/* A path of `length` bytes, each written as `unit`. */
static char *long_path(size_t length, const char *unit)
{
    char *raw = calloc(length + 1, strlen(unit));
    raw[0] = '/';
    for (size_t i = 1; i < length; i++) {
        memcpy(raw + strlen(raw), unit, strlen(unit));
    }
    return raw;
}

static void test_lengths(void)
{
    static const char *const units[] = {"a", "%61"};
    for (size_t i = 0; i < 2; i++) {
        mfi_url url;
        char *fits = long_path(MFI_URL_PATH_MAX, units[i]);
        char *longer = long_path(MFI_URL_PATH_MAX + 1, units[i]);
        mfi_url_read(&url, fits);
        mf_check_int(url.refusal, 0);
        mf_check_int(strlen(url.path), MFI_URL_PATH_MAX);
        check_refusal(longer, 414, "512");
        free(fits);
        free(longer);
    }
    char *huge = long_path(100000, "%61");
    check_refusal(huge, 414, "512");
    free(huge);
}

static char *with_arguments(size_t count)
{
    char *raw = calloc(count + 2, 4);
    memcpy(raw, "/a?", 4);
    for (size_t i = 0; i < count; i++) {
        memcpy(raw + strlen(raw), i == 0 ? "x=1" : "&x=1", i == 0 ? 4 : 5);
    }
    return raw;
}

static void test_arguments(void)
{
    char *most = with_arguments(MFI_URL_ARGUMENTS_MAX);
    char *more = with_arguments(MFI_URL_ARGUMENTS_MAX + 1);
    char *many = with_arguments(900);
    check_path(most, "/a", false);
    check_refusal(more, 400, "more than 64 arguments");
    check_refusal(many, 400, "more than 64 arguments");
    free(most);
    free(more);
    free(many);
}

static void check_hosts(const char *const *hosts, const char *const *names, mfi_url_host_kind kind)
{
    for (size_t i = 0; hosts[i] != NULL; i++) {
        if (!mf_check(mfi_url_host(hosts[i], names) == kind)) {
            (void)fprintf(stderr, "host '%.80s' is not of kind %d\n", hosts[i], (int)kind);
        }
    }
}

static void test_hosts(void)
{
    static const char *const local[] = {"localhost",
                                        "LOCALHOST:80",
                                        "localhost.",
                                        "a",
                                        "a.",
                                        "a:",
                                        "127.0.0.1",
                                        "10.0.0.7:80",
                                        "192.168.0.1.",
                                        "[::1]",
                                        "[::]",
                                        "[::1]:1",
                                        "[::1]:",
                                        "[fe80::1]:9464",
                                        "",
                                        ":80",
                                        NULL};
    static const char *const foreign[] = {"evil.example",
                                          "evil.example.:9464",
                                          "a.b",
                                          "127.0.0.1.x",
                                          "1.2.3",
                                          "256.0.0.1",
                                          ".",
                                          "..",
                                          NULL};
    static const char *const broken[] = {
        "a b", "a/b", "a@b", "a,b",    "a\\b", "a:x",  "a:1:2",      "::1",  "[::1", "[::1]x",
        "[a]", "[]",  "[",   "[::1]]", "a:1 ", "a\tb", "[::1%25lo]", "a:-1", NULL};
    check_hosts(local, NULL, MFI_URL_HOST_LOCAL);
    check_hosts(foreign, NULL, MFI_URL_HOST_FOREIGN);
    check_hosts(broken, NULL, MFI_URL_HOST_BROKEN);
}

static void test_configured_names(void)
{
    static const char *const names[] = {"api.example", "Metrics.Example", NULL};
    static const char *const none[] = {NULL};
    static const char *const ours[] = {"api.example", "API.example.:80", "metrics.example", NULL};
    static const char *const others[] = {"x.api.example", "api.example.org", "pi.example", NULL};
    check_hosts(ours, names, MFI_URL_HOST_LOCAL);
    check_hosts(others, names, MFI_URL_HOST_FOREIGN);
    check_hosts(ours, none, MFI_URL_HOST_FOREIGN);
}

static void test_huge_hosts(void)
{
    static char host[100000];
    memset(host, 'a', sizeof host - 1);
    mf_check_int(mfi_url_host(host, NULL), MFI_URL_HOST_BROKEN);
    host[0] = '[';
    mf_check_int(mfi_url_host(host, NULL), MFI_URL_HOST_BROKEN);
    memset(host, 'a', 255);
    host[255] = '\0';
    mf_check_int(mfi_url_host(host, NULL), MFI_URL_HOST_LOCAL);
    host[3] = '.';
    mf_check_int(mfi_url_host(host, NULL), MFI_URL_HOST_FOREIGN);
}

static void test_tokens(void)
{
    mf_check(mfi_url_is_token("Content-Length"));
    mf_check(mfi_url_is_token("x_1!"));
    mf_check(!mfi_url_is_token("Content-Length "));
    mf_check(!mfi_url_is_token("a:b"));
    mf_check(!mfi_url_is_token(""));
}

static const mf_test tests[] = {
    {"url__has_one_of_three_forms", test_forms},
    {"url__escapes_are_decoded_once", test_escapes},
    {"url__paths_are_bounded", test_lengths},
    {"url__arguments_are_bounded", test_arguments},
    {"host__is_local_foreign_or_broken", test_hosts},
    {"host__configured_names_are_local", test_configured_names},
    {"host__huge_ones_are_broken", test_huge_hosts},
    {"url__names_of_headers_are_tokens", test_tokens},
};
MF_TEST_MAIN(tests)
