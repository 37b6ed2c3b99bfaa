/* The fast and the general decoder must read the same. */
#ifndef MF_TEST_PATHS_H
#define MF_TEST_PATHS_H

#include <stddef.h>
#include <stdint.h>

/* Any bytes: the fast decoders against the general ones, with the default limits and with the
 * lowest; and as a value, what we see against what msgpack-c sees. NULL, or what differs. */
const char *paths_differ(const uint8_t *data, size_t size);

#endif
