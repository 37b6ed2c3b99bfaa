/* An answer, from the handler's result to the message in the channel's queue. */
#include "core/server/reply.h"

#include <stdio.h>
#include <string.h>

#include "core/wire/document.h"
#include "core/wire/limits.h"
#include "test_channel.h"

typedef struct made {
    test_channel base;
    mfi_server_span span;
    mf_reply reply;
} made;

static void make(made *at)
{
    mfi_route route = route_of(7);
    channel_open(&at->base);
    mfi_server_span_clear(&at->span);
    at->span.target = at->base.channel.observed;
    at->span.function_name = "f";
    at->span.namespace_name = "default";
    at->span.received_ns = mfi_monotonic_ns();
    at->span.begun_ns = at->span.received_ns;
    at->span.function = mfi_target_function(at->base.channel.observed, "f", 1);
    mf_check(mfi_reply_init(&at->reply, &at->base.channel, &route, (mfi_text){"id", 2}, &at->span,
                            at->span.received_ns));
    mfi_observe_server_begin(&at->span);
}

/* Ends the call, and gives its one message. */
static mfi_out *finish(made *at, mf_status status, mfi_envelope *ret_envelope)
{
    mf_error error = MF_ERROR_INIT;
    mfi_reject why = MFI_REJECT_NONE;
    mfi_route route = route_of(7);
    mfi_reply_finish(&at->reply, status);
    mfi_out *out = mfi_channel_pop(&at->base.channel);
    mf_check(out != NULL && mfi_channel_pop(&at->base.channel) == NULL);
    mf_check(out->route.size == route.size &&
             memcmp(out->route.bytes, route.bytes, route.size) == 0);
    mf_check_int(
        mfi_envelope_decode(out->buf.data, out->buf.size, NULL, ret_envelope, &why, &error), MF_OK);
    mf_check(ret_envelope->id.size == 2 && memcmp(ret_envelope->id.data, "id", 2) == 0);
    return out;
}

static void check_text(mfi_text text, const char *wanted)
{
    char copy[512];
    (void)snprintf(copy, sizeof copy, "%.*s", (int)text.size, text.data != NULL ? text.data : "");
    mf_check_str(copy, wanted);
}

static void test_last_value_is_the_answer(void)
{
    made at;
    mfi_envelope envelope;
    mf_document *document = NULL;
    int64_t number = 0;
    make(&at);
    mf_check_int(mf_reply_set(&at.reply, mf_int(1)), MF_OK);
    mf_check_int(mf_reply_error(&at.reply, "ValueError", "no"), MF_OK);
    mf_check_int(mf_reply_set(&at.reply, mf_int(42)), MF_OK);
    mfi_out *out = finish(&at, MF_OK, &envelope);
    mf_check_int(envelope.type, MFI_MESSAGE_RESPONSE);
    mf_check_int(out->traffic, MFI_TRAFFIC_RESPONSE);
    mf_check_int(mf_document_decode(envelope.result.data, envelope.result.size, &document, NULL),
                 MF_OK);
    mf_check_int(mf_value_get_int64(mf_document_root(document), &number), MF_OK);
    mf_check_int(number, 42);
    mf_check_int(at.span.status, MF_OK);
    mf_document_destroy(document);
    mfi_out_free(out);
    channel_close(&at.base);
}

static void test_error_is_type_and_text(void)
{
    made at;
    mfi_envelope envelope;
    make(&at);
    mf_check_int(mf_reply_set(&at.reply, mf_int(1)), MF_OK);
    mf_check_int(mf_reply_error(&at.reply, "ValueError", "line %d\nnext", 1), MF_OK);
    mfi_out *out = finish(&at, MF_OK, &envelope);
    mf_check_int(envelope.type, MFI_MESSAGE_ERROR);
    mf_check_int(out->traffic, MFI_TRAFFIC_ERROR);
    check_text(envelope.error, "ValueError: line 1 next");
    mf_check_int(at.span.status, MF_ERR_REMOTE);
    mfi_out_free(out);
    channel_close(&at.base);
    make(&at); /* and without a type */
    mf_check_int(mf_reply_error(&at.reply, NULL, "text alone"), MF_OK);
    out = finish(&at, MF_ERR_REMOTE, &envelope);
    check_text(envelope.error, "text alone");
    mfi_out_free(out);
    channel_close(&at.base);
}

static void test_nothing_set_is_nil(void)
{
    made at;
    mfi_envelope envelope;
    make(&at);
    mfi_out *out = finish(&at, MF_OK, &envelope);
    mf_check_int(envelope.type, MFI_MESSAGE_RESPONSE);
    mf_check_int(envelope.result.size, 1);
    mf_check_int(envelope.result.data[0], 0xc0); /* nil */
    mfi_out_free(out);
    channel_close(&at.base);
}

static void test_metadata_is_bounded_and_typed(void)
{
    made at;
    char key[32];
    mfi_envelope envelope;
    static char long_text[MFI_METADATA_MAX_BYTES];
    memset(long_text, 'x', sizeof long_text);
    make(&at);
    mf_check_int(mf_reply_metadata(&at.reply, "", mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(&at.reply, NULL, mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(&at.reply, "server_queue_us", mf_int(1)),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(&at.reply, "a", mf_nil()), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(&at.reply, "a", mf_str("\xff")), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(&at.reply, "a", mf_str_n(long_text, sizeof long_text)),
                 MF_ERR_LIMIT);
    for (int i = 0; i < 16; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        mf_check_int(mf_reply_metadata(&at.reply, key, mf_int(i)), MF_OK);
    }
    mf_check_int(mf_reply_metadata(&at.reply, "one more", mf_int(1)), MF_ERR_LIMIT);
    mf_check_int(mf_reply_metadata(&at.reply, "key3", mf_str("again")), MF_OK);
    mfi_out *out = finish(&at, MF_OK, &envelope);
    mf_document *document = NULL;
    mf_check_int(
        mf_document_decode(envelope.metadata.data, envelope.metadata.size, &document, NULL), MF_OK);
    const mf_value *root = mf_document_root(document);
    mf_check_int(mf_value_find(root, "key3")->type, MF_TYPE_STR);
    mf_check(mf_value_find(root, "key15") != NULL && mf_value_find(root, "one more") == NULL);
    mf_check(mf_value_find(root, "server_queue_us") != NULL);
    mf_document_destroy(document);
    mfi_out_free(out);
    channel_close(&at.base);
}

/* What the metadata says of load and pushback. */
static mfi_metadata finish_and_read(made *at, mf_status status)
{
    mfi_envelope envelope;
    mfi_metadata metadata;
    mfi_out *out = finish(at, status, &envelope);
    mfi_metadata_read(envelope.metadata, &metadata);
    mfi_out_free(out);
    channel_close(&at->base);
    return metadata;
}

static void test_pushback_goes_with_errors_alone(void)
{
    static const int64_t given[] = {0, 86400000, -1, INT64_MIN};
    static const int64_t wanted[] = {0, 86400000, -1, -1};
    made at;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        make(&at);
        mf_check_int(mf_reply_retry_after(&at.reply, given[i]), MF_OK);
        mf_check_int(mf_reply_retry_after(&at.reply, 86400001), MF_ERR_INVALID_ARGUMENT);
        mf_check_int(mf_reply_error(&at.reply, "Busy", "later"), MF_OK);
        mfi_metadata metadata = finish_and_read(&at, MF_OK);
        mf_check(metadata.has_pushback && !metadata.has_load);
        mf_check_int(metadata.pushback_ms, wanted[i]);
    }
    make(&at);
    mf_check_int(mf_reply_retry_after(&at.reply, 5), MF_OK);
    mf_check(!finish_and_read(&at, MF_OK).has_pushback);
    make(&at);
    at.reply.deferred = 1;
    mf_check_int(mf_reply_retry_after(&at.reply, 5), MF_ERR_STATE);
    at.reply.deferred = 0;
    mf_check_int(mf_reply_metadata(&at.reply, "load", mf_int(1)), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_reply_metadata(&at.reply, "retry_after_ms", mf_int(1)),
                 MF_ERR_INVALID_ARGUMENT);
    (void)finish_and_read(&at, MF_OK);
}

/* The handler that ends with the answer counts, with results and with errors. */
static void test_load_goes_with_each_answer(void)
{
    for (int fails = 0; fails <= 1; fails++) {
        static mfi_child_state state;
        mfi_handler_mark mark = {.since_ns = 0};
        mfi_load load;
        made at;
        make(&at);
        state.marks = (mfi_chain){.first = NULL};
        mfi_chain_push_back(&state.marks, &mark.node);
        mfi_load_init(&load, &state, at.span.begun_ns);
        at.reply.load = &load;
        at.reply.mark = &mark;
        if (fails) {
            mf_check_int(mf_reply_error(&at.reply, "Busy", "later"), MF_OK);
        }
        mfi_metadata metadata = finish_and_read(&at, MF_OK);
        mf_check(metadata.has_load && metadata.load == 1); /* it ran all the time */
        mf_check_int(atomic_load(&mark.busy_ns), at.span.done_ns - at.span.begun_ns);
    }
}

static void test_error_that_does_not_fit_is_cut(void)
{
    enum { MOST = 1024, TEXT = 4000 };
    static char text[TEXT];
    mfi_buf buf;
    mfi_envelope envelope;
    mfi_reject why = MFI_REJECT_NONE;
    mf_error error = MF_ERROR_INIT;
    mfi_reply_times times = {.timestamp_received = 1};
    memset(text, 'e', sizeof text);
    mfi_buf_init(&buf, MOST);
    mfi_buf_append_str(&buf, "what was there before");
    mf_check(mfi_reply_encode_error(&buf, (mfi_text){"id", 2}, (mfi_text){text, TEXT}, 1, &times));
    mf_check(buf.size <= MOST);
    mf_check_int(mfi_envelope_decode(buf.data, buf.size, NULL, &envelope, &why, &error), MF_OK);
    mf_check_int(envelope.type, MFI_MESSAGE_ERROR);
    mf_check_int(envelope.error.size, MFI_ERROR_TEXT_SHORT_BYTES);
    mfi_buf_fini(&buf);
}

static void test_reply_that_was_deferred_takes_nothing(void)
{
    made at;
    mfi_envelope envelope;
    make(&at);
    at.reply.deferred = 1;
    mf_check_int(mf_reply_set(&at.reply, mf_int(1)), MF_ERR_STATE);
    mf_check_int(mf_reply_error(&at.reply, "E", "e"), MF_ERR_STATE);
    mf_check_int(mf_reply_metadata(&at.reply, "a", mf_int(1)), MF_ERR_STATE);
    mf_check(mf_reply_defer(&at.reply) == NULL);
    at.reply.deferred = 0;
    mfi_out_free(finish(&at, MF_OK, &envelope));
    channel_close(&at.base);
}

static const mf_test tests[] = {
    {"reply__last_value_is_the_answer", test_last_value_is_the_answer},
    {"reply__error_is_type_and_text", test_error_is_type_and_text},
    {"reply__nothing_set_is_nil", test_nothing_set_is_nil},
    {"reply__metadata_is_bounded_and_typed", test_metadata_is_bounded_and_typed},
    {"reply__pushback_goes_with_errors_alone", test_pushback_goes_with_errors_alone},
    {"reply__load_goes_with_each_answer", test_load_goes_with_each_answer},
    {"reply__error_that_does_not_fit_is_cut", test_error_that_does_not_fit_is_cut},
    {"reply__that_was_deferred_takes_nothing", test_reply_that_was_deferred_takes_nothing},
};

MF_TEST_MAIN(tests)
