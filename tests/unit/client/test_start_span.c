/* The trace that the start of a worker joins, and what the worker is told of it. */
#include <stdlib.h>
#include <string.h>

#include "base/carried.h"
#include "base/context.h"
#include "core/client/link/link.h"
#include "mf_test.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define OUTER "b7ad6b7169203331"

static const mfi_peer_ops ops = {.owns_process = false}; /* nothing is reported */
static const char *const nothing[] = {NULL};

typedef struct fixture {
    mfi_state state;
    mfi_link link;
    mfi_start_environment texts;
    const char *env[2];
} fixture;

static void setup(fixture *at)
{
    memset(at, 0, sizeof *at);
    at->link.state = &at->state;
    at->link.ops = &ops;
    mf_check_int(unsetenv("TRACEPARENT"), 0);
}

static void test_new_trace(void)
{
    static fixture at;
    setup(&at);
    mfi_start_span_join(&at.state); /* no context is current */
    mfi_start_span_begin(&at.link);
    mf_check_int(strlen(at.link.start_span.trace_id), 32);
    mf_check_int(strlen(at.link.start_span.span_id), 16);
    mf_check_str(at.link.start_span.parent_span_id, "");
    mf_check_int(at.link.start_span.trace_flags, 2);
    mf_check_int(mfi_start_span_environment(&at.link, nothing, &at.texts, at.env), 2);
    mf_check_int(strlen(at.env[0]), strlen("TRACEPARENT=") + 55);
    mf_check_contains(at.env[0], at.link.start_span.span_id);
    mf_check_str(at.env[1], "TRACESTATE=");
}

static void test_same_start_keeps_its_span(void)
{
    static fixture at;
    setup(&at);
    mfi_start_span_begin(&at.link);
    mf_context first = at.link.start_span;
    mfi_start_span_begin(&at.link); /* its port was in use */
    mf_check_str(at.link.start_span.span_id, first.span_id);
    mfi_start_span_end(&at.link, MF_OK, NULL);
    mfi_start_span_end(&at.link, MF_ERR_CANCELLED, NULL);
    mfi_start_span_begin(&at.link);
    mf_check(strcmp(at.link.start_span.span_id, first.span_id) != 0);
    mf_check(strcmp(at.link.start_span.trace_id, first.trace_id) != 0);
}

static void test_current_trace_before_the_inherited_one(void)
{
    static fixture at;
    mf_context context = {.trace_id = TRACE, .span_id = OUTER, .trace_flags = 1};
    setup(&at);
    mf_check_int(
        setenv("TRACEPARENT", "00-11111111111111111111111111111111-2222222222222222-00", 1), 0);
    mf_context_set(&context);
    mfi_start_span_join(&at.state);
    mf_context_set(NULL);
    mfi_start_span_begin(&at.link);
    mf_check_str(at.link.start_span.trace_id, TRACE);
    mf_check_str(at.link.start_span.parent_span_id, OUTER);
    mf_check_int(at.link.start_span.trace_flags, 1);
    mfi_start_span_end(&at.link, MF_OK, NULL);
    mfi_start_span_begin(&at.link);
    mf_check_str(at.link.start_span.trace_id, "11111111111111111111111111111111");
    mf_check_str(at.link.start_span.parent_span_id, "2222222222222222");
    mf_check_int(at.link.start_span.trace_flags, 0);
    mf_check_int(mfi_start_span_environment(&at.link, nothing, &at.texts, at.env), 1);
    mf_check(at.env[1] == NULL);
    mf_check_int(unsetenv("TRACEPARENT"), 0);
}

static uint64_t keep(const char *tracestate)
{
    return mfi_carried_keep((mfi_carried_text){tracestate, strlen(tracestate)},
                            (mfi_carried_text){NULL, 0});
}

static void test_tracestate_of_the_trace_that_is_joined(void)
{
    static fixture at;
    uint64_t carried = keep("a=1");
    mf_context context = {.trace_id = TRACE, .span_id = OUTER, .carried = carried};
    setup(&at);
    mf_check_int(setenv("TRACESTATE", "inherited=1", 1), 0);
    mf_context_set(&context);
    mfi_start_span_join(&at.state);
    mfi_start_span_join(&at.state); /* the start was refused, and is tried again */
    mf_context_set(NULL);
    mfi_carried_release(carried); /* the call has ended */
    mfi_start_span_begin(&at.link);
    mf_check_int(at.state.first_start.carried, 0);
    mf_check_str(mfi_carried_tracestate(at.link.start_span.carried), "a=1");
    mf_check_int(mfi_start_span_environment(&at.link, nothing, &at.texts, at.env), 2);
    mf_check_str(at.env[1], "TRACESTATE=a=1");
    mfi_start_span_end(&at.link, MF_OK, NULL);
    mf_check_int(at.link.start_span.carried, 0);
    for (unsigned i = 0; i < MFI_CARRIED_KEPT; i++) {
        mfi_carried_release(keep("other=1"));
    }
    mf_check(mfi_carried_tracestate(carried) == NULL); /* nothing holds it any more */
    mfi_start_span_begin(&at.link);
    mf_check_int(mfi_start_span_environment(&at.link, nothing, &at.texts, at.env), 2);
    mf_check_str(at.env[1], "TRACESTATE="); /* a trace of its own */
    mfi_start_span_end(&at.link, MF_OK, NULL);
    mf_check_int(setenv("TRACEPARENT", "00-" TRACE "-" OUTER "-01", 1), 0);
    mfi_start_span_begin(&at.link);
    mf_check_str(mfi_carried_tracestate(at.link.start_span.carried), "inherited=1");
    mfi_start_span_end(&at.link, MF_OK, NULL);
    mf_check_int(unsetenv("TRACEPARENT"), 0);
    mf_check_int(unsetenv("TRACESTATE"), 0);
}

static void test_bad_variable_is_ignored(void)
{
    static fixture at;
    setup(&at);
    mf_check_int(setenv("TRACEPARENT", "00-" TRACE "-" OUTER, 1), 0);
    mfi_start_span_begin(&at.link);
    mf_check(strcmp(at.link.start_span.trace_id, TRACE) != 0);
    mf_check_int(strlen(at.link.start_span.trace_id), 32);
    mf_check_int(unsetenv("TRACEPARENT"), 0);
}

static void test_given_variable_wins(void)
{
    static fixture at;
    const char *const given[] = {"OTHER=1", "TRACEPARENT=x", NULL};
    const char *const alike[] = {"TRACEPARENTS=x", NULL};
    setup(&at);
    mfi_start_span_begin(&at.link);
    mf_check_int(mfi_start_span_environment(&at.link, given, &at.texts, at.env), 0);
    mf_check(at.env[0] == NULL);
    mf_check_int(mfi_start_span_environment(&at.link, alike, &at.texts, at.env), 2);
}

static const mf_test tests[] = {
    {"new_trace", test_new_trace},
    {"same_start_keeps_its_span", test_same_start_keeps_its_span},
    {"current_trace_before_the_inherited_one", test_current_trace_before_the_inherited_one},
    {"tracestate_of_the_trace_that_is_joined", test_tracestate_of_the_trace_that_is_joined},
    {"bad_variable_is_ignored", test_bad_variable_is_ignored},
    {"given_variable_wins", test_given_variable_wins},
};
MF_TEST_MAIN(tests)
