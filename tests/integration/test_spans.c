/* Spans that the program's observer gets: of calls, attempts, handlers and starts of workers, and
 * how they hang together. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define SPANS_MAX 64
#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define OUTER "b7ad6b7169203331"

typedef struct seen_span {
    mf_span plain; /* its texts are gone */
    char trace_id[MF_TRACE_ID_MAX], span_id[MF_SPAN_ID_MAX], parent[MF_SPAN_ID_MAX];
    char name[64], worker[64], status[32], error[160], correlation_id[MF_CORRELATION_ID_MAX];
    pthread_t thread;
} seen_span;

typedef struct seen_spans {
    pthread_mutex_t mutex;
    size_t count;
    seen_span list[SPANS_MAX];
} seen_spans;

static void copy(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static void keep(const mf_span *span, void *user_data)
{
    seen_spans *seen = user_data;
    (void)pthread_mutex_lock(&seen->mutex);
    if (seen->count < SPANS_MAX) {
        seen_span *to = &seen->list[seen->count++];
        to->plain = *span;
        to->thread = pthread_self();
        copy(to->trace_id, sizeof to->trace_id, span->trace_id);
        copy(to->span_id, sizeof to->span_id, span->span_id);
        copy(to->parent, sizeof to->parent, span->parent_span_id);
        copy(to->name, sizeof to->name, span->name);
        copy(to->worker, sizeof to->worker, span->worker);
        copy(to->status, sizeof to->status, span->status_text);
        copy(to->error, sizeof to->error, span->error_text);
        copy(to->correlation_id, sizeof to->correlation_id, span->correlation_id);
    }
    (void)pthread_mutex_unlock(&seen->mutex);
}

static mf_runtime *make_runtime(seen_spans *seen)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    *seen = (seen_spans){.mutex = PTHREAD_MUTEX_INITIALIZER};
    options.span_observer = (mf_span_observer){.fn = keep, .user_data = seen};
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    return runtime;
}

/* The n-th span of the type, from 0; NULL if there are fewer. */
static const seen_span *find(seen_spans *seen, mf_span_type type, size_t n)
{
    const seen_span *found = NULL;
    (void)pthread_mutex_lock(&seen->mutex);
    for (size_t i = 0; i < seen->count && found == NULL; i++) {
        if (seen->list[i].plain.type == type && n-- == 0) {
            found = &seen->list[i];
        }
    }
    (void)pthread_mutex_unlock(&seen->mutex);
    return found;
}

static mf_parent *start_on(mf_runtime *runtime)
{
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    options.auto_restart = true;
    options.restart_backoff_ms = 50;
    options.circuit_open_ms = 50;
    return start(&options);
}

static void check_times(const mf_span *span)
{
    mf_check(span->start_ns <= span->end_ns);
    mf_check_int(span->end_wall_ns - span->start_wall_ns, span->end_ns - span->start_ns);
}

/* ---- Calls ---- */

static void check_add(const seen_span *call)
{
    mf_check_int(call->plain.struct_size, sizeof(mf_span));
    mf_check_int(call->plain.kind, MF_SPAN_KIND_CLIENT);
    mf_check_str(call->name, "add");
    mf_check_str(call->worker, "math-0");
    mf_check_str(call->status, "ok");
    mf_check_str(call->error, "");
    mf_check_str(call->trace_id, TRACE);
    mf_check_str(call->parent, OUTER);
    mf_check_str(call->correlation_id, "order-17");
    mf_check_int(strlen(call->span_id), 16);
    mf_check_int(call->plain.trace_flags, 1);
    mf_check_int(call->plain.attempt, 1);
    mf_check(call->plain.request_bytes > 0);
    mf_check(call->plain.response_bytes > 0);
    mf_check(call->plain.phases.send_wait_ns >= 0);
    mf_check(call->plain.phases.wire_ns >= 0);
    mf_check(call->plain.phases.peer_queue_ns >= 0);
    mf_check(call->plain.phases.handler_ns >= 0);
    mf_check(call->plain.phases.receive_wait_ns >= 0);
    mf_check(pthread_equal(call->thread, pthread_self()));
    check_times(&call->plain);
}

static void test_call_has_one_span(void)
{
    static seen_spans seen;
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = make_runtime(&seen);
    mf_parent *parent = start_on(runtime);
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.traceparent = "00-" TRACE "-" OUTER "-01";
    options.correlation_id = "order-17";
    mf_check_int(mf_call_with(parent, "add", MF_ARGS(40, 2), &options, NULL, &error), MF_OK);
    mf_check_int(mf_call_with(parent, "divide", MF_ARGS(1, 0), NULL, NULL, &error), MF_ERR_REMOTE);
    const seen_span *call = find(&seen, MF_SPAN_CALL, 0);
    const seen_span *failed = find(&seen, MF_SPAN_CALL, 1);
    mf_check(call != NULL && failed != NULL);
    if (call != NULL && failed != NULL) {
        check_add(call);
        mf_check_str(failed->status, "app_error");
        mf_check_int(failed->plain.status, MF_ERR_REMOTE);
        mf_check_contains(failed->error, "division by zero");
        mf_check_str(failed->parent, "");
        mf_check_int(failed->plain.trace_flags & 1, 0); /* sampled is never invented */
    }
    mf_check(find(&seen, MF_SPAN_CALL, 2) == NULL);
    mf_check(find(&seen, MF_SPAN_ATTEMPT, 0) == NULL); /* retries are off */
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

/* The span id in the message that the worker got. */
static void read_sent_span(mf_result *result, char to[MF_SPAN_ID_MAX])
{
    const mf_value *map = mf_result_value(result);
    const char *sent = NULL;
    to[0] = '\0';
    mf_check(map != NULL);
    if (map != NULL && mf_value_get_str(mf_value_find(map, "traceparent"), &sent) == MF_OK) {
        mf_check_int(strlen(sent), 55);
        (void)snprintf(to, MF_SPAN_ID_MAX, "%.16s", sent + 36);
    }
}

static void test_message_carries_the_span_of_the_call_or_attempt(void)
{
    static seen_spans seen;
    char plain[MF_SPAN_ID_MAX], retried[MF_SPAN_ID_MAX];
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_runtime *runtime = make_runtime(&seen);
    mf_parent *parent = start_on(runtime);
    options.retry = &retry;
    mf_check_int(mf_call_with(parent, "metadata", MF_NO_ARGS, NULL, &result, &error), MF_OK);
    read_sent_span(result, plain);
    mf_result_destroy(result);
    mf_check_int(mf_call_with(parent, "metadata", MF_NO_ARGS, &options, &result, &error), MF_OK);
    read_sent_span(result, retried);
    mf_result_destroy(result);
    const seen_span *first = find(&seen, MF_SPAN_CALL, 0);
    const seen_span *second = find(&seen, MF_SPAN_CALL, 1);
    const seen_span *attempt = find(&seen, MF_SPAN_ATTEMPT, 0);
    mf_check(first != NULL && second != NULL && attempt != NULL);
    if (first != NULL && second != NULL && attempt != NULL) {
        mf_check_str(first->span_id, plain);
        mf_check_str(attempt->span_id, retried);
        mf_check_str(attempt->parent, second->span_id);
        mf_check_str(attempt->trace_id, second->trace_id);
        mf_check(strcmp(second->span_id, retried) != 0);
        mf_check(attempt < second); /* it ended before */
    }
    mf_check(find(&seen, MF_SPAN_ATTEMPT, 1) == NULL);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

/* ---- Attempts ---- */

static bool is_sent(void *runtime)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    bool found = strstr(text, "multifrost_transport_messages_total{target=\"math\","
                              "direction=\"sent\",type=\"call\"} 1") != NULL;
    free(text);
    return found;
}

static void test_each_attempt_has_a_span(void)
{
    static seen_spans seen;
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_runtime *runtime = make_runtime(&seen);
    mf_parent *parent = start_on(runtime);
    options.retry = &retry;
    options.idempotent = true;
    stop_worker(parent);
    mf_check_int(mf_call_future(parent, "add", MF_ARGS(40, 2), &options, &future, &error), MF_OK);
    mf_check(mf_test_until(is_sent, runtime, MF_TEST_PATIENCE_MS));
    kill_worker(parent);
    mf_check_int(mf_future_wait(future, TOO_LONG_MS, NULL, &error), MF_OK);
    mf_future_destroy(future);
    const seen_span *call = find(&seen, MF_SPAN_CALL, 0);
    const seen_span *lost = find(&seen, MF_SPAN_ATTEMPT, 0);
    const seen_span *answered = find(&seen, MF_SPAN_ATTEMPT, 1);
    mf_check(call != NULL && lost != NULL && answered != NULL);
    if (call != NULL && lost != NULL && answered != NULL) {
        mf_check_str(lost->status, "worker_crashed");
        mf_check_contains(lost->error, "SIGKILL");
        mf_check_int(lost->plain.attempt, 1);
        mf_check_str(answered->status, "ok");
        mf_check_int(answered->plain.attempt, 2);
        mf_check_str(call->status, "ok");
        mf_check_int(call->plain.attempt, 2);
        mf_check_str(lost->parent, call->span_id);
        mf_check_str(answered->parent, call->span_id);
        mf_check(strcmp(lost->span_id, answered->span_id) != 0);
        mf_check(call->plain.start_ns <= lost->plain.start_ns);
        mf_check(lost->plain.end_ns <= answered->plain.start_ns);
        mf_check(answered->plain.end_ns <= call->plain.end_ns);
    }
    mf_check(find(&seen, MF_SPAN_ATTEMPT, 2) == NULL);
    mf_check(find(&seen, MF_SPAN_CALL, 1) == NULL);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

/* ---- Starts ---- */

static void test_start_joins_the_trace_that_is_current(void)
{
    static seen_spans seen;
    mf_context context = {.trace_id = TRACE, .span_id = OUTER, .trace_flags = 1};
    mf_runtime *runtime = make_runtime(&seen);
    mf_context_set(&context);
    mf_parent *parent = start_on(runtime);
    mf_context_set(NULL);
    const seen_span *first = find(&seen, MF_SPAN_WORKER_START, 0);
    mf_check(first != NULL);
    if (first != NULL) {
        mf_check_int(first->plain.kind, MF_SPAN_KIND_INTERNAL);
        mf_check_str(first->name, "worker_start");
        mf_check_str(first->worker, "math-0");
        mf_check_str(first->status, "ok");
        mf_check_str(first->trace_id, TRACE);
        mf_check_str(first->parent, OUTER);
        mf_check_int(first->plain.trace_flags, 1);
        check_times(&first->plain);
    }
    kill_worker(parent);
    mf_check(mf_test_until(is_ready, parent, MF_TEST_PATIENCE_MS));
    const seen_span *again = find(&seen, MF_SPAN_WORKER_START, 1);
    mf_check(again != NULL);
    if (again != NULL) { /* a later start is no part of what the caller did then */
        mf_check(strcmp(again->trace_id, TRACE) != 0);
        mf_check_str(again->parent, "");
    }
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static void test_failed_start_has_a_span(void)
{
    static seen_spans seen;
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    mf_runtime *runtime = make_runtime(&seen);
    options.runtime = runtime;
    options.program = "/nowhere/worker";
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_FAILED);
    const seen_span *failed = find(&seen, MF_SPAN_WORKER_START, 0);
    mf_check(failed != NULL);
    if (failed != NULL) {
        mf_check_int(failed->plain.status, MF_ERR_START_FAILED);
        mf_check_contains(failed->error, "/nowhere/worker");
    }
    mf_check(find(&seen, MF_SPAN_WORKER_START, 1) == NULL);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

/* ---- The environment ---- */

static void get_variable(mf_parent *parent, const char *name, char to[96])
{
    mf_error error = MF_ERROR_INIT;
    mf_result *result = NULL;
    const char *text = "";
    mf_check_int(mf_call(parent, "environment", MF_ARGS(name), &result, &error), MF_OK);
    mf_check_int(mf_value_get_str(mf_result_value(result), &text), MF_OK);
    (void)snprintf(to, 96, "%s", text);
    mf_result_destroy(result);
}

/* The span of the start that the worker was told. */
static void check_variable(mf_parent *parent, const seen_span *start)
{
    char got[96], wanted[96];
    get_variable(parent, "TRACEPARENT", got);
    mf_check(start != NULL);
    if (start != NULL) {
        (void)snprintf(wanted, sizeof wanted, "00-%s-%s-%02x", start->trace_id, start->span_id,
                       (unsigned)start->plain.trace_flags);
        mf_check_str(got, wanted);
    }
}

static void test_worker_is_told_the_span_of_its_start(void)
{
    static seen_spans seen;
    char state[96];
    mf_runtime *runtime = make_runtime(&seen);
    mf_check_int(setenv("TRACESTATE", "vendor=1", 1),
                 0); /* without a traceparent it says nothing */
    mf_parent *parent = start_on(runtime);
    const seen_span *start = find(&seen, MF_SPAN_WORKER_START, 0);
    check_variable(parent, start);
    get_variable(parent, "TRACESTATE", state);
    mf_check_str(state, "");
    mf_check(start != NULL && start->parent[0] == '\0' && (start->plain.trace_flags & 1) == 0);
    mf_check_int(unsetenv("TRACESTATE"), 0);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static void test_starts_join_the_trace_of_the_environment(void)
{
    static seen_spans seen;
    char state[96];
    mf_runtime *runtime = make_runtime(&seen);
    mf_check_int(setenv("TRACEPARENT", "00-" TRACE "-" OUTER "-01", 1), 0);
    mf_check_int(setenv("TRACESTATE", "vendor=1", 1), 0);
    mf_parent *parent = start_on(runtime);
    kill_worker(parent);
    mf_check(mf_test_until(is_ready, parent, MF_TEST_PATIENCE_MS));
    for (size_t i = 0; i < 2; i++) { /* the restart too */
        const seen_span *start = find(&seen, MF_SPAN_WORKER_START, i);
        mf_check(start != NULL);
        if (start != NULL) {
            mf_check_str(start->trace_id, TRACE);
            mf_check_str(start->parent, OUTER);
            mf_check_int(start->plain.trace_flags, 1);
        }
    }
    check_variable(parent, find(&seen, MF_SPAN_WORKER_START, 1));
    get_variable(parent, "TRACESTATE", state);
    mf_check_str(state, "vendor=1");
    mf_check_int(unsetenv("TRACEPARENT"), 0);
    mf_check_int(unsetenv("TRACESTATE"), 0);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static void test_program_may_choose_the_trace_of_its_worker(void)
{
    char got[96];
    const char *const env[] = {"TRACEPARENT=00-" TRACE "-" OUTER "-01", NULL};
    mf_parent_options options = worker_options();
    options.env = env;
    mf_parent *parent = start(&options);
    get_variable(parent, "TRACEPARENT", got);
    mf_check_str(got, "00-" TRACE "-" OUTER "-01");
    mf_parent_destroy(parent);
}

/* ---- Records ---- */

/* Whether a line of the file has all three parts. */
static bool has_line(const char *path, const char *event, const char *id, const char *more)
{
    bool found = false;
    char line[8192];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        found = found || (strstr(line, event) != NULL && strstr(line, id) != NULL &&
                          strstr(line, more) != NULL);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static void test_records_of_a_start_carry_its_span(void)
{
    static seen_spans seen;
    char path[300], sink[400], id[64];
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = make_runtime(&seen);
    mf_parent_options options = worker_options();
    (void)snprintf(path, sizeof path, "%s/spans.log", mf_test_temp_dir());
    (void)snprintf(sink, sizeof sink, "COMLINK_LOG_SINK=%s", path);
    const char *const env[] = {sink, NULL}; /* the worker's records */
    options.runtime = runtime;
    options.env = env;
    mf_check_int(mf_log_add_file(mf_runtime_logger(runtime), path, MF_LOG_JSON, &error), MF_OK);
    mf_parent *parent = start(&options);
    const seen_span *start = find(&seen, MF_SPAN_WORKER_START, 0);
    mf_check(start != NULL);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime); /* all is written */
    if (start != NULL) {
        (void)snprintf(id, sizeof id, "\"span_id\":\"%s\"", start->span_id);
        mf_check(has_line(path, "\"process_spawn\"", id, "\"role\":\"parent\""));
        mf_check(has_line(path, "\"worker_start\"", id, start->trace_id));
        mf_check(has_line(path, "\"socket_connect\"", id, "\"role\":\"child\""));
    }
}

static const mf_test tests[] = {
    {"call_has_one_span", test_call_has_one_span},
    {"message_carries_the_span_of_the_call_or_attempt",
     test_message_carries_the_span_of_the_call_or_attempt},
    {"each_attempt_has_a_span", test_each_attempt_has_a_span},
    {"start_joins_the_trace_that_is_current", test_start_joins_the_trace_that_is_current},
    {"failed_start_has_a_span", test_failed_start_has_a_span},
    {"worker_is_told_the_span_of_its_start", test_worker_is_told_the_span_of_its_start},
    {"starts_join_the_trace_of_the_environment", test_starts_join_the_trace_of_the_environment},
    {"program_may_choose_the_trace_of_its_worker", test_program_may_choose_the_trace_of_its_worker},
    {"records_of_a_start_carry_its_span", test_records_of_a_start_carry_its_span},
};
MF_TEST_MAIN(tests)
