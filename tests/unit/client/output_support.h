/* A worker whose lines the test prints, and the records and calls that the lines are matched to. */
#ifndef OUTPUT_SUPPORT_H
#define OUTPUT_SUPPORT_H

#include "client_rig.h"
#include "core/client/calls/output.h"

#define RECORDS_MAX 16

typedef struct output_test {
    client_rig rig;
    mfi_output *output;
    int pipes[2][2];
    char records[RECORDS_MAX][2048]; /* written by the log writer, until a flush */
    _Atomic(int) count;
    int checked;
    _Atomic(int) shown; /* lines that on_output got */
} output_test;

/* A ready parent of a worker that it spawned, or of a service. */
void output_init_as(output_test *at, bool spawned);
void output_init(output_test *at); /* spawned */
/* Checks that the test has seen all records, and frees. */
void output_fini(output_test *at);

/* ---- The worker and its calls ---- */

void output_print(const output_test *at, bool is_stderr, const char *text);
/* The engine thread reads what waits, as when a pipe becomes readable. */
void output_look(output_test *at);

typedef struct open_call {
    rig_outcome outcome;
    rig_message message;
} open_call;

/* Makes a call of "work". */
void output_send(output_test *at, open_call *call, const char *id, int64_t timeout_ms);
/* The same, and the worker takes it. */
void output_begin(output_test *at, open_call *call, const char *id);
void output_answer(output_test *at, open_call *call);
/* A line that makes the worker talkative, so that later ones are certain. */
void output_talk(output_test *at);

#define OUT "\"stream\":\"stdout\""
#define ERR "\"stream\":\"stderr\""
#define LIKELY ",\"correlation\":\"likely\""
/* Checks the next record. id "": no call. */
void output_check(output_test *at, const char *text, const char *id, const char *fields);

#endif
