/* The recorder's bounds: which calls it forgets first, for how long it keeps the others, and that
 * calls without room are counted. */
#include <stdio.h>
#include <stdlib.h>

#include "core/observe/recorder.h"
#include "mf_test.h"
#include "recorder_support.h"

static void test_failures_outlive_a_flood(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span failed = call_begin(at, &at->add, NOW, "lost");
    call_end(at, &failed, &at->add, NOW + 1, MF_ERR_WORKER_EXITED);
    for (int i = 0; i < 10000; i++) {
        mfi_client_span span = call_begin(at, &at->add, NOW + 2, "fine");
        call_end(at, &span, &at->add, NOW + 3, MF_OK);
    }
    for (int i = 0; i < 10000; i++) { /* refused without an attempt: no reason to forget others */
        mfi_client_span span = call_begin(at, &at->add, NOW + 2, "refused");
        span.is_refused = true;
        call_end(at, &span, &at->add, NOW + 3, MF_ERR_CIRCUIT_OPEN);
    }
    mf_check(at->counts.matched < ROWS_MAX);
    mf_check(view_calls(at, MF_CALLS_FAILED, NOW + SECOND) > 1);
    mf_check_str(at->lines[at->count - 1].correlation_id, "lost");
    mf_check_str(at->lines[at->count - 1].status, "worker_crashed");
    mf_check_str(at->lines[at->count - 1].error, "why lost");
    mf_check(at->counts.overwritten > 19000);
    mf_check(view_calls(at, MF_CALLS_RECENT, NOW + SECOND) < 128); /* of 64 KiB */
    recorder_teardown(at);
}

static void test_failure_is_shown_once(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span failed = call_begin(at, &at->add, NOW, "lost");
    call_end(at, &failed, &at->add, NOW + 1, MF_ERR_TIMEOUT);
    mf_check_int(view_calls(at, MF_CALLS_FAILED, NOW + SECOND), 1);
    mf_check_int(view_calls(at, MF_CALLS_ALL, NOW + SECOND), 1);
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + SECOND), 1);
    mf_check_str(at->lines[0].error, "why lost");
    for (int i = 0; i < 1000; i++) { /* the ring of failures goes round */
        failed = call_begin(at, &at->add, NOW + 2, "again");
        call_end(at, &failed, &at->add, NOW + 3, MF_ERR_TIMEOUT);
    }
    size_t kept = view_calls(at, MF_CALLS_FAILED, NOW + SECOND);
    mf_check(kept >= 8 && kept < 128);
    recorder_teardown(at);
}

static void test_slowest_of_each_function(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    for (uint64_t i = 1; i <= 1000; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%u", (unsigned)i);
        mfi_client_span span = call_begin(at, &at->add, NOW, id);
        call_end(at, &span, &at->add, NOW + (i * 7919 % 1009) * MFI_NS_PER_MS, MF_OK);
    }
    mfi_client_span quick = call_begin(at, &at->sub, NOW, "quick");
    call_end(at, &quick, &at->sub, NOW + 1, MF_OK);
    mf_check_int(view_calls(at, MF_CALLS_SLOWEST, NOW + SECOND), 5);
    for (size_t i = 1; i < at->count; i++) {
        mf_check(at->lines[i].age <= at->lines[i - 1].age);
    }
    mf_check(at->lines[3].age >= 0.990);
    mf_check_str(at->lines[4].correlation_id, "quick");
    mfi_client_span later = call_begin(at, &at->add, NOW + 700 * SECOND, "later");
    call_end(at, &later, &at->add, NOW + 700 * SECOND + 5,
             MF_OK); /* those of before have expired */
    mf_check_int(view_calls(at, MF_CALLS_SLOWEST, NOW + 701 * SECOND), 1);
    mf_check_str(at->lines[0].correlation_id, "later");
    recorder_teardown(at);
}

static void test_ended_calls_leave_in_time(void)
{
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 10 * SECOND);
    mfi_client_span span = call_begin(at, &at->add, NOW, "x");
    call_end(at, &span, &at->add, NOW + SECOND, MF_ERR_TIMEOUT);
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + 11 * SECOND), 1);
    mf_check_int(view_calls(at, MF_CALLS_FAILED, NOW + 11 * SECOND), 1);
    mf_check_int(view_calls(at, MF_CALLS_RECENT, NOW + 11 * SECOND + 1), 0);
    mf_check_int(view_calls(at, MF_CALLS_FAILED, NOW + 11 * SECOND + 1), 0);
    mf_check_int(view_calls(at, MF_CALLS_SLOWEST, NOW + 11 * SECOND + 1), 0);
    recorder_teardown(at);
}

static void test_calls_without_room_are_counted(void)
{
    enum { MANY = 400 };
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_client_span *spans = calloc(MANY, sizeof *spans);
    for (int i = 0; i < MANY; i++) {
        spans[i] = call_begin(at, &at->add, NOW + (uint64_t)i, "many");
    }
    size_t shown = view_calls(at, MF_CALLS_OPEN, NOW + SECOND);
    mf_check(shown > 16 && shown < MANY);
    mf_check_int(shown + at->counts.not_shown, MANY);
    for (int i = 0; i < MANY; i++) {
        call_end(at, &spans[i], &at->add, NOW + SECOND, i == MANY - 1 ? MF_ERR_TIMEOUT : MF_OK);
    }
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + SECOND), 0);
    mf_check_int(at->counts.not_shown, 0);
    mf_check_int(view_calls(at, MF_CALLS_FAILED, NOW + SECOND), 1); /* though it had no entry */
    free(spans);
    recorder_teardown(at);
}

static void test_hundreds_of_open_calls_fit(void)
{
    enum { MANY = 700 };
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_DEFAULT, 600 * SECOND);
    mfi_client_span *spans = calloc(MANY, sizeof *spans);
    for (int i = 0; i < MANY; i++) {
        spans[i] = call_begin(at, &at->add, NOW + (uint64_t)i, "many");
    }
    mf_check_int(view_calls(at, MF_CALLS_OPEN, NOW + SECOND), MANY);
    mf_check_int(at->counts.not_shown, 0);
    free(spans);
    recorder_teardown(at);
}

static const mf_test tests[] = {
    {"recorder__failures_outlive_a_flood", test_failures_outlive_a_flood},
    {"recorder__failure_is_shown_once", test_failure_is_shown_once},
    {"recorder__slowest_of_each_function", test_slowest_of_each_function},
    {"recorder__ended_calls_leave_in_time", test_ended_calls_leave_in_time},
    {"recorder__calls_without_room_are_counted", test_calls_without_room_are_counted},
    {"recorder__hundreds_of_open_calls_fit", test_hundreds_of_open_calls_fit},
};
MF_TEST_MAIN(tests)
