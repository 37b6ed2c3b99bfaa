/* The recorder: what it shows of open and ended calls, which of them a query selects, and that rows
 * are whole while threads write. */
#include "core/observe/recorder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "mf_alloc.h"
#include "mf_test.h"
#include "recorder_support.h"

/* ---- What is shown ---- */

static void test_open_call_shows_its_phase(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = call_begin(at, &at->add, NOW, "order-1");
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 1);
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
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "sent");
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW), 0);
    call_end(at, &span, &at->add, NOW + SECOND, MF_OK);
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 0);
    recorder_teardown(at);
}

static void test_wait_for_a_retry_is_a_phase(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = call_begin(at, &at->add, NOW, "order-1");
    mfi_recorded first = span.recorded;
    mfi_recorder_client_sent(&first);
    mfi_recorder_client_waits(&span, NOW + 3 * SECOND);
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + SECOND), 1);
    mf_check_str(at->lines[0].phase, "retry_wait");
    mf_check(at->lines[0].retry_in == 2);
    span.attempt = 2;
    memset(span.context.request_id, 'd', 36);
    mfi_recorder_client_again(&span);
    mfi_recorder_client_sent(&first); /* of the attempt that is over */
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + SECOND), 1);
    mf_check_str(at->lines[0].phase, "queued");
    mf_check(at->lines[0].retry_in < 0);
    mf_check_int(at->lines[0].attempt, 2);
    mf_check_str(at->lines[0].request_id, "dddddddddddddddddddddddddddddddddddd");
    call_end(at, &span, &at->add, NOW + SECOND, MF_OK);
    mfi_recorder_client_sent(&span.recorded); /* late */
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + SECOND), 0);
    recorder_teardown(at);
}

static void test_end_in_the_wait_counts_no_attempt(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = call_begin(at, &at->add, NOW, "order-1");
    span.attempt_ns = NOW;
    mfi_recorder_client_waits(&span, NOW + 3 * SECOND);
    span.attempt = 2;
    span.attempt_ns = 0; /* it has not begun */
    call_end(at, &span, &at->add, NOW + SECOND, MF_ERR_CANCELLED);
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + SECOND), 1);
    mf_check_int(at->lines[0].attempt, 1);
    recorder_teardown(at);
}

static void test_ended_call_has_its_phases(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = call_begin(at, &at->add, NOW, "order-1");
    span.sent_ns = NOW + 1 * SECOND;
    span.received_ns = NOW + 8 * SECOND;
    span.has_server_times = true;
    span.server_queue_ns = 2 * SECOND;
    span.server_handler_ns = 4 * SECOND;
    call_end(at, &span, &at->add, NOW + 10 * SECOND, MF_OK);
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + 20 * SECOND), 1);
    const recorder_line *shown = &at->lines[0];
    mf_check_str(shown->phase, "ended");
    mf_check_str(shown->status, "ok");
    mf_check(shown->age == 10 && shown->send_wait == 1 && shown->wire == 1);
    mf_check(shown->handler == 4 && shown->receive_wait == 2);
    mfi_client_span early = call_begin(at, &at->add, NOW + SECOND, "order-2");
    early.sent_ns = NOW; /* the driver's reading of the clock is older than the call */
    call_end(at, &early, &at->add, NOW + 11 * SECOND, MF_OK);
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + 20 * SECOND), 2);
    mf_check(at->lines[0].send_wait == 0);
    recorder_teardown(at);
}

static void test_worker_has_its_side(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
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
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].role, "server");
    mf_check_str(at->lines[0].phase, "running");
    mf_check_str(at->lines[0].worker, "serve");
    mf_check_str(at->lines[0].target, "");
    mf_check_str(at->lines[0].correlation_id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    mf_check(at->lines[0].age == 3 && at->lines[0].deadline_left == 2);
    mfi_recorder_server_deferred(&span);
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "deferred");
    span.has_run = true;
    span.done_ns = span.end_ns = NOW + 3 * SECOND;
    span.status = MF_ERR_REMOTE;
    (void)snprintf(error.message, sizeof error.message, "ValueError: no");
    mfi_recorder_server_end(at->recorder, &span, &names, &error);
    mf_check_int(view_calls(at, MF_CALLS_FAILED, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].status, "app_error");
    mf_check_str(at->lines[0].error, "ValueError: no");
    mf_check(at->lines[0].handler == 2);
    mf_check(at->lines[0].one_in == 0 && at->lines[0].on_cpu < 0); /* not sampled */
    recorder_teardown(at);
}

static void test_sampled_handlers_tell_their_states(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
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
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + 5 * SECOND), 1);
    mf_check(at->lines[0].on_cpu == 1 && at->lines[0].runnable == 2 && at->lines[0].blocked == 1);
    mf_check_int(at->lines[0].one_in, UINT16_MAX); /* as far as there is room */
    recorder_teardown(at);
}

/* ---- Queries ---- */

static void test_queries_select(void)
{
    char name[100] = "";
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_recorded_names longer;
    memset(name, 'x', sizeof name - 1);
    mfi_recorder_name(at->recorder, &longer, "math", "math-1", name);
    mfi_client_span one = call_begin(at, &at->add, NOW + 1, "one");
    mfi_client_span two = call_begin(at, &at->sub, NOW, "two");
    mfi_client_span three = call_begin(at, &longer, NOW + 2, "three");
    call_end(at, &three, &longer, NOW + 3, MF_ERR_TIMEOUT);
    mf_call_query query = {.struct_size = sizeof query, .view = MF_CALLS_ALL, .limit = 10};
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 3);
    mf_check_str(at->lines[0].correlation_id, "two"); /* the oldest of the open ones */
    mf_check_str(at->lines[2].correlation_id, "three");
    query.limit = 1;
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 1);
    mf_check_int(at->counts.matched, 3);
    mf_check_str(at->lines[0].correlation_id, "two");
    query.limit = SIZE_MAX;
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 3);
    query.limit = 10;
    query.function = "add";
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 1);
    query.function = name;
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 1);
    mf_check_str(at->lines[0].correlation_id, "three");
    query.function = NULL;
    query.worker = "math-0";
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 2);
    query.target = "other";
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 0);
    query.target = query.worker = NULL;
    query.status = "timeout";
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 1);
    query.status = NULL;
    query.correlation_id = "one";
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 1);
    call_end(at, &one, &at->add, NOW + 5, MF_OK);
    call_end(at, &two, &at->sub, NOW + 5, MF_OK);
    mf_check_int(ask_calls(at, &query, NOW + SECOND), 1);
    mf_check_str(at->lines[0].status, "ok");
    recorder_teardown(at);
}

static void test_texts_are_cut_between_characters(void)
{
    char name[80] = "";
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
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
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW), 1);
    mf_check_int(strlen(at->lines[0].target), 54);
    mf_check_int(strlen(at->lines[0].namespace_name), 38);
    recorder_teardown(at);
}

/* ---- Threads ---- */

typedef struct writer {
    recorder_fixture *at;
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
        mfi_client_span span = call_begin(self->at, &names, mfi_monotonic_ns(), id);
        mfi_recorder_client_sent(&span.recorded);
        call_end(self->at, &span, &names, mfi_monotonic_ns(), i % 8 == 0 ? MF_ERR_TIMEOUT : MF_OK);
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
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_DEFAULT, 600 * SECOND);
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
    mf_check_int(view_calls(at, MF_CALLS_OPEN, mfi_monotonic_ns()), 0);
    mf_check_int(at->counts.not_shown, 0);
    mf_check_int(at->counts.unreadable, 0);
    recorder_teardown(at);
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
    {"recorder__end_in_the_wait_counts_no_attempt", test_end_in_the_wait_counts_no_attempt},
    {"recorder__queries_select", test_queries_select},
    {"recorder__texts_are_cut_between_characters", test_texts_are_cut_between_characters},
    {"recorder__rows_are_whole_while_threads_write", test_rows_are_whole_while_threads_write},
    {"recorder__threads_beyond_the_lanes_share", test_threads_beyond_the_lanes_share},
    {"recorder__without_memory_nothing_is_left", test_without_memory_nothing_is_left},
};
MF_TEST_MAIN(tests)
