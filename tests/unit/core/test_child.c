/* The worker's side, in this process: service mode, peers, deadlines, metadata. */
#include "child_peer.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/child.h>
#include <multifrost/metrics.h>
#include <multifrost/registry.h>

#include "base/clock.h"
#include "core/engine/deadline.h"

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
    mf_check(mf_test_until(is_registered, &at, 5000));
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
    mf_check(mf_test_until(is_registered, &at, 5000));
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
        {"max_string_bytes", {.max_string_bytes = -5}},
        {"max_items", {.max_items = INT64_MAX}},
        {"deferred_timeout_ms", {.deferred_timeout_ms = -1}},
        {"lock_timeout_ms", {.lock_timeout_ms = -1}},
        {"bind_address", {.bind_address = "localhost"}},
        {"service_id", {.service_id = "a\nb"}},
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
    mf_check(mf_test_until(health_passes, &worker, 5000));
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
    options.max_queued = BLOBS;
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

/* ---- Deadlines ---- */

static mf_status tell_deadline(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    uint64_t left_ns = mfi_remaining_ns(mfi_deadline_current(), mfi_monotonic_ns());
    int64_t left = mf_request_deadline_ms(request);
    if (left == MF_TIMEOUT_INFINITE) {
        return mf_reply_value(reply, mfi_deadline_current() == MFI_NEVER ? -1 : -2);
    }
    /* What calls made here are bounded by is the same. */
    int64_t apart = left - (int64_t)(left_ns / MFI_NS_PER_MS);
    return mf_reply_value(reply, apart >= 0 && apart <= 1000 ? left : -3);
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
    peer_call(&peer, "some", "deadline", MF_NO_ARGS, MF_MAP("deadline_ms_left", 60000));
    peer_receive(&peer, &answer);
    mf_check(answer.result != NULL &&
             mf_value_get_int64(mf_document_root(answer.result), &left) == MF_OK);
    mf_check(left > 30000 && left <= 60000);
    answer_free(&answer);
    peer_call(&peer, "late", "deadline", MF_NO_ARGS, MF_MAP("deadline_ms_left", 0));
    peer_expect_error(&peer, "late", "TimeoutError: the caller no longer waits");
    mf_check(mfi_deadline_current() == MFI_NEVER);
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

static void test_expired_calls_are_counted(void)
{
    test_worker worker;
    test_peer peer;
    worker_start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    peer_call(&peer, "late", "twice", MF_ARGS(1), MF_MAP("deadline_ms_left", -5));
    peer_expect_error(&peer, "late", "TimeoutError: the caller no longer waits");
    /* One whose deadline passes while it runs. */
    peer_call(&peer, "slow", "gate", MF_ARGS(7), MF_MAP("deadline_ms_left", 300));
    gate_wait_inside(1);
    mf_check(peer_hears_nothing(&peer, 350));
    gate_open();
    peer_expect_int(&peer, "slow", 7);
    peer_close(&peer);
    mf_child_stop(worker.child);
    worker_join(&worker);
    char *text = metrics_text(worker.runtime);
    mf_check_contains(text,
                      "server_expired_calls_total{worker=\"worker\",stage=\"before_start\"} 1");
    mf_check_contains(text, "server_expired_calls_total{worker=\"worker\",stage=\"at_reply\"} 1");
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
        mf_check_int(map->length, 16 + 3);
        answer_free(&answer);
    }
    peer_call(&peer, "m", "tell_too_much", MF_NO_ARGS, mf_nil());
    peer_receive(&peer, &answer);
    mf_check_int(mf_document_root(answer.metadata)->length, 1 + 3);
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
    mf_check(p99 > 0 && p99 < 10);
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
    mf_check_contains(answer.error, "not found");
    answer_free(&answer);
    peer_close(&peer);
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
    {"deadline__is_seen_and_expired_calls_are_refused",
     test_deadline_is_seen_and_expired_calls_are_refused},
    {"deadline__expired_calls_are_counted", test_expired_calls_are_counted},
    {"metadata__goes_with_results_and_errors", test_metadata_goes_with_results_and_errors},
    {"builtins__tell_about_the_worker", test_builtins_tell_about_the_worker},
    {"names__that_are_prefixes_or_hold_a_nul", test_names_that_are_prefixes_or_hold_a_nul},
};

MF_TEST_MAIN(tests)
