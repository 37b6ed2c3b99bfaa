/* The server in bare libzmq: a ROUTER that answers "opaque" with as many bytes as an answer has,
 * "msgpack" with a real answer, or "echo" with the bytes received. Prints its endpoint. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench/harness.h"
#include "bench/peers/message.h"
#include "bench/peers/sizes.h"

typedef enum mode { OPAQUE, MSGPACK, ECHO } mode;

typedef struct server {
    void *router;
    mode mode;
    msgpack_sbuffer out;
    msgpack_zone zone;
} server;

static void answer(server *self, zmq_msg_t *identity, zmq_msg_t *payload)
{
    static const char opaque[BENCH_REPLY_SIZE];
    const char *data = opaque;
    size_t size = sizeof opaque;
    if (self->mode == MSGPACK) {
        if (!bench_answer_call(&self->out, zmq_msg_data(payload), zmq_msg_size(payload),
                               &self->zone)) {
            return;
        }
        data = self->out.data;
        size = self->out.size;
    }
    (void)zmq_msg_send(identity, self->router, ZMQ_SNDMORE);
    (void)zmq_send(self->router, "", 0, ZMQ_SNDMORE);
    if (self->mode == ECHO) {
        (void)zmq_msg_send(payload, self->router, 0);
    } else {
        (void)zmq_send(self->router, data, size, 0);
    }
}

static void serve(server *self)
{
    zmq_msg_t identity;
    zmq_msg_t delimiter;
    zmq_msg_t payload;
    (void)zmq_msg_init(&identity);
    (void)zmq_msg_init(&delimiter);
    (void)zmq_msg_init(&payload);
    for (;;) {
        if (zmq_msg_recv(&identity, self->router, 0) < 0) {
            continue;
        }
        (void)zmq_msg_recv(&delimiter, self->router, 0);
        (void)zmq_msg_recv(&payload, self->router, 0);
        answer(self, &identity, &payload);
    }
}

int main(int argc, char **argv)
{
    char endpoint[256];
    size_t size = sizeof endpoint;
    const char *word = argc > 1 ? argv[1] : "opaque";
    server self = {.mode = strcmp(word, "msgpack") == 0 ? MSGPACK
                           : strcmp(word, "echo") == 0  ? ECHO
                                                        : OPAQUE};
    msgpack_sbuffer_init(&self.out);
    (void)msgpack_zone_init(&self.zone, MSGPACK_ZONE_CHUNK_SIZE);
    self.router = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    int unbounded = 0;
    (void)zmq_setsockopt(self.router, ZMQ_SNDHWM, &unbounded, sizeof unbounded);
    if (zmq_bind(self.router, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(self.router, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
        bench_die("cannot bind: %s", zmq_strerror(zmq_errno()));
    }
    (void)printf("%s\n", endpoint);
    (void)fflush(stdout);
    serve(&self);
}
