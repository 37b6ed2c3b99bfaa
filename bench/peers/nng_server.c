/* The server in nng: answers each request of nng_client.c with an opaque body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "bench/peers/sizes.h"

#define CONTEXTS 64 /* any number from 1 to 1024 is as fast here */

typedef struct responder {
    nng_ctx context;
    nng_aio *aio;
    bool answers;
} responder;

static void must(int error, const char *what)
{
    if (error != 0) {
        (void)fprintf(stderr, "nng: %s: %s\n", what, nng_strerror(error));
        exit(EXIT_FAILURE);
    }
}

/* Makes the reply of the request's message, so that nothing is allocated. */
static void make_reply(nng_msg *message)
{
    if (nng_msg_len(message) != BENCH_REQUEST_SIZE) {
        must(NNG_EPROTO, "request");
    }
    must(nng_msg_chop(message, BENCH_REQUEST_SIZE - BENCH_REPLY_SIZE), "nng_msg_chop");
    memset(nng_msg_body(message), 'p', BENCH_REPLY_SIZE);
}

static void go_on(void *user_data)
{
    responder *one = user_data;
    int error = nng_aio_result(one->aio);
    if (error == 0 && !one->answers) {
        nng_msg *message = nng_aio_get_msg(one->aio);
        make_reply(message);
        one->answers = true;
        nng_ctx_send(one->context, one->aio);
        return;
    }
    if (error != 0 && one->answers) {
        nng_msg_free(nng_aio_get_msg(one->aio)); /* the client has disconnected */
    }
    one->answers = false;
    nng_ctx_recv(one->context, one->aio);
}

int main(void)
{
    static responder all[CONTEXTS];
    nng_socket socket;
    nng_listener listener;
    int port = 0;
    must(nng_rep0_open(&socket), "nng_rep0_open");
    must(nng_listen(socket, "tcp://127.0.0.1:0", &listener, 0), "nng_listen");
    must(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "port");
    for (int i = 0; i < CONTEXTS; i++) {
        must(nng_ctx_open(&all[i].context, socket), "nng_ctx_open");
        must(nng_aio_alloc(&all[i].aio, go_on, &all[i]), "nng_aio_alloc");
        nng_ctx_recv(all[i].context, all[i].aio);
    }
    (void)printf("tcp://127.0.0.1:%d\n", port);
    (void)fflush(stdout);
    for (;;) {
        (void)pause();
    }
}
