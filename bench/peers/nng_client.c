/* The client in nng: request/reply over TCP with opaque bodies of the sizes that add(1, 2) has in
 * this library; nothing is encoded or decoded. Messages are handed over, not copied (nng_sendmsg).
 * Each open call has a context of its own, as nng requires. */
#include "bench/peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "bench/peers/sizes.h"

typedef struct client {
    bench_process server;
    nng_socket socket;
} client;

/* The state that all calls of one pipelined round share. */
typedef struct flow {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    atomic_uint to_start;
    unsigned open; /* guarded by mutex */
    int failed;    /* guarded by mutex; nng's error, or NNG_EPROTO */
} flow;

typedef struct open_call {
    flow *all;
    nng_ctx context;
    nng_aio *aio;
    bool sent;
} open_call;

static void must(int error, const char *what)
{
    if (error != 0) {
        bench_die("nng: %s: %s", what, nng_strerror(error));
    }
}

static nng_msg *make_request(void)
{
    nng_msg *message = NULL;
    must(nng_msg_alloc(&message, BENCH_REQUEST_SIZE), "nng_msg_alloc");
    memset(nng_msg_body(message), 'q', BENCH_REQUEST_SIZE);
    return message;
}

static bench_latency sync_calls(void *self, unsigned calls)
{
    client *peer = self;
    uint64_t *samples = calloc(calls, sizeof *samples);
    if (samples == NULL) {
        bench_die("nng: no memory");
    }
    for (unsigned i = 0; i < calls; i++) {
        uint64_t start = bench_now_ns();
        nng_msg *message = make_request();
        must(nng_sendmsg(peer->socket, message, 0), "nng_sendmsg");
        must(nng_recvmsg(peer->socket, &message, 0), "nng_recvmsg");
        bool right = nng_msg_len(message) == BENCH_REPLY_SIZE;
        nng_msg_free(message);
        samples[i] = bench_now_ns() - start;
        must(right ? 0 : NNG_EPROTO, "reply");
    }
    bench_latency latency = bench_summarise(samples, calls);
    free(samples);
    return latency;
}

/* ---- Many calls at once ---- */

static void end_call(open_call *call, int failed)
{
    flow *all = call->all;
    pthread_mutex_lock(&all->mutex);
    all->open--;
    all->failed = failed != 0 ? failed : all->failed;
    pthread_cond_signal(&all->over);
    pthread_mutex_unlock(&all->mutex);
}

static bool takes_one(flow *all)
{
    unsigned left = atomic_load_explicit(&all->to_start, memory_order_relaxed);
    while (left > 0 &&
           !atomic_compare_exchange_weak_explicit(&all->to_start, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    return left > 0;
}

static void send_next(open_call *call)
{
    if (!takes_one(call->all)) {
        end_call(call, 0);
        return;
    }
    call->sent = false;
    nng_aio_set_msg(call->aio, make_request());
    nng_ctx_send(call->context, call->aio);
}

/* Runs on a thread of nng: the request was sent, or the reply has arrived. */
static void go_on(void *user_data)
{
    open_call *call = user_data;
    int error = nng_aio_result(call->aio);
    if (error != 0) {
        end_call(call, error);
    } else if (!call->sent) {
        call->sent = true;
        nng_ctx_recv(call->context, call->aio);
    } else {
        nng_msg *reply = nng_aio_get_msg(call->aio);
        bool right = nng_msg_len(reply) == BENCH_REPLY_SIZE;
        nng_msg_free(reply);
        if (right) {
            send_next(call);
        } else {
            end_call(call, NNG_EPROTO);
        }
    }
}

static double pipelined(void *self, unsigned in_flight, unsigned calls)
{
    client *peer = self;
    unsigned count = in_flight < calls ? in_flight : calls;
    flow all = {
        .mutex = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER, .open = count};
    open_call *open = calloc(count, sizeof *open);
    if (open == NULL) {
        bench_die("nng: no memory");
    }
    atomic_init(&all.to_start, calls);
    for (unsigned i = 0; i < count; i++) {
        open[i].all = &all;
        must(nng_ctx_open(&open[i].context, peer->socket), "nng_ctx_open");
        must(nng_aio_alloc(&open[i].aio, go_on, &open[i]), "nng_aio_alloc");
    }
    uint64_t start = bench_now_ns();
    for (unsigned i = 0; i < count; i++) {
        send_next(&open[i]);
    }
    pthread_mutex_lock(&all.mutex);
    while (all.open > 0) {
        pthread_cond_wait(&all.over, &all.mutex);
    }
    pthread_mutex_unlock(&all.mutex);
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    must(all.failed, "pipelined");
    for (unsigned i = 0; i < count; i++) {
        nng_aio_free(open[i].aio); /* waits for the end of the callback */
        nng_ctx_close(open[i].context);
    }
    free(open);
    return calls / seconds;
}

static void stop(void *self)
{
    client *peer = self;
    nng_close(peer->socket);
    bench_process_end(&peer->server);
    free(peer);
}

bench_peer bench_peer_nng(void)
{
    client *peer = calloc(1, sizeof *peer);
    char path[4096];
    char url[64];
    const char *words[] = {path, NULL};
    bench_sibling("bench_nng_server", path, sizeof path);
    if (peer == NULL || !bench_process_start(&peer->server, words, url, sizeof url)) {
        bench_die("nng: %s does not start", path);
    }
    must(nng_req0_open(&peer->socket), "nng_req0_open");
    must(nng_dial(peer->socket, url, NULL, 0), url);
    return (bench_peer){"nng", peer, sync_calls, pipelined, stop};
}
