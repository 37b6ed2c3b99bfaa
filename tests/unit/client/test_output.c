/* Which call a line of the worker belongs to. The pipes and the messages are the test's. */
#include "core/client/calls/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_rig.h"

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

static void keep_record(mf_log_level level, const char *line, size_t length, void *user_data)
{
    output_test *at = user_data;
    int number = atomic_load(&at->count);
    (void)level;
    if (number < RECORDS_MAX && strstr(line, "\"worker_output\"") != NULL) {
        (void)snprintf(at->records[number], sizeof at->records[0], "%.*s", (int)length, line);
        atomic_store(&at->count, number + 1);
    }
}

static void count_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    (void)line;
    (void)length;
    (void)is_stderr;
    atomic_fetch_add(&((output_test *)user_data)->shown, 1);
}

static void open_on_engine(void *data)
{
    output_test *at = data;
    mfi_output_open(at->output, at->pipes[0][0], at->pipes[1][0]);
}

static void init_as(output_test *at, bool spawned)
{
    mf_parent_options options;
    mf_error error = MF_ERROR_INIT;
    memset(at, 0, sizeof *at);
    rig_options(&options);
    options.on_output = count_line;
    options.user_data = at;
    if (!spawned) {
        options.program = NULL;
        options.service_id = "math";
        options.restart_backoff_ms = 0; /* of the other mode */
    }
    rig_init(&at->rig, &options, spawned);
    at->output = &at->rig.parent->calls.output;
    mf_check_int(mf_log_add_callback(mf_runtime_logger(at->rig.runtime), keep_record, at,
                                     MF_LOG_JSON, &error),
                 MF_OK);
    rig_start(&at->rig);
    for (int i = 0; i < 2; i++) {
        mf_check_int(pipe2(at->pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
    }
    if (spawned) {
        mfi_loop_call(at->rig.runtime->loop, open_on_engine, at);
    }
}

static void init(output_test *at)
{
    init_as(at, true);
}

static void close_on_engine(void *data)
{
    mfi_output_close(((output_test *)data)->output);
}

static void fini(output_test *at)
{
    mf_check(mf_log_flush(mf_runtime_logger(at->rig.runtime), MF_TEST_PATIENCE_MS));
    mf_check_int(atomic_load(&at->count), at->checked);
    mfi_loop_call(at->rig.runtime->loop, close_on_engine, at);
    rig_fini(&at->rig);
    mf_check_int(atomic_load(&at->shown), at->checked); /* on_output gets what the log gets */
    for (int i = 0; i < 2; i++) {
        (void)close(at->pipes[i][0]);
        (void)close(at->pipes[i][1]);
    }
}

/* ---- The worker and its calls ---- */

static void print(const output_test *at, bool is_stderr, const char *text)
{
    size_t size = strlen(text);
    mf_check_int(write(at->pipes[is_stderr ? 1 : 0][1], text, size), size);
}

static void read_on_engine(void *data)
{
    output_test *at = data;
    mf_check(mfi_output_read(at->output, false));
}

/* The engine thread reads what waits, as when a pipe becomes readable. */
static void look(output_test *at)
{
    mfi_loop_call(at->rig.runtime->loop, read_on_engine, at);
}

typedef struct open_call {
    rig_outcome outcome;
    rig_message message;
} open_call;

static void send_call(output_test *at, open_call *call, const char *id, int64_t timeout_ms)
{
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.correlation_id = id;
    options.timeout_ms = timeout_ms;
    rig_call_with(&at->rig, "work", &options, &call->outcome);
}

static void begin(output_test *at, open_call *call, const char *id)
{
    send_call(at, call, id, MF_TEST_PATIENCE_MS);
    rig_take(&at->rig, &call->message, MFI_MESSAGE_CALL, "work");
}

/* A call that times out when it was sent. One that timed out before is made again, with more time.
 */
static void begin_and_time_out(output_test *at, open_call *call, const char *id)
{
    bool sent = false;
    for (int64_t timeout_ms = 1; !sent && timeout_ms < MF_TEST_PATIENCE_MS; timeout_ms *= 4) {
        send_call(at, call, id, timeout_ms);
        sent = rig_take_unless(&at->rig, &call->message, "work", &call->outcome);
        mf_check_int(rig_await(&call->outcome), MF_ERR_TIMEOUT);
    }
    mf_check(sent);
}

static void answer(output_test *at, open_call *call)
{
    rig_answer(&at->rig, &call->message);
    mf_check_int(rig_await(&call->outcome), MF_OK);
}

/* A line that makes the worker talkative, so that later ones are certain. */
static void talk(output_test *at)
{
    print(at, false, "hello\n");
    look(at);
}

/* The next record. id "": no call. */
static void check_record(output_test *at, const char *text, const char *id, const char *fields)
{
    char wanted[256];
    mf_check(mf_log_flush(mf_runtime_logger(at->rig.runtime), MF_TEST_PATIENCE_MS));
    mf_check(at->checked < atomic_load(&at->count));
    const char *record = at->records[at->checked++];
    (void)snprintf(wanted, sizeof wanted, "\"message\":\"%s\"", text);
    mf_check_contains(record, wanted);
    (void)snprintf(wanted, sizeof wanted, "\"fields\":{%s}", fields);
    mf_check_contains(record, wanted);
    (void)snprintf(wanted, sizeof wanted, "\"correlation_id\":\"%s\"", id);
    mf_check_int(strstr(record, "\"correlation_id\"") != NULL, id[0] != '\0');
    mf_check(id[0] == '\0' || strstr(record, wanted) != NULL);
}

#define OUT "\"stream\":\"stdout\""
#define ERR "\"stream\":\"stderr\""
#define LIKELY ",\"correlation\":\"likely\""

/* ---- One call ---- */

static void test_the_one_open_call_printed_it(void)
{
    output_test at;
    open_call call;
    init(&at);
    begin(&at, &call, "c-1");
    print(&at, true, "first\n");
    look(&at);
    print(&at, true, "second\n");
    look(&at);
    check_record(&at, "first", "c-1", ERR LIKELY); /* it may have stood there for long */
    check_record(&at, "second", "c-1", ERR);
    mf_check(strstr(at.records[1], "\"trace_id\":\"") != NULL);
    answer(&at, &call);
    fini(&at);
}

static void test_a_line_without_a_call_says_so(void)
{
    output_test at;
    init(&at);
    talk(&at);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    fini(&at);
}

/* The answer is there before the engine thread has seen the line. */
static void test_an_answer_waits_for_its_lines(void)
{
    output_test at;
    open_call first;
    open_call second;
    init(&at);
    talk(&at);
    begin(&at, &first, "c-1");
    print(&at, false, "of the first\n");
    print(&at, true, "of it too\n");
    answer(&at, &first);
    begin(&at, &second, "c-2");
    look(&at);
    answer(&at, &second);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    check_record(&at, "of the first", "c-1", OUT);
    check_record(&at, "of it too", "c-1", ERR);
    fini(&at);
}

static void test_a_first_line_may_be_of_a_call_that_was_answered(void)
{
    output_test at;
    open_call first;
    open_call second;
    init(&at);
    begin(&at, &first, "c-1");
    print(&at, false, "of the first\n");
    answer(&at, &first);
    begin(&at, &second, "c-2");
    look(&at);
    check_record(&at, "of the first", "c-2", OUT LIKELY);
    answer(&at, &second);
    fini(&at);
}

static void age_on_engine(void *data)
{
    output_test *at = data;
    at->output->printed_ns -= 2 * MFI_NS_PER_S;
}

static void test_a_second_without_a_line_ends_it(void)
{
    output_test at;
    open_call call;
    init(&at);
    mf_check(!atomic_load(&at.output->talkative));
    talk(&at);
    begin(&at, &call, "c-1");
    answer(&at, &call);
    mf_check(atomic_load(&at.output->talkative));
    mfi_loop_call(at.rig.runtime->loop, age_on_engine, &at);
    begin(&at, &call, "c-2");
    answer(&at, &call);
    mf_check(!atomic_load(&at.output->talkative));
    begin(&at, &call, "c-3");
    talk(&at);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    check_record(&at, "hello", "c-3", OUT LIKELY);
    answer(&at, &call);
    fini(&at);
}

/* ---- Several calls ---- */

static void test_of_several_calls_the_oldest_is_likely(void)
{
    output_test at;
    open_call first;
    open_call second;
    init(&at);
    talk(&at);
    begin(&at, &first, "c-1");
    begin(&at, &second, "c-2");
    print(&at, false, "of the first\n");
    look(&at);
    answer(&at, &first);
    print(&at, false, "of the second\n");
    look(&at);
    answer(&at, &second);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    check_record(&at, "of the first", "c-1", OUT LIKELY);
    check_record(&at, "of the second", "c-2", OUT);
    fini(&at);
}

static void test_a_peer_with_several_handlers_may_run_any(void)
{
    output_test at;
    open_call first;
    open_call second;
    init(&at);
    talk(&at);
    atomic_store(&at.rig.parent->calls.signs.handlers, 2);
    begin(&at, &first, "c-1");
    begin(&at, &second, "c-2");
    print(&at, false, "of one\n");
    look(&at);
    answer(&at, &second);
    print(&at, false, "of the first\n");
    look(&at);
    answer(&at, &first);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    check_record(&at, "of one", "", OUT ",\"open_calls\":2");
    check_record(&at, "of the first", "c-1", OUT);
    fini(&at);
}

static void *beat(void *data)
{
    rig_request *request = data;
    uint64_t rtt_ns = 0;
    request->status =
        mf_parent_heartbeat(request->rig->parent, MF_TEST_PATIENCE_MS, &rtt_ns, &request->error);
    return NULL;
}

static void test_a_heartbeat_says_how_many_handlers_there_are(void)
{
    output_test at;
    rig_message message;
    mfi_buf bytes;
    init(&at);
    mf_check_int(atomic_load(&at.rig.parent->calls.signs.handlers), 0);
    rig_request request = {.rig = &at.rig};
    mf_check_int(pthread_create(&request.thread, NULL, beat, &request), 0);
    rig_take(&at.rig, &message, MFI_MESSAGE_HEARTBEAT, NULL);
    mfi_heartbeat_answer says = {.id = message.envelope.id, .handlers = 7};
    mfi_buf_init(&bytes, 0);
    mf_check_int(mfi_encode_heartbeat_answer(&bytes, &says, 1, NULL), MF_OK);
    rig_send(&at.rig, &message, &bytes);
    rig_drop(&message);
    mf_check_int(rig_request_end(&request), MF_OK);
    mf_check_int(atomic_load(&at.rig.parent->calls.signs.handlers), 7);
    fini(&at);
}

/* ---- Calls that ended without an answer ---- */

/* The worker may still run the call that timed out: its lines are not those of the next call. */
static void test_a_call_that_timed_out_may_still_print(void)
{
    output_test at;
    open_call late;
    open_call next;
    open_call last;
    init(&at);
    talk(&at);
    begin_and_time_out(&at, &late, "c-1");
    begin(&at, &next, "c-2");
    print(&at, false, "of which\n");
    look(&at);
    rig_answer(&at.rig, &late.message); /* for nobody */
    answer(&at, &next);
    begin(&at, &last, "c-3");
    print(&at, false, "of the last\n");
    look(&at);
    answer(&at, &last);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    check_record(&at, "of which", "", OUT ",\"open_calls\":2");
    check_record(&at, "of the last", "c-3", OUT);
    fini(&at);
}

/* A worker that never answers it, and runs calls in their order, has left it when it answers the
 * next one. */
static void test_a_later_answer_clears_it(void)
{
    output_test at;
    open_call late;
    open_call next;
    init(&at);
    talk(&at);
    begin_and_time_out(&at, &late, "c-1");
    mf_check_int(atomic_load(&at.rig.parent->calls.signs.given_up), 1);
    begin(&at, &next, "c-2");
    answer(&at, &next);
    mf_check_int(atomic_load(&at.rig.parent->calls.signs.given_up), 0);
    rig_drop(&late.message);
    check_record(&at, "hello", "", OUT ",\"open_calls\":0");
    fini(&at);
}

/* ---- The end ---- */

static void exit_on_engine(void *data)
{
    mfi_output_exited(((output_test *)data)->output);
}

static void test_the_last_words_are_read_before_the_call_ends(void)
{
    output_test at;
    open_call call;
    init(&at);
    begin(&at, &call, "c-1");
    print(&at, true, "assertion failed\nand no newline");
    mfi_loop_call(at.rig.runtime->loop, exit_on_engine, &at);
    rig_exit(&at.rig, "was killed by signal 6 (SIGABRT)");
    mf_check_int(rig_await(&call.outcome), MF_ERR_WORKER_EXITED);
    rig_drop(&call.message);
    check_record(&at, "assertion failed", "c-1", ERR LIKELY);
    check_record(&at, "and no newline", "c-1", ERR LIKELY);
    fini(&at);
}

static bool is_open(output_test *at, bool is_stderr)
{
    return mfi_output_read(at->output, is_stderr);
}

static void end_on_engine(void *data)
{
    output_test *at = data;
    mf_check(is_open(at, false) && is_open(at, true));
    (void)close(at->pipes[1][1]);
    at->pipes[1][1] = -1;
    mf_check(is_open(at, false) && !is_open(at, true));
    mfi_output_close(at->output);
    mf_check(!is_open(at, false));
}

static void test_a_stream_that_ended_is_told(void)
{
    output_test at;
    init(&at);
    mfi_loop_call(at.rig.runtime->loop, end_on_engine, &at);
    fini(&at);
}

/* ---- Messages ---- */

static void say(output_test *at, const open_call *call, const char *text, const char *id)
{
    mfi_buf bytes;
    mfi_buf_init(&bytes, 0);
    mf_check_int(
        mfi_encode_output(&bytes, "o-1", false, (mfi_text){text, strlen(text)}, id, 1, NULL),
        MF_OK);
    rig_send(&at->rig, &call->message, &bytes);
}

static void test_a_message_may_name_its_call(void)
{
    output_test at;
    open_call call;
    init(&at);
    begin(&at, &call, "c-1");
    say(&at, &call, "by the rule", NULL);
    say(&at, &call, "named", "c-1");
    say(&at, &call, "of another", "x-9");
    answer(&at, &call);
    check_record(&at, "by the rule", "c-1", OUT);
    check_record(&at, "named", "c-1", OUT);
    check_record(&at, "of another", "x-9", OUT);
    mf_check(strstr(at.records[1], "\"trace_id\":\"") != NULL);
    mf_check(strstr(at.records[2], "\"trace_id\":\"") == NULL);
    fini(&at);
}

/* A service prints for all of its parents. */
static void test_a_service_prints_for_others_too(void)
{
    output_test at;
    open_call call;
    init_as(&at, false);
    begin(&at, &call, "c-1");
    say(&at, &call, "of whom", NULL);
    say(&at, &call, "named", "c-1");
    answer(&at, &call);
    check_record(&at, "of whom", "", OUT);
    check_record(&at, "named", "c-1", OUT);
    fini(&at);
}

static const mf_test tests[] = {
    {"output__the_one_open_call_printed_it", test_the_one_open_call_printed_it},
    {"output__a_line_without_a_call_says_so", test_a_line_without_a_call_says_so},
    {"output__an_answer_waits_for_its_lines", test_an_answer_waits_for_its_lines},
    {"output__a_first_line_may_be_of_a_call_that_was_answered",
     test_a_first_line_may_be_of_a_call_that_was_answered},
    {"output__a_second_without_a_line_ends_it", test_a_second_without_a_line_ends_it},
    {"output__of_several_calls_the_oldest_is_likely", test_of_several_calls_the_oldest_is_likely},
    {"output__a_peer_with_several_handlers_may_run_any",
     test_a_peer_with_several_handlers_may_run_any},
    {"output__a_heartbeat_says_how_many_handlers_there_are",
     test_a_heartbeat_says_how_many_handlers_there_are},
    {"output__a_call_that_timed_out_may_still_print", test_a_call_that_timed_out_may_still_print},
    {"output__a_later_answer_clears_it", test_a_later_answer_clears_it},
    {"output__the_last_words_are_read_before_the_call_ends",
     test_the_last_words_are_read_before_the_call_ends},
    {"output__a_stream_that_ended_is_told", test_a_stream_that_ended_is_told},
    {"output__a_message_may_name_its_call", test_a_message_may_name_its_call},
    {"output__a_service_prints_for_others_too", test_a_service_prints_for_others_too},
};

MF_TEST_MAIN(tests)
