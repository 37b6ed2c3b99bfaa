/* The window holds the last 50 calls, whatever was before. */
#include "core/policy/outcomes.h"

#include "mf_test.h"

static void add_many(mfi_outcomes *outcomes, mfi_call_status status, int count)
{
    for (int i = 0; i < count; i++) {
        (void)mfi_outcomes_add(outcomes, status, 0);
    }
}

static void test_counts_by_status(void)
{
    mfi_outcomes outcomes = {0};
    mfi_circuit_counts counts;
    mfi_outcomes_read(&outcomes, &counts);
    mf_check_int(counts.calls, 0);
    mf_check_int(counts.failed, 0);
    add_many(&outcomes, MFI_STATUS_OK, 5);
    add_many(&outcomes, MFI_STATUS_TIMEOUT, 1);
    add_many(&outcomes, MFI_STATUS_UNAVAILABLE, 2);
    add_many(&outcomes, MFI_STATUS_WORKER_CRASHED, 3);
    add_many(&outcomes, MFI_STATUS_PROTOCOL_ERROR, 4);
    add_many(&outcomes, MFI_STATUS_APP_ERROR, 6);
    mfi_outcomes_exclude(&outcomes);
    mfi_outcomes_read(&outcomes, &counts);
    mf_check_int(counts.calls, 21);
    mf_check_int(counts.ok, 5);
    mf_check_int(counts.failed, 16);
    mf_check_int(counts.timeout, 1);
    mf_check_int(counts.unavailable, 2);
    mf_check_int(counts.worker_crashed, 3);
    mf_check_int(counts.protocol_error, 4);
    mf_check_int(counts.excluded, 1);
}

static void test_older_calls_leave(void)
{
    mfi_outcomes outcomes = {0};
    mfi_circuit_counts counts;
    mfi_outcomes_exclude(&outcomes);
    add_many(&outcomes, MFI_STATUS_TIMEOUT, 300);
    mfi_outcomes_exclude(&outcomes);
    mfi_outcomes_read(&outcomes, &counts);
    mf_check_int(counts.calls, MFI_OUTCOMES_WINDOW);
    mf_check_int(counts.timeout, MFI_OUTCOMES_WINDOW);
    mf_check_int(counts.excluded, 1);
    for (int ok = 1; ok <= MFI_OUTCOMES_WINDOW; ok++) {
        (void)mfi_outcomes_add(&outcomes, MFI_STATUS_OK, 0);
        mfi_outcomes_read(&outcomes, &counts);
        mf_check_int(counts.calls, MFI_OUTCOMES_WINDOW);
        mf_check_int(counts.ok, ok);
        mf_check_int(counts.failed, MFI_OUTCOMES_WINDOW - ok);
    }
    mf_check_int(counts.excluded, 0);
    for (int i = 0; i < 70; i++) {
        mfi_outcomes_exclude(&outcomes);
    }
    mfi_outcomes_read(&outcomes, &counts);
    mf_check_int(counts.excluded, MFI_OUTCOMES_WINDOW); /* no more are kept */
}

static const mf_test tests[] = {
    {"outcomes__are_counted_by_status", test_counts_by_status},
    {"outcomes__older_calls_leave", test_older_calls_leave},
};
MF_TEST_MAIN(tests)
