/* Tracestate and baggage over three processes: the test calls a relay, whose handler calls a leaf.
 * Both workers are this program again. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define TRACEPARENT "00-" TRACE "-b7ad6b7169203331-01"
#define STATE "rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE"

enum { KEYS_MAX = 8, TEXT_MAX = 2048 };

/* ---- The workers ---- */

typedef struct role {
    mf_runtime *runtime;
    const char *program;   /* this program */
    const char *leaf_keys; /* of the leaf's allow-list */
    mf_parent *leaf;       /* NULL until the first call needs it */
} role;

static const char *text_or_dash(const char *text)
{
    return text != NULL ? text : "-";
}

/* The text of a key in the message, as it was sent. */
static const char *sent(mf_request *request, const char *key)
{
    const char *text = NULL;
    const mf_value *value = mf_value_find(mf_request_metadata(request), key);
    return value != NULL && mf_value_get_str(value, &text) == MF_OK ? text : "-";
}

/* "<tracestate sent>|<tracestate seen>|<baggage sent>|<baggage seen>" */
static void describe(mf_request *request, char to[TEXT_MAX])
{
    (void)snprintf(to, TEXT_MAX, "%s|%s|%s|%s", sent(request, "tracestate"),
                   text_or_dash(mf_request_tracestate(request)), sent(request, "baggage"),
                   text_or_dash(mf_request_baggage(request)));
}

static mf_status see(mf_request *request, mf_reply *reply, void *user_data)
{
    char text[TEXT_MAX];
    (void)user_data;
    describe(request, text);
    return mf_reply_set(reply, mf_str(text));
}

static mf_status see_environment(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_set(reply, mf_str(text_or_dash(getenv("TRACESTATE"))));
}

static bool start_leaf(role *self)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    const char *const args[] = {self->leaf_keys, "-", NULL};
    options.runtime = self->runtime;
    options.program = self->program;
    options.args = args;
    options.target = "leaf";
    return self->leaf != NULL || (mf_parent_create(&self->leaf, &options, &error) == MF_OK &&
                                  mf_parent_start(self->leaf, &error) == MF_OK);
}

/* Answers with what the relay and the leaf saw: "<relay>\n<leaf>". */
static mf_status pass(role *self, const char *function, mf_request *request, mf_reply *reply)
{
    char own[TEXT_MAX];
    char both[TEXT_MAX * 2];
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    describe(request, own);
    if (mf_call(self->leaf, function, MF_NO_ARGS, &result, &error) != MF_OK) {
        return mf_reply_error(reply, "RelayError", "%s", mf_error_text(&error));
    }
    (void)snprintf(both, sizeof both, "%s\n%s", own, mf_result_str(result));
    mf_result_destroy(result);
    return mf_reply_set(reply, mf_str(both));
}

static mf_status relay(mf_request *request, mf_reply *reply, void *user_data)
{
    if (!start_leaf(user_data)) {
        return mf_reply_error(reply, "RelayError", "the leaf did not start");
    }
    return pass(user_data, "see", request, reply);
}

static mf_status relay_environment(mf_request *request, mf_reply *reply, void *user_data)
{
    if (!start_leaf(user_data)) {
        return mf_reply_error(reply, "RelayError", "the leaf did not start");
    }
    return pass(user_data, "see_environment", request, reply);
}

typedef struct helper {
    role *self;
    mf_request *request;
    mf_reply *reply;
    mf_context context; /* of the handler */
} helper;

static void *help(void *argument)
{
    helper *at = argument;
    mf_context_set(&at->context);
    (void)pass(at->self, "see", at->request, at->reply);
    return NULL;
}

/* The call of the leaf is made by another thread, under the handler's context. */
static mf_status relay_on_a_thread(mf_request *request, mf_reply *reply, void *user_data)
{
    pthread_t thread;
    helper at = {.self = user_data, .request = request, .reply = reply};
    if (!start_leaf(user_data) || !mf_context_get(&at.context) ||
        pthread_create(&thread, NULL, help, &at) != 0) {
        return mf_reply_error(reply, "RelayError", "no thread");
    }
    (void)pthread_join(thread, NULL);
    return MF_OK;
}

/* "a,b" as a list; "-": none. The texts stay in `copy`. */
static void split(const char *keys, char copy[256], const char *list[KEYS_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    (void)snprintf(copy, 256, "%s", keys);
    char *key = strcmp(keys, "-") != 0 ? strtok_r(copy, ",", &rest) : NULL;
    for (; key != NULL && count + 1 < KEYS_MAX; key = strtok_r(NULL, ",", &rest)) {
        list[count++] = key;
    }
    list[count] = NULL;
}

static mf_runtime *runtime_with(const char *keys, const mf_span_observer *observer)
{
    char copy[256];
    const char *list[KEYS_MAX];
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    split(keys, copy, list);
    options.baggage_keys = list[0] != NULL ? list : NULL;
    if (observer != NULL) {
        options.span_observer = *observer;
    }
    return mf_runtime_create(&runtime, &options, NULL) == MF_OK ? runtime : NULL;
}

static int work(const char *program, const char *keys, const char *leaf_keys)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    role self = {.runtime = runtime_with(keys, NULL), .program = program, .leaf_keys = leaf_keys};
    options.runtime = self.runtime;
    if (self.runtime == NULL || mf_child_create(&child, &options, &error) != MF_OK) {
        return 1;
    }
    mf_child_handle(child, "see", see, NULL);
    mf_child_handle(child, "see_environment", see_environment, NULL);
    mf_child_handle(child, "relay", relay, &self);
    mf_child_handle(child, "relay_environment", relay_environment, &self);
    mf_child_handle(child, "relay_on_a_thread", relay_on_a_thread, &self);
    mf_status status = mf_child_run(child, &error);
    mf_parent_destroy(self.leaf);
    mf_child_destroy(child);
    mf_runtime_destroy(self.runtime);
    return status == MF_OK ? 0 : 1;
}

/* ---- The caller ---- */

static char program[512];

typedef struct fixture {
    mf_runtime *runtime;
    mf_parent *relay;
    char state[600]; /* of the last span of a call */
} fixture;

static void keep_state(const mf_span *span, void *user_data)
{
    fixture *at = user_data;
    if (span->type == MF_SPAN_CALL) { /* on the thread of the caller, which is the test's */
        (void)snprintf(at->state, sizeof at->state, "%s", text_or_dash(span->tracestate));
    }
}

static void begin(fixture *at, const char *keys, const char *relay_keys, const char *leaf_keys)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mf_span_observer observer = {.fn = keep_state, .user_data = at};
    const char *const args[] = {relay_keys, leaf_keys, NULL};
    at->runtime = runtime_with(keys, &observer);
    mf_check(at->runtime != NULL);
    options.runtime = at->runtime;
    options.program = program;
    options.args = args;
    options.target = "relay";
    at->relay = start(&options);
}

static void end(fixture *at)
{
    mf_parent_destroy(at->relay);
    mf_runtime_destroy(at->runtime);
}

static void check_call(fixture *at, const char *function, const mf_call_options *options,
                       const char *wanted)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call_with(at->relay, function, MF_NO_ARGS, options, &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_str(mf_result_str(result), wanted);
    mf_result_destroy(result);
}

static void test_tracestate_arrives_unchanged(void)
{
    static fixture at;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin(&at, "-", "-", "-");
    options.traceparent = TRACEPARENT;
    options.tracestate = STATE;
    check_call(&at, "relay", &options, STATE "|" STATE "|-|-\n" STATE "|" STATE "|-|-");
    mf_check_str(at.state, STATE);
    check_call(&at, "relay_on_a_thread", &options, STATE "|" STATE "|-|-\n" STATE "|" STATE "|-|-");
    options.retry = &retry; /* each attempt carries it */
    check_call(&at, "see", &options, STATE "|" STATE "|-|-");
    check_call(&at, "relay", NULL, "-|-|-|-\n-|-|-|-"); /* not that of an earlier call */
    mf_check_str(at.state, "-");
    end(&at);
}

static void test_future_carries_a_copy(void)
{
    static fixture at;
    char state[] = "a=1";
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin(&at, "-", "-", "-");
    options.traceparent = TRACEPARENT;
    options.tracestate = state;
    for (int i = 0; i < 2; i++) { /* without and with retries */
        mf_future *future = NULL;
        mf_result *result = NULL;
        mf_error error = MF_ERROR_INIT;
        (void)memcpy(state, "a=1", sizeof state);
        mf_check_int(mf_call_future(at.relay, "see", MF_NO_ARGS, &options, &future, &error), MF_OK);
        (void)memcpy(state, "b=2", sizeof state);
        mf_check_int(mf_future_wait(future, TOO_LONG_MS, &result, &error), MF_OK);
        mf_check_str(mf_result_str(result), "a=1|a=1|-|-");
        mf_result_destroy(result);
        mf_future_destroy(future);
        options.retry = &retry;
    }
    end(&at);
}

static void test_tracestate_belongs_to_its_trace(void)
{
    static fixture at;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    mf_value own = MF_MAP("tracestate", "a=1", "baggage", "user=1", "tenant", "x");
    begin(&at, "user", "user", "user");
    options.tracestate = STATE; /* without a traceparent */
    check_call(&at, "see", &options, "-|-|-|-");
    options.traceparent = TRACEPARENT;
    options.tracestate = "a=1,B=2"; /* malformed */
    check_call(&at, "see", &options, "-|-|-|-");
    options.tracestate = NULL;
    options.metadata = &own; /* neither is a key of the program */
    check_call(&at, "see", &options, "-|-|-|-");
    end(&at);
}

static void test_baggage_passes_by_allow_list_alone(void)
{
    static fixture at;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin(&at, "user,shop,caller", "user,shop", "user");
    options.baggage = "user=a%20b,caller=1,shop=2,secret=3";
    check_call(&at, "relay", &options,
               "-|-|user=a%20b,caller=1,shop=2|user=a%20b,shop=2\n"
               "-|-|user=a%20b,shop=2|user=a%20b");
    check_call(&at, "see", NULL, "-|-|-|-");
    options.baggage = "user=\"1\"";
    check_call(&at, "see", &options, "-|-|-|-");
    end(&at);
}

static void test_baggage_is_off_by_default(void)
{
    static fixture at;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.baggage = "user=1";
    begin(&at, "-", "user", "user");
    check_call(&at, "relay", &options, "-|-|-|-\n-|-|-|-");
    end(&at);
    begin(&at, "user", "-", "user"); /* the relay takes none, and passes none on */
    check_call(&at, "relay", &options, "-|-|user=1|-\n-|-|-|-");
    end(&at);
}

/* The leaf is started in the handler of the first call. */
static void test_start_in_a_handler_tells_the_tracestate(void)
{
    static fixture at;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin(&at, "-", "-", "-");
    options.traceparent = TRACEPARENT;
    options.tracestate = STATE;
    check_call(&at, "relay_environment", &options, STATE "|" STATE "|-|-\n" STATE);
    end(&at);
}

int main(int argc, char **argv)
{
    static const mf_test tests[] = {
        {"tracestate__arrives_unchanged", test_tracestate_arrives_unchanged},
        {"tracestate__future_carries_a_copy", test_future_carries_a_copy},
        {"tracestate__belongs_to_its_trace", test_tracestate_belongs_to_its_trace},
        {"tracestate__baggage_passes_by_allow_list_alone", test_baggage_passes_by_allow_list_alone},
        {"tracestate__baggage_is_off_by_default", test_baggage_is_off_by_default},
        {"tracestate__start_in_a_handler_tells_the_tracestate",
         test_start_in_a_handler_tells_the_tracestate},
    };
    if (argc == 4 && strcmp(argv[3], "--worker") == 0) {
        return work(argv[0], argv[1], argv[2]);
    }
    (void)snprintf(program, sizeof program, "%s",
                   mf_test_build_path("tests/test_integration_tracestate"));
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
