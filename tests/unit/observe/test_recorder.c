/* The recorder: what it shows of open and ended calls, its bounds, and that rows are whole while
 * threads write. */
#include "core/observe/recorder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mf_test.h"
#include "recorder_support.h"

/* ---- What is shown ---- */

static void test_open_call_shows_its_phase(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = recorder_begin(at, &at->add, NOW, "order-1");
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 1);
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
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "sent");
    mf_check_int(recorder_view(at, MF_CALLS_RECENT, NOW), 0);
    recorder_end(at, &span, &at->add, NOW + SECOND, MF_OK);
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + 2 * SECOND), 0);
    recorder_teardown(at);
}

static void test_wait_for_a_retry_is_a_phase(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = recorder_begin(at, &at->add, NOW, "order-1");
    mfi_recorded first = span.recorded;
    mfi_recorder_client_sent(&first);
    mfi_recorder_client_waits(&span, NOW + 3 * SECOND);
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + SECOND), 1);
    mf_check_str(at->lines[0].phase, "retry_wait");
    mf_check(at->lines[0].retry_in == 2);
    span.attempt = 2;
    memset(span.context.request_id, 'd', 36);
    mfi_recorder_client_again(&span);
    mfi_recorder_client_sent(&first); /* of the attempt that is over */
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + SECOND), 1);
    mf_check_str(at->lines[0].phase, "queued");
    mf_check(at->lines[0].retry_in < 0);
    mf_check_int(at->lines[0].attempt, 2);
    mf_check_str(at->lines[0].request_id, "dddddddddddddddddddddddddddddddddddd");
    recorder_end(at, &span, &at->add, NOW + SECOND, MF_OK);
    mfi_recorder_client_sent(&span.recorded); /* late */
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + SECOND), 0);
    recorder_teardown(at);
}

static void test_ended_call_has_its_phases(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span span = recorder_begin(at, &at->add, NOW, "order-1");
    span.sent_ns = NOW + 1 * SECOND;
    span.received_ns = NOW + 8 * SECOND;
    span.has_server_times = true;
    span.server_queue_ns = 2 * SECOND;
    span.server_handler_ns = 4 * SECOND;
    recorder_end(at, &span, &at->add, NOW + 10 * SECOND, MF_OK);
    mf_check_int(recorder_view(at, MF_CALLS_RECENT, NOW + 20 * SECOND), 1);
    const line *shown = &at->lines[0];
    mf_check_str(shown->phase, "ended");
    mf_check_str(shown->status, "ok");
    mf_check(shown->age == 10 && shown->send_wait == 1 && shown->wire == 1);
    mf_check(shown->handler == 4 && shown->receive_wait == 2);
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
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].role, "server");
    mf_check_str(at->lines[0].phase, "running");
    mf_check_str(at->lines[0].worker, "serve");
    mf_check_str(at->lines[0].target, "");
    mf_check_str(at->lines[0].correlation_id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    mf_check(at->lines[0].age == 3 && at->lines[0].deadline_left == 2);
    mfi_recorder_server_deferred(&span);
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].phase, "deferred");
    span.has_run = true;
    span.done_ns = span.end_ns = NOW + 3 * SECOND;
    span.status = MF_ERR_REMOTE;
    (void)snprintf(error.message, sizeof error.message, "ValueError: no");
    mfi_recorder_server_end(at->recorder, &span, &names, &error);
    mf_check_int(recorder_view(at, MF_CALLS_FAILED, NOW + 4 * SECOND), 1);
    mf_check_str(at->lines[0].status, "app_error");
    mf_check_str(at->lines[0].error, "ValueError: no");
    mf_check(at->lines[0].handler == 2);
    recorder_teardown(at);
}

/* ---- Bounds ---- */

static void test_calls_without_room_are_counted(void)
{
    enum { MANY = 400 };
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span *spans = calloc(MANY, sizeof *spans);
    for (int i = 0; i < MANY; i++) {
        spans[i] = recorder_begin(at, &at->add, NOW + (uint64_t)i, "many");
    }
    size_t shown = recorder_view(at, MF_CALLS_OPEN, NOW + SECOND);
    mf_check(shown > 16 && shown < MANY);
    mf_check_int(shown + at->counts.not_shown, MANY);
    for (int i = 0; i < MANY; i++) {
        recorder_end(at, &spans[i], &at->add, NOW + SECOND, i == MANY - 1 ? MF_ERR_TIMEOUT : MF_OK);
    }
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, NOW + SECOND), 0);
    mf_check_int(at->counts.not_shown, 0);
    mf_check_int(recorder_view(at, MF_CALLS_FAILED, NOW + SECOND), 1); /* though it had no entry */
    free(spans);
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
        mfi_client_span span = recorder_begin(self->at, &names, mfi_monotonic_ns(), id);
        mfi_recorder_client_sent(&span.recorded);
        recorder_end(self->at, &span, &names, mfi_monotonic_ns(),
                     i % 8 == 0 ? MF_ERR_TIMEOUT : MF_OK);
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
    mf_check_int(recorder_view(at, MF_CALLS_OPEN, mfi_monotonic_ns()), 0);
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

static const mf_test tests[] = {
    {"recorder__open_call_shows_its_phase", test_open_call_shows_its_phase},
    {"recorder__wait_for_a_retry_is_a_phase", test_wait_for_a_retry_is_a_phase},
    {"recorder__ended_call_has_its_phases", test_ended_call_has_its_phases},
    {"recorder__worker_has_its_side", test_worker_has_its_side},
    {"recorder__calls_without_room_are_counted", test_calls_without_room_are_counted},
    {"recorder__rows_are_whole_while_threads_write", test_rows_are_whole_while_threads_write},
    {"recorder__threads_beyond_the_lanes_share", test_threads_beyond_the_lanes_share},
};
MF_TEST_MAIN(tests)
