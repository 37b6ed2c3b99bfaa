/* Spans of single reports: what they say where a step was not reached, and that of a handler. */
#include "core/observe/spans.h"

#include <string.h>

#include "base/carried.h"
#include "base/clock.h"
#include "base/str.h"
#include "metric_support.h"
#include "mf_test.h"

typedef struct got {
    size_t count;
    mf_span last; /* its texts are those of the engine's span, which the test holds */
    char span_id[MF_SPAN_ID_MAX], parent[MF_SPAN_ID_MAX];
} got;

static void take(const mf_span *span, void *user_data)
{
    got *to = user_data;
    to->count++;
    to->last = *span;
    (void)mfi_str_copy(to->span_id, sizeof to->span_id, span->span_id != NULL ? span->span_id : "");
    (void)mfi_str_copy(to->parent, sizeof to->parent,
                       span->parent_span_id != NULL ? span->parent_span_id : "");
}

static void setup(metric_fixture *at, got *spans)
{
    *spans = (got){.count = 0};
    metric_setup(at);
    mfi_observer_pass_spans(at->observer, &(mf_span_observer){.fn = take, .user_data = spans});
}

static void test_handler(void)
{
    metric_fixture at;
    got spans;
    setup(&at, &spans);
    mfi_server_span span = server_span(&at);
    (void)mfi_str_copy(span.context.span_id, sizeof span.context.span_id, "00000000000000aa");
    (void)mfi_str_copy(span.context.parent_span_id, sizeof span.context.parent_span_id,
                       "00000000000000bb");
    span.context.carried =
        mfi_carried_keep((mfi_carried_text){"a=1", 3}, (mfi_carried_text){"user=1", 6});
    mfi_observe_server_end(&span, NULL);
    mf_check_int(spans.count, 1);
    mf_check_int(spans.last.type, MF_SPAN_HANDLER);
    mf_check_int(spans.last.kind, MF_SPAN_KIND_SERVER);
    mf_check_str(spans.last.worker, "serve");
    mf_check(spans.last.target == NULL);
    mf_check_str(spans.last.function, "add");
    mf_check_str(spans.span_id, "00000000000000aa");
    mf_check_str(spans.last.tracestate, "a=1"); /* still held */
    mfi_carried_drop(&span.context.carried);
    mf_check_str(spans.parent, "00000000000000bb");
    mf_check_int(spans.last.phases.peer_queue_ns, 1000);
    mf_check_int(spans.last.phases.handler_ns, 2000);
    mf_check_int(spans.last.phases.wire_ns, -1);
    mf_check_int(spans.last.end_ns - spans.last.start_ns, 3000);
    span.has_run = false; /* refused there */
    span.status = MF_ERR_TIMEOUT;
    mfi_observe_server_end(&span, NULL);
    mf_check_int(spans.count, 2);
    mf_check_int(spans.last.phases.handler_ns, -1);
    mf_check_str(spans.last.status_text, "timeout");
    mf_check(spans.last.tracestate == NULL);
    mf_check(spans.last.error_text != NULL);
    metric_teardown(&at);
}

static void test_refused_before_its_first_attempt(void)
{
    metric_fixture at;
    got spans;
    setup(&at, &spans);
    mfi_client_span span = client_span(&at);
    span.has_attempts = true;
    span.attempt_ns = 0;
    span.sent_ns = span.received_ns = 0;
    span.has_server_times = false;
    span.status = MF_ERR_TOO_MANY_CALLS;
    mfi_observe_client_end(&span, NULL);
    mf_check_int(spans.count, 1);
    mf_check_int(spans.last.type, MF_SPAN_CALL);
    mf_check_int(spans.last.attempt, 0);
    mf_check_str(spans.last.status_text, "rejected");
    mf_check_int(spans.last.phases.send_wait_ns, -1);
    mf_check_int(spans.last.phases.receive_wait_ns, -1);
    metric_teardown(&at);
}

/* The phases of a call are those of its last attempt: the wait before it is none of them. */
static void test_phases_are_those_of_the_last_attempt(void)
{
    metric_fixture at;
    got spans;
    setup(&at, &spans);
    mfi_client_span span = client_span(&at);
    span.has_attempts = true;
    span.attempt = 2;
    span.attempt_ns = span.start_ns + 500;
    span.sent_ns = span.start_ns + 700;
    mfi_observe_client_end(&span, NULL);
    mf_check_int(spans.count, 2);
    mf_check_int(spans.last.type, MF_SPAN_CALL);
    mf_check_int(spans.last.phases.send_wait_ns, 200);
    span.has_attempts = false;
    mfi_observe_client_end(&span, NULL);
    mf_check_int(spans.last.phases.send_wait_ns, 700);
    metric_teardown(&at);
}

/* Cancelled between two attempts: the second was never begun. */
static void test_ended_between_attempts(void)
{
    metric_fixture at;
    got spans;
    setup(&at, &spans);
    mfi_client_span span = client_span(&at);
    span.has_attempts = true;
    span.attempt_ns = span.start_ns;
    mfi_observe_client_retry(&span, MF_ERR_WORKER_EXITED, NULL, 5);
    mf_check_int(spans.count, 1);
    mf_check_int(spans.last.type, MF_SPAN_ATTEMPT);
    char parent[MF_SPAN_ID_MAX];
    memcpy(parent, spans.parent, sizeof parent);
    mf_check_int(strlen(parent), 16);
    span.attempt++;
    span.attempt_ns = 0;
    span.status = MF_ERR_CANCELLED;
    mfi_observe_client_end(&span, NULL);
    mf_check_int(spans.count, 2);
    mf_check_int(spans.last.type, MF_SPAN_CALL);
    mf_check_int(spans.last.attempt, 1);
    mf_check_str(spans.span_id, parent);
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"handler", test_handler},
    {"refused_before_its_first_attempt", test_refused_before_its_first_attempt},
    {"phases_are_those_of_the_last_attempt", test_phases_are_those_of_the_last_attempt},
    {"ended_between_attempts", test_ended_between_attempts},
};
MF_TEST_MAIN(tests)
