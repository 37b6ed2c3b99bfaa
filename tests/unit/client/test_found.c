/* A service that is found by its name. The test is the service: it enters a name in the registry,
 * and answers by hand. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <multifrost/call.h>
#include <multifrost/registry.h>
#include <zmq.h>

#include "core/client/parent.h"
#include "core/runtime/runtime.h"
#include "mf_test.h"

enum { TOO_LONG_MS = 600000 };

typedef struct rig {
    void *context, *socket;
    char folder[512];
    mf_registry *registry;
    mf_runtime *runtime;
    mf_parent *parent;
    uint16_t port;
    pthread_t starter;
    mf_status started;
    /* As the engine thread sees them. */
    mfi_life_phase phase;
    bool is_missing, stayed;
} rig;

static void open_socket(rig *at)
{
    char endpoint[64] = "";
    int none = 0;
    int patience_ms = MF_TEST_PATIENCE_MS;
    unsigned port = 0;
    size_t size = sizeof endpoint;
    at->context = zmq_ctx_new();
    at->socket = zmq_socket(at->context, ZMQ_ROUTER);
    (void)zmq_setsockopt(at->socket, ZMQ_LINGER, &none, sizeof none);
    (void)zmq_setsockopt(at->socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    mf_check_int(zmq_bind(at->socket, "tcp://127.0.0.1:*"), 0);
    mf_check_int(zmq_getsockopt(at->socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    mf_check_int(sscanf(endpoint, "tcp://127.0.0.1:%u", &port), 1);
    at->port = (uint16_t)port;
}

static void rig_open(rig *at)
{
    static int count;
    mf_registry_options registry = MF_REGISTRY_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    *at = (rig){.started = MF_OK};
    open_socket(at);
    (void)snprintf(at->folder, sizeof at->folder, "%s/found-%d", mf_test_temp_dir(), count++);
    registry.directory = at->folder;
    mf_check_int(mf_registry_create(&at->registry, &registry, NULL), MF_OK);
    mf_check_int(mf_registry_register(at->registry, "math", at->port, NULL), MF_OK);
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    options.runtime = at->runtime;
    options.registry_directory = at->folder;
    options.service_id = "math";
    options.start_timeout_ms = TOO_LONG_MS;
    options.heartbeat_timeout_ms = TOO_LONG_MS;
    options.discovery_timeout_ms = TOO_LONG_MS;
    mf_check_int(mf_parent_create(&at->parent, &options, NULL), MF_OK);
}

static void rig_close(rig *at)
{
    mf_parent_destroy(at->parent);
    mf_runtime_destroy(at->runtime);
    mf_registry_destroy(at->registry);
    (void)zmq_close(at->socket);
    (void)zmq_ctx_term(at->context);
}

static void look(void *argument)
{
    rig *at = argument;
    at->phase = at->parent->link.phase;
    at->is_missing = at->parent->found.is_missing;
    at->stayed = at->parent->found.stayed;
}

static bool sees_no_entry(void *data)
{
    rig *at = data;
    mfi_loop_call(at->runtime->loop, look, at);
    return at->is_missing;
}

static bool runs(void *data)
{
    rig *at = data;
    mfi_loop_call(at->runtime->loop, look, at);
    return at->phase == MFI_LIFE_RUNNING && !at->is_missing;
}

static void *start(void *data)
{
    rig *at = data;
    at->started = mf_parent_start(at->parent, NULL);
    return NULL;
}

typedef struct heartbeat {
    uint8_t route[256];
    int size;
    mfi_buf answer;
} heartbeat;

/* Takes a heartbeat, which the test then answers. */
static void take_heartbeat_as(rig *at, heartbeat *taken, bool draining)
{
    uint8_t bytes[1024];
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    taken->size = zmq_recv(at->socket, taken->route, sizeof taken->route, 0);
    mf_check(taken->size > 0);
    mf_check_int(zmq_recv(at->socket, bytes, sizeof bytes, 0), 0);
    int size = zmq_recv(at->socket, bytes, sizeof bytes, 0);
    mf_check(size > 0 && (size_t)size <= sizeof bytes);
    mf_check_int(mfi_envelope_decode(bytes, (size_t)size, NULL, &envelope, &reject, NULL), MF_OK);
    mf_check_int(envelope.type, MFI_MESSAGE_HEARTBEAT);
    mfi_heartbeat_answer answer = {.id = envelope.id, .draining = draining};
    mfi_buf_init(&taken->answer, 0);
    mf_check_int(mfi_encode_heartbeat_answer(&taken->answer, &answer, 1, NULL), MF_OK);
}

static void take_heartbeat(rig *at, heartbeat *taken)
{
    take_heartbeat_as(at, taken, false);
}

static void send_answer(rig *at, heartbeat *taken)
{
    const mfi_buf *answer = &taken->answer;
    mf_check_int(zmq_send(at->socket, taken->route, (size_t)taken->size, ZMQ_SNDMORE), taken->size);
    mf_check_int(zmq_send(at->socket, "", 0, ZMQ_SNDMORE), 0);
    mf_check_int(zmq_send(at->socket, answer->data, answer->size, 0), (int)answer->size);
    mfi_buf_fini(&taken->answer);
}

static void answer_start(rig *at, heartbeat *taken)
{
    send_answer(at, taken);
    (void)pthread_join(at->starter, NULL);
    mf_check_int(at->started, MF_OK);
}

/* The service began to stop when the connection was begun and not yet ready. A call would be lost.
 */
static void test_an_entry_that_went_during_the_start_holds_calls_back(void)
{
    rig at;
    heartbeat taken;
    rig_open(&at);
    mf_check_int(pthread_create(&at.starter, NULL, start, &at), 0);
    take_heartbeat(&at, &taken);
    mf_check_int(mf_registry_unregister(at.registry, "math", NULL), MF_OK);
    mf_check(mf_test_until(sees_no_entry, &at, MF_TEST_PATIENCE_MS));
    mf_check_int(at.phase, MFI_LIFE_STARTING);
    answer_start(&at, &taken);
    mfi_loop_call(at.runtime->loop, look, &at);
    mf_check(at.phase == MFI_LIFE_UNLISTED || at.stayed); /* for a moment */
    mf_check_int(mf_registry_register(at.registry, "math", at.port, NULL), MF_OK);
    mf_check(mf_test_until(runs, &at, MF_TEST_PATIENCE_MS));
    rig_close(&at);
}

/* A watch is of one folder, which may be replaced. */
static void test_a_folder_that_is_replaced_is_watched_again(void)
{
    rig at;
    char aside[600];
    heartbeat taken;
    rig_open(&at);
    mf_check_int(pthread_create(&at.starter, NULL, start, &at), 0);
    take_heartbeat(&at, &taken);
    answer_start(&at, &taken);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(aside, sizeof aside, "%s-aside-%d", at.folder, i);
        mf_check_int(rename(at.folder, aside), 0);
        mf_check(mf_test_until(sees_no_entry, &at, MF_TEST_PATIENCE_MS));
        mf_check_int(mf_registry_register(at.registry, "math", at.port, NULL), MF_OK);
        mf_check(mf_test_until(runs, &at, MF_TEST_PATIENCE_MS));
    }
    rig_close(&at);
}

static bool is_unlisted(void *data)
{
    rig *at = data;
    mfi_loop_call(at->runtime->loop, look, at);
    return at->phase == MFI_LIFE_UNLISTED;
}

static bool has_stayed(void *data)
{
    rig *at = data;
    mfi_loop_call(at->runtime->loop, look, at);
    return at->phase == MFI_LIFE_RUNNING && at->stayed;
}

/* The entry of a service went, which is asked past the calls that are held back: they are held for
 * as long as it says that it ends, and are sent when it does not. */
static void test_a_service_that_leaves_is_asked(void)
{
    rig at;
    heartbeat taken;
    mf_future *held = NULL;
    uint8_t bytes[1024];
    rig_open(&at);
    mf_check_int(pthread_create(&at.starter, NULL, start, &at), 0);
    take_heartbeat(&at, &taken);
    answer_start(&at, &taken);
    mf_check_int(mf_registry_unregister(at.registry, "math", NULL), MF_OK);
    mf_check(mf_test_until(is_unlisted, &at, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_call_future(at.parent, "add", MF_ARGS(1, 2), NULL, &held, NULL), MF_OK);
    for (int i = 0; i < 2; i++) {
        take_heartbeat_as(&at, &taken, i == 0);
        mf_check(is_unlisted(&at));
        send_answer(&at, &taken);
    }
    mf_check(mf_test_until(has_stayed, &at, MF_TEST_PATIENCE_MS));
    mf_check(zmq_recv(at.socket, bytes, sizeof bytes, 0) > 0); /* the route of the call */
    mf_check_int(zmq_recv(at.socket, bytes, sizeof bytes, 0), 0);
    mf_check(zmq_recv(at.socket, bytes, sizeof bytes, 0) > 0);
    mf_check(memmem(bytes, sizeof bytes, "add", 3) != NULL);
    mf_future_destroy(held);
    rig_close(&at);
}

static void hold_calls_briefly(void *argument)
{
    rig *at = argument;
    at->parent->state.settings.discovery_timeout_ms = 1; /* the engine thread reads it */
}

static void test_a_service_that_leaves_is_not_waited_for_without_end(void)
{
    rig at;
    heartbeat taken;
    rig_open(&at);
    mf_check_int(pthread_create(&at.starter, NULL, start, &at), 0);
    take_heartbeat_as(&at, &taken, true);
    answer_start(&at, &taken);
    mfi_loop_call(at.runtime->loop, hold_calls_briefly, &at);
    mf_check_int(mf_registry_unregister(at.registry, "math", NULL), MF_OK);
    mf_check(mf_test_until(has_stayed, &at, MF_TEST_PATIENCE_MS));
    rig_close(&at);
}

static const mf_test tests[] = {
    {"found__a_service_that_leaves_is_asked", test_a_service_that_leaves_is_asked},
    {"found__a_service_that_leaves_is_not_waited_for_without_end",
     test_a_service_that_leaves_is_not_waited_for_without_end},
    {"found__an_entry_that_went_during_the_start_holds_calls_back",
     test_an_entry_that_went_during_the_start_holds_calls_back},
    {"found__a_folder_that_is_replaced_is_watched_again",
     test_a_folder_that_is_replaced_is_watched_again},
};

MF_TEST_MAIN(tests)
