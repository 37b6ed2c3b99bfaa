/* Reading the recorder: what is being written is left out and counted, and a query's bounds. */
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/recorder_inside.h"
#include "mf_test.h"

#define NOW (UINT64_C(1000000) * MFI_NS_PER_S)

static void count_row(const mf_call_row *row, void *user_data)
{
    mf_check_str(row->function, "add");
    (*(size_t *)user_data)++;
}

static size_t rows_of(mfi_recorder *recorder, mf_call_view view, size_t limit,
                      mf_call_counts *ret_counts)
{
    size_t rows = 0;
    mf_call_query query = {.struct_size = sizeof query, .view = view, .limit = limit};
    mf_check(mfi_recorder_visit(recorder, &query, NOW, count_row, &rows, ret_counts));
    mf_check_int(ret_counts->shown, rows);
    return rows;
}

static mfi_client_span begin(mfi_recorder *recorder, const mfi_recorded_names *names)
{
    mfi_client_span span;
    mfi_client_span_clear(&span);
    memset(&span.context, 0, sizeof span.context);
    span.start_ns = NOW;
    span.attempt = 1;
    mfi_recorder_client_begin(recorder, &span, names);
    return span;
}

static void test_what_is_being_written_is_counted(void)
{
    mfi_recorder *recorder = NULL;
    mfi_recorded_names names;
    mf_call_counts counts;
    mf_check_int(mfi_recorder_create(&recorder, MFI_RECORDER_BYTES_LEAST, MFI_NS_PER_S, NULL),
                 MF_OK);
    mfi_recorder_name(recorder, &names, "math", "math-0", "add");
    for (mf_call_view view = MF_CALLS_OPEN; view <= MF_CALLS_ALL; view++) {
        mf_check_int(rows_of(recorder, view, 10, &counts), 0); /* nothing was recorded yet */
    }
    mfi_client_span one = begin(recorder, &names);
    mfi_client_span two = begin(recorder, &names);
    mf_check_int(rows_of(recorder, MF_CALLS_OPEN, 10, &counts), 2);
    mf_check_int(rows_of(recorder, MF_CALLS_OPEN, 1, &counts), 1);
    mf_check_int(rows_of(recorder, MF_CALLS_OPEN, 0, &counts), 0);
    mf_check_int(counts.matched, 2);
    mfi_recorder_entry *entry = &recorder->chunks[0].entries[0];
    for (size_t i = 0; entry->version == 0 && i < MFI_CHUNK_ENTRIES; i++) {
        entry = &recorder->chunks[0].entries[i];
    }
    mf_check(entry->version != 0);
    entry->version += 1; /* a writer that does not end */
    mf_check_int(rows_of(recorder, MF_CALLS_OPEN, 10, &counts), 1);
    mf_check_int(counts.unreadable, 1);
    entry->version += 1;
    one.end_ns = two.end_ns = NOW;
    one.status = two.status = MF_ERR_TIMEOUT;
    mfi_recorder_client_end(recorder, &one, &names, NULL);
    mfi_recorder_client_end(recorder, &two, &names, NULL);
    recorder->failures[1].call.version += 1;
    mf_check_int(rows_of(recorder, MF_CALLS_FAILED, 10, &counts), 1);
    mf_check_int(counts.unreadable, 1);
    mfi_recorder_destroy(recorder);
}

static const mf_test tests[] = {
    {"recorder_read__what_is_being_written_is_counted", test_what_is_being_written_is_counted},
};
MF_TEST_MAIN(tests)
