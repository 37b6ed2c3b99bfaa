/* Sizes in bytes of the opaque bodies: those of add(1, 2) in this library without a trace. */
#ifndef BENCH_PEERS_SIZES_H
#define BENCH_PEERS_SIZES_H

enum { BENCH_REQUEST_SIZE = 163, BENCH_REPLY_SIZE = 140 };

#endif
