/* A worker handles calls: deadlines, metadata, builtins, and calls that it rejects. */
#include "child_peer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/child.h>
#include <multifrost/metrics.h>

#include "base/clock.h"
#include "core/engine/deadline.h"
#include "core/server/child_inside.h"

/* ---- Deadlines ---- */

#define HOUR_MS 3600000

static mf_status tell_deadline(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    uint64_t before_ns = mfi_remaining_ns(mfi_running_deadline(), mfi_monotonic_ns());
    int64_t left = mf_request_deadline_ms(request);
    uint64_t after_ns = mfi_remaining_ns(mfi_running_deadline(), mfi_monotonic_ns());
    if (left == MF_TIMEOUT_INFINITE) {
        return mf_reply_value(reply, mfi_running_deadline() == MFI_NEVER ? -1 : -2);
    }
    /* What calls made here are bounded by is the same. */
    bool agrees =
        left <= (int64_t)(before_ns / MFI_NS_PER_MS) && left >= (int64_t)(after_ns / MFI_NS_PER_MS);
    return mf_reply_value(reply, agrees ? left : -3);
}

static void test_deadline_is_seen_and_expired_calls_are_refused(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    int64_t left = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "deadline", tell_deadline, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "none", "deadline", MF_NO_ARGS, mf_nil());
    peer_expect_int(&peer, "none", -1);
    peer_call(&peer, "some", "deadline", MF_NO_ARGS, MF_MAP("deadline_ms_left", HOUR_MS));
    peer_receive(&peer, &answer);
    mf_check(answer.result != NULL &&
             mf_value_get_int64(mf_document_root(answer.result), &left) == MF_OK);
    mf_check(left > HOUR_MS / 2 && left <= HOUR_MS); /* no test runs so long */
    answer_free(&answer);
    peer_call(&peer, "late", "deadline", MF_NO_ARGS, MF_MAP("deadline_ms_left", 0));
    peer_expect_error(&peer, "late", "TimeoutError: the caller no longer waits");
    mf_check(mfi_running_deadline() == MFI_NEVER);
    peer_close(&peer);
    worker_end(&worker);
}

/* ---- Tracestate and baggage ---- */

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static mf_status tell_carried(mf_request *request, mf_reply *reply, void *user_data)
{
    char text[2048];
    const char *state = mf_request_tracestate(request);
    const char *baggage = mf_request_baggage(request);
    (void)user_data;
    (void)snprintf(text, sizeof text, "%s|%s", state != NULL ? state : "-",
                   baggage != NULL ? baggage : "-");
    return mf_reply_set(reply, mf_str(text));
}

/* The message is that of a peer in another language, which sends what its program says. */
static void check_carried(test_peer *peer, mf_value metadata, const char *wanted)
{
    test_answer answer;
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_value message =
        MF_MAP("app", "comlink_ipc_v3", "id", "carried", "type", "call", "timestamp", 1.5,
               "function", "carried", "namespace", "default", "metadata", metadata);
    const char *text = "";
    mf_check_int(mf_value_encode(&message, &bytes, &size, NULL), MF_OK);
    peer_send(peer, bytes, size);
    free(bytes);
    peer_receive(peer, &answer);
    mf_check(answer.result != NULL &&
             mf_value_get_str(mf_document_root(answer.result), &text) == MF_OK);
    mf_check_str(text, wanted);
    answer_free(&answer);
}

static void test_carried_texts_are_checked(void)
{
    static const char *const keys[] = {"user", NULL};
    static char large[20000];
    test_worker worker;
    test_peer peer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    worker.child->serving.baggage_keys = keys;
    mf_check_int(mf_child_handle(worker.child, "carried", tell_carried, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    memset(large, 'v', sizeof large - 1);
    (void)memcpy(large, "a=1,b=", 6);
    check_carried(&peer, mf_nil(), "-|-");
    check_carried(&peer, MF_MAP("traceparent", TRACEPARENT, "tracestate", "a=1"), "a=1|-");
    check_carried(&peer, MF_MAP("tracestate", "a=1", "traceparent", TRACEPARENT), "a=1|-");
    check_carried(&peer, MF_MAP("tracestate", "a=1"), "-|-");
    check_carried(&peer, MF_MAP("traceparent", "00-x", "tracestate", "a=1", "baggage", "user=1"),
                  "-|user=1");
    check_carried(&peer, MF_MAP("traceparent", TRACEPARENT, "tracestate", "a=1\n"), "-|-");
    check_carried(
        &peer, MF_MAP("traceparent", TRACEPARENT, "tracestate", 7, "baggage", MF_ARRAY(1)), "-|-");
    check_carried(&peer, MF_MAP("traceparent", TRACEPARENT, "tracestate", large), "-|-");
    check_carried(&peer, MF_MAP("baggage", "user=%41,secret=2"), "-|user=%41");
    check_carried(&peer, MF_MAP("baggage", "user=1;;"), "-|-");
    peer_close(&peer);
    worker_end(&worker);
}

static char *metrics_text(mf_runtime *runtime)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    return text;
}

static mf_status outlast_deadline(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    while (mfi_monotonic_ns() <= mfi_running_deadline()) {
        (void)poll(NULL, 0, 1);
    }
    return mf_reply_value(reply, 7);
}

/* Calls one whose deadline passes while it runs. Where the machine is so busy that it passes
 * before, the call is refused, and there is another one that has more time. Gives how many were
 * refused. */
static unsigned call_one_that_is_late(test_peer *peer)
{
    unsigned refused = 0;
    test_answer answer = {.type = MFI_MESSAGE_ERROR};
    for (int64_t ms = 50; answer.type == MFI_MESSAGE_ERROR && ms < HOUR_MS; ms *= 2) {
        peer_call(peer, "slow", "outlast", MF_NO_ARGS, MF_MAP("deadline_ms_left", ms));
        peer_receive(peer, &answer);
        mf_check(answer.type == MFI_MESSAGE_RESPONSE ||
                 strcmp(answer.error, "TimeoutError: the caller no longer waits") == 0);
        refused += answer.type == MFI_MESSAGE_ERROR;
        answer_free(&answer);
    }
    mf_check_int(answer.type, MFI_MESSAGE_RESPONSE);
    return refused;
}

static void test_expired_calls_are_counted(void)
{
    char before_start[128];
    test_worker worker;
    test_peer peer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "outlast", outlast_deadline, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "late", "outlast", MF_NO_ARGS, MF_MAP("deadline_ms_left", -5));
    peer_expect_error(&peer, "late", "TimeoutError: the caller no longer waits");
    unsigned refused = 1 + call_one_that_is_late(&peer);
    peer_close(&peer);
    mf_child_stop(worker.child);
    worker_join(&worker);
    char *text = metrics_text(worker.runtime);
    (void)snprintf(before_start, sizeof before_start,
                   "server_expired_calls_total{worker=\"worker\",stage=\"before_start\"} %u\n",
                   refused);
    mf_check_contains(text, before_start);
    mf_check_contains(text, "server_expired_calls_total{worker=\"worker\",stage=\"at_reply\"} 1\n");
    free(text);
    worker_end(&worker);
}

/* ---- Metadata, names, builtins ---- */

static mf_status tell(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    char key[16];
    mf_check_int(mf_reply_metadata(reply, "server_queue_us", mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(reply, "", mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(reply, "list", mf_array(NULL, 0)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(reply, "text", mf_str("one")), MF_OK);
    mf_check_int(mf_reply_metadata(reply, "text", mf_str("two")), MF_OK);
    for (int i = 0; i < 15; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        mf_check_int(mf_reply_metadata(reply, key, mf_int(i)), MF_OK);
    }
    mf_check_int(mf_reply_metadata(reply, "k15", mf_int(15)), MF_ERR_LIMIT);
    mf_check_str(mf_request_client_name(request), "test");
    int64_t fails = 0;
    if (mf_request_unpack(request, &fails) != MF_OK || fails != 0) {
        return mf_reply_error(reply, "ValueError", "as asked");
    }
    return MF_OK;
}

static mf_status tell_too_much(mf_request *request, mf_reply *reply, void *user_data)
{
    char text[4096];
    (void)request;
    (void)user_data;
    memset(text, 'x', sizeof text);
    mf_check_int(mf_reply_metadata(reply, "large", mf_str_n(text, sizeof text)), MF_ERR_LIMIT);
    mf_check_int(mf_reply_metadata(reply, "fits", mf_str_n(text, 2000)), MF_OK);
    mf_check_int(mf_reply_metadata(reply, "more", mf_str_n(text, 2100)), MF_ERR_LIMIT);
    return MF_OK;
}

static void test_metadata_goes_with_results_and_errors(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "tell", tell, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "tell_too_much", tell_too_much, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    for (int fails = 0; fails < 2; fails++) {
        peer_call(&peer, "t", "tell", MF_ARGS(fails), mf_nil());
        peer_receive(&peer, &answer);
        mf_check_int(answer.type, fails ? MFI_MESSAGE_ERROR : MFI_MESSAGE_RESPONSE);
        const mf_value *map = mf_document_root(answer.metadata);
        const char *text = "";
        mf_check_int(mf_value_get_str(mf_value_find(map, "text"), &text), MF_OK);
        mf_check_str(text, "two");
        mf_check(mf_value_find(map, "k14") != NULL && mf_value_find(map, "k15") == NULL);
        mf_check(mf_value_find(map, "server_queue_us") != NULL);
        mf_check_int(map->length, 16 + 4); /* and times and load */
        answer_free(&answer);
    }
    peer_call(&peer, "m", "tell_too_much", MF_NO_ARGS, mf_nil());
    peer_receive(&peer, &answer);
    mf_check_int(mf_document_root(answer.metadata)->length, 1 + 4);
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

static const mf_value *ask(test_peer *peer, const char *function, test_answer *ret_answer)
{
    static const mf_value nothing = {.type = MF_TYPE_NIL};
    peer_call(peer, "q", function, MF_NO_ARGS, mf_nil());
    peer_receive(peer, ret_answer);
    mf_check_str(ret_answer->error, "");
    return ret_answer->result != NULL ? mf_document_root(ret_answer->result) : &nothing;
}

static bool text_is(const mf_value *value, const char *wanted)
{
    const char *text = NULL;
    return value != NULL && mf_value_get_str(value, &text) == MF_OK && strcmp(text, wanted) == 0;
}

static void test_builtins_tell_about_the_worker(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    worker_start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    for (int i = 0; i < 2; i++) {
        const mf_value *names = ask(&peer, i == 0 ? "list_functions" : "listFunctions", &answer);
        mf_check_int(names->length, 4);
        mf_check(text_is(mf_value_at(names, 0), "gate"));
        mf_check(text_is(mf_value_at(names, 1), "list_functions"));
        mf_check(text_is(mf_value_at(names, 2), "ping"));
        mf_check(text_is(mf_value_at(names, 3), "twice"));
        answer_free(&answer);
    }
    const mf_value *info = ask(&peer, "multifrost.info", &answer);
    mf_check(text_is(mf_value_find(info, "service"), "worker"));
    mf_check(text_is(mf_value_find(info, "protocol"), "comlink_ipc_v3"));
    mf_check(text_is(mf_value_find(info, "language"), "c"));
    int64_t pid = 0;
    mf_check_int(mf_value_get_int64(mf_value_find(info, "pid"), &pid), MF_OK);
    mf_check_int(pid, getpid());
    answer_free(&answer);
    uint64_t begin = mfi_monotonic_ns();
    peer_call(&peer, "a", "twice", MF_ARGS(1), mf_nil());
    peer_expect_int(&peer, "a", 2);
    peer_call(&peer, "b", "twice", MF_ARGS("x"), mf_nil());
    peer_receive(&peer, &answer);
    answer_free(&answer);
    const mf_value *stats = ask(&peer, "multifrost.stats", &answer);
    const mf_value *runs = mf_value_find(mf_value_find(stats, "functions"), "twice");
    int64_t calls = 0;
    int64_t errors = 0;
    double p99 = 0;
    mf_check_int(mf_value_get_int64(mf_value_find(runs, "calls"), &calls), MF_OK);
    mf_check_int(mf_value_get_int64(mf_value_find(runs, "errors"), &errors), MF_OK);
    mf_check_int(mf_value_get_double(mf_value_find(runs, "p99"), &p99), MF_OK);
    mf_check_int(calls, 2);
    mf_check_int(errors, 1);
    mf_check(p99 > 0 && p99 < 1.02 * (double)(mfi_monotonic_ns() - begin) / 1e9); /* seconds */
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_names_that_are_prefixes_or_hold_a_nul(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    worker_start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "a", "twi", MF_ARGS(1), mf_nil());
    peer_expect_error(&peer, "a", "AttributeError: Function 'twi' not found");
    peer_call(&peer, "b", "twicetwice", MF_ARGS(1), mf_nil());
    peer_expect_error(&peer, "b", "AttributeError: Function 'twicetwice' not found");
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mfi_call_fields call = {.id = "c", .function = {"twice\0x", 7}, .timestamp = 1};
    mf_check_int(mfi_encode_call(&buf, &call, NULL), MF_OK);
    peer_send(&peer, buf.data, buf.size);
    mfi_buf_fini(&buf);
    peer_receive(&peer, &answer);
    mf_check_int(answer.type, MFI_MESSAGE_ERROR);
    mf_check_contains(answer.error, "Function 'twice' not found: the name has a NUL inside");
    answer_free(&answer);
    char longer[300];
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    peer_call(&peer, "d", longer, MF_ARGS(1), mf_nil());
    peer_receive(&peer, &answer);
    mf_check_contains(answer.error, "nnn' not found: the name has more than 256 bytes");
    answer_free(&answer);
    peer_close(&peer);
    worker_end(&worker);
}

/* A call that breaks a limit is told so at once; one that is for another worker is none of ours. */
static void test_rejected_calls_are_answered(void)
{
    static const char text[] = "0123456789";
    test_worker worker;
    test_peer peer;
    test_answer answer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_string_bytes = 256;
    options.max_items = 16;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    mf_value many[17];
    memset(many, 0, sizeof many); /* nils */
    char large[257];
    memset(large, 'x', sizeof large);
    peer_call(&peer, "long", "twice", MF_ARGS(mf_str_n(large, sizeof large)), mf_nil());
    peer_call(&peer, "many", "twice", (mf_args){many, 17}, mf_nil());
    peer_call(&peer, "fits", "twice", MF_ARGS(4), mf_nil());
    for (int i = 0; i < 2; i++) {
        peer_receive(&peer, &answer);
        mf_check_str(answer.id, i == 0 ? "long" : "many");
        mf_check_int(answer.type, MFI_MESSAGE_ERROR);
        mf_check(strncmp(answer.error, "ValueError: ", 12) == 0 && strlen(answer.error) > 12);
        answer_free(&answer);
    }
    peer_expect_int(&peer, "fits", 8);
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mf_value args = mf_str_n(large, sizeof large);
    mfi_call_fields call = {.id = "other",
                            .function = {text, 5},
                            .namespace_name = {text, 5},
                            .args = {&args, 1},
                            .timestamp = 1};
    mf_check_int(mfi_encode_call(&buf, &call, NULL), MF_OK);
    peer_send(&peer, buf.data, buf.size);
    mfi_buf_fini(&buf);
    peer_call(&peer, "next", "twice", MF_ARGS(5), mf_nil());
    peer_expect_int(&peer, "next", 10);
    peer_close(&peer);
    worker_end(&worker);
}

/* An error with all that may go with it, and a result, neither of which fits a small message. */
static mf_status say_much(mf_request *request, mf_reply *reply, void *user_data)
{
    char text[2000];
    bool fails = false;
    (void)user_data;
    memset(text, 'x', sizeof text);
    if (mf_request_unpack(request, &fails) != MF_OK || !fails) {
        return mf_reply_set(reply, mf_bin(text, sizeof text));
    }
    mf_check_int(mf_reply_metadata(reply, "much", mf_str_n(text, 900)), MF_OK);
    return mf_reply_error(reply, "ValueError", "%.*s", (int)sizeof text, text);
}

static void test_errors_are_shortened_until_they_fit(void)
{
    test_worker worker;
    test_peer peer;
    test_answer answer;
    char id[64];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_message_bytes = 1024;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "say_much", say_much, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    memset(id, 'i', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    for (int fails = 0; fails < 2; fails++) {
        peer_call(&peer, id, "say_much", MF_ARGS(mf_bool(fails == 1)), mf_nil());
        peer_receive(&peer, &answer);
        mf_check_int(answer.type, MFI_MESSAGE_ERROR);
        mf_check_str(answer.id, id);
        mf_check_contains(answer.error, fails ? "ValueError: xxx" : "ResultError: ");
        mf_check(mf_value_find(mf_document_root(answer.metadata), "server_handler_us") != NULL);
        mf_check(mf_value_find(mf_document_root(answer.metadata), "much") == NULL);
        answer_free(&answer);
    }
    peer_close(&peer);
    worker_end(&worker);
}

static mf_status say_odd_things(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_error(reply, "Value\x1b[2J\nError\xc2\x9b", "%s",
                          "a\nb\xc2\x85"
                          "c\x7f\xc2\xa0\xc3\xa9\xc2\x9f");
}

static void test_errors_have_no_control_characters(void)
{
    test_worker worker;
    test_peer peer;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "say", say_odd_things, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "a", "say", MF_NO_ARGS, mf_nil());
    peer_expect_error(&peer, "a", "Value [2J Error  : a b  c \xc2\xa0\xc3\xa9  ");
    peer_call(&peer, "b",
              "n\xc2\x9b"
              "1m",
              MF_NO_ARGS, mf_nil());
    peer_expect_error(&peer, "b", "AttributeError: Function 'n  1m' not found");
    peer_close(&peer);
    worker_end(&worker);
}

static const mf_test tests[] = {
    {"deadline__is_seen_and_expired_calls_are_refused",
     test_deadline_is_seen_and_expired_calls_are_refused},
    {"deadline__expired_calls_are_counted", test_expired_calls_are_counted},
    {"metadata__carried_texts_are_checked", test_carried_texts_are_checked},
    {"metadata__goes_with_results_and_errors", test_metadata_goes_with_results_and_errors},
    {"builtins__tell_about_the_worker", test_builtins_tell_about_the_worker},
    {"rejected__calls_are_answered", test_rejected_calls_are_answered},
    {"errors__are_shortened_until_they_fit", test_errors_are_shortened_until_they_fit},
    {"errors__have_no_control_characters", test_errors_have_no_control_characters},
    {"names__that_are_prefixes_or_hold_a_nul", test_names_that_are_prefixes_or_hold_a_nul},
};

MF_TEST_MAIN(tests)
