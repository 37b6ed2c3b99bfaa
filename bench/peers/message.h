/* The real messages of add(1, 2), as msgpack-c encodes and decodes them. */
#ifndef BENCH_PEERS_MESSAGE_H
#define BENCH_PEERS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack.h>

#define BENCH_ID_BYTES 36

/* Writes a UUID-like id that carries the number. */
void bench_id(uint64_t number, char to[BENCH_ID_BYTES + 1]);
/* The buffer is cleared first. */
void bench_pack_call(msgpack_sbuffer *to, const char id[BENCH_ID_BYTES], int64_t a, int64_t b);
/* Answers an encoded call; false if it is none. */
bool bench_answer_call(msgpack_sbuffer *to, const void *bytes, size_t size, msgpack_zone *zone);
/* Reads an encoded response; the id must be as expected, or NULL. */
bool bench_read_response(const void *bytes, size_t size, msgpack_zone *zone, const char *id,
                         int64_t *ret_result);

#endif
