/* A worker receives from several peers and sends to each its own answers. */
#include "child_peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

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

/* A heartbeat with arguments of that many bytes; returns the bytes of the answer. */
static size_t beat_with(test_peer *peer, size_t size)
{
    uint8_t bytes[8192];
    mfi_buf buf;
    zmq_pollitem_t item = {.socket = peer->socket, .events = ZMQ_POLLIN};
    mfi_buf_init(&buf, 0);
    mfi_buf_append_str(&buf, "\x83\xa2id\xa1"
                             "b\xa4type\xa9heartbeat\xa4"
                             "args");
    uint8_t head[3] = {0xc5, (uint8_t)(size >> 8), (uint8_t)size};
    mfi_buf_append(&buf, head, sizeof head);
    memset(bytes, 0, sizeof bytes);
    mfi_buf_append(&buf, bytes, size);
    peer_send(peer, buf.data, buf.size);
    mfi_buf_fini(&buf);
    mf_check(zmq_poll(&item, 1, MF_TEST_PATIENCE_MS) > 0);
    (void)zmq_recv(peer->socket, bytes, sizeof bytes, 0);
    int got = zmq_recv(peer->socket, bytes, sizeof bytes, 0);
    return got > 0 ? (size_t)got : 0;
}

/* Peers of JavaScript find their time in it; nobody gets back more than that takes. */
static void test_a_heartbeat_is_repeated_while_it_is_small(void)
{
    test_worker worker;
    test_peer peer;
    worker_start_plain(&worker, 1);
    peer_open(&peer, mf_child_port(worker.child));
    size_t least = beat_with(&peer, 0);
    size_t repeated = beat_with(&peer, 1000);
    mf_check(repeated >= least + 1000 && repeated < least + 1020);
    mf_check(beat_with(&peer, 1100) < least + 20);
    mf_check(beat_with(&peer, 8000) < least + 20);
    peer_close(&peer);
    worker_end(&worker);
}

/* The thread sanitizer takes some ten milliseconds to suppress what it sees of each message. */
#ifdef __SANITIZE_THREAD__
enum { BLOBS = 200 };
#elif defined(__SANITIZE_ADDRESS__) /* makes a call take five times as long */
enum { BLOBS = 8000 };
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
    options.max_queued_bytes = (int64_t)BLOBS * 8192; /* with the memory around each */
    options.max_message_bytes = 1024 * 1024;
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
    {"io__answers_go_to_who_asked", test_answers_go_to_who_asked},
    {"io__a_heartbeat_is_repeated_while_it_is_small",
     test_a_heartbeat_is_repeated_while_it_is_small},
    {"io__peer_that_reads_nothing_holds_up_nobody", test_peer_that_reads_nothing_holds_up_nobody},
};

MF_TEST_MAIN(tests)
