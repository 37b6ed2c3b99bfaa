/* Bare libzmq clients beyond the common interface. */
#ifndef BENCH_PEERS_ZMQ_H
#define BENCH_PEERS_ZMQ_H

#include "bench/peer.h"

/* Several DEALERs, each with a thread of its own, call one ROUTER. Returns all calls per second. */
double bench_zmq_threads(unsigned threads, unsigned calls_of_each);
/* Echoes of `size` bytes, with in_flight of them open. Returns calls per second. */
double bench_zmq_echo(size_t size, unsigned in_flight, unsigned calls);

#endif
