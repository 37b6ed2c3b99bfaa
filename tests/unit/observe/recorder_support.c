/* Calls of a recorder, and copies of its rows: see recorder_support.h. */
#include "recorder_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

recorder_fixture *recorder_setup(size_t bytes, uint64_t keep_ns)
{
    recorder_fixture *at = calloc(1, sizeof *at);
    mf_check_int(mfi_recorder_create(&at->recorder, bytes, keep_ns, NULL), MF_OK);
    mfi_recorder_name(at->recorder, &at->add, "math", "math-0", "add");
    mfi_recorder_name(at->recorder, &at->sub, "math", "math-0", "sub");
    return at;
}

void recorder_teardown(recorder_fixture *at)
{
    mfi_recorder_destroy(at->recorder);
    free(at);
}

static void copy(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static void keep_line(const mf_call_row *row, void *user_data)
{
    recorder_fixture *at = user_data;
    recorder_line *to = &at->lines[at->count++];
    to->on_cpu = row->handler_on_cpu_seconds;
    to->runnable = row->handler_runnable_seconds;
    to->blocked = row->handler_blocked_seconds;
    to->one_in = row->handler_sampled_one_in;
    copy(to->phase, sizeof to->phase, row->phase);
    copy(to->role, sizeof to->role, row->role);
    copy(to->status, sizeof to->status, row->status);
    copy(to->error, sizeof to->error, row->error);
    copy(to->correlation_id, sizeof to->correlation_id, row->correlation_id);
    copy(to->function, sizeof to->function, row->function);
    copy(to->worker, sizeof to->worker, row->worker);
    copy(to->target, sizeof to->target, row->target);
    copy(to->namespace_name, sizeof to->namespace_name, row->namespace_name);
    copy(to->request_id, sizeof to->request_id, row->request_id);
    copy(to->trace_id, sizeof to->trace_id, row->trace_id);
    to->attempt = row->attempt;
    to->age = row->age_seconds;
    to->deadline_left = row->has_deadline ? row->deadline_left_seconds : -1e9;
    to->retry_in = row->retry_in_seconds;
    to->send_wait = row->send_wait_seconds;
    to->wire = row->wire_seconds;
    to->handler = row->handler_seconds;
    to->receive_wait = row->receive_wait_seconds;
}

size_t ask_calls(recorder_fixture *at, const mf_call_query *query, uint64_t now_ns)
{
    at->count = 0;
    mf_check(mfi_recorder_visit(at->recorder, query, now_ns, keep_line, at, &at->counts));
    mf_check_int(at->counts.shown, at->count);
    return at->count;
}

size_t view_calls(recorder_fixture *at, mf_call_view which, uint64_t now_ns)
{
    mf_call_query query = {.struct_size = sizeof query, .view = which, .limit = ROWS_MAX};
    return ask_calls(at, &query, now_ns);
}

mfi_client_span call_begin(recorder_fixture *at, const mfi_recorded_names *names, uint64_t start_ns,
                           const char *id)
{
    mfi_client_span span;
    mfi_client_span_clear(&span);
    memset(&span.context, 0, sizeof span.context);
    span.namespace_name = "default";
    span.start_ns = start_ns;
    span.deadline_ms = 5000;
    span.attempt = 1;
    (void)snprintf(span.context.correlation_id, sizeof span.context.correlation_id, "%s", id);
    memset(span.context.trace_id, 'a', 32);
    memset(span.context.span_id, 'b', 16);
    memset(span.context.request_id, 'c', 36);
    mfi_recorder_client_begin(at->recorder, &span, names);
    return span;
}

void call_end(recorder_fixture *at, mfi_client_span *span, const mfi_recorded_names *names,
              uint64_t end_ns, mf_status status)
{
    mf_error error = MF_ERROR_INIT;
    error.code = status;
    (void)snprintf(error.message, sizeof error.message, "why %s", span->context.correlation_id);
    span->end_ns = end_ns;
    span->status = status;
    mfi_recorder_client_end(at->recorder, span, names, status != MF_OK ? &error : NULL);
}
