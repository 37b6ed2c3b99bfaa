/* /crashes: the bytes for given rows, and what its query may say. */
#include "http/crashes_page.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "mf_alloc.h"
#include "page_support.h"

#define BEHIND_LIST "],\"total\":7,\"kept\":2,\"matching\":"

static const mf_crash_call calls[] = {{"add", "c-1", 0.5, 2}, {"mul", NULL, 0.25, 0}};

/* Everything that a row can say. */
static mf_crash_row full_row(void)
{
    return (mf_crash_row){.number = 7,
                          .at_wall_ns = UINT64_C(1767225600123456789),
                          .target = "math",
                          .worker = "math-0",
                          .pid = 4711,
                          .how = "signal",
                          .text = "was killed by signal 11 (SIGSEGV)",
                          .exit_code = -1,
                          .signal = 11,
                          .signal_name = "SIGSEGV",
                          .core_dumped = true,
                          .core_pattern = "core.%p",
                          .was_ready = true,
                          .uptime_seconds = 1.5,
                          .has_usage = true,
                          .cpu_user_seconds = 0.25,
                          .cpu_system_seconds = 0.5,
                          .max_rss_bytes = 4194304,
                          .next = "restart",
                          .restart_in_seconds = 0.8,
                          .restarts_in_period = 2,
                          .restarts_permitted = 5,
                          .open_calls = 12,
                          .call_count = 2,
                          .calls = calls,
                          .running_calls = 1,
                          .running_count = 1,
                          .running = calls,
                          .err = "E: no\nE: \"twice\"\xff",
                          .out = "out",
                          .log = "\n"};
}
#define FULL                                                                                       \
    "{\"number\":7,\"time\":\"2026-01-01T00:00:00.123Z\",\"target\":\"math\","                     \
    "\"worker\":\"math-0\",\"pid\":4711,\"how\":\"signal\","                                       \
    "\"text\":\"was killed by signal 11 (SIGSEGV)\",\"signal\":11,\"signal_name\":\"SIGSEGV\","    \
    "\"core\":{\"dumped\":true,\"pattern\":\"core.%p\"},\"uptime_seconds\":1.5,"                   \
    "\"was_ready\":true,\"usage\":{\"cpu_user_seconds\":0.25,\"cpu_system_seconds\":0.5,"          \
    "\"max_rss_bytes\":4194304},\"next\":{\"what\":\"restart\",\"restart_in_seconds\":0.8,"        \
    "\"restarts_in_period\":2,\"restarts_permitted\":5},\"open_calls\":{\"count\":12,"             \
    "\"unnamed\":10,\"calls\":[{\"function\":\"add\",\"correlation_id\":\"c-1\","                  \
    "\"age_seconds\":0.5,\"attempt\":2},{\"function\":\"mul\",\"age_seconds\":0.25}]},"            \
    "\"running_calls\":{\"count\":1,\"unnamed\":0,\"calls\":[{\"function\":\"add\","               \
    "\"correlation_id\":\"c-1\",\"age_seconds\":0.5,\"attempt\":2}]},"                             \
    "\"stderr\":[\"E: no\",\"E: \\\"twice\\\"\xef\xbf\xbd\"],\"stdout\":[\"out\"],"                \
    "\"log\":[\"\",\"\"]}"

/* A row about which little is known. */
static mf_crash_row bare_row(void)
{
    return (mf_crash_row){.number = 6,
                          .at_wall_ns = UINT64_C(1767225600000000000),
                          .target = "text",
                          .worker = "text-1",
                          .how = "exit",
                          .exit_code = 0,
                          .next = "none"};
}
#define BARE                                                                                       \
    "{\"number\":6,\"time\":\"2026-01-01T00:00:00.000Z\",\"target\":\"text\","                     \
    "\"worker\":\"text-1\",\"how\":\"exit\",\"exit_code\":0,\"was_ready\":false,"                  \
    "\"next\":{\"what\":\"none\"},\"open_calls\":{\"count\":0,\"unnamed\":0,\"calls\":[]}}"

static uint64_t visit_crashes(void *self, mf_crash_visit_fn visit, void *user_data)
{
    mf_crash_row full = full_row();
    mf_crash_row bare = bare_row();
    (void)self;
    visit(&full, user_data);
    visit(&bare, user_data);
    return 7;
}

static const mf_probe two = {.struct_size = sizeof two, .visit_crashes = visit_crashes};

/* The body behind the time of the page, for free(). */
static char *get(const mf_probe *probe, const mfi_page_argument *arguments, size_t count, int code)
{
    mfi_page page = {.code = 200, .age_ms = -1};
    mfi_page_request request = plain_request(probe);
    request.arguments = arguments;
    request.argument_count = count;
    mfi_page_crashes(&request, &page);
    mf_check_int(page.code, code);
    mf_check_str(page.type, "application/json");
    char *text = body_of(&page);
    const char *list = strstr(text, "\"crashes\":");
    if (list != NULL) {
        mf_check(strncmp(text, "{\"schema\":\"multifrost.crashes/1\",\"time\":\"2", 41) == 0);
        memmove(text, list, strlen(list) + 1);
    }
    return text;
}

static void check_query(const char *name, const char *value, const char *wanted)
{
    const mfi_page_argument argument = {name, value};
    char *text = get(&two, &argument, 1, 200);
    mf_check_str(text, wanted);
    free(text);
}

static void test_all_in_full(void)
{
    char *text = get(&two, NULL, 0, 200);
    mf_check_str(text, "\"crashes\":[" FULL "," BARE BEHIND_LIST "2}");
    free(text);
}

static void test_queries_choose(void)
{
    check_query("worker", "math-0", "\"crashes\":[" FULL BEHIND_LIST "1}");
    check_query("target", "text", "\"crashes\":[" BARE BEHIND_LIST "1}");
    check_query("target", "text-1", "\"crashes\":[" BEHIND_LIST "0}");
    check_query("limit", "1", "\"crashes\":[" FULL BEHIND_LIST "2}");
    const mfi_page_argument both[] = {{"worker", "text-1"}, {"limit", "1"}, {"target", "text"}};
    char *text = get(&two, both, 3, 200);
    mf_check_str(text, "\"crashes\":[" BARE BEHIND_LIST "1}");
    free(text);
}

static void test_unknown_queries_are_refused(void)
{
    static const mfi_page_argument wrong[] = {
        {"workers", "math-0"}, {"limit", "0"}, {"limit", ""}, {"limit", "1x"}, {"", ""}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *text = get(&two, &wrong[i], 1, 400);
        mf_check_contains(text, i == 0   ? "'workers' is not known here: use target, worker, limit"
                                : i == 4 ? "'' is not known here"
                                         : "limit must be 1 to 1000000, not '");
        free(text);
    }
}

/* A probe of an older header, or one that keeps nothing. */
static void test_probes_without_crashes(void)
{
    const mf_probe older = {.struct_size = offsetof(mf_probe, visit_crashes),
                            .visit_crashes = visit_crashes};
    const mf_probe none = {.struct_size = sizeof none};
    const mf_probe *const probes[] = {&older, &none};
    for (size_t i = 0; i < 2; i++) {
        char *text = get(probes[i], NULL, 0, 200);
        mf_check_str(text, "\"crashes\":[],\"total\":0,\"kept\":0,\"matching\":0}");
        free(text);
    }
}

static void test_without_memory(void)
{
    mfi_page_request request = plain_request(&two);
    cJSON_Hooks hooks = {.malloc_fn = mf_alloc_malloc, .free_fn = free};
    bool reached = true;
    long failed = 0;
    cJSON_InitHooks(&hooks);
    for (long n = 0; reached; n++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        mf_alloc_fail_at(n);
        mfi_page_crashes(&request, &page);
        reached = mf_alloc_stop();
        bool whole = page.body != NULL && page.code == 200;
        failed += !whole;
        char *text = body_of(&page);
        if (whole) { /* never a page with a part left out */
            mf_check_contains(text, "\"crashes\":[" FULL "," BARE BEHIND_LIST "2}");
        }
        free(text);
    }
    cJSON_InitHooks(NULL);
    mf_check(failed > 0);
}

static const mf_test tests[] = {
    {"crashes_page__all_in_full", test_all_in_full},
    {"crashes_page__queries_choose", test_queries_choose},
    {"crashes_page__unknown_queries_are_refused", test_unknown_queries_are_refused},
    {"crashes_page__probes_without_crashes", test_probes_without_crashes},
    {"crashes_page__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
