/* A way to call add(1, 2) in another process: this library or a library that it is compared with.
 *
 * A peer is the client of one server process. Client and server start before the first round and
 * end after the last one; rounds of several peers alternate. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench/harness.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_peer {
    const char *name;
    void *self;
    /* One call after the other. */
    bench_latency (*sync)(void *self, unsigned calls);
    /* Keeps in_flight calls open until `calls` have ended; returns calls per second. NULL: the peer
     * cannot keep calls open. */
    double (*pipelined)(void *self, unsigned in_flight, unsigned calls);
    void (*stop)(void *self);
} bench_peer;

/* Each ends the program if it cannot start. */
bench_peer bench_peer_multifrost(void);
bench_peer bench_peer_multifrost_on_libzmq(void);
bench_peer bench_peer_zmq(void);         /* bare DEALER/ROUTER: opaque bytes of the same sizes */
bench_peer bench_peer_zmq_msgpack(void); /* the same, encoded and decoded by msgpack-c */
bench_peer bench_peer_grpc(void);
bench_peer bench_peer_nng(void);
bench_peer bench_peer_python(void);

#ifdef __cplusplus
}
#endif

#endif
