/* Which call a line of the worker belongs to: with one call, at the worker's end, and by message.
 * The pipes and the messages are the test's. */
#include "core/client/calls/output.h"

#include <string.h>
#include <unistd.h>

#include "output_support.h"

/* ---- One call ---- */

static void test_the_one_open_call_printed_it(void)
{
    output_test at;
    open_call call;
    output_init(&at);
    output_begin(&at, &call, "c-1");
    output_print(&at, true, "first\n");
    output_look(&at);
    output_print(&at, true, "second\n");
    output_look(&at);
    output_check(&at, "first", "c-1", ERR LIKELY); /* it may have stood there for long */
    output_check(&at, "second", "c-1", ERR);
    mf_check(strstr(at.records[1], "\"trace_id\":\"") != NULL);
    output_answer(&at, &call);
    output_fini(&at);
}

static void test_a_line_without_a_call_says_so(void)
{
    output_test at;
    output_init(&at);
    output_talk(&at);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_fini(&at);
}

/* The answer is there before the engine thread has seen the line. */
static void test_an_answer_waits_for_its_lines(void)
{
    output_test at;
    open_call first;
    open_call second;
    output_init(&at);
    output_talk(&at);
    output_begin(&at, &first, "c-1");
    output_print(&at, false, "of the first\n");
    output_print(&at, true, "of it too\n");
    output_answer(&at, &first);
    output_begin(&at, &second, "c-2");
    output_look(&at);
    output_answer(&at, &second);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_check(&at, "of the first", "c-1", OUT);
    output_check(&at, "of it too", "c-1", ERR);
    output_fini(&at);
}

static void test_a_first_line_may_be_of_a_call_that_was_answered(void)
{
    output_test at;
    open_call first;
    open_call second;
    output_init(&at);
    output_begin(&at, &first, "c-1");
    output_print(&at, false, "of the first\n");
    output_answer(&at, &first);
    output_begin(&at, &second, "c-2");
    output_look(&at);
    output_check(&at, "of the first", "c-2", OUT LIKELY);
    output_answer(&at, &second);
    output_fini(&at);
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
    output_init(&at);
    mf_check(!atomic_load(&at.output->talkative));
    output_talk(&at);
    output_begin(&at, &call, "c-1");
    output_answer(&at, &call);
    mf_check(atomic_load(&at.output->talkative));
    mfi_loop_call(at.rig.runtime->loop, age_on_engine, &at);
    output_begin(&at, &call, "c-2");
    output_answer(&at, &call);
    mf_check(!atomic_load(&at.output->talkative));
    output_begin(&at, &call, "c-3");
    output_talk(&at);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_check(&at, "hello", "c-3", OUT LIKELY);
    output_answer(&at, &call);
    output_fini(&at);
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
    output_init(&at);
    output_begin(&at, &call, "c-1");
    output_print(&at, true, "assertion failed\nand no newline");
    mfi_loop_call(at.rig.runtime->loop, exit_on_engine, &at);
    rig_exit(&at.rig, "was killed by signal 6 (SIGABRT)");
    mf_check_int(rig_await(&call.outcome), MF_ERR_WORKER_EXITED);
    rig_drop(&call.message);
    output_check(&at, "assertion failed", "c-1", ERR LIKELY);
    output_check(&at, "and no newline", "c-1", ERR LIKELY);
    output_fini(&at);
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
    output_init(&at);
    mfi_loop_call(at.rig.runtime->loop, end_on_engine, &at);
    output_fini(&at);
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
    output_init(&at);
    output_begin(&at, &call, "c-1");
    say(&at, &call, "by the rule", NULL);
    say(&at, &call, "named", "c-1");
    say(&at, &call, "of another", "x-9");
    output_answer(&at, &call);
    output_check(&at, "by the rule", "c-1", OUT);
    output_check(&at, "named", "c-1", OUT);
    output_check(&at, "of another", "x-9", OUT);
    mf_check(strstr(at.records[1], "\"trace_id\":\"") != NULL);
    mf_check(strstr(at.records[2], "\"trace_id\":\"") == NULL);
    output_fini(&at);
}

/* A service prints for all of its parents. */
static void test_a_service_prints_for_others_too(void)
{
    output_test at;
    open_call call;
    output_init_as(&at, false);
    output_begin(&at, &call, "c-1");
    say(&at, &call, "of whom", NULL);
    say(&at, &call, "named", "c-1");
    output_answer(&at, &call);
    output_check(&at, "of whom", "", OUT);
    output_check(&at, "named", "c-1", OUT);
    output_fini(&at);
}

static const mf_test tests[] = {
    {"output__the_one_open_call_printed_it", test_the_one_open_call_printed_it},
    {"output__a_line_without_a_call_says_so", test_a_line_without_a_call_says_so},
    {"output__an_answer_waits_for_its_lines", test_an_answer_waits_for_its_lines},
    {"output__a_first_line_may_be_of_a_call_that_was_answered",
     test_a_first_line_may_be_of_a_call_that_was_answered},
    {"output__a_second_without_a_line_ends_it", test_a_second_without_a_line_ends_it},
    {"output__the_last_words_are_read_before_the_call_ends",
     test_the_last_words_are_read_before_the_call_ends},
    {"output__a_stream_that_ended_is_told", test_a_stream_that_ended_is_told},
    {"output__a_message_may_name_its_call", test_a_message_may_name_its_call},
    {"output__a_service_prints_for_others_too", test_a_service_prints_for_others_too},
};

MF_TEST_MAIN(tests)
