/* /circuits, /circuits/<target> and /circuits/<worker>: the bytes for given rows. */
#include "http/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "mf_alloc.h"
#include "page_support.h"

/* What the probe of a test shows. */
typedef struct shown {
    const mf_circuit_row *rows;
    size_t count;
} shown;

static void visit_circuits(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    const shown *at = self;
    for (size_t i = 0; i < at->count; i++) {
        visit(&at->rows[i], user_data);
    }
}

/* A circuit that never opened, of a target that says nothing of a worker. */
static mf_circuit_row closed_row(const char *target)
{
    return (mf_circuit_row){.target = target,
                            .state = "closed",
                            .since_wall_ns = UINT64_C(1767225600123456789),
                            .since_seconds = 1.5,
                            .config_consecutive_failures = 5,
                            .config_heartbeat_misses = 3,
                            .config_open_seconds = 10,
                            .config_open_max_seconds = 300,
                            .config_jitter = 0.2,
                            .probes_permitted = 1,
                            .probe_slot_seconds = 30,
                            .config_window_calls = 50};
}

/* Everything that a row can say. */
static mf_circuit_row open_row(void)
{
    mf_circuit_row row = closed_row("math \"2\"");
    row.state = "open";
    row.generation = 7;
    row.rule = "consecutive_failures";
    row.observed = 5;
    row.threshold = 5;
    row.first_error = "timeout";
    row.correlation_id = "corr-1";
    row.trace_id = "0af7651916cd43dd8448eb211c80319c";
    row.next_probe_wall_ns = UINT64_C(1767225610000000000);
    row.next_probe_in_seconds = 8.25;
    row.open_count_in_row = 2;
    row.window = (mf_circuit_window){.calls = 9, .ok = 1, .failed = 3, .excluded = 5};
    row.window_at_trip = (mf_circuit_window){.calls = 6,
                                             .ok = 1,
                                             .failed = 5,
                                             .timeout = 2,
                                             .unavailable = 1,
                                             .worker_crashed = 1,
                                             .protocol_error = 1};
    row.window_slow = 1;
    row.probes_in_flight = 1;
    row.probes_ok = 2;
    row.probes_failed = 3;
    row.consecutive_failures = 5;
    row.refused_since_open = 40;
    row.transition_count = 2;
    row.transitions[0] =
        (mf_circuit_transition){"closed", "open", "heartbeat", UINT64_C(1767225600000000000)};
    row.transitions[1] =
        (mf_circuit_transition){"open", "half_open", NULL, UINT64_C(1767225601001000000)};
    row.worker = (mf_circuit_worker){.name = "math-0",
                                     .state = "restarting",
                                     .pid = 4711,
                                     .restarts = 4,
                                     .restarts_in_period = 2,
                                     .restarts_permitted = 5,
                                     .restart_in_seconds = 0.5,
                                     .last_exit = "killed by signal 9 (SIGKILL)",
                                     .last_exit_code = -1,
                                     .last_exit_signal = 9,
                                     .heartbeat_rtt_seconds = 0.000125,
                                     .heartbeat_misses = 1};
    row.worker_says_load = true;
    row.worker_load = 0.75;
    return row;
}

#define CONFIG                                                                                     \
    "\"config\":{\"consecutive_failures\":5,\"heartbeat_misses\":3,\"window\":\"count:50\","       \
    "\"open_seconds\":10,"                                                                         \
    "\"open_max_seconds\":300,\"jitter\":0.2,"                                                     \
    "\"counts\":[\"timeout\",\"unavailable\",\"worker_crashed\",\"protocol_error\"]}"

#define CLOSED(target)                                                                             \
    "{\"target\":\"" target "\",\"state\":\"closed\",\"since\":\"2026-01-01T00:00:00.123Z\","      \
    "\"since_seconds\":1.5,\"generation\":0,\"open_count_in_row\":0,"                              \
    "\"window\":{\"calls\":0,\"ok\":0,\"failed\":0,\"slow\":0,\"excluded\":0,"                     \
    "\"failure_ratio\":0,\"slow_ratio\":0},"                                                       \
    "\"half_open\":{\"permitted\":1,\"in_flight\":0,\"ok\":0,\"failed\":0,"                        \
    "\"slot_timeout_seconds\":30},\"consecutive_failures\":0,\"refused_since_open\":0," CONFIG     \
    ",\"recent_transitions\":[]}"

#define OPEN                                                                                       \
    "{\"target\":\"math \\\"2\\\"\",\"state\":\"open\",\"since\":\"2026-01-01T00:00:00.123Z\","    \
    "\"since_seconds\":1.5,\"generation\":7,\"reason\":{\"rule\":\"consecutive_failures\","        \
    "\"observed\":5,\"threshold\":5,\"first_error\":\"timeout\",\"correlation_id\":\"corr-1\","    \
    "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"},"                                          \
    "\"next_probe_at\":\"2026-01-01T00:00:10.000Z\",\"next_probe_in_seconds\":8.25,"               \
    "\"open_count_in_row\":2,\"window\":{\"calls\":9,\"ok\":1,\"failed\":3,\"slow\":1,"            \
    "\"excluded\":5,\"failure_ratio\":0.75,\"slow_ratio\":0.25},"                                  \
    "\"window_at_trip\":{\"calls\":6,\"ok\":1,\"failed\":5,\"slow\":0,"                            \
    "\"by_status\":{\"timeout\":2,\"unavailable\":1,\"worker_crashed\":1,\"protocol_error\":1}},"  \
    "\"half_open\":{\"permitted\":1,\"in_flight\":1,\"ok\":2,\"failed\":3,"                        \
    "\"slot_timeout_seconds\":30},\"consecutive_failures\":5,\"refused_since_open\":40," CONFIG    \
    ",\"recent_transitions\":[{\"from\":\"closed\",\"to\":\"open\","                               \
    "\"at\":\"2026-01-01T00:00:00.000Z\",\"reason\":\"heartbeat\"},{\"from\":\"open\","            \
    "\"to\":\"half_open\",\"at\":\"2026-01-01T00:00:01.001Z\"}],\"worker\":{\"name\":\"math-0\","  \
    "\"state\":\"restarting\",\"pid\":4711,\"restarts\":4,\"restarts_in_period\":2,"               \
    "\"restarts_permitted\":5,\"restart_in_seconds\":0.5,"                                         \
    "\"last_exit\":{\"text\":\"killed by signal 9 (SIGKILL)\",\"code\":-1,\"signal\":9},"          \
    "\"heartbeat_rtt_seconds\":0.000125,\"heartbeat_misses\":1,\"load\":0.75}}"

static void test_one_circuit(void)
{
    mf_circuit_row rows[] = {closed_row("add"), open_row()};
    shown all = {rows, 2};
    mf_probe probe = {.self = &all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    request.rest = "math-0"; /* the worker's name */
    check_page(mfi_page_circuits, &request, 200, "application/json", OPEN);
}

/* A worker that runs without limit, was never restarted and has not answered: only what is known.
 */
static void test_absent_values_are_left_out(void)
{
    mf_circuit_row row = closed_row("add");
    shown all = {&row, 1};
    mf_probe probe = {.self = &all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    request.rest = "add";
    row.worker = (mf_circuit_worker){.name = "add-0", .state = "starting"};
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_circuits(&request, &page);
    char *text = body_of(&page);
    mf_check_contains(text, ",\"worker\":{\"name\":\"add-0\",\"state\":\"starting\",\"restarts\":0,"
                            "\"restarts_in_period\":0,\"heartbeat_misses\":0}}]}");
    free(text);
    row.worker.name = NULL;
    row.rule = "heartbeat"; /* which no call tipped */
    page = (mfi_page){.code = 200, .age_ms = -1};
    mfi_page_circuits(&request, &page);
    text = body_of(&page);
    mf_check_contains(text, "\"reason\":{\"rule\":\"heartbeat\",\"observed\":0},");
    mf_check_contains(text, "\"window_at_trip\":{\"calls\":0,\"ok\":0,\"failed\":0,"
                            "\"slow\":0,\"by_status\":{}},");
    mf_check(strstr(text, "worker\"") == NULL && strstr(text, "null") == NULL);
    free(text);
}

/* The list without the present time, which lies at a fixed place. */
static void check_list(const shown *all, const char *asked, const char *wanted)
{
    static const char head[] = "{\"schema\":\"multifrost.circuits/1\",\"time\":\"";
    mf_probe probe = {.self = (void *)(uintptr_t)all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    mfi_page page = {.code = 200, .age_ms = -1};
    request.rest = asked;
    mfi_page_circuits(&request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, 200);
    mf_check_str(page.type, "application/json");
    mf_check(page.vary != NULL && page.age_ms == -1);
    if (mf_check(strlen(text) > sizeof head + 24)) {
        mf_check(strncmp(text, head, sizeof head - 1) == 0);
        const char *time = text + sizeof head - 1;
        mf_check(time[0] == '2' && time[10] == 'T' && time[19] == '.' && time[23] == 'Z');
        mf_check_str(time + 24, wanted);
    }
    free(text);
}

static void test_list(void)
{
    mf_circuit_row rows[] = {closed_row("add"), open_row(), closed_row("sub")};
    check_list(&(shown){rows, 0}, "", "\",\"circuits\":[]}");
    check_list(&(shown){rows, 3}, "",
               "\",\"circuits\":[" CLOSED("add") "," OPEN "," CLOSED("sub") "]}");
}

/* A name that is no target's, also one that only begins like it, and one that is nobody's friend.
 */
static void test_unknown_targets(void)
{
    mf_circuit_row row = closed_row("add");
    shown all = {&row, 1};
    mf_probe probe = {.self = &all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    char name[201];
    memset(name, 'n', 200);
    name[200] = '\0';
    static const char *const names[] = {"ad", "add/", "adder", "ADD", "\"<\n"};
    static const char *const shown_as[] = {"ad", "add/", "adder", "ADD", "\\\"<\\n"};
    for (size_t i = 0; i <= 5; i++) {
        char wanted[512];
        request.rest = i < 5 ? names[i] : name;
        (void)snprintf(wanted, sizeof wanted,
                       "{\"error\":{\"code\":404,\"status\":\"not_found\","
                       "\"message\":\"no circuit '%.100s'\"}}\n",
                       i < 5 ? shown_as[i] : name);
        check_page(mfi_page_circuits, &request, 404, "application/json", wanted);
    }
}

/* A target has all its circuits, also if a worker has the same name. */
static void test_list_of_a_target(void)
{
    mf_circuit_row rows[] = {closed_row("math-0"), closed_row("add"), open_row(),
                             closed_row("math-0")};
    check_list(&(shown){rows, 4}, "math-0",
               "\",\"circuits\":[" CLOSED("math-0") "," CLOSED("math-0") "]}");
    check_list(&(shown){rows, 4}, "math \"2\"", "\",\"circuits\":[" OPEN "]}");
}

/* Malformed UTF-8 of a peer, control characters and quotes: the page is JSON all the same. */
static void test_foreign_texts(void)
{
    mf_circuit_row row = closed_row("a/b%\x01\"\\\xff");
    shown all = {&row, 1};
    mf_probe probe = {.self = &all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    mfi_page page = {.code = 200, .age_ms = -1};
    request.rest = row.target;
    mfi_page_circuits(&request, &page);
    char *text = body_of(&page);
    mf_check_int(page.code, 200);
    mf_check_contains(text, "\"target\":\"a/b%\\u0001\\\"\\\\\xef\xbf\xbd\"");
    free(text);
}

/* A circuit that a share of slow calls opened, and another policy on trial. */
static void test_ratios_and_trial(void)
{
    mf_circuit_row row = closed_row("add");
    shown all = {&row, 1};
    mf_probe probe = {.self = &all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    mfi_page page = {.code = 200, .age_ms = -1};
    request.rest = "add";
    row.rule = "slow_ratio";
    row.observed = 0.62;
    row.threshold = 0.5;
    row.reason_window_calls = 50;
    row.reason_text = "31 of the last 50 calls took 1.000 s or longer";
    row.window_at_trip = (mf_circuit_window){.calls = 50, .ok = 50};
    row.window_at_trip_slow = 31;
    row.config_failure_ratio = 0.75;
    row.config_slow_ratio = 0.5;
    row.config_slow_call_seconds = 1;
    row.config_min_calls = 20;
    row.trial = (mf_circuit_trial){.state = "open",
                                   .refused = 7,
                                   .rule = "failure_ratio",
                                   .observed = 0.3,
                                   .threshold = 0.25,
                                   .reason_text = "3 of the last 10 calls failed",
                                   .failure_ratio = 0.25,
                                   .min_calls = 10,
                                   .window_calls = 40};
    mfi_page_circuits(&request, &page);
    char *text = body_of(&page);
    mf_check_contains(text,
                      "\"reason\":{\"rule\":\"slow_ratio\",\"observed\":0.62,\"threshold\":0.5,"
                      "\"window\":\"count:50\","
                      "\"text\":\"31 of the last 50 calls took 1.000 s or longer\"}");
    mf_check_contains(text, "\"window_at_trip\":{\"calls\":50,\"ok\":50,\"failed\":0,\"slow\":31,");
    mf_check_contains(text, "\"heartbeat_misses\":3,\"failure_ratio\":0.75,\"slow_ratio\":0.5,"
                            "\"slow_call_seconds\":1,\"min_calls\":20,\"window\":\"count:50\",");
    mf_check_contains(text, ",\"trial\":{\"state\":\"open\",\"refused\":7,\"reason\":{"
                            "\"rule\":\"failure_ratio\",\"observed\":0.3,\"threshold\":0.25,"
                            "\"window\":\"count:40\",\"text\":\"3 of the last 10 calls failed\"},"
                            "\"config\":{\"failure_ratio\":0.25,\"min_calls\":10,"
                            "\"window\":\"count:40\"}},\"recent_transitions\"");
    free(text);
}

static void test_without_memory(void)
{
    mf_circuit_row rows[] = {closed_row("add"), open_row()};
    shown all = {rows, 2};
    mf_probe probe = {.self = &all, .visit_circuits = visit_circuits};
    mfi_page_request request = plain_request(&probe);
    cJSON_Hooks hooks = {.malloc_fn = mf_alloc_malloc, .free_fn = free};
    bool reached = true;
    long failed = 0;
    request.rest = "math-0";
    cJSON_InitHooks(&hooks);
    for (long n = 0; reached; n++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        mf_alloc_fail_at(n);
        mfi_page_circuits(&request, &page);
        reached = mf_alloc_stop();
        bool whole = page.body != NULL && page.code == 200;
        failed += !whole;
        char *text = body_of(&page);
        if (whole) { /* never a page with a part left out */
            mf_check_str(text, OPEN);
        }
        free(text);
    }
    cJSON_InitHooks(NULL);
    mf_check(failed > 0);
}

static const mf_test tests[] = {
    {"circuits__one_in_full", test_one_circuit},
    {"circuits__absent_values_are_left_out", test_absent_values_are_left_out},
    {"circuits__list_of_all", test_list},
    {"circuits__unknown_targets_are_named", test_unknown_targets},
    {"circuits__list_of_a_target", test_list_of_a_target},
    {"circuits__foreign_texts_are_json", test_foreign_texts},
    {"circuits__ratios_and_trial", test_ratios_and_trial},
    {"circuits__page_is_whole_or_none_without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
