/* The smallest possible worker: a bare ROUTER that connects to the port in its first argument and
 * sends every message back until it is killed. */
#include <stdio.h>
#include <stdlib.h>

#include <zmq.h>

int main(int argc, char **argv)
{
    char endpoint[64];
    void *context = zmq_ctx_new();
    void *socket = context != NULL ? zmq_socket(context, ZMQ_ROUTER) : NULL;
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%s", argc > 1 ? argv[1] : "");
    if (socket == NULL || zmq_connect(socket, endpoint) != 0) {
        (void)fprintf(stderr, "cannot connect to '%s': %s\n", endpoint, zmq_strerror(zmq_errno()));
        return EXIT_FAILURE;
    }
    for (;;) {
        zmq_msg_t frame;
        (void)zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, 0) < 0 ||
            zmq_msg_send(&frame, socket, zmq_msg_more(&frame) != 0 ? ZMQ_SNDMORE : 0) < 0) {
            return EXIT_FAILURE;
        }
    }
}
