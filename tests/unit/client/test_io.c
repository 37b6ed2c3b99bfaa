/* The burst of a parent's driver: what it makes of messages that are late, strange, too large or
 * not for it, and of messages that cannot be sent. */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "client_rig.h"

static void init(client_rig *rig, void (*change)(mf_parent_options *options))
{
    mf_parent_options options;
    rig_options(&options);
    if (change != NULL) {
        change(&options);
    }
    rig_init(rig, &options, true);
    rig_start(rig);
}

/* A call that the peer has. */
static void call(client_rig *rig, rig_message *message, rig_outcome *outcome)
{
    rig_call(rig, "add", outcome);
    rig_take(rig, message, MFI_MESSAGE_CALL, "add");
}

static void send_value(client_rig *rig, const rig_message *to, mf_value value)
{
    mfi_buf bytes;
    mfi_reply_times times = {.timestamp_received = 1};
    mfi_buf_init(&bytes, 0);
    mf_check_int(
        mfi_encode_response(&bytes, to->envelope.id, &value, 1, &mfi_limits_default, &times, NULL),
        MF_OK);
    rig_send(rig, to, &bytes);
}

static void send_text(client_rig *rig, const rig_message *to, const char *text)
{
    mfi_buf bytes;
    mfi_buf_init(&bytes, 0);
    mfi_buf_append_str(&bytes, text);
    rig_send(rig, to, &bytes);
}

/* All that was sent so far was read: messages come in the order in which they were sent. */
static void pass_through(client_rig *rig)
{
    rig_message message;
    rig_outcome outcome;
    call(rig, &message, &outcome);
    rig_answer(rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
}

static uint64_t late(const client_rig *rig)
{
    return atomic_load(&rig->parent->calls.late_replies);
}

/* ---- Answers ---- */

static void test_second_answer_is_late(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    send_value(&rig, &message, mf_int(1));
    mf_check_int(rig_await(&outcome), MF_OK);
    mf_check_int(late(&rig), 0);
    send_value(&rig, &message, mf_int(2));
    pass_through(&rig);
    mf_check_int(late(&rig), 1);
    rig_drop(&message);
    rig_fini(&rig);
}

/* An answer has to be of the kind of its question. */
static void test_heartbeat_does_not_answer_a_call(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_buf bytes;
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    mfi_heartbeat_answer answer = {.id = message.envelope.id};
    mfi_buf_init(&bytes, 0);
    mf_check_int(mfi_encode_heartbeat_answer(&bytes, &answer, 1, NULL), MF_OK);
    rig_send(&rig, &message, &bytes);
    pass_through(&rig);
    mf_check_int(late(&rig), 0); /* it is no reply to a call */
    mf_check(sem_trywait(&outcome.ended) != 0);
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

static void test_remote_error(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_buf bytes;
    mfi_reply_times times = {.timestamp_received = 1};
    const char *text = "ValueError: no such number";
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    mfi_buf_init(&bytes, 0);
    mf_check_int(mfi_encode_error(&bytes, message.envelope.id, (mfi_text){text, strlen(text)}, 1,
                                  &times, NULL),
                 MF_OK);
    rig_send(&rig, &message, &bytes);
    mf_check_int(rig_await(&outcome), MF_ERR_REMOTE);
    mf_check_contains(outcome.text, "no such number");
    rig_drop(&message);
    rig_fini(&rig);
}

static void test_what_is_no_message(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    send_text(&rig, &message, "not msgpack");
    send_text(&rig, &message, "");
    pass_through(&rig);
    mf_check(sem_trywait(&outcome.ended) != 0);
    mf_check_int(late(&rig), 0);
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

/* What a worker must not ask of its parent is passed over. */
static void test_requests_of_the_worker(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_buf bytes;
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    mfi_buf_init(&bytes, 0);
    mfi_buf_append(&bytes, message.message.data, message.message.size); /* the call itself */
    rig_send(&rig, &message, &bytes);
    char id[64] = "";
    (void)strncat(id, message.envelope.id.data, message.envelope.id.size);
    mfi_buf_init(&bytes, 0);
    mf_check_int(mfi_encode_shutdown(&bytes, id, 1, NULL), MF_OK);
    rig_send(&rig, &message, &bytes);
    pass_through(&rig);
    mf_check(sem_trywait(&outcome.ended) != 0);
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING);
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

/* ---- Sizes ---- */

static void with_short_strings(mf_parent_options *options)
{
    options->max_string_bytes = 256;
}

static void with_small_messages(mf_parent_options *options)
{
    options->max_message_bytes = 2048;
}

static char long_text[4096];

/* It says whose answer it is: that call ends at once. */
static void test_answer_with_a_long_string(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    memset(long_text, 'x', sizeof long_text - 1);
    init(&rig, with_short_strings);
    call(&rig, &message, &outcome);
    send_value(&rig, &message, mf_str(long_text));
    mf_check_int(rig_await(&outcome), MF_ERR_LIMIT);
    mf_check_contains(outcome.text, "the answer of 'math' to 'add' was refused");
    rig_drop(&message);
    rig_fini(&rig);
}

static void test_answer_that_is_not_utf8(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_buf bytes;
    mf_value value = mf_str("MARK");
    mfi_reply_times times = {.timestamp_received = 1};
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    mfi_buf_init(&bytes, 0);
    mf_check_int(mfi_encode_response(&bytes, message.envelope.id, &value, 1, &mfi_limits_default,
                                     &times, NULL),
                 MF_OK);
    uint8_t *mark = memmem(bytes.data, bytes.size, "MARK", 4);
    mf_check(mark != NULL);
    if (mark != NULL) {
        *mark = 0xff;
    }
    rig_send(&rig, &message, &bytes);
    mf_check_int(rig_await(&outcome), MF_ERR_PROTOCOL);
    mf_check_contains(outcome.text, "UTF-8");
    rig_drop(&message);
    rig_fini(&rig);
}

/* Its first bytes say whose answer it is: that call ends at once, and no other. */
static void test_answer_that_is_too_large(void)
{
    client_rig rig;
    rig_message message;
    rig_message other;
    rig_outcome outcomes[2];
    memset(long_text, 'x', sizeof long_text - 1);
    init(&rig, with_small_messages);
    call(&rig, &message, &outcomes[0]);
    call(&rig, &other, &outcomes[1]);
    send_value(&rig, &message, mf_str(long_text));
    mf_check_int(rig_await(&outcomes[0]), MF_ERR_LIMIT);
    mf_check_contains(outcomes[0].text, "max_message_bytes (2048)");
    rig_drop(&message);
    rig_answer(&rig, &other);
    mf_check_int(rig_await(&outcomes[1]), MF_OK);
    rig_fini(&rig);
}

/* An answer that is cut short, wherever that is behind its id, ends its call. */
static void test_answer_that_is_broken(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_reply_times times = {.timestamp_received = 1};
    mf_value value = mf_str("MARK");
    init(&rig, NULL);
    for (size_t cut = 1; cut <= 40; cut += 13) {
        mfi_buf bytes;
        call(&rig, &message, &outcome);
        mfi_buf_init(&bytes, 0);
        mf_check_int(mfi_encode_response(&bytes, message.envelope.id, &value, 1,
                                         &mfi_limits_default, &times, NULL),
                     MF_OK);
        bytes.size -= cut;
        rig_send(&rig, &message, &bytes);
        mf_check_int(rig_await(&outcome), MF_ERR_PROTOCOL);
        mf_check_contains(outcome.text, "the answer of 'math' to 'add' was refused");
        rig_drop(&message);
    }
    rig_fini(&rig);
}

/* Broken before its id: nobody knows whose answer it is. */
static void test_answer_that_is_broken_before_its_id(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcome;
    mfi_buf bytes;
    init(&rig, NULL);
    call(&rig, &message, &outcome);
    mfi_buf_init(&bytes, 0);
    mfi_buf_append(&bytes,
                   "\x82\xa3"
                   "app",
                   5);
    rig_send(&rig, &message, &bytes);
    pass_through(&rig);
    mf_check(sem_trywait(&outcome.ended) != 0);
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcome), MF_OK);
    rig_fini(&rig);
}

/* ---- Output ---- */

static char shown[128];
static mfi_loop *engine; /* of the test that runs */
static int elsewhere;    /* lines that were not shown on the engine thread */

static void show(const char *line, size_t length, bool is_stderr, void *user_data)
{
    size_t used = strlen(shown);
    (void)user_data;
    elsewhere += !mfi_loop_on_thread(engine);
    (void)mfi_str_format(shown + used, sizeof shown - used, "%s[%.*s]", is_stderr ? "!" : "",
                         (int)length, line);
}

static void with_output(mf_parent_options *options)
{
    options->on_output = show;
}

static void send_output(client_rig *rig, const rig_message *to, bool is_stderr, const char *text)
{
    mfi_buf bytes;
    mfi_buf_init(&bytes, 0);
    mf_check_int(
        mfi_encode_output(&bytes, "id", is_stderr, (mfi_text){text, strlen(text)}, NULL, 1, NULL),
        MF_OK);
    rig_send(rig, to, &bytes);
}

/* It is shown on the engine thread, also when a caller drives. */
static void *call_and_wait(void *data)
{
    client_rig *rig = data;
    return mf_call(rig->parent, "waits", MF_NO_ARGS, NULL, NULL) == MF_OK ? data : NULL;
}

static void test_output(void)
{
    client_rig rig;
    rig_message message;
    pthread_t thread;
    void *done = NULL;
    shown[0] = '\0';
    elsewhere = 0;
    init(&rig, with_output);
    engine = rig.runtime->loop;
    mf_check_int(pthread_create(&thread, NULL, call_and_wait, &rig), 0);
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "waits");
    send_output(&rig, &message, false, "one\ntwo\n");
    send_output(&rig, &message, true, "three");
    rig_answer(&rig, &message);
    pthread_join(thread, &done);
    mf_check(done == &rig);
    mf_check_int(rig_phase(&rig), MFI_LIFE_RUNNING); /* tasks of before have run */
    mf_check_str(shown, "[one][two]![three]");
    mf_check_int(elsewhere, 0);
    rig_fini(&rig);
}

/* ---- What cannot be sent ---- */

static mfi_io refuse_to_send(mfi_transport *transport, const mfi_route *route, mfi_buf *payload)
{
    (void)transport;
    (void)route;
    (void)payload;
    return MFI_IO_FAILED;
}

static mfi_io (*real_send)(mfi_transport *transport, const mfi_route *route, mfi_buf *payload);
static _Atomic(int) blocked; /* so many sends more say "again" */

static mfi_io send_later(mfi_transport *transport, const mfi_route *route, mfi_buf *payload)
{
    if (atomic_load(&blocked) > 0) {
        return MFI_IO_AGAIN;
    }
    return real_send(transport, route, payload);
}

static bool cannot_go_on(mfi_transport *transport)
{
    (void)transport;
    return false;
}

typedef struct new_send {
    client_rig *rig;
    mfi_io (*send)(mfi_transport *transport, const mfi_route *route, mfi_buf *payload);
} new_send;

/* On the engine thread, which drives when nobody calls. */
static void set_send_on_engine(void *data)
{
    const new_send *at = data;
    real_send = at->rig->wrapped.send;
    at->rig->wrapped.send = at->send;
    at->rig->wrapped.can_go_on = cannot_go_on;
}

static void set_send(client_rig *rig, mfi_io (*send)(mfi_transport *transport,
                                                     const mfi_route *route, mfi_buf *payload))
{
    new_send at = {.rig = rig, .send = send};
    mfi_loop_call(rig->runtime->loop, set_send_on_engine, &at);
}

static void test_transport_that_is_broken(void)
{
    client_rig rig;
    rig_outcome outcome;
    init(&rig, NULL);
    set_send(&rig, refuse_to_send);
    rig_call(&rig, "add", &outcome);
    mf_check_int(rig_await(&outcome), MF_ERR_IO);
    mf_check_contains(outcome.text, "could not be sent");
    set_send(&rig, real_send);
    pass_through(&rig);
    rig_fini(&rig);
}

static bool is_stalled(void *data)
{
    const client_rig *rig = data;
    mfi_driver *driver = &rig->parent->calls.driver;
    mfi_mutex_lock(&driver->mutex);
    bool stalled = driver->role == MFI_ROLE_PARKED && rig->parent->calls.stalled != NULL;
    mfi_mutex_unlock(&driver->mutex);
    return stalled;
}

/* A message that has to wait keeps its place in front of those that come later. */
static void test_stalled_message_keeps_its_place(void)
{
    client_rig rig;
    rig_message first;
    rig_message second;
    rig_outcome outcomes[2];
    init(&rig, NULL);
    atomic_store(&blocked, 1);
    set_send(&rig, send_later);
    rig_call(&rig, "first", &outcomes[0]);
    mf_check(mf_test_until(is_stalled, &rig, MF_TEST_PATIENCE_MS));
    mf_check_int(mfi_calls_sent(&rig.parent->calls), 0);
    atomic_store(&blocked, 0);
    rig_call(&rig, "second", &outcomes[1]); /* lets the engine look */
    rig_take(&rig, &first, MFI_MESSAGE_CALL, "first");
    rig_take(&rig, &second, MFI_MESSAGE_CALL, "second");
    mf_check_int(mfi_calls_sent(&rig.parent->calls), 2);
    rig_answer(&rig, &first);
    rig_answer(&rig, &second);
    mf_check_int(rig_await(&outcomes[0]), MF_OK);
    mf_check_int(rig_await(&outcomes[1]), MF_OK);
    rig_fini(&rig);
}

/* A call that has ended while it waited is not sent any more. */
static void test_ended_call_is_not_sent(void)
{
    client_rig rig;
    rig_message message;
    rig_outcome outcomes[2];
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = 5;
    init(&rig, NULL);
    atomic_store(&blocked, 1);
    set_send(&rig, send_later);
    rig_call_with(&rig, "first", &options, &outcomes[0]);
    mf_check_int(rig_await(&outcomes[0]), MF_ERR_TIMEOUT);
    atomic_store(&blocked, 0);
    rig_call(&rig, "second", &outcomes[1]);
    rig_take(&rig, &message, MFI_MESSAGE_CALL, "second");
    rig_answer(&rig, &message);
    mf_check_int(rig_await(&outcomes[1]), MF_OK);
    rig_fini(&rig);
}

static const mf_test tests[] = {
    {"io__second_answer_is_late", test_second_answer_is_late},
    {"io__heartbeat_does_not_answer_a_call", test_heartbeat_does_not_answer_a_call},
    {"io__remote_error", test_remote_error},
    {"io__what_is_no_message_is_dropped", test_what_is_no_message},
    {"io__requests_of_the_worker_are_passed_over", test_requests_of_the_worker},
    {"io__answer_with_a_long_string_ends_its_call", test_answer_with_a_long_string},
    {"io__answer_that_is_not_utf8_ends_its_call", test_answer_that_is_not_utf8},
    {"io__answer_that_is_too_large_ends_its_call", test_answer_that_is_too_large},
    {"io__answer_that_is_broken_ends_its_call", test_answer_that_is_broken},
    {"io__answer_that_is_broken_before_its_id_ends_nothing",
     test_answer_that_is_broken_before_its_id},
    {"io__output_is_shown_on_the_engine_thread", test_output},
    {"io__broken_transport_ends_the_call", test_transport_that_is_broken},
    {"io__stalled_message_keeps_its_place", test_stalled_message_keeps_its_place},
    {"io__ended_call_is_not_sent", test_ended_call_is_not_sent},
};
MF_TEST_MAIN(tests)
