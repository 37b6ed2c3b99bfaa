/* The client in bare libzmq: a DEALER that sends opaque bodies or messages of msgpack-c. The
 * difference to this library is the cost of the framework. */
#include "bench/peers/zmq.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench/peers/message.h"
#include "bench/peers/sizes.h"

typedef struct client {
    bench_process server;
    char endpoint[256];
    void *context, *dealer;
    bool is_msgpack;
    uint64_t next_id;
    msgpack_sbuffer out;
    msgpack_zone zone;
    const void *body; /* sent unless the client uses msgpack */
    size_t size;
} client;

static const char opaque_call[BENCH_REQUEST_SIZE];

static void connect_client(client *self)
{
    int unbounded = 0;
    int immediate = 0;
    self->dealer = zmq_socket(self->context, ZMQ_DEALER);
    (void)zmq_setsockopt(self->dealer, ZMQ_SNDHWM, &unbounded, sizeof unbounded);
    (void)zmq_setsockopt(self->dealer, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    (void)zmq_setsockopt(self->dealer, ZMQ_LINGER, &immediate, sizeof immediate);
    if (zmq_connect(self->dealer, self->endpoint) != 0) {
        bench_die("cannot connect to %s: %s", self->endpoint, zmq_strerror(zmq_errno()));
    }
}

static client *start(const char *mode)
{
    char program[4096];
    client *self = calloc(1, sizeof *self);
    const char *arguments[] = {bench_sibling("bench_zmq_server", program, sizeof program), mode,
                               NULL};
    if (self == NULL ||
        !bench_process_start(&self->server, arguments, self->endpoint, sizeof self->endpoint)) {
        bench_die("cannot start %s", program);
    }
    self->context = zmq_ctx_new();
    self->is_msgpack = strcmp(mode, "msgpack") == 0;
    self->body = opaque_call;
    self->size = sizeof opaque_call;
    msgpack_sbuffer_init(&self->out);
    (void)msgpack_zone_init(&self->zone, MSGPACK_ZONE_CHUNK_SIZE);
    connect_client(self);
    return self;
}

static void stop(void *user_data)
{
    client *self = user_data;
    (void)zmq_close(self->dealer);
    (void)zmq_ctx_term(self->context);
    bench_process_end(&self->server);
    msgpack_sbuffer_destroy(&self->out);
    msgpack_zone_destroy(&self->zone);
    free(self);
}

static void send_call(client *self, char *id)
{
    const void *data = self->body;
    size_t size = self->size;
    if (self->is_msgpack) {
        bench_id(self->next_id++, id);
        bench_pack_call(&self->out, id, 1, 2);
        data = self->out.data;
        size = self->out.size;
    }
    if (zmq_send(self->dealer, "", 0, ZMQ_SNDMORE) != 0 ||
        zmq_send(self->dealer, data, size, 0) < 0) {
        bench_die("cannot send: %s", zmq_strerror(zmq_errno()));
    }
}

/* Receives an answer. id: the id that it must have, or NULL. */
static bool receive(client *self, int flags, const char *id)
{
    zmq_msg_t frame;
    int64_t result = 0;
    (void)zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, self->dealer, flags) < 0) {
        (void)zmq_msg_close(&frame);
        return false;
    }
    (void)zmq_msg_recv(&frame, self->dealer, flags);
    if (self->is_msgpack && (!bench_read_response(zmq_msg_data(&frame), zmq_msg_size(&frame),
                                                  &self->zone, id, &result) ||
                             result != 3)) {
        bench_die("not an answer to add(1, 2)");
    }
    (void)zmq_msg_close(&frame);
    return true;
}

static bench_latency sync_calls(void *user_data, unsigned calls)
{
    client *self = user_data;
    char id[BENCH_ID_BYTES + 1] = "";
    uint64_t *samples = calloc(calls, sizeof *samples);
    for (unsigned i = 0; samples != NULL && i < calls; i++) {
        uint64_t before = bench_now_ns();
        send_call(self, id);
        (void)receive(self, 0, id);
        samples[i] = bench_now_ns() - before;
    }
    bench_latency latency = samples != NULL ? bench_summarise(samples, calls) : (bench_latency){0};
    free(samples);
    return latency;
}

static double pipelined_calls(void *user_data, unsigned in_flight, unsigned calls)
{
    client *self = user_data;
    char id[BENCH_ID_BYTES + 1];
    unsigned sent = 0;
    unsigned done = 0;
    uint64_t before = bench_now_ns();
    while (done < calls) {
        for (; sent - done < in_flight && sent < calls; sent++) {
            send_call(self, id);
        }
        done += receive(self, 0, NULL) ? 1 : 0;
        while (done < sent && receive(self, ZMQ_DONTWAIT, NULL)) {
            done++;
        }
    }
    return calls / ((double)(bench_now_ns() - before) / 1e9);
}

static bench_peer peer(const char *name, const char *mode)
{
    return (bench_peer){.name = name,
                        .self = start(mode),
                        .sync = sync_calls,
                        .pipelined = pipelined_calls,
                        .stop = stop};
}

bench_peer bench_peer_zmq(void)
{
    return peer("libzmq", "opaque");
}

bench_peer bench_peer_zmq_msgpack(void)
{
    return peer("libzmq + msgpack-c", "msgpack");
}

/* ---- Several threads ---- */

typedef struct caller {
    client client;
    unsigned calls;
    pthread_t thread;
} caller;

static void *call_all(void *user_data)
{
    caller *self = user_data;
    char id[BENCH_ID_BYTES + 1];
    for (unsigned i = 0; i < self->calls; i++) {
        send_call(&self->client, id);
        (void)receive(&self->client, 0, NULL);
    }
    return NULL;
}

double bench_zmq_threads(unsigned threads, unsigned calls_of_each)
{
    client *server = start("opaque");
    caller *callers = calloc(threads, sizeof *callers);
    for (unsigned i = 0; callers != NULL && i < threads; i++) {
        callers[i].client = *server; /* the same server, but a socket of its own */
        callers[i].calls = calls_of_each;
        connect_client(&callers[i].client);
        char id[BENCH_ID_BYTES + 1];
        send_call(&callers[i].client, id); /* waits until the connection is established */
        (void)receive(&callers[i].client, 0, NULL);
    }
    uint64_t before = bench_now_ns();
    for (unsigned i = 0; callers != NULL && i < threads; i++) {
        (void)pthread_create(&callers[i].thread, NULL, call_all, &callers[i]);
    }
    for (unsigned i = 0; callers != NULL && i < threads; i++) {
        (void)pthread_join(callers[i].thread, NULL);
    }
    double seconds = (double)(bench_now_ns() - before) / 1e9;
    for (unsigned i = 0; callers != NULL && i < threads; i++) {
        (void)zmq_close(callers[i].client.dealer);
    }
    free(callers);
    stop(server);
    return (double)threads * calls_of_each / seconds;
}

/* ---- Large bodies ---- */

double bench_zmq_echo(size_t size, unsigned in_flight, unsigned calls)
{
    client *self = start("echo");
    void *body = calloc(1, size);
    self->body = body;
    self->size = size;
    (void)sync_calls(self, 1);
    double rate = pipelined_calls(self, in_flight, calls);
    free(body);
    stop(self);
    return rate;
}
