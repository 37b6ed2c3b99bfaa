/* What a caller asks for: checked by name, completed with the parent's defaults, bounded by the
 * call that runs on this thread, and given its ids. */
#include "core/client/call/request.h"

#include <string.h>

#include "base/carried.h"
#include "base/context.h"
#include "client_rig.h"
#include "core/engine/deadline.h"

static void init(client_rig *rig)
{
    mf_parent_options options;
    rig_options(&options);
    options.call_timeout_ms = 5000;
    options.namespace_name = "shop";
    rig_init(rig, &options, true);
}

static mf_status read_request(client_rig *rig, const char *function, const mf_call_options *options,
                              mfi_call_request *request, mf_error *error)
{
    memset(request, 0, sizeof *request);
    return mfi_call_read(&rig->parent->calls, function, MF_NO_ARGS, options, request, error);
}

/* ---- Checks ---- */

static void check_refused(client_rig *rig, const char *function, const mf_call_options *options,
                          const char *text)
{
    mfi_call_request request;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(read_request(rig, function, options, &request, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, text);
}

#define CHECK_BAD(rig, field, value, text)                                                         \
    do {                                                                                           \
        mf_call_options bad = MF_CALL_OPTIONS_INIT;                                                \
        bad.field = (value);                                                                       \
        check_refused((rig), "add", &bad, (text));                                                 \
    } while (0)

static void test_what_is_refused(void)
{
    client_rig rig;
    char longest[300];
    mf_value number = mf_int(1);
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mfi_call_request request;
    mf_error error = MF_ERROR_INIT;
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    retry.max_attempts = -1;
    init(&rig);
    mf_check_int(mfi_call_read(NULL, "add", MF_NO_ARGS, NULL, &request, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "parent is NULL");
    check_refused(&rig, NULL, NULL, "function is NULL");
    check_refused(&rig, "", NULL, "function is empty");
    check_refused(&rig, longest, NULL, "function must be UTF-8");
    check_refused(&rig, "\xff", NULL, "function must be UTF-8");
    CHECK_BAD(&rig, timeout_ms, -1, "timeout_ms");
    CHECK_BAD(&rig, correlation_id, "two words", "correlation_id");
    CHECK_BAD(&rig, correlation_id, "", "correlation_id");
    CHECK_BAD(&rig, traceparent, "00-short", "traceparent '00-short'");
    CHECK_BAD(&rig, metadata, &number, "metadata must be a map, not");
    CHECK_BAD(&rig, namespace_name, longest, "namespace_name");
    CHECK_BAD(&rig, client_name, "\xff", "client_name");
    CHECK_BAD(&rig, retry, &retry, "max_attempts");
    CHECK_BAD(&rig, struct_size, 3, "mf_call_options");
    rig_fini(&rig);
}

/* ---- Defaults ---- */

static void test_defaults(void)
{
    client_rig rig;
    mfi_call_request request;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    init(&rig);
    mf_check_int(read_request(&rig, "add", NULL, &request, NULL), MF_OK);
    mf_check_str(request.function, "add");
    mf_check_int(request.function_length, 3);
    mf_check_int(request.timeout_ms, 5000);
    mf_check_int(request.deadline_ns - request.start_ns, 5000 * MFI_NS_PER_MS);
    mf_check_int(request.retry.max_attempts, 1);
    mf_check(!request.inherits);
    options.timeout_ms = 7;
    mf_check_int(read_request(&rig, "add", &options, &request, NULL), MF_OK);
    mf_check_int(request.timeout_ms, 7);
    options.timeout_ms = MF_TIMEOUT_INFINITE;
    mf_check_int(read_request(&rig, "add", &options, &request, NULL), MF_OK);
    mf_check(request.deadline_ns == MFI_NEVER);
    rig_fini(&rig);
}

/* ---- The deadline of the call that runs ---- */

static void test_running_call_bounds(void)
{
    client_rig rig;
    mfi_call_request request;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    init(&rig);
    uint64_t now = mfi_monotonic_ns();
    uint64_t bound = mfi_deadline_after_ms(now, 1000);
    uint64_t outer = mfi_running_enter(bound);
    mf_check_int(read_request(&rig, "add", NULL, &request, NULL), MF_OK);
    mf_check(request.inherits);
    mf_check_int(request.deadline_ns, bound);
    mf_check(request.timeout_ms <= 1000);
    options.timeout_ms = 1; /* ends before that */
    mf_check_int(read_request(&rig, "add", &options, &request, NULL), MF_OK);
    mf_check(!request.inherits || request.start_ns + MFI_NS_PER_MS > bound);
    (void)mfi_running_enter(1); /* has passed */
    mf_check_int(read_request(&rig, "add", NULL, &request, NULL), MF_OK);
    mf_check(request.inherits);
    mf_check_int(request.timeout_ms, 0);
    mfi_running_leave(outer);
    mf_check_int(read_request(&rig, "add", NULL, &request, NULL), MF_OK);
    mf_check(!request.inherits);
    rig_fini(&rig);
}

/* ---- Ids ---- */

#define TRACE "0123456789abcdef0123456789abcdef"
#define SPAN "00f067aa0ba902b7"

static void fill(client_rig *rig, const mf_call_options *options, mfi_client_span *span)
{
    mfi_call_request request;
    mf_check_int(read_request(rig, "add", options, &request, NULL), MF_OK);
    memset(span, 0, sizeof *span);
    mfi_call_fill_span(&rig->parent->calls, span, &request);
}

static void test_new_ids(void)
{
    client_rig rig;
    mfi_client_span first;
    mfi_client_span second;
    init(&rig);
    fill(&rig, NULL, &first);
    fill(&rig, NULL, &second);
    mf_check_int(strlen(first.context.trace_id), 32);
    mf_check_int(strlen(first.context.span_id), 16);
    mf_check_str(first.context.parent_span_id, "");
    mf_check_str(first.context.correlation_id, first.context.trace_id);
    mf_check(strcmp(first.context.trace_id, second.context.trace_id) != 0);
    mf_check(strcmp(first.context.span_id, second.context.span_id) != 0);
    mf_check_int(first.attempt, 1);
    mf_check_int(first.deadline_ms, 5000);
    mf_check_str(first.function_name, "add");
    mf_check_str(first.namespace_name, "shop");
    rig_fini(&rig);
}

static void test_given_ids(void)
{
    client_rig rig;
    mfi_client_span span;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.traceparent = "00-" TRACE "-" SPAN "-01";
    options.correlation_id = "order:17";
    options.namespace_name = "other";
    init(&rig);
    fill(&rig, &options, &span);
    mf_check_str(span.context.trace_id, TRACE);
    mf_check_str(span.context.parent_span_id, SPAN);
    mf_check_int(span.context.trace_flags, 1);
    mf_check(strcmp(span.context.span_id, SPAN) != 0);
    mf_check_str(span.context.correlation_id, "order:17");
    mf_check_str(span.namespace_name, "other");
    rig_fini(&rig);
}

/* A call that is made while another one runs belongs to it, unless it says otherwise. */
static void test_inherited_ids(void)
{
    client_rig rig;
    mfi_client_span span;
    mfi_context_scope scope;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_context running = {.correlation_id = "order:18",
                          .trace_id = TRACE,
                          .span_id = SPAN,
                          .request_id = "request-1",
                          .trace_flags = 3};
    init(&rig);
    mfi_context_enter(&scope, &running);
    fill(&rig, NULL, &span);
    mf_check_str(span.context.trace_id, TRACE);
    mf_check_str(span.context.parent_span_id, SPAN);
    mf_check_int(span.context.trace_flags, 3);
    mf_check_str(span.context.correlation_id, "order:18");
    mf_check_str(span.context.parent_request_id, "request-1");
    options.correlation_id = "mine";
    options.traceparent = "00-fedcba9876543210fedcba9876543210-1111111111111111-00";
    fill(&rig, &options, &span);
    mf_check_str(span.context.trace_id, "fedcba9876543210fedcba9876543210");
    mf_check_str(span.context.parent_span_id, "1111111111111111");
    mf_check_str(span.context.correlation_id, "mine");
    mf_check_str(span.context.parent_request_id, "request-1");
    mfi_context_leave(&scope);
    rig_fini(&rig);
}

/* ---- What is carried ---- */

static void check_carried(client_rig *rig, const mf_call_options *options, const char *state,
                          const char *baggage)
{
    mfi_client_span span;
    fill(rig, options, &span);
    const char *has_state = mfi_carried_tracestate(span.context.carried);
    const char *has_baggage = mfi_carried_baggage(span.context.carried);
    mf_check_str(has_state != NULL ? has_state : "-", state);
    mf_check_str(has_baggage != NULL ? has_baggage : "-", baggage);
    mfi_carried_drop(&span.context.carried);
}

static void test_carried_texts(void)
{
    static const char *keys[] = {"user", "shop", NULL};
    client_rig rig;
    mfi_context_scope scope;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_context running = {.trace_id = TRACE, .span_id = SPAN};
    running.carried =
        mfi_carried_keep((mfi_carried_text){"a=1", 3}, (mfi_carried_text){"user=1,other=2", 14});
    init(&rig);
    check_carried(&rig, NULL, "-", "-");
    mfi_context_enter(&scope, &running);
    check_carried(&rig, NULL, "a=1", "-"); /* the runtime allows no key */
    rig.parent->state.runtime->baggage_keys = keys;
    check_carried(&rig, NULL, "a=1", "user=1");
    options.tracestate = "b=2"; /* without a traceparent */
    check_carried(&rig, &options, "a=1", "user=1");
    options.traceparent = "00-fedcba9876543210fedcba9876543210-1111111111111111-00";
    options.baggage = "shop=2,secret=3";
    check_carried(&rig, &options, "b=2", "shop=2");
    options.tracestate = NULL;
    options.baggage = ""; /* sends none */
    check_carried(&rig, &options, "-", "-");
    running.trace_id[0] = '\0'; /* a new trace begins */
    check_carried(&rig, NULL, "-", "user=1");
    mfi_context_leave(&scope);
    mfi_carried_drop(&running.carried);
    rig.parent->state.runtime->baggage_keys = NULL;
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"request__what_is_refused_is_named", test_what_is_refused},
    {"request__defaults_are_the_parent_s", test_defaults},
    {"request__running_call_bounds_it", test_running_call_bounds},
    {"request__new_ids", test_new_ids},
    {"request__given_ids", test_given_ids},
    {"request__ids_of_the_running_call", test_inherited_ids},
    {"request__carried_texts", test_carried_texts},
};
MF_TEST_MAIN(tests)
