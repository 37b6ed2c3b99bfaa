/* /health, /healthz and the probes: the bytes for a given evaluation. No thread evaluates anything
 * here: the table of checks is the test's own. */
#include "http/pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <multifrost/version.h>

#include "base/clock.h"
#include "mf_alloc.h"
#include "page_support.h"

#define JSON "application/health+json"
#define TEXT "text/plain; charset=utf-8"
#define NOT_FOUND(name)                                                                            \
    "{\"error\":{\"code\":404,\"status\":\"not_found\",\"message\":\"no check '" name "' "         \
    "here\"}}\n"

static mf_probe probe = {.info = {.service = "demo", .version = "1.2.3", .instance = "one"}};

static mfi_health evaluated(mfi_check *checks, size_t count)
{
    mfi_health health = {.probe = &probe,
                         .interval_ms = 1000,
                         .checks = checks,
                         .count = count,
                         .evaluated_ns = mfi_monotonic_ns(),
                         .evaluated_wall_ns = UINT64_C(1767225600123456789)};
    mfi_mutex_init(&health.mutex);
    return health;
}

static mfi_page_request request_for(mfi_health *health)
{
    mfi_page_request request = plain_request(&probe);
    request.health = health;
    return request;
}

/* One check of each kind: a number, a text, nothing but a status. */
static const mfi_check three[] = {
    {.name = "math:workers",
     .component_type = "component",
     .status = MF_HEALTH_WARN,
     .gates = MF_GATE_READY,
     .has_number = true,
     .number = 1.5,
     .unit = "workers",
     .output = "one \"of two\" is down"},
    {.name = "math:circuit",
     .component_type = "component",
     .status = MF_HEALTH_PASS,
     .gates = MF_GATE_READY | MF_GATE_STARTUP,
     .text = "closed",
     .unit = "state",
     .output = "not shown"},
    {.name = "process",
     .component_type = "system",
     .status = MF_HEALTH_PASS,
     .gates = MF_GATE_LIVE,
     .unit = "s"},
};

#define WORKERS                                                                                    \
    "\"math:workers\":[{\"componentType\":\"component\",\"status\":\"warn\","                      \
    "\"observedValue\":1.5,\"observedUnit\":\"workers\",\"time\":\"2026-01-01T00:00:00.123Z\","    \
    "\"output\":\"one \\\"of two\\\" is down\"}]"
#define CIRCUIT                                                                                    \
    "\"math:circuit\":[{\"componentType\":\"component\",\"status\":\"pass\","                      \
    "\"observedValue\":\"closed\",\"observedUnit\":\"state\","                                     \
    "\"time\":\"2026-01-01T00:00:00.123Z\"}]"
#define PROCESS                                                                                    \
    "\"process\":[{\"componentType\":\"system\",\"status\":\"pass\","                              \
    "\"time\":\"2026-01-01T00:00:00.123Z\"}]"
#define BODY(status, description, checks)                                                          \
    "{\"status\":\"" status "\",\"version\":\"1\",\"releaseId\":\"1.2.3\","                        \
    "\"serviceId\":\"demo\",\"description\":\"" description "\",\"checks\":{" checks "},"          \
    "\"links\":{\"circuits\":\"/circuits\",\"metrics\":\"/metrics\"}}"
#define DOWN "one \\\"of two\\\" is down"
#define PASS "all checks pass"

static void test_each_route_has_its_gate(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    check_page(mfi_page_health, &request, 200, JSON,
               BODY("warn", DOWN, WORKERS "," CIRCUIT "," PROCESS));
    check_page(mfi_page_readyz, &request, 200, JSON, BODY("warn", DOWN, WORKERS "," CIRCUIT));
    check_page(mfi_page_startupz, &request, 200, JSON, BODY("pass", PASS, CIRCUIT));
    check_page(mfi_page_livez, &request, 200, JSON, BODY("pass", PASS, PROCESS));
    check_page(mfi_page_healthz, &request, 200, TEXT, "ok\n");
    mfi_mutex_fini(&health.mutex);
}

/* A failing check fails its gates and /health, and nothing else. */
static void test_failing_checks_are_503(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    checks[0].status = MF_HEALTH_FAIL;
    request.verbose = true;
    check_page(mfi_page_readyz, &request, 503, TEXT,
               "[-]math:workers failed: one \"of two\" is down\n"
               "[+]math:circuit ok: not shown\nfail\n");
    check_page(mfi_page_livez, &request, 200, TEXT, "[+]process ok\npass\n");
    check_page(mfi_page_startupz, &request, 200, TEXT, "[+]math:circuit ok: not shown\npass\n");
    check_page(mfi_page_healthz, &request, 503, TEXT, "fail\n");
    request.verbose = false;
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_health(&request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, 503);
    mf_check_contains(text, "{\"status\":\"fail\",\"version\":\"1\"");
    free(text);
    mfi_mutex_fini(&health.mutex);
}

/* Only /health and /healthz warn by their code: orchestrators take it for a failure. */
static void test_warn_code(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    request.warn_code = 429;
    check_page(mfi_page_health, &request, 429, JSON,
               BODY("warn", DOWN, WORKERS "," CIRCUIT "," PROCESS));
    check_page(mfi_page_healthz, &request, 429, TEXT, "ok\n");
    check_page(mfi_page_readyz, &request, 200, JSON, BODY("warn", DOWN, WORKERS "," CIRCUIT));
    checks[0].status = MF_HEALTH_FAIL;
    check_page(mfi_page_healthz, &request, 503, TEXT, "fail\n");
    checks[0].status = MF_HEALTH_PASS;
    check_page(mfi_page_healthz, &request, 200, TEXT, "ok\n");
    mfi_mutex_fini(&health.mutex);
}

/* What does not pass says since when and which functions suffer; notes come from the program. */
static void test_since_affected_and_notes(void)
{
    char notes[2][MFI_NOTE_MAX] = {"draining no", "circuit math \"open\""};
    mfi_check checks[2];
    memcpy(checks, three, sizeof checks);
    mfi_health health = evaluated(checks, 2);
    mfi_page_request request = request_for(&health);
    health.notes = notes;
    health.note_count = 2;
    request.probes_only = true;
    for (int i = 0; i < 2; i++) {
        checks[i].since_wall_ns = UINT64_C(1767225599000000000);
    }
    checks[0].affected_count = 2;
    (void)strcpy(checks[0].affected[0], "add"); /* NOLINT: short names */
    (void)strcpy(checks[0].affected[1], "sub"); /* NOLINT: as above */
    check_page(
        mfi_page_health, &request, 200, JSON,
        "{\"status\":\"warn\",\"version\":\"1\",\"releaseId\":\"1.2.3\","
        "\"serviceId\":\"demo\",\"description\":\"" DOWN
        "; since 2025-12-31T23:59:59.000Z\",\"checks\":{"
        "\"math:workers\":[{\"componentType\":\"component\",\"status\":\"warn\","
        "\"observedValue\":1.5,\"observedUnit\":\"workers\","
        "\"time\":\"2026-01-01T00:00:00.123Z\",\"output\":\"" DOWN
        "; since 2025-12-31T23:59:59.000Z\",\"affectedEndpoints\":[\"add\",\"sub\"]}]," CIRCUIT
        "},\"notes\":[\"draining no\",\"circuit math \\\"open\\\"\"]}");
    request.verbose = true;
    check_page(mfi_page_health, &request, 200, TEXT,
               "[+]math:workers warn: one \"of two\" is down; since 2025-12-31T23:59:59.000Z\n"
               "[+]math:circuit ok: not shown\nwarn\n");
    mfi_mutex_fini(&health.mutex);
}

/* A check of the program need not say why; the description then says which one it is. */
static void test_a_check_without_output(void)
{
    mfi_check check = three[2];
    mfi_health health = evaluated(&check, 1);
    mfi_page_request request = request_for(&health);
    check.status = MF_HEALTH_FAIL;
    check.since_wall_ns = UINT64_C(1767225599000000000);
    request.probes_only = true;
    check_page(mfi_page_livez, &request, 503, JSON,
               "{\"status\":\"fail\",\"version\":\"1\",\"releaseId\":\"1.2.3\","
               "\"serviceId\":\"demo\",\"description\":\"process fails; since "
               "2025-12-31T23:59:59.000Z\",\"checks\":{\"process\":[{\"componentType\":\"system\","
               "\"status\":\"fail\",\"time\":\"2026-01-01T00:00:00.123Z\"}]}}");
    request.verbose = true;
    check_page(mfi_page_livez, &request, 503, TEXT,
               "[-]process failed; since 2025-12-31T23:59:59.000Z\nfail\n");
    mfi_mutex_fini(&health.mutex);
}

static void test_nothing_to_check(void)
{
    mfi_health health = evaluated(NULL, 0);
    mfi_page_request request = request_for(&health);
    static const page_fn pages[] = {mfi_page_health, mfi_page_livez, mfi_page_readyz,
                                    mfi_page_startupz};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        request.verbose = false;
        check_page(pages[i], &request, 200, JSON, BODY("pass", PASS, ""));
        request.verbose = true;
        check_page(pages[i], &request, 200, TEXT, "pass\n");
    }
    check_page(mfi_page_healthz, &request, 200, TEXT, "ok\n");
    request.rest = "math";
    check_page(mfi_page_health, &request, 404, "application/json", NOT_FOUND("math"));
    mfi_mutex_fini(&health.mutex);
}

/* ?verbose and "Accept: text/plain" ask for text; every other Accept gets JSON. */
static void test_text_or_json(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    static const char text[] = "[+]math:workers warn: one \"of two\" is down\n"
                               "[+]math:circuit ok: not shown\nwarn\n";
    static const char json[] = BODY("warn", DOWN, WORKERS "," CIRCUIT);
    request.accept = "text/plain";
    check_page(mfi_page_readyz, &request, 200, TEXT, text);
    request.accept = "text/plain;q=0.9, */*";
    check_page(mfi_page_readyz, &request, 200, TEXT, text);
    request.accept = "*/*";
    check_page(mfi_page_readyz, &request, 200, JSON, json);
    request.accept = "application/json, text/plain";
    check_page(mfi_page_readyz, &request, 200, JSON, json);
    request.accept = "";
    check_page(mfi_page_readyz, &request, 200, JSON, json);
    request.accept = "application/json";
    request.verbose = true;
    check_page(mfi_page_readyz, &request, 200, TEXT, text);
    mfi_mutex_fini(&health.mutex);
}

static void test_one_check(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    request.rest = "math:circuit";
    check_page(mfi_page_readyz, &request, 200, JSON, BODY("pass", PASS, CIRCUIT));
    check_page(mfi_page_health, &request, 200, JSON, BODY("pass", PASS, CIRCUIT));
    /* Not one of this gate's. */
    check_page(mfi_page_livez, &request, 404, "application/json", NOT_FOUND("math:circuit"));
    request.rest = "math";
    check_page(mfi_page_health, &request, 404, "application/json", NOT_FOUND("math"));
    request.rest = "\"\n";
    check_page(mfi_page_health, &request, 404, "application/json", NOT_FOUND("\\\"\\n"));
    mfi_mutex_fini(&health.mutex);
}

static void test_excluded_checks(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    checks[0].status = MF_HEALTH_FAIL;
    request.verbose = true;
    request.excluded = (const char *const[]){"math:workers", NULL};
    check_page(mfi_page_readyz, &request, 200, TEXT, "[+]math:circuit ok: not shown\npass\n");
    request.excluded = (const char *const[]){"math", "", "math:circuit", NULL};
    check_page(mfi_page_readyz, &request, 503, TEXT,
               "[-]math:workers failed: one \"of two\" is down\n"
               "[!]no check 'math' here to exclude\nfail\n");
    request.excluded = (const char *const[]){"math:workers", "math:circuit", "process", NULL};
    check_page(mfi_page_health, &request, 200, TEXT, "pass\n");
    check_page(mfi_page_healthz, &request, 200, TEXT, "ok\n");
    request.rest = "process"; /* asked for and excluded at once */
    check_page(mfi_page_health, &request, 404, "application/json", NOT_FOUND("process"));
    mfi_mutex_fini(&health.mutex);
}

/* Names that no check has are told, and change nothing else. A check of another gate is none. */
static void test_unknown_exclusions_are_noted(void)
{
    static const char *many[18];
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    request.excluded = (const char *const[]){"process", "nope", "math:workers", "\"\n\xff", NULL};
    mfi_page page = {.code = 0, .age_ms = -1};
    mfi_page_readyz(&request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, 200);
    mf_check_contains(text, "\"checks\":{\"math:circuit\":[{");
    mf_check_contains(text, "]},\"notes\":[\"no check 'process' here to exclude\","
                            "\"no check 'nope' here to exclude\",\"no check '");
    mf_check_contains(text, "],\"links\":{");
    free(text);
    request.verbose = true;
    request.excluded = (const char *const[]){"nope", NULL};
    check_page(mfi_page_livez, &request, 200, TEXT,
               "[+]process ok\n[!]no check 'nope' here to exclude\npass\n");
    check_page(mfi_page_healthz, &request, 200, TEXT, "ok\n");
    for (size_t i = 0; i < 17; i++) {
        many[i] = "x";
    }
    request.excluded = many; /* more than a query can have: the first sixteen are told */
    page = (mfi_page){.code = 0, .age_ms = -1};
    mfi_page_livez(&request, &page);
    text = body_of(&page);
    size_t notes = 0;
    for (const char *at = text; (at = strstr(at, "[!]")) != NULL; at++) {
        notes++;
    }
    mf_check_int(notes, 16);
    free(text);
    mfi_mutex_fini(&health.mutex);
}

/* Numbers that JSON has not are left out; a unit needs a value; a text goes before a number. */
static void test_values(void)
{
    mfi_check check = {.name = "a", .component_type = "system", .has_number = true, .unit = "s"};
    mfi_health health = evaluated(&check, 1);
    mfi_page_request request = request_for(&health);
    static const char time[] = "\"time\":\"2026-01-01T00:00:00.123Z\"";
    const struct {
        double number;
        const char *text, *part;
    } cases[] = {
        {0, "", "\"status\":\"pass\",\"observedValue\":0,\"observedUnit\":\"s\",\"time\""},
        {-0.25, "", "\"status\":\"pass\",\"observedValue\":-0.25,\"observedUnit\":\"s\",\"time\""},
        {7, "seven",
         "\"status\":\"pass\",\"observedValue\":\"seven\",\"observedUnit\":\"s\",\"time\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        check.number = cases[i].number;
        (void)strcpy(check.text, cases[i].text);
        mfi_page_health(&request, &page);
        char *text = body_of(&page);
        mf_check_contains(text, cases[i].part);
        mf_check_contains(text, time);
        free(text);
    }
    static const double none[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    check.text[0] = '\0';
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        check.number = none[i];
        mfi_page_health(&request, &page);
        char *text = body_of(&page);
        mf_check_contains(text, "{\"componentType\":\"system\",\"status\":\"pass\",\"time\"");
        free(text);
    }
    mfi_mutex_fini(&health.mutex);
}

/* Without a version of its own the service shows the library's. */
static void test_release(void)
{
    mfi_health health = evaluated(NULL, 0);
    mf_probe nameless = {.info = {.service = "s", .version = ""}};
    mfi_page_request request = plain_request(&nameless);
    request.health = &health;
    for (int i = 0; i < 2; i++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        nameless.info.version = i == 0 ? "" : NULL;
        mfi_page_health(&request, &page);
        char *text = body_of(&page);
        mf_check_contains(text, "\"releaseId\":\"" MF_VERSION_STRING "\",\"serviceId\":\"s\"");
        free(text);
    }
    mfi_mutex_fini(&health.mutex);
}

/* An evaluation that does not end fails /livez and /health, and says for how long. */
static void test_stuck_evaluation(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    mfi_page_request request = request_for(&health);
    request.verbose = true;
    /* Less than the interval and ten seconds by far more than a test takes, and more than them. */
    health.interval_ms = 600000;
    health.evaluated_ns = mfi_monotonic_ns() - 60 * MFI_NS_PER_S;
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_livez(&request, &page);
    mf_check(page.age_ms >= 60000);
    char *text = body_of(&page);
    mf_check_str(text, "[+]process ok\npass\n");
    free(text);
    health.interval_ms = 1000;
    page = (mfi_page){.code = 200, .age_ms = -1};
    mfi_page_livez(&request, &page);
    text = body_of(&page);
    mf_check_int(page.code, 503);
    mf_check_contains(text, "[+]process ok\n[-]health:evaluation failed: the health checks have "
                            "not been evaluated for ");
    mf_check_contains(text, " s\nfail\n");
    free(text);
    check_page(mfi_page_healthz, &request, 503, TEXT, "fail\n");
    check_page(mfi_page_startupz, &request, 200, TEXT, "[+]math:circuit ok: not shown\npass\n");
    request.excluded = (const char *const[]){"health:evaluation", NULL};
    check_page(mfi_page_livez, &request, 200, TEXT, "[+]process ok\npass\n");
    mfi_mutex_fini(&health.mutex);
}

/* Each allocation of a page fails once: there is the whole body, none, or a 500. */
static void test_without_memory(void)
{
    mfi_check checks[3];
    memcpy(checks, three, sizeof three);
    mfi_health health = evaluated(checks, 3);
    static const page_fn pages[] = {mfi_page_health, mfi_page_healthz, mfi_page_health};
    cJSON_Hooks hooks = {.malloc_fn = mf_alloc_malloc, .free_fn = free};
    static const char *const wanted[] = {
        "[+]math:workers warn: one \"of two\" is down\n[+]math:circuit ok: not shown\n"
        "[+]process ok\nwarn\n",
        "ok\n", BODY("warn", DOWN, WORKERS "," CIRCUIT "," PROCESS)};
    cJSON_InitHooks(&hooks);
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        mfi_page_request request = request_for(&health);
        bool reached = true;
        long failed = 0;
        request.verbose = i == 0;
        for (long n = 0; reached; n++) {
            mfi_page page = {.code = 200, .age_ms = -1};
            mf_alloc_fail_at(n);
            pages[i](&request, &page);
            reached = mf_alloc_stop();
            bool whole = page.body != NULL && page.code == 200;
            failed += !whole;
            char *text = body_of(&page);
            if (whole) {
                mf_check_str(text, wanted[i]);
            }
            free(text);
        }
        mf_check(failed > 0);
    }
    cJSON_InitHooks(NULL);
    mfi_mutex_fini(&health.mutex);
}

static const mf_test tests[] = {
    {"health_pages__warn_code", test_warn_code},
    {"health_pages__since_affected_and_notes", test_since_affected_and_notes},
    {"health_pages__a_check_without_output", test_a_check_without_output},
    {"health__each_route_has_its_gate", test_each_route_has_its_gate},
    {"health__failing_checks_are_503", test_failing_checks_are_503},
    {"health__nothing_to_check_passes", test_nothing_to_check},
    {"health__text_or_json_as_asked_for", test_text_or_json},
    {"health__one_check_alone", test_one_check},
    {"health__excluded_checks_do_not_count", test_excluded_checks},
    {"health__unknown_exclusions_are_noted", test_unknown_exclusions_are_noted},
    {"health__values_are_what_json_can_say", test_values},
    {"health__release_is_the_library_s_by_default", test_release},
    {"health__stuck_evaluation_fails", test_stuck_evaluation},
    {"health__page_is_whole_or_none_without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
