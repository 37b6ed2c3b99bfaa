/* A recorder, calls that begin and end in it, and the rows that it shows of them. */
#ifndef RECORDER_SUPPORT_H
#define RECORDER_SUPPORT_H

#include "base/clock.h"
#include "core/observe/recorder.h"

#define SECOND MFI_NS_PER_S
#define NOW (UINT64_C(1000000) * SECOND)
#define ROWS_MAX 1000

typedef struct recorder_line {
    double on_cpu, runnable, blocked;
    uint32_t one_in;
    char phase[16], role[8], status[24], error[300], correlation_id[130], function[64], worker[64];
    char target[64], namespace_name[64], request_id[40], trace_id[40];
    uint32_t attempt;
    double age, deadline_left, retry_in, send_wait, wire, handler, receive_wait;
} recorder_line;

typedef struct recorder_fixture {
    mfi_recorder *recorder;
    mfi_recorded_names add, sub;
    mf_call_counts counts;
    size_t count;
    recorder_line lines[ROWS_MAX];
} recorder_fixture;

recorder_fixture *recorder_setup(size_t bytes, uint64_t keep_ns);
void recorder_teardown(recorder_fixture *at);

/* Keeps the rows of this query, or of this view, in the fixture's lines. Returns their number. */
size_t ask_calls(recorder_fixture *at, const mf_call_query *query, uint64_t now_ns);
size_t view_calls(recorder_fixture *at, mf_call_view which, uint64_t now_ns);

/* A client's call, with this correlation ID; its error, if it ends with one, says "why ID". */
mfi_client_span call_begin(recorder_fixture *at, const mfi_recorded_names *names, uint64_t start_ns,
                           const char *id);
void call_end(recorder_fixture *at, mfi_client_span *span, const mfi_recorded_names *names,
              uint64_t end_ns, mf_status status);

#endif
