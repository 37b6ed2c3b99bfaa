/* Which of several calls a line of the worker belongs to, also where a call ended without an
 * answer. The pipes and the messages are the test's. */
#include <pthread.h>

#include "output_support.h"

/* ---- Several calls ---- */

static void test_of_several_calls_the_oldest_is_likely(void)
{
    output_test at;
    open_call first;
    open_call second;
    output_init(&at);
    output_talk(&at);
    output_begin(&at, &first, "c-1");
    output_begin(&at, &second, "c-2");
    output_print(&at, false, "of the first\n");
    output_look(&at);
    output_answer(&at, &first);
    output_print(&at, false, "of the second\n");
    output_look(&at);
    output_answer(&at, &second);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_check(&at, "of the first", "c-1", OUT LIKELY);
    output_check(&at, "of the second", "c-2", OUT);
    output_fini(&at);
}

static void test_a_peer_with_several_handlers_may_run_any(void)
{
    output_test at;
    open_call first;
    open_call second;
    output_init(&at);
    output_talk(&at);
    atomic_store(&at.rig.parent->calls.signs.handlers, 2);
    output_begin(&at, &first, "c-1");
    output_begin(&at, &second, "c-2");
    output_print(&at, false, "of one\n");
    output_look(&at);
    output_answer(&at, &second);
    output_print(&at, false, "of the first\n");
    output_look(&at);
    output_answer(&at, &first);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_check(&at, "of one", "", OUT ",\"open_calls\":2");
    output_check(&at, "of the first", "c-1", OUT);
    output_fini(&at);
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
    output_init(&at);
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
    output_fini(&at);
}

/* ---- Calls that ended without an answer ---- */

/* A call that times out when it was sent. One that timed out before is made again, with more time.
 */
static void begin_and_time_out(output_test *at, open_call *call, const char *id)
{
    bool sent = false;
    for (int64_t timeout_ms = 1; !sent && timeout_ms < MF_TEST_PATIENCE_MS; timeout_ms *= 4) {
        output_send(at, call, id, timeout_ms);
        sent = rig_take_unless(&at->rig, &call->message, "work", &call->outcome);
        mf_check_int(rig_await(&call->outcome), MF_ERR_TIMEOUT);
    }
    mf_check(sent);
}

/* The worker may still run the call that timed out: its lines are not those of the next call. */
static void test_a_call_that_timed_out_may_still_print(void)
{
    output_test at;
    open_call late;
    open_call next;
    open_call last;
    output_init(&at);
    output_talk(&at);
    begin_and_time_out(&at, &late, "c-1");
    output_begin(&at, &next, "c-2");
    output_print(&at, false, "of which\n");
    output_look(&at);
    rig_answer(&at.rig, &late.message); /* for nobody */
    output_answer(&at, &next);
    output_begin(&at, &last, "c-3");
    output_print(&at, false, "of the last\n");
    output_look(&at);
    output_answer(&at, &last);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_check(&at, "of which", "", OUT ",\"open_calls\":2");
    output_check(&at, "of the last", "c-3", OUT);
    output_fini(&at);
}

/* A worker that never answers it, and runs calls in their order, has left it when it answers the
 * next one. */
static void test_a_later_answer_clears_it(void)
{
    output_test at;
    open_call late;
    open_call next;
    output_init(&at);
    output_talk(&at);
    begin_and_time_out(&at, &late, "c-1");
    mf_check_int(atomic_load(&at.rig.parent->calls.signs.given_up), 1);
    output_begin(&at, &next, "c-2");
    output_answer(&at, &next);
    mf_check_int(atomic_load(&at.rig.parent->calls.signs.given_up), 0);
    rig_drop(&late.message);
    output_check(&at, "hello", "", OUT ",\"open_calls\":0");
    output_fini(&at);
}

static const mf_test tests[] = {
    {"output__of_several_calls_the_oldest_is_likely", test_of_several_calls_the_oldest_is_likely},
    {"output__a_peer_with_several_handlers_may_run_any",
     test_a_peer_with_several_handlers_may_run_any},
    {"output__a_heartbeat_says_how_many_handlers_there_are",
     test_a_heartbeat_says_how_many_handlers_there_are},
    {"output__a_call_that_timed_out_may_still_print", test_a_call_that_timed_out_may_still_print},
    {"output__a_later_answer_clears_it", test_a_later_answer_clears_it},
};
MF_TEST_MAIN(tests)
