/* The small pages: errors, and the metrics in the format that is asked for. */
#include "http/pages.h"

#include <stdlib.h>
#include <string.h>

#include "metrics/exposition.h"
#include "mf_alloc.h"
#include "page_support.h"

static void check_error(int code, const char *message, const char *wanted)
{
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_error(&page, code, "%s", message);
    char *text = body_of(&page);
    mf_check_int(page.code, code);
    mf_check_str(page.type, "application/json");
    mf_check_str(text, wanted);
    free(text);
}

static void test_errors_name_their_code(void)
{
    static const struct {
        int code;
        const char *wanted;
    } cases[] = {
        {400, "{\"error\":{\"code\":400,\"status\":\"bad_request\",\"message\":\"m\"}}\n"},
        {404, "{\"error\":{\"code\":404,\"status\":\"not_found\",\"message\":\"m\"}}\n"},
        {405, "{\"error\":{\"code\":405,\"status\":\"method_not_allowed\",\"message\":\"m\"}}\n"},
        {413, "{\"error\":{\"code\":413,\"status\":\"content_too_large\",\"message\":\"m\"}}\n"},
        {421, "{\"error\":{\"code\":421,\"status\":\"misdirected_request\",\"message\":\"m\"}}\n"},
        {501, "{\"error\":{\"code\":501,\"status\":\"not_implemented\",\"message\":\"m\"}}\n"},
        {503, "{\"error\":{\"code\":503,\"status\":\"unavailable\",\"message\":\"m\"}}\n"},
        {414, "{\"error\":{\"code\":414,\"status\":\"uri_too_long\",\"message\":\"m\"}}\n"},
        {500, "{\"error\":{\"code\":500,\"status\":\"internal\",\"message\":\"m\"}}\n"},
        {418, "{\"error\":{\"code\":418,\"status\":\"internal\",\"message\":\"m\"}}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_error(cases[i].code, "m", cases[i].wanted);
    }
}

/* What a client sent is shown, and can break nothing. */
static void test_errors_are_cleaned_and_cut(void)
{
    char message[600], wanted[700];
    check_error(404, "a\"b\\c\n\x01\xff<&>",
                "{\"error\":{\"code\":404,\"status\":\"not_found\",\"message\":"
                "\"a\\\"b\\\\c\\n\\u0001\xef\xbf\xbd<&>\"}}\n");
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    size_t length = strlen("{\"error\":{\"code\":404,\"status\":\"not_found\",\"message\":\"");
    memcpy(wanted, "{\"error\":{\"code\":404,\"status\":\"not_found\",\"message\":\"", length);
    memcpy(wanted + length, message, 511);
    memcpy(wanted + length + 511, "\"}}\n", sizeof "\"}}\n");
    check_error(404, message, wanted);
}

#define OWN                                                                                        \
    "# HELP multifrost_series Series now\n"                                                        \
    "# TYPE multifrost_series gauge\n"                                                             \
    "multifrost_series 3\n"                                                                        \
    "# HELP multifrost_series_limit Cap on the number of series\n"                                 \
    "# TYPE multifrost_series_limit gauge\n"                                                       \
    "multifrost_series_limit 50000\n"

static mf_metrics *metrics_with_a_counter(void)
{
    mf_metrics *metrics = NULL;
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_COUNTER;
    options.name = "jobs_total";
    options.help = "Jobs";
    char *text = NULL;
    size_t length = 0;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mf_metrics_add(metrics, &options, &family, NULL), MF_OK);
    mf_counter_add(mf_family_counter(family, NULL), 7);
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, &length, NULL), MF_OK);
    free(text); /* now the set's own series are there too */
    return metrics;
}

static void test_metrics_are_as_asked_for(void)
{
    static const char text[] = "# HELP jobs_total Jobs\n# TYPE jobs_total counter\n"
                               "jobs_total 7\n" OWN;
    static const char openmetrics[] = "# HELP jobs Jobs\n# TYPE jobs counter\n"
                                      "jobs_total 7\n" OWN "# EOF\n";
    static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char openmetrics_type[] =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
    mf_metrics *metrics = metrics_with_a_counter();
    mf_probe probe = {.metrics = metrics, .info = {.service = "s"}};
    mfi_page_request request = plain_request(&probe);
    check_page(mfi_page_metrics, &request, 200, text_type, text);
    request.accept = "";
    check_page(mfi_page_metrics, &request, 200, text_type, text);
    request.accept = "image/png";
    check_page(mfi_page_metrics, &request, 200, text_type, text);
    request.accept = "application/openmetrics-text";
    check_page(mfi_page_metrics, &request, 200, openmetrics_type, openmetrics);
    request.accept = "text/plain;q=0.5, application/openmetrics-text;q=0.9";
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_metrics(&request, &page);
    mf_check_str(page.vary, "Accept, Accept-Encoding");
    mf_check_int(page.age_ms, -1);
    mf_check_str(page.type, openmetrics_type);
    free(body_of(&page));
    mf_metrics_destroy(metrics);
}

/* Asks for the metrics in one format, with renderings that others may have brought. */
static mfi_page shared_page(const mf_probe *probe, mfi_scrapes *scrapes, const char *accept)
{
    mfi_page_request request = plain_request(probe);
    mfi_page page = {.code = 200, .age_ms = -1};
    request.scrapes = scrapes;
    request.accept = accept;
    mfi_page_metrics(&request, &page);
    return page;
}

/* Requests that share get copies of one rendering for each format, and only the first one measures
 * it. */
static void test_scrapes_are_shared(void)
{
    static const char om[] = "application/openmetrics-text";
    mf_metrics *metrics = metrics_with_a_counter();
    mf_probe probe = {.metrics = metrics, .info = {.service = "s"}};
    mfi_scrapes scrapes = {.of = {{.body = NULL}}};
    mfi_page first = shared_page(&probe, &scrapes, NULL);
    mf_family *late = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_GAUGE;
    options.name = "late";
    options.help = "Comes after the rendering";
    mf_check_int(mf_metrics_add(metrics, &options, &late, NULL), MF_OK);
    mf_gauge_set(mf_family_gauge(late, NULL), 1);
    mfi_page second = shared_page(&probe, &scrapes, "text/plain");
    mfi_page other = shared_page(&probe, &scrapes, om);
    mfi_page alone = shared_page(&probe, NULL, NULL);
    mf_check(first.made_ns != 0 && second.made_ns == 0);
    mf_check(other.made_ns != 0 && alone.made_ns != 0);
    mf_check(first.body != second.body);
    char *texts[] = {body_of(&first), body_of(&second), body_of(&other), body_of(&alone)};
    mf_check_str(texts[1], texts[0]);
    mf_check_str(scrapes.of[MF_METRICS_PROMETHEUS_TEXT].body, texts[0]);
    mf_check_contains(texts[2], "# EOF\n");
    mf_check_contains(texts[3], "\nlate 1\n");
    mf_check(strstr(texts[0], "late") == NULL);
    for (size_t i = 0; i < 4; i++) {
        free(texts[i]);
    }
    free(scrapes.of[0].body);
    free(scrapes.of[1].body);
    mf_metrics_destroy(metrics);
}

/* Families that one client chose are for that client alone, whatever others brought. */
static void test_chosen_families_are_not_shared(void)
{
    static const char *const names[] = {"jobs_total", "none", "jobs_total", NULL};
    static const char *const unknown[] = {"none", NULL};
    static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";
    mf_metrics *metrics = metrics_with_a_counter();
    mf_probe probe = {.metrics = metrics, .info = {.service = "s"}};
    mfi_scrapes scrapes = {.of = {{.body = NULL}}};
    mfi_page_request request = plain_request(&probe);
    request.scrapes = &scrapes;
    for (int i = 0; i < 2; i++) { /* before and after a complete rendering */
        request.names = names;
        check_page(mfi_page_metrics, &request, 200, text_type,
                   "# HELP jobs_total Jobs\n# TYPE jobs_total counter\njobs_total 7\n");
        request.names = unknown;
        check_page(mfi_page_metrics, &request, 200, text_type, "");
        request.names = names;
        mfi_page page = {.code = 200, .age_ms = -1};
        mfi_page_metrics(&request, &page);
        mf_check(page.made_ns == 0); /* no measure of the whole */
        free(body_of(&page));
        mf_check((scrapes.of[MF_METRICS_PROMETHEUS_TEXT].body != NULL) == (i == 1));
        page = shared_page(&probe, &scrapes, NULL);
        free(body_of(&page));
    }
    free(scrapes.of[MF_METRICS_PROMETHEUS_TEXT].body);
    mf_metrics_destroy(metrics);
}

static void count_collection(void *user_data)
{
    ++*(int *)user_data;
}

/* A client that waited too long gets no collection of its own, and others do not get its page. */
static void test_late_scrapes_show_what_is_there(void)
{
    int collections = 0;
    mf_metrics *metrics = metrics_with_a_counter();
    mf_probe probe = {.metrics = metrics, .info = {.service = "s"}};
    mfi_scrapes scrapes = {.of = {{.body = NULL}}};
    mfi_page_request request = plain_request(&probe);
    mf_check_int(mf_metrics_add_collector(metrics, count_collection, &collections, NULL), MF_OK);
    request.scrapes = &scrapes;
    request.answer_by_ns = 1;
    mfi_page late = {.code = 200, .age_ms = -1};
    mfi_page_metrics(&request, &late);
    mf_check(late.is_partial && late.made_ns != 0 && collections == 0);
    mf_check(scrapes.of[MF_METRICS_PROMETHEUS_TEXT].body == NULL);
    char *text = body_of(&late);
    mf_check_contains(text, "\njobs_total 7\n");
    free(text);
    request.answer_by_ns = UINT64_MAX;
    mfi_page timely = {.code = 200, .age_ms = -1};
    mfi_page_metrics(&request, &timely);
    mf_check(!timely.is_partial && collections == 1);
    free(body_of(&timely));
    request.answer_by_ns = 1;
    late = (mfi_page){.code = 200, .age_ms = -1};
    mfi_page_metrics(&request, &late);
    mf_check(!late.is_partial && collections == 1); /* the other one's page was there */
    free(body_of(&late));
    free(scrapes.of[MF_METRICS_PROMETHEUS_TEXT].body);
    mf_metrics_destroy(metrics);
}

/* Each format is shared by itself; a build without protobuf answers with text. */
static void test_protobuf_is_a_format_of_its_own(void)
{
    static const char asked[] = "application/vnd.google.protobuf;encoding=delimited;"
                                "proto=io.prometheus.client.MetricFamily";
    bool has = mfi_exposition_has(MF_METRICS_PROTOBUF);
    mf_metrics *metrics = metrics_with_a_counter();
    mf_probe probe = {.metrics = metrics, .info = {.service = "s"}};
    mfi_scrapes scrapes = {.of = {{.body = NULL}}};
    mfi_page text = shared_page(&probe, &scrapes, NULL);
    mfi_page first = shared_page(&probe, &scrapes, asked);
    mfi_page second = shared_page(&probe, &scrapes, asked);
    mf_check_str(text.format, "text");
    mf_check_str(first.format, has ? "proto" : "text");
    mf_check((first.made_ns != 0) == has && second.made_ns == 0);
    mf_check(first.size == second.size && memcmp(first.body, second.body, first.size) == 0);
    mf_check((first.size != text.size) == has);
    free(text.body);
    free(first.body);
    free(second.body);
    for (size_t i = 0; i < sizeof scrapes.of / sizeof scrapes.of[0]; i++) {
        free(scrapes.of[i].body);
    }
    mf_metrics_destroy(metrics);
}

/* Each allocation of a page fails once: the page is whole, or it says 500. */
static long fail_each(page_fn get, const mfi_page_request *request)
{
    mfi_page page = {.code = 200, .age_ms = -1};
    get(request, &page);
    char *wanted = body_of(&page);
    long failed = 0;
    bool reached = true;
    for (long n = 0; reached; n++) {
        page = (mfi_page){.code = 200, .age_ms = -1};
        mf_alloc_fail_at(n);
        get(request, &page);
        reached = mf_alloc_stop();
        char *text = body_of(&page);
        if (page.code == 200) {
            mf_check_str(text, wanted);
        } else {
            mf_check_int(page.code, 500);
            failed++;
        }
        free(text);
    }
    free(wanted);
    return failed;
}

static void test_pages_are_whole_or_500(void)
{
    mf_metrics *metrics = metrics_with_a_counter();
    mf_probe probe = {.metrics = metrics, .info = {.service = "s"}};
    mfi_page_request request = plain_request(&probe);
    mf_check(fail_each(mfi_page_index, &request) > 0);
    mf_check(fail_each(mfi_page_metrics, &request) > 0);
    mf_alloc_fail_at(0);
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_metrics(&request, &page);
    mf_check(mf_alloc_stop());
    char *text = body_of(&page);
    mf_check_int(page.code, 500);
    mf_check_str(text, "{\"error\":{\"code\":500,\"status\":\"internal\","
                       "\"message\":\"no memory for the metrics\"}}\n");
    free(text);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"error__names_its_code", test_errors_name_their_code},
    {"error__is_cleaned_and_cut", test_errors_are_cleaned_and_cut},
    {"metrics__are_as_asked_for", test_metrics_are_as_asked_for},
    {"metrics__scrapes_share_a_rendering", test_scrapes_are_shared},
    {"metrics__chosen_families_are_not_shared", test_chosen_families_are_not_shared},
    {"metrics__late_scrapes_show_what_is_there", test_late_scrapes_show_what_is_there},
    {"metrics__protobuf_is_a_format_of_its_own", test_protobuf_is_a_format_of_its_own},
    {"pages__are_whole_or_500_without_memory", test_pages_are_whole_or_500},
};
MF_TEST_MAIN(tests)
