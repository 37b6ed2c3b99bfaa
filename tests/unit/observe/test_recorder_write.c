/* The recorder: what it shows of open and ended calls, its bounds, and that rows are whole while
 * threads write. */
#include "core/observe/recorder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mf_alloc.h"
#include "mf_test.h"

#define SECOND MFI_NS_PER_S
#define NOW (UINT64_C(1000000) * SECOND)
#define ROWS_MAX 1000

typedef struct line {
    double on_cpu, runnable, blocked;
    uint32_t one_in;
    char phase[16], role[8], status[24], error[300], correlation_id[130], function[64], worker[64];
    char target[64], namespace_name[64], request_id[40], trace_id[40];
    uint32_t attempt;
    double age, deadline_left, retry_in, send_wait, wire, handler, receive_wait;
} line;

typedef struct fixture {
    mfi_recorder *recorder;
    mfi_recorded_names add, sub;
    mf_call_counts counts;
    size_t count;
    line lines[ROWS_MAX];
} fixture;

static fixture *setup(size_t bytes, uint64_t keep_ns)
{
    fixture *at = calloc(1, sizeof *at);
    mf_check_int(mfi_recorder_create(&at->recorder, bytes, keep_ns, NULL), MF_OK);
    mfi_recorder_name(at->recorder, &at->add, "math", "math-0", "add");
    mfi_recorder_name(at->recorder, &at->sub, "math", "math-0", "sub");
    return at;
}

static void teardown(fixture *at)
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
    fixture *at = user_data;
    line *to = &at->lines[at->count++];
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

static size_t ask(fixture *at, const mf_call_query *query, uint64_t now_ns)
{
    at->count = 0;
    mf_check(mfi_recorder_visit(at->recorder, query, now_ns, keep_line, at, &at->counts));
    mf_check_int(at->counts.shown, at->count);
    return at->count;
}

static size_t view(fixture *at, mf_call_view which, uint64_t now_ns)
{
    mf_call_query query = {.struct_size = sizeof query, .view = which, .limit = ROWS_MAX};
    return ask(at, &query, now_ns);
}

static mfi_client_span begin(fixture *at, const mfi_recorded_names *names, uint64_t start_ns,
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

static void end(fixture *at, mfi_client_span *span, const mfi_recorded_names *names,
                uint64_t end_ns, mf_status status)
{
    mf_error error = MF_ERROR_INIT;
    error.code = status;
    (void)snprintf(error.message, sizeof error.message, "why %s", span->context.correlation_id);
    span->end_ns = end_ns;
    span->status = status;
    mfi_recorder_client_end(at->recorder, span, names, status != MF_OK ? &error : NULL);
}

/* ---- What is shown ---- */

static void test_open_call_shows_its_phase(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = begin(at, &at->add, NOW, "order-1");
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "queued");
    mf_check_str(at->lines[0].role, "client");
    mf_check_str(at->lines[0].target, "math");
    mf_check_str(at->lines[0].worker, "math-0");
    mf_check_str(at->lines[0].function, "add");
    mf_check_str(at->lines[0].namespace_name, "default");
    mf_check_str(at->lines[0].correlation_id, "order-1");
    mf_check_str(at->lines[0].request_id, "cccccccccccccccccccccccccccccccccccc");
    mf_check_str(at->lines[0].trace_id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    mf_check(at->lines[0].age == 2 && at->lines[0].deadline_left == 3);
    mf_check_int(at->lines[0].attempt, 1);
    mfi_recorder_client_sent(&span.recorded);
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "sent");
    mf_check_int(view(at, MF_CALLS_RECENT, NOW), 0);
    end(at, &span, &at->add, NOW + SECOND, MF_OK);
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 0);
    teardown(at);
}

static void test_wait_for_a_retry_is_a_phase(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = begin(at, &at->add, NOW, "order-1");
    mfi_recorded first = span.recorded;
    mfi_recorder_client_sent(&first);
    mfi_recorder_client_waits(&span, NOW + 3 * SECOND);
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + SECOND), 1);
    mf_check_str(at->lines[0].phase, "retry_wait");
    mf_check(at->lines[0].retry_in == 2);
    span.attempt = 2;
    memset(span.context.request_id, 'd', 36);
    mfi_recorder_client_again(&span);
    mfi_recorder_client_sent(&first); /* of the attempt that is over */
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + SECOND), 1);
    mf_check_str(at->lines[0].phase, "queued");
    mf_check(at->lines[0].retry_in < 0);
    mf_check_int(at->lines[0].attempt, 2);
    mf_check_str(at->lines[0].request_id, "dddddddddddddddddddddddddddddddddddd");
    end(at, &span, &at->add, NOW + SECOND, MF_OK);
    mfi_recorder_client_sent(&span.recorded); /* late */
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + SECOND), 0);
    teardown(at);
}

static void test_end_in_the_wait_counts_no_attempt(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = begin(at, &at->add, NOW, "order-1");
    span.attempt_ns = NOW;
    mfi_recorder_client_waits(&span, NOW + 3 * SECOND);
    span.attempt = 2;
    span.attempt_ns = 0; /* it has not begun */
    end(at, &span, &at->add, NOW + SECOND, MF_ERR_CANCELLED);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + SECOND), 1);
    mf_check_int(at->lines[0].attempt, 1);
    teardown(at);
}

static void test_ended_call_has_its_phases(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = begin(at, &at->add, NOW, "order-1");
    span.sent_ns = NOW + 1 * SECOND;
    span.received_ns = NOW + 8 * SECOND;
    span.has_server_times = true;
    span.server_queue_ns = 2 * SECOND;
    span.server_handler_ns = 4 * SECOND;
    end(at, &span, &at->add, NOW + 10 * SECOND, MF_OK);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + 20 * SECOND), 1);
    const line *shown = &at->lines[0];
    mf_check_str(shown->phase, "ended");
    mf_check_str(shown->status, "ok");
    mf_check(shown->age == 10 && shown->send_wait == 1 && shown->wire == 1);
    mf_check(shown->handler == 4 && shown->receive_wait == 2);
    mfi_client_span early = begin(at, &at->add, NOW + SECOND, "order-2");
    early.sent_ns = NOW; /* the driver's reading of the clock is older than the call */
    end(at, &early, &at->add, NOW + 11 * SECOND, MF_OK);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + 20 * SECOND), 2);
    mf_check(at->lines[0].send_wait == 0);
    teardown(at);
}

static void test_worker_has_its_side(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_recorded_names names;
    mfi_server_span span;
    mf_error error = MF_ERROR_INIT;
    mfi_recorder_name(at->recorder, &names, NULL, "serve", "add");
    mfi_server_span_clear(&span);
    memset(&span.context, 0, sizeof span.context);
    memset(span.context.trace_id, 'a', 32);
    memset(span.context.correlation_id, 'a', 32); /* the same text */
    span.received_ns = NOW;
    span.begun_ns = NOW + SECOND;
    span.deadline_ns = NOW + 6 * SECOND;
    mfi_recorder_server_begin(at->recorder, &span, &names);
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].role, "server");
    mf_check_str(at->lines[0].phase, "running");
    mf_check_str(at->lines[0].worker, "serve");
    mf_check_str(at->lines[0].target, "");
    mf_check_str(at->lines[0].correlation_id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    mf_check(at->lines[0].age == 3 && at->lines[0].deadline_left == 2);
    mfi_recorder_server_deferred(&span);
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "deferred");
    span.has_run = true;
    span.done_ns = span.end_ns = NOW + 3 * SECOND;
    span.status = MF_ERR_REMOTE;
    (void)snprintf(error.message, sizeof error.message, "ValueError: no");
    mfi_recorder_server_end(at->recorder, &span, &names, &error);
    mf_check_int(view(at, MF_CALLS_FAILED, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].status, "app_error");
    mf_check_str(at->lines[0].error, "ValueError: no");
    mf_check(at->lines[0].handler == 2);
    mf_check(at->lines[0].one_in == 0 && at->lines[0].on_cpu < 0); /* not sampled */
    teardown(at);
}

static void test_sampled_handlers_tell_their_states(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_server_span span;
    mfi_server_span_clear(&span);
    memset(&span.context, 0, sizeof span.context);
    span.received_ns = span.begun_ns = NOW;
    mfi_recorder_server_begin(at->recorder, &span, &at->add);
    span.has_run = true;
    span.done_ns = span.end_ns = NOW + 4 * SECOND;
    span.handler_times =
        (mfi_handler_times){.ns = {1 * SECOND, 2 * SECOND, 1 * SECOND}, .one_in = 1000000};
    mfi_recorder_server_end(at->recorder, &span, &at->add, NULL);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + 5 * SECOND), 1);
    mf_check(at->lines[0].on_cpu == 1 && at->lines[0].runnable == 2 && at->lines[0].blocked == 1);
    mf_check_int(at->lines[0].one_in, UINT16_MAX); /* as far as there is room */
    teardown(at);
}

/* ---- Bounds ---- */

static void test_failures_outlive_a_flood(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span failed = begin(at, &at->add, NOW, "lost");
    end(at, &failed, &at->add, NOW + 1, MF_ERR_WORKER_EXITED);
    for (int i = 0; i < 10000; i++) {
        mfi_client_span span = begin(at, &at->add, NOW + 2, "fine");
        end(at, &span, &at->add, NOW + 3, MF_OK);
    }
    for (int i = 0; i < 10000; i++) { /* refused without an attempt: no reason to forget others */
        mfi_client_span span = begin(at, &at->add, NOW + 2, "refused");
        span.is_refused = true;
        end(at, &span, &at->add, NOW + 3, MF_ERR_CIRCUIT_OPEN);
    }
    mf_check(at->counts.matched < ROWS_MAX);
    mf_check(view(at, MF_CALLS_FAILED, NOW + SECOND) > 1);
    mf_check_str(at->lines[at->count - 1].correlation_id, "lost");
    mf_check_str(at->lines[at->count - 1].status, "worker_crashed");
    mf_check_str(at->lines[at->count - 1].error, "why lost");
    mf_check(at->counts.overwritten > 19000);
    mf_check(view(at, MF_CALLS_RECENT, NOW + SECOND) < 128); /* of 64 KiB */
    teardown(at);
}

static void test_failure_is_shown_once(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span failed = begin(at, &at->add, NOW, "lost");
    end(at, &failed, &at->add, NOW + 1, MF_ERR_TIMEOUT);
    mf_check_int(view(at, MF_CALLS_FAILED, NOW + SECOND), 1);
    mf_check_int(view(at, MF_CALLS_ALL, NOW + SECOND), 1);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + SECOND), 1);
    mf_check_str(at->lines[0].error, "why lost");
    for (int i = 0; i < 1000; i++) { /* the ring of failures goes round */
        failed = begin(at, &at->add, NOW + 2, "again");
        end(at, &failed, &at->add, NOW + 3, MF_ERR_TIMEOUT);
    }
    size_t kept = view(at, MF_CALLS_FAILED, NOW + SECOND);
    mf_check(kept >= 8 && kept < 128);
    teardown(at);
}

static void test_slowest_of_each_function(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    for (uint64_t i = 1; i <= 1000; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%u", (unsigned)i);
        mfi_client_span span = begin(at, &at->add, NOW, id);
        end(at, &span, &at->add, NOW + (i * 7919 % 1009) * MFI_NS_PER_MS, MF_OK);
    }
    mfi_client_span quick = begin(at, &at->sub, NOW, "quick");
    end(at, &quick, &at->sub, NOW + 1, MF_OK);
    mf_check_int(view(at, MF_CALLS_SLOWEST, NOW + SECOND), 5);
    for (size_t i = 1; i < at->count; i++) {
        mf_check(at->lines[i].age <= at->lines[i - 1].age);
    }
    mf_check(at->lines[3].age >= 0.990);
    mf_check_str(at->lines[4].correlation_id, "quick");
    mfi_client_span later = begin(at, &at->add, NOW + 700 * SECOND, "later");
    end(at, &later, &at->add, NOW + 700 * SECOND + 5, MF_OK); /* those of before have expired */
    mf_check_int(view(at, MF_CALLS_SLOWEST, NOW + 701 * SECOND), 1);
    mf_check_str(at->lines[0].correlation_id, "later");
    teardown(at);
}

static void test_ended_calls_leave_in_time(void)
{
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 10 * SECOND);
    mfi_client_span span = begin(at, &at->add, NOW, "x");
    end(at, &span, &at->add, NOW + SECOND, MF_ERR_TIMEOUT);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + 11 * SECOND), 1);
    mf_check_int(view(at, MF_CALLS_FAILED, NOW + 11 * SECOND), 1);
    mf_check_int(view(at, MF_CALLS_RECENT, NOW + 11 * SECOND + 1), 0);
    mf_check_int(view(at, MF_CALLS_FAILED, NOW + 11 * SECOND + 1), 0);
    mf_check_int(view(at, MF_CALLS_SLOWEST, NOW + 11 * SECOND + 1), 0);
    teardown(at);
}

static void test_calls_without_room_are_counted(void)
{
    enum { MANY = 400 };
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span *spans = calloc(MANY, sizeof *spans);
    for (int i = 0; i < MANY; i++) {
        spans[i] = begin(at, &at->add, NOW + (uint64_t)i, "many");
    }
    size_t shown = view(at, MF_CALLS_OPEN, NOW + SECOND);
    mf_check(shown > 16 && shown < MANY);
    mf_check_int(shown + at->counts.not_shown, MANY);
    for (int i = 0; i < MANY; i++) {
        end(at, &spans[i], &at->add, NOW + SECOND, i == MANY - 1 ? MF_ERR_TIMEOUT : MF_OK);
    }
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + SECOND), 0);
    mf_check_int(at->counts.not_shown, 0);
    mf_check_int(view(at, MF_CALLS_FAILED, NOW + SECOND), 1); /* though it had no entry */
    free(spans);
    teardown(at);
}

static void test_hundreds_of_open_calls_fit(void)
{
    enum { MANY = 700 };
    fixture *at = setup(MFI_RECORDER_BYTES_DEFAULT, 600 * SECOND);
    mfi_client_span *spans = calloc(MANY, sizeof *spans);
    for (int i = 0; i < MANY; i++) {
        spans[i] = begin(at, &at->add, NOW + (uint64_t)i, "many");
    }
    mf_check_int(view(at, MF_CALLS_OPEN, NOW + SECOND), MANY);
    mf_check_int(at->counts.not_shown, 0);
    free(spans);
    teardown(at);
}

/* ---- Queries ---- */

static void test_queries_select(void)
{
    char name[100] = "";
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_recorded_names longer;
    memset(name, 'x', sizeof name - 1);
    mfi_recorder_name(at->recorder, &longer, "math", "math-1", name);
    mfi_client_span one = begin(at, &at->add, NOW + 1, "one");
    mfi_client_span two = begin(at, &at->sub, NOW, "two");
    mfi_client_span three = begin(at, &longer, NOW + 2, "three");
    end(at, &three, &longer, NOW + 3, MF_ERR_TIMEOUT);
    mf_call_query query = {.struct_size = sizeof query, .view = MF_CALLS_ALL, .limit = 10};
    mf_check_int(ask(at, &query, NOW + SECOND), 3);
    mf_check_str(at->lines[0].correlation_id, "two"); /* the oldest of the open ones */
    mf_check_str(at->lines[2].correlation_id, "three");
    query.limit = 1;
    mf_check_int(ask(at, &query, NOW + SECOND), 1);
    mf_check_int(at->counts.matched, 3);
    mf_check_str(at->lines[0].correlation_id, "two");
    query.limit = SIZE_MAX;
    mf_check_int(ask(at, &query, NOW + SECOND), 3);
    query.limit = 10;
    query.function = "add";
    mf_check_int(ask(at, &query, NOW + SECOND), 1);
    query.function = name;
    mf_check_int(ask(at, &query, NOW + SECOND), 1);
    mf_check_str(at->lines[0].correlation_id, "three");
    query.function = NULL;
    query.worker = "math-0";
    mf_check_int(ask(at, &query, NOW + SECOND), 2);
    query.target = "other";
    mf_check_int(ask(at, &query, NOW + SECOND), 0);
    query.target = query.worker = NULL;
    query.status = "timeout";
    mf_check_int(ask(at, &query, NOW + SECOND), 1);
    query.status = NULL;
    query.correlation_id = "one";
    mf_check_int(ask(at, &query, NOW + SECOND), 1);
    end(at, &one, &at->add, NOW + 5, MF_OK);
    end(at, &two, &at->sub, NOW + 5, MF_OK);
    mf_check_int(ask(at, &query, NOW + SECOND), 1);
    mf_check_str(at->lines[0].status, "ok");
    teardown(at);
}

static void test_texts_are_cut_between_characters(void)
{
    char name[80] = "";
    fixture *at = setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_recorded_names names;
    memset(name, 'x', sizeof name - 1);
    memcpy(name + 54, "\xc3\xa9", 2);
    mfi_recorder_name(at->recorder, &names, name, NULL, "add");
    mfi_client_span span;
    mfi_client_span_clear(&span);
    memset(&span.context, 0, sizeof span.context);
    memcpy(name + 38, "\xc3\xa9", 2);
    span.namespace_name = name;
    mfi_recorder_client_begin(at->recorder, &span, &names);
    mf_check_int(view(at, MF_CALLS_OPEN, NOW), 1);
    mf_check_int(strlen(at->lines[0].target), 54);
    mf_check_int(strlen(at->lines[0].namespace_name), 38);
    teardown(at);
}

/* ---- Threads ---- */

typedef struct writer {
    fixture *at;
    unsigned number, calls;
    _Atomic(unsigned) *left;
} writer;

/* Every text of a call says its number. */
static void *write_calls(void *argument)
{
    writer *self = argument;
    char id[33], function[40];
    for (unsigned i = 0; i < self->calls; i++) {
        mfi_recorded_names names;
        (void)snprintf(id, sizeof id, "%016x%016x", self->number, i);
        (void)snprintf(function, sizeof function, "f%s", id);
        mfi_recorder_name(NULL, &names, "math", id, function);
        mfi_client_span span = begin(self->at, &names, mfi_monotonic_ns(), id);
        mfi_recorder_client_sent(&span.recorded);
        end(self->at, &span, &names, mfi_monotonic_ns(), i % 8 == 0 ? MF_ERR_TIMEOUT : MF_OK);
    }
    atomic_fetch_sub(self->left, 1);
    return NULL;
}

static void check_whole(const mf_call_row *row, void *user_data)
{
    (*(unsigned *)user_data)++;
    char error[64];
    (void)snprintf(error, sizeof error, "why %s", row->correlation_id);
    bool is_whole = strcmp(row->worker, row->correlation_id) == 0 &&
                    strcmp(row->function + 1, row->correlation_id) == 0 &&
                    strcmp(row->target, "math") == 0 &&
                    (row->error == NULL || strcmp(row->error, error) == 0);
    if (!is_whole) {
        mf_check_str(row->function, row->correlation_id);
    }
}

static void write_and_read(unsigned threads, unsigned calls)
{
    fixture *at = setup(MFI_RECORDER_BYTES_DEFAULT, 600 * SECOND);
    pthread_t ids[32];
    writer writers[32];
    _Atomic(unsigned) left = threads;
    unsigned rows = 0;
    for (unsigned i = 0; i < threads; i++) {
        writers[i] = (writer){.at = at, .number = i, .calls = calls, .left = &left};
        mf_check_int(pthread_create(&ids[i], NULL, write_calls, &writers[i]), 0);
    }
    do {
        for (int which = MF_CALLS_OPEN; which <= MF_CALLS_ALL; which++) {
            mf_call_query query = {.view = (mf_call_view)which, .limit = ROWS_MAX};
            mf_check(mfi_recorder_visit(at->recorder, &query, mfi_monotonic_ns(), check_whole,
                                        &rows, &at->counts));
        }
    } while (atomic_load(&left) > 0);
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    mf_check(rows > 0);
    mf_check_int(view(at, MF_CALLS_OPEN, mfi_monotonic_ns()), 0);
    mf_check_int(at->counts.not_shown, 0);
    mf_check_int(at->counts.unreadable, 0);
    teardown(at);
}

static void test_rows_are_whole_while_threads_write(void)
{
    write_and_read(2, 100000);
}

static void test_threads_beyond_the_lanes_share(void)
{
    write_and_read(24, 2000);
}

static void test_without_memory_nothing_is_left(void)
{
    mfi_recorder *recorder = NULL;
    mf_status status = MF_ERR_NO_MEMORY;
    for (int i = 0; i < 10 && status != MF_OK; i++) {
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(i);
        status = mfi_recorder_create(&recorder, MFI_RECORDER_BYTES_LEAST, SECOND, &error);
        (void)mf_alloc_stop();
        mf_check(status == MF_OK || error.code == MF_ERR_NO_MEMORY);
        mf_check((status == MF_OK) == (i == 4));
    }
    mfi_recorder_destroy(recorder);
}

static const mf_test tests[] = {
    {"recorder__open_call_shows_its_phase", test_open_call_shows_its_phase},
    {"recorder__wait_for_a_retry_is_a_phase", test_wait_for_a_retry_is_a_phase},
    {"recorder__ended_call_has_its_phases", test_ended_call_has_its_phases},
    {"recorder__worker_has_its_side", test_worker_has_its_side},
    {"recorder__sampled_handlers_tell_their_states", test_sampled_handlers_tell_their_states},
    {"recorder__failures_outlive_a_flood", test_failures_outlive_a_flood},
    {"recorder__failure_is_shown_once", test_failure_is_shown_once},
    {"recorder__slowest_of_each_function", test_slowest_of_each_function},
    {"recorder__ended_calls_leave_in_time", test_ended_calls_leave_in_time},
    {"recorder__calls_without_room_are_counted", test_calls_without_room_are_counted},
    {"recorder__hundreds_of_open_calls_fit", test_hundreds_of_open_calls_fit},
    {"recorder__end_in_the_wait_counts_no_attempt", test_end_in_the_wait_counts_no_attempt},
    {"recorder__queries_select", test_queries_select},
    {"recorder__texts_are_cut_between_characters", test_texts_are_cut_between_characters},
    {"recorder__rows_are_whole_while_threads_write", test_rows_are_whole_while_threads_write},
    {"recorder__threads_beyond_the_lanes_share", test_threads_beyond_the_lanes_share},
    {"recorder__without_memory_nothing_is_left", test_without_memory_nothing_is_left},
};
MF_TEST_MAIN(tests)
