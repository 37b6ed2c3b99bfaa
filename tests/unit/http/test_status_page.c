/* The status page and its files. At one address browsers get the page and machines get JSON. */
#include "http/status_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/accept.h"
#include "http/page_files.h"
#include "metrics/evaluation.h"
#include "page_support.h"

#define HTML "text/html; charset=utf-8"
#define CHROME                                                                                     \
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"      \
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
#define PROMETHEUS                                                                                 \
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"

static void test_who_prefers_html(void)
{
    static const char *const people[] = {CHROME, "text/html", "TEXT/HTML;q=0.1, */*",
                                         "text/html, application/json",
                                         "application/json;q=0.5, text/html"};
    static const char *const machines[] = {NULL,
                                           "", /* Kubernetes, which sends no header or the next */
                                           "*/*", /* curl */
                                           PROMETHEUS,
                                           "application/json",
                                           "application/json, text/html",
                                           "application/health+json, text/html",
                                           "text/html;q=0.5, application/json",
                                           "text/html;q=0",
                                           "text/*",
                                           "text/htmlx",
                                           ";;;,q="};
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        mf_check(mfi_accept_prefers_html(people[i]));
    }
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        mf_check(!mfi_accept_prefers_html(machines[i]));
    }
}

static void test_index(void)
{
    const mf_probe probe = {.info = {.service = "a<b>&\"c'"}};
    mfi_page_request request = plain_request(&probe);
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_index(&request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, 200);
    mf_check_str(page.type, HTML);
    mf_check_contains(text, "<title>a&lt;b&gt;&amp;&quot;c'</title>");
    mf_check_contains(text, "<h1 id=\"service\">a&lt;b&gt;&amp;&quot;c'</h1>");
    mf_check(strstr(text, "{{") == NULL);
    mf_check_str(page.policy, "default-src 'none'; style-src 'self'; script-src 'self'; "
                              "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
                              "form-action 'none'; frame-ancestors 'none'");
    free(text);
}

static void test_files(void)
{
    const mf_probe probe = {.info = {.service = "s"}};
    mfi_page_request request = plain_request(&probe);
    check_page(mfi_page_style, &request, 200, "text/css; charset=utf-8", mfi_page_css.bytes);
    check_page(mfi_page_script, &request, 200, "text/javascript; charset=utf-8", mfi_page_js.bytes);
    mf_check_int(strlen(mfi_page_js.bytes), mfi_page_js.size);
    mf_check(mfi_page_html.size + mfi_page_css.size + mfi_page_js.size < 80000);
}

/* ---- People and machines ---- */

static void visit_circuits(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    const mf_circuit_row row = {.struct_size = sizeof row, .target = "math", .state = "closed"};
    (void)self;
    visit(&row, user_data);
}

static void check_asked(page_fn get, mfi_page_request *request, const char *accept, int code,
                        const char *type)
{
    mfi_page page = {.code = 200, .age_ms = -1};
    request->accept = accept;
    get(request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, code);
    mf_check_str(page.type, type);
    mf_check((page.policy != NULL) == (strcmp(type, HTML) == 0));
    mf_check((strstr(text, "<!doctype html>") == text) == (page.policy != NULL));
    free(text);
}

/* A failing service is a failure for a monitor that takes HTML, too. */
static void test_health_for_people(void)
{
    const mf_probe probe = {.info = {.service = "s"}};
    mfi_check check = {.name = "a:b", .component_type = "component"};
    mfi_health health = {.probe = &probe,
                         .interval_ms = 1000,
                         .checks = &check,
                         .count = 1,
                         .evaluated_ns = mfi_monotonic_ns()};
    mfi_page_request request = plain_request(&probe);
    static const mfi_page_argument asked = {"json", ""};
    mfi_mutex_init(&health.mutex);
    request.health = &health;
    check_asked(mfi_page_health, &request, CHROME, 200, HTML);
    check_asked(mfi_page_health, &request, "*/*", 200, "application/health+json");
    check_asked(mfi_page_health, &request, NULL, 200, "application/health+json");
    check.status = MF_HEALTH_FAIL;
    check_asked(mfi_page_health, &request, CHROME, 503, HTML);
    check_asked(mfi_page_livez, &request, CHROME, 200, "application/health+json");
    request.rest = "nobody";
    check_asked(mfi_page_health, &request, CHROME, 404, "application/json");
    request.rest = "";
    request.arguments = &asked;
    request.argument_count = 1;
    check_asked(mfi_page_health, &request, CHROME, 503, "application/health+json");
    mfi_mutex_fini(&health.mutex);
}

static void test_circuits_for_people(void)
{
    const mf_probe probe = {.info = {.service = "s"}, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    check_asked(mfi_page_circuits, &request, CHROME, 200, HTML);
    check_asked(mfi_page_circuits, &request, PROMETHEUS, 200, "application/json");
    request.rest = "math";
    check_asked(mfi_page_circuits, &request, CHROME, 200, HTML);
    request.rest = "nobody";
    check_asked(mfi_page_circuits, &request, CHROME, 404, "application/json");
}

static const mf_test tests[] = {
    {"status_page__who_prefers_html", test_who_prefers_html},
    {"status_page__index_names_the_service", test_index},
    {"status_page__files_are_served_whole", test_files},
    {"status_page__health_for_people", test_health_for_people},
    {"status_page__circuits_for_people", test_circuits_for_people},
};
MF_TEST_MAIN(tests)
