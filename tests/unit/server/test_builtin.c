/* Functions that every worker has, called by hand. */
#include "core/server/builtin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/version.h>

#include "core/server/reply.h"
#include "core/wire/document.h"
#include "test_channel.h"

typedef struct made {
    test_channel base;
    mfi_functions functions;
    mfi_child_settings settings;
    mfi_child_state state;
    mfi_builtins builtins;
} made;

static char default_namespace[] = "default";

static mf_status user_function(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, "the user's");
}

static void make(made *at)
{
    mf_error error = MF_ERROR_INIT;
    memset(at, 0, sizeof *at);
    channel_open(&at->base);
    at->settings.namespace_name = default_namespace;
    at->settings.threads = 3;
    at->settings.max_queued = 77;
    at->builtins = (mfi_builtins){.functions = &at->functions,
                                  .settings = &at->settings,
                                  .state = &at->state,
                                  .observed = at->base.channel.observed,
                                  .version = "1.2.3",
                                  .started_ns = mfi_monotonic_ns(),
                                  .started_wall_ns = 0};
    mf_check_int(mfi_builtins_add(&at->builtins, &at->functions, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void made_free(made *at)
{
    mfi_functions_fini(&at->functions);
    channel_close(&at->base);
}

static void add(made *at, const char *name)
{
    mf_check_int(mfi_functions_register(&at->functions, name, user_function, NULL, false), MF_OK);
}

/* One call of a function, counted under another name; its result, to be destroyed. */
static mf_document *run(made *at, const char *name, const char *counted_as, mf_status status)
{
    mf_reply reply;
    mfi_envelope envelope;
    mf_error error = MF_ERROR_INIT;
    mfi_reject why = MFI_REJECT_NONE;
    mf_document *document = NULL;
    mfi_route route = route_of(1);
    mfi_server_span span;
    mfi_target *observed = at->base.channel.observed;
    mfi_handler *handler = mfi_functions_find(&at->functions, name, strlen(name));
    mfi_server_span_clear(&span);
    span.target = observed;
    span.function_name = counted_as;
    span.namespace_name = default_namespace;
    span.received_ns = mfi_monotonic_ns();
    span.begun_ns = span.received_ns;
    span.function = mfi_target_function(observed, counted_as, strlen(counted_as));
    mf_check(mfi_reply_init(&reply, &at->base.channel, &route, (mfi_text){"id", 2}, &span,
                            span.received_ns));
    mfi_observe_server_begin(&span);
    span.has_run = true;
    mf_check_int(handler->run(NULL, &reply, handler->user_data), MF_OK);
    mfi_reply_finish(&reply, status);
    mfi_out *out = mfi_channel_pop(&at->base.channel);
    mf_check_int(mfi_envelope_decode(out->buf.data, out->buf.size, NULL, &envelope, &why, &error),
                 MF_OK);
    if (envelope.result.data != NULL) {
        mf_check_int(
            mf_document_decode(envelope.result.data, envelope.result.size, &document, &error),
            MF_OK);
    }
    mfi_out_free(out);
    return document;
}

static mf_document *ask(made *at, const char *name)
{
    mf_document *document = run(at, name, name, MF_OK);
    mf_check(document != NULL);
    return document;
}

static void check_answer(made *at, const char *name, mf_value wanted)
{
    mf_document *document = ask(at, name);
    mf_check(mf_value_equal(mf_document_root(document), &wanted));
    mf_document_destroy(document);
}

static void check_field(const mf_document *document, const char *name, mf_value wanted)
{
    const mf_value *value = mf_value_find(mf_document_root(document), name);
    bool equal = value != NULL && mf_value_equal(value, &wanted);
    mf_check_str(equal ? "" : name, "");
}

static int64_t number_in(const mf_value *map, const char *name)
{
    int64_t number = -1;
    const mf_value *value = map != NULL ? mf_value_find(map, name) : NULL;
    mf_check(value != NULL && mf_value_get_int64(value, &number) == MF_OK);
    return number;
}

/* ---- Names ---- */

static void test_names_that_callers_may_use_are_listed(void)
{
    made at;
    make(&at);
    check_answer(&at, "ping", mf_str("pong"));
    check_answer(&at, "list_functions", MF_ARRAY("list_functions", "ping"));
    add(&at, "zeta");
    add(&at, "_private");
    add(&at, "add");
    mf_value names = MF_ARRAY("add", "list_functions", "ping", "zeta");
    check_answer(&at, "list_functions", names);
    check_answer(&at, "listFunctions", names); /* as peers in JavaScript ask */
    mf_document *info = ask(&at, "multifrost.info");
    check_field(info, "functions", names);
    mf_document_destroy(info);
    made_free(&at);
}

static void test_a_function_of_the_user_takes_the_place_of_a_builtin(void)
{
    made at;
    make(&at);
    add(&at, "ping");
    add(&at, "multifrost.info");
    check_answer(&at, "ping", mf_str("the user's"));
    check_answer(&at, "list_functions", MF_ARRAY("list_functions", "multifrost.info", "ping"));
    made_free(&at);
}

static void test_a_name_that_is_taken_ends_the_adding(void)
{
    made at;
    mf_error error = MF_ERROR_INIT;
    mfi_functions functions = {0};
    make(&at);
    mf_check_int(mfi_functions_register(&functions, "list_functions", user_function, NULL, false),
                 MF_OK);
    mf_check_int(mfi_builtins_add(&at.builtins, &functions, &error), MF_ERR_EXISTS);
    mf_check_contains(error.message, "'list_functions'");
    mf_check(mfi_functions_find(&functions, "multifrost.stats", 16) == NULL);
    mfi_functions_fini(&functions);
    made_free(&at);
}

/* ---- Facts ---- */

static void test_info_tells_who_answers(void)
{
    made at;
    char service[] = "math";
    make(&at);
    mf_document *info = ask(&at, "multifrost.info");
    check_field(info, "service", mf_nil()); /* spawned by a parent */
    check_field(info, "version", mf_str("1.2.3"));
    check_field(info, "namespace", mf_str("default"));
    check_field(info, "pid", mf_int(getpid()));
    check_field(info, "started", mf_str("1970-01-01T00:00:00.000Z"));
    check_field(info, "threads", mf_int(3));
    check_field(info, "protocol", mf_str("comlink_ipc_v3"));
    check_field(info, "language", mf_str("c"));
    check_field(info, "library_version", mf_str(MF_VERSION_STRING));
    check_field(info, "program", mf_str("test_server_builtin"));
    mf_document_destroy(info);
    at.settings.service_id = service;
    info = ask(&at, "multifrost.info");
    check_field(info, "service", mf_str("math"));
    mf_document_destroy(info);
    made_free(&at);
}

static void test_uptime_is_in_seconds(void)
{
    made at;
    double uptime = 0;
    make(&at);
    at.builtins.started_ns = mfi_monotonic_ns() - 3600 * MFI_NS_PER_S;
    uint64_t before = mfi_monotonic_ns();
    mf_document *info = ask(&at, "multifrost.info");
    double most = 3600 + (double)(mfi_monotonic_ns() - before + MFI_NS_PER_S) / 1e9;
    mf_check_int(
        mf_value_get_double(mf_value_find(mf_document_root(info), "uptime_seconds"), &uptime),
        MF_OK);
    mf_check(uptime >= 3600 && uptime <= most);
    mf_document_destroy(info);
    made_free(&at);
}

/* ---- Numbers ---- */

static void test_stats_count_calls_by_function(void)
{
    made at;
    double p50 = -1;
    make(&at);
    add(&at, "add");
    mf_document_destroy(run(&at, "ping", "add", MF_OK));
    mf_document_destroy(run(&at, "ping", "add", MF_OK));
    mf_document_destroy(run(&at, "ping", "add", MF_ERR_REMOTE));
    mf_document_destroy(run(&at, "ping", "ping", MF_OK));
    mf_document *stats = ask(&at, "multifrost.stats");
    const mf_value *functions = mf_value_find(mf_document_root(stats), "functions");
    const mf_value *sums = mf_value_find(functions, "add");
    mf_check_int(number_in(sums, "calls"), 3);
    mf_check_int(number_in(sums, "errors"), 1);
    mf_check_int(mf_value_get_double(mf_value_find(sums, "p50"), &p50), MF_OK);
    mf_check(p50 >= 0);
    mf_check(mf_value_find(sums, "p95") != NULL && mf_value_find(sums, "p99") != NULL);
    mf_check_int(number_in(mf_value_find(functions, "ping"), "calls"), 1);
    mf_check(mf_value_find(functions, "list_functions") == NULL); /* never called */
    mf_document_destroy(stats);
    made_free(&at);
}

static void test_stats_of_many_functions_share_one_entry(void)
{
    made at;
    char name[16];
    make(&at);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        (void)mfi_target_prepare(at.base.channel.observed, name);
        mf_document_destroy(run(&at, "ping", name, MF_OK));
    }
    mf_document *stats = ask(&at, "multifrost.stats");
    const mf_value *functions = mf_value_find(mf_document_root(stats), "functions");
    int64_t calls = 0;
    for (uint32_t i = 0; i < functions->length; i++) {
        calls += number_in(&functions->as.items[(size_t)i * 2 + 1], "calls");
    }
    mf_check(functions->length < 60);
    mf_check(mf_value_find(functions, "_OTHER") != NULL);
    mf_check(mf_value_find(functions, "f0") != NULL);
    mf_check_int(calls, 60);
    mf_document_destroy(stats);
    made_free(&at);
}

static void test_stats_tell_what_waits_and_what_runs(void)
{
    made at;
    mfi_handler_mark marks[3] = {0};
    make(&at);
    for (int i = 0; i < 3; i++) {
        mfi_chain_push_back(&at.state.marks, &marks[i].node);
    }
    atomic_store(&marks[1].since_ns, mfi_monotonic_ns());
    mfi_child_state_queue(&at.state, 0, 100);
    mfi_child_state_queue(&at.state, 0, 100);
    mf_document *stats = ask(&at, "multifrost.stats");
    const mf_value *root = mf_document_root(stats);
    mf_check_int(number_in(root, "queue_length"), 2);
    mf_check_int(number_in(root, "queue_capacity"), 77);
    mf_check_int(number_in(root, "handlers_busy"), 1);
    mf_check_int(number_in(root, "handlers"), 3);
    mf_check(mf_value_find(root, "uptime_seconds") != NULL);
    mf_document_destroy(stats);
    made_free(&at);
}

static const mf_test tests[] = {
    {"builtin__names_that_callers_may_use_are_listed", test_names_that_callers_may_use_are_listed},
    {"builtin__a_function_of_the_user_takes_its_place",
     test_a_function_of_the_user_takes_the_place_of_a_builtin},
    {"builtin__a_name_that_is_taken_ends_the_adding", test_a_name_that_is_taken_ends_the_adding},
    {"info__tells_who_answers", test_info_tells_who_answers},
    {"info__uptime_is_in_seconds", test_uptime_is_in_seconds},
    {"stats__count_calls_by_function", test_stats_count_calls_by_function},
    {"stats__of_many_functions_share_one_entry", test_stats_of_many_functions_share_one_entry},
    {"stats__tell_what_waits_and_what_runs", test_stats_tell_what_waits_and_what_runs},
};

MF_TEST_MAIN(tests)
