/* A recorder, calls for it, and a copy of what it shows. */
#ifndef RECORDER_SUPPORT_H
#define RECORDER_SUPPORT_H

#include "base/clock.h"
#include "core/observe/recorder.h"

#define SECOND MFI_NS_PER_S
#define NOW (UINT64_C(1000000) * SECOND)
#define ROWS_MAX 1000

typedef struct line {
    char phase[16], role[8], status[24], error[300], correlation_id[130], function[64], worker[64];
    char target[64], namespace_name[64], request_id[40], trace_id[40];
    uint32_t attempt;
    double age, deadline_left, retry_in, send_wait, wire, handler, receive_wait;
} line;

typedef struct recorder_fixture {
    mfi_recorder *recorder;
    mfi_recorded_names add, sub;
    mf_call_counts counts;
    size_t count;
    line lines[ROWS_MAX];
} recorder_fixture;

recorder_fixture *recorder_setup(size_t bytes, uint64_t keep_ns);
void recorder_teardown(recorder_fixture *at);
/* Takes the rows of a query; returns how many. */
size_t recorder_ask(recorder_fixture *at, const mf_call_query *query, uint64_t now_ns);
size_t recorder_view(recorder_fixture *at, mf_call_view which, uint64_t now_ns);
/* A call of the caller's side, and its end, with an error if the status is one. */
mfi_client_span recorder_begin(recorder_fixture *at, const mfi_recorded_names *names,
                               uint64_t start_ns, const char *id);
void recorder_end(recorder_fixture *at, mfi_client_span *span, const mfi_recorded_names *names,
                  uint64_t end_ns, mf_status status);

#endif
