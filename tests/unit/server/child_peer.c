/* Runs a worker in this process and calls it from bare DEALERs, so that tests choose every byte
 * that a peer sends. */
#include "child_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "base/error.h"
#include "core/transport/transport.h"

#define PATIENCE_MS MF_TEST_PATIENCE_MS

/* ---- The worker ---- */

const char *registry_folder(void)
{
    static char path[512];
    static int count;
    (void)snprintf(path, sizeof path, "%s/registry-%d", mf_test_temp_dir(), count++);
    return path;
}

void worker_create(test_worker *worker, mf_child_options *options)
{
    mf_runtime_options runtime = MF_RUNTIME_OPTIONS_INIT;
    *worker = (test_worker){.status = MF_OK};
    mf_check_int(mf_runtime_create(&worker->runtime, &runtime, &worker->error), MF_OK);
    options->runtime = worker->runtime;
    options->no_signals = true;
    options->no_output_capture = true;
    options->service_id = options->service_id != NULL ? options->service_id : "worker";
    options->registry_directory =
        options->registry_directory != NULL ? options->registry_directory : registry_folder();
    mf_check_int(mf_child_create(&worker->child, options, &worker->error), MF_OK);
    mf_check_str(worker->error.message, "");
}

static void *run(void *argument)
{
    test_worker *worker = argument;
    worker->status = mf_child_run(worker->child, &worker->error);
    return NULL;
}

static bool is_bound(void *child)
{
    return mf_child_port(child) != 0;
}

void worker_start(test_worker *worker)
{
    worker->running = pthread_create(&worker->thread, NULL, run, worker) == 0;
    mf_check(worker->running);
    mf_check(mf_test_until(is_bound, worker->child, PATIENCE_MS));
}

void worker_join(test_worker *worker)
{
    if (worker->running) {
        (void)pthread_join(worker->thread, NULL);
        worker->running = false;
    }
}

void worker_end(test_worker *worker)
{
    mf_child_stop(worker->child);
    worker_join(worker);
    mf_check_int(worker->status, MF_OK);
    mf_check_str(worker->error.message, "");
    mf_child_destroy(worker->child);
    mf_runtime_destroy(worker->runtime);
}

/* ---- Peers ---- */

/* most: messages that wait to be read; 0 for any number. */
static void open_peer(test_peer *peer, uint16_t port, int most)
{
    char endpoint[64];
    int none = 0;
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", (unsigned)port);
    peer->context = zmq_ctx_new();
    peer->socket = zmq_socket(peer->context, ZMQ_DEALER);
    (void)zmq_setsockopt(peer->socket, ZMQ_LINGER, &none, sizeof none);
    (void)zmq_setsockopt(peer->socket, ZMQ_SNDHWM, &none, sizeof none);
    (void)zmq_setsockopt(peer->socket, ZMQ_RCVHWM, &most, sizeof most);
    mf_check_int(zmq_connect(peer->socket, endpoint), 0);
}

void peer_open(test_peer *peer, uint16_t port)
{
    open_peer(peer, port, 0);
}

void peer_open_narrow(test_peer *peer, uint16_t port)
{
    open_peer(peer, port, 1);
}

void peer_close(test_peer *peer)
{
    (void)zmq_close(peer->socket);
    (void)zmq_ctx_term(peer->context);
}

void peer_send(test_peer *peer, const void *bytes, size_t size)
{
    mf_check_int(zmq_send(peer->socket, "", 0, ZMQ_SNDMORE), 0);
    mf_check_int(zmq_send(peer->socket, bytes, size, 0), (int)size);
}

static void send_buf(test_peer *peer, mfi_buf *buf)
{
    peer_send(peer, buf->data, buf->size);
    mfi_buf_fini(buf);
}

void peer_call(test_peer *peer, const char *id, const char *function, mf_args args,
               mf_value metadata)
{
    mfi_buf buf;
    mfi_call_fields call = {.id = id,
                            .function = {function, strlen(function)},
                            .client_name = {"test", 4},
                            .args = args,
                            .metadata = metadata.type != MF_TYPE_NIL ? &metadata : NULL,
                            .timestamp = 1};
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_call(&buf, &call, NULL), MF_OK);
    send_buf(peer, &buf);
}

void peer_shutdown(test_peer *peer)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_shutdown(&buf, "bye", 1, NULL), MF_OK);
    send_buf(peer, &buf);
}

void peer_heartbeat(test_peer *peer, const char *id)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_heartbeat(&buf, id, 1, NULL), MF_OK);
    send_buf(peer, &buf);
}

static void copy_text(char *to, size_t size, mfi_text text)
{
    (void)snprintf(to, size, "%.*s", (int)text.size, text.data != NULL ? text.data : "");
}

static mf_document *copy_value(mfi_slice bytes)
{
    mf_document *document = NULL;
    if (bytes.data != NULL) {
        mf_check_int(mf_document_decode(bytes.data, bytes.size, &document, NULL), MF_OK);
    }
    return document;
}

static bool wait_for_message(const test_peer *peer, int64_t ms)
{
    zmq_pollitem_t item = {.socket = peer->socket, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, (long)ms) > 0;
}

void peer_receive(test_peer *peer, test_answer *ret_answer)
{
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    mf_error error;
    zmq_msg_t frame;
    *ret_answer = (test_answer){0};
    if (!wait_for_message(peer, PATIENCE_MS)) {
        mf_check(!"a message came");
        return;
    }
    (void)zmq_msg_init(&frame);
    mf_check_int(zmq_msg_recv(&frame, peer->socket, 0), 0);
    (void)zmq_msg_recv(&frame, peer->socket, 0);
    mf_check_int(mfi_envelope_decode(zmq_msg_data(&frame), zmq_msg_size(&frame), NULL, &envelope,
                                     &reject, &error),
                 MF_OK);
    ret_answer->type = envelope.type;
    copy_text(ret_answer->id, sizeof ret_answer->id, envelope.id);
    copy_text(ret_answer->error, sizeof ret_answer->error, envelope.error);
    ret_answer->result = copy_value(envelope.result);
    ret_answer->metadata = copy_value(envelope.metadata);
    (void)zmq_msg_close(&frame);
}

void answer_free(test_answer *answer)
{
    mf_document_destroy(answer->result);
    mf_document_destroy(answer->metadata);
}

void peer_expect_int(test_peer *peer, const char *id, int64_t result)
{
    test_answer answer;
    int64_t got = -1;
    peer_receive(peer, &answer);
    mf_check_str(answer.error, "");
    mf_check_str(answer.id, id);
    mf_check(answer.result != NULL &&
             mf_value_get_int64(mf_document_root(answer.result), &got) == MF_OK);
    mf_check_int(got, result);
    answer_free(&answer);
}

void peer_expect_error(test_peer *peer, const char *id, const char *text)
{
    test_answer answer;
    peer_receive(peer, &answer);
    mf_check_int(answer.type, MFI_MESSAGE_ERROR);
    mf_check_str(answer.id, id);
    mf_check_str(answer.error, text);
    answer_free(&answer);
}

void *peer_watch_end(const test_peer *peer)
{
    void *watch = zmq_socket(peer->context, ZMQ_PAIR);
    mf_check_int(zmq_socket_monitor(peer->socket, "inproc://end", ZMQ_EVENT_DISCONNECTED), 0);
    mf_check_int(zmq_connect(watch, "inproc://end"), 0);
    return watch;
}

bool peer_ends_without_a_message(const test_peer *peer, void *watch)
{
    zmq_pollitem_t end = {.socket = watch, .events = ZMQ_POLLIN};
    bool has_ended = zmq_poll(&end, 1, PATIENCE_MS) == 1;
    (void)zmq_close(watch);
    return has_ended && !wait_for_message(peer, 0);
}

/* ---- Handlers ---- */

static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int inside; /* handlers that wait */
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

void gate_reset(void)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.open = false;
    gate.inside = 0;
    (void)pthread_mutex_unlock(&gate.mutex);
}

void gate_open(void)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
}

void gate_wait_inside(int wanted)
{
    (void)pthread_mutex_lock(&gate.mutex);
    while (gate.inside < wanted) {
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    }
    (void)pthread_mutex_unlock(&gate.mutex);
}

mf_status worker_gate(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t number = 0;
    (void)user_data;
    if (mf_request_unpack(request, &number) != MF_OK) {
        return MF_ERR_TYPE;
    }
    (void)pthread_mutex_lock(&gate.mutex);
    gate.inside++;
    (void)pthread_cond_broadcast(&gate.cond);
    while (!gate.open) {
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    }
    (void)pthread_mutex_unlock(&gate.mutex);
    /* The arguments are still this call's, whatever other threads read meanwhile. */
    mf_args args = mf_request_args(request);
    return mf_reply_set(reply, args.items[0]);
}

mf_status worker_twice(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t number = 0;
    (void)user_data;
    if (mf_request_unpack(request, &number) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, number * 2);
}

void worker_start_plain(test_worker *worker, int32_t threads)
{
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.threads = threads;
    gate_reset();
    worker_create(worker, &options);
    mf_check_int(mf_child_handle(worker->child, "gate", worker_gate, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker->child, "twice", worker_twice, NULL), MF_OK);
    worker_start(worker);
}
