/* The real messages of add(1, 2), encoded and decoded by msgpack-c. */
#ifndef BENCH_PEERS_MESSAGE_H
#define BENCH_PEERS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack.h>

#define BENCH_ID_BYTES 36

/* Writes a UUID-like id that carries the number. */
void bench_id(uint64_t number, char to[BENCH_ID_BYTES + 1]);
/* Clears the buffer, then packs a call. */
void bench_pack_call(msgpack_sbuffer *to, const char id[BENCH_ID_BYTES], int64_t a, int64_t b);
/* Packs the answer to an encoded call; false if the bytes are no call. */
bool bench_answer_call(msgpack_sbuffer *to, const void *bytes, size_t size, msgpack_zone *zone);
/* Reads an encoded response; its id must equal `id`, unless that is NULL. */
bool bench_read_response(const void *bytes, size_t size, msgpack_zone *zone, const char *id,
                         int64_t *ret_result);

#endif
