/* A worker that is a service, and its peers, in this process. */
#include "child_peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/child.h>
#include <multifrost/registry.h>

/* ---- Service mode ---- */

static mf_status find_service(const char *folder, const char *id, mf_service *ret_service)
{
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = folder;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    mf_status status = mf_registry_find(registry, id, ret_service, NULL);
    mf_registry_destroy(registry);
    return status;
}

typedef struct look {
    const char *folder;
    mf_service service;
} look;

static bool is_registered(void *data)
{
    look *at = data;
    return find_service(at->folder, "worker", &at->service) == MF_OK;
}

static void test_service_registers_what_is_bound_and_unregisters(void)
{
    test_worker worker;
    test_peer peer;
    char folder[512];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    options.registry_directory = folder;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    mf_check_int(mf_child_port(worker.child), 0);
    worker_start(&worker);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, MF_TEST_PATIENCE_MS));
    mf_check_int(at.service.port, mf_child_port(worker.child));
    peer_open(&peer, at.service.port);
    peer_call(&peer, "a", "twice", MF_ARGS(21), mf_nil());
    peer_expect_int(&peer, "a", 42);
    peer_shutdown(&peer);
    worker_join(&worker);
    mf_check_int(find_service(folder, "worker", &at.service), MF_ERR_NOT_FOUND);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_service_refuses_a_name_that_is_taken(void)
{
    test_worker first;
    test_worker second;
    char folder[512];
    char text[128];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    options.registry_directory = folder;
    worker_create(&first, &options);
    worker_start(&first);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, MF_TEST_PATIENCE_MS));
    worker_create(&second, &options);
    mf_check_int(mf_child_run(second.child, &second.error), MF_ERR_EXISTS);
    (void)snprintf(text, sizeof text,
                   "FATAL: Service 'worker' already running (PID: %lld, port: %u)",
                   (long long)getpid(), (unsigned)mf_child_port(first.child));
    mf_check_str(second.error.message, text);
    mf_child_destroy(second.child);
    mf_runtime_destroy(second.runtime);
    mf_check(is_registered(&at)); /* the loser took nothing out */
    worker_end(&first);
}

static void test_options_are_named_when_they_are_wrong(void)
{
    static const struct {
        const char *name;
        mf_child_options options;
    } wrong[] = {
        {"threads", {.threads = 257}},
        {"threads", {.threads = -1}},
        {"max_queued", {.max_queued = -1}},
        {"max_message_bytes", {.max_message_bytes = 1023}}, /* an error has to fit */
        {"max_queued_bytes", {.max_queued_bytes = 2047, .max_message_bytes = 2048}},
        {"max_string_bytes", {.max_string_bytes = -5}},
        {"max_string_bytes", {.max_string_bytes = 255}},
        {"max_items", {.max_items = INT64_MAX}},
        {"max_items", {.max_items = 15}}, /* less than a message itself has */
        {"deferred_timeout_ms", {.deferred_timeout_ms = -1}},
        {"lock_timeout_ms", {.lock_timeout_ms = -1}},
        {"bind_address", {.bind_address = "localhost"}},
        {"service_id", {.service_id = "a\nb"}},
        {"service_id",
         {.service_id = "a\xc2\x9b"
                        "b"}}, /* C1 */
        {"namespace_name", {.namespace_name = "\xff"}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mf_child *child = NULL;
        mf_error error = MF_ERROR_INIT;
        mf_child_options options = wrong[i].options;
        options.struct_size = sizeof options;
        options.service_id = options.service_id != NULL ? options.service_id : "x";
        mf_check_int(mf_child_create(&child, &options, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, wrong[i].name);
        mf_check(child == NULL);
    }
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_create(&child, NULL, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "service_id");
}

static void test_answers_go_to_who_asked(void)
{
    test_worker worker;
    test_peer peers[5];
    char id[16];
    worker_start_plain(&worker, 1);
    for (int i = 0; i < 5; i++) {
        peer_open(&peers[i], mf_child_port(worker.child));
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_call(&peers[i % 5], id, "twice", MF_ARGS(i), mf_nil());
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        peer_expect_int(&peers[i % 5], id, 2 * (int64_t)i);
    }
    peer_close(&peers[0]); /* one that goes away harms nobody */
    peer_call(&peers[1], "x", "twice", MF_ARGS(4), mf_nil());
    peer_expect_int(&peers[1], "x", 8);
    for (int i = 1; i < 5; i++) {
        peer_close(&peers[i]);
    }
    worker_end(&worker);
}

typedef struct rows {
    char status[64]; /* of worker:registered, "absent" before it was seen */
} rows;

static void look_at_row(const mf_health_row *row, void *user_data)
{
    rows *at = user_data;
    if (strcmp(row->component, "worker") == 0 && strcmp(row->measurement, "registered") == 0) {
        (void)snprintf(at->status, sizeof at->status, "%d", (int)row->status);
    }
}

static bool health_passes(void *data)
{
    const mf_probe *probe = mf_runtime_probe(((test_worker *)data)->runtime);
    rows at = {"absent"};
    probe->visit_health(probe->self, look_at_row, &at);
    return strtol(at.status, NULL, 10) == MF_HEALTH_PASS && strcmp(at.status, "absent") != 0;
}

static void test_health_says_whether_it_is_registered(void)
{
    test_worker worker;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check(!health_passes(&worker));
    worker_start(&worker);
    mf_check(mf_test_until(health_passes, &worker, MF_TEST_PATIENCE_MS));
    mf_child_stop(worker.child);
    worker_join(&worker);
    mf_check(!health_passes(&worker));
    worker_end(&worker);
}

/* The thread sanitizer takes some ten milliseconds to suppress what it sees of each message. */
#ifdef __SANITIZE_THREAD__
enum { BLOBS = 200 };
#else
enum { BLOBS = 20000 };
#endif

static _Atomic(int64_t) blobs_made;

static mf_status blob(mf_request *request, mf_reply *reply, void *user_data)
{
    static char bytes[1900];
    (void)request;
    (void)user_data;
    atomic_fetch_add(&blobs_made, 1);
    return mf_reply_set(reply, mf_bin(bytes, sizeof bytes));
}

static mf_status count_blobs(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, atomic_load(&blobs_made));
}

/* More answers than its queue and the kernel's take: what is beyond waits in the worker. */
static void test_peer_that_reads_nothing_holds_up_nobody(void)
{
    test_worker worker;
    test_peer sleeper;
    test_peer other;
    test_answer answer;
    int64_t made = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_queued = BLOBS + 1; /* every blob may wait at once, and the count behind them */
    atomic_store(&blobs_made, 0);
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "blob", blob, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "count_blobs", count_blobs, NULL), MF_OK);
    worker_start(&worker);
    peer_open_narrow(&sleeper, mf_child_port(worker.child));
    peer_open(&other, mf_child_port(worker.child));
    for (int i = 0; i < BLOBS; i++) {
        peer_call(&sleeper, "b", "blob", MF_NO_ARGS, mf_nil());
    }
    while (made >= 0 && made < BLOBS) {
        peer_call(&other, "n", "count_blobs", MF_NO_ARGS, mf_nil());
        peer_receive(&other, &answer);
        if (answer.result == NULL ||
            mf_value_get_int64(mf_document_root(answer.result), &made) != MF_OK) {
            made = -1;
        }
        answer_free(&answer);
    }
    mf_check_int(made, BLOBS);
    for (int i = 0; i < BLOBS; i++) { /* nothing was lost */
        peer_receive(&sleeper, &answer);
        mf_check(answer.result != NULL);
        answer_free(&answer);
    }
    peer_close(&sleeper);
    peer_close(&other);
    worker_end(&worker);
}

static const mf_test tests[] = {
    {"service__registers_what_is_bound_and_unregisters",
     test_service_registers_what_is_bound_and_unregisters},
    {"service__refuses_a_name_that_is_taken", test_service_refuses_a_name_that_is_taken},
    {"options__are_named_when_they_are_wrong", test_options_are_named_when_they_are_wrong},
    {"service__answers_go_to_who_asked", test_answers_go_to_who_asked},
    {"service__health_says_whether_it_is_registered", test_health_says_whether_it_is_registered},
    {"peers__one_that_reads_nothing_holds_up_nobody", test_peer_that_reads_nothing_holds_up_nobody},
};

MF_TEST_MAIN(tests)
