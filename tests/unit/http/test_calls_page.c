/* /calls: the bytes for given rows, what a query asks of the probe, and its refusals. */
#include "http/pages.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "mf_alloc.h"
#include "page_support.h"

/* What the probe of a test shows, and what it was asked for. */
typedef struct shown {
    const mf_call_row *rows;
    size_t count;
    bool is_off, has_no_memory;
    mf_call_query asked;
} shown;

static bool visit_calls(void *self, const mf_call_query *query, mf_call_visit_fn visit,
                        void *user_data, mf_call_counts *ret_counts)
{
    shown *at = self;
    at->asked = *query;
    *ret_counts = (mf_call_counts){.struct_size = sizeof *ret_counts};
    if (at->is_off) {
        return false;
    }
    *ret_counts = (mf_call_counts){.struct_size = sizeof *ret_counts,
                                   .matched = 5,
                                   .shown = at->count,
                                   .not_shown = 3,
                                   .overwritten = 7,
                                   .unreadable = 1,
                                   .kept_seconds = 600};
    for (size_t i = 0; i < at->count && !at->has_no_memory; i++) {
        visit(&at->rows[i], user_data);
    }
    return !at->has_no_memory;
}

static const char *const statuses[] = {"ok", "app_error", "timeout", NULL};

static mf_probe probe_of(shown *at)
{
    return (mf_probe){.struct_size = sizeof(mf_probe),
                      .self = at,
                      .visit_calls = visit_calls,
                      .call_statuses = statuses};
}

static mf_call_row row_of(const char *function)
{
    return (mf_call_row){.struct_size = sizeof(mf_call_row),
                         .role = "client",
                         .phase = "sent",
                         .function = function,
                         .attempt = 1,
                         .start_wall_ns = UINT64_C(1767225600123456789),
                         .age_seconds = 1.5,
                         .retry_in_seconds = -1,
                         .send_wait_seconds = -1,
                         .wire_seconds = -1,
                         .peer_queue_seconds = -1,
                         .handler_seconds = -1,
                         .receive_wait_seconds = -1};
}

/* Everything that a row can say. */
static mf_call_row full_row(void)
{
    mf_call_row row = row_of("add \"\xff\"");
    row.phase = "ended";
    row.target = "math";
    row.worker = "math-0";
    row.namespace_name = "default";
    row.correlation_id = "order-1";
    row.trace_id = "0af7651916cd43dd8448eb211c80319c";
    row.span_id = "b7ad6b7169203331";
    row.request_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    row.has_deadline = true;
    row.deadline_left_seconds = -0.5;
    row.status = "timeout";
    row.error = "too late";
    row.send_wait_seconds = 0;
    row.wire_seconds = 0.25;
    row.peer_queue_seconds = 0.5;
    row.handler_seconds = 0.125;
    row.receive_wait_seconds = 0.625;
    row.handler_on_cpu_seconds = 0.0625;
    row.handler_runnable_seconds = 0;
    row.handler_blocked_seconds = 0.0625;
    row.handler_sampled_one_in = 64;
    row.request_bytes = 10;
    row.response_bytes = 20;
    return row;
}

/* The page, without the time, which differs. For free(). */
static char *page_for(shown *at, const mfi_page_argument *arguments, size_t count, int code)
{
    mf_probe probe = probe_of(at);
    mfi_page_request request = plain_request(&probe);
    mfi_page page = {.code = 200, .age_ms = -1};
    request.arguments = arguments;
    request.argument_count = count;
    mfi_page_calls(&request, &page);
    mf_check_int(page.code, code);
    char *body = body_of(&page);
    char *time = strstr(body, "\"time\":\"");
    char *behind = time != NULL ? strchr(time + 8, '"') : NULL;
    if (behind != NULL) {
        memmove(time + 8, behind, strlen(behind) + 1);
    }
    return body;
}

static void check_body(shown *at, const mfi_page_argument *arguments, size_t count, int code,
                       const char *wanted)
{
    char *body = page_for(at, arguments, count, code);
    mf_check_str(body, wanted);
    free(body);
}

static void test_rows_become_json(void)
{
    mf_call_row rows[] = {row_of("sub"), full_row()};
    shown at = {.rows = rows, .count = 2};
    check_body(&at, NULL, 0, 200,
               "{\"schema\":\"multifrost.calls/1\",\"time\":\"\",\"view\":\"open\",\"calls\":["
               "{\"function\":\"sub\",\"role\":\"client\",\"phase\":\"sent\","
               "\"start\":\"2026-01-01T00:00:00.123Z\",\"age_seconds\":1.5,\"attempt\":1},"
               "{\"function\":\"add \\\"\xef\xbf\xbd\\\"\",\"namespace\":\"default\","
               "\"target\":\"math\",\"worker\":\"math-0\",\"role\":\"client\",\"phase\":\"ended\","
               "\"start\":\"2026-01-01T00:00:00.123Z\",\"duration_seconds\":1.5,"
               "\"deadline_left_seconds\":-0.5,\"attempt\":1,\"status\":\"timeout\","
               "\"error\":\"too late\",\"correlation_id\":\"order-1\","
               "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\","
               "\"span_id\":\"b7ad6b7169203331\","
               "\"request_id\":\"6ba7b810-9dad-41d1-80b4-00c04fd430c8\","
               "\"phases\":{\"send_wait\":0,\"wire\":0.25,\"peer_queue\":0.5,\"handler\":0.125,"
               "\"receive_wait\":0.625},"
               "\"handler_state\":{\"on_cpu\":0.0625,\"runnable\":0,\"blocked\":0.0625},"
               "\"handler_sampled_one_in\":64,\"request_bytes\":10,\"response_bytes\":20}],"
               "\"counts\":{\"matched\":5,\"shown\":2,\"not_shown\":3,\"overwritten\":7,"
               "\"unreadable\":1},\"kept_seconds\":600}");
    mf_check_int(at.asked.limit, 100);
    mf_check_int(at.asked.view, MF_CALLS_OPEN);
}

static void ask(shown *at, const char *key, const char *value)
{
    const mfi_page_argument argument = {.name = key, .value = value};
    free(page_for(at, &argument, 1, 200));
}

static void test_queries_reach_the_probe(void)
{
    shown at = {.count = 0};
    const mfi_page_argument several[] = {{"failed", ""},  {"function", "add"},   {"target", "t"},
                                         {"worker", "w"}, {"status", "timeout"}, {"limit", "1000"}};
    ask(&at, "recent", "");
    mf_check_int(at.asked.view, MF_CALLS_RECENT);
    ask(&at, "slowest", "");
    mf_check_int(at.asked.view, MF_CALLS_SLOWEST);
    ask(&at, "correlation_id", "order-1");
    mf_check_int(at.asked.view, MF_CALLS_ALL);
    mf_check_str(at.asked.correlation_id, "order-1");
    free(page_for(&at, several, 6, 200));
    mf_check_int(at.asked.view, MF_CALLS_FAILED);
    mf_check_str(at.asked.function, "add");
    mf_check_str(at.asked.target, "t");
    mf_check_str(at.asked.worker, "w");
    mf_check_str(at.asked.status, "timeout");
    mf_check_int(at.asked.limit, 1000);
}

static void refuse(const char *key, const char *value, const char *why)
{
    shown at = {.count = 0};
    const mfi_page_argument argument = {.name = key, .value = value};
    char *body = page_for(&at, &argument, 1, 400);
    mf_check_contains(body, why);
    free(body);
}

static void test_unknown_queries_are_refused(void)
{
    refuse("fail", "",
           "no query 'fail': use recent, failed, slowest, function=, target=, worker=, "
           "correlation_id=, status=, limit=");
    refuse("status", "late", "no status 'late': use ok, app_error, timeout\"");
    refuse("limit", "", "limit must be 1 to 1000");
    refuse("limit", "0", "limit must be 1 to 1000");
    refuse("limit", "1001", "limit must be 1 to 1000");
    refuse("limit", "99999999999999999999999", "limit must be 1 to 1000");
    refuse("limit", "-1", "limit must be 1 to 1000");
    refuse("limit", "1x", "limit must be 1 to 1000");
}

/* A probe of before the words, or without them: any status is asked for. */
static void test_statuses_that_are_not_known_are_taken(void)
{
    shown at = {.count = 0};
    const mfi_page_argument argument = {.name = "status", .value = "late"};
    mf_probe probe = probe_of(&at);
    mfi_page_request request = plain_request(&probe);
    request.arguments = &argument;
    request.argument_count = 1;
    for (int i = 0; i < 2; i++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        probe.struct_size = i == 0 ? offsetof(mf_probe, call_statuses) : sizeof probe;
        probe.call_statuses = i == 0 ? statuses : NULL;
        at.asked.status = NULL;
        mfi_page_calls(&request, &page);
        mf_check_int(page.code, 200);
        mf_check_str(at.asked.status, "late");
        free(page.body);
    }
}

static void test_recorder_that_is_off_says_so(void)
{
    static const char off[] = "{\"error\":{\"code\":404,\"status\":\"not_found\",\"message\":\"no "
                              "calls are recorded here: see recorder_bytes\"}}\n";
    shown at = {.is_off = true};
    check_body(&at, NULL, 0, 404, off);
    mf_probe old = {.struct_size = offsetof(mf_probe, visit_calls), .visit_calls = visit_calls};
    mf_probe without = {.struct_size = sizeof without};
    mfi_page_request request = plain_request(&old);
    check_page(mfi_page_calls, &request, 404, "application/json", off);
    request = plain_request(&without);
    check_page(mfi_page_calls, &request, 404, "application/json", off);
}

static void test_no_memory_makes_no_page(void)
{
    mf_call_row row = full_row();
    shown at = {.rows = &row, .count = 1, .has_no_memory = true};
    mf_probe probe = probe_of(&at);
    mfi_page_request request = plain_request(&probe);
    mfi_page page = {.code = 200};
    mfi_page_calls(&request, &page);
    mf_check(page.body == NULL);
    cJSON_Hooks hooks = {mf_alloc_malloc, free};
    cJSON_InitHooks(&hooks);
    at.has_no_memory = false;
    bool reached = true;
    for (long i = 0; reached; i++) {
        page = (mfi_page){.code = 200};
        mf_alloc_fail_at(i);
        mfi_page_calls(&request, &page);
        reached = mf_alloc_stop();
        mf_check((page.body != NULL) == !reached);
        free(page.body);
    }
    cJSON_InitHooks(NULL);
}

static const mf_test tests[] = {
    {"calls_page__rows_become_json", test_rows_become_json},
    {"calls_page__queries_reach_the_probe", test_queries_reach_the_probe},
    {"calls_page__unknown_queries_are_refused", test_unknown_queries_are_refused},
    {"calls_page__statuses_that_are_not_known_are_taken",
     test_statuses_that_are_not_known_are_taken},
    {"calls_page__recorder_that_is_off_says_so", test_recorder_that_is_off_says_so},
    {"calls_page__no_memory_makes_no_page", test_no_memory_makes_no_page},
};
MF_TEST_MAIN(tests)
