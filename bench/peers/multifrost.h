/* Clients of this library beyond the common interface. */
#ifndef BENCH_PEERS_MULTIFROST_H
#define BENCH_PEERS_MULTIFROST_H

#include "bench/peer.h"

typedef struct bench_instruments {
    const char *name;
    bool no_metrics;      /* nor a recorder, nor memory for the figures of workers; on both sides */
    const char *log_file; /* NULL: no log, as by default */
    int log_sample_first; /* 0: every record is kept */
    int log_sample_thereafter;
    bool on_libzmq; /* both sides use libzmq as their transport */
} bench_instruments;

bench_peer bench_peer_instrumented(const bench_instruments *instruments);
/* Several threads call through one parent. Returns all calls per second. */
double bench_multifrost_threads(void *self, unsigned threads, unsigned calls_of_each);
/* Echoes a bin of `size` bytes, with in_flight calls open. Returns calls per second. */
double bench_multifrost_echo(void *self, size_t size, unsigned in_flight, unsigned calls);

#endif
